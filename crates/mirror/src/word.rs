//! The operator's word to serve a release, from when it is recorded until the ring follows it: whatever comes between,
//! whoever takes the publication lock next carries it out.

use blob_store::Current;
use catalog::{Batch, Entry, EntryFilter, EntryKind, EntryOrder, FeedRecord, ReleaseRecord, Word};
use model::{FeedId, Outcome, Reason, Release, ReleaseId, ReleaseState, ServedFeed};
use serde_json::{Value, json};
use trust::Admitted;

use crate::history::{particulars, record_data};
use crate::plan::Newcomer;
use crate::publish::{Pending, Publishing};
use crate::ruling::Costs;
use crate::settle::LOOKED_AT;
use crate::{Engine, EngineError};

impl Engine {
    /// Adds to a publication what the ring is to serve by the operator's word and does not yet; a word that was overtaken
    /// or cannot be kept ends. The feed that the operator speaks of just then is spared.
    pub(crate) async fn add_words(
        &self,
        present: Option<&Current>,
        spared: Option<&FeedId>,
        what: &mut Publishing,
    ) -> Result<(), EngineError> {
        for record in self.ports.catalog.feeds().await? {
            if spared == Some(&record.feed) {
                continue;
            }
            let served = present.and_then(|current| current.generation.feeds.get(&record.feed));
            if let Some(word) = self.word_on(&record, served).await? {
                self.add_word((record, word), served, what).await?;
            }
        }
        Ok(())
    }

    async fn add_word(
        &self,
        (record, word): (FeedRecord, Word),
        served: Option<&ServedFeed>,
        what: &mut Publishing,
    ) -> Result<(), EngineError> {
        let feed = &record.feed;
        let found = self.ports.catalog.release(&word.release).await?;
        let stands = |found: &ReleaseRecord| found.state == ReleaseState::Admitted && !is_over(&word, found, served);
        let Some(found) = found.filter(stands) else {
            let record = ended(record, &word, served);
            what.batch.history.push(self.check_entry(&record, Costs::default()));
            what.batch.feeds.push(record);
            return Ok(());
        };
        if !self.is_held(&found.release).await? {
            if leaves(&found.release, word.was, served) {
                tracing::error!(%feed, release = found.number, "what the operator went back to is not held any more");
                return Ok(());
            }
            let detail = format!(
                "release {} was let in and is not held any more: admit it once it is fetched again",
                found.number
            );
            let failed = FeedRecord {
                outcome: Outcome::Failed,
                reason: Some(Reason::StoreFailed),
                detail: Some(detail),
                word: None,
                ..record.clone()
            };
            let taken_back = self.withdrawal(&word, &[], failed).await?;
            return Ok(self.ports.catalog.apply(taken_back).await?);
        }
        let Some(admitted) = Admitted::restore(found.release, found.state) else { return Ok(()) };
        tracing::warn!(%feed, release = found.number, "the operator's word had not reached the ring: it is carried out now");
        let data = json!({ "act": "carry-out", "feed": feed, "from": word.over, "to": word.release });
        what.batch.history.push(self.entry(EntryKind::Upkeep, word.release.to_string(), data));
        let record = FeedRecord { detail: None, ..let_in(record, word) };
        let newcomer = Newcomer { admitted, takes_paths: true };
        what.pending.push(Pending { newcomer, record, costs: Costs::default() });
        Ok(())
    }

    /// Takes a word back whose release is not held: all is as it was before, but that the vendor is asked without a
    /// condition.
    pub(crate) async fn withdrawal(
        &self,
        word: &Word,
        left: &[ReleaseId],
        record: FeedRecord,
    ) -> Result<Batch, EngineError> {
        let now = self.ports.clock.now();
        let record = FeedRecord { validator: None, ..record };
        let mut states = vec![(word.release, word.was, now)];
        for left in left {
            if self.ports.catalog.release(left).await?.is_some() {
                states.push((*left, ReleaseState::Admitted, now));
            }
        }
        let data = |state: ReleaseState| {
            json!({
                "act": "admit", "undone": "its bytes are gone", "feed": record.feed, "state": state,
                "record": record_data(&record),
            })
        };
        let undone = states.iter().map(|(id, state, _)| self.entry(EntryKind::Act, id.to_string(), data(*state)));
        let history = undone.collect();
        Ok(Batch { feeds: vec![record], states, history, ..Batch::default() })
    }

    /// The word on a feed that the ring does not follow yet, if there is one.
    pub(crate) async fn word_on(
        &self,
        record: &FeedRecord,
        served: Option<&ServedFeed>,
    ) -> Result<Option<Word>, EngineError> {
        let Some(id) = record.release.filter(|_| record.word.is_none()) else { return Ok(record.word) };
        // Earlier versions left a quarantine on the record until the ring had moved.
        let waits = record.outcome == Outcome::Quarantined && record.declined != Some(id);
        if !waits || served.is_some_and(|served| served.release == id) {
            return Ok(None);
        }
        let found = self.ports.catalog.release(&id).await?;
        if found.is_none_or(|found| found.state != ReleaseState::Admitted) {
            return Ok(None);
        }
        let Some(act) = self.last_word(&id).await?.filter(|act| said(act, "act").as_deref() == Some("admit")) else {
            return Ok(None);
        };
        let was = said(&act, "was").and_then(|word| ReleaseState::from_word(&word));
        let word =
            Word { release: id, was: was.unwrap_or(ReleaseState::Quarantined), over: served.map(|it| it.release) };
        Ok(self.is_unfinished(&act, record, &id).await?.then_some(word))
    }

    /// The newest act on a release that was not refused.
    async fn last_word(&self, id: &ReleaseId) -> Result<Option<Entry>, EngineError> {
        let kinds = vec![EntryKind::Act];
        let filter = EntryFilter { kinds, subject: Some(id.to_string()), ..EntryFilter::default() };
        let acts = self.ports.catalog.entries(&filter, EntryOrder::NewestFirst, LOOKED_AT).await?;
        let counts = |act: &Entry| {
            let data = particulars(act);
            data.get("refused").is_none() && data.get("undone").is_none()
        };
        Ok(acts.into_iter().find(counts))
    }

    /// Whether the act was not followed by its publication, which would be the first that was begun since.
    async fn is_unfinished(&self, act: &Entry, record: &FeedRecord, id: &ReleaseId) -> Result<bool, EngineError> {
        let filter = EntryFilter {
            from: act.seq,
            kinds: vec![EntryKind::PublicationIntended, EntryKind::PublicationDone, EntryKind::PublicationAbandoned],
            subject: Some(self.settings.ring.to_string()),
            ..EntryFilter::default()
        };
        let found = self.ports.catalog.entries(&filter, EntryOrder::OldestFirst, 2).await?;
        let [begun, end] = found.as_slice() else { return Ok(true) };
        let data = particulars(begun);
        let served = data.get("feeds").and_then(|feeds| feeds.get(record.feed.as_str())?.get("release")?.as_str());
        let is_its = served.and_then(|release| release.parse().ok()) == Some(*id);
        Ok(!is_its || end.kind != EntryKind::PublicationDone)
    }
}

fn said(act: &Entry, name: &str) -> Option<String> {
    particulars(act).get(name).and_then(Value::as_str).map(ToOwned::to_owned)
}

/// The feed's record from when the operator has let a release in until the ring serves it.
pub(crate) fn let_in(mut record: FeedRecord, word: Word) -> FeedRecord {
    if record.release != Some(word.release) {
        // The validator belongs to another release than the one that the record speaks of from now on.
        record.validator = None;
    } else if record.word.is_none() && matches!(record.outcome, Outcome::Quarantined | Outcome::Held) {
        in_order(&mut record);
    }
    FeedRecord {
        release: Some(word.release),
        outcome: Outcome::Held,
        reason: None,
        detail: Some("let in by the operator; the next run publishes it".to_owned()),
        declined: record.declined.filter(|declined| *declined != word.release),
        word: Some(word),
        ..record
    }
}

/// The vendor was asked and answered as it should; only the word was missing that is given now.
pub(crate) fn in_order(record: &mut FeedRecord) {
    record.succeeded_at = Some(record.checked_at);
}

/// Whether a release would take its feed back.
pub(crate) fn goes_back(release: &Release, served: Option<&ServedFeed>) -> bool {
    served.is_some_and(|served| release.vendor_version.version < served.vendor_version.version)
}

/// Whether the operator's word for a release, which stood as `was` until then, leaves what is served for good: it goes
/// back in version, or to another release of the same version that was let in or turned down before. One that waited for
/// its first word is news, and what it replaces stays what one may go back to.
pub(crate) fn leaves(release: &Release, was: ReleaseState, served: Option<&ServedFeed>) -> bool {
    let is_other_of_the_version = |served: &ServedFeed| {
        release.vendor_version.version == served.vendor_version.version && release.id != served.release
    };
    let same = was != ReleaseState::Quarantined && served.is_some_and(is_other_of_the_version);
    same || goes_back(release, served)
}

/// Whether the ring follows the word, or has gone on to something newer since.
fn is_over(word: &Word, found: &ReleaseRecord, served: Option<&ServedFeed>) -> bool {
    let Some(served) = served else { return false };
    let moved = Some(served.release) != word.over;
    served.release == word.release || moved && goes_back(&found.release, Some(served))
}

/// The record once there is nothing left to carry out.
pub(crate) fn ended(record: FeedRecord, word: &Word, served: Option<&ServedFeed>) -> FeedRecord {
    let Some(served) = served.filter(|_| record.outcome == Outcome::Held && record.release == Some(word.release))
    else {
        return FeedRecord { word: None, ..record };
    };
    FeedRecord {
        mark: Some(served.vendor_version.clone()),
        release: Some(served.release),
        outcome: Outcome::Published,
        reason: None,
        detail: None,
        validator: record.validator.filter(|_| served.release == word.release),
        word: None,
        ..record
    }
}
