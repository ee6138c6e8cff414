//! Rings, one operation after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use blob_store::{Current, Published, RingState, RingStore, StoreError};
use model::{Digest, Generation, RingName};

use super::blobs::broken;
use crate::Violation;
use crate::lie::Lie;
use crate::process::{Operation, Process};

/// Rings whose operations the plan can strike.
pub(crate) struct Rings {
    pub(crate) inner: Arc<dyn RingStore>,
    pub(crate) process: Arc<Process>,
}

impl Rings {
    /// Only whoever holds the publication lock may touch what is served (I16).
    fn alone(&self, name: &str) {
        if self.process.publishing.load(Ordering::SeqCst) == 0 {
            let what = format!("process {} does {name} without the publication lock", self.process.number);
            self.process.fate.violated(Violation::new("I16", what));
        }
    }
}

#[async_trait]
impl RingStore for Rings {
    async fn current(&self, ring: &RingName) -> Result<Option<Current>, StoreError> {
        self.process.run(Operation::reads("rings.current", ring), self.inner.current(ring), broken("read")).await
    }

    async fn prepare(&self, generation: &Generation) -> Result<Digest, StoreError> {
        self.alone("rings.prepare");
        let operation = Operation::moves("rings.prepare", generation.number);
        self.process.run(operation, self.inner.prepare(generation), broken("write")).await
    }

    async fn publish(&self, generation: &Generation, expected: Option<Digest>) -> Result<Published, StoreError> {
        self.alone("rings.publish");
        let operation = Operation::moves("rings.publish", generation.number);
        let work = async {
            match self.process.lie {
                Some(Lie::PointerStays) => {
                    Ok(Published { number: generation.number, digest: Digest::of(&generation.encode()) })
                }
                Some(Lie::PointerToHalf) => {
                    let mut half = generation.clone();
                    half.routes.pop_last();
                    self.inner.publish(&half, expected).await
                }
                Some(Lie::DropsBack) => {
                    let mut without = generation.clone();
                    without.feeds.values_mut().for_each(|served| served.back = None);
                    without.routes.retain(|path, _| !path.as_str().contains("_back/"));
                    self.inner.publish(&without, expected).await
                }
                _ => self.inner.publish(generation, expected).await,
            }
        };
        let published = self.process.run(operation, work, broken("replace")).await?;
        self.process.confirmed(published.digest);
        Ok(published)
    }

    async fn generation(&self, ring: &RingName, number: u64) -> Result<Option<Generation>, StoreError> {
        let operation = Operation::reads("rings.generation", number);
        self.process.run(operation, self.inner.generation(ring, number), broken("read")).await
    }

    async fn numbers(&self, ring: &RingName) -> Result<Vec<u64>, StoreError> {
        self.process.run(Operation::reads("rings.numbers", ring), self.inner.numbers(ring), broken("list")).await
    }

    async fn rings(&self) -> Result<Vec<RingName>, StoreError> {
        self.process.run(Operation::reads("rings.rings", ""), self.inner.rings(), broken("list")).await
    }

    async fn inspect(&self, ring: &RingName) -> Result<RingState, StoreError> {
        self.process.run(Operation::reads("rings.inspect", ring), self.inner.inspect(ring), broken("look at")).await
    }

    async fn mend(&self, ring: &RingName) -> Result<Option<u64>, StoreError> {
        self.process.run(Operation::moves("rings.mend", ring), self.inner.mend(ring), broken("mend")).await
    }

    async fn confirm(&self, ring: &RingName, digest: Digest) -> Result<bool, StoreError> {
        let operation = Operation::moves("rings.confirm", ring);
        let stands = self.process.run(operation, self.inner.confirm(ring, digest), broken("confirm")).await?;
        if stands {
            self.process.confirmed(digest);
        }
        Ok(stands)
    }

    async fn remove(&self, ring: &RingName, number: u64) -> Result<(), StoreError> {
        let operation = Operation::moves("rings.remove", number);
        let work = async {
            match self.process.lie {
                // What is damaged would be found by whoever checks the store.
                Some(Lie::KeepsGenerations) if self.inner.generation(ring, number).await.is_ok() => Ok(()),
                _ => self.inner.remove(ring, number).await,
            }
        };
        self.process.run(operation, work, broken("remove")).await
    }
}
