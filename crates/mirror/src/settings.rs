//! What the engine is told by the composition root.

use std::time::Duration;

use catalog::Actor;
use model::{FeedId, FreshnessPolicy, RingName, Vendor};
use trust::Bounds;

/// How long and how much of a vendor's releases are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// Releases held for longer than this may go.
    pub age: Duration,
    /// Above this many bytes the oldest go first.
    pub bytes: u64,
}

/// How long superseded routes stay reachable, for each vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graces {
    /// Elastic's.
    pub elastic: Duration,
    /// Defender's.
    pub defender: Duration,
}

impl Graces {
    /// The same for every vendor.
    pub const fn same(grace: Duration) -> Self {
        Self { elastic: grace, defender: grace }
    }

    /// A vendor's.
    pub const fn of(&self, vendor: Vendor) -> Duration {
        match vendor {
            Vendor::Elastic => self.elastic,
            Vendor::Defender => self.defender,
        }
    }
}

/// What the engine is told by the composition root.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The feeds that are followed.
    pub feeds: Vec<FeedId>,
    /// The one ring that is published at once.
    pub ring: RingName,
    /// What vendors' modules depend on.
    pub vendors: vendors::Settings,
    /// How far a release may differ from the one before it without a person looking.
    pub bounds: Bounds,
    /// How long superseded routes stay reachable.
    pub grace: Graces,
    /// What is kept of Elastic's releases.
    pub keep_elastic: RetentionRule,
    /// What is kept of Defender's releases.
    pub keep_defender: RetentionRule,
    /// From when on silence is a warning or a failure.
    pub freshness: FreshnessPolicy,
    /// What is to be known about how this site is set up, in words.
    pub notices: Vec<String>,
    /// The longest that one feed's run may take.
    pub feed_deadline: Duration,
    /// How many inspections run at once, each on a thread of its own. None is one after the other on the run's own
    /// task: for simulations, where a thread would leave the order of things to chance.
    pub inspections: usize,
    /// Who acts, for the history.
    pub actor: Actor,
}

impl Settings {
    /// What is kept of a vendor's releases.
    pub fn keep(&self, vendor: Vendor) -> RetentionRule {
        match vendor {
            Vendor::Elastic => self.keep_elastic,
            Vendor::Defender => self.keep_defender,
        }
    }
}
