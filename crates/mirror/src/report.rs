//! How runs ended and what they would do.

use model::{Digest, FeedId, Outcome, Reason, ReleaseId, VendorVersion};
use serde::Serialize;

use crate::{FolderReport, LostBack};

/// How a run ended for one feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedReport {
    /// Which feed.
    pub feed: FeedId,
    /// How it ended.
    pub outcome: Outcome,
    /// What the vendor calls what it offers, where that is known.
    pub vendor_version: Option<VendorVersion>,
    /// The release that the outcome speaks of.
    pub release: Option<ReleaseId>,
    /// Bytes of bodies that arrived for this feed.
    pub bytes_fetched: u64,
    /// Requests made for this feed.
    pub requests: u64,
    /// Why it did not go well, or what else is to be known.
    pub reason: Option<Reason>,
    /// On what, in words.
    pub detail: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// Each feed, in name order.
    pub feeds: Vec<FeedReport>,
    /// The generation that the ring serves after the run, if it serves one.
    pub generation: Option<u64>,
    /// Paths whose superseded bytes could not stay reachable because newer bytes took the same path.
    pub lost_grace: Vec<String>,
    /// Where `_back` went on to an older release, or to none, because the bytes of the one before are lost; the feeds' lines
    /// tell of it.
    pub lost_back: Vec<LostBack>,
    /// What the folder holds beside that, where feeds were taken from one.
    pub folder: Option<FolderReport>,
}

impl SyncReport {
    /// The exit code: 0 when all went well, 1 when every feed failed, 3 when some failed or are quarantined, or when bytes
    /// that were held are lost while the vendor answered well.
    pub fn exit_code(&self) -> u8 {
        let failed = self.feeds.iter().filter(|feed| feed.outcome == Outcome::Failed).count();
        let waiting = self.feeds.iter().any(|feed| matches!(feed.outcome, Outcome::Quarantined));
        let stepped = !self.lost_back.is_empty();
        let lost = stepped || self.feeds.iter().any(|feed| feed.reason == Some(Reason::BlobMissing));
        match failed {
            0 if waiting || stepped => 3,
            0 => 0,
            all if all == self.feeds.len() && !lost => 1,
            _ => 3,
        }
    }
}

/// A file that a run would fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedFile {
    /// From where.
    pub location: String,
    /// How many bytes, where the vendor says so.
    pub bytes: Option<u64>,
    /// Their digest, where the vendor says it: feeds that name the same share one fetch.
    pub digest: Option<Digest>,
}

/// What a run would do for one feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedPlan {
    /// Which feed.
    pub feed: FeedId,
    /// What the vendor offers, where that could be told.
    pub vendor_version: Option<VendorVersion>,
    /// What would be fetched; empty when nothing is new.
    pub files: Vec<PlannedFile>,
    /// Files that are held already.
    pub held_files: usize,
    /// Their bytes.
    pub held_bytes: u64,
    /// Why nothing can be planned.
    pub reason: Option<Reason>,
    /// On what, in words.
    pub detail: Option<String>,
}

impl FeedPlan {
    /// The bytes to be fetched, as far as they are declared.
    pub fn bytes(&self) -> u64 {
        self.files.iter().filter_map(|file| file.bytes).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_u57() {
        let report = |outcomes: &[Outcome]| SyncReport {
            feeds: outcomes
                .iter()
                .map(|outcome| FeedReport {
                    feed: "elastic/9.0.0".parse().unwrap(),
                    outcome: *outcome,
                    vendor_version: None,
                    release: None,
                    bytes_fetched: 0,
                    requests: 0,
                    reason: None,
                    detail: None,
                })
                .collect(),
            ..SyncReport::default()
        };
        use Outcome::{Current, Failed, Held, Published, Quarantined};
        for (outcomes, code) in [
            (&[Published, Current, Held][..], 0),
            (&[Failed, Failed], 1),
            (&[Failed, Current], 3),
            (&[Quarantined], 3),
            (&[Quarantined, Current], 3),
            (&[], 0),
        ] {
            assert_eq!(report(outcomes).exit_code(), code, "{outcomes:?}");
        }
    }
}
