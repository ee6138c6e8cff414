//! One sync of the demo, and what it cost the vendors.

use std::sync::Arc;
use std::time::Duration;

use mirror::{Observer, SyncReport, SyncRequest};
use model::{Outcome, Reason};

use super::text::took;
use super::world::World;
use super::{Demo, DemoError};

/// How long the content side may take to show a publication before that is called wrong.
const VISIBLE: Duration = Duration::from_secs(5);

/// What a vendor was asked and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) requests: u64,
    /// Bytes of bodies.
    pub(super) bytes: u64,
    /// Requests for artifacts of Elastic.
    pub(super) artifacts: u64,
}

impl Cost {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            bytes: self.bytes + other.bytes,
            artifacts: self.artifacts + other.artifacts,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            bytes: self.bytes.saturating_sub(other.bytes),
            artifacts: self.artifacts.saturating_sub(other.artifacts),
        }
    }

    /// What the vendors sent so far, by their own count.
    fn so_far(world: &World) -> Self {
        let counters = world.vendors.requests();
        Self { requests: counters.requests, bytes: counters.body_bytes, artifacts: counters.artifacts() }
    }
}

/// How one sync went.
pub(super) struct Synced {
    pub(super) report: SyncReport,
    pub(super) cost: Cost,
    pub(super) time: Duration,
}

impl Synced {
    /// Whether every feed ended one of these ways.
    pub(super) fn all(&self, outcomes: &[Outcome]) -> bool {
        self.report.feeds.iter().all(|feed| outcomes.contains(&feed.outcome))
    }

    /// How many feeds ended this way.
    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.report.feeds.iter().filter(|feed| feed.outcome == outcome).count()
    }

    /// Whether a feed ended this way for this reason.
    pub(super) fn ended(&self, feed: &str, outcome: Outcome, reason: Reason) -> bool {
        let mut feeds = self.report.feeds.iter();
        feeds.any(|one| one.feed.as_str() == feed && one.outcome == outcome && one.reason == Some(reason))
    }
}

/// A sync with the real engine; the vendors count what it asked for.
pub(super) async fn sync(world: &World, observer: Arc<dyn Observer>) -> Result<Synced, DemoError> {
    let (before, begun) = (Cost::so_far(world), world.clock.monotonic());
    let request = SyncRequest { wait: true, ..SyncRequest::default() };
    let report = world.engine.sync(&request, observer).await?;
    let time = world.clock.monotonic().saturating_sub(begun);
    Ok(Synced { report, cost: Cost::so_far(world).minus(before), time })
}

/// Waits until endpoints are served this generation; how long that took after the sync.
pub(super) async fn visible(world: &World, generation: Option<u64>) -> Result<Duration, String> {
    const LOOK_AGAIN: Duration = Duration::from_millis(1);
    let begun = world.clock.monotonic();
    loop {
        let waited = world.clock.monotonic().saturating_sub(begun);
        let served = world.content.stats().rings.iter().find_map(|ring| ring.generation);
        if served.is_some() && served == generation {
            return Ok(waited);
        }
        if waited > VISIBLE {
            return Err(format!("endpoints are not served what was published {} ago", took(waited)));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

impl Demo {
    /// Syncs and enters it into the ledger.
    pub(super) async fn sync(&mut self, what: &str) -> Result<Synced, DemoError> {
        let synced = sync(&self.world, Arc::new(mirror::Silent)).await?;
        self.ledger.add(what, synced.cost, &synced.report);
        Ok(synced)
    }

    /// The first sync, which takes a while and is watched.
    pub(super) async fn watched_sync(&mut self, what: &str) -> Result<Synced, DemoError> {
        let synced = sync(&self.world, Arc::clone(&self.watching.observer)).await?;
        self.ledger.add(what, synced.cost, &synced.report);
        if !self.watching.shows_outcomes {
            self.show(&synced);
        }
        Ok(synced)
    }

    /// A row for each feed.
    pub(super) fn show(&mut self, synced: &Synced) {
        let row = |feed: &str, outcome: &str, seen: &str, reason: &str| {
            format!("{feed:<33} {outcome:<12} {seen:<13} {reason}")
        };
        self.story.head(&row("feed", "outcome", "last seen", "reason"));
        for feed in &synced.report.feeds {
            let version = feed.vendor_version.as_ref().map(|version| version.version.to_string());
            let reason = feed.reason.map(Reason::code).unwrap_or_default();
            let (version, outcome) = (version.unwrap_or_default(), feed.outcome.as_str());
            self.story.row(&row(feed.feed.as_str(), outcome, &version, reason));
        }
    }
}
