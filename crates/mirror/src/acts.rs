//! The operator's acts on releases. Each is decided and recorded under the publication lock.

use catalog::{Batch, EntryKind, FeedRecord, ReleaseRecord, Word};
use model::{FeedId, Note, Outcome, Reason, Release, ReleaseId, ReleaseState};
use serde::Serialize;
use serde_json::json;
use trust::Admitted;

use crate::history::record_data;
use crate::missing::is_lost;
use crate::plan::Newcomer;
use crate::proof::Proven;
use crate::publish::{Pending, Publishing};
use crate::ruling::Costs;
use crate::standing::{Standing, waits};
use crate::stepped::LostBack;
use crate::word::{in_order, leaves, let_in};
use crate::{Engine, EngineError};

/// What an act did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActReport {
    /// The release acted on.
    pub release: ReleaseId,
    /// Its feed.
    pub feed: FeedId,
    /// What the release counts as now.
    pub state: ReleaseState,
    /// How the feed stands now.
    pub outcome: Outcome,
    /// The generation that the act published, if it did. One that a rejection published serves the same as the one
    /// before, and remembers the word.
    pub generation: Option<u64>,
    /// What else is to be known.
    pub detail: Option<String>,
    /// Where `_back` of any feed went on to an older release, or to none, because the bytes of the one before are lost.
    pub lost_back: Vec<LostBack>,
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
    /// backwards, and it is published. Going back, also to another release of the same version, rolls back from what was
    /// served: that release counts as rejected from then on, so neither the next sync nor `_back` brings it back.
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
        let begun = self.ports.catalog.chain_head().await?.seq;
        self.reconcile_locked().await?;
        let Standing { found, present, takes_back } = self.settle_around(text, "admit").await?;
        let (release, state) = (found.release.clone(), found.state);
        let Some(admitted) = Admitted::by_operator(found.release.clone(), state) else {
            return Err(self.without_bytes(&found).await?);
        };
        let served = present.as_ref().and_then(|current| current.generation.feeds.get(&release.feed));
        let stays = served.is_some_and(|served| served.release == release.id);
        if stays && state == ReleaseState::Admitted && takes_back.is_none() {
            let ring = &self.settings.ring;
            return Err(EngineError::NotNow(format!("release {} is what ring {ring} serves", found.number)));
        }
        // A word that is given once more is the same word.
        let was = takes_back.filter(|word| word.release == release.id).map_or(state, |word| word.was);
        let mut left: Vec<ReleaseId> =
            served.filter(|_| leaves(&release, was, served)).map(|served| served.release).into_iter().collect();
        left.extend(self.overtaken((&release, was), takes_back).await?);
        // Before anything is recorded: endpoints must not lose what is whole to what rotted meanwhile.
        let proven = Proven::default();
        let unfit = self.prove_release(&release, present.as_ref(), &proven).await?.any();
        // What is served as `_back` is not read again, and may be there without being believed.
        let exposed = self.missing(&release).await.filter(|why| !is_lost(why));
        if let Some(why) = unfit.or(exposed) {
            return Err(self.not_as_held(&found, &why).await?);
        }
        let before = self.record_of(&release).await?;
        let word = Word { release: release.id, was, over: served.map(|served| served.release) };
        let record = let_in(before.clone(), word);
        self.give_word(&word, &record, &left, why).await?;
        if self.missing(&release).await.is_some() {
            let taken_back = self.withdrawal(&word, &left, before).await?;
            self.ports.catalog.apply(taken_back).await?;
            return Err(self.without_bytes(&found).await?);
        }
        let record = FeedRecord { detail: None, ..record };
        let pending = Pending { newcomer: Newcomer { admitted, takes_paths: true }, record, costs: Costs::default() };
        let publishing = Publishing { proven, ..Publishing::new(vec![pending], Batch::default()) };
        let done = self.publish_locked(publishing).await?;
        let ended = done.records.into_iter().map(|(record, _)| record).find(|record| record.feed == release.feed);
        let rolled_back =
            left.first().map(|left| format!("rolled back from release {}, which counts as rejected now", left.short()));
        let kept = stays.then(|| "it is served as before: what was to be served in its stead is not".to_owned());
        let passed_by = self.passed_by(&release.feed).await?;
        let outcome = ended.as_ref().map_or(Outcome::Failed, |record| record.outcome);
        let told: Vec<String> =
            ended.and_then(|record| record.detail).or(rolled_back).or(kept).into_iter().chain(passed_by).collect();
        Ok(ActReport {
            release: release.id,
            feed: release.feed,
            state: ReleaseState::Admitted,
            outcome,
            generation: done.published,
            detail: (!told.is_empty()).then(|| told.join("; ")),
            lost_back: self.steps_since(begun).await?,
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
        if matches!(reason, Reason::StoreFailed | Reason::UnsafeFile) {
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

    /// Records the operator's word. From here on the release's blobs are in use, so that gc leaves them alone, and whoever
    /// takes the publication lock next carries it out.
    async fn give_word(
        &self,
        word: &Word,
        record: &FeedRecord,
        left: &[ReleaseId],
        why: &str,
    ) -> Result<(), EngineError> {
        let (now, feed) = (self.ports.clock.now(), &record.feed);
        let data = json!({
            "act": "admit", "why": why, "was": word.was, "feed": feed, "rolled_back_from": left.first(),
            "state": ReleaseState::Admitted, "record": record_data(record),
        });
        let mut states = vec![(word.release, ReleaseState::Admitted, now)];
        for left in left {
            // A catalog that was lost does not know it: the ring remembers that it was left.
            if self.ports.catalog.release(left).await?.is_some() {
                states.push((*left, ReleaseState::Rejected, now));
            }
        }
        let mut history = vec![self.entry(EntryKind::Act, word.release.to_string(), data)];
        history.extend(left.iter().map(|left| {
            let data = json!({
                "act": "roll-back", "why": why, "feed": feed, "to": word.release, "state": ReleaseState::Rejected,
            });
            self.entry(EntryKind::Act, left.to_string(), data)
        }));
        let feeds = vec![record.clone()];
        Ok(self.ports.catalog.apply(Batch { feeds, states, history, ..Batch::default() }).await?)
    }

    /// Ends a quarantine or a path conflict against the release, or bars one that was admitted and is not what is served:
    /// then `_back` has it no longer. The mark stays where it was. The ring remembers it: a generation is published that
    /// serves the same as before but for that.
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
        let begun = self.ports.catalog.chain_head().await?.seq;
        self.reconcile_locked().await?;
        let standing = self.settle_around(text, "reject").await?;
        let mut record = self.record_of(&standing.found.release).await?;
        standing.may_be_rejected(&record)?;
        let Standing { found, takes_back, .. } = standing;
        let release = &found.release;
        let offered = record.release == Some(release.id);
        let declines = found.state == ReleaseState::Admitted
            && (offered && record.outcome == Outcome::Quarantined)
            && takes_back.is_none();
        if waits(&record, release) {
            in_order(&mut record);
        }
        if takes_back.is_some() {
            record.word = None;
        }
        if declines {
            record.declined = Some(release.id);
        }
        if offered {
            record.outcome = Outcome::Current;
            record.reason = Some(Reason::RejectedBefore);
            record.detail = Some(told(release, why, declines));
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
        let (generation, unkept) = if declines { (None, None) } else { self.keep_rejection().await };
        Ok(ActReport {
            release: release.id,
            feed: release.feed.clone(),
            state: if declines { found.state } else { ReleaseState::Rejected },
            outcome: record.outcome,
            generation,
            detail: unkept.or_else(|| record.detail.filter(|_| offered)).or_else(|| Some(told(release, why, declines))),
            lost_back: self.steps_since(begun).await?,
        })
    }

    /// Has the ring remember what was rejected, so that it holds where the catalog is lost; the generation that does, or
    /// why none could be published.
    async fn keep_rejection(&self) -> (Option<u64>, Option<String>) {
        let done = self.publish_locked(Publishing::new(Vec::new(), Batch::default())).await;
        let (published, failure) = match done {
            Ok(done) => (done.published, done.failure.map(|cause| cause.detail)),
            Err(error) => (None, Some(model::error_chain(&error))),
        };
        let unkept = failure.map(|cause| {
            format!("the ring does not remember it yet, so it hangs on the catalog until the next sync: {cause}")
        });
        (published, unkept)
    }

    pub(crate) async fn record_of(&self, release: &Release) -> Result<FeedRecord, EngineError> {
        let known = self.ports.catalog.feed(&release.feed).await?;
        Ok(known.unwrap_or_else(|| FeedRecord::new(release.feed.clone(), self.ports.clock.now())))
    }
}

/// What the feed's record says of a rejection.
fn told(release: &Release, why: &str, declines: bool) -> String {
    let id = release.id.short();
    if declines {
        format!("going back to release {id} was declined, and what is served stays: {why}")
    } else {
        format!("release {id} was rejected: {why}")
    }
}
