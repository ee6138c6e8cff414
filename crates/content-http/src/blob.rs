//! The bytes behind routes: shared between routes, rings and generations, small ones kept in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use model::{Digest, Hasher};

use crate::identity::Identity;
use crate::proof::{Haste, Proofs, Unproven};
use crate::{Source, SourceError};

/// Bodies up to this size are sent together with their head, from memory where there is room.
pub(crate) const SMALL: u64 = 16 * 1024;
/// Larger bodies are opened anew for each download, and are too large to be proven on the way: see [`Proofs`].
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
    /// The file that is served.
    vouched: Mutex<Option<Vouched>>,
    /// The file that was last found to hold other bytes.
    condemned: Mutex<Option<Identity>>,
    budget: Arc<Budget>,
    proofs: Arc<Proofs>,
}

/// The file of a blob as it was when its bytes were last proven, or, of a large one, first seen.
#[derive(Clone, Copy, Debug)]
struct Vouched {
    file: Identity,
    proven: bool,
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

    pub(crate) fn is_large(&self) -> bool {
        self.size > BULK
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
        !broken.is_multiple_of(2)
            && self.state.compare_exchange(epoch, broken, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Trusts no file of it before it was read anew.
    pub(crate) fn doubt(&self) {
        self.vouch(None);
    }

    /// Marks it as whole.
    pub(crate) fn heals(&self) {
        let next = |state: u32| (!state.is_multiple_of(2)).then(|| state.wrapping_add(1));
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next);
    }

    /// Its file, checked, and proven if need be; a large one only while it is the file whose bytes were proven, or was
    /// seen first.
    pub(crate) fn open(self: &Arc<Self>, source: &dyn Source) -> Result<(File, Identity), SourceError> {
        let file = source.open(&self.digest, self.size)?;
        let identity = Identity::of(&file)?;
        if !self.is_large() {
            self.prove(&file, identity, |_| Ok(()))?;
        } else if !self.stands_for(identity) {
            return Err(Unproven.into());
        }
        Ok((file, identity))
    }

    /// Whether a large file may be served now. One that only got or lost a name, or got another owner or other rights, is,
    /// and is read anew meanwhile.
    pub(crate) fn stands_for(self: &Arc<Self>, found: Identity) -> bool {
        let mut vouched = self.vouched();
        let Some(Vouched { file, .. }) = *vouched else { return false };
        if file == found {
            return true;
        }
        let explained = found.is_explained_by_what_is_around(&file);
        if explained {
            *vouched = Some(Vouched { file: found, proven: false });
            drop(vouched);
            self.proofs.ask(self, Haste::Calm);
        }
        explained
    }

    /// Takes the file of a large blob as it is when it is seen for the first time: it is served, and read meanwhile.
    pub(crate) fn first_seen(self: &Arc<Self>, file: &File) {
        if let (true, Ok(file)) = (self.is_large(), Identity::of(file)) {
            self.vouch(Some(Vouched { file, proven: false }));
            self.proofs.ask(self, Haste::Calm);
        }
    }

    /// Reads the file, unless it was proven as it is, and compares the digest. `identity` was taken before, so that no
    /// later change goes unseen; `step` hears of each advance, and may end the reading.
    pub(crate) fn prove(
        &self,
        file: &File,
        identity: Identity,
        mut step: impl FnMut(u64) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        if self.is_proven(identity) {
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
            step(read as u64)?;
        }
        if hasher.finish() != self.digest {
            *self.condemned() = Some(identity);
            return Err(OTHER_BYTES.into());
        }
        self.vouch(Some(Vouched { file: identity, proven: true }));
        Ok(())
    }

    /// Whether the bytes of this very file were proven.
    pub(crate) fn is_proven(&self, identity: Identity) -> bool {
        self.vouched().is_some_and(|vouched| vouched.proven && vouched.file == identity)
    }

    /// Whether a file that was opened before is left as it was then, and was not found to hold other bytes since.
    pub(crate) fn still_holds(&self, file: &File, then: &Identity) -> io::Result<bool> {
        Ok(Identity::of(file)?.holds_the_bytes_of(then) && *self.condemned() != Some(*then))
    }

    fn condemned(&self) -> MutexGuard<'_, Option<Identity>> {
        self.condemned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn vouched(&self) -> MutexGuard<'_, Option<Vouched>> {
        self.vouched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn vouch(&self, vouched: Option<Vouched>) {
        *self.vouched() = vouched;
    }

    /// Whether its bytes were proven as its file was then; a small or broken one is not waited for.
    pub(crate) fn is_settled(&self) -> bool {
        !self.is_large() || self.is_broken() || self.vouched().is_some_and(|vouched| vouched.proven)
    }

    /// Has its file read soon.
    pub(crate) fn settle_soon(self: &Arc<Self>) {
        self.proofs.ask(self, Haste::Urgent);
    }

    /// Whether its bytes are served from memory.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.get().is_some()
    }

    /// Looks whether the file of a blob was left alone; if not, reads it, or has it read soon where it is large.
    pub(crate) fn look_at_file(self: &Arc<Self>, source: &dyn Source) -> Result<(), SourceError> {
        let file = source.open(&self.digest, self.size)?;
        let found = Identity::of(&file)?;
        if self.is_large() {
            if !self.stands_for(found) {
                self.settle_soon();
            }
            return Ok(());
        }
        self.prove(&file, found, |_| Ok(()))
    }

    /// The whole body of a small blob. Its digest is checked when it is read.
    pub(crate) fn small(&self, source: &dyn Source) -> Result<SmallBody<'_>, SourceError> {
        if let Some(kept) = self.kept.get() {
            return Ok(SmallBody::Kept(&kept.bytes));
        }
        let file = source.open(&self.digest, self.size)?;
        let found = Identity::of(&file)?;
        let mut bytes = vec![0; usize::try_from(self.size)?];
        file.read_exact_at(&mut bytes, 0)?;
        if Digest::of(&bytes) != self.digest {
            return Err(OTHER_BYTES.into());
        }
        match Kept::new(&self.budget, bytes) {
            Ok(kept) => {
                self.vouch(Some(Vouched { file: found, proven: true }));
                Ok(SmallBody::Kept(&self.kept.get_or_init(|| kept).bytes))
            }
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
    proofs: Arc<Proofs>,
}

impl Blobs {
    pub(crate) fn new(small_file_memory: usize, proofs: Arc<Proofs>) -> Self {
        let budget = Arc::new(Budget { left: AtomicUsize::new(small_file_memory) });
        Self { known: HashMap::new(), budget, proofs }
    }

    /// The blob if some route has it already: it opened once, or is known to be broken.
    pub(crate) fn known(&self, digest: &Digest, size: u64) -> Option<Arc<Blob>> {
        self.known.get(digest).and_then(Weak::upgrade).filter(|blob| blob.size == size)
    }

    /// Takes in a blob after its file was opened and checked, or found broken.
    pub(crate) fn add(&mut self, digest: Digest, size: u64) -> Arc<Blob> {
        let (state, kept) = (AtomicU32::new(0), OnceLock::new());
        let (vouched, condemned) = (Mutex::default(), Mutex::default());
        let (budget, proofs) = (Arc::clone(&self.budget), Arc::clone(&self.proofs));
        let blob = Arc::new(Blob { digest, size, state, kept, vouched, condemned, budget, proofs });
        self.known.insert(digest, Arc::downgrade(&blob));
        blob
    }

    /// Forgets blobs that no route needs any more.
    pub(crate) fn tidy(&mut self) {
        self.known.retain(|_, blob| blob.strong_count() > 0);
    }
}
