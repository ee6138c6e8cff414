//! Where one download's bytes go: hashed, and written to a file that exists only once it must. Everything here
//! blocks.

use std::sync::Arc;

use bytes::Bytes;
use model::{Digest, Hasher, Held};
use platform::fs::{Mode, flush};

use super::blobs::Blobs;
use super::partial::{Draft, Left};
use crate::data::io_at;
use crate::{Expected, PartialKey, StoreError};

/// A download's state. Small downloads never have a draft before they are finished: they cost one file, two
/// flushes and a rename.
pub(super) struct Sink {
    blobs: Arc<Blobs>,
    /// Under which key the bytes are kept for a resume.
    key: Option<PartialKey>,
    draft: Option<Draft>,
    hasher: Hasher,
    tag: String,
    failed: bool,
}

impl Sink {
    /// A new download, or what is left of an earlier one.
    pub(super) fn begin(blobs: Arc<Blobs>, key: Option<PartialKey>) -> Result<Self, StoreError> {
        let partials = blobs.partials("write to")?;
        let (key, left) = match key {
            None => (None, Left::Nothing),
            // Two writers of one download: the second keeps its bytes to itself.
            Some(key) => match partials.left(key)? {
                Left::Busy => (None, Left::Nothing),
                left => (Some(key), left),
            },
        };
        let fresh = Self { blobs, key, draft: None, hasher: Hasher::new(), tag: String::new(), failed: false };
        Ok(match left {
            Left::Bytes(found) => Self { draft: Some(found.draft), hasher: found.hasher, tag: found.tag, ..fresh },
            Left::Nothing | Left::Busy => fresh,
        })
    }

    pub(super) fn written(&self) -> u64 {
        self.hasher.bytes()
    }

    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    pub(super) fn is_resumable(&self) -> bool {
        self.key.is_some() && !self.failed
    }

    pub(super) fn restart(&mut self, tag: &str) -> Result<(), StoreError> {
        self.hasher = Hasher::new();
        tag.clone_into(&mut self.tag);
        self.failed = false;
        match &mut self.draft {
            None => Ok(()),
            Some(draft) => draft.restart(tag).inspect_err(|_| self.abandon()),
        }
    }

    /// Takes the next bytes, in a file that can be resumed where there is a key.
    pub(super) fn take(&mut self, chunks: &[Bytes]) -> Result<(), StoreError> {
        if chunks.is_empty() {
            return Ok(());
        }
        self.usable()?;
        if self.draft.is_none()
            && let Some(key) = self.key
        {
            self.draft = self.blobs.partials("write to")?.claim(key, &self.tag)?;
            if self.draft.is_none() {
                self.key = None;
            }
        }
        self.append(chunks)
    }

    /// Takes the last bytes, proves all, and gives them their name.
    pub(super) fn finish(&mut self, chunks: &[Bytes], expected: Expected) -> Result<Held, StoreError> {
        self.usable()?;
        self.append(chunks)?;
        let size = self.hasher.bytes();
        let actual = std::mem::take(&mut self.hasher).finish();
        let fits = expected.digest.is_none_or(|digest| digest == actual) && expected.size.is_none_or(|n| n == size);
        if !fits {
            self.abandon();
            return Err(StoreError::Mismatch { expected, actual, size });
        }
        self.keep(actual).inspect_err(|_| self.abandon())?;
        Ok(Held::attest(actual, size))
    }

    /// Ends without finishing: takes the last bytes where they can be resumed.
    pub(super) fn leave(&mut self, chunks: &[Bytes]) {
        if self.is_resumable() {
            let _what_is_lost_is_fetched_again = self.take(chunks);
        }
        if let Some(draft) = self.draft.take() {
            draft.leave();
        }
        self.failed = true;
    }

    fn usable(&self) -> Result<(), StoreError> {
        if !self.failed {
            return Ok(());
        }
        let gone = std::io::Error::other("an earlier write to it failed, and what was written is not to be trusted");
        Err(io_at("write", "partial")(gone))
    }

    fn append(&mut self, chunks: &[Bytes]) -> Result<(), StoreError> {
        let mut draft = match self.draft.take() {
            Some(draft) => draft,
            None => self.blobs.partials("write to")?.private()?,
        };
        let written = chunks.iter().try_for_each(|chunk| {
            self.hasher.update(chunk);
            draft.write(chunk)
        });
        self.draft = Some(draft);
        written.inspect_err(|_| self.abandon())
    }

    fn keep(&mut self, digest: Digest) -> Result<(), StoreError> {
        let Some(draft) = &self.draft else { return self.usable() };
        Mode::FILE.apply(&draft.file).map_err(io_at("set the mode of", draft.path()))?;
        // A flush that failed is not tried again: the system may have dropped the pages and say yes next time.
        flush(&draft.file).map_err(io_at("flush", draft.path()))?;
        self.blobs.keep(&draft.folder, &draft.name, digest)?;
        if let Some(draft) = self.draft.take() {
            // The blob is kept; a tag without its bytes is tidied later.
            let _ = draft.forget_tag();
        }
        self.failed = true;
        Ok(())
    }

    /// Lets go of a file whose bytes are wrong or may not be what we wrote.
    fn abandon(&mut self) {
        self.failed = true;
        if let Some(draft) = self.draft.take() {
            let _first_error_is_told = draft.discard();
        }
    }
}
