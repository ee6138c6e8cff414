//! What the public route gives, held against what the ring has.

use std::time::Duration;

use config::Config;
use doctor::{FeedSeen, Report};
use fleet::Offers;
use mirror::{Engine, FeedPlan};
use model::{FeedId, RingName, VendorVersion};
use serde::Serialize;
use settings::MirrorUrl;

use super::mirror::Job;
use super::rings::{self, Held};
use super::second::{self, Elsewhere};
use super::walk::Walk;
use crate::context::Context;
use crate::failure::Failure;

/// How long a route is looked at again that does not give what the ring serves: who serves needs a moment to learn of a
/// publication.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after the look before.
const BETWEEN: Duration = Duration::from_secs(1);

/// What the public route gives of a feed, beside what the ring serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Gives {
    Same,
    Older,
    /// Newer than the ring, or the same version of something else.
    Other,
    /// Nothing that could be read; what the walk found says why.
    Nothing,
}

/// What the route is held against.
pub(super) struct Site<'a> {
    pub(super) config: &'a Config,
    pub(super) engine: &'a Engine,
    pub(super) ring: &'a RingName,
    /// The feeds that are followed.
    pub(super) feeds: &'a [FeedId],
    /// What the vendor offers of them.
    pub(super) plans: &'a [FeedPlan],
}

/// What was seen of rings and of the route.
pub(super) struct Look {
    pub(super) offers: Vec<Offers>,
    /// What the ring serves under which path.
    pub(super) held: Held,
    /// What the walk found; none where nothing was walked.
    pub(super) report: Option<Report>,
    /// The further paths of feeds at which the route gives something else than the ring.
    pub(super) elsewhere: Vec<Elsewhere>,
}

/// What rings serve, and what the route gives. The route may be some seconds behind, and the ring may move on meanwhile: both
/// are looked at again before anything is made of a difference.
pub(super) async fn look(
    job: &Job<'_>,
    site: &Site<'_>,
    address: Option<&MirrorUrl>,
    context: &Context,
) -> Result<Look, Failure> {
    let (mut offers, mut held) = site.serves(job).await?;
    let feeds = site.walked(&offers);
    let Some(mirror) = address.filter(|_| !feeds.is_empty()) else {
        return Ok(Look { offers, held, report: None, elsewhere: Vec::new() });
    };
    let walk = |versions_alone| Walk {
        mirror,
        ring: Some(site.ring),
        config: Some(site.config),
        feeds: feeds.clone(),
        versions_alone,
    };
    let mut report = job.route.walk(walk(false), context).await?;
    let mut elsewhere = second::look(job, (walk(true), &held, &report), context).await?;
    let began = context.clock.monotonic();
    // Nothing is seen of any feed where nothing answers at all: no look would change that.
    while !(report.feeds.is_empty() || elsewhere.is_empty() && site.agree(&offers, &held, &report)) {
        if context.clock.monotonic().saturating_sub(began) >= PATIENCE {
            break;
        }
        tokio::time::sleep(BETWEEN).await;
        (offers, held) = site.serves(job).await?;
        if !site.agree(&offers, &held, &report)
            && site.agree(&offers, &held, &job.route.walk(walk(true), context).await?)
        {
            report = job.route.walk(walk(false), context).await?;
        }
        elsewhere = second::look(job, (walk(true), &held, &report), context).await?;
    }
    Ok(Look { offers, held, report: Some(report), elsewhere })
}

impl Site<'_> {
    async fn serves(&self, job: &Job<'_>) -> Result<(Vec<Offers>, Held), Failure> {
        // Routes first: where the ring moves on in between, they differ from what is given later, and it is looked again.
        let held = rings::held(self.engine, self.ring).await?;
        Ok((rings::offers(self.engine, self.config, job.vendor).await?, held))
    }

    /// What is walked: what the ring serves, and what the vendor has and the ring has not, which is what endpoints would
    /// not get. Nothing where the ring serves nothing at all yet.
    fn walked(&self, offers: &[Offers]) -> Vec<FeedId> {
        let served = |feed: &FeedId| of_ring(offers, self.ring).is_some_and(|ring| ring.feeds.contains_key(feed));
        let offered = |feed: &FeedId| self.plans.iter().any(|plan| plan.feed == *feed && plan.vendor_version.is_some());
        if !self.feeds.iter().any(served) {
            return Vec::new();
        }
        self.feeds.iter().filter(|feed| served(feed) || offered(feed)).cloned().collect()
    }

    /// Whether the route gives of each feed what the ring serves.
    fn agree(&self, offers: &[Offers], held: &Held, report: &Report) -> bool {
        let ring = of_ring(offers, self.ring);
        let served = |feed: &FeedId| ring.and_then(|ring| ring.feeds.get(feed)).map(|offer| &offer.version);
        let same = |feed| gives(served(feed), held, seen(report, feed)).is_none_or(|gives| gives == Gives::Same);
        self.feeds.iter().all(same)
    }
}

/// What was seen of a feed.
pub(super) fn seen<'a>(report: &'a Report, feed: &FeedId) -> Option<&'a FeedSeen> {
    report.feeds.iter().find(|seen| seen.feed == *feed)
}

/// What the route gives of a feed, beside what the ring serves of it.
pub(super) fn gives(served: Option<&VendorVersion>, held: &Held, seen: Option<&FeedSeen>) -> Option<Gives> {
    let (served, seen) = served.zip(seen)?;
    let Some(given) = seen.vendor_version.as_deref().and_then(rings::vendor_version) else {
        return Some(Gives::Nothing);
    };
    let others = |(path, digest): &(String, _)| {
        path.parse().ok().and_then(|path| held.get(&path)).is_some_and(|route| route.digest != *digest)
    };
    // Where the feed goes on at another path, the ring itself serves here what was before: that is told apart.
    let past = second::past(held, &seen.feed);
    let is_past = |(path, digest): &(String, _)| {
        past.iter().any(|known| known.as_str() == path && held.get(known).is_some_and(|route| route.digest == *digest))
    };
    Some(if seen.given.iter().any(is_past) {
        Gives::Same
    } else if given == *served {
        if seen.given.iter().any(others) { Gives::Other } else { Gives::Same }
    } else if given.version < served.version {
        Gives::Older
    } else {
        Gives::Other
    })
}

fn of_ring<'a>(offers: &'a [Offers], ring: &RingName) -> Option<&'a Offers> {
    offers.iter().find(|offers| offers.ring.as_ref() == Some(ring))
}
