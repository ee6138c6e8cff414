//! A ring whose files the disk damaged or lost: what was published last is made anew by the next act that takes the
//! publication lock, under a number above all before (I8), what is left meanwhile is what it was (I4), and nothing comes
//! back that was turned down (I3).

use std::collections::{BTreeMap, BTreeSet};

use blob_store::Current;
use model::{Digest, FeedId, ReleaseId, Vendor, Version};

use super::{Oracle, Seen};
use crate::violation::{Holds, Violation};

/// What was served when a publication was last called done: the history knows nothing beyond it.
#[derive(Clone)]
pub(super) struct Done {
    current: Current,
    newest: BTreeMap<FeedId, Version>,
    served: BTreeMap<FeedId, BTreeSet<ReleaseId>>,
}

impl Seen {
    /// The publications of these generations are called done.
    pub(super) fn is_done(&mut self, digests: &[Digest]) {
        if let Some(current) = self.current.as_ref().filter(|current| digests.contains(&current.digest)) {
            let (newest, served) = (self.newest.clone(), self.served.clone());
            self.done = Some(Done { current: current.clone(), newest, served });
            self.spent.clear();
        }
    }

    /// What is compared with from now on is what was called done last.
    fn fall_back_to_done(&mut self) {
        let done = self.done.clone();
        self.newest = done.as_ref().map(|done| done.newest.clone()).unwrap_or_default();
        self.served = done.as_ref().map(|done| done.served.clone()).unwrap_or_default();
        self.current = done.map(|done| done.current);
        // What a publication that is lost without a trace was said for may be said for again.
        let spent = std::mem::take(&mut self.spent);
        self.words.extend(spent);
        self.left.clear();
    }

    /// Whether the disk damaged bytes of a feed, so that nobody can ask for it to be served again. The artifacts of one
    /// Elastic feed may be those of another, and of a path that another took its release names bytes that nobody is
    /// served.
    pub(super) fn is_beyond(&self, feed: &FeedId) -> bool {
        let shared = |other: &FeedId| feed.vendor() == Vendor::Elastic && other.vendor() == Vendor::Elastic;
        let is_meant = |other: &FeedId| other == feed || shared(other);
        let Some(Current { generation, .. }) = &self.current else { return false };
        let routed = generation.routes.values().filter(|route| is_meant(&route.feed)).map(|route| route.digest);
        let served = generation.feeds.iter().filter(|(feed, _)| is_meant(feed));
        let named = served.filter_map(|(_, served)| self.made.get(&served.release)).flat_map(|made| &made.files);
        routed.chain(named.map(|(digest, _)| *digest)).any(|digest| self.rotten.contains(&digest))
    }
}

impl Oracle {
    /// The disk damaged or lost files of the ring.
    pub(crate) fn wore(&self) -> Holds {
        let read = self.view().current(&self.ring);
        let unreadable = read.is_err();
        let now = read.ok().flatten();
        let mut seen = self.seen();
        if seen.current.is_none() || now == seen.current {
            return Ok(());
        }
        if now.as_ref().is_some_and(|now| now.generation.number > seen.top) {
            // A publication that died before it moved the pointer is served without it.
            drop(seen);
            return self.walk();
        }
        if !seen.worn {
            seen.fall_back_to_done();
        }
        seen.worn = unreadable || (seen.current.is_some() && now != seen.current);
        now.map_or(Ok(()), |now| self.fallen(&seen, &now))
    }

    /// Whether the ring is not what was published last, because of the disk.
    pub(crate) fn is_worn(&self) -> bool {
        self.seen().worn
    }

    /// An act that took the publication lock ended well: the ring is what was published last again.
    pub(crate) fn made_anew(&self) -> Holds {
        let seen = self.seen();
        let Some(last) = seen.current.as_ref().filter(|_| seen.worn) else { return Ok(()) };
        match last.generation.feeds.keys().find(|feed| !seen.is_beyond(feed)) {
            None => Ok(()),
            Some(feed) => {
                let number = last.generation.number;
                let what =
                    format!("{feed} is held whole, and generation {number} of the damaged ring was not made anew");
                Err(Violation::new("I8", what))
            }
        }
    }

    /// What was turned down so far has no way back any more, not even by a damaged disk.
    pub(crate) fn forgot(&self) {
        let mut seen = self.seen();
        seen.forgotten = seen.rejected.clone();
    }

    /// What is left of a damaged ring: an earlier generation, of which blobs may have been let go.
    pub(super) fn fallen(&self, seen: &Seen, left: &Current) -> Holds {
        let generation = &left.generation;
        let view = self.view();
        for (path, route) in &generation.routes {
            if seen.proven.contains(&route.digest) || seen.rotten.contains(&route.digest) {
                continue;
            }
            let other = |bytes: Vec<u8>| Digest::of(&bytes) != route.digest;
            if view.read(route.digest, route.size).is_some_and(other) {
                return Err(Violation::new("I4", format!("{path}: other bytes than generation and name say")));
            }
        }
        let gone: BTreeSet<_> = seen.forgotten.intersection(&seen.rejected).collect();
        for (feed, served) in &generation.feeds {
            if let Some(id) = [Some(served.release), served.back].into_iter().flatten().find(|id| gone.contains(id)) {
                let number = generation.number;
                let what =
                    format!("generation {number} is left, and {feed} in it is {}, which was turned down", id.short());
                return Err(Violation::new("I3", what));
            }
        }
        Ok(())
    }
}
