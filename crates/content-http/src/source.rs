//! Where generations and blobs come from.

use std::fs::File;
use std::path::Path;

use blob_store::StoreError;
use blob_store::reader::{BlobFiles, RingReader};
use model::{Digest, Generation, RingName};

/// What a source answers when it cannot.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// A generation and the digest of its file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the ring serves.
    pub generation: Generation,
    /// The digest of the generation's file.
    pub digest: Digest,
}

/// Reads generation files and blobs; blocking, and never writes.
pub trait Source: Send + Sync + 'static {
    /// The rings that exist.
    ///
    /// # Errors
    /// When that cannot be told now.
    fn rings(&self) -> Result<Vec<RingName>, SourceError>;

    /// The digest of a ring's `current`: another one whenever it moves; none while there is none. Cheap: it is asked twice a
    /// second, and always before [`Source::load`].
    ///
    /// # Errors
    /// When that cannot be told now.
    fn pointer_digest(&self, ring: &RingName) -> Result<Option<Digest>, SourceError>;

    /// What a ring serves; none while nothing was published.
    ///
    /// # Errors
    /// When it cannot be read or does not decode.
    fn load(&self, ring: &RingName) -> Result<Option<Loaded>, SourceError>;

    /// Opens a blob after checking that it is a regular file of this size that nobody else can change,
    /// following no link.
    ///
    /// # Errors
    /// When there is no such blob, or it is not that.
    fn open(&self, digest: &Digest, size: u64) -> Result<File, SourceError>;
}

/// A data folder as the content side reads it: a read-only mount and another owner are fine.
#[derive(Clone, Debug)]
pub struct DataFolder {
    rings: RingReader,
    blobs: BlobFiles,
}

impl DataFolder {
    /// Reads the data folder at `path`.
    ///
    /// # Errors
    /// [`StoreError`] when it is not there, is a link, or can be written by others than its owner.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { rings: RingReader::open(path)?, blobs: BlobFiles::open(path)? })
    }
}

impl Source for DataFolder {
    fn rings(&self) -> Result<Vec<RingName>, SourceError> {
        Ok(self.rings.rings()?)
    }

    fn pointer_digest(&self, ring: &RingName) -> Result<Option<Digest>, SourceError> {
        Ok(self.rings.current_mark(ring).map(|pointer| pointer.digest()))
    }

    fn load(&self, ring: &RingName) -> Result<Option<Loaded>, SourceError> {
        let current = self.rings.load(ring)?;
        Ok(current.map(|current| Loaded { generation: current.generation, digest: current.digest }))
    }

    fn open(&self, digest: &Digest, size: u64) -> Result<File, SourceError> {
        Ok(self.blobs.open_blob(*digest, size)?)
    }
}
