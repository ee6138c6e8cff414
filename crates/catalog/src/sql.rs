//! The catalog in a database: SQLite today, in SQL that PostgreSQL takes as well.
//!
//! ```text
//! layout        number                                            the newest migration that was applied
//! feeds         feed, record, sum                                 a feed's record as JSON
//! releases      id, number, vendor, feed, version, state, state_since, record, sum, state_sum
//! items         release_id, digest, size, sum                     which blobs a release names
//! publications  ring, number, digest, opened_at, closed_at, sum   open while closed_at is null
//! host_waits    host, wait_until, sum
//! history       seq, happened_at, uid, pid, verb, sudo_uid, login, token, kind, subject, data, previous, digest
//! reservations  holder, digest                                    blobs that a fetch run counts on
//! ```
//!
//! A process has one connection that writes, and another for readers that come while it is busy. Both are
//! opened when first needed and given up after an error, so that a fault of the disk never outlives itself.

mod connect;
mod decode;
mod error;
mod examine;
mod history;
mod layout;
mod read;
mod sums;
mod sweep;
mod write;

use std::path::Path;

use async_trait::async_trait;
use model::{Digest, FeedId, ReleaseId, Timestamp};

use self::connect::{Access, Lease, Slot};
use crate::aging::{Lived, Span};
use crate::entry::{ChainHead, Entry, EntryFilter, EntryKind, EntryOrder};
use crate::paging::Paging;
use crate::port::{
    Batch, Catalog, CatalogError, FeedRecord, Publication, ReleaseFilter, ReleaseRecord, Remover, Sweep,
};

pub(crate) use self::error::{is_full, says_full};
#[cfg(test)]
pub(crate) use self::layout::{MIGRATIONS, Migration, Step, migrate};
#[cfg(test)]
pub(crate) use self::read::releases_query;
pub(crate) use self::sweep::SWEEP_BATCH;

/// A catalog in a database file.
#[derive(Debug)]
pub struct SqlCatalog {
    /// What writes, and reads when nothing is being written.
    writer: Slot,
    /// What reads meanwhile.
    reader: Slot,
}

impl SqlCatalog {
    /// Opens the database file at `path`, making it and its folder (mode 0700) if they are not there, and
    /// brings its layout up to date.
    pub async fn open(path: &Path) -> Result<Self, CatalogError> {
        connect::make_folder(path)?;
        connect::make_file(path)?;
        let catalog = Self::at(path, Access::ReadWrite)?;
        let mut lease = catalog.writer.lease().await?;
        let layout = layout::bring_up_to_date(&mut lease.connection).await;
        lease.give_back(layout).map_err(|error| catalog.writer.explained(error))?;
        Ok(catalog)
    }

    /// Opens an existing database file beside a process that writes to it; whatever would change it is refused.
    pub async fn open_read_only(path: &Path) -> Result<Self, CatalogError> {
        let catalog = Self::at(path, Access::ReadOnly)?;
        let mut lease = catalog.writer.lease().await?;
        let layout = layout::require(&mut lease.connection).await;
        lease.give_back(layout)?;
        Ok(catalog)
    }

    fn at(path: &Path, access: Access) -> Result<Self, CatalogError> {
        let options = connect::options(path, access)?;
        Ok(Self { writer: Slot::new(options.clone()), reader: Slot::new(options) })
    }

    async fn read(&self) -> Result<Lease<'_>, CatalogError> {
        match self.writer.try_lease() {
            Some(lease) => lease.await,
            None => self.reader.lease().await,
        }
    }
}

/// A bare connection, for tests that reach under the catalog.
#[cfg(test)]
pub(crate) async fn raw(path: &Path) -> sqlx::AnyConnection {
    connect::make_file(path).unwrap();
    connect::connect(&connect::options(path, Access::ReadWrite).unwrap()).await.unwrap()
}

#[cfg(test)]
impl SqlCatalog {
    /// Keeps the writing connection from everybody else.
    pub(crate) async fn hold_writer(&self) -> Lease<'_> {
        self.writer.lease().await.unwrap()
    }
}

#[async_trait]
impl Catalog for SqlCatalog {
    async fn apply(&self, batch: Batch) -> Result<(), CatalogError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut lease = self.writer.lease().await?;
        let applied = write::apply(&mut lease.connection, &batch).await;
        lease.give_back(applied)
    }

    async fn feeds(&self) -> Result<Vec<FeedRecord>, CatalogError> {
        let mut lease = self.read().await?;
        let feeds = read::feeds(&mut lease.connection).await;
        lease.give_back(feeds)
    }

    async fn feed(&self, feed: &FeedId) -> Result<Option<FeedRecord>, CatalogError> {
        let mut lease = self.read().await?;
        let record = read::feed(&mut lease.connection, feed).await;
        lease.give_back(record)
    }

    async fn releases(&self, filter: &ReleaseFilter) -> Result<Vec<ReleaseRecord>, CatalogError> {
        let mut lease = self.read().await?;
        let releases = read::releases(&mut lease.connection, filter, u64::MAX, filter.most()).await;
        lease.give_back(releases)
    }

    async fn visit_releases(
        &self,
        filter: &ReleaseFilter,
        each: &mut (dyn FnMut(ReleaseRecord) + Send),
    ) -> Result<(), CatalogError> {
        let mut paging = Paging::of(filter);
        while let Some(size) = paging.size() {
            let mut lease = self.read().await?;
            let page = read::releases(&mut lease.connection, filter, paging.newest, size).await;
            let page = lease.give_back(page)?;
            paging.turn(&page);
            page.into_iter().for_each(&mut *each);
        }
        Ok(())
    }

    async fn release(&self, id: &ReleaseId) -> Result<Option<ReleaseRecord>, CatalogError> {
        let mut lease = self.read().await?;
        let release = read::release(&mut lease.connection, id).await;
        lease.give_back(release)
    }

    async fn find_releases(&self, text: &str) -> Result<Vec<ReleaseRecord>, CatalogError> {
        let mut lease = self.read().await?;
        let found = read::find_releases(&mut lease.connection, text).await;
        lease.give_back(found)
    }

    async fn open_publications(&self) -> Result<Vec<Publication>, CatalogError> {
        let mut lease = self.read().await?;
        let open = read::open_publications(&mut lease.connection).await;
        lease.give_back(open)
    }

    async fn host_waits(&self) -> Result<Vec<(String, Timestamp)>, CatalogError> {
        let mut lease = self.read().await?;
        let waits = read::host_waits(&mut lease.connection).await;
        lease.give_back(waits)
    }

    async fn history(&self, from: u64, limit: usize) -> Result<Vec<Entry>, CatalogError> {
        let mut lease = self.read().await?;
        let entries = history::entries_from(&mut lease.connection, from, limit).await;
        lease.give_back(entries)
    }

    async fn entries(&self, filter: &EntryFilter, order: EntryOrder, limit: usize) -> Result<Vec<Entry>, CatalogError> {
        let mut lease = self.read().await?;
        let entries = history::entries(&mut lease.connection, filter, (order, limit)).await;
        lease.give_back(entries)
    }

    async fn latest(&self, kind: EntryKind, until: u64) -> Result<Vec<Entry>, CatalogError> {
        let mut lease = self.read().await?;
        let entries = history::latest(&mut lease.connection, kind, until).await;
        lease.give_back(entries)
    }

    async fn lived(&self, now: Timestamp, spans: &[Span]) -> Result<Vec<Option<Lived>>, CatalogError> {
        let mut lease = self.read().await?;
        let lived = history::lived(&mut lease.connection, now, spans).await;
        lease.give_back(lived)
    }

    async fn examine(&self, each: &mut (dyn FnMut(CatalogError) + Send)) -> Result<(), CatalogError> {
        let mut lease = self.read().await?;
        let looked = examine::small(&mut lease.connection, each).await;
        lease.give_back(looked)?;
        let mut paging = Paging::of(&ReleaseFilter::default());
        loop {
            let mut lease = self.read().await?;
            let more = examine::releases(&mut lease.connection, &mut paging, each).await;
            if !lease.give_back(more)? {
                return Ok(());
            }
        }
    }

    async fn chain_head(&self) -> Result<ChainHead, CatalogError> {
        let mut lease = self.read().await?;
        let head = history::head(&mut lease.connection).await;
        lease.give_back(head)
    }

    async fn reserve(&self, holder: &str, digests: &[Digest]) -> Result<(), CatalogError> {
        if digests.is_empty() {
            return Ok(());
        }
        let mut lease = self.writer.lease().await?;
        let reserved = sweep::reserve(&mut lease.connection, holder, digests).await;
        lease.give_back(reserved)
    }

    async fn unreserve(&self, holder: Option<&str>) -> Result<(), CatalogError> {
        let mut lease = self.writer.lease().await?;
        let dropped = sweep::unreserve(&mut lease.connection, holder).await;
        lease.give_back(dropped)
    }

    async fn sweep(
        &self,
        candidates: &[Digest],
        keep: &(dyn for<'d> Fn(&'d Digest) -> bool + Send + Sync),
        remover: &dyn Remover,
    ) -> Result<Sweep, CatalogError> {
        let mut sweep = Sweep::default();
        let mut loose = Vec::new();
        // First without standing in anybody's way: what is in use now is kept, whatever happens next.
        for chunk in candidates.chunks(SWEEP_BATCH) {
            let mut lease = self.read().await?;
            let in_use = sweep::in_use(&mut lease.connection, chunk).await;
            let in_use = lease.give_back(in_use)?;
            loose.extend(chunk.iter().filter(|digest| !in_use.contains(digest) && !keep(digest)).copied());
        }
        sweep.kept = (candidates.len() - loose.len()) as u64;
        for (index, chunk) in loose.chunks(SWEEP_BATCH).enumerate() {
            if index > 0 {
                tokio::time::sleep(sweep::BREATH).await;
            }
            let mut lease = self.writer.lease().await?;
            let swept = sweep::remove_loose(&mut lease.connection, chunk, keep, remover).await;
            let swept = lease.give_back(swept)?;
            sweep.removed += swept.removed;
            sweep.kept += swept.kept;
        }
        Ok(sweep)
    }

    async fn fold(&self) -> Result<(), CatalogError> {
        let mut lease = self.writer.lease().await?;
        let folded = connect::fold(&mut lease.connection).await;
        lease.give_back(folded)
    }
}
