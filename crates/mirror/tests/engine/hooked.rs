//! Stores that do what a test says before an operation, and pass everything else on.

use std::sync::Arc;

use async_trait::async_trait;
use blob_store::{
    BlobReader, BlobStore, BlobWriter, Current, Found, PartialKey, PointerState, Published, RingState, RingStore,
    StoreError, Verification,
};
use mirror::{Engine, Ports};
use model::{Digest, Generation, Held, RingName, Timestamp};
use tokio::sync::Notify;

/// Operations that a test can stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A blob is looked for.
    Find(Digest),
    /// A blob is read whole.
    Verify,
    /// A blob is removed.
    RemoveBlob,
    /// A generation's file is written, or a ring's pointer moved.
    Publish,
    /// A ring's pointer was moved.
    Moved,
    /// A generation's file is removed.
    RemoveGeneration,
}

/// What becomes of an operation.
pub(crate) enum Then {
    /// It is carried out.
    GoesOn,
    /// The system refuses it with this error.
    Fails(i32),
    /// It is carried out once somebody says so.
    Waits(Arc<Notify>),
    /// It never ends: whoever waits for it is killed.
    Dies,
}

/// Stores under which `before` decides what becomes of each operation.
#[derive(Clone)]
struct Hooked<F> {
    blobs: Arc<dyn BlobStore>,
    rings: Arc<dyn RingStore>,
    before: F,
}

/// The same engine on stores under which `before` decides what becomes of each operation.
pub(crate) fn hooked(engine: &Engine, before: impl Fn(Op) -> Then + Clone + Send + Sync + 'static) -> Engine {
    let ports = engine.ports().clone();
    let stores = Hooked { blobs: Arc::clone(&ports.blobs), rings: Arc::clone(&ports.rings), before };
    let ports = Ports { blobs: Arc::new(stores.clone()), rings: Arc::new(stores), ..ports };
    Engine::new(ports, engine.settings().clone())
}

impl<F: Fn(Op) -> Then> Hooked<F> {
    async fn ask(&self, op: Op) -> Result<(), StoreError> {
        match (self.before)(op) {
            Then::GoesOn => Ok(()),
            Then::Waits(word) => {
                word.notified().await;
                Ok(())
            }
            Then::Fails(errno) => {
                let source = std::io::Error::from_raw_os_error(errno);
                Err(StoreError::Io { act: "use", path: format!("{op:?}"), source })
            }
            Then::Dies => std::future::pending().await,
        }
    }
}

#[async_trait]
impl<F: Fn(Op) -> Then + Send + Sync> BlobStore for Hooked<F> {
    async fn begin(&self, resume: Option<PartialKey>) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.blobs.begin(resume).await
    }
    async fn find(&self, digest: Digest) -> Result<Option<Held>, StoreError> {
        self.ask(Op::Find(digest)).await?;
        self.blobs.find(digest).await
    }
    async fn open(&self, digest: Digest) -> Result<Option<Box<dyn BlobReader>>, StoreError> {
        self.blobs.open(digest).await
    }
    async fn verify(&self, digest: Digest) -> Result<Verification, StoreError> {
        self.ask(Op::Verify).await?;
        self.blobs.verify(digest).await
    }
    async fn set_aside(&self, digest: Digest) -> Result<(), StoreError> {
        self.blobs.set_aside(digest).await
    }
    async fn remove(&self, digest: Digest) -> Result<(), StoreError> {
        self.ask(Op::RemoveBlob).await?;
        self.blobs.remove(digest).await
    }
    async fn visit(&self, each: &mut (dyn FnMut(Digest, u64) + Send)) -> Result<(), StoreError> {
        self.blobs.visit(each).await
    }
    async fn survey(&self, each: &mut (dyn FnMut(Found) + Send)) -> Result<(), StoreError> {
        self.blobs.survey(each).await
    }
    async fn tidy_partials(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.blobs.tidy_partials(before).await
    }
    async fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.blobs.free_bytes().await
    }
}

#[async_trait]
impl<F: Fn(Op) -> Then + Send + Sync> RingStore for Hooked<F> {
    async fn current(&self, ring: &RingName) -> Result<Option<Current>, StoreError> {
        self.rings.current(ring).await
    }
    async fn prepare(&self, generation: &Generation) -> Result<Digest, StoreError> {
        self.ask(Op::Publish).await?;
        self.rings.prepare(generation).await
    }
    async fn publish(&self, generation: &Generation, expected: Option<Digest>) -> Result<Published, StoreError> {
        self.ask(Op::Publish).await?;
        let published = self.rings.publish(generation, expected).await;
        self.ask(Op::Moved).await?;
        published
    }
    async fn generation(&self, ring: &RingName, number: u64) -> Result<Option<Generation>, StoreError> {
        self.rings.generation(ring, number).await
    }
    async fn numbers(&self, ring: &RingName) -> Result<Vec<u64>, StoreError> {
        self.rings.numbers(ring).await
    }
    async fn rings(&self) -> Result<Vec<RingName>, StoreError> {
        self.rings.rings().await
    }
    async fn inspect(&self, ring: &RingName) -> Result<RingState, StoreError> {
        self.rings.inspect(ring).await
    }
    async fn pointer(&self, ring: &RingName) -> Result<PointerState, StoreError> {
        self.rings.pointer(ring).await
    }
    async fn mend(&self, ring: &RingName) -> Result<Option<u64>, StoreError> {
        self.rings.mend(ring).await
    }
    async fn confirm(&self, ring: &RingName, digest: Digest) -> Result<bool, StoreError> {
        self.rings.confirm(ring, digest).await
    }
    async fn remove(&self, ring: &RingName, number: u64) -> Result<(), StoreError> {
        self.ask(Op::RemoveGeneration).await?;
        self.rings.remove(ring, number).await
    }
}
