//! What is known of a file after it was fetched.

use model::{Digest, FeedId};

use crate::finding::{FeedSeen, Finding};
use crate::wire::Head;

/// Bytes kept of a file's beginning and end.
pub(crate) const EDGE: usize = 64;

/// What a file is to the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Elastic's manifest: it is polled, and its ETag decides.
    Manifest,
    /// What a manifest names.
    Artifact,
    /// Defender's archive: it is polled too.
    Archive,
    /// The manifest.json beside an archive.
    Companion,
}

impl Role {
    /// Whether other bytes come under the same address by and by.
    pub(crate) const fn changes(self) -> bool {
        !matches!(self, Self::Artifact)
    }
}

/// A file, as it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) route: String,
    pub(crate) role: Role,
    pub(crate) head: Head,
    pub(crate) size: u64,
    /// None where it was not fetched whole.
    pub(crate) digest: Option<Digest>,
    pub(crate) first: Vec<u8>,
    /// Empty where it was not fetched whole.
    pub(crate) last: Vec<u8>,
}

/// What walking a feed brought.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) feed: FeedId,
    pub(crate) seen: FeedSeen,
    /// What the vendor's module made of it.
    pub(crate) version: Option<model::VendorVersion>,
    pub(crate) files: Vec<Facts>,
    pub(crate) findings: Vec<Finding>,
}

impl Played {
    pub(crate) fn file(&self, role: Role) -> Option<&Facts> {
        self.files.iter().find(|facts| facts.role == role)
    }
}

/// Takes a stream's first and last bytes along.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edges {
    pub(crate) first: Vec<u8>,
    pub(crate) last: Vec<u8>,
}

impl Edges {
    pub(crate) fn take(&mut self, piece: &[u8]) {
        let room = EDGE.saturating_sub(self.first.len());
        self.first.extend(piece.iter().take(room));
        let tail = piece.get(piece.len().saturating_sub(EDGE)..).unwrap_or_default();
        self.last.extend_from_slice(tail);
        let over = self.last.len().saturating_sub(EDGE);
        self.last.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn edges_are_those_of_the_whole(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..90), 0..6)) {
            let mut edges = Edges::default();
            pieces.iter().for_each(|piece| edges.take(piece));
            let whole = pieces.concat();
            prop_assert_eq!(&edges.first[..], &whole[..whole.len().min(EDGE)]);
            prop_assert_eq!(&edges.last[..], &whole[whole.len().saturating_sub(EDGE)..]);
        }
    }
}
