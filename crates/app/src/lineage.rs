//! Which history a living `run` works on, whatever way another comes to stand where its own was: the newest head that it
//! saw is remembered from its start on, and whoever takes a lock to fetch or to publish looks whether the catalog that
//! stands there holds it.
//!
//! # Decided here
//! - That a folder, or a file, is the very one that was opened proves nothing: a backup may have been written over it.
//! - What cannot be read at this moment says nothing: who asks the catalog next is told that it fails.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use catalog::{Catalog, ChainHead};
use mirror::{EngineError, FetchGuard, FileLocks, Guard, LockHolder, Locks};

use crate::heads::has;

/// The most heads that were lost and are remembered.
const LOST: usize = 16;

/// What is known of the own history.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    known: Mutex<Known>,
    /// The catalog that was worked on before another was gone on from: somebody may hold it still, and what it says counts
    /// no longer.
    former: Mutex<Option<Weak<dyn Catalog>>>,
}

/// What is known of it at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The newest head that was seen.
    pub(crate) newest: Option<ChainHead>,
    /// What older copies lacked that were worked on since, the newest last.
    pub(crate) lost: Vec<Lost>,
    /// The catalog does not hold the newest head that was seen.
    pub(crate) is_astray: bool,
}

/// What an older copy lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The newest head of the history that it is a copy of.
    pub(crate) head: ChainHead,
    /// The head that the copy had when it was taken: what comes after it is the copy's own.
    pub(crate) copy: ChainHead,
}

impl Lineage {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was worked on before the one that is.
    fn is_former(&self, catalog: &Arc<dyn Catalog>) -> bool {
        let former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        former.as_ref().is_some_and(|former| std::ptr::addr_eq(former.as_ptr(), Arc::as_ptr(catalog)))
    }

    /// What is known.
    pub(crate) fn known(&self) -> Known {
        self.lock().clone()
    }

    /// Whether the catalog, when it was looked at last, did not hold the newest head that was seen.
    pub(crate) fn is_astray(&self) -> bool {
        self.lock().is_astray
    }

    /// Looks whether the catalog holds the newest head that was seen, and remembers the newest that it has.
    pub(crate) async fn look(&self, catalog: &Arc<dyn Catalog>) {
        let seen = self.lock().newest;
        let Ok(newest) = catalog.chain_head().await else { return };
        let is_astray = match seen {
            Some(seen) => match has(catalog.as_ref(), (seen.seq, seen.digest)).await {
                Ok(has) => !has,
                Err(_) => return,
            },
            None => false,
        };
        let mut known = self.lock();
        // Somebody else looked meanwhile, maybe at another catalog.
        if known.newest != seen || self.is_former(catalog) {
            return;
        }
        known.is_astray = is_astray;
        // A head that was read before the one that was seen is no newer.
        if !is_astray && seen.is_none_or(|seen| newest.seq > seen.seq) {
            known.newest = Some(newest);
        }
    }

    /// From now on the history that ends in `head` is worked on, and no longer the one of `former`; `lost` is what it lacks of
    /// that.
    pub(crate) fn goes_on(&self, head: ChainHead, lost: Option<Lost>, former: &Arc<dyn Catalog>) {
        let mut known = self.lock();
        *self.former.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(former));
        (known.newest, known.is_astray) = (Some(head), false);
        if known.lost.len() >= LOST {
            known.lost.remove(0);
        }
        known.lost.extend(lost);
    }

    /// What was lost with this head is back.
    pub(crate) fn regained(&self, head: ChainHead) {
        self.lock().lost.retain(|lost| lost.head != head);
    }
}

/// The locks of a data folder, given only while the catalog in it holds the history that this process works on.
pub(crate) struct OwnLocks {
    pub(crate) locks: FileLocks,
    pub(crate) catalog: Arc<dyn Catalog>,
    /// The catalog's file.
    pub(crate) path: PathBuf,
    pub(crate) lineage: Arc<Lineage>,
}

#[async_trait]
impl Locks for OwnLocks {
    async fn try_fetch(&self) -> Result<Result<FetchGuard, LockHolder>, EngineError> {
        self.look().await?;
        self.locks.try_fetch().await
    }

    async fn fetch(&self) -> Result<FetchGuard, EngineError> {
        let guard = self.locks.fetch().await?;
        self.look().await?;
        Ok(guard)
    }

    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError> {
        let guard = self.locks.publish().await?;
        self.look().await?;
        Ok(guard)
    }

    fn in_place(&self) -> Result<(), EngineError> {
        self.locks.in_place()?;
        match self.lineage.is_astray() || self.lineage.is_former(&self.catalog) {
            true => Err(EngineError::CatalogGone { path: self.path.clone(), source: None }),
            false => Ok(()),
        }
    }

    async fn look(&self) -> Result<(), EngineError> {
        self.locks.in_place()?;
        self.lineage.look(&self.catalog).await;
        self.in_place()
    }
}

#[cfg(test)]
mod tests {
    use catalog::{Actor, Batch, EntryKind, MemoryCatalog, NewEntry};
    use model::Timestamp;

    use super::*;

    async fn tell(catalog: &MemoryCatalog, subjects: &[&str]) {
        let entry = |subject: &&str| NewEntry {
            at: Timestamp::from_micros(1_800_000_000_000_000),
            actor: Actor::new(0, 1, "test"),
            kind: EntryKind::Check,
            subject: (*subject).to_owned(),
            data: serde_json::json!({}),
        };
        let history = subjects.iter().map(entry).collect();
        catalog.apply(Batch { history, ..Batch::default() }).await.unwrap();
    }

    #[tokio::test]
    async fn no_lock_is_given_on_a_catalog_without_the_newest_head_that_was_seen_s40() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("locks")).unwrap();
        let lineage = Arc::new(Lineage::default());
        let on = |catalog: &Arc<MemoryCatalog>| {
            let clock = Arc::new(platform::SystemClock::new());
            let locks = FileLocks::new(dir.path(), "run", clock);
            let catalog = Arc::clone(catalog) as Arc<dyn Catalog>;
            OwnLocks { locks, catalog, path: dir.path().join("rows"), lineage: Arc::clone(&lineage) }
        };
        let own = Arc::new(MemoryCatalog::new());
        tell(&own, &["a", "b"]).await;
        let copy = Arc::new(own.fork().await);
        drop(on(&own).publish().await.unwrap());
        tell(&own, &["c"]).await;
        drop(on(&own).fetch().await.unwrap());
        let head = own.chain_head().await.unwrap();
        assert_eq!(lineage.known().newest, Some(head));

        // The very files were written over: nothing but the history tells.
        tell(&copy, &["another", "longer", "history"]).await;
        let copied = on(&copy);
        copied.in_place().unwrap();
        assert!(copied.publish().await.is_err() && copied.fetch().await.is_err());
        assert!(copied.try_fetch().await.is_err() && copied.in_place().is_err());
        assert_eq!(lineage.known().newest, Some(head), "what was seen is not forgotten for it");

        drop(on(&own).publish().await.unwrap());
        copied.in_place().unwrap();
        // Who was told to go on from it does, and who holds the other one still neither works on it nor is believed.
        let copy = copy.chain_head().await.unwrap();
        let former = Arc::clone(&own) as Arc<dyn Catalog>;
        lineage.goes_on(copy, Some(Lost { head, copy }), &former);
        drop(copied.publish().await.unwrap());
        tell(&own, &["d"]).await;
        lineage.look(&former).await;
        assert!(on(&own).publish().await.is_err());
        assert_eq!((lineage.known().newest, lineage.is_astray()), (Some(copy), false));
        drop(copied.publish().await.unwrap());
        assert_eq!(lineage.known().lost, [Lost { head, copy }]);
    }

    /// An older copy is a part of the one that it is a copy of, which holds all that the copy does, and more.
    #[tokio::test]
    async fn what_an_older_copy_lacks_is_not_looked_for_in_it_once_it_is_worked_on_s40() {
        let own = Arc::new(MemoryCatalog::new());
        tell(&own, &["a"]).await;
        let copy = Arc::new(own.fork().await) as Arc<dyn Catalog>;
        tell(&own, &["b"]).await;
        let own = own as Arc<dyn Catalog>;
        let lineage = Lineage::default();
        lineage.look(&own).await;
        let (head, copied) = (own.chain_head().await.unwrap(), copy.chain_head().await.unwrap());
        lineage.goes_on(copied, Some(Lost { head, copy: copied }), &own);
        for catalog in [&own, &copy] {
            lineage.look(catalog).await;
            assert_eq!((lineage.known().newest, lineage.is_astray()), (Some(copied), false));
        }
    }
}
