//! Where manifests lie whose place is not published, told from the routes at which a ring serves them.

use mirror::Engine;
use model::{FeedId, Generation, Route, RoutePath, Vendor, error_chain};
use vendors::elastic::{ElasticSettings, is_forwarded, wanted};

use crate::Book;
use crate::book::InRing;

/// What is followed and served is asked for where it is served. Where what was learned is lost, nothing else says where that
/// is, as no endpoint's request counts that is answered; where it does not read, nothing else says what of the patterns'
/// versions is followed. Noted in the book for as long as that lives, and written down once the vendor has answered.
pub async fn read_ring(engine: &Engine, book: &Book) {
    let settings = engine.settings();
    let needs = || {
        let learned = book.learned();
        let mut all = settings.feeds.iter().chain(learned.iter().flatten().map(|known| &known.feed));
        learned.is_err() || all.any(is_placed)
    };
    let current = match engine.ports().rings.current(&settings.ring).await {
        Ok(current) => current.filter(|_| needs()),
        Err(error) => {
            return tracing::warn!(error = %error_chain(&error), "where manifests are served cannot be looked up");
        }
    };
    note_ring(book, current.as_ref().map(|current| &current.generation), (&settings.feeds, &settings.vendors));
}

/// The same of a generation at hand, with the feeds and settings of the configuration.
pub fn note_ring(book: &Book, generation: Option<&Generation>, (feeds, settings): (&[FeedId], &vendors::Settings)) {
    let Some(generation) = generation else { return book.note_ring(InRing::default()) };
    let patterns = book.keeping().named.patterns;
    let is_covered = |feed: &&FeedId| patterns.iter().any(|pattern| pattern.covers(feed));
    let covered: Vec<FeedId> = generation.feeds.keys().filter(is_covered).cloned().collect();
    let learned = book.learned().unwrap_or_default().into_iter().map(|known| known.feed);
    let feeds: Vec<FeedId> = feeds.iter().chain(&covered).cloned().chain(learned).filter(is_placed).collect();
    let mut known = settings.clone();
    if let Ok(state) = book.state() {
        state.furnish(&mut known, 0);
    }
    let forms = unknown_forms(generation.routes.iter(), &feeds, &known.elastic);
    book.note_ring(InRing { forms, covered });
}

/// Whether it is not published where a feed's manifest lies: it is dated, or of a track.
pub(crate) fn is_placed(feed: &FeedId) -> bool {
    feed.vendor() == Vendor::Elastic && !is_forwarded(feed) && (feed.date().is_some() || feed.segments().count() > 1)
}

/// The forms, not known yet, of paths at which these feeds' manifests are served.
fn unknown_forms<'a>(
    routes: impl Iterator<Item = (&'a RoutePath, &'a Route)>,
    feeds: &[FeedId],
    settings: &ElasticSettings,
) -> Vec<String> {
    let mut forms = Vec::new();
    for (path, route) in routes.filter(|(_, route)| route.until.is_none() && feeds.contains(&route.feed)) {
        let found = wanted(path, settings).filter(|found| found.feed == route.feed);
        forms.extend(found.and_then(|found| found.guess).filter(|form| !forms.contains(form)));
    }
    forms
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{Digest, Timestamp};

    use super::*;

    #[test]
    fn what_is_served_and_lies_at_no_known_form_tells_its_own() {
        let route = |feed: &str, until: Option<i64>| Route {
            digest: Digest::of(b"a"),
            size: 1,
            feed: feed.parse().unwrap(),
            since: Timestamp::from_micros(0),
            until: until.map(Timestamp::from_micros),
        };
        let dated = "elastic/8.18.3@2026-01-15";
        let routes: BTreeMap<RoutePath, Route> = [
            ("/downloads/a/artifacts-8.18.3-2026-01-15.zip", route(dated, None)),
            ("/downloads/known/8.18.3-2026-01-15.zip", route(dated, None)),
            ("/downloads/old/8.18.3-2026-01-15.zip", route(dated, Some(9))),
            ("/downloads/x/candidate/9.0.0.zip", route("elastic/9.0.0/candidate", None)),
            ("/downloads/y/candidate/9.1.0.zip", route("elastic/9.1.0/candidate", None)),
            ("/downloads/an/artifact", route(dated, None)),
        ]
        .map(|(path, route)| (path.parse().unwrap(), route))
        .into();
        let settings = ElasticSettings {
            dated_templates: vec!["/downloads/known/{version}-{date}.zip".to_owned()],
            ..ElasticSettings::default()
        };
        let feeds = [dated, "elastic/9.0.0/candidate"].map(|feed| feed.parse().unwrap());
        let forms = unknown_forms(routes.iter(), &feeds, &settings);
        assert_eq!(forms, ["/downloads/a/artifacts-{version}-{date}.zip", "/downloads/x/{track}/{version}.zip"]);
    }
}
