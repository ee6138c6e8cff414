//! What nobody is served yet is read again before it is: a disk may have changed its bytes since they were held, and an
//! endpoint must not lose what is whole to what is not.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blob_store::{Current, Verification};
use catalog::FeedRecord;
use model::{Digest, Generation, Note, Outcome, Reason, Release, ReleaseState, RoutePath, ServedFeed};

use crate::feed_run::note;
use crate::missing::is_lost;
use crate::publish::{Pending, failure};
use crate::ruling::Costs;
use crate::stepped::tell_beside;
use crate::verify::{BlobFault, Seen};
use crate::{Engine, EngineError};

/// From so many bytes on, it is told that they are read.
const LONG: u64 = 64 << 20;

/// The blobs whose bytes were hashed by the very run or act that publishes them: they are not read once more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proven(Arc<Mutex<HashSet<Digest>>>);

impl Proven {
    fn all(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, digest: Digest) {
        self.all().insert(digest);
    }

    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.all().contains(digest)
    }
}

/// Blobs that must not be served, and why.
#[derive(Default)]
pub(crate) struct Unfit {
    why: BTreeMap<Digest, Note>,
    /// Those that are out of reach now, so that nobody takes them for held.
    aside: BTreeSet<Digest>,
}

impl Unfit {
    pub(crate) fn is_empty(&self) -> bool {
        self.why.is_empty()
    }

    /// Whether planning anew may lead elsewhere: some are out of reach now that were not met before. What a release that
    /// is served names, and is not served for want of its path, is met again however often one plans.
    pub(crate) fn is_news(&self, met: &mut BTreeSet<Digest>) -> bool {
        let before = met.len();
        met.extend(&self.aside);
        met.len() > before
    }

    /// What is wrong with a release, if anything is.
    pub(crate) fn of(&self, release: &Release) -> Option<Note> {
        release.items.iter().find_map(|item| self.why.get(&item.digest).cloned())
    }

    /// What is wrong with any of them, beyond an owner or mode that lets somebody else change it: that is no damage.
    pub(crate) fn any_lost(&self) -> Option<Note> {
        self.why.values().find(|why| why.reason != Reason::UnsafeFile).cloned()
    }

    /// What is wrong with any of them.
    pub(crate) fn any(&self) -> Option<Note> {
        self.why.values().next().cloned()
    }
}

impl Engine {
    /// Reads what a generation brings in that the present one does not serve, but for what is `proven`. What is damaged is
    /// set aside and recorded; the caller holds the publication lock.
    pub(crate) async fn prove_new(
        &self,
        generation: &Generation,
        present: Option<&Current>,
        proven: &Proven,
    ) -> Result<Unfit, EngineError> {
        let mut news = News::beside(present, proven);
        for (path, route) in &generation.routes {
            news.add(path, route.digest, route.size);
        }
        self.prove(news.blobs, proven).await
    }

    /// The same of a release that is about to be let in. What is well is `proven` from then on.
    pub(crate) async fn prove_release(
        &self,
        release: &Release,
        present: Option<&Current>,
        proven: &Proven,
    ) -> Result<Unfit, EngineError> {
        let mut news = News::beside(present, proven);
        for item in &release.items {
            news.add(&item.route, item.digest, item.size);
        }
        self.prove(news.blobs, proven).await
    }

    /// What is wrong with what is served of a feed, and in its `_back`, whatever its vendor answered: that is told until it
    /// is so no more. `before` is the feed's record as it was.
    pub(crate) async fn tell_lost(
        &self,
        record: &mut FeedRecord,
        before: &FeedRecord,
        present: Option<&Current>,
    ) -> Result<(), EngineError> {
        let Some(served) = present.and_then(|current| current.generation.feeds.get(&record.feed)) else {
            return Ok(());
        };
        let wrong = self.wrong_with_served(served, record).await?;
        let back = self.lost_in_back(served).await?.map(|(_, back)| back);
        for wrong in wrong.into_iter().chain(back) {
            tell_beside(record, before, wrong);
        }
        Ok(())
    }

    /// What is wrong with what is served of a feed: the operator left it, and what was gone back to is lost; or its own
    /// bytes are, and this run could not fetch them again.
    async fn wrong_with_served(&self, served: &ServedFeed, record: &FeedRecord) -> Result<Option<Note>, EngineError> {
        let Some(found) = self.ports.catalog.release(&served.release).await? else { return Ok(None) };
        let number = found.number;
        if found.state == ReleaseState::Rejected {
            return Ok(Some(self.against(&found).await?));
        }
        let declined = record.outcome == Outcome::Current && record.release != Some(served.release);
        let next = match record.outcome {
            Outcome::Quarantined | Outcome::Held => {
                "what the vendor offers waits: admit that, or a release that is held"
            }
            Outcome::Failed => "the next run that its vendor answers fetches it again, if the vendor offers it still",
            _ if declined => "the vendor offers another that was declined: admit a release that is held",
            _ => "the next run fetches it again, if the vendor offers it still",
        };
        let missing = self.missing(&found.release).await;
        // What cannot be believed just now is told as such, by status, and is served again when it can be.
        let missing = missing.filter(|missing| declined || is_lost(missing));
        Ok(missing.map(|missing| {
            let detail = format!("{}; release {number} is served, and {next}", missing.detail);
            note(missing.reason, detail)
        }))
    }

    async fn prove(&self, blobs: BTreeMap<Digest, (RoutePath, u64)>, proven: &Proven) -> Result<Unfit, EngineError> {
        let bytes = blobs.values().fold(0, |sum: u64, (_, size)| sum.saturating_add(*size));
        if bytes >= LONG {
            tracing::info!(blobs = blobs.len(), bytes, "what was held before is read again before it is served");
        }
        let mut unfit = Unfit::default();
        let mut faults = Vec::new();
        for (digest, (path, size)) in blobs {
            match self.ports.blobs.verify(digest).await {
                Ok(Verification::Good(held)) if held.size() == size => proven.add(digest),
                // Its bytes are what its name says, and the manifest said something else: not ours to set aside.
                Ok(Verification::Good(_)) => {}
                Ok(_) | Err(_) => match self.put_out_of_reach_locked(digest).await {
                    Seen::Good => proven.add(digest),
                    Seen::Damaged(fault) => {
                        if fault.error.is_none() || !self.is_there(digest).await {
                            unfit.aside.insert(digest);
                        }
                        unfit.why.insert(digest, damaged(&path, &fault));
                        faults.push(BlobFault { routes: vec![path], ..fault });
                    }
                    Seen::Unread(fault) => {
                        let error = fault.error.unwrap_or_default();
                        let detail = format!("{path}: blob {digest} cannot be used now: {error}");
                        unfit.why.insert(digest, note(fault.reason, detail));
                    }
                },
            }
        }
        if !faults.is_empty() {
            tracing::error!(blobs = faults.len(), "blobs that were held rotted or are gone: they are not served");
            self.tell_feeds_locked(&faults).await?;
        }
        Ok(unfit)
    }

    /// Whether something stands under a blob's name, whatever may be wrong with it.
    pub(crate) async fn is_there(&self, digest: Digest) -> bool {
        !matches!(self.ports.blobs.find(digest).await, Ok(None))
    }
}

/// What is to be read: what nobody serves and nobody has read just now.
struct News<'a> {
    served: BTreeSet<Digest>,
    proven: &'a Proven,
    blobs: BTreeMap<Digest, (RoutePath, u64)>,
}

impl<'a> News<'a> {
    fn beside(present: Option<&Current>, proven: &'a Proven) -> Self {
        let routes = present.iter().flat_map(|current| current.generation.routes.values());
        Self { served: routes.map(|route| route.digest).collect(), proven, blobs: BTreeMap::new() }
    }

    fn add(&mut self, path: &RoutePath, digest: Digest, size: u64) {
        if !self.served.contains(&digest) && !self.proven.has(&digest) {
            self.blobs.entry(digest).or_insert_with(|| (path.clone(), size));
        }
    }
}

fn damaged(path: &RoutePath, fault: &BlobFault) -> Note {
    let digest = fault.digest;
    match (fault.actual, &fault.error) {
        (_, Some(error)) => note(Reason::BlobDamaged, format!("{path}: blob {digest}: {error}")),
        (Some(_), None) => {
            note(Reason::BlobDamaged, format!("{path}: the bytes of blob {digest} changed on the disk; set aside"))
        }
        (None, None) => note(Reason::BlobMissing, format!("{path}: blob {digest} is not held")),
    }
}

/// The vendor was asked and answered well, and the feed is not in order all the same: what was remembered of the vendor
/// stands, so that nothing is fetched again for it, and the feed was last in order when it was `before`.
pub(crate) fn not_in_order(record: &mut FeedRecord, before: &FeedRecord) {
    record.outcome = Outcome::Failed;
    record.succeeded_at = before.succeeded_at;
    record.failures = before.failures.saturating_add(1);
}

/// Takes out what must not be served, as it failed.
pub(crate) fn take_out(pending: &mut Vec<Pending>, unfit: &Unfit) -> Vec<(FeedRecord, Costs)> {
    let (bad, good) = pending.drain(..).partition(|waiting| unfit.of(waiting.newcomer.admitted.release()).is_some());
    *pending = good;
    let failed = |waiting: Pending| {
        let cause = unfit.of(waiting.newcomer.admitted.release())?;
        Some((failure(waiting.record, &cause), waiting.costs))
    };
    let bad: Vec<Pending> = bad;
    bad.into_iter().filter_map(failed).collect()
}
