//! A manifest whose place is not published may be served at several paths: the route has to give each of them.

use std::collections::BTreeMap;
use std::fmt;

use doctor::Report;
use model::{Digest, FeedId, RoutePath};
use vendors::elastic::{ElasticSettings, wanted};

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
    // What a path would be of where no form is known.
    let bare =
        ElasticSettings { dated_templates: Vec::new(), track_templates: Vec::new(), ..ElasticSettings::default() };
    let mut forms: BTreeMap<String, Vec<(FeedId, &RoutePath, Digest)>> = BTreeMap::new();
    for (path, route) in held.iter().filter(|(_, route)| route.until.is_none()) {
        let is_walked = |path: &RoutePath| {
            let mut given = report.feeds.iter().flat_map(|seen| &seen.given);
            given.any(|(walked, _)| walked == path.as_str())
        };
        let seen = report.feeds.iter().any(|seen| seen.feed == route.feed && seen.vendor_version.is_some());
        let form = wanted(path, &bare).filter(|found| found.feed == route.feed).and_then(|found| found.guess);
        if let Some(form) = form.filter(|_| seen && !is_walked(path)) {
            forms.entry(form).or_default().push((route.feed.clone(), path, route.digest));
        }
    }
    for (form, places) in forms {
        let mut settings = settings(walk.config)?;
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
