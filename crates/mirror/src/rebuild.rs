//! Makes a ring anew whose files are gone, or damaged every one, from what catalog and history know: whatever the
//! vendors say just then, and also while they say nothing.

use std::collections::BTreeMap;

use blob_store::Current;
use catalog::{Batch, EntryKind, ReleaseRecord};
use model::{Digest, FeedId, Generation, Note, Reason, ReleaseState, ServedFeed, error_chain};
use serde_json::json;

use crate::at::PastRing;
use crate::at::carry::Nothing;
use crate::publish::{Done, Moved, Publishing};
use crate::{Engine, EngineError};

impl Engine {
    /// Makes the ring anew if nothing of it can be served any more; waits for the publication lock only then.
    pub(crate) async fn restore_ring(&self) -> Result<(), EngineError> {
        if self.unservable().await?.is_none() {
            return Ok(());
        }
        let _lock = self.ports.locks.publish().await?;
        self.reconcile_locked().await
    }

    /// Makes the ring anew if nothing of it can be served any more; the caller holds the publication lock and has closed
    /// what was open.
    pub(crate) async fn restore_ring_locked(&self) -> Result<(), EngineError> {
        let Some(fault) = self.unservable().await? else { return Ok(()) };
        let Some(last) = self.published_last().await? else { return Ok(()) };
        let (feeds, lost) = self.still_there(&last).await?;
        let (ring, number) = (&self.settings.ring, last.generation);
        tracing::error!(
            %ring, number, detail = %fault.detail, feeds = feeds.len(), lost = lost.len(),
            "nothing of the ring can be served: it is made anew as it was published last"
        );
        if feeds.is_empty() {
            return Ok(());
        }
        // Numbers only go up, also past files that are there and damaged.
        let number = number.max(self.newest_number().await?);
        let mut base = Generation::empty(ring.clone(), last.since);
        (base.number, base.feeds) = (number, feeds);
        let present = Current { digest: Digest::of(&base.encode()), generation: base };
        let nothing = Publishing::new(Vec::new(), Batch::default());
        let (plan, _) = self.plan_for(Some(&present), &[], &nothing).await?;
        let data = json!({
            "act": "rebuild", "of": last.generation, "number": plan.generation.number, "reason": fault.reason,
            "detail": fault.detail, "lost": lost,
        });
        let history = vec![self.entry(EntryKind::Upkeep, ring.as_str(), data)];
        let batch = Batch { history, ..Batch::default() };
        match self.move_pointer(&plan, None, batch).await? {
            Moved::Done => {
                self.complete(&plan.generation, &Done::default()).await?;
                self.remove_damaged(plan.generation.number).await;
                Ok(())
            }
            // The next who takes the lock looks again.
            Moved::Overtaken => Ok(()),
            Moved::Failed(cause) => Err(EngineError::NotPublished(cause)),
        }
    }

    /// Removes the files of which none was whole: there is nothing to fall back to in them.
    async fn remove_damaged(&self, before: u64) {
        let (rings, ring) = (&self.ports.rings, &self.settings.ring);
        for number in rings.numbers(ring).await.unwrap_or_default().into_iter().filter(|number| *number < before) {
            let is_damaged = |error: &blob_store::StoreError| error.reason() == Reason::GenerationDamaged;
            if !rings.generation(ring, number).await.is_err_and(|error| is_damaged(&error)) {
                continue;
            }
            if let Err(error) = rings.remove(ring, number).await {
                // The whole check tells of it, and gc removes it in its time.
                tracing::warn!(%ring, number, error = %error_chain(&error), "a damaged generation could not be removed");
            }
        }
    }

    /// The number that the next generation must pass, where there is none that it follows: the history's, for a ring
    /// whose files are gone and cannot be made anew.
    pub(crate) async fn newest_known(&self) -> Result<u64, EngineError> {
        match self.present().await? {
            Some(_) => Ok(0),
            None => Ok(self.published_last().await?.map_or(0, |last| last.generation)),
        }
    }

    /// Why nothing of the ring can be served, if that is so and it served something before.
    async fn unservable(&self) -> Result<Option<Note>, EngineError> {
        match self.ports.rings.current(&self.settings.ring).await {
            Ok(Some(_)) => Ok(None),
            Ok(None) => Ok(self.contradiction().await?.filter(|note| note.reason == Reason::RingLost)),
            Err(error) if error.reason() == Reason::GenerationDamaged => {
                Ok(Some(Note { reason: Reason::GenerationDamaged, detail: error_chain(&error) }))
            }
            Err(error) => Err(error.into()),
        }
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
            ReleaseState::Admitted if self.missing(&found.release).await.is_none() => Ok(Some(found)),
            ReleaseState::Rejected => self.led_to(&found).await,
            _ => Ok(None),
        }
    }
}
