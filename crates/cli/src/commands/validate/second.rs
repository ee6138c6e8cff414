//! A manifest whose place is not published may be served at several paths: the route has to give each of them.

use std::collections::BTreeMap;
use std::fmt;

use doctor::Report;
use model::{Digest, FeedId, RoutePath};
use vendors::elastic::{ElasticSettings, is_forwarded, wanted};

use super::mirror::Job;
use super::rings::Held;
use super::walk::{Walk, settings};
use crate::context::Context;
use crate::failure::Failure;

/// A further path at which the route does not give what the ring serves there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elsewhere {
    pub(super) feed: FeedId,
    pub(super) path: RoutePath,
    /// Whether anything that could be read came.
    pub(super) is_given: bool,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = if self.is_given { "another manifest" } else { "none that could be read" };
        write!(f, "{given} below {}", self.path)
    }
}

/// Asks for the manifests of what was walked at every further path at which the ring serves them; tells those at which
/// something else came.
pub(super) async fn look(
    job: &Job<'_>,
    (walk, held, report): (Walk<'_>, &Held, &Report),
    context: &Context,
) -> Result<Vec<Elsewhere>, Failure> {
    let mut found = Vec::new();
    let bare = bare();
    let mut forms: BTreeMap<String, Vec<(FeedId, &RoutePath, Digest)>> = BTreeMap::new();
    for (path, route) in held.iter().filter(|(_, route)| route.until.is_none()) {
        let is_walked = |path: &RoutePath| {
            let mut given = report.feeds.iter().flat_map(|seen| &seen.given);
            given.any(|(walked, _)| walked == path.as_str())
        };
        // A proxy serves the further ones as copies.
        let whose = wanted(path, &bare).filter(|found| found.feed == route.feed || is_forwarded(&route.feed));
        let Some((feed, form)) = whose.and_then(|found| Some((found.feed, found.guess?))) else { continue };
        let seen = report.feeds.iter().any(|seen| seen.feed == feed && seen.vendor_version.is_some());
        if seen && !is_walked(path) {
            forms.entry(form).or_default().push((feed, path, route.digest));
        }
    }
    for (form, places) in forms {
        let mut settings = settings(walk.config).await?;
        settings.elastic.dated_templates = vec![form.clone()];
        settings.elastic.track_templates = vec![form];
        let feeds = places.iter().map(|(feed, ..)| feed.clone()).collect();
        let there = job.route.walk_by(Walk { feeds, ..walk }, settings, context).await?;
        for (feed, path, digest) in places {
            let mut given = there.feeds.iter().flat_map(|seen| &seen.given).filter(|(at, _)| at == path.as_str());
            let came = given.next().map(|(_, came)| *came);
            if came != Some(digest) {
                found.push(Elsewhere { feed, path: path.clone(), is_given: came.is_some() });
            }
        }
    }
    Ok(found)
}

/// The paths at which a ring serves a feed's manifest as it was before, for its grace alone: the feed goes on at another.
pub(super) fn past(held: &Held, feed: &FeedId) -> Vec<RoutePath> {
    let bare = bare();
    let is_past = |path: &RoutePath| wanted(path, &bare).is_some_and(|found| found.feed == *feed);
    let now: Vec<Digest> = held.values().filter(|route| route.until.is_none()).map(|route| route.digest).collect();
    let graces = held.iter().filter(|(_, route)| route.feed == *feed && route.until.is_some());
    graces.filter(|(path, route)| !now.contains(&route.digest) && is_past(path)).map(|(path, _)| path.clone()).collect()
}

/// What a path would be of where no form is known.
fn bare() -> ElasticSettings {
    ElasticSettings { dated_templates: Vec::new(), track_templates: Vec::new(), ..ElasticSettings::default() }
}
