//! The two locks: a long one per fetch run, a short one per publication.

use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};

use async_trait::async_trait;
use model::Clock;
use platform::fs::Folder;
use platform::lock::FileLock;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::EngineError;

/// Held while it lives.
pub trait Guard: Send + Sync {}
impl<T: Send + Sync> Guard for T {}

/// The fetch lock, held while it lives.
pub struct FetchGuard {
    _held: Arc<dyn Guard>,
    /// Whether nobody held it before: then whoever left reservations behind is dead.
    pub first: bool,
}

impl FetchGuard {
    fn first(held: impl Guard + 'static) -> Self {
        Self { _held: Arc::new(held), first: true }
    }
}

/// Who holds a lock, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockHolder(pub String);

/// The two locks of a data folder.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Takes the fetch lock, or tells who has it.
    async fn try_fetch(&self) -> Result<Result<FetchGuard, LockHolder>, EngineError>;
    /// Waits for the fetch lock.
    async fn fetch(&self) -> Result<FetchGuard, EngineError>;
    /// Waits for the publication lock; never held for longer than a publication takes.
    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError>;
    /// Fails when the data folder is no longer where it was when this process opened it: it was renamed, replaced or
    /// unmounted, and whatever is there now is not what catalog and store work on. No lock is given then.
    fn in_place(&self) -> Result<(), EngineError> {
        Ok(())
    }
}

/// Locks that hold over all processes of this machine, as files in the data folder.
#[derive(Clone)]
pub struct FileLocks {
    data_dir: PathBuf,
    /// The data folder as it was opened first; none when it could not be.
    opened: Option<Arc<Folder>>,
    verb: String,
    clock: Arc<dyn Clock>,
    /// The fetch lock that this process holds, where its runs may share it.
    shared: Option<Arc<StdMutex<Weak<FileLock>>>>,
}

impl FileLocks {
    /// Locks in `<data_dir>/locks`, which is there; `verb` tells others what the holder does.
    pub fn new(data_dir: &std::path::Path, verb: &str, clock: Arc<dyn Clock>) -> Self {
        let opened = Folder::open(data_dir).ok().map(Arc::new);
        Self { data_dir: data_dir.to_owned(), opened, verb: verb.to_owned(), clock, shared: None }
    }

    /// Lets the runs of this process hold the fetch lock together, so that one vendor's slow run does not keep
    /// another vendor's waiting. They must be of different feeds.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { shared: Some(Arc::default()), ..self }
    }

    /// The fetch lock, if a run of this process holds it.
    fn joined(&self) -> Option<FetchGuard> {
        let held = self.shared.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        Some(FetchGuard { _held: held, first: false })
    }

    fn taken(&self, mut lock: FileLock) -> FetchGuard {
        lock.describe(&self.verb, self.clock.now());
        let held = Arc::new(lock);
        if let Some(shared) = &self.shared {
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&held);
        }
        FetchGuard { _held: held, first: true }
    }

    /// The folder of the locks, reached through the data folder that was opened: no link leads it elsewhere.
    fn locks(&self, name: &'static str) -> Result<Folder, EngineError> {
        self.in_place()?;
        let locks = match &self.opened {
            Some(opened) => opened.folder("locks"),
            None => Folder::open(&self.data_dir).and_then(|opened| opened.folder("locks")),
        };
        locks.map_err(|source| EngineError::Lock { name, source })
    }

    async fn blocking(&self, name: &'static str) -> Result<FileLock, EngineError> {
        let locks = self.locks(name)?;
        let lock = tokio::task::spawn_blocking(move || FileLock::acquire_blocking_in(&locks, name)).await;
        let lock = lock.map_err(EngineError::task)?.map_err(|source| EngineError::Lock { name, source })?;
        // While we waited, or in the moment between, it may have been taken away.
        self.in_place()?;
        Ok(lock)
    }
}

#[async_trait]
impl Locks for FileLocks {
    async fn try_fetch(&self) -> Result<Result<FetchGuard, LockHolder>, EngineError> {
        if let Some(joined) = self.joined() {
            return Ok(Ok(joined));
        }
        let locks = self.locks("fetch")?;
        let taken =
            FileLock::try_acquire_in(&locks, "fetch").map_err(|source| EngineError::Lock { name: "fetch", source })?;
        Ok(match taken {
            Some(lock) => Ok(self.taken(lock)),
            None => Err(LockHolder(match FileLock::holder_in(&locks, "fetch") {
                Some(holder) => format!("pid {} ({}), since {}", holder.pid, holder.verb, holder.since),
                None => "another process".to_owned(),
            })),
        })
    }

    async fn fetch(&self) -> Result<FetchGuard, EngineError> {
        match self.joined() {
            Some(joined) => Ok(joined),
            None => Ok(self.taken(self.blocking("fetch").await?)),
        }
    }

    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError> {
        let mut lock = self.blocking("publish").await?;
        lock.describe(&self.verb, self.clock.now());
        Ok(Box::new(lock))
    }

    fn in_place(&self) -> Result<(), EngineError> {
        let Some(opened) = &self.opened else { return Ok(()) };
        match opened.is_at(&self.data_dir) {
            Ok(true) => Ok(()),
            Ok(false) => Err(EngineError::FolderGone { path: self.data_dir.clone(), source: None }),
            Err(error) => Err(EngineError::FolderGone { path: self.data_dir.clone(), source: Some(error) }),
        }
    }
}

/// Locks within one process, for tests.
#[derive(Clone, Default)]
pub struct MemoryLocks {
    fetch: Arc<Mutex<()>>,
    publish: Arc<Mutex<()>>,
}

#[async_trait]
impl Locks for MemoryLocks {
    async fn try_fetch(&self) -> Result<Result<FetchGuard, LockHolder>, EngineError> {
        let taken: Result<OwnedMutexGuard<()>, _> = Arc::clone(&self.fetch).try_lock_owned();
        Ok(match taken {
            Ok(guard) => Ok(FetchGuard::first(guard)),
            Err(_) => Err(LockHolder("this process".to_owned())),
        })
    }

    async fn fetch(&self) -> Result<FetchGuard, EngineError> {
        Ok(FetchGuard::first(Arc::clone(&self.fetch).lock_owned().await))
    }

    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError> {
        Ok(Box::new(Arc::clone(&self.publish).lock_owned().await))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn runs_of_one_process_share_the_lock_only_where_they_may_s23() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("locks")).unwrap();
        let clock = Arc::new(platform::SystemClock::new());
        let shared = FileLocks::new(dir.path(), "run", clock.clone()).shared();
        let other = FileLocks::new(dir.path(), "sync", clock);
        let first = shared.try_fetch().await.unwrap().ok().unwrap();
        let second = shared.try_fetch().await.unwrap().ok().unwrap();
        assert!(first.first && !second.first);
        assert!(other.try_fetch().await.unwrap().is_err());
        drop(first);
        assert!(other.try_fetch().await.unwrap().is_err(), "the second run still holds it");
        drop(second);
        let alone = other.try_fetch().await.unwrap().ok().unwrap();
        assert!(alone.first && other.try_fetch().await.unwrap().is_err(), "not shared: not even with itself");
    }
}
