//! What a run did to a tree.

use model::{Digest, Reason};
use serde::Serialize;

/// The most names of somebody else's that are told one by one.
const TOLD: usize = 100;

/// What a run did to a tree, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The generation that the folder is to show.
    pub generation: u64,
    /// Files that were put there, for new content or because they were missing.
    pub put: u64,
    /// Files that were there with other bytes, and were replaced.
    pub replaced: u64,
    /// Files that were replaced, or put back, although nothing new was published: they had been altered or removed.
    pub repaired: u64,
    /// What is missing or has other bytes, new content or not, as far as it is told one by one.
    pub named: Vec<String>,
    /// What of it had been altered or removed.
    pub altered: Vec<String>,
    /// Files that were right and were not ours yet.
    pub taken_over: u64,
    /// Files that were let go.
    pub removed: u64,
    /// Folders whose mode kept others out of them, and was set again.
    pub opened: u64,
    /// Bytes that were written; what shares its bytes with the store is not among them.
    pub bytes_written: u64,
    /// What somebody else put there, as far as it is told one by one; it is left alone.
    pub foreign: Vec<String>,
    /// How many such things there are.
    pub foreign_count: u64,
    /// Folders that are not what they should be.
    pub failed: Vec<Failed>,
    /// Of those that failed, the blob that could not be used, as far as it was one: who keeps the store looks into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<Digest>,
}

/// A folder that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Which, below the tree's root.
    pub folder: String,
    /// Why.
    pub reason: Reason,
    /// On what, in words.
    pub detail: String,
}

impl Report {
    /// Whether the folder is what the generation says.
    pub fn is_whole(&self) -> bool {
        self.failed.is_empty()
    }

    /// Whether anything was done, or is to be done.
    pub fn changes(&self) -> u64 {
        self.put + self.replaced + self.removed + self.opened
    }

    pub(crate) fn name(&mut self, paths: impl Iterator<Item = String>) {
        let room = TOLD.saturating_sub(self.named.len());
        self.named.extend(paths.take(room));
    }

    pub(crate) fn name_altered(&mut self, paths: impl Iterator<Item = String>) {
        let room = TOLD.saturating_sub(self.altered.len());
        self.altered.extend(paths.take(room));
    }

    pub(crate) fn tell_foreign(&mut self, path: impl FnOnce() -> String) {
        self.foreign_count += 1;
        if self.foreign.len() < TOLD {
            self.foreign.push(path());
        }
    }
}
