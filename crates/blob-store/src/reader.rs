//! What the content side reads: blocking, without a runtime, from a folder that may be mounted read-only and
//! belong to another user.
//!
//! Nothing is kept open between calls. A data folder that is restored, or mounted later, is simply seen.

use std::fs::File;
use std::path::{Path, PathBuf};

use model::{Digest, RingName};

use crate::data::{Access, DataFolder};
use crate::files::Blobs;
use crate::rings::Rings;
use crate::{Current, StoreError};

/// Reads rings.
#[derive(Clone, Debug)]
pub struct RingReader {
    data_dir: PathBuf,
}

/// What a ring's pointer looked like: two marks differ when it moved in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(Digest);

impl Mark {
    /// The digest of the pointer's bytes.
    pub fn digest(self) -> Digest {
        self.0
    }
}

impl RingReader {
    /// Reads the rings of a data folder.
    ///
    /// # Errors
    /// [`StoreError`] when the folder is not there, is a link, or can be written by others than its owner.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        DataFolder::open(data_dir, Access::ReadOnly)?;
        Ok(Self { data_dir: data_dir.to_owned() })
    }

    fn now(&self) -> Result<Rings, StoreError> {
        Ok(Rings::new(DataFolder::open(&self.data_dir, Access::ReadOnly)?))
    }

    /// The rings that have a folder, in order of name.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be listed: keep what you have.
    pub fn rings(&self) -> Result<Vec<RingName>, StoreError> {
        self.now()?.names()
    }

    /// What the ring's pointer looks like now; nothing when it cannot be read. Cheap: a small file is opened,
    /// read and closed.
    pub fn current_mark(&self, ring: &RingName) -> Option<Mark> {
        let bytes = self.now().ok()?.pointer_bytes(ring).ok()??;
        Some(Mark(Digest::of(&bytes)))
    }

    /// What the ring serves, as [`crate::RingStore::current`] has it. Take the mark first, then load: a
    /// pointer that moves in between is then seen the next time.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read or no generation is whole: keep what you have.
    pub fn load(&self, ring: &RingName) -> Result<Option<Current>, StoreError> {
        self.now()?.current(ring)
    }
}

/// Opens blobs to serve them.
#[derive(Clone, Debug)]
pub struct BlobFiles {
    data_dir: PathBuf,
}

impl BlobFiles {
    /// Opens blobs of a data folder.
    ///
    /// # Errors
    /// As [`RingReader::open`].
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        DataFolder::open(data_dir, Access::ReadOnly)?;
        Ok(Self { data_dir: data_dir.to_owned() })
    }

    /// Opens a blob: a regular file of the right size that only its owner can write, reached without links.
    ///
    /// # Errors
    /// [`StoreError`] when it is not there, has another size, or is unsafe.
    pub fn open_blob(&self, digest: Digest, size: u64) -> Result<File, StoreError> {
        let blobs = Blobs::new(DataFolder::open(&self.data_dir, Access::ReadOnly)?);
        let path = crate::files::blob_path(digest);
        match blobs.open(digest)? {
            Some((file, actual)) if actual == size => Ok(file),
            Some(_) => Err(StoreError::Unsafe { path, what: "does not have the size that its generation names" }),
            None => Err(StoreError::Io { act: "open", path, source: std::io::ErrorKind::NotFound.into() }),
        }
    }
}
