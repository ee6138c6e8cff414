//! Where manifests lie whose place is not published, told from the routes at which a ring serves them.

use mirror::Engine;
use model::{FeedId, Route, RoutePath, error_chain};
use vendors::elastic::{ElasticSettings, is_forwarded, wanted};

use crate::{Book, BookError};

/// What is followed and served is asked for where it is served. Where what was learned is lost, nothing else says where that
/// is: as it is served, no endpoint's request counts.
///
/// # Errors
/// [`BookError`] when that cannot be kept.
pub async fn take_places(engine: &Engine, book: &Book) -> Result<(), BookError> {
    let placed = |feed: &FeedId| feed.date().is_some() || feed.segments().count() > 1;
    let feeds: Vec<FeedId> = engine.feeds().into_iter().filter(|feed| placed(feed) && !is_forwarded(feed)).collect();
    if feeds.is_empty() {
        return Ok(());
    }
    let current = match engine.ports().rings.current(&engine.settings().ring).await {
        Ok(current) => current,
        Err(error) => {
            tracing::warn!(error = %error_chain(&error), "where manifests are served cannot be looked up");
            return Ok(());
        }
    };
    let routes = current.iter().flat_map(|current| &current.generation.routes);
    for form in unknown_forms(routes, &feeds, &engine.vendor_settings().elastic) {
        if book.guess(&form)? {
            tracing::info!(
                form,
                "no such form of a manifest's path is known, and the ring serves one: asked there, too"
            );
        }
    }
    Ok(())
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
