//! Follows every ring's `current` and swaps the index.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use model::{Digest, Generation, RingName};

use crate::blob::Blobs;
use crate::index::{Entry, RingIndex, Served, Snapshot};
use crate::source::Loaded;
use crate::stats::{Counters, RingStats, Trouble};
use crate::tls::Certificates;
use crate::{Source, SourceError};

/// How often `current` is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// After how many looks a refused generation is tried again though nothing moved, and certificates are looked at.
const SLOW_LOOKS: u32 = 6;

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
    refused: Mutex<HashMap<RingName, String>>,
}

impl View {
    pub(crate) fn new(default_ring: &RingName) -> Self {
        let default = Arc::new(RingIndex::empty(default_ring.clone()));
        let snapshot = Snapshot { default, rings: HashMap::new() };
        Self { snapshot: Arc::new(ArcSwap::from_pointee(snapshot)), refused: Mutex::default() }
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
    default_ring: RingName,
    only: Vec<RingName>,
    blobs: Blobs,
    rings: HashMap<RingName, Followed>,
    looks: u32,
    listing_failed: bool,
}

#[derive(Default)]
struct Followed {
    /// The mark that was last acted on, well or badly.
    mark: Option<Digest>,
    index: Option<Arc<RingIndex>>,
    refused: Option<String>,
}

impl Watcher {
    pub(crate) fn new(source: Arc<dyn Source>, view: Arc<View>, counters: Arc<Counters>) -> Self {
        let default_ring = view.snapshot.load().default.ring.clone();
        Self {
            source,
            view,
            counters,
            default_ring,
            only: Vec::new(),
            blobs: Blobs::new(0),
            rings: HashMap::new(),
            looks: 0,
            listing_failed: false,
        }
    }

    /// Follows these rings alone; none: all there are.
    pub(crate) fn only(mut self, rings: Vec<RingName>) -> Self {
        self.only = rings;
        self
    }

    pub(crate) fn small_file_memory(mut self, bytes: usize) -> Self {
        self.blobs = Blobs::new(bytes);
        self
    }

    /// Looks until told to stop.
    pub(crate) fn run(mut self, wake: &Receiver<Wake>, certificates: &Certificates) {
        loop {
            match wake.recv_timeout(LOOK) {
                Ok(Wake::Nudge) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            // Whatever goes wrong in here, what is served is served on, and the next look is taken.
            if catch_unwind(AssertUnwindSafe(|| self.look())).is_err() {
                self.counters.trouble(Trouble::GenerationRefused);
            }
            if self.looks.is_multiple_of(SLOW_LOOKS) {
                certificates.look(&self.counters);
            }
        }
    }

    /// Looks at every ring once.
    pub(crate) fn look(&mut self) {
        self.looks = self.looks.wrapping_add(1);
        let mut moved = false;
        for ring in self.followed() {
            moved |= self.look_at(&ring);
        }
        if moved {
            self.swap();
            self.blobs.tidy();
        }
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
        let mark = match self.source.mark(ring) {
            Ok(mark) => mark,
            Err(error) => return self.refuse(ring, None, &Chain(&error).to_string()) || first,
        };
        // A refused generation, and a ring whose pointer is gone or was never there, are tried again though
        // nothing moved.
        let wanting = followed.refused.is_some() || mark.is_none();
        let again = first || wanting && self.looks.is_multiple_of(SLOW_LOOKS);
        let moved = mark.is_some() && mark != followed.mark;
        if !moved && !again {
            return first;
        }
        match self.take(ring) {
            Ok(Some(index)) => {
                let served = index.served.as_ref().map(|served| served.number);
                tracing::info!(%ring, generation = served, "serving a new generation");
                self.rings.insert(ring.clone(), Followed { mark, index: Some(Arc::new(index)), refused: None });
                true
            }
            Ok(None) => {
                let Some(followed) = self.rings.get_mut(ring) else { return first };
                followed.mark = mark;
                followed.refused.take().is_some() || first
            }
            Err(error) => self.refuse(ring, mark, &Chain(&error).to_string()) || first,
        }
    }

    fn refuse(&mut self, ring: &RingName, mark: Option<Digest>, why: &str) -> bool {
        let followed = self.rings.entry(ring.clone()).or_default();
        let news = followed.refused.as_deref() != Some(why) || followed.mark != mark;
        if mark.is_some() {
            followed.mark = mark;
        }
        if news {
            self.counters.trouble(Trouble::GenerationRefused);
            tracing::error!(%ring, why, "the newest generation is not served; the one before is kept");
            followed.refused = Some(why.to_owned());
        }
        news
    }

    /// Loads a ring's generation and makes an index of it; none when what is served is already that.
    fn take(&mut self, ring: &RingName) -> Result<Option<RingIndex>, SourceError> {
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
            if loaded.generation.number < old.number {
                let (found, served) = (loaded.generation.number, old.number);
                return Err(format!("the folder went back to generation {found}, {served} is served").into());
            }
        }
        if loaded.generation.ring != *ring {
            return Err(format!("the generation found is of ring {}", loaded.generation.ring).into());
        }
        let served = build(loaded, old, &mut self.blobs, self.source.as_ref())?;
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

fn build(loaded: Loaded, old: Option<&Served>, blobs: &mut Blobs, source: &dyn Source) -> Result<Served, SourceError> {
    let Generation { number, at, feeds, routes, .. } = loaded.generation;
    let mut index = HashMap::with_capacity(routes.len());
    for (path, route) in routes {
        let key: Box<[u8]> = path.as_str().as_bytes().into();
        let same = old.and_then(|old| old.routes.get(&key)).filter(|entry| {
            entry.blob.digest == route.digest && entry.blob.size == route.size && entry.since == route.since
        });
        let entry = match same {
            Some(entry) => Arc::clone(entry),
            None => {
                let blob = match blobs.known(&route.digest, route.size) {
                    Some(blob) => blob,
                    None => {
                        source.open(&route.digest, route.size).map_err(|error| blob_error(path.as_str(), &error))?;
                        blobs.add(route.digest, route.size)
                    }
                };
                Arc::new(Entry::new(path.as_str(), blob, route.since))
            }
        };
        index.insert(key, entry);
    }
    let bases = feeds.values().flat_map(|feed| &feed.bases).map(|base| base.as_str().as_bytes().into()).collect();
    Ok(Served { number, digest: loaded.digest, at, routes: index, bases })
}

fn blob_error(path: &str, error: &SourceError) -> SourceError {
    format!("the bytes of {path} cannot be served: {}", Chain(error)).into()
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
