//! The two ports.

use std::fmt;
use std::io::{Read, Seek};

use async_trait::async_trait;
use bytes::Bytes;
use model::{Digest, Generation, Held, Reason, RingName};

use crate::survey::{Found, PointerState, RingState};

/// Reads a blob; blocking.
pub trait BlobReader: Read + Seek + Send {}
impl<T: Read + Seek + Send> BlobReader for T {}

/// Names a download that may be resumed after a restart: the digest of what identifies it (for example the
/// expected digest, or the URL and validator).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartialKey(pub Digest);

/// What a blob's bytes must turn out to be before they are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Their digest, where known beforehand.
    pub digest: Option<Digest>,
    /// Their size, where known beforehand.
    pub size: Option<u64>,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.digest, self.size) {
            (Some(digest), Some(size)) => write!(f, "{digest} and {size}"),
            (Some(digest), None) => write!(f, "digest {digest}"),
            (None, Some(size)) => write!(f, "size {size}"),
            (None, None) => f.write_str("anything"),
        }
    }
}

/// What re-hashing a stored blob found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The bytes are what their name says.
    Good(Held),
    /// The bytes changed under us.
    Damaged {
        /// What they hash to now.
        actual: Digest,
        /// How many there are now.
        size: u64,
    },
    /// There is no such blob.
    Absent,
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An operation on a file failed.
    #[error("cannot {act} {path}")]
    Io {
        /// What was tried: `open`, `write`, `flush`, `rename`, …
        act: &'static str,
        /// On which file, relative to the data folder.
        path: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The bytes are not what was expected; they were not kept.
    #[error("bytes have digest {actual} and size {size}, expected {expected}")]
    Mismatch {
        /// What was expected.
        expected: Expected,
        /// What they hash to.
        actual: Digest,
        /// How many they are.
        size: u64,
    },
    /// A folder is a link, or a file or folder has an owner or mode that lets somebody else change it. Its bytes may be
    /// good, and are left where they are.
    #[error("{path} is unsafe: it {what}")]
    Unsafe {
        /// Which file, relative to the data folder.
        path: String,
        /// What is wrong with it, as the end of a sentence that begins with "it".
        what: &'static str,
    },
    /// A link, a pipe or a folder stands where a blob should be: no bytes of ours are lost with it.
    #[error("{path} is unsafe: it {what}")]
    NotAFile {
        /// Which blob, relative to the data folder.
        path: String,
        /// What stands there, as the end of a sentence that begins with "it".
        what: &'static str,
    },
    /// The folder of the blobs is not the one that was opened: it was renamed, replaced or unmounted. It says nothing of any
    /// blob in it, and nothing is written until it is back.
    #[error("{path} is gone, or another folder stands in its place: nothing is written until it is back")]
    Away {
        /// Which folder, relative to the data folder.
        path: String,
    },
    /// `current` moved since it was read: somebody else published.
    #[error("ring {ring} moved on to generation {found} in the meantime")]
    Conflict {
        /// The ring.
        ring: RingName,
        /// The generation that stands there now.
        found: u64,
    },
    /// A generation file or pointer does not decode.
    #[error("{path} is damaged")]
    Damaged {
        /// Which file, relative to the data folder.
        path: String,
        /// What is wrong with it.
        #[source]
        source: model::GenerationError,
    },
}

impl StoreError {
    /// Whether a blob that could not be read for this is damaged: it is not what it should be, or its disk cannot give
    /// it back. Otherwise the error says nothing about the bytes, which may be good: an owner or mode is mended by whoever
    /// changed it, and the vendor may not offer the bytes any more.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Io { source, .. } => platform::fs::says_bad_medium(source),
            Self::Mismatch { .. } | Self::NotAFile { .. } | Self::Damaged { .. } => true,
            Self::Conflict { .. } | Self::Unsafe { .. } | Self::Away { .. } => false,
        }
    }

    /// The reason code that reports carry.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Io { source, .. } => platform::fs::reason_of(source),
            Self::Unsafe { .. } | Self::NotAFile { .. } => Reason::UnsafeFile,
            Self::Away { .. } => Reason::FolderGone,
            Self::Mismatch { expected, size, .. } if expected.size.is_some_and(|said| said != *size) => {
                Reason::SizeMismatch
            }
            Self::Mismatch { .. } => Reason::HashMismatch,
            Self::Damaged { source, .. } if !source.is_newer() => Reason::GenerationDamaged,
            Self::Conflict { .. } | Self::Damaged { .. } => Reason::StoreFailed,
        }
    }
}

/// Takes the bytes of one blob. Dropping it before [`BlobWriter::finish`] keeps a resumable download's bytes
/// and removes any other's.
#[async_trait]
pub trait BlobWriter: Send {
    /// How many bytes were taken so far, resumed ones included.
    fn written(&self) -> u64;
    /// A text that was stored beside a resumed download (its validator), empty for a fresh one.
    fn tag(&self) -> &str;
    /// Begins again at byte 0, with another tag.
    async fn restart(&mut self, tag: &str) -> Result<(), StoreError>;
    /// Takes the next bytes.
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError>;
    /// Proves digest and size, makes the bytes durable, and makes them visible under their digest. On
    /// [`StoreError::Mismatch`] nothing is kept, not even for a resume.
    async fn finish(self: Box<Self>, expected: Expected) -> Result<Held, StoreError>;
}

/// Keeps bytes under the digest they were proven to have.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Begins to take bytes; with a key, goes on where an earlier writer with this key was dropped, even in
    /// another process.
    async fn begin(&self, resume: Option<PartialKey>) -> Result<Box<dyn BlobWriter>, StoreError>;
    /// Whether a blob is held, by looking at its file's type, owner and, where known, its size; not by reading.
    async fn find(&self, digest: Digest) -> Result<Option<Held>, StoreError>;
    /// Looks for many blobs at once. One that cannot be believed counts as not held.
    async fn find_all(&self, digests: &[Digest]) -> Result<Vec<Option<Held>>, StoreError> {
        let mut found = Vec::with_capacity(digests.len());
        for digest in digests {
            found.push(self.find(*digest).await.ok().flatten());
        }
        Ok(found)
    }
    /// Opens a blob for reading.
    async fn open(&self, digest: Digest) -> Result<Option<Box<dyn BlobReader>>, StoreError>;
    /// Reads a blob whole and compares its digest.
    async fn verify(&self, digest: Digest) -> Result<Verification, StoreError>;
    /// Moves a damaged blob out of reach, keeping its bytes for a look.
    async fn set_aside(&self, digest: Digest) -> Result<(), StoreError>;
    /// Lets a blob go. No error if there is none.
    async fn remove(&self, digest: Digest) -> Result<(), StoreError>;
    /// Visits every blob with its size, in no order, without holding the list in memory.
    async fn visit(&self, each: &mut (dyn FnMut(Digest, u64) + Send)) -> Result<(), StoreError>;
    /// The blobs whose digest begins with this byte, in no order, by name alone.
    async fn shard(&self, first: u8) -> Result<Vec<Digest>, StoreError> {
        let mut found = Vec::new();
        let mut each = |digest: Digest, _| {
            if digest.as_bytes().first() == Some(&first) {
                found.push(digest);
            }
        };
        self.visit(&mut each).await?;
        Ok(found)
    }
    /// Shows everything that lies in the store, blobs and all else, in no order and without holding the list in
    /// memory. What cannot be looked at is shown as [`Found::Unsafe`]. Changes nothing.
    async fn survey(&self, each: &mut (dyn FnMut(Found) + Send)) -> Result<(), StoreError>;
    /// Removes unfinished downloads not touched since `before`; returns the bytes freed.
    async fn tidy_partials(&self, before: model::Timestamp) -> Result<u64, StoreError>;
    /// Refuses where others can write the folders that blobs lie in: what can be told without looking at each blob.
    async fn check_folders(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Bytes free for us where blobs lie; none when that cannot be told.
    async fn free_bytes(&self) -> Result<Option<u64>, StoreError>;
}

/// A ring's present generation and the token that a compare-and-swap needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// What is served.
    pub generation: Generation,
    /// The digest of the generation's file.
    pub digest: Digest,
}

/// A generation that was made durable and is now what `current` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its number.
    pub number: u64,
    /// The digest of its file.
    pub digest: Digest,
}

/// Keeps each ring's generation files and its pointer.
#[async_trait]
pub trait RingStore: Send + Sync {
    /// What a ring serves. When the pointer or the file that it names is damaged or gone, the newest
    /// generation file that decodes is taken, and `None` only when there is none at all.
    async fn current(&self, ring: &RingName) -> Result<Option<Current>, StoreError>;
    /// Makes a generation's file durable without moving the pointer. Doing it twice is fine.
    async fn prepare(&self, generation: &Generation) -> Result<Digest, StoreError>;
    /// Moves the pointer to a prepared generation if it still stands at `expected`, durably.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it does not.
    async fn publish(&self, generation: &Generation, expected: Option<Digest>) -> Result<Published, StoreError>;
    /// Reads one earlier generation.
    async fn generation(&self, ring: &RingName, number: u64) -> Result<Option<Generation>, StoreError>;
    /// The numbers of all generation files of a ring, oldest first.
    async fn numbers(&self, ring: &RingName) -> Result<Vec<u64>, StoreError>;
    /// The rings that there are, in order of name.
    async fn rings(&self) -> Result<Vec<RingName>, StoreError>;
    /// Looks at all that a ring's folder holds, and changes nothing.
    async fn inspect(&self, ring: &RingName) -> Result<RingState, StoreError>;
    /// What a ring's pointer says.
    async fn pointer(&self, ring: &RingName) -> Result<PointerState, StoreError> {
        Ok(self.inspect(ring).await?.pointer)
    }
    /// Writes the pointer again, durably, when it does not name a whole generation while there is one: it then names
    /// what [`RingStore::current`] gave all along, whose number is returned. `None` when there is nothing to mend.
    async fn mend(&self, ring: &RingName) -> Result<Option<u64>, StoreError>;
    /// Writes the pointer and its folder's entries anew, durably, if the pointer stands at `digest`: for who cannot know
    /// whether the writer that moved it lived to flush it. `false` when it stands elsewhere.
    async fn confirm(&self, ring: &RingName, digest: Digest) -> Result<bool, StoreError>;
    /// Removes a generation file that `current` does not name.
    async fn remove(&self, ring: &RingName, number: u64) -> Result<(), StoreError>;
}
