//! A version that leaps waits for the operator's word (I3), by what the vendors' script does and nothing of the engine's:
//! it moves the third number of a version, by one at a time or far ahead.

use model::{FeedId, ServedFeed, Version};

use super::Seen;
use crate::violation::{Holds, Violation};

/// The furthest that the operator lets a version move without being asked.
const STEP: u64 = 10_000;

/// The number that the vendors' script moves.
pub(super) fn counter(version: &Version) -> Option<u64> {
    version.as_str().split('.').nth(2)?.parse().ok()
}

/// What a generation brings in lies no further ahead than a step: of what was served before, or of what the operator let
/// in at any time.
pub(super) fn stepped(seen: &Seen, feed: &FeedId, served: &ServedFeed) -> Holds {
    let version = &served.vendor_version.version;
    let (Some(now), Some(before)) = (counter(version), seen.newest.get(feed).and_then(counter)) else { return Ok(()) };
    let reached = before.max(seen.reach.get(feed).copied().unwrap_or(0));
    if now <= reached.saturating_add(STEP) {
        return Ok(());
    }
    Err(Violation::new("I3", format!("{feed} leapt from number {before} to {version}, and nobody said so")))
}
