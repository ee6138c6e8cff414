//! Follows every ring's `current` and swaps the index.
//!
//! # What is taken over
//! A generation whose file decodes is taken over at once when all its blobs open. When some do not:
//! - While the generation before is served and whole, it is served on: endpoints get one whole release or the one
//!   before. The newer one is tried again when its blobs are whole, and every few seconds.
//! - When nothing is served yet, or what is served has broken routes itself, the newer one is taken over, and its
//!   routes without bytes answer 503 until their blobs are whole. No other route suffers from them.
//!
//! Whether a large blob is whole is known once it was read to its end, which takes a thread of its own a moment: so long the
//! generation before is served on, where it is whole and the newer one would replace or drop anything of it. A poll pays
//! nothing for that.
//!
//! A generation whose file does not decode, and one older than what is served, is never taken over.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use model::{Digest, Note, Reason, RingName};

use crate::blob::{Blob, Blobs};
use crate::build::{Builder, Built};
use crate::damage::{CANNOT, Damage};
use crate::index::{RingIndex, Served, Snapshot};
use crate::kept::KeptFiles;
use crate::log::Losses;
use crate::stats::{Counters, RingStats, Trouble};
use crate::{Beyond, Source, SourceError};

/// How often `current` is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// After how many looks a refused generation is tried again though nothing moved, and certificates are looked at.
const SLOW_LOOKS: u32 = 6;
/// At how many files is looked then, whether anybody asks for them or not.
const FILES_BEHIND: usize = 256;
/// How many of those found bad at one look are named in the log.
const MOST_NAMED: usize = 8;

/// What wakes the watcher.
pub(crate) enum Wake {
    /// Something was published.
    Nudge,
    /// The server ends.
    Stop,
}

/// What the watcher tells the rest.
pub(crate) struct View {
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    looks: AtomicU64,
    refused: Mutex<HashMap<RingName, Note>>,
}

impl View {
    pub(crate) fn new(default_ring: &RingName) -> Self {
        let default = Arc::new(RingIndex::empty(default_ring.clone()));
        let snapshot = Snapshot { default, rings: HashMap::new() };
        Self {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            looks: AtomicU64::new(0),
            refused: Mutex::default(),
        }
    }

    /// Whether files of what the default ring serves are gone, and an older copy stands in their place; or whether it has
    /// nothing left but what is in memory. Whatever else is refused is no reason to send everybody away for one bad file.
    pub(crate) fn has_lost(&self) -> bool {
        let default = Arc::clone(&self.snapshot.load().default);
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = refused.get(&default.ring).map(|why| why.reason);
        default.served.as_ref().is_some_and(|served| match refused {
            Some(Reason::RingWentBack) => !served.is_whole(),
            Some(_) => served.has_no_file_left(),
            None => served.is_hollow(),
        })
    }

    /// How often rings were looked at.
    pub(crate) fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    pub(crate) fn ring_stats(&self) -> Vec<RingStats> {
        let snapshot = self.snapshot.load();
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rings: Vec<RingStats> = snapshot
            .rings
            .values()
            .map(|index| RingStats {
                ring: index.ring.clone(),
                generation: index.served.as_ref().map(|served| served.number),
                published: index.served.as_ref().map(|served| served.at),
                routes: index.served.as_ref().map_or(0, |served| served.routes.len()),
                broken: index.served.as_ref().map_or(0, Served::broken),
                refused: refused.get(&index.ring).cloned(),
            })
            .collect();
        rings.sort_by(|a, b| a.ring.cmp(&b.ring));
        rings
    }
}

/// The watcher's own state.
pub(crate) struct Watcher {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) view: Arc<View>,
    pub(crate) counters: Arc<Counters>,
    damage: Arc<Damage>,
    beyond: Option<Arc<dyn Beyond>>,
    default_ring: RingName,
    only: Vec<RingName>,
    blobs: Blobs,
    rings: HashMap<RingName, Followed>,
    looks: u32,
    /// At how many files was looked: the next look goes on there.
    behind: usize,
    listing_failed: bool,
}

#[derive(Default)]
struct Followed {
    /// The digest of the pointer that was last acted on, well or badly.
    pointer: Option<Digest>,
    index: Option<Arc<RingIndex>>,
    refused: Option<Note>,
    /// The broken blobs for which a generation is refused: kept, so that they are tried again.
    waits_for: Vec<Arc<Blob>>,
    /// The large blobs that are read before a generation is taken over.
    reads: Vec<Arc<Blob>>,
}

impl Followed {
    /// Whether what kept a generation back is repaired.
    fn mended(&self) -> bool {
        !self.waits_for.is_empty() && !self.waits_for.iter().any(|blob| blob.is_broken())
    }

    /// Whether everything was read that a generation waits for.
    fn is_read(&self) -> bool {
        !self.reads.is_empty() && self.reads.iter().all(|blob| blob.is_settled())
    }
}

/// Why a generation is not taken over.
enum NotTaken {
    /// Something is wrong with it.
    Refused { why: Note, waits_for: Vec<Arc<Blob>> },
    /// These are read first.
    Reads(Vec<Arc<Blob>>),
}

impl<E: Into<SourceError>> From<E> for NotTaken {
    fn from(why: E) -> Self {
        Self::Refused { why: refused(&why.into()), waits_for: Vec::new() }
    }
}

impl Watcher {
    pub(crate) fn new(source: Arc<dyn Source>, view: Arc<View>, counters: Arc<Counters>, damage: Arc<Damage>) -> Self {
        let default_ring = view.snapshot.load().default.ring.clone();
        let blobs = Blobs::new(0, damage.proofs());
        Self {
            source,
            view,
            counters,
            damage,
            beyond: None,
            default_ring,
            only: Vec::new(),
            blobs,
            rings: HashMap::new(),
            looks: 0,
            behind: 0,
            listing_failed: false,
        }
    }

    /// Follows these rings alone; none: all there are.
    pub(crate) fn only(mut self, rings: Vec<RingName>) -> Self {
        self.only = rings;
        self
    }

    /// Has somebody tell of routes what there is to tell beside their bytes.
    pub(crate) fn told_by(mut self, beyond: Option<Arc<dyn Beyond>>) -> Self {
        self.beyond = beyond;
        self
    }

    pub(crate) fn small_file_memory(mut self, bytes: usize) -> Self {
        self.blobs = Blobs::new(bytes, self.damage.proofs());
        self
    }

    /// Looks until told to stop.
    pub(crate) fn run(mut self, wake: &Receiver<Wake>, files: &KeptFiles, losses: &Losses) {
        loop {
            match wake.recv_timeout(LOOK) {
                Ok(Wake::Nudge) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return self.damage.proofs().end(),
            }
            // Whatever goes wrong in here, what is served is served on, and the next look is taken.
            match catch_unwind(AssertUnwindSafe(|| self.look())) {
                Ok(()) => drop(self.view.looks.fetch_add(1, Ordering::Relaxed)),
                Err(_) => self.counters.trouble(Trouble::GenerationRefused),
            }
            if self.looks.is_multiple_of(SLOW_LOOKS) {
                files.look(&self.counters);
            }
            losses.look(&self.counters);
        }
    }

    /// Looks at some broken blobs, and at every ring once.
    pub(crate) fn look(&mut self) {
        self.looks = self.looks.wrapping_add(1);
        let healed = self.damage.retry(self.source.as_ref());
        if healed > 0 {
            tracing::info!(healed, "blobs that could not be served are whole again");
        }
        let mut moved = false;
        for ring in self.followed() {
            moved |= self.look_at(&ring);
        }
        if moved {
            self.swap();
            self.blobs.tidy();
        }
        if self.looks.is_multiple_of(SLOW_LOOKS) {
            self.look_behind();
        }
    }

    /// Looks at some of the files behind what is served, in turn, whatever the pointer says: what is gone or was changed is
    /// known before anybody asks for it. One that is bad is reason to look at all, and so is a folder that holds something
    /// else than what is served.
    fn look_behind(&mut self) {
        let served = self.rings.values().filter_map(|followed| followed.index.as_ref()?.served.as_ref());
        let blobs = served.flat_map(|served| served.routes.values()).map(|entry| &entry.blob);
        let blobs: Vec<_> = blobs.filter(|blob| !blob.is_broken()).collect();
        let is_stale = self.rings.values().any(|followed| followed.refused.is_some());
        let from = self.behind % blobs.len().max(1);
        let (mut looked, mut bad) = (0, 0);
        for blob in blobs.iter().cycle().skip(from).take(blobs.len()) {
            if looked >= FILES_BEHIND && bad == 0 && !is_stale {
                break;
            }
            looked += 1;
            let Err(error) = self.damage.look_behind(blob, self.source.as_ref()) else { continue };
            bad += 1;
            if bad <= MOST_NAMED {
                tracing::error!(blob = %blob.digest, why = %Chain(&error), "{CANNOT}");
            }
        }
        if bad > MOST_NAMED {
            tracing::error!(more = bad - MOST_NAMED, "{CANNOT}");
        }
        self.behind = from + looked;
    }

    fn followed(&mut self) -> Vec<RingName> {
        let mut rings: HashSet<RingName> = self.only.iter().cloned().collect();
        rings.insert(self.default_ring.clone());
        if self.only.is_empty() {
            match self.source.rings() {
                Ok(found) => {
                    rings.extend(found);
                    self.listing_failed = false;
                }
                Err(error) => {
                    if !self.listing_failed {
                        tracing::error!(error = %Chain(&error), "cannot list rings; those known are served on");
                    }
                    self.listing_failed = true;
                }
            }
        }
        rings.extend(self.rings.keys().cloned());
        rings.into_iter().collect()
    }

    /// Whether the index of this ring changed.
    fn look_at(&mut self, ring: &RingName) -> bool {
        let first = !self.rings.contains_key(ring);
        let followed = self.rings.entry(ring.clone()).or_default();
        let pointer = match self.source.pointer_digest(ring) {
            Ok(pointer) => pointer,
            Err(error) => return self.refuse(ring, None, refused(&error)) || first,
        };
        // A refused generation, and a ring whose pointer is gone or was never there, are tried again though
        // nothing moved.
        let wanting = followed.refused.is_some() || pointer.is_none();
        let slow = self.looks.is_multiple_of(SLOW_LOOKS);
        if slow {
            // Reading may have ended for want of descriptors or memory.
            followed.reads.iter().filter(|blob| !blob.is_settled()).for_each(Blob::settle_soon);
        }
        let again = first || followed.mended() || followed.is_read() || wanting && slow;
        let moved = pointer.is_some() && pointer != followed.pointer;
        if !moved && !again {
            return first;
        }
        match self.take(ring) {
            Ok(Some(index)) => {
                let served = index.served.as_ref().map(|served| served.number);
                tracing::info!(%ring, generation = served, "serving a new generation");
                let index = Some(Arc::new(index));
                self.rings.insert(ring.clone(), Followed { pointer, index, ..Followed::default() });
                true
            }
            Ok(None) => {
                let Some(followed) = self.rings.get_mut(ring) else { return first };
                followed.pointer = pointer;
                followed.waits_for.clear();
                followed.reads.clear();
                followed.refused.take().is_some() || first
            }
            Err(NotTaken::Refused { why, waits_for }) => {
                let news = self.refuse(ring, pointer, why);
                if let Some(followed) = self.rings.get_mut(ring) {
                    (followed.waits_for, followed.reads) = (waits_for, Vec::new());
                }
                news || first
            }
            Err(NotTaken::Reads(blobs)) => {
                let Some(followed) = self.rings.get_mut(ring) else { return first };
                if followed.reads.is_empty() {
                    tracing::info!(%ring, blobs = blobs.len(), "the newest generation is served once its large files were read");
                }
                blobs.iter().for_each(Blob::settle_soon);
                (followed.pointer, followed.reads) = (pointer, blobs);
                followed.waits_for.clear();
                followed.refused.take().is_some() || first
            }
        }
    }

    fn refuse(&mut self, ring: &RingName, pointer: Option<Digest>, why: Note) -> bool {
        let followed = self.rings.entry(ring.clone()).or_default();
        // A pointer that cannot be read is no other one: what stays wrong is told once.
        let moved = pointer.is_some() && followed.pointer != pointer;
        let news = followed.refused.as_ref() != Some(&why) || moved;
        if pointer.is_some() {
            followed.pointer = pointer;
        }
        if news {
            self.counters.trouble(Trouble::GenerationRefused);
            let (reason, why_not) = (why.reason.code(), &why.detail);
            tracing::error!(%ring, reason, why = why_not, "the newest generation is not served; the one before is kept");
            followed.refused = Some(why);
        }
        news
    }

    /// Loads a ring's generation and makes an index of it; none when what is served is already that.
    fn take(&mut self, ring: &RingName) -> Result<Option<RingIndex>, NotTaken> {
        let old = self.rings.get(ring).and_then(|followed| followed.index.clone());
        let old = old.as_ref().and_then(|index| index.served.as_ref());
        let Some(loaded) = self.source.load(ring)? else {
            let gone = "its generations are gone from the data folder";
            return if old.is_some() { Err(gone.into()) } else { Ok(None) };
        };
        if let Some(old) = old {
            if old.digest == loaded.digest {
                return Ok(None);
            }
            // A restored backup goes back, and is waited out; what is published on top of it is newer than what is served.
            if loaded.generation.goes_back_from((old.number, old.at)) {
                let (found, served) = (loaded.generation.number, old.number);
                let detail = format!(
                    "the folder went back to generation {found}, {served} is served: put the newer one back, or restart \
                     to serve {found}"
                );
                let why = Note { reason: Reason::RingWentBack, detail };
                return Err(NotTaken::Refused { why, waits_for: Vec::new() });
            }
        }
        if loaded.generation.ring != *ring {
            return Err(format!("the generation found is of ring {}", loaded.generation.ring).into());
        }
        let source = self.source.as_ref();
        let Built { served, broken, large } =
            Builder { blobs: &mut self.blobs, damage: &self.damage, source, beyond: self.beyond.as_ref() }
                .build(loaded, old);
        if let Some(first) = broken.first() {
            let why = first.why();
            if old.is_some_and(Served::is_whole) {
                let waits_for = broken.into_iter().map(|broken| broken.blob).collect();
                return Err(NotTaken::Refused { why: refused(&why), waits_for });
            }
            let (generation, broken) = (served.number, broken.len());
            tracing::error!(%ring, generation, broken, why = %Chain(&why), "some routes answer 503 until they are whole");
        }
        let is_read = large.iter().all(|blob| blob.is_settled());
        if !is_read && old.is_some_and(|old| old.is_whole() && !old.is_kept_by(&served)) {
            return Err(NotTaken::Reads(large));
        }
        Ok(Some(RingIndex { ring: ring.clone(), served: Some(served) }))
    }

    fn swap(&mut self) {
        let mut rings = HashMap::with_capacity(self.rings.len());
        let mut refused = HashMap::new();
        let mut default = None;
        for (ring, followed) in &self.rings {
            let index = followed.index.clone().unwrap_or_else(|| Arc::new(RingIndex::empty(ring.clone())));
            if *ring == self.default_ring {
                default = Some(Arc::clone(&index));
            }
            if let Some(why) = &followed.refused {
                refused.insert(ring.clone(), why.clone());
            }
            rings.insert(ring.as_str().as_bytes().into(), index);
        }
        let default = default.unwrap_or_else(|| Arc::new(RingIndex::empty(self.default_ring.clone())));
        self.view.snapshot.store(Arc::new(Snapshot { default, rings }));
        *self.view.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }
}

/// Something about a generation is not whole.
fn refused(why: &SourceError) -> Note {
    Note { reason: Reason::GenerationRefused, detail: Chain(why).to_string() }
}

/// Prints an error and its sources on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a SourceError);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
