//! Large files are read to their end on a thread of their own, one at a time: no worker and no look waits for that.
//!
//! Two things wait for it. A file that was put there or changed since its bytes were last proven is not served before
//! (urgent). A file that was seen for the first time, at the start or with a new generation, is served meanwhile: it is
//! read in the background, at most half of the time, so that a start is quick and endpoints keep the disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use model::{Clock, Digest};

use crate::blob::Blob;
use crate::damage::Damage;
use crate::{Source, SourceError};

/// The longest that reading in the background rests at once.
const LONGEST_REST: Duration = Duration::from_millis(200);
/// How much is read between two rests.
const STRETCH: u64 = 1024 * 1024;

/// Why a large file is not served now.
#[derive(Debug, thiserror::Error)]
#[error("its file is another one than was proven, or was changed since: it is served once it was read anew")]
pub(crate) struct Unproven;

/// Why reading ended early: the server ends.
#[derive(Debug, thiserror::Error)]
#[error("the server ends")]
pub(crate) struct Ended;

/// How soon a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// It is not served before.
    Urgent,
    /// It is served meanwhile.
    Calm,
}

/// The files that are to be read: each once, however often that was asked.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    queue: Mutex<Queue>,
    woken: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    urgent: Waiting,
    calm: Waiting,
    ended: bool,
}

type Waiting = BTreeMap<(Digest, u64), Weak<Blob>>;

impl Proofs {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the file of a blob read.
    pub(crate) fn ask(&self, blob: &Arc<Blob>, haste: Haste) {
        let mut queue = self.queue();
        let key = (blob.digest, blob.size);
        match haste {
            Haste::Urgent => queue.urgent.insert(key, Arc::downgrade(blob)),
            Haste::Calm => queue.calm.insert(key, Arc::downgrade(blob)),
        };
        drop(queue);
        self.woken.notify_all();
    }

    /// Ends the thread, also in the middle of a file.
    pub(crate) fn end(&self) {
        self.queue().ended = true;
        self.woken.notify_all();
    }

    /// The next one, once there is one; none at the end.
    fn next(&self) -> Option<(Arc<Blob>, Haste)> {
        let mut queue = self.queue();
        loop {
            if queue.ended {
                return None;
            }
            let next = match queue.urgent.pop_first() {
                Some((_, blob)) => Some((blob, Haste::Urgent)),
                None => queue.calm.pop_first().map(|(_, blob)| (blob, Haste::Calm)),
            };
            match next {
                // One that no route needs any more is passed over.
                Some((blob, haste)) => {
                    if let Some(blob) = blob.upgrade() {
                        return Some((blob, haste));
                    }
                }
                None => queue = self.woken.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Rests for so long, unless something urgent waits.
    fn rest(&self, span: Duration) -> Result<(), Ended> {
        let mut queue = self.queue();
        if !span.is_zero() && queue.urgent.is_empty() && !queue.ended {
            queue = self.woken.wait_timeout(queue, span).unwrap_or_else(PoisonError::into_inner).0;
        }
        if queue.ended { Err(Ended) } else { Ok(()) }
    }

    /// Reads what is asked for until [`Proofs::end`].
    pub(crate) fn run(&self, damage: &Damage, source: &dyn Source) {
        while let Some((blob, haste)) = self.next() {
            damage.settle(&blob, source, haste);
        }
    }
}

/// How fast one file is read.
pub(crate) struct Pace<'a> {
    proofs: &'a Proofs,
    clock: &'a dyn Clock,
    haste: Haste,
    read: u64,
    since: Duration,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(proofs: &'a Proofs, clock: &'a dyn Clock, haste: Haste) -> Self {
        Self { proofs, clock, haste, read: 0, since: clock.monotonic() }
    }

    /// After so many more bytes: rests for as long as they took, when there is no haste.
    pub(crate) fn step(&mut self, bytes: u64) -> Result<(), SourceError> {
        self.read = self.read.saturating_add(bytes);
        if self.read < STRETCH {
            return Ok(());
        }
        self.read = 0;
        let worked = self.clock.monotonic().saturating_sub(self.since).min(LONGEST_REST);
        self.proofs.rest(if self.haste == Haste::Calm { worked } else { Duration::ZERO })?;
        self.since = self.clock.monotonic();
        Ok(())
    }
}
