//! Whether the files of a release are held: what is lost is told apart from what cannot be looked at just now.

use blob_store::StoreError;
use model::{Digest, Note, Reason, Release, ReleaseItem};

use crate::Engine;
use crate::feed_run::note;

impl Engine {
    /// The file of a release that is not held as it should be, one that is lost before any other.
    pub(crate) async fn missing(&self, release: &Release) -> Option<Note> {
        match self.worst_missing(release).await {
            Ok(missing) => missing,
            Err(error) => Some(note(error.reason(), model::error_chain(&error))),
        }
    }

    /// Whether every file of a release is held as it should be.
    pub(crate) async fn is_held(&self, release: &Release) -> Result<bool, StoreError> {
        Ok(self.worst_missing(release).await?.is_none())
    }

    /// Whether nothing of a release is lost: bytes that an owner or a mode lets somebody else change are there, and are
    /// served again by themselves once that is mended.
    pub(crate) async fn keeps_seat(&self, release: &Release) -> Result<bool, StoreError> {
        Ok(!self.worst_missing(release).await?.is_some_and(|missing| is_lost(&missing)))
    }

    pub(crate) async fn worst_missing(&self, release: &Release) -> Result<Option<Note>, StoreError> {
        let digests: Vec<Digest> = release.items.iter().map(|item| item.digest).collect();
        let found = self.ports.blobs.find_all(&digests).await?;
        let is_good = |item: &ReleaseItem, held: Option<model::Held>| held.is_some_and(|held| held.size() == item.size);
        let mut worst = None;
        for (item, _) in release.items.iter().zip(found).filter(|(item, held)| !is_good(item, *held)) {
            let is = format!("{}: blob {} is not held as it should be", item.route, item.digest);
            // The look at all of them does not say why: an error of the store is no loss.
            let missing = match self.ports.blobs.find(item.digest).await {
                Ok(held) if is_good(item, held) => continue,
                Ok(_) => note(Reason::BlobMissing, is),
                Err(error) => {
                    let reason = if error.is_damage() { Reason::BlobMissing } else { error.reason() };
                    note(reason, format!("{is}: {}", model::error_chain(&error)))
                }
            };
            if is_lost(&missing) {
                return Ok(Some(missing));
            }
            worst.get_or_insert(missing);
        }
        Ok(worst)
    }
}

/// Whether what is missing is gone, or is no file of ours: anything else may be whole, and comes back by itself.
pub(crate) fn is_lost(missing: &Note) -> bool {
    missing.reason == Reason::BlobMissing
}
