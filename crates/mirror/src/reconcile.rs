//! Brings the catalog in line with what is served, after a crash, and writes a pointer again that was damaged.

use blob_store::PointerState;
use catalog::{Batch, EntryKind, FeedRecord, Publication};
use model::Outcome;
use model::{Note, Reason, error_chain};
use serde_json::json;

use crate::ruling::Costs;
use crate::stepped::with_steps;
use crate::{Engine, EngineError};

impl Engine {
    /// Makes the ring anew where it lost what was published last, and writes its pointer again if that is damaged or gone:
    /// readers pass such a pointer by and serve the newest whole generation, but the next damage would find nothing to
    /// fall back to. Gives the generation that it names
    /// now, where there was something to mend. Cheap where there was not.
    ///
    /// # Errors
    /// [`EngineError`] when the ring cannot be read or written, or the catalog fails.
    pub async fn mend_ring(&self) -> Result<Option<u64>, EngineError> {
        let restored = self.restore_ring().await?;
        if self.ring_fault().await?.is_none() {
            let served = if restored { self.serving().await?.0 } else { None };
            return Ok(served.map(|current| current.generation.number));
        }
        let _lock = self.ports.locks.publish().await?;
        let mended = self.mend_locked().await?;
        self.reconcile_locked().await?;
        let settled = self.settle_locked().await?;
        Ok(if settled { self.present().await?.map(|current| current.generation.number) } else { mended })
    }

    /// What is wrong with what the ring serves, if anything.
    pub(crate) async fn ring_fault(&self) -> Result<Option<Note>, EngineError> {
        match self.pointer_fault().await? {
            Some(fault) => Ok(Some(fault)),
            None => self.against_the_word().await,
        }
    }

    async fn pointer_fault(&self) -> Result<Option<Note>, EngineError> {
        let ring = &self.settings.ring;
        let detail = match self.ports.rings.pointer(ring).await? {
            PointerState::Absent if self.ports.rings.numbers(ring).await?.is_empty() => None,
            PointerState::Absent => Some("the ring's pointer is gone".to_owned()),
            other => other.fault(),
        };
        Ok(detail.map(|detail| Note { reason: Reason::PointerDamaged, detail }))
    }

    async fn mend_locked(&self) -> Result<Option<u64>, EngineError> {
        let ring = &self.settings.ring;
        let Some(fault) = self.pointer_fault().await? else { return Ok(None) };
        let Some(number) = self.ports.rings.mend(ring).await? else { return Ok(None) };
        tracing::error!(%ring, number, reason = fault.reason.code(), detail = %fault.detail, "the ring's pointer was written again");
        let data = json!({ "act": "mend-pointer", "number": number, "reason": fault.reason, "detail": fault.detail });
        let history = vec![self.entry(EntryKind::Upkeep, ring.as_str(), data)];
        self.ports.catalog.apply(Batch { history, ..Batch::default() }).await?;
        Ok(Some(number))
    }

    /// Closes what a crash left open: a publication whose generation the ring serves, or has served since, was
    /// done; any other was not. Makes the ring anew if nothing of it is left to serve, and takes over what it serves where
    /// the catalog does not know that: one that was lost, or is an older one, knows no newer word than the ring. Whoever
    /// holds the publication lock does it first, before anything is decided on what the catalog says.
    pub(crate) async fn reconcile_locked(&self) -> Result<(), EngineError> {
        self.close_open_locked().await?;
        self.restore_ring_locked().await?;
        self.adopt_locked().await
    }

    pub(crate) async fn close_open_locked(&self) -> Result<(), EngineError> {
        if let Err(error) = self.mend_locked().await {
            // Who cannot write it again can still read past it; what follows tells of a disk that takes nothing.
            tracing::error!(error = %error_chain(&error), "the ring's pointer could not be looked after");
        }
        let mut batch = Batch::default();
        for open in self.ports.catalog.open_publications().await? {
            let done = self.happened(&open).await?;
            let mut steps = Vec::new();
            if done {
                // Whoever moved the pointer may not have lived to flush it, or the flush failed: only what would
                // outlast a power cut is called done.
                let rings = &self.ports.rings;
                let stands = rings.confirm(&open.ring, open.digest).await?;
                // It may be what is served for want of a pointer: then the pointer is written first.
                if !stands && rings.mend(&open.ring).await? == Some(open.number) {
                    rings.confirm(&open.ring, open.digest).await?;
                }
                self.forget_rejected().await;
                steps = self.intended_steps(&open).await?;
                let records = self.left_behind(&open).await?;
                let worded = records.iter().map(|record| record.feed.clone()).collect();
                let mut records: Vec<_> = records.into_iter().map(|record| (record, Costs::default())).collect();
                self.tell_steps(&steps, &worded, &mut records).await?;
                for (record, costs) in records {
                    batch.history.push(self.check_entry(&record, costs));
                    batch.feeds.push(record);
                }
            }
            if !done {
                self.drop_prepared(&open).await;
            }
            let kind = if done { EntryKind::PublicationDone } else { EntryKind::PublicationAbandoned };
            let data =
                json!({ "number": open.number, "digest": open.digest, "why": "found open after an interruption" });
            let data = with_steps(data, &steps);
            batch.history.push(self.entry(kind, open.ring.as_str(), data));
            tracing::warn!(ring = %open.ring, generation = open.number, done, "closed an interrupted publication");
            batch.publications.push(Publication { closed_at: Some(self.ports.clock.now()), ..open });
        }
        if batch.publications.is_empty() {
            return Ok(());
        }
        Ok(self.ports.catalog.apply(batch).await?)
    }

    /// Removes the generation file of a publication that did not take place: should the pointer be lost one day, readers
    /// fall back to the newest file, and that must be one that was served.
    pub(crate) async fn drop_prepared(&self, open: &Publication) {
        let rings = &self.ports.rings;
        let removed = match rings.generation(&open.ring, open.number).await {
            // Another publication may have taken the number since.
            Ok(Some(found)) if model::Digest::of(&found.encode()) == open.digest => {
                rings.remove(&open.ring, open.number).await
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            // The next publication takes the number over, and gc removes what is left.
            tracing::warn!(
                ring = %open.ring, generation = open.number, error = %error_chain(&error),
                "the file of a publication that did not take place could not be removed"
            );
        }
    }

    /// The records of feeds that the publication took back to an older release by the operator's word, and that the
    /// crash left with the mark of the newer one: what is served would count as a regression. What went forward needs
    /// no repair: the mark counts no less than what the ring serves, and the next run settles the rest.
    async fn left_behind(&self, open: &Publication) -> Result<Vec<FeedRecord>, EngineError> {
        let mut records = Vec::new();
        let Some(generation) = self.ports.rings.generation(&open.ring, open.number).await? else { return Ok(records) };
        for (feed, served) in generation.feeds.iter().filter(|(_, served)| served.since == generation.at) {
            let Some(record) = self.ports.catalog.feed(feed).await? else { continue };
            if record.mark.as_ref().is_none_or(|mark| mark.version <= served.vendor_version.version) {
                continue;
            }
            records.push(FeedRecord {
                mark: Some(served.vendor_version.clone()),
                release: Some(served.release),
                outcome: Outcome::Published,
                reason: None,
                detail: None,
                // It may belong to another release.
                validator: None,
                ..record
            });
        }
        Ok(records)
    }

    async fn happened(&self, open: &Publication) -> Result<bool, EngineError> {
        let current = match self.ports.rings.current(&open.ring).await {
            // Nothing of the ring is whole: it is made anew as it was published before.
            Err(error) if error.reason() == Reason::GenerationDamaged => None,
            current => current?,
        };
        let Some(current) = current else { return Ok(false) };
        if current.generation.number <= open.number {
            return Ok(current.digest == open.digest);
        }
        match self.ports.rings.generation(&open.ring, open.number).await {
            Ok(then) => Ok(then.is_some_and(|then| model::Digest::of(&then.encode()) == open.digest)),
            // A damaged file says nothing, and what was published since needs it no more.
            Err(error) if error.reason() == Reason::GenerationDamaged => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
