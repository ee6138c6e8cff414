//! Which blobs cannot be served: each is told once, answers 503 meanwhile, and is tried again until it is whole.
//!
//! A blob that breaks opens a case; requests for it are refused from then on without touching the disk. The
//! watcher tries a bounded number of cases at each look. Whoever repairs blobs is told of each case once, however
//! often endpoints ask; the same blob is told again only after it was whole in between.

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
use crate::stats::{Counters, Trouble};
use crate::{Source, SourceError};

/// Digests that are remembered until somebody takes them. Those beyond are told when there is room again.
const MOST_TOLD: usize = 1024;
/// How many cases are tried again at one look.
const RETRIES: usize = 256;
/// How long a file that opened well, but could not be read to its end or held other bytes, is not trusted again unless it was
/// replaced or changed.
const DISTRUST: Duration = Duration::from_secs(60);

/// The cases that are open.
pub(crate) struct Damage {
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    cases: Mutex<Cases>,
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
    told: bool,
}

/// A file that opened well and then could not be read, or held other bytes.
struct Suspect {
    file: Identity,
    until: Duration,
}

impl Damage {
    pub(crate) fn new(clock: Arc<dyn Clock>, counters: Arc<Counters>) -> Self {
        Self { clock, counters, cases: Mutex::default() }
    }

    fn cases(&self) -> MutexGuard<'_, Cases> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a blob cannot be served, as somebody found who saw it at `epoch`; `read` is the file when it
    /// opened well. Whether that is news worth a line in the log.
    pub(crate) fn note(&self, blob: &Arc<Blob>, epoch: u32, read: Option<&File>, error: &SourceError) -> bool {
        let suspect = read.and_then(|file| Identity::of(file).ok()).map(|file| self.suspect(file));
        let mut cases = self.cases();
        // Who met the same damage later, or meets in an old file what was repaired long ago, brings no news.
        if !blob.breaks(epoch) {
            return false;
        }
        self.counters.trouble(Trouble::Damaged);
        let key = (blob.digest, blob.size);
        // A case of a blob that nobody needed meanwhile goes on: it was not whole in between.
        let told = cases.open.get(&key).is_some_and(|case| case.told);
        cases.open.insert(key, Case { blob: Arc::downgrade(blob), suspect, told });
        cases.tell(key, error);
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

    /// Closes the case of a blob that can be served now; otherwise says why it cannot.
    pub(crate) fn heal(&self, blob: &Arc<Blob>, source: &dyn Source) -> Result<(), SourceError> {
        let probed = self.probe(blob, source);
        let key = (blob.digest, blob.size);
        let mut cases = self.cases();
        match probed {
            Ok(()) => {
                cases.open.remove(&key);
                blob.heals();
                Ok(())
            }
            Err(error) => {
                cases.tell(key, &error);
                Err(error)
            }
        }
    }

    /// Whether a blob could be served now.
    fn probe(&self, blob: &Blob, source: &dyn Source) -> Result<(), SourceError> {
        if blob.is_small() {
            return blob.small(source).map(drop);
        }
        let file = source.open(&blob.digest, blob.size)?;
        let (found, key) = (Identity::of(&file)?, (blob.digest, blob.size));
        let now = self.clock.monotonic();
        let suspected = |suspect: &Suspect| suspect.file == found && now < suspect.until;
        if self.cases().open.get(&key).and_then(|case| case.suspect.as_ref()).is_some_and(suspected) {
            return Err("its file could not be read or held other bytes, and is still the same".into());
        }
        blob.prove(&file, found).inspect_err(|_| {
            // So that a damaged file is not read again and again.
            if let Some(case) = self.cases().open.get_mut(&key) {
                case.suspect = Some(self.suspect(found));
            }
        })
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
    /// Tells of a case unless that was done, or the system rather than the blob is short of something.
    fn tell(&mut self, key: Key, error: &SourceError) {
        let Some(case) = self.open.get_mut(&key) else { return };
        if !case.told && !passes(error) && self.untaken.len() < MOST_TOLD {
            case.told = true;
            self.untaken.insert(key.0);
        }
    }
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
