//! The two locks: a long one per fetch run, a short one per publication.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use model::Clock;
use platform::lock::FileLock;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::EngineError;

/// Held while it lives.
pub trait Guard: Send + Sync {}
impl<T: Send + Sync> Guard for T {}

/// Who holds a lock, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockHolder(pub String);

/// The two locks of a data folder.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Takes the fetch lock, or tells who has it.
    async fn try_fetch(&self) -> Result<Result<Box<dyn Guard>, LockHolder>, EngineError>;
    /// Waits for the fetch lock.
    async fn fetch(&self) -> Result<Box<dyn Guard>, EngineError>;
    /// Waits for the publication lock; never held for longer than a publication takes.
    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError>;
}

/// Locks that hold over all processes of this machine, as files in the data folder.
#[derive(Clone)]
pub struct FileLocks {
    folder: PathBuf,
    verb: String,
    clock: Arc<dyn Clock>,
}

impl FileLocks {
    /// Locks in `<data_dir>/locks`, which is there; `verb` tells others what the holder does.
    pub fn new(data_dir: &std::path::Path, verb: &str, clock: Arc<dyn Clock>) -> Self {
        Self { folder: data_dir.join("locks"), verb: verb.to_owned(), clock }
    }

    async fn blocking(&self, name: &'static str) -> Result<Box<dyn Guard>, EngineError> {
        let path = self.folder.join(name);
        let lock = tokio::task::spawn_blocking(move || FileLock::acquire_blocking(&path)).await;
        let lock = lock.map_err(EngineError::task)?.map_err(|source| EngineError::Lock { name, source })?;
        Ok(self.described(lock))
    }

    fn described(&self, mut lock: FileLock) -> Box<dyn Guard> {
        lock.describe(&self.verb, self.clock.now());
        Box::new(lock)
    }
}

#[async_trait]
impl Locks for FileLocks {
    async fn try_fetch(&self) -> Result<Result<Box<dyn Guard>, LockHolder>, EngineError> {
        let path = self.folder.join("fetch");
        let taken = FileLock::try_acquire(&path).map_err(|source| EngineError::Lock { name: "fetch", source })?;
        Ok(match taken {
            Some(lock) => Ok(self.described(lock)),
            None => Err(LockHolder(match FileLock::holder(&path) {
                Some(holder) => format!("pid {} ({}), since {}", holder.pid, holder.verb, holder.since),
                None => "another process".to_owned(),
            })),
        })
    }

    async fn fetch(&self) -> Result<Box<dyn Guard>, EngineError> {
        self.blocking("fetch").await
    }

    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError> {
        self.blocking("publish").await
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
    async fn try_fetch(&self) -> Result<Result<Box<dyn Guard>, LockHolder>, EngineError> {
        let taken: Result<OwnedMutexGuard<()>, _> = Arc::clone(&self.fetch).try_lock_owned();
        Ok(match taken {
            Ok(guard) => Ok(Box::new(guard)),
            Err(_) => Err(LockHolder("this process".to_owned())),
        })
    }

    async fn fetch(&self) -> Result<Box<dyn Guard>, EngineError> {
        Ok(Box::new(Arc::clone(&self.fetch).lock_owned().await))
    }

    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError> {
        Ok(Box::new(Arc::clone(&self.publish).lock_owned().await))
    }
}
