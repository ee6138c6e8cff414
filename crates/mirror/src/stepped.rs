//! What is lost is told: whether what a ring serves and has in `_back` is held is judged apart from what vendors answer,
//! and a step of `_back` that nobody's word made is told by whoever makes it, be it a run, gc or a repair.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use blob_store::{Current, StoreError};
use catalog::{Entry, EntryFilter, EntryKind, EntryOrder, FeedRecord, Publication, ReleaseFilter, ReleaseRecord};
use model::{Digest, FeedId, Note, Outcome, Reason, Release, ReleaseId, ReleaseState, ServedFeed};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trust::Admitted;

use crate::feed_run::note;
use crate::history::{ToldIntent, particulars};
use crate::missing::is_lost;
use crate::proof::not_in_order;
use crate::publish::Publishing;
use crate::ruling::Costs;
use crate::{Engine, EngineError};

/// What stands before words about lost bytes in the record of a feed that has a word of its own already.
const BESIDES: &str = "; besides: ";
/// The most publications that are looked through.
const PUBLICATIONS: usize = 500;

/// A step of `_back` to an older release, or to none, because the bytes of the one before are lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostBack {
    /// Which feed.
    pub feed: FeedId,
    /// The number of the release whose bytes are lost.
    pub release: u64,
    /// What is the matter.
    pub reason: Reason,
    /// What is lost, of which release, and what `_back` serves now.
    pub detail: String,
}

/// What a release lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// How many of its files are lost: it cannot be gone back to.
    pub lost: usize,
    /// How many are there, and an owner or a mode lets somebody else change them: they count again once that is mended.
    pub exposed: usize,
}

impl Engine {
    /// What these releases lack, by release; of what is admitted or quarantined alone, as the bytes of what was rejected or
    /// has expired may go. A release that is whole is not named.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot answer.
    pub async fn lacking(&self, releases: &[ReleaseRecord]) -> Result<BTreeMap<ReleaseId, Lacks>, EngineError> {
        let to_be_held =
            |found: &&ReleaseRecord| matches!(found.state, ReleaseState::Admitted | ReleaseState::Quarantined);
        let releases: Vec<&ReleaseRecord> = releases.iter().filter(to_be_held).collect();
        let named = releases.iter().flat_map(|found| &found.release.items).map(|item| item.digest);
        let digests: Vec<Digest> = named.collect::<BTreeSet<_>>().into_iter().collect();
        let held = self.ports.blobs.find_all(&digests).await?;
        let sizes: BTreeMap<Digest, u64> = held.iter().flatten().map(|held| (held.digest(), held.size())).collect();
        let mut lacking = BTreeMap::new();
        for found in releases {
            let mut lacks = Lacks::default();
            for item in found.release.items.iter().filter(|item| sizes.get(&item.digest) != Some(&item.size)) {
                // The look at all of them does not say why.
                match self.ports.blobs.find(item.digest).await {
                    Ok(Some(held)) if held.size() == item.size => {}
                    Err(StoreError::Unsafe { .. }) => lacks.exposed += 1,
                    Err(error) if !error.is_damage() => return Err(error.into()),
                    Ok(_) | Err(_) => lacks.lost += 1,
                }
            }
            if lacks != Lacks::default() {
                lacking.insert(found.release.id, lacks);
            }
        }
        Ok(lacking)
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

    /// Whether any feed's `_back` serves an older release than it could: a newer one was passed by while somebody else could
    /// have changed its files, and that is mended.
    pub(crate) async fn is_back_behind(&self, present: Option<&Current>) -> Result<bool, EngineError> {
        let Some(Current { generation, .. }) = present else { return Ok(false) };
        let earlier = self.earlier(generation, &[], &BTreeSet::new()).await?;
        for (feed, served) in &generation.feeds {
            let older = |it: &&Release| it.vendor_version.version < served.vendor_version.version;
            let next = earlier.get(feed).and_then(|all| all.iter().map(Admitted::release).find(older));
            let back = match &served.back {
                Some(back) => self.ports.catalog.release(back).await?,
                None => None,
            };
            let knows = served.back.is_none() || back.is_some();
            let is_newer = |next: &Release| {
                back.as_ref().is_none_or(|back| next.vendor_version.version > back.release.vendor_version.version)
            };
            if knows && next.is_some_and(is_newer) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The newest release of a feed that `_back` passes by because its files are there and not to be believed just now, in
    /// words.
    pub(crate) async fn passed_by(&self, feed: &FeedId) -> Result<Option<String>, EngineError> {
        let Some(Current { mut generation, .. }) = self.present().await? else { return Ok(None) };
        let Some(served) = generation.feeds.remove(feed) else { return Ok(None) };
        if vendors::registry(feed.vendor()).back_bases(feed).is_empty() {
            return Ok(None);
        }
        let back = match &served.back {
            Some(back) => self.ports.catalog.release(back).await?.map(|back| back.release.vendor_version.version),
            None => None,
        };
        let state = Some(ReleaseState::Admitted);
        let filter = ReleaseFilter { feed: Some(feed.clone()), state, ..ReleaseFilter::default() };
        let mut known = self.ports.catalog.releases(&filter).await?;
        let version = |known: &ReleaseRecord| known.release.vendor_version.version.clone();
        known.retain(|known| version(known) < served.vendor_version.version && Some(version(known)) > back);
        known.sort_by_key(|known| Reverse(version(known)));
        for known in known {
            if let Some(why) = self.missing(&known.release).await.filter(|why| !is_lost(why)) {
                return Ok(Some(format!(
                    "`_back` passes release {} by until this is mended: {}",
                    known.number, why.detail
                )));
            }
        }
        Ok(None)
    }

    /// Has `_back` go on from bytes that are lost.
    pub(crate) async fn step_over_lost(&self) -> Result<(), EngineError> {
        let _lock = self.ports.locks.publish().await?;
        self.reconcile_locked().await?;
        let present = self.present().await?;
        if !self.is_back_lost(present.as_ref()).await? {
            return Ok(());
        }
        let done = self.publish_locked(Publishing::new(Vec::new(), Default::default())).await?;
        done.failure.map_or(Ok(()), |cause| Err(EngineError::NotPublished(cause)))
    }

    /// The steps of `_back` that the ring made since an entry of the history, whoever made them: this is how a run, gc or a
    /// repair tells also of those that were made on its way, where it carries out a word, closes what a crash left open or
    /// makes the ring anew.
    pub(crate) async fn steps_since(&self, seq: u64) -> Result<Vec<LostBack>, EngineError> {
        let filter = EntryFilter {
            from: seq.saturating_add(1),
            kinds: vec![EntryKind::PublicationDone],
            subject: Some(self.settings.ring.as_str().to_owned()),
            ..EntryFilter::default()
        };
        let done = self.ports.catalog.entries(&filter, EntryOrder::OldestFirst, PUBLICATIONS).await?;
        Ok(done.iter().flat_map(steps_in).collect())
    }

    /// The steps that a publication was to make, as it said before the pointer moved.
    pub(crate) async fn intended_steps(&self, open: &Publication) -> Result<Vec<LostBack>, EngineError> {
        let kinds = vec![EntryKind::PublicationIntended];
        let filter = EntryFilter { kinds, subject: Some(open.ring.to_string()), ..EntryFilter::default() };
        let intended = self.ports.catalog.entries(&filter, EntryOrder::NewestFirst, PUBLICATIONS).await?;
        let is_its = |entry: &&Entry| {
            let told = ToldIntent::deserialize(particulars(entry));
            told.is_ok_and(|told| told.number == open.number && told.digest == open.digest)
        };
        Ok(intended.iter().find(is_its).map(steps_in).unwrap_or_default())
    }

    /// The steps of `_back` from what is served to what is to be that nobody's word makes. What is to be on record before
    /// the pointer moves `leaves` by a word.
    pub(crate) async fn steps(
        &self,
        (before, after): (&BTreeMap<FeedId, ServedFeed>, &BTreeMap<FeedId, ServedFeed>),
        leaves: &BTreeSet<ReleaseId>,
    ) -> Result<Vec<LostBack>, EngineError> {
        let mut steps = Vec::new();
        for (feed, now) in after {
            let Some(was) = before.get(feed) else { continue };
            steps.extend(self.step_of(was, now, leaves).await?);
        }
        Ok(steps)
    }

    /// Tells of steps on the feeds' records, those of them that are written now among them; what was told before is told
    /// once. Of the feeds that are `worded` the operator has just let something in, which was done as he said.
    pub(crate) async fn tell_steps(
        &self,
        steps: &[LostBack],
        worded: &BTreeSet<FeedId>,
        records: &mut Vec<(FeedRecord, Costs)>,
    ) -> Result<(), EngineError> {
        for LostBack { feed, release, reason, detail } in steps {
            let known = self.ports.catalog.feed(feed).await?;
            let at = records.iter().position(|(record, _)| record.feed == *feed);
            let told = at.map(|at| records.remove(at)).or_else(|| Some((known.clone()?, Costs::default())));
            let Some((mut record, costs)) = told else { continue };
            let is_told = record.detail.as_ref().is_some_and(|known| known.contains(&whose(*release)));
            if !is_told {
                tracing::error!(%feed, %detail, "`_back` lost the release before");
            }
            if worded.contains(feed) && record.outcome == Outcome::Published {
                (record.reason, record.detail) = (Some(*reason), Some(detail.clone()));
            } else if !is_told {
                let before = known.unwrap_or_else(|| record.clone());
                tell_beside(&mut record, &before, note(*reason, detail.clone()));
            }
            if at.is_some() || !is_told {
                records.push((record, costs));
            }
        }
        Ok(())
    }

    /// What is lost of the release that `_back` should have gone on with, if it stepped down for that.
    async fn step_of(
        &self,
        was: &ServedFeed,
        now: &ServedFeed,
        leaves: &BTreeSet<ReleaseId>,
    ) -> Result<Option<LostBack>, EngineError> {
        let back = match &now.back {
            Some(back) => self.ports.catalog.release(back).await?,
            None => None,
        };
        for id in [Some(was.release), was.back].into_iter().flatten() {
            let Some(found) = self.ports.catalog.release(&id).await? else { continue };
            let version = &found.release.vendor_version.version;
            let stays = found.state == ReleaseState::Admitted && !leaves.contains(&id);
            if !stays || *version >= now.vendor_version.version {
                continue;
            }
            if back.as_ref().is_some_and(|back| back.release.vendor_version.version >= *version) {
                return Ok(None);
            }
            let feed = found.release.feed.clone();
            let has_back = !vendors::registry(feed.vendor()).back_bases(&feed).is_empty();
            let Some(missing) = self.missing_for_good(&found).await.filter(|_| has_back) else { continue };
            let now = back.as_ref().map_or_else(
                || "nothing now, as no older one is held".to_owned(),
                |back| format!("release {} now", back.number),
            );
            let (release, reason) = (found.number, missing.reason);
            let detail = format!("{}; {}: `_back` serves {now}", missing.detail, whose(release));
            return Ok(Some(LostBack { feed, release, reason, detail }));
        }
        Ok(None)
    }

    async fn missing_for_good(&self, found: &ReleaseRecord) -> Option<Note> {
        self.missing(&found.release).await.filter(is_lost)
    }
}

/// The steps that an entry on a publication tells of.
fn steps_in(entry: &Entry) -> Vec<LostBack> {
    particulars(entry).get("lost_back").and_then(|steps| Vec::deserialize(steps).ok()).unwrap_or_default()
}

/// Adds steps to what an entry on a publication says.
pub(crate) fn with_steps(mut data: Value, steps: &[LostBack]) -> Value {
    if let (false, Some(members)) = (steps.is_empty(), data.as_object_mut()) {
        members.insert("lost_back".to_owned(), json!(steps));
    }
    data
}

/// Whose the bytes are that are lost in `_back`.
fn whose(number: u64) -> String {
    format!("it belongs to release {number}, the one before")
}

/// What is told of a release in `_back` of which this is lost.
pub(crate) fn lost_back(what: &str, back: &ReleaseRecord) -> String {
    format!("{what}; {}: `_back` goes on to the newest that is held, if there is one", whose(back.number))
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
        None => lost.detail.clone(),
    });
    record.besides = Some(match record.besides.take() {
        Some(first) => note(first.reason, format!("{}; {}", first.detail, lost.detail)),
        None => lost,
    });
}

/// What was told beside a feed's own word is judged anew by each run.
pub(crate) fn forget_beside(record: &mut FeedRecord) {
    let own = record.detail.as_ref().and_then(|detail| detail.split_once(BESIDES)).map(|(own, _)| own.to_owned());
    record.detail = own.or(record.detail.take());
    record.besides = None;
}
