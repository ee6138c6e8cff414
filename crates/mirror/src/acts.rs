//! The operator's acts on releases. Each is decided and recorded under the publication lock.

use catalog::{Batch, EntryKind, FeedRecord, ReleaseRecord};
use model::{FeedId, Note, Outcome, Reason, Release, ReleaseId, ReleaseState};
use serde::Serialize;
use serde_json::json;
use trust::Admitted;

use crate::history::record_data;
use crate::plan::Newcomer;
use crate::proof::Proven;
use crate::publish::{Pending, Publishing};
use crate::ruling::Costs;
use crate::{Engine, EngineError};

/// What an act did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActReport {
    /// The release acted on.
    pub release: ReleaseId,
    /// Its feed.
    pub feed: FeedId,
    /// How the feed stands now.
    pub outcome: Outcome,
    /// The generation that the act published, if it did.
    pub generation: Option<u64>,
    /// What else is to be known.
    pub detail: Option<String>,
}

impl Engine {
    /// Finds the one release that a text names: its number, or the beginning of its id.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRelease`] when none or several fit.
    pub async fn find_release(&self, text: &str) -> Result<ReleaseRecord, EngineError> {
        let mut found = self.ports.catalog.find_releases(text).await?;
        match (found.pop(), found.len()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(EngineError::NoSuchRelease(format!(
                "no release '{}'; give its number, or at least 8 digits of its id, as `waystation release list` shows them",
                text.escape_default()
            ))),
            (Some(_), more) => {
                Err(EngineError::NoSuchRelease(format!("{} releases begin with '{text}'; give more digits", more + 1)))
            }
        }
    }

    /// Ends a quarantine, a rejection or a path conflict in the release's favour: the mark is set to it, even
    /// backwards, and it is published. Going back rolls back from what was served: that release counts as rejected
    /// from then on, so neither the next sync nor `_back` brings it back.
    ///
    /// # Errors
    /// [`EngineError::NotNow`] when its bytes were let go or it is what is served.
    pub async fn admit(&self, text: &str, why: &str) -> Result<ActReport, EngineError> {
        let done = self.try_admit(text, why).await;
        if let Err(error) = &done {
            self.record_refusal("admit", text, why, error).await;
        }
        done
    }

    async fn try_admit(&self, text: &str, why: &str) -> Result<ActReport, EngineError> {
        let _lock = self.ports.locks.publish().await?;
        self.reconcile_locked().await?;
        let found = self.find_release(text).await?;
        let (release, state) = (found.release.clone(), found.state);
        let Some(admitted) = Admitted::by_operator(found.release.clone(), state) else {
            return Err(self.without_bytes(&found).await?);
        };
        let present = self.present().await?;
        let served = present.as_ref().and_then(|current| current.generation.feeds.get(&release.feed));
        if served.is_some_and(|served| served.release == release.id) {
            let ring = &self.settings.ring;
            return Err(EngineError::NotNow(format!("release {} is what ring {ring} serves", found.number)));
        }
        let left = served.filter(|served| release.vendor_version.version < served.vendor_version.version);
        let left = left.map(|served| served.release);
        // Before anything is recorded: endpoints must not lose what is whole to what rotted meanwhile.
        let proven = Proven::default();
        if let Some(why) = self.prove_release(&release, present.as_ref(), &proven).await?.any() {
            return Err(self.not_as_held(&found, &why).await?);
        }
        let mut record = self.record_of(&release).await?;
        if waits(&record, &release) {
            in_order(&mut record);
        }
        if record.release != Some(release.id) {
            // The validator belongs to another release than the one that the record speaks of from now on.
            record.validator = None;
        }
        record.reason = None;
        record.detail = None;
        self.let_in(&release, state, left, why).await?;
        if self.missing(&release).await.is_some() {
            self.take_back(&release, state, left).await?;
            return Err(self.without_bytes(&found).await?);
        }
        let pending = Pending { newcomer: Newcomer { admitted, takes_paths: true }, record, costs: Costs::default() };
        let publishing = Publishing { proven, ..Publishing::new(vec![pending], Batch::default()) };
        let done = self.publish_locked(publishing).await?;
        let ended = done.records.into_iter().map(|(record, _)| record).find(|record| record.feed == release.feed);
        if left.is_some() && done.published.is_some() {
            self.forget_rejected().await;
        }
        let rolled_back =
            left.map(|left| format!("rolled back from release {}, which counts as rejected now", left.short()));
        Ok(ActReport {
            release: release.id,
            feed: release.feed,
            outcome: ended.as_ref().map_or(Outcome::Failed, |record| record.outcome),
            generation: done.published,
            detail: ended.and_then(|record| record.detail).or(rolled_back),
        })
    }

    /// Its bytes were let go: has the next run fetch what the vendor offers, whatever it held of it before.
    async fn without_bytes(&self, found: &ReleaseRecord) -> Result<EngineError, EngineError> {
        let mut record = self.record_of(&found.release).await?;
        record.validator = None;
        self.ports.catalog.apply(Batch { feeds: vec![record], ..Batch::default() }).await?;
        Ok(EngineError::NotNow(format!(
            "release {} has no bytes any more; the next sync fetches it if the vendor still offers it, then admit it",
            found.number
        )))
    }

    /// Some of its bytes changed on the disk, or cannot be read: has the next run fetch what the vendor offers.
    async fn not_as_held(&self, found: &ReleaseRecord, why: &Note) -> Result<EngineError, EngineError> {
        let Note { reason, detail } = why;
        if *reason == Reason::StoreFailed {
            let detail = format!("release {} was not let in: {detail}", found.number);
            return Ok(EngineError::NotPublished(Note { reason: *reason, detail }));
        }
        self.without_bytes(found).await?;
        let detail = format!(
            "release {} was not let in, and what is served is served on: {detail}; the next sync fetches it if the vendor \
             still offers it, then admit it",
            found.number
        );
        Ok(EngineError::NotPublished(Note { reason: *reason, detail }))
    }

    /// Records the operator's word. From here on the release's blobs are in use, so that gc leaves them alone.
    async fn let_in(
        &self,
        release: &Release,
        was: ReleaseState,
        left: Option<ReleaseId>,
        why: &str,
    ) -> Result<(), EngineError> {
        let now = self.ports.clock.now();
        let data = json!({
            "act": "admit", "why": why, "was": was, "feed": release.feed, "mark": release.vendor_version,
            "rolled_back_from": left, "state": ReleaseState::Admitted,
        });
        let mut states = vec![(release.id, ReleaseState::Admitted, now)];
        states.extend(left.map(|left| (left, ReleaseState::Rejected, now)));
        let mut history = vec![self.entry(EntryKind::Act, release.id.to_string(), data)];
        history.extend(left.map(|left| {
            let data = json!({
                "act": "roll-back", "why": why, "feed": release.feed, "to": release.id, "state": ReleaseState::Rejected,
            });
            self.entry(EntryKind::Act, left.to_string(), data)
        }));
        Ok(self.ports.catalog.apply(Batch { states, history, ..Batch::default() }).await?)
    }

    /// Its bytes went between the look and the word.
    async fn take_back(
        &self,
        release: &Release,
        was: ReleaseState,
        left: Option<ReleaseId>,
    ) -> Result<(), EngineError> {
        let now = self.ports.clock.now();
        let data =
            |state| json!({ "act": "admit", "undone": "its bytes are gone", "feed": release.feed, "state": state });
        let mut states = vec![(release.id, was, now)];
        states.extend(left.map(|left| (left, ReleaseState::Admitted, now)));
        let undone = states.iter().map(|(id, state, _)| self.entry(EntryKind::Act, id.to_string(), data(*state)));
        let history = undone.collect();
        Ok(self.ports.catalog.apply(Batch { states, history, ..Batch::default() }).await?)
    }

    /// Ends a quarantine or a path conflict against the release: it is not served, and the mark stays where it was.
    /// Where an offer was quarantined because it goes back to a release that was admitted before, it is the offer
    /// that is declined; the release keeps its state.
    ///
    /// # Errors
    /// [`EngineError::NotNow`] when there is nothing to reject.
    pub async fn reject(&self, text: &str, why: &str) -> Result<ActReport, EngineError> {
        let done = self.try_reject(text, why).await;
        if let Err(error) = &done {
            self.record_refusal("reject", text, why, error).await;
        }
        done
    }

    async fn try_reject(&self, text: &str, why: &str) -> Result<ActReport, EngineError> {
        let _lock = self.ports.locks.publish().await?;
        self.reconcile_locked().await?;
        let found = self.find_release(text).await?;
        let release = &found.release;
        let mut record = self.record_of(release).await?;
        let offered = record.release == Some(release.id);
        let waits = waits(&record, release);
        let declines = found.state == ReleaseState::Admitted && record.outcome == Outcome::Quarantined;
        if matches!(found.state, ReleaseState::Admitted | ReleaseState::Expired) && !waits {
            let number = found.number;
            return Err(EngineError::NotNow(format!(
                "release {number} is {} and waits for nothing; to leave it, admit another release of {}",
                found.state, release.feed
            )));
        }
        if waits {
            in_order(&mut record);
        }
        if offered {
            record.outcome = Outcome::Current;
            record.reason = Some(Reason::RejectedBefore);
            record.detail = Some(format!("release {} was rejected: {why}", release.id.short()));
        }
        let mut data = json!({
            "act": "reject", "why": why, "was": found.state, "feed": release.feed,
            "of": if declines { "offer" } else { "release" }, "record": record_data(&record),
        });
        if let (false, Some(members)) = (declines, data.as_object_mut()) {
            members.insert("state".to_owned(), json!(ReleaseState::Rejected));
        }
        let state = (release.id, ReleaseState::Rejected, self.ports.clock.now());
        let batch = Batch {
            feeds: vec![record.clone()],
            states: if declines { Vec::new() } else { vec![state] },
            history: vec![self.entry(EntryKind::Act, release.id.to_string(), data)],
            ..Batch::default()
        };
        self.ports.catalog.apply(batch).await?;
        Ok(ActReport {
            release: release.id,
            feed: release.feed.clone(),
            outcome: record.outcome,
            generation: None,
            detail: record.detail,
        })
    }

    async fn record_of(&self, release: &Release) -> Result<FeedRecord, EngineError> {
        let known = self.ports.catalog.feed(&release.feed).await?;
        Ok(known.unwrap_or_else(|| FeedRecord::new(release.feed.clone(), self.ports.clock.now())))
    }
}

/// Whether a release is what the vendor was last found to offer, and waits for a person.
fn waits(record: &FeedRecord, release: &Release) -> bool {
    record.release == Some(release.id) && matches!(record.outcome, Outcome::Quarantined | Outcome::Held)
}

/// The vendor was asked and answered as it should; only the word was missing that is given now.
fn in_order(record: &mut FeedRecord) {
    record.succeeded_at = Some(record.checked_at);
}
