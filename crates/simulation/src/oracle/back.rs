//! The step back stays: `_back` has the newest release older than what is served that this ring has served, that is
//! admitted and held whole, whatever was collected, damaged or lost since (I5).

use std::collections::BTreeSet;

use model::{Digest, FeedId, ReleaseId, ReleaseState, ServedFeed, Vendor, Version};

use super::{Oracle, Seen};
use crate::violation::{Holds, Violation};

/// What a release was when it was recorded.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) version: Version,
    pub(super) files: Vec<(Digest, u64)>,
}

impl Seen {
    /// Remembers which releases of a feed the ring serves.
    pub(super) fn notes_served(&mut self, feed: &FeedId, served: &ServedFeed) {
        let known = self.served.entry(feed.clone()).or_default();
        known.insert(served.release);
        known.extend(served.back);
    }

    /// With the catalog went what was served before: the ring knows of each feed what it serves, and its `_back`.
    pub(super) fn forget_served(&mut self) {
        self.served.clear();
        let current = self.current.as_ref().map(|current| current.generation.feeds.clone()).unwrap_or_default();
        for (feed, served) in &current {
            self.notes_served(feed, served);
        }
    }
}

impl Oracle {
    /// What the ring serves of a feed leaves no step back out; `before` is what it served until now.
    pub(super) fn steps_back(
        &self,
        seen: &Seen,
        feed: &FeedId,
        served: &ServedFeed,
        before: Option<&ServedFeed>,
    ) -> Holds {
        if feed.vendor() != Vendor::Defender {
            return Ok(());
        }
        let stood = before.and_then(|before| before.back);
        let none = BTreeSet::new();
        let older = seen.served.get(feed).unwrap_or(&none).iter().filter_map(|release| {
            let made = seen.made.get(release)?;
            let stays = self.may_be_served(seen, release, stood) && made.version < served.vendor_version.version;
            (stays && self.is_whole(seen, made)).then_some((&made.version, release))
        });
        let Some((version, release)) = older.max() else { return Ok(()) };
        let there = served.back.and_then(|back| seen.made.get(&back));
        if there.is_some_and(|there| there.version >= *version) {
            return Ok(());
        }
        let (number, back) = (release.short(), served.back.map(|back| back.short()));
        let what = format!("{feed}: release {number} ({version}) was served and is held, and _back is {back:?}");
        Err(Violation::new("I5", what))
    }

    /// Whether a release may be in `_back`. A catalog that was lost knows nothing of what stands there.
    fn may_be_served(&self, seen: &Seen, release: &ReleaseId, stood: Option<ReleaseId>) -> bool {
        match seen.states.get(release) {
            Some(state) => *state == ReleaseState::Admitted,
            None => stood == Some(*release) && !seen.rejected.contains(release),
        }
    }

    fn is_whole(&self, seen: &Seen, made: &Made) -> bool {
        let view = self.view();
        let mut files = made.files.iter();
        files.all(|(digest, size)| !seen.rotten.contains(digest) && view.size(*digest, *size) == Some(*size))
    }
}
