//! Makes a ring anew that lost what was published last, from what catalog and history know: whatever the vendors say just
//! then, and also while they say nothing. Its files may be gone, or damaged every one, or the newest of them only, so
//! that an earlier generation is served meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use blob_store::Current;
use catalog::{Batch, EntryKind, ReleaseRecord};
use model::{Digest, FeedId, Generation, Note, Reason, ReleaseId, ReleaseState, ServedFeed, error_chain};
use serde_json::json;

use crate::at::PastRing;
use crate::at::carry::Nothing;
use crate::feed_run::note;
use crate::plan::Plan;
use crate::proof::Proven;
use crate::publish::{Done, Moved, Publishing};
use crate::{Engine, EngineError};

/// The numbers of damaged files that the next generation passes lie below. Whatever claims more was never published, and
/// must not take the numbers away that are left, least of all those that every reader of JSON holds exactly.
pub(crate) const FAR: u64 = 1 << 40;

/// What a ring lost.
struct Damage {
    fault: Note,
    /// The earlier generation that is served meanwhile.
    left: Option<Current>,
}

impl Engine {
    /// Makes the ring anew if it lost what was published last; waits for the publication lock only then. Whether it had.
    pub(crate) async fn restore_ring(&self) -> Result<bool, EngineError> {
        if self.damage().await?.is_none() {
            return Ok(false);
        }
        let _lock = self.ports.locks.publish().await?;
        self.reconcile_locked().await?;
        Ok(true)
    }

    /// Makes the ring anew if it lost what was published last; the caller holds the publication lock and has closed what
    /// was open.
    pub(crate) async fn restore_ring_locked(&self) -> Result<(), EngineError> {
        let mut met = BTreeSet::new();
        while self.restore_without(&mut met).await? {}
        Ok(())
    }

    /// The same once: whether it has to be tried again, because blobs that were not `met` before turned out to be damaged.
    async fn restore_without(&self, met: &mut BTreeSet<Digest>) -> Result<bool, EngineError> {
        let Some(Damage { fault, left }) = self.damage().await? else { return Ok(false) };
        let Some(last) = self.published_last().await? else { return Ok(false) };
        let (mut feeds, lost) = self.still_there(&last).await?;
        if let Some(left) = &left {
            // Feeds of one vendor may share paths: one that stays behind keeps the others, or they would be mixed, also
            // with what is not served meanwhile.
            let seated = &left.generation.feeds;
            let moved = |feed: &FeedId| {
                let release = |feeds: &BTreeMap<FeedId, ServedFeed>| feeds.get(feed).map(|served| served.release);
                seated.contains_key(feed) && release(seated) != release(&last.feeds)
            };
            let behind = |feed: &FeedId| lost.iter().any(|lost| lost.vendor() == feed.vendor() && moved(lost));
            feeds.retain(|feed, _| !behind(feed));
        }
        let ring = &self.settings.ring;
        tracing::error!(
            %ring, number = last.generation, detail = %fault.detail, feeds = feeds.len(), lost = lost.len(),
            "the ring lost what was published last: it is made anew"
        );
        if feeds.is_empty() {
            return Ok(false);
        }
        let plan = self.plan_anew(left.as_ref(), &last, feeds).await?;
        if left.is_some() {
            let unfit = self.prove_new(&plan.generation, left.as_ref(), &Proven::default()).await?;
            match unfit.any_lost() {
                None => {}
                // What rotted was set aside: what is left of the feeds is looked at anew.
                Some(_) if unfit.is_news(met) => return Ok(true),
                Some(cause) => return Err(EngineError::NotPublished(cause)),
            }
        }
        let data = json!({
            "act": "rebuild", "of": last.generation, "number": plan.generation.number, "reason": fault.reason,
            "detail": fault.detail, "lost": lost,
        });
        let history = vec![self.entry(EntryKind::Upkeep, ring.as_str(), data)];
        let batch = Batch { history, ..Batch::default() };
        let none = BTreeSet::new();
        let lost_back = self.steps((&last.feeds, &plan.generation.feeds), &none).await?;
        match self.move_pointer(&plan, left.as_ref(), batch, &lost_back).await? {
            Moved::Done => {
                let mut records = Vec::new();
                self.tell_steps(&lost_back, &BTreeSet::new(), &mut records).await?;
                self.complete(&plan.generation, &Done { records, lost_back, ..Done::default() }).await?;
                self.remove_damaged(plan.generation.number).await;
                Ok(false)
            }
            // The next who takes the lock looks again.
            Moved::Overtaken => Ok(false),
            Moved::Failed(cause) => Err(EngineError::NotPublished(cause)),
        }
    }

    /// The generation that serves these releases of what was published `last`, under a number above all before. Of what is
    /// `left`, a feed without one keeps its seat, and what is superseded stays through its grace.
    async fn plan_anew(
        &self,
        left: Option<&Current>,
        last: &PastRing,
        feeds: BTreeMap<FeedId, ServedFeed>,
    ) -> Result<Plan, EngineError> {
        let number = last.generation.max(self.newest_known().await?);
        let empty = || Generation::empty(self.settings.ring.clone(), last.since);
        let mut base = left.map_or_else(empty, |left| left.generation.clone());
        base.number = number;
        for (feed, served) in std::mem::take(&mut base.feeds) {
            if last.feeds.contains_key(&feed) && !self.is_rejected(&served.release).await? {
                base.feeds.insert(feed, served);
            }
        }
        base.feeds.extend(feeds);
        let present = Current { digest: Digest::of(&base.encode()), generation: base };
        let nothing = Publishing::new(Vec::new(), Batch::default());
        let (mut plan, _) = self.plan_for(Some(&present), &[], &nothing).await?;
        // Also where it is the same as what is left: the history is to know that it is what was published last.
        plan.generation.number = number.saturating_add(1);
        plan.generation.at = self.ports.clock.now();
        Ok(plan)
    }

    async fn is_rejected(&self, release: &ReleaseId) -> Result<bool, EngineError> {
        let found = self.ports.catalog.release(release).await?;
        Ok(found.is_some_and(|found| found.state == ReleaseState::Rejected))
    }

    /// Removes the files that are not whole: there is nothing to fall back to in them.
    async fn remove_damaged(&self, before: u64) {
        let (rings, ring) = (&self.ports.rings, &self.settings.ring);
        for number in rings.numbers(ring).await.unwrap_or_default().into_iter().filter(|number| *number < before) {
            if !self.is_damaged(number).await {
                continue;
            }
            if let Err(error) = rings.remove(ring, number).await {
                // The whole check tells of it, and gc removes it in its time.
                tracing::warn!(%ring, number, error = %error_chain(&error), "a damaged generation could not be removed");
            }
        }
    }

    /// Whether a generation's file is there and not whole.
    pub(crate) async fn is_damaged(&self, number: u64) -> bool {
        let read = self.ports.rings.generation(&self.settings.ring, number).await;
        read.is_err_and(|error| error.reason() == Reason::GenerationDamaged)
    }

    /// The number that the next generation must pass: numbers only go up, also past files that are gone or damaged, so
    /// that one number never stands for two generations that were served. A whole file that was never published gives
    /// way to the next generation: readers who lose the pointer must not fall back to it.
    pub(crate) async fn newest_known(&self) -> Result<u64, EngineError> {
        let [known, intended] = self.numbers_on_record().await?;
        let ring = &self.settings.ring;
        let mut numbers = self.ports.rings.numbers(ring).await?;
        numbers.retain(|number| *number < FAR);
        numbers.push(intended);
        let mut passed = known;
        for number in numbers.into_iter().filter(|number| *number > known) {
            let is_whole = matches!(self.ports.rings.generation(ring, number).await, Ok(Some(_)));
            passed = passed.max(if is_whole { number.saturating_sub(1) } else { number });
        }
        Ok(passed)
    }

    /// What the ring serves; nothing, and why, where none of its files is whole.
    pub(crate) async fn serving(&self) -> Result<(Option<Current>, Option<Note>), EngineError> {
        match self.ports.rings.current(&self.settings.ring).await {
            Ok(current) => Ok((current, None)),
            Err(error) if error.reason() == Reason::GenerationDamaged => {
                Ok((None, Some(Note { reason: Reason::GenerationDamaged, detail: error_chain(&error) })))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Why nobody can say what the ring serves, where it lost all of its generations and could not be made anew: readers
    /// go on with what they have in memory.
    pub(crate) async fn blind(&self) -> Result<Option<Note>, EngineError> {
        match self.damage().await? {
            Some(damage) => Ok(Some(damage.fault).filter(|_| damage.left.is_none())),
            None => self.bereft().await,
        }
    }

    /// What is held that no record names, where neither the ring nor the history knows of a publication: either nothing was
    /// published yet, or both were lost, and who puts a copy of the catalog back looks for these bytes. Where runs that ended
    /// left no room, they go all the same.
    async fn bereft(&self) -> Result<Option<Note>, EngineError> {
        if self.present().await?.is_some() || self.numbers_on_record().await?[0] > 0 {
            return Ok(None);
        }
        if self.runs_lack_room().await? {
            return Ok(None);
        }
        let recorded = self.recorded_blobs().await?;
        let mut nameless = 0_u64;
        let mut look = |digest: Digest, _| nameless += u64::from(!recorded.contains(&digest));
        self.ports.blobs.visit(&mut look).await?;
        Ok((nameless > 0).then(|| {
            note(
                Reason::RingLost,
                format!(
                    "nothing was published yet as far as ring and history know, and {nameless} blobs are held that no record \
                     names: if catalog/ and rings/ were lost, put a copy of catalog/ back"
                ),
            )
        }))
    }

    /// What the ring lost, if it served something else before.
    async fn damage(&self) -> Result<Option<Damage>, EngineError> {
        let (left, fault) = self.serving().await?;
        let fault = match (&left, fault) {
            (_, Some(fault)) => Some(fault),
            (Some(left), None) => self.fell_behind(left).await?,
            (None, None) => self.contradiction().await?.filter(|note| note.reason == Reason::RingLost),
        };
        Ok(fault.map(|fault| Damage { fault, left }))
    }

    /// What the history says that the ring served last.
    async fn published_last(&self) -> Result<Option<PastRing>, EngineError> {
        let head = self.ports.catalog.chain_head().await?;
        let mut past = self.past_of(head.seq, &mut Nothing).await?;
        Ok(past.rings.remove(&self.settings.ring))
    }

    /// What of it may be served and is held whole; and the feeds of which that cannot be said.
    async fn still_there(&self, last: &PastRing) -> Result<(BTreeMap<FeedId, ServedFeed>, Vec<FeedId>), EngineError> {
        let (mut feeds, mut lost) = (BTreeMap::new(), Vec::new());
        for (feed, served) in &last.feeds {
            match self.seat_of(served).await? {
                Some(found) if found.release.id == served.release => drop(feeds.insert(feed.clone(), served.clone())),
                Some(found) => {
                    let since = self.ports.clock.now();
                    let vendor_version = found.release.vendor_version.clone();
                    let seat =
                        ServedFeed { release: found.release.id, vendor_version, since, back: None, ..served.clone() };
                    feeds.insert(feed.clone(), seat);
                }
                None => {
                    tracing::error!(%feed, release = %served.release.short(), "what the ring served of it is not held any more");
                    lost.push(feed.clone());
                }
            }
        }
        Ok((feeds, lost))
    }

    /// The release that takes a feed's seat again: what was served, or where the operator's word leads from there.
    async fn seat_of(&self, served: &ServedFeed) -> Result<Option<ReleaseRecord>, EngineError> {
        let Some(found) = self.ports.catalog.release(&served.release).await? else { return Ok(None) };
        match found.state {
            // A store that cannot answer is no reason to let a feed go.
            ReleaseState::Admitted => Ok(self.keeps_seat(&found.release).await?.then_some(found)),
            ReleaseState::Rejected => self.led_to(&found).await,
            _ => Ok(None),
        }
    }
}
