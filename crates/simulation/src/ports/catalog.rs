//! The catalog, one operation after the other.

use std::sync::Arc;

use async_trait::async_trait;
use catalog::{
    Batch, Catalog, CatalogError, ChainHead, Entry, EntryFilter, EntryKind, EntryOrder, FeedRecord, Lived, Publication,
    ReleaseFilter, ReleaseRecord, Remover, Span, Sweep,
};
use model::{Digest, FeedId, ReleaseId, ReleaseState, Timestamp};

use crate::lie::Lie;
use crate::oracle::Recorded;
use crate::process::{Operation, Process};

/// A catalog whose operations the plan can strike.
pub(crate) struct Records {
    pub(crate) inner: Arc<dyn Catalog>,
    pub(crate) process: Arc<Process>,
}

fn broken(act: &'static str) -> impl Fn() -> CatalogError + Send {
    move || CatalogError::Database { act, source: "struck by the simulation".into() }
}

impl Records {
    fn told(&self, mut record: ReleaseRecord) -> ReleaseRecord {
        if self.process.lie == Some(Lie::ForgivesRejected) && record.state == ReleaseState::Rejected {
            record.state = ReleaseState::Admitted;
        }
        record
    }
}

#[async_trait]
impl Catalog for Records {
    async fn apply(&self, mut batch: Batch) -> Result<(), CatalogError> {
        if self.process.lie == Some(Lie::ForgetsReleases) {
            batch.releases.clear();
        }
        let recorded = Recorded::of(&batch, self.process.oracle.truly());
        self.process.calls_done(recorded.done());
        let operation = Operation::reads("catalog.apply", &recorded);
        let work = async {
            self.inner.apply(batch).await?;
            self.process.oracle.recorded(recorded);
            Ok(())
        };
        self.process.run(operation, work, broken("record")).await
    }

    async fn feeds(&self) -> Result<Vec<FeedRecord>, CatalogError> {
        self.process.run(Operation::reads("catalog.feeds", ""), self.inner.feeds(), broken("read feeds")).await
    }

    async fn feed(&self, feed: &FeedId) -> Result<Option<FeedRecord>, CatalogError> {
        self.process.run(Operation::reads("catalog.feed", feed), self.inner.feed(feed), broken("read a feed")).await
    }

    async fn releases(&self, filter: &ReleaseFilter) -> Result<Vec<ReleaseRecord>, CatalogError> {
        let operation = Operation::reads("catalog.releases", "");
        let found = self.process.run(operation, self.inner.releases(filter), broken("read releases")).await?;
        Ok(found.into_iter().map(|record| self.told(record)).collect())
    }

    async fn visit_releases(
        &self,
        filter: &ReleaseFilter,
        each: &mut (dyn FnMut(ReleaseRecord) + Send),
    ) -> Result<(), CatalogError> {
        let operation = Operation::reads("catalog.visit_releases", "");
        self.process.run(operation, self.inner.visit_releases(filter, each), broken("read releases")).await
    }

    async fn release(&self, id: &ReleaseId) -> Result<Option<ReleaseRecord>, CatalogError> {
        let operation = Operation::reads("catalog.release", id.short());
        let found = self.process.run(operation, self.inner.release(id), broken("read a release")).await?;
        Ok(found.map(|record| self.told(record)))
    }

    async fn find_releases(&self, text: &str) -> Result<Vec<ReleaseRecord>, CatalogError> {
        let operation = Operation::reads("catalog.find_releases", "");
        self.process.run(operation, self.inner.find_releases(text), broken("find releases")).await
    }

    async fn open_publications(&self) -> Result<Vec<Publication>, CatalogError> {
        let operation = Operation::reads("catalog.open_publications", "");
        self.process.run(operation, self.inner.open_publications(), broken("read publications")).await
    }

    async fn host_waits(&self) -> Result<Vec<(String, Timestamp)>, CatalogError> {
        let operation = Operation::reads("catalog.host_waits", "");
        self.process.run(operation, self.inner.host_waits(), broken("read waits")).await
    }

    async fn history(&self, from: u64, limit: usize) -> Result<Vec<Entry>, CatalogError> {
        let operation = Operation::reads("catalog.history", from);
        self.process.run(operation, self.inner.history(from, limit), broken("read the history")).await
    }

    async fn entries(&self, filter: &EntryFilter, order: EntryOrder, limit: usize) -> Result<Vec<Entry>, CatalogError> {
        let work = self.inner.entries(filter, order, limit);
        let operation = Operation::reads("catalog.entries", limit);
        let mut found = self.process.run(operation, work, broken("read the history")).await?;
        if self.process.lie == Some(Lie::ForgetsPublications) {
            found.retain(|entry| entry.kind != EntryKind::PublicationDone);
        }
        Ok(found)
    }

    async fn latest(&self, kind: EntryKind, until: u64) -> Result<Vec<Entry>, CatalogError> {
        let work = self.inner.latest(kind, until);
        self.process.run(Operation::reads("catalog.latest", until), work, broken("read the history")).await
    }

    async fn lived(&self, now: Timestamp, spans: &[Span]) -> Result<Vec<Option<Lived>>, CatalogError> {
        let work = self.inner.lived(now, spans);
        let lived = self.process.run(Operation::reads("catalog.lived", ""), work, broken("read the history")).await?;
        if self.process.lie == Some(Lie::TrustsTheClock) {
            return Ok(spans.iter().map(|span| Some(Lived { seq: 0, earliest: now.before(span.age) })).collect());
        }
        Ok(lived)
    }

    async fn examine(&self, each: &mut (dyn FnMut(CatalogError) + Send)) -> Result<(), CatalogError> {
        self.process.run(Operation::reads("catalog.examine", ""), self.inner.examine(each), broken("read rows")).await
    }

    async fn chain_head(&self) -> Result<ChainHead, CatalogError> {
        self.process
            .run(Operation::reads("catalog.chain_head", ""), self.inner.chain_head(), broken("read the history"))
            .await
    }

    async fn reserve(&self, holder: &str, digests: &[Digest]) -> Result<(), CatalogError> {
        // A holder is named after more than the seed, so it is not told.
        let operation = Operation::reads("catalog.reserve", digests.len());
        let digests = if self.process.lie == Some(Lie::ReservesNothing) { &[] } else { digests };
        self.process.run(operation, self.inner.reserve(holder, digests), broken("reserve blobs")).await
    }

    async fn unreserve(&self, holder: Option<&str>) -> Result<(), CatalogError> {
        let what = if holder.is_some() { "own" } else { "all" };
        let operation = Operation::reads("catalog.unreserve", what);
        self.process.run(operation, self.inner.unreserve(holder), broken("drop reservations")).await
    }

    async fn sweep(
        &self,
        candidates: &[Digest],
        keep: &(dyn for<'d> Fn(&'d Digest) -> bool + Send + Sync),
        remover: &dyn Remover,
    ) -> Result<Sweep, CatalogError> {
        let operation = Operation::takes("catalog.sweep", candidates.len());
        let work = async {
            if self.process.lie == Some(Lie::SweepsInUse) {
                for digest in candidates {
                    remover.remove(digest).await.map_err(CatalogError::Remove)?;
                }
            }
            self.inner.sweep(candidates, keep, remover).await
        };
        self.process.run(operation, work, broken("sweep")).await
    }
}
