//! Carries out the operator's word where a crash, a failed publication or a damaged file kept it from the ring.

use std::collections::BTreeSet;

use catalog::{Batch, Entry, EntryFilter, EntryKind, EntryOrder, FeedRecord, ReleaseFilter, ReleaseRecord};
use model::{FeedId, Note, Reason, ReleaseId, ReleaseState};
use serde_json::json;

use crate::engine::restore;
use crate::plan::Newcomer;
use crate::publish::{Pending, Publishing};
use crate::ruling::Costs;
use crate::{Engine, EngineError};

/// How many of a release's acts are looked at: the word that counts is the newest.
pub(crate) const LOOKED_AT: usize = 16;

/// A release that the ring serves although the operator rejected it.
struct Against {
    rejected: ReleaseRecord,
    /// What was rolled back to, where it is still admitted and held whole.
    instead: Option<ReleaseRecord>,
}

impl Against {
    fn told(self) -> Note {
        let Self { rejected, instead } = self;
        let next = instead.map_or_else(
            || "and what was gone back to is not held: admit another release of it".to_owned(),
            |instead| format!("the next sync goes back to release {}", instead.number),
        );
        let (number, feed) = (rejected.number, &rejected.release.feed);
        let detail = format!("release {number} of {feed} was rejected and is served; {next}");
        Note { reason: Reason::RejectedServed, detail }
    }
}

impl Engine {
    /// What the ring serves against the operator's word, in words.
    pub(crate) async fn against_the_word(&self) -> Result<Option<Note>, EngineError> {
        Ok(self.rejected_but_served().await?.into_iter().next().map(Against::told))
    }

    /// The same of a release that is served and was rejected.
    pub(crate) async fn against(&self, rejected: &ReleaseRecord) -> Result<Note, EngineError> {
        let instead = self.led_to(rejected).await?;
        Ok(Against { rejected: rejected.clone(), instead }.told())
    }

    /// Publishes what the operator's words were for; the caller holds the publication lock and has reconciled. True when
    /// something was published.
    ///
    /// An act records its word before it moves the ring. Where it was stopped in between, or where the newest generation
    /// rotted and an older one serves what was rolled back from, the ring is brought in line here.
    pub(crate) async fn settle_locked(&self) -> Result<bool, EngineError> {
        self.settle_but_locked(None).await
    }

    /// The same, but for the feed that the operator speaks of just then.
    pub(crate) async fn settle_but_locked(&self, spared: Option<&FeedId>) -> Result<bool, EngineError> {
        let present = self.present().await?;
        let mut what = Publishing::new(Vec::new(), Batch::default());
        self.add_words(present.as_ref(), spared, &mut what).await?;
        self.add_rejected(spared, &mut what).await?;
        if what.pending.is_empty() && self.is_remembered(present.as_ref(), spared).await? {
            if !what.batch.feeds.is_empty() {
                self.ports.catalog.apply(what.batch).await?;
            }
            return Ok(false);
        }
        Ok(self.publish_locked(what).await?.published.is_some())
    }

    /// Adds what is to be served instead of what was rejected.
    async fn add_rejected(&self, spared: Option<&FeedId>, what: &mut Publishing) -> Result<(), EngineError> {
        for Against { rejected, instead } in self.rejected_but_served().await? {
            let (feed, from) = (rejected.release.feed.clone(), rejected.release.id);
            if spared == Some(&feed) || what.pending.iter().any(|pending| pending.record.feed == feed) {
                continue;
            }
            let Some((instead, admitted)) = instead.and_then(|found| Some((found.release.id, restore(found)?))) else {
                tracing::error!(%feed, release = rejected.number, "a rejected release is served, and what was gone back to is not held");
                continue;
            };
            tracing::warn!(%feed, from = %from.short(), to = %instead.short(), "the operator's word had not reached the ring: it is carried out now");
            let data = json!({ "act": "carry-out", "feed": feed, "from": from, "to": instead });
            what.batch.history.push(self.entry(EntryKind::Upkeep, instead.to_string(), data));
            let record = self.record_for(&rejected, &admitted).await?;
            let newcomer = Newcomer { admitted, takes_paths: true };
            what.pending.push(Pending { newcomer, record, costs: Costs::default() });
        }
        Ok(())
    }

    async fn record_for(
        &self,
        rejected: &ReleaseRecord,
        admitted: &trust::Admitted,
    ) -> Result<FeedRecord, EngineError> {
        let feed = &rejected.release.feed;
        let known = self.ports.catalog.feed(feed).await?;
        let record = known.unwrap_or_else(|| FeedRecord::new(feed.clone(), self.ports.clock.now()));
        let same = record.release == Some(admitted.release().id);
        // A validator may belong to another release than the one that the record speaks of from now on.
        let validator = record.validator.clone().filter(|_| same);
        let detail = Some(format!("release {} was rolled back from", rejected.number));
        Ok(FeedRecord { validator, reason: Some(Reason::RejectedBefore), detail, ..record })
    }

    async fn rejected_but_served(&self) -> Result<Vec<Against>, EngineError> {
        let mut found = Vec::new();
        let Some(present) = self.present().await? else { return Ok(found) };
        for served in present.generation.feeds.values() {
            let Some(record) = self.ports.catalog.release(&served.release).await? else { continue };
            if record.state == ReleaseState::Rejected {
                let instead = self.led_to(&record).await?;
                found.push(Against { rejected: record, instead });
            }
        }
        Ok(found)
    }

    /// Where the word leads: what was rolled back to, and on from there if that was rolled back from, too.
    pub(crate) async fn led_to(&self, from: &ReleaseRecord) -> Result<Option<ReleaseRecord>, EngineError> {
        let mut seen = BTreeSet::from([from.release.id]);
        let mut at = from.release.id;
        loop {
            let filter =
                EntryFilter { kinds: vec![EntryKind::Act], subject: Some(at.to_string()), ..EntryFilter::default() };
            let acts = self.ports.catalog.entries(&filter, EntryOrder::NewestFirst, LOOKED_AT).await?;
            let Some(to) = acts.iter().find_map(rolled_back_to).filter(|to| seen.insert(*to)) else { return Ok(None) };
            let Some(found) = self.ports.catalog.release(&to).await? else { return Ok(None) };
            match found.state {
                ReleaseState::Rejected => at = to,
                ReleaseState::Admitted => return Ok(self.keeps_seat(&found.release).await?.then_some(found)),
                _ => return Ok(None),
            }
        }
    }

    /// Removes the older generation files that serve a release which the operator rejected: a reader whose newest file
    /// rots falls back to the one before, and what was denied must not come back that way. No publication is called done
    /// before.
    pub(crate) async fn forget_rejected(&self) {
        if let Err(error) = self.try_forget_rejected().await {
            // The next publication tries again, and so does gc.
            tracing::warn!(error = %model::error_chain(&error), "older generations that serve what was rejected could not be removed");
        }
    }

    async fn try_forget_rejected(&self) -> Result<(), EngineError> {
        let (rings, ring) = (&self.ports.rings, &self.settings.ring);
        let any = ReleaseFilter { state: Some(ReleaseState::Rejected), limit: 1, ..ReleaseFilter::default() };
        if self.ports.catalog.releases(&any).await?.is_empty() {
            return Ok(());
        }
        let Some(present) = self.present().await? else { return Ok(()) };
        for number in rings.numbers(ring).await?.into_iter().filter(|number| *number < present.generation.number) {
            let Ok(Some(generation)) = rings.generation(ring, number).await else { continue };
            let all: Vec<ReleaseId> =
                generation.feeds.values().flat_map(|served| [Some(served.release), served.back]).flatten().collect();
            for release in all {
                let record = self.ports.catalog.release(&release).await?;
                if record.is_some_and(|record| record.state == ReleaseState::Rejected) {
                    rings.remove(ring, number).await?;
                    break;
                }
            }
        }
        Ok(())
    }
}

fn rolled_back_to(act: &Entry) -> Option<ReleaseId> {
    let data: serde_json::Value = serde_json::from_str(&act.data).ok()?;
    let is_roll_back = data.get("act")?.as_str()? == "roll-back";
    data.get("to")?.as_str()?.parse().ok().filter(|_| is_roll_back)
}
