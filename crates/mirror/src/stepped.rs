//! What is lost is told: whether what a ring serves and has in `_back` is held is judged apart from what vendors answer,
//! and a step of `_back` that nobody's word made is told by whoever makes it, be it a run, gc or a repair.

use std::collections::{BTreeMap, BTreeSet};

use blob_store::Current;
use catalog::{FeedRecord, ReleaseRecord};
use model::{Digest, FeedId, Generation, Note, Outcome, Reason, ReleaseId, ReleaseState, ServedFeed};
use serde::Serialize;

use crate::feed_run::note;
use crate::proof::not_in_order;
use crate::publish::{Done, Publishing};
use crate::ruling::Costs;
use crate::{Engine, EngineError};

/// What stands before words about lost bytes in the record of a feed that has a word of its own already.
const BESIDES: &str = "; besides: ";

/// A step of `_back` to an older release, or to none, because the bytes of the one before are lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostBack {
    /// Which feed.
    pub feed: FeedId,
    /// What is the matter.
    pub reason: Reason,
    /// What is lost, of which release, and what `_back` serves now.
    pub detail: String,
}

impl Engine {
    /// How many files of these releases are not held as they should be, by release; of what is admitted or quarantined
    /// alone, as the bytes of what was rejected or has expired may go. A release that is whole is not named.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot answer.
    pub async fn lacking(&self, releases: &[ReleaseRecord]) -> Result<BTreeMap<ReleaseId, usize>, EngineError> {
        let to_be_held =
            |found: &&ReleaseRecord| matches!(found.state, ReleaseState::Admitted | ReleaseState::Quarantined);
        let releases: Vec<&ReleaseRecord> = releases.iter().filter(to_be_held).collect();
        let named = releases.iter().flat_map(|found| &found.release.items).map(|item| item.digest);
        let digests: Vec<Digest> = named.collect::<BTreeSet<_>>().into_iter().collect();
        let held = self.ports.blobs.find_all(&digests).await?;
        let sizes: BTreeMap<Digest, u64> = held.iter().flatten().map(|held| (held.digest(), held.size())).collect();
        let lacks = releases.into_iter().map(|found| {
            let items = found.release.items.iter();
            (found.release.id, items.filter(|item| sizes.get(&item.digest) != Some(&item.size)).count())
        });
        Ok(lacks.filter(|(_, count)| *count > 0).collect())
    }

    /// The release in a feed's `_back` whose bytes are lost, and what of it. What is there and is not to be believed just
    /// now is not lost.
    pub(crate) async fn lost_in_back(&self, served: &ServedFeed) -> Result<Option<(ReleaseRecord, Note)>, EngineError> {
        let Some(back) = served.back else { return Ok(None) };
        let Some(back) = self.ports.catalog.release(&back).await? else { return Ok(None) };
        let Some(missing) = self.missing_for_good(&back).await else { return Ok(None) };
        let told = note(missing.reason, lost_back(&missing.detail, &back));
        Ok(Some((back, told)))
    }

    /// Whether any feed's `_back` serves a release whose bytes are lost.
    pub(crate) async fn is_back_lost(&self, present: Option<&Current>) -> Result<bool, EngineError> {
        for served in present.iter().flat_map(|current| current.generation.feeds.values()) {
            if self.lost_in_back(served).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Has `_back` go on from bytes that are lost; what it went on from.
    pub(crate) async fn step_over_lost(&self) -> Result<Vec<LostBack>, EngineError> {
        let _lock = self.ports.locks.publish().await?;
        self.reconcile_locked().await?;
        let present = self.present().await?;
        if !self.is_back_lost(present.as_ref()).await? {
            return Ok(Vec::new());
        }
        let done = self.publish_locked(Publishing::new(Vec::new(), Default::default())).await?;
        match done.failure {
            Some(cause) => Err(EngineError::NotPublished(cause)),
            None => Ok(done.lost_back),
        }
    }

    /// Tells of the steps of `_back` from one generation to the next that nobody's word made, on the feeds' records and in
    /// what was done. `recorded` are records that were written with the intent; of the feeds that are `worded` the
    /// operator has just let something in, which was done as he said.
    pub(crate) async fn tell_steps(
        &self,
        (before, after): (&Generation, &Generation),
        recorded: &[FeedRecord],
        worded: &BTreeSet<FeedId>,
        done: &mut Done,
    ) -> Result<(), EngineError> {
        for (feed, now) in &after.feeds {
            let Some(was) = before.feeds.get(feed) else { continue };
            let Some(lost) = self.step_of(was, now).await? else { continue };
            tracing::error!(%feed, detail = %lost.0.detail, "`_back` lost the release before");
            let known = self.ports.catalog.feed(feed).await?;
            let at = done.records.iter().position(|(record, _)| record.feed == *feed);
            let told = match at {
                Some(at) => Some(done.records.remove(at)),
                None => {
                    let written = recorded.iter().rfind(|record| record.feed == *feed).or(known.as_ref());
                    written.map(|record| (record.clone(), Costs::default()))
                }
            };
            let (note, release) = lost;
            if let Some((mut record, costs)) = told {
                let is_told = record.detail.as_ref().is_some_and(|detail| detail.contains(&whose(&release)));
                if worded.contains(feed) && record.outcome == Outcome::Published {
                    (record.reason, record.detail) = (Some(note.reason), Some(note.detail.clone()));
                } else if !is_told {
                    let before = known.unwrap_or_else(|| record.clone());
                    tell_beside(&mut record, &before, note.clone());
                }
                if at.is_some() || !is_told {
                    done.records.push((record, costs));
                }
            }
            done.lost_back.push(LostBack { feed: feed.clone(), reason: note.reason, detail: note.detail });
        }
        Ok(())
    }

    /// What is lost of the release that `_back` should have gone on with, if it stepped down for that.
    async fn step_of(&self, was: &ServedFeed, now: &ServedFeed) -> Result<Option<(Note, ReleaseRecord)>, EngineError> {
        let back = match &now.back {
            Some(back) => self.ports.catalog.release(back).await?,
            None => None,
        };
        for id in [Some(was.release), was.back].into_iter().flatten() {
            let Some(found) = self.ports.catalog.release(&id).await? else { continue };
            let version = &found.release.vendor_version.version;
            if found.state != ReleaseState::Admitted || *version >= now.vendor_version.version {
                continue;
            }
            if back.as_ref().is_some_and(|back| back.release.vendor_version.version >= *version) {
                return Ok(None);
            }
            let has_back = !vendors::registry(found.release.feed.vendor()).back_bases(&found.release.feed).is_empty();
            let Some(missing) = self.missing_for_good(&found).await.filter(|_| has_back) else { continue };
            let now = back.as_ref().map_or_else(
                || "nothing now, as no older one is held".to_owned(),
                |back| format!("release {} now", back.number),
            );
            let detail = format!("{}; {}: `_back` serves {now}", missing.detail, whose(&found));
            return Ok(Some((note(missing.reason, detail), found)));
        }
        Ok(None)
    }

    async fn missing_for_good(&self, found: &ReleaseRecord) -> Option<Note> {
        let missing = self.missing(&found.release).await.filter(|missing| missing.reason != Reason::UnsafeFile)?;
        let reason = if missing.reason == Reason::StoreFailed { Reason::BlobMissing } else { missing.reason };
        Some(Note { reason, ..missing })
    }
}

/// Whose the bytes are that are lost in `_back`.
fn whose(back: &ReleaseRecord) -> String {
    format!("it belongs to release {}, the one before", back.number)
}

/// What is told of a release in `_back` of which this is lost.
pub(crate) fn lost_back(what: &str, back: &ReleaseRecord) -> String {
    format!("{what}; {}: `_back` goes on to the newest that is held, if there is one", whose(back))
}

/// Tells on a feed's record of bytes that are lost. Where the vendor was asked and answered well, the feed is not in
/// order all the same; what else is the matter with it stays first. `before` is the record as it was.
pub(crate) fn tell_beside(record: &mut FeedRecord, before: &FeedRecord, lost: Note) {
    let published = record.outcome == Outcome::Published;
    if published || record.outcome == Outcome::Current {
        let version = record.mark.as_ref().filter(|_| published);
        let and = version.map_or_else(String::new, |version| format!("{version} is published; "));
        (record.reason, record.detail) = (Some(lost.reason), Some(format!("{and}{}", lost.detail)));
        not_in_order(record, before);
        return;
    }
    record.reason = record.reason.or(Some(lost.reason));
    record.detail = Some(match record.detail.take() {
        Some(first) => format!("{first}{BESIDES}{}", lost.detail),
        None => lost.detail,
    });
}

/// What was told beside a feed's own word is judged anew by each run.
pub(crate) fn forget_beside(record: &mut FeedRecord) {
    let own = record.detail.as_ref().and_then(|detail| detail.split_once(BESIDES)).map(|(own, _)| own.to_owned());
    record.detail = own.or(record.detail.take());
}
