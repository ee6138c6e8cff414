//! The data folder as the content side of a `run` reads it: rings are followed only while the folder, and the catalog in
//! it, are those that `run` works on.
//!
//! What stands in their place may be another site's, or may have been begun anew, so that what was rejected is published
//! in it again. Until `run` works on it, what was served is served on; and as another may have come there a moment ago, it is
//! looked once more before anything new is taken. Blobs are opened wherever they lie: each is proven by its digest.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use content_http::{Loaded, Source, SourceError};
use model::{Digest, RingName};

/// Why no ring is loaded.
const NOT_OURS: &str = "the data folder, or the catalog in it, is not the one that `waystation run` works on";

/// Whether the source is in place.
pub(crate) trait InPlace: Send + Sync + 'static {
    /// As far as is known.
    fn is_known(&self) -> bool;
    /// By a look at this moment.
    fn look(&self) -> bool;
}

/// A source whose rings are followed while it is in place.
pub(crate) struct Followed<S, P> {
    source: S,
    in_place: P,
    seen: Mutex<Seen>,
}

/// What was seen last while it was in place: while it is not, nothing moves.
#[derive(Default)]
struct Seen {
    rings: Vec<RingName>,
    pointers: BTreeMap<RingName, Option<Digest>>,
}

impl<S, P: InPlace> Followed<S, P> {
    /// Follows this source while `in_place`.
    pub(crate) fn new(source: S, in_place: P) -> Self {
        Self { source, in_place, seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is read from it, where it is in place before and after.
    fn read<T>(&self, read: impl FnOnce(&S) -> Result<T, SourceError>) -> Option<Result<T, SourceError>> {
        if !self.in_place.is_known() {
            return None;
        }
        let found = read(&self.source);
        self.in_place.is_known().then_some(found)
    }
}

impl<S: Source, P: InPlace> Source for Followed<S, P> {
    fn rings(&self) -> Result<Vec<RingName>, SourceError> {
        match self.read(|source| source.rings()) {
            Some(found) => {
                let found = found?;
                self.seen().rings.clone_from(&found);
                Ok(found)
            }
            None => Ok(self.seen().rings.clone()),
        }
    }

    fn pointer_digest(&self, ring: &RingName) -> Result<Option<Digest>, SourceError> {
        match self.read(|source| source.pointer_digest(ring)) {
            Some(found) => {
                let found = found?;
                let before = self.seen().pointers.get(ring).copied();
                if before != Some(found) && !self.in_place.look() {
                    return Ok(before.flatten());
                }
                self.seen().pointers.insert(ring.clone(), found);
                Ok(found)
            }
            None => Ok(self.seen().pointers.get(ring).copied().flatten()),
        }
    }

    fn load(&self, ring: &RingName) -> Result<Option<Loaded>, SourceError> {
        let found = self.read(|source| source.load(ring));
        found.filter(|_| self.in_place.look()).unwrap_or_else(|| Err(NOT_OURS.into()))
    }

    fn open(&self, digest: &Digest, size: u64) -> Result<File, SourceError> {
        self.source.open(digest, size)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

    use super::*;

    /// A pointer that moves whenever it is told to.
    struct Moving(Arc<AtomicU8>);

    impl Source for Moving {
        fn rings(&self) -> Result<Vec<RingName>, SourceError> {
            let rings = ["broad", "canary"].iter().take(usize::from(self.0.load(Ordering::SeqCst)));
            Ok(rings.map(|name| name.parse().unwrap()).collect())
        }

        fn pointer_digest(&self, _: &RingName) -> Result<Option<Digest>, SourceError> {
            Ok(Some(Digest::of(&[self.0.load(Ordering::SeqCst)])))
        }

        fn load(&self, _: &RingName) -> Result<Option<Loaded>, SourceError> {
            Ok(None)
        }

        fn open(&self, _: &Digest, _: u64) -> Result<File, SourceError> {
            Ok(File::open("/dev/null")?)
        }
    }

    /// Whether it is in place, as far as is known, and in truth.
    struct Place(Arc<AtomicBool>, Arc<AtomicBool>);

    impl InPlace for Place {
        fn is_known(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }

        fn look(&self) -> bool {
            self.0.store(self.1.load(Ordering::SeqCst), Ordering::SeqCst);
            self.is_known()
        }
    }

    #[test]
    fn nothing_moves_while_another_folder_stands_there_s42() {
        let (moved, known) = (Arc::new(AtomicU8::new(1)), Arc::new(AtomicBool::new(true)));
        let ours = Arc::new(AtomicBool::new(true));
        let followed = Followed::new(Moving(Arc::clone(&moved)), Place(Arc::clone(&known), Arc::clone(&ours)));
        let ring = RingName::broad();
        let looks = || (followed.rings().unwrap().len(), followed.pointer_digest(&ring).unwrap());
        assert_eq!(looks(), (1, Some(Digest::of(&[1]))));
        assert!(followed.load(&ring).is_ok());
        // Another came a moment ago, and nobody has seen it yet.
        ours.store(false, Ordering::SeqCst);
        moved.store(2, Ordering::SeqCst);
        assert!(followed.load(&ring).is_err());
        known.store(true, Ordering::SeqCst);
        assert_eq!(followed.pointer_digest(&ring).unwrap(), Some(Digest::of(&[1])));
        assert_eq!(looks(), (1, Some(Digest::of(&[1]))));
        assert!(followed.load(&ring).is_err());
        assert!(followed.open(&Digest::of(b"x"), 1).is_ok(), "a blob is proven by its digest, wherever it lies");
        ours.store(true, Ordering::SeqCst);
        known.store(true, Ordering::SeqCst);
        assert_eq!(looks(), (2, Some(Digest::of(&[2]))));
    }
}
