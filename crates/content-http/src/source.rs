//! Where generations and blobs come from.

use std::fs::File;

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

    /// Bytes that change whenever a ring's `current` does; none while there is none. Cheap: it is asked twice
    /// a second.
    ///
    /// # Errors
    /// When that cannot be told now.
    fn mark(&self, ring: &RingName) -> Result<Option<Vec<u8>>, SourceError>;

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
