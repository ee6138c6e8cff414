//! The bytes behind routes: shared between routes, rings and generations, small ones kept in memory.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use model::{Digest, Hasher};

use crate::identity::Identity;
use crate::{Source, SourceError};

/// Bodies up to this size are sent together with their head, from memory where there is room.
pub(crate) const SMALL: u64 = 16 * 1024;
/// Larger bodies are opened anew for each download, and are too large to be proven on the way.
pub(crate) const BULK: u64 = 1024 * 1024;
/// How much is read at once to prove a file.
const READ: usize = 64 * 1024;

const OTHER_BYTES: &str = "its bytes are not those of its name";

/// One blob that at least one route names.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Counts up whenever it breaks and whenever it heals: odd while it is broken.
    state: AtomicU32,
    kept: OnceLock<Kept>,
    /// The file whose bytes were last proven.
    proven: Mutex<Option<Identity>>,
    budget: Arc<Budget>,
}

/// A small body, from memory or just read.
pub(crate) enum SmallBody<'a> {
    Kept(&'a [u8]),
    Read(Vec<u8>),
}

impl SmallBody<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes,
            Self::Read(bytes) => bytes,
        }
    }
}

impl Blob {
    pub(crate) fn is_small(&self) -> bool {
        self.size <= SMALL
    }

    /// The epoch of its health; none while it cannot be served. What was opened in another epoch is not used.
    pub(crate) fn epoch(&self) -> Option<u32> {
        let state = self.state.load(Ordering::Acquire);
        state.is_multiple_of(2).then_some(state)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.epoch().is_none()
    }

    /// Marks it as broken, unless it is, or is no longer what was seen at `epoch`.
    pub(crate) fn breaks(&self, epoch: u32) -> bool {
        let broken = epoch.wrapping_add(1);
        let news = !broken.is_multiple_of(2)
            && self.state.compare_exchange(epoch, broken, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if news {
            self.remember(None);
        }
        news
    }

    /// Marks it as whole.
    pub(crate) fn heals(&self) {
        let next = |state: u32| (!state.is_multiple_of(2)).then(|| state.wrapping_add(1));
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next);
    }

    /// Its file, checked, and proven if need be.
    pub(crate) fn open(&self, source: &dyn Source) -> Result<(File, Identity), SourceError> {
        let file = source.open(&self.digest, self.size)?;
        let identity = Identity::of(&file)?;
        self.prove(&file, identity)?;
        Ok((file, identity))
    }

    /// Reads the file, unless it was proven as it is or is too large for that, and compares the digest. `identity`
    /// was taken before, so that no later change goes unseen.
    pub(crate) fn prove(&self, file: &File, identity: Identity) -> Result<(), SourceError> {
        if self.size > BULK || *self.proven.lock().unwrap_or_else(PoisonError::into_inner) == Some(identity) {
            return Ok(());
        }
        let (mut hasher, mut buffer) = (Hasher::new(), vec![0; READ]);
        // Not past its size, however fast it grows.
        while hasher.bytes() < self.size {
            let read = file.read_at(&mut buffer, hasher.bytes())?;
            if read == 0 {
                break;
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        if hasher.finish() != self.digest {
            return Err(OTHER_BYTES.into());
        }
        self.remember(Some(identity));
        Ok(())
    }

    fn remember(&self, proven: Option<Identity>) {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = proven;
    }

    /// The whole body of a small blob. Its digest is checked when it is read.
    pub(crate) fn small(&self, source: &dyn Source) -> Result<SmallBody<'_>, SourceError> {
        if let Some(kept) = self.kept.get() {
            return Ok(SmallBody::Kept(&kept.bytes));
        }
        let file = source.open(&self.digest, self.size)?;
        let mut bytes = vec![0; usize::try_from(self.size)?];
        file.read_exact_at(&mut bytes, 0)?;
        if Digest::of(&bytes) != self.digest {
            return Err(OTHER_BYTES.into());
        }
        match Kept::new(&self.budget, bytes) {
            Ok(kept) => Ok(SmallBody::Kept(&self.kept.get_or_init(|| kept).bytes)),
            Err(bytes) => Ok(SmallBody::Read(bytes)),
        }
    }
}

/// Bytes that count against the budget while they live.
#[derive(Debug)]
struct Kept {
    bytes: Box<[u8]>,
    budget: Arc<Budget>,
}

impl Kept {
    fn new(budget: &Arc<Budget>, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        if budget.take(bytes.len()) {
            Ok(Self { bytes: bytes.into_boxed_slice(), budget: Arc::clone(budget) })
        } else {
            Err(bytes)
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes.len(), Ordering::Relaxed);
    }
}

/// How much memory small bodies may still take.
#[derive(Debug)]
struct Budget {
    left: AtomicUsize,
}

impl Budget {
    fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

/// Gives the same [`Blob`] for the same digest as long as any route needs it.
#[derive(Debug)]
pub(crate) struct Blobs {
    known: HashMap<Digest, Weak<Blob>>,
    budget: Arc<Budget>,
}

impl Blobs {
    pub(crate) fn new(small_file_memory: usize) -> Self {
        Self { known: HashMap::new(), budget: Arc::new(Budget { left: AtomicUsize::new(small_file_memory) }) }
    }

    /// The blob if some route has it already: it opened once, or is known to be broken.
    pub(crate) fn known(&self, digest: &Digest, size: u64) -> Option<Arc<Blob>> {
        self.known.get(digest).and_then(Weak::upgrade).filter(|blob| blob.size == size)
    }

    /// Takes in a blob after its file was opened and checked, or found broken.
    pub(crate) fn add(&mut self, digest: Digest, size: u64) -> Arc<Blob> {
        let (state, kept, budget) = (AtomicU32::new(0), OnceLock::new(), Arc::clone(&self.budget));
        let blob = Arc::new(Blob { digest, size, state, kept, proven: Mutex::default(), budget });
        self.known.insert(digest, Arc::downgrade(&blob));
        blob
    }

    /// Forgets blobs that no route needs any more.
    pub(crate) fn tidy(&mut self) {
        self.known.retain(|_, blob| blob.strong_count() > 0);
    }
}
