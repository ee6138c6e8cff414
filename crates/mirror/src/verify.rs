//! Re-hashes what is held, and compares releases.

use std::collections::{BTreeMap, BTreeSet};

use blob_store::{StoreError, Verification};
use catalog::{Batch, EntryKind, ReleaseFilter, ReleaseRecord};
use model::{Digest, Outcome, Reason, Release, ReleaseId, ReleaseItem, ReleaseState, RoutePath, error_chain};
use serde::Serialize;
use serde_json::{Value, json};

use crate::history::record_data;
use crate::stepped::lost_back;
use crate::{Engine, EngineError};

/// What is wrong with a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlobFault {
    /// Its name.
    pub digest: Digest,
    /// Where it is served, or would be.
    pub routes: Vec<RoutePath>,
    /// What is the matter.
    pub reason: Reason,
    /// What its bytes hash to now; none when it is gone or cannot be read.
    pub actual: Option<Digest>,
    /// Why it cannot be read, when that is so.
    pub error: Option<String>,
}

impl BlobFault {
    fn new(digest: Digest, reason: Reason) -> Self {
        Self { digest, routes: Vec::new(), reason, actual: None, error: None }
    }

    /// The error that says why it cannot be read, judged.
    fn unreadable(digest: Digest, error: &StoreError) -> Self {
        let reason = if error.is_damage() { Reason::BlobDamaged } else { error.reason() };
        Self { error: Some(error_chain(error)), ..Self::new(digest, reason) }
    }
}

/// What re-hashing found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Releases looked at.
    pub releases: usize,
    /// Blobs re-hashed.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong. Damaged blobs were set aside; the next sync fetches them again.
    pub faults: Vec<BlobFault>,
    /// What could not be read, or is not to be believed, for a reason that says nothing about its bytes: a lack of memory
    /// or descriptors, an owner or mode that lets somebody else change it. These were left where they are.
    pub unread: Vec<BlobFault>,
}

/// How one release differs from another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReleaseDiff {
    /// Only in the second.
    pub added: Vec<RoutePath>,
    /// Only in the first.
    pub removed: Vec<RoutePath>,
    /// In both, with other bytes.
    pub changed: Vec<RoutePath>,
    /// In both, the same.
    pub same: usize,
}

impl ReleaseDiff {
    /// How `new` differs from `old`.
    pub fn between(old: &Release, new: &Release) -> Self {
        let before: BTreeMap<&RoutePath, Digest> = old.items.iter().map(|item| (&item.route, item.digest)).collect();
        let after: BTreeMap<&RoutePath, Digest> = new.items.iter().map(|item| (&item.route, item.digest)).collect();
        let mut diff = Self::default();
        for (route, digest) in &after {
            match before.get(route) {
                None => diff.added.push((*route).clone()),
                Some(other) if other != digest => diff.changed.push((*route).clone()),
                Some(_) => diff.same += 1,
            }
        }
        diff.removed =
            before.keys().filter(|route| !after.contains_key(*route)).map(|route| (*route).clone()).collect();
        diff
    }
}

/// What a second look at a blob came to.
pub(crate) enum Seen {
    Good,
    /// Set aside, or gone.
    Damaged(BlobFault),
    /// Left where it is.
    Unread(BlobFault),
}

impl Engine {
    /// Every release whose bytes are held; what the ring serves and the catalog does not know is among them, with the
    /// number 0.
    ///
    /// # Errors
    /// [`EngineError`] when the catalog cannot be read.
    pub async fn held(&self) -> Result<Vec<ReleaseRecord>, EngineError> {
        let mut all = Vec::new();
        for state in [ReleaseState::Admitted, ReleaseState::Quarantined] {
            let filter = ReleaseFilter { state: Some(state), ..ReleaseFilter::default() };
            all.extend(self.ports.catalog.releases(&filter).await?);
        }
        all.extend(self.unrecorded().await?);
        all.sort_by_key(|found| std::cmp::Reverse(found.number));
        Ok(all)
    }

    /// Re-hashes the blobs of these releases. A damaged blob is set aside, so that it is not served and the
    /// next sync fetches it again. `each` is told every blob's size after it was read.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store fail as such.
    pub async fn verify(
        &self,
        releases: &[ReleaseRecord],
        each: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<VerifyReport, EngineError> {
        let mut blobs: BTreeMap<Digest, BTreeSet<RoutePath>> = BTreeMap::new();
        for item in releases.iter().flat_map(|found| &found.release.items) {
            blobs.entry(item.digest).or_default().insert(item.route.clone());
        }
        let report = self.rehash(blobs, each).await?;
        Ok(VerifyReport { releases: releases.len(), ..report })
    }

    /// Re-hashes blobs that could not be served whole, as [`Engine::verify`] does.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store fail as such.
    pub async fn recheck(&self, digests: &[Digest]) -> Result<VerifyReport, EngineError> {
        let blobs = digests.iter().map(|digest| (*digest, BTreeSet::new())).collect();
        self.rehash(blobs, &|_| ()).await
    }

    async fn rehash(
        &self,
        blobs: BTreeMap<Digest, BTreeSet<RoutePath>>,
        each: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<VerifyReport, EngineError> {
        let mut report = VerifyReport { blobs: blobs.len(), ..VerifyReport::default() };
        for (digest, routes) in blobs {
            let fault = match self.ports.blobs.verify(digest).await {
                Ok(Verification::Good(held)) => {
                    report.bytes = report.bytes.saturating_add(held.size());
                    each(held.size());
                    continue;
                }
                Ok(Verification::Absent) => BlobFault::new(digest, Reason::BlobMissing),
                Ok(Verification::Damaged { .. }) | Err(_) => match self.put_out_of_reach(digest).await? {
                    Seen::Damaged(fault) => fault,
                    Seen::Good => continue,
                    Seen::Unread(fault) => {
                        report.unread.push(BlobFault { routes: routes.into_iter().collect(), ..fault });
                        continue;
                    }
                },
            };
            report.faults.push(BlobFault { routes: routes.into_iter().collect(), ..fault });
        }
        if !report.faults.is_empty() {
            self.tell_feeds(&report.faults).await?;
        }
        Ok(report)
    }

    /// Records the damage, and on each feed whose release it concerns, until a run has fetched it again.
    async fn tell_feeds(&self, faults: &[BlobFault]) -> Result<(), EngineError> {
        let _lock = self.ports.locks.publish().await?;
        self.tell_feeds_locked(faults).await
    }

    /// The same for who holds the publication lock.
    pub(crate) async fn tell_feeds_locked(&self, faults: &[BlobFault]) -> Result<(), EngineError> {
        let mut feeds = Vec::new();
        let present = self.present().await?;
        for mut record in self.ports.catalog.feeds().await? {
            if matches!(record.outcome, Outcome::Quarantined | Outcome::Held) {
                continue;
            }
            let served = present.as_ref().and_then(|current| current.generation.feeds.get(&record.feed));
            // Of what is served, of what the vendor was last found to offer, and of what is in `_back`: they differ
            // where an offer was declined.
            let (seat, back) = (served.map(|served| served.release), served.and_then(|served| served.back));
            let Some((hit, item)) = self.hit_of([seat, record.release, back], seat, faults).await? else { continue };
            let id = Some(hit.release.id);
            record.outcome = Outcome::Failed;
            let what = format!("{}: blob {} is damaged or missing", item.route, item.digest);
            let whose = if id == seat { "which is served" } else { "which the vendor was last found to offer" };
            (record.reason, record.detail) = if id != seat && id == back {
                // No run fetches it again, and an older one takes its place.
                (Some(Reason::BlobMissing), Some(lost_back(&what, &hit)))
            } else {
                (Some(Reason::BlobDamaged), Some(format!("{what}; it belongs to release {}, {whose}", hit.number)))
            };
            // What the vendor was heard to say is asked for anew only where the bytes that it spoke of are hit.
            record.validator = record.validator.filter(|_| id != record.release);
            feeds.push(record);
        }
        let records: BTreeMap<String, Value> =
            feeds.iter().map(|record| (record.feed.to_string(), record_data(record))).collect();
        let data = json!({ "act": "set-aside", "faults": faults, "records": records });
        let history = vec![self.entry(EntryKind::Upkeep, "verify", data)];
        Ok(self.ports.catalog.apply(Batch { feeds, history, ..Batch::default() }).await?)
    }

    /// The first of these releases that has a file at fault, where it is to be served: it is admitted, or is `served`.
    async fn hit_of(
        &self,
        ids: [Option<ReleaseId>; 3],
        served: Option<ReleaseId>,
        faults: &[BlobFault],
    ) -> Result<Option<(ReleaseRecord, ReleaseItem)>, EngineError> {
        for id in ids.into_iter().flatten() {
            let Some(found) = self.ports.catalog.release(&id).await? else { continue };
            if found.state != ReleaseState::Admitted && served != Some(id) {
                continue;
            }
            let is_hit = |item: &&ReleaseItem| faults.iter().any(|fault| fault.digest == item.digest);
            if let Some(item) = found.release.items.iter().find(is_hit).cloned() {
                return Ok(Some((found, item)));
            }
        }
        Ok(None)
    }

    /// Sets a blob aside if it is still damaged, when nobody else does the same: a run may have fetched it again in the
    /// meantime. One that cannot be read for want of something else, or that somebody else could change, is left: its bytes
    /// may be good.
    async fn put_out_of_reach(&self, digest: Digest) -> Result<Seen, EngineError> {
        let _lock = self.ports.locks.publish().await?;
        Ok(self.put_out_of_reach_locked(digest).await)
    }

    /// The same for who holds the publication lock.
    pub(crate) async fn put_out_of_reach_locked(&self, digest: Digest) -> Seen {
        let mut fault = match self.ports.blobs.verify(digest).await {
            Ok(Verification::Good(_)) => return Seen::Good,
            Ok(Verification::Absent) => return Seen::Damaged(BlobFault::new(digest, Reason::BlobMissing)),
            Ok(Verification::Damaged { actual, .. }) => {
                BlobFault { actual: Some(actual), ..BlobFault::new(digest, Reason::BlobDamaged) }
            }
            Err(error) => BlobFault::unreadable(digest, &error),
        };
        if fault.reason != Reason::BlobDamaged {
            return Seen::Unread(fault);
        }
        if let Err(aside) = self.ports.blobs.set_aside(digest).await {
            let error = fault.error.take().map_or_else(String::new, |error| format!("{error}; "));
            fault.error = Some(format!("{error}not set aside: {}", error_chain(&aside)));
        }
        Seen::Damaged(fault)
    }
}
