//! What is decided about feeds whose runs have ended: all of it under the publication lock, on what the catalog and
//! the ring say then, so that the operator's acts in between are neither missed nor overwritten.

mod routed;

use std::collections::BTreeSet;

use blob_store::Current;
use catalog::{Batch, FeedRecord, NewRelease, ReleaseFilter, ReleaseRecord, StoredValidator};
use model::{FeedId, Note, Outcome, Reason, Release, ReleaseId, ReleaseState, ServedFeed, VendorVersion};
use trust::{Context, Decision, Proposal, decide};

use crate::feed_run::{Found, Proposed, Settled};
use crate::freshness::keep_ages;
use crate::plan::Newcomer;
use crate::proof::Proven;
use crate::publish::{Done, Pending, Publishing};
use crate::stepped::forget_beside;
use crate::{Ends, Engine, EngineError};

use routed::routed;

/// What a feed's run cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Costs {
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
}

/// What was decided so far about some feeds.
#[derive(Default)]
struct Ruling {
    batch: Batch,
    /// What is to be published.
    pending: Vec<Pending>,
    /// Feeds that need no publication.
    records: Vec<(FeedRecord, Costs)>,
}

/// A decision, and the state that the release had before it.
struct Weighed {
    decision: Decision,
    known: Option<ReleaseState>,
    /// Whether only the ring knows it.
    unrecorded: bool,
}

impl Engine {
    /// Decides about feeds whose runs have ended, records it, and publishes what is admitted, under the publication lock
    /// that the caller holds. `calm` is until when time has surely passed, `since` the last entry before the run.
    pub(crate) async fn rule_locked(
        &self,
        ended: Vec<Settled>,
        (calm, since): (Ends, u64),
        proven: &Proven,
    ) -> Result<Done, EngineError> {
        self.reconcile_locked().await?;
        self.settle_locked().await?;
        let present = self.present().await?;
        let mut ruling = Ruling::default();
        for settled in ended {
            self.rule_one(settled, present.as_ref(), &mut ruling).await?;
        }
        let Ruling { mut batch, pending, mut records } = ruling;
        // What this run did to `_back` before a feed came to its end is not untold by how that ended.
        let made = self.steps_since(since).await?;
        self.tell_steps(&made, &BTreeSet::new(), &mut records).await?;
        for (record, costs) in &records {
            batch.history.push(self.check_entry(record, *costs));
            batch.feeds.push(record.clone());
        }
        // Whatever becomes of the publication, what was decided is decided.
        self.ports.catalog.apply(batch).await?;
        let coming = pending.iter().map(|pending| pending.record.feed.clone()).collect();
        let returns = !self.returning(present.as_ref(), &coming).await?.is_empty();
        // Where the bytes in `_back` are lost, an earlier release takes their place, whatever the vendors answered.
        let lost = self.is_back_lost(present.as_ref()).await?;
        let moves_back = lost || self.is_back_behind(present.as_ref()).await?;
        let mut done = if pending.is_empty() && !returns && !moves_back {
            Done::default()
        } else {
            let what = Publishing::new(pending, Batch::default());
            self.publish_locked(Publishing { calm, proven: proven.clone(), made, ..what }).await?
        };
        // A feed that needed no publication may have been seated by this one: what was published is said last.
        done.records.splice(..0, records);
        Ok(done)
    }

    async fn rule_one(
        &self,
        settled: Settled,
        present: Option<&Current>,
        ruling: &mut Ruling,
    ) -> Result<(), EngineError> {
        let now = self.ports.clock.now();
        let known = self.ports.catalog.feed(&settled.feed).await?;
        let mut record = known.unwrap_or_else(|| FeedRecord::new(settled.feed.clone(), now));
        keep_ages(&mut record, now);
        keep_declined(&mut record, present);
        forget_beside(&mut record);
        let served = present.and_then(|current| current.generation.feeds.get(&record.feed));
        // A feed whose record was lost with the catalog counts from what is served.
        record.mark = record.mark.or_else(|| served.map(|served| served.vendor_version.clone()));
        record.checked_at = now;
        let before = record.clone();
        let offered = settled.offered.map(|offered| offered.vendor_version);
        let costs = Costs { bytes: settled.bytes, requests: settled.requests };
        match settled.result {
            Err(failure) => {
                see(&mut record, offered);
                fail(&mut record, &failure);
            }
            Ok(Found::Unchanged { of, validator }) => {
                see(&mut record, offered);
                self.still(&mut record, of, validator).await?;
            }
            Ok(Found::Proposed(proposed)) => {
                see(&mut record, offered.or_else(|| Some(proposed.proposal.vendor_version().clone())));
                let weighed = self.weigh(*proposed, &mut record, present).await?;
                if let Some(newcomer) = self.settle(weighed, &mut record, &mut ruling.batch) {
                    ruling.pending.push(Pending { newcomer, record, costs });
                    return Ok(());
                }
            }
        }
        self.tell_lost(&mut record, &before, present).await?;
        self.tell_unserved(&mut record, &before, present).await?;
        ruling.records.push((record, costs));
        Ok(())
    }

    /// What the vendor offers is what the run remembered. The record may have moved on since: by the operator's act
    /// while the run asked, or because what a crash had left behind was brought in line.
    async fn still(
        &self,
        record: &mut FeedRecord,
        of: Option<ReleaseId>,
        validator: Option<StoredValidator>,
    ) -> Result<(), EngineError> {
        let spoken_of = match &of {
            Some(id) => self.ports.catalog.release(id).await?,
            None => None,
        };
        let moved = of.is_some() && record.release != of;
        if let Some(found) = spoken_of.as_ref().filter(|found| moved && found.state == ReleaseState::Quarantined) {
            // A word for another was carried out meanwhile: what the vendor offers waits as it did.
            wait(record, found.release.verdict.reasons.first());
            (record.release, record.validator) = (of, validator);
            return Ok(());
        }
        let declined = spoken_of.filter(|found| {
            found.state == ReleaseState::Rejected || (!moved && record.declined == Some(found.release.id))
        });
        match declined {
            // A run that failed for want of what is served instead of it begins anew.
            Some(found)
                if moved || record.outcome == Outcome::Failed || record.reason != Some(Reason::RejectedBefore) =>
            {
                unchanged(record);
                turn_down(record, &found.release);
                record.release = of;
                record.validator = validator;
            }
            // The answer says nothing about what the record speaks of: the next run asks without a condition.
            _ if moved => record.validator = None,
            // What the operator let in did not reach the ring, and the record says why: it is not what is served.
            _ if record.word.is_some() => record.validator = None,
            _ => {
                unchanged(record);
                record.validator = validator.or(record.validator.take());
            }
        }
        Ok(())
    }

    async fn weigh(
        &self,
        proposed: Proposed,
        record: &mut FeedRecord,
        present: Option<&Current>,
    ) -> Result<Weighed, EngineError> {
        let Proposed { proposal, provenance, attested_by, validator } = proposed;
        let mut context = self.context(&proposal, record, present).await?;
        record.validator = validator;
        let id = proposal.id();
        // A catalog that was lost does not make the ring forget the operator's word.
        let unrecorded = context.known.is_none() && self.is_denied(&record.feed, &id, present).await?;
        if unrecorded {
            context.known = Some(ReleaseState::Rejected);
        }
        let decision = decide(proposal, attested_by, provenance, &context, record.checked_at);
        Ok(Weighed { decision, known: context.known, unrecorded })
    }

    async fn context(
        &self,
        proposal: &Proposal,
        record: &FeedRecord,
        present: Option<&Current>,
    ) -> Result<Context, EngineError> {
        let catalog = &self.ports.catalog;
        let known = catalog.release(&proposal.id()).await?;
        let of_feed = ReleaseFilter { feed: Some(record.feed.clone()), ..ReleaseFilter::default() };
        let version = proposal.vendor_version();
        // Those that were admitted once, whatever became of them: other bytes under a version are suspect even where the
        // first ones were rolled back from.
        let same = ReleaseFilter { version: Some(version.version.clone()), ..of_feed.clone() };
        let same = catalog.releases(&same).await?;
        let mut same_version: Vec<_> = same
            .into_iter()
            .filter(|found| found.release.vendor_version == *version && was_admitted(found))
            .map(|found| found.release.id)
            .collect();
        let admitted = ReleaseFilter { state: Some(ReleaseState::Admitted), ..of_feed };
        let last = catalog.releases(&ReleaseFilter { limit: 1, ..admitted }).await?.into_iter().next();
        // A catalog that was lost, or that a crash left behind the ring, does not make the ring forget what it serves.
        let served = present.and_then(|current| current.generation.feeds.get(&record.feed));
        if let Some(served) = served.filter(|served| served.vendor_version == *version) {
            same_version.push(served.release);
        }
        let serving = match served {
            Some(served) => catalog.release(&served.release).await?.map(|found| found.release),
            None => None,
        };
        let mut served_instead =
            known.as_ref().and_then(|known| went_before(&known.release, served?, serving.as_ref()));
        // The very bytes that are served, at another path or at more than one: nothing differs under the version.
        if serving.is_some_and(|serving| proposal.has_the_bytes_of(&serving.items)) {
            same_version.clear();
            served_instead = None;
        }
        let last = last.map(|found| found.release.items);
        Ok(Context {
            mark: newest(record.mark.clone(), served.map(|served| served.vendor_version.clone())),
            same_version,
            served_instead,
            last: last.or_else(|| routed(&present?.generation, &record.feed, proposal)),
            standing: known.as_ref().map(|found| found.release.verdict.reasons.clone()).unwrap_or_default(),
            known: known.and_then(counts_as),
            bounds: self.settings.bounds,
        })
    }

    /// Writes a decision into the record; gives back what is to be published.
    fn settle(&self, weighed: Weighed, record: &mut FeedRecord, batch: &mut Batch) -> Option<Newcomer> {
        let Weighed { decision, known, unrecorded } = weighed;
        let declined = record.declined;
        let succeeded_before = record.succeeded_at;
        record.succeeded_at = Some(record.checked_at);
        record.failures = 0;
        record.reason = None;
        record.detail = None;
        let recorded = batch.releases.len();
        let (release, word) = match decision {
            // The operator declined this very offer: coming back with it changes nothing.
            Decision::Quarantined(release) if declined == Some(release.id) => {
                turn_down(record, &release);
                (release, "rejected-before")
            }
            Decision::Admitted(admitted) if declined == Some(admitted.release().id) => {
                turn_down(record, admitted.release());
                (admitted.into_release(), "rejected-before")
            }
            Decision::Admitted(admitted) => {
                let release = admitted.release().clone();
                record.release = Some(release.id);
                batch.history.push(self.verdict_entry(&release, "admitted", Some(ReleaseState::Admitted)));
                batch.releases.push(NewRelease { release, state: ReleaseState::Admitted });
                return Some(Newcomer { admitted, takes_paths: false });
            }
            Decision::Quarantined(release) => {
                // What waits for a person is not in order, however often it is looked at.
                record.succeeded_at = succeeded_before;
                self.quarantine(&release, known, record, batch);
                (release, "quarantined")
            }
            Decision::RejectedBefore(release) => {
                turn_down(record, &release);
                if unrecorded {
                    batch.releases.push(NewRelease { release: release.clone(), state: ReleaseState::Rejected });
                }
                (release, "rejected-before")
            }
        };
        record.release = Some(release.id);
        let state = batch.releases.get(recorded).map(|new| new.state);
        batch.history.push(self.verdict_entry(&release, word, state));
        None
    }

    /// A release that was admitted before and is offered again as a regression keeps its own state: it is the
    /// offer that is quarantined.
    fn quarantine(&self, release: &Release, known: Option<ReleaseState>, record: &mut FeedRecord, batch: &mut Batch) {
        wait(record, release.verdict.reasons.first());
        tracing::warn!(
            feed = %record.feed, release = %release.id.short(), reason = record.reason.map(Reason::code),
            "quarantined: `waystation release admit|reject {}`", release.id.short()
        );
        if known != Some(ReleaseState::Admitted) {
            batch.releases.push(NewRelease { release: release.clone(), state: ReleaseState::Quarantined });
        }
    }
}

/// Earlier versions kept that an offer was declined in the reason alone, which a failed run replaces.
fn keep_declined(record: &mut FeedRecord, present: Option<&Current>) {
    let served = present.and_then(|current| current.generation.feeds.get(&record.feed)).map(|served| served.release);
    if record.reason == Some(Reason::RejectedBefore) && record.declined.is_none() && record.release != served {
        record.declined = record.release;
    }
}

/// Retention never admits: a release that something spoke against, and whose bytes were let go, is weighed anew.
fn counts_as(found: ReleaseRecord) -> Option<ReleaseState> {
    let spoken_against = !found.release.verdict.reasons.is_empty();
    (found.state != ReleaseState::Expired || !spoken_against).then_some(found.state)
}

/// What is served under the version of a release that came before it. Another engine beside the same definitions is
/// something else, and came before if it was held before.
fn went_before(release: &Release, served: &ServedFeed, serving: Option<&Release>) -> Option<ReleaseId> {
    let (theirs, ours) = (&release.vendor_version, &served.vendor_version);
    let is_older = || serving.is_some_and(|serving| release.held_since < serving.held_since);
    (theirs == ours || theirs.version == ours.version && is_older()).then_some(served.release)
}

fn was_admitted(found: &ReleaseRecord) -> bool {
    match found.state {
        ReleaseState::Admitted => true,
        ReleaseState::Quarantined => false,
        ReleaseState::Rejected | ReleaseState::Expired => found.release.verdict.reasons.is_empty(),
    }
}

fn newest(a: Option<VendorVersion>, b: Option<VendorVersion>) -> Option<VendorVersion> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.version > a.version { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn see(record: &mut FeedRecord, offered: Option<VendorVersion>) {
    if offered.is_some() && offered != record.offered {
        record.offered = offered;
        record.changed_at = Some(record.checked_at);
        record.set_back_from = None;
    }
}

pub(crate) fn fail(record: &mut FeedRecord, failure: &Note) {
    record.outcome = Outcome::Failed;
    record.reason = Some(failure.reason);
    record.detail = Some(failure.detail.clone());
    record.validator = None;
    // To be stopped says nothing about the vendor.
    if failure.reason != Reason::Interrupted {
        record.failures = record.failures.saturating_add(1);
    }
    tracing::warn!(feed = %record.feed, reason = failure.reason.code(), detail = %failure.detail, "feed failed");
}

/// The verdict on what the vendor still offers stands: a quarantine stays one.
fn unchanged(record: &mut FeedRecord) {
    if record.outcome != Outcome::Quarantined {
        record.succeeded_at = Some(record.checked_at);
    }
    record.failures = 0;
    // What failed was not the vendor's, or nothing would be remembered of it: it is judged anew.
    if record.outcome == Outcome::Failed || record.reason == Some(Reason::BlobMissing) {
        (record.reason, record.detail) = (None, None);
    }
    if matches!(record.outcome, Outcome::Published | Outcome::Failed) {
        record.outcome = Outcome::Current;
    }
}

/// What the vendor offers waits for a person.
fn wait(record: &mut FeedRecord, why: Option<&Note>) {
    record.outcome = Outcome::Quarantined;
    record.reason = why.map(|note| note.reason);
    record.detail = why.map(|note| note.detail.clone());
}

fn turn_down(record: &mut FeedRecord, release: &Release) {
    record.outcome = Outcome::Current;
    record.reason = Some(Reason::RejectedBefore);
    record.detail = Some(format!("release {} is offered again", release.id.short()));
}

/// The feed that a finished run belongs to, for a run that died.
/// A feed whose run was stopped before it came to its end.
pub(crate) fn interrupted(feed: FeedId) -> Settled {
    let failure = crate::feed_run::note(Reason::Interrupted, "the run was asked to stop before this feed was done");
    Settled { feed, offered: None, bytes: 0, requests: 0, result: Err(failure) }
}

pub(crate) fn died(feed: FeedId, error: &str) -> Settled {
    let failure = crate::feed_run::note(Reason::Internal, error);
    Settled { feed, offered: None, bytes: 0, requests: 0, result: Err(failure) }
}
