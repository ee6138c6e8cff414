//! How long ago each feed was last checked with success, against the policy. A feed that never was ages from its
//! first check: it must not look fresh for ever because nothing of it ever worked.

use std::time::Duration;

use mirror::{FeedStatus, Status};
use model::{FeedId, Timestamp};
use serde::Serialize;

/// What the policy says of each feed that is too old.
#[derive(Debug, Serialize)]
pub(super) struct Freshness {
    warn_seconds: u64,
    fail_seconds: u64,
    /// Feeds beyond one of the two.
    pub(super) late: Vec<Late>,
}

/// A feed beyond a limit.
#[derive(Debug, Serialize)]
pub(super) struct Late {
    pub(super) feed: FeedId,
    pub(super) age_seconds: u64,
    /// What the age is counted from.
    pub(super) since: Since,
    pub(super) beyond: Limit,
}

/// What a feed's age is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Since {
    /// The last check that found things in order.
    Success,
    /// The first check, where none ever did.
    FirstCheck,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Limit {
    Warn,
    Fail,
}

impl Freshness {
    pub(super) fn of(status: &Status, policy: config::Freshness) -> Self {
        let followed = status.feeds.iter().filter(|feed| feed.followed);
        let late = followed.filter_map(|feed| {
            let (start, since) = start(feed)?;
            let age = status.at.since(start);
            let beyond = limit(age, policy)?;
            Some(Late { feed: feed.feed.clone(), age_seconds: age.as_secs(), since, beyond })
        });
        Self { warn_seconds: policy.warn.as_secs(), fail_seconds: policy.fail.as_secs(), late: late.collect() }
    }

    /// Whether a feed is beyond what the policy lets pass.
    pub(super) fn is_beyond(&self) -> bool {
        self.late.iter().any(|late| late.beyond == Limit::Fail)
    }

    /// The limit that was passed, in seconds.
    pub(super) fn passed(&self, limit: Limit) -> Duration {
        Duration::from_secs(match limit {
            Limit::Warn => self.warn_seconds,
            Limit::Fail => self.fail_seconds,
        })
    }
}

/// Where a feed's age starts; none before its first check, when nothing is known that could age.
fn start(feed: &FeedStatus) -> Option<(Timestamp, Since)> {
    let success = feed.succeeded_at.map(|at| (at, Since::Success));
    success.or_else(|| feed.first_checked_at.map(|at| (at, Since::FirstCheck)))
}

fn limit(age: Duration, policy: config::Freshness) -> Option<Limit> {
    if age > policy.fail {
        Some(Limit::Fail)
    } else if age > policy.warn {
        Some(Limit::Warn)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_passed_when_it_is_over() {
        let policy = config::Freshness { warn: Duration::from_secs(10), fail: Duration::from_secs(20) };
        for (age, expected) in [(10, None), (11, Some(Limit::Warn)), (20, Some(Limit::Warn)), (21, Some(Limit::Fail))] {
            assert_eq!(limit(Duration::from_secs(age), policy), expected, "{age}");
        }
    }
}
