//! The locks, one operation after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use mirror::{EngineError, FetchGuard, Guard, LockHolder, Locks as Port};

use crate::lie::Lie;
use crate::process::{Operation, Process};

/// Locks whose operations the plan can strike.
pub(crate) struct Locks {
    pub(crate) inner: Arc<dyn Port>,
    pub(crate) process: Arc<Process>,
}

fn broken(name: &'static str) -> impl Fn() -> EngineError + Send {
    move || EngineError::Lock {
        name,
        source: platform::fs::FsError::Io {
            act: "lock",
            path: "the simulated lock".into(),
            source: std::io::Error::other("struck by the simulation"),
        },
    }
}

/// Counts the publication locks of a process.
struct Publishing {
    _held: Box<dyn Guard>,
    process: Arc<Process>,
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.process.publishing.fetch_sub(1, Ordering::SeqCst);
        self.process.fate.publisher_went();
    }
}

#[async_trait]
impl Port for Locks {
    async fn try_fetch(&self) -> Result<Result<FetchGuard, LockHolder>, EngineError> {
        self.process.run(Operation::waits("locks.try_fetch"), self.inner.try_fetch(), broken("fetch")).await
    }

    async fn fetch(&self) -> Result<FetchGuard, EngineError> {
        self.process.run(Operation::waits("locks.fetch"), self.inner.fetch(), broken("fetch")).await
    }

    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError> {
        let taken = async {
            let held: Box<dyn Guard> = match self.process.lie {
                Some(Lie::NoLock) => Box::new(()),
                _ => self.inner.publish().await?,
            };
            self.process.publishing.fetch_add(1, Ordering::SeqCst);
            self.process.fate.publisher_came();
            Ok(Box::new(Publishing { _held: held, process: Arc::clone(&self.process) }) as Box<dyn Guard>)
        };
        self.process.run(Operation::waits("locks.publish"), taken, broken("publish")).await
    }
}
