//! Which blobs cannot be served: each is told once, answers 503 meanwhile, and is tried again until it is whole.
//!
//! A blob that breaks opens a case; requests for it are refused from then on without touching the disk. The
//! watcher tries a bounded number of cases at each look. Whoever repairs blobs is told of each case once, however
//! often endpoints ask; the same blob is told again only after it was whole in between. A large file that was changed
//! opens a case that nobody is told of before it was read (`proof`): it may be whole.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::io;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use model::{Clock, Digest};
use rustix::io::Errno;

use crate::blob::Blob;
use crate::identity::Identity;
use crate::proof::{Ended, Haste, Pace, Proofs, Unproven};
use crate::stats::{Counters, Trouble};
use crate::watch::Chain;
use crate::{Source, SourceError};

/// Digests that are remembered until somebody takes them. Those beyond are told when there is room again.
const MOST_TOLD: usize = 1024;
/// How many cases are tried again at one look.
const RETRIES: usize = 256;
/// How long a file that opened well, but could not be read to its end or held other bytes, is not trusted again unless it was
/// replaced or changed.
const DISTRUST: Duration = Duration::from_secs(60);

/// What an operator reads of each damage.
pub(crate) const CANNOT: &str = "the bytes of a blob are missing or damaged: its paths answer 503 until they are whole \
    again: with the disk or mount where that is away, else `run` fetches them anew; `release verify --store` names what else is";

/// The cases that are open.
pub(crate) struct Damage {
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    cases: Mutex<Cases>,
    proofs: Arc<Proofs>,
}

#[derive(Default)]
struct Cases {
    open: BTreeMap<Key, Case>,
    /// What nobody took yet.
    untaken: BTreeSet<Digest>,
    /// The case that was tried last: the next look goes on behind it.
    tried: Option<Key>,
}

type Key = (Digest, u64);

struct Case {
    blob: Weak<Blob>,
    suspect: Option<Suspect>,
    /// Whether it counts as damaged: known to be, not merely to be read anew.
    counted: bool,
    told: bool,
}

/// A file that opened well and then could not be read, or held other bytes.
struct Suspect {
    file: Identity,
    until: Duration,
}

impl Damage {
    pub(crate) fn new(clock: Arc<dyn Clock>, counters: Arc<Counters>) -> Self {
        Self { clock, counters, cases: Mutex::default(), proofs: Arc::default() }
    }

    /// The large files that are to be read.
    pub(crate) fn proofs(&self) -> Arc<Proofs> {
        Arc::clone(&self.proofs)
    }

    fn cases(&self) -> MutexGuard<'_, Cases> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a blob cannot be served, as somebody found who saw it at `epoch`; `read` is the file when it
    /// opened well. Whether that is news worth a line in the log.
    pub(crate) fn note(&self, blob: &Arc<Blob>, epoch: u32, read: Option<&File>, error: &SourceError) -> bool {
        if passes(error) {
            // It ends this request, and says nothing of the next one.
            self.counters.trouble(Trouble::Shortage);
            return false;
        }
        let suspect = read.and_then(|file| Identity::of(file).ok()).map(|file| self.suspect(file));
        let mut cases = self.cases();
        // Who met the same damage later, or meets in an old file what was repaired long ago, brings no news.
        if !blob.breaks(epoch) {
            return false;
        }
        // A folder or mount that was away for a moment comes back with the very files that were proven.
        if read.is_some() || !is_of_the_system(error) {
            blob.doubt();
        }
        let key = (blob.digest, blob.size);
        // A case of a blob that nobody needed meanwhile goes on: it was not whole in between.
        let told = cases.open.get(&key).is_some_and(|case| case.told);
        cases.open.insert(key, Case { blob: Arc::downgrade(blob), suspect, counted: false, told });
        if error.is::<Unproven>() {
            self.proofs.ask(blob, Haste::Urgent);
        } else {
            cases.count(key, &self.counters);
            cases.tell(key, error);
        }
        cases.open.len() <= MOST_TOLD
    }

    /// Blobs that broke since the last call.
    pub(crate) fn take(&self) -> Vec<Digest> {
        std::mem::take(&mut self.cases().untaken).into_iter().collect()
    }

    /// Gives back what was taken in vain; what is whole by now is left out.
    pub(crate) fn put_back(&self, digests: &[Digest]) {
        let mut cases = self.cases();
        for digest in digests {
            let open = cases.open.range((*digest, 0)..=(*digest, u64::MAX)).next().is_some();
            if open && cases.untaken.len() < MOST_TOLD {
                cases.untaken.insert(*digest);
            }
        }
    }

    /// Tries some of the open cases again; how many blobs are whole now.
    pub(crate) fn retry(&self, source: &dyn Source) -> usize {
        self.due().iter().filter(|blob| self.heal(blob, source).is_ok()).count()
    }

    /// Looks at the file of a blob, though nobody asks for it: what is gone, and what is large and was changed, is noted as if
    /// somebody had. One that is served from memory is noted only where it was changed, for whoever asks would never notice.
    /// What is noted is the error.
    pub(crate) fn look_behind(&self, blob: &Arc<Blob>, source: &dyn Source) -> Result<(), SourceError> {
        let Some(epoch) = blob.epoch() else { return Ok(()) };
        let looked = if blob.is_kept() || blob.is_large() {
            blob.look_at_file(source)
        } else {
            source.open(&blob.digest, blob.size).map(drop)
        };
        match looked {
            Err(error) if passes(&error) || blob.is_kept() && is_of_the_system(&error) => Ok(()),
            Err(error) if self.note(blob, epoch, None, &error) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Closes the case of a blob that can be served now; otherwise says why it cannot.
    pub(crate) fn heal(&self, blob: &Arc<Blob>, source: &dyn Source) -> Result<(), SourceError> {
        let probed = self.probe(blob, source);
        let key = (blob.digest, blob.size);
        let mut cases = self.cases();
        match probed {
            Ok(()) => {
                drop(cases);
                self.close(blob);
                Ok(())
            }
            Err(error) => {
                if !error.is::<Unproven>() && !passes(&error) {
                    cases.count(key, &self.counters);
                }
                cases.tell(key, &error);
                Err(error)
            }
        }
    }

    /// Reads the file of a large blob to its end: closes its case, or opens one.
    pub(crate) fn settle(&self, blob: &Arc<Blob>, source: &dyn Source, haste: Haste) {
        let was_broken = blob.is_broken();
        let opened = source.open(&blob.digest, blob.size).and_then(|file| Ok((Identity::of(&file)?, file)));
        let (read, file) = match opened {
            Ok((found, _)) if self.trusted((blob.digest, blob.size), found).is_err() => return,
            Ok((found, file)) => {
                let mut pace = Pace::new(&self.proofs, self.clock.as_ref(), haste);
                (blob.prove(&file, found, |bytes| pace.step(bytes)), Some(file))
            }
            Err(error) => (Err(error), None),
        };
        let blob_digest = blob.digest;
        match read {
            Ok(()) => {
                self.close(blob);
                if was_broken {
                    tracing::info!(blob = %blob_digest, "a blob was read anew and is served: its bytes are those of its name");
                }
            }
            Err(error) if error.is::<Ended>() || passes(&error) => {}
            Err(error) if self.found_bad(blob, file.as_ref(), &error) => {
                tracing::error!(blob = %blob_digest, why = %Chain(&error), "{CANNOT}");
            }
            Err(_) => {}
        }
    }

    /// Notes what reading a file brought; whether that is news.
    fn found_bad(&self, blob: &Arc<Blob>, file: Option<&File>, error: &SourceError) -> bool {
        if let Some(epoch) = blob.epoch() {
            return self.note(blob, epoch, file, error);
        }
        let suspect = file.and_then(|file| Identity::of(file).ok()).map(|file| self.suspect(file));
        if suspect.is_some() {
            blob.doubt();
        }
        let key = (blob.digest, blob.size);
        let mut cases = self.cases();
        if let Some(case) = cases.open.get_mut(&key) {
            case.suspect = suspect.or(case.suspect.take());
        }
        let news = cases.count(key, &self.counters);
        cases.tell(key, error);
        news
    }

    fn close(&self, blob: &Blob) {
        let mut cases = self.cases();
        cases.open.remove(&(blob.digest, blob.size));
        blob.heals();
    }

    /// Whether a blob could be served now. A large one that is not the file that was served is to be read first.
    fn probe(&self, blob: &Arc<Blob>, source: &dyn Source) -> Result<(), SourceError> {
        if blob.is_small() {
            // What is in memory says nothing of the file.
            return if blob.is_kept() { blob.look_at_file(source) } else { blob.small(source).map(drop) };
        }
        let file = source.open(&blob.digest, blob.size)?;
        let (found, key) = (Identity::of(&file)?, (blob.digest, blob.size));
        self.trusted(key, found)?;
        if blob.is_large() {
            let stands = blob.stands_for(found);
            if !blob.is_proven(found) {
                self.proofs.ask(blob, if stands { Haste::Calm } else { Haste::Urgent });
            }
            return if stands { Ok(()) } else { Err(Unproven.into()) };
        }
        blob.prove(&file, found, |_| Ok(())).inspect_err(|_| {
            // So that a damaged file is not read again and again.
            if let Some(case) = self.cases().open.get_mut(&key) {
                case.suspect = Some(self.suspect(found));
            }
        })
    }

    /// Whether there is no reason to think that reading this file is in vain.
    fn trusted(&self, key: Key, found: Identity) -> Result<(), SourceError> {
        let now = self.clock.monotonic();
        let suspected = |suspect: &Suspect| suspect.file == found && now < suspect.until;
        if self.cases().open.get(&key).and_then(|case| case.suspect.as_ref()).is_some_and(suspected) {
            return Err("its file could not be read or held other bytes, and is still the same".into());
        }
        Ok(())
    }

    fn suspect(&self, file: Identity) -> Suspect {
        Suspect { file, until: self.clock.monotonic().saturating_add(DISTRUST) }
    }

    /// The next cases in turn. Those whose blob no route needs any more are closed.
    fn due(&self) -> Vec<Arc<Blob>> {
        let mut cases = self.cases();
        cases.open.retain(|_, case| case.blob.strong_count() > 0);
        let Cases { open, tried, .. } = &mut *cases;
        let after = tried.map_or(Unbounded, Excluded);
        let around = tried.map(|last| open.range(..=last)).into_iter().flatten();
        let turn: Vec<_> = open.range((after, Unbounded)).chain(around).take(RETRIES).collect();
        *tried = turn.last().map(|(key, _)| **key);
        turn.into_iter().filter_map(|(_, case)| case.blob.upgrade()).collect()
    }
}

impl Cases {
    /// Counts a case unless that was done; whether it is news.
    fn count(&mut self, key: Key, counters: &Counters) -> bool {
        let news = self.open.get_mut(&key).is_some_and(|case| !std::mem::replace(&mut case.counted, true));
        if news {
            counters.trouble(Trouble::Damaged);
        }
        news
    }

    /// Tells of a case unless that was done, or the system rather than the blob is short of something.
    fn tell(&mut self, key: Key, error: &SourceError) {
        let Some(case) = self.open.get_mut(&key) else { return };
        let says_nothing = passes(error) || error.is::<Unproven>();
        if !case.told && !says_nothing && self.untaken.len() < MOST_TOLD {
            case.told = true;
            self.untaken.insert(key.0);
        }
    }
}

/// Whether the system refused to open or read, and nothing was learnt of the bytes.
fn is_of_the_system(error: &SourceError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error.as_ref());
    while let Some(error) = cause {
        if error.is::<io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether an error says nothing about the blob: the system has no descriptors or no memory left.
fn passes(error: &SourceError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error.as_ref());
    while let Some(error) = cause {
        let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if code.is_some_and(|code| [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(Errno::raw_os_error).contains(&code))
        {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
