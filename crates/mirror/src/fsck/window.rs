//! The blobs that something refers to, a part of them at a time, so that memory stays bounded however many there are.

use blob_store::Found;
use model::Digest;

/// How many references are held in memory: some 48 MB.
const CAP: usize = 1 << 20;

/// A blob that something refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Whether it must be held; what was rejected may be.
    pub(super) needed: bool,
}

/// How a blob that something refers to was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Not at all.
    Not,
    /// As it should be, as far as a look shows.
    Good,
    /// With this many bytes.
    Size(u64),
    /// As something that cannot be believed.
    Doubt(&'static str),
}

/// The part of all digests that begins with `from`, in order, as large as memory allows.
pub(super) struct Window {
    from: Option<Digest>,
    /// The first digest beyond.
    to: Option<Digest>,
    cap: usize,
    wanted: Vec<Wanted>,
    seen: Vec<Seen>,
}

impl Window {
    /// The part that begins with `from`, or with the first digest of all.
    pub(super) fn new(from: Option<Digest>) -> Self {
        Self::with_cap(from, CAP)
    }

    fn with_cap(from: Option<Digest>, cap: usize) -> Self {
        Self { from, to: None, cap, wanted: Vec::new(), seen: Vec::new() }
    }

    fn covers(&self, digest: Digest) -> bool {
        self.from.is_none_or(|from| digest >= from) && self.to.is_none_or(|to| digest < to)
    }

    /// Notes what is referred to.
    pub(super) fn want(&mut self, wanted: Wanted) {
        if !self.covers(wanted.digest) {
            return;
        }
        self.wanted.push(wanted);
        if self.wanted.len() >= self.cap.saturating_mul(2) {
            self.pack();
        }
    }

    /// Sorts, drops what stands twice, and gives up the end of the part where it has grown too large.
    fn pack(&mut self) {
        self.wanted.sort_unstable_by_key(|wanted| (wanted.digest, wanted.size, !wanted.needed));
        self.wanted.dedup_by_key(|wanted| (wanted.digest, wanted.size));
        if let Some(beyond) = self.wanted.get(self.cap).map(|wanted| wanted.digest) {
            let first = self.wanted.first().map(|wanted| wanted.digest);
            // One digest under a million sizes would leave nothing: then the part is that digest alone.
            if first != Some(beyond) {
                self.to = Some(beyond);
                self.wanted.retain(|wanted| wanted.digest < beyond);
            }
        }
    }

    /// Everything that is referred to was noted.
    pub(super) fn close(&mut self) {
        self.pack();
        self.seen = vec![Seen::Not; self.wanted.len()];
    }

    /// Notes a blob that was found; false when it lies in this part and nothing refers to it.
    pub(super) fn see(&mut self, found: &Found) -> bool {
        let Found::Blob { digest, size, doubt } = found else { return true };
        if !self.covers(*digest) {
            return true;
        }
        let at = self.wanted.partition_point(|wanted| wanted.digest < *digest);
        let mut known = false;
        for (wanted, seen) in self.wanted.iter().zip(&mut self.seen).skip(at) {
            if wanted.digest != *digest {
                break;
            }
            known = true;
            *seen = match doubt {
                Some(what) => Seen::Doubt(what),
                None if wanted.size == *size => Seen::Good,
                None => Seen::Size(*size),
            };
        }
        known
    }

    /// What is referred to, and how it was found.
    pub(super) fn all(&self) -> impl Iterator<Item = (Wanted, Seen)> {
        self.wanted.iter().copied().zip(self.seen.iter().copied())
    }

    /// Where the next part begins, if there is one.
    pub(super) fn next(&self) -> Option<Digest> {
        self.to
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn blob(n: u32) -> Wanted {
        Wanted { digest: Digest::of(&n.to_be_bytes()), size: u64::from(n), needed: true }
    }

    #[test]
    fn parts_cover_everything_once_and_stay_small_s37() {
        let (all, cap) = (1000, 64);
        let mut from = None;
        let mut met: BTreeMap<Digest, u32> = BTreeMap::new();
        for parts in 1.. {
            let mut window = Window::with_cap(from, cap);
            for n in (0..all).chain(0..all / 2) {
                window.want(blob(n));
                assert!(window.wanted.len() <= 2 * cap);
            }
            window.close();
            assert!(window.wanted.len() <= cap);
            for n in 0..all {
                let Wanted { digest, size, .. } = blob(n);
                assert!(window.see(&Found::Blob { digest, size, doubt: None }));
            }
            for (wanted, seen) in window.all() {
                assert_eq!(seen, Seen::Good);
                *met.entry(wanted.digest).or_default() += 1;
            }
            from = window.next();
            if from.is_none() {
                assert!(parts >= all as usize / cap, "{parts}");
                break;
            }
        }
        assert!(met.len() == all as usize && met.values().all(|times| *times == 1));
    }

    #[test]
    fn what_is_found_is_compared_with_what_is_wanted() {
        let mut window = Window::with_cap(None, 8);
        let [good, short, absent, odd] = [1, 2, 3, 4].map(blob);
        for wanted in [good, short, absent, odd, good] {
            window.want(wanted);
        }
        window.close();
        let found = |of: Wanted, size, doubt| Found::Blob { digest: of.digest, size, doubt };
        assert!(window.see(&found(good, 1, None)));
        assert!(window.see(&found(short, 1, None)));
        assert!(window.see(&found(odd, 4, Some("is a symbolic link"))));
        assert!(!window.see(&found(blob(5), 5, None)));
        let seen: BTreeMap<Digest, Seen> = window.all().map(|(wanted, seen)| (wanted.digest, seen)).collect();
        assert_eq!(seen[&good.digest], Seen::Good);
        assert_eq!(seen[&short.digest], Seen::Size(1));
        assert_eq!(seen[&absent.digest], Seen::Not);
        assert_eq!(seen[&odd.digest], Seen::Doubt("is a symbolic link"));
    }
}
