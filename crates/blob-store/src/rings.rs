//! Rings as folders of generation files and a pointer.

mod folder;
mod inspect;
mod pointer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use model::{Digest, Generation, RingName};

use crate::data::{Access, DataFolder, blocking};
use crate::{Current, PointerState, Published, RingState, RingStore, StoreError};
pub(crate) use folder::Rings;
pub(crate) use pointer::Pointer;

/// Keeps each ring as a folder below the data folder.
#[derive(Clone, Debug)]
pub struct FsRings {
    rings: Arc<Rings>,
}

impl FsRings {
    /// Opens the rings of a data folder. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Unsafe`] when the folder is a link, belongs to somebody else, or others can write it.
    pub fn open(data_dir: &Path, access: Access) -> Result<Self, StoreError> {
        Ok(Self { rings: Arc::new(Rings::new(DataFolder::open(data_dir, access)?)) })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Rings) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let rings = Arc::clone(&self.rings);
        blocking(move || work(&rings)).await
    }
}

#[async_trait]
impl RingStore for FsRings {
    async fn current(&self, ring: &RingName) -> Result<Option<Current>, StoreError> {
        let ring = ring.clone();
        self.run(move |rings| rings.current(&ring)).await
    }

    async fn prepare(&self, generation: &Generation) -> Result<Digest, StoreError> {
        let generation = generation.clone();
        self.run(move |rings| rings.prepare(&generation)).await
    }

    async fn publish(&self, generation: &Generation, expected: Option<Digest>) -> Result<Published, StoreError> {
        let generation = generation.clone();
        self.run(move |rings| rings.publish(&generation, expected)).await
    }

    async fn generation(&self, ring: &RingName, number: u64) -> Result<Option<Generation>, StoreError> {
        let ring = ring.clone();
        self.run(move |rings| rings.generation(&ring, number)).await
    }

    async fn numbers(&self, ring: &RingName) -> Result<Vec<u64>, StoreError> {
        let ring = ring.clone();
        self.run(move |rings| rings.numbers(&ring)).await
    }

    async fn rings(&self) -> Result<Vec<RingName>, StoreError> {
        self.run(Rings::names).await
    }

    async fn inspect(&self, ring: &RingName) -> Result<RingState, StoreError> {
        let ring = ring.clone();
        self.run(move |rings| rings.inspect(&ring)).await
    }

    async fn pointer(&self, ring: &RingName) -> Result<PointerState, StoreError> {
        let ring = ring.clone();
        self.run(move |rings| rings.pointer(&ring)).await
    }

    async fn mend(&self, ring: &RingName) -> Result<Option<u64>, StoreError> {
        let ring = ring.clone();
        self.run(move |rings| rings.mend(&ring)).await
    }

    async fn confirm(&self, ring: &RingName, digest: Digest) -> Result<bool, StoreError> {
        let ring = ring.clone();
        self.run(move |rings| rings.confirm(&ring, digest)).await
    }

    async fn remove(&self, ring: &RingName, number: u64) -> Result<(), StoreError> {
        let ring = ring.clone();
        self.run(move |rings| rings.remove(&ring, number)).await
    }
}
