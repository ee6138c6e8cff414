//! How long ago each feed was last checked with success, against the policy.

use std::time::Duration;

use mirror::Status;
use model::FeedId;
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
    /// Since the last check that reached a verdict.
    pub(super) age_seconds: u64,
    pub(super) beyond: Limit,
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
            let age = status.at.since(feed.succeeded_at?);
            let beyond = limit(age, policy)?;
            Some(Late { feed: feed.feed.clone(), age_seconds: age.as_secs(), beyond })
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
