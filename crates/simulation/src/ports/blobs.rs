//! Blobs, one operation after the other.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use blob_store::{BlobReader, BlobStore, BlobWriter, Expected, Found, PartialKey, StoreError, Verification};
use bytes::Bytes;
use model::{Digest, Held, Timestamp};

use crate::lie::Lie;
use crate::process::{Operation, Process};

/// A store whose operations the plan can strike.
pub(crate) struct Blobs {
    pub(crate) inner: Arc<dyn BlobStore>,
    pub(crate) process: Arc<Process>,
}

/// Makes the failure of an operation.
pub(super) fn broken(act: &'static str) -> impl Fn() -> StoreError + Send {
    move || StoreError::Io {
        act,
        path: "the simulated store".to_owned(),
        source: io::Error::other("struck by the simulation"),
    }
}

#[async_trait]
impl BlobStore for Blobs {
    async fn begin(&self, resume: Option<PartialKey>) -> Result<Box<dyn BlobWriter>, StoreError> {
        let what = if resume.is_some() { "resumable" } else { "fresh" };
        let inner = self.process.run(Operation::reads("blobs.begin", what), self.inner.begin(resume), broken("begin"));
        Ok(Box::new(Writer { inner: inner.await?, process: Arc::clone(&self.process), store: Arc::clone(&self.inner) }))
    }

    async fn find(&self, digest: Digest) -> Result<Option<Held>, StoreError> {
        let operation = Operation::reads("blobs.find", digest.short());
        self.process.run(operation, self.inner.find(digest), broken("look for")).await
    }

    async fn find_all(&self, digests: &[Digest]) -> Result<Vec<Option<Held>>, StoreError> {
        let operation = Operation::reads("blobs.find_all", digests.len());
        self.process.run(operation, self.inner.find_all(digests), broken("look for")).await
    }

    async fn open(&self, digest: Digest) -> Result<Option<Box<dyn BlobReader>>, StoreError> {
        let operation = Operation::reads("blobs.open", digest.short());
        self.process.run(operation, self.inner.open(digest), broken("open")).await
    }

    async fn verify(&self, digest: Digest) -> Result<Verification, StoreError> {
        let operation = Operation::reads("blobs.verify", digest.short());
        let work = async {
            if self.process.lie == Some(Lie::VouchesUnread)
                && let Some(held) = self.inner.find(digest).await?
            {
                return Ok(Verification::Good(held));
            }
            self.inner.verify(digest).await
        };
        let verified = self.process.run(operation, work, broken("read")).await;
        if verified.is_err() {
            self.process.doubt(digest);
        }
        verified
    }

    async fn set_aside(&self, digest: Digest) -> Result<(), StoreError> {
        let operation = Operation::takes("blobs.set_aside", digest.short());
        if self.process.doubts(&digest) {
            // What cannot be read is not served either, whatever its bytes are.
            self.process.oracle.rotted(digest);
        }
        self.process.run(operation, self.inner.set_aside(digest), broken("set aside")).await
    }

    async fn remove(&self, digest: Digest) -> Result<(), StoreError> {
        let operation = Operation::takes("blobs.remove", digest.short());
        self.process.run(operation, self.inner.remove(digest), broken("remove")).await
    }

    async fn visit(&self, each: &mut (dyn FnMut(Digest, u64) + Send)) -> Result<(), StoreError> {
        self.process.run(Operation::reads("blobs.visit", ""), self.inner.visit(each), broken("list")).await
    }

    async fn survey(&self, each: &mut (dyn FnMut(Found) + Send)) -> Result<(), StoreError> {
        self.process.run(Operation::reads("blobs.survey", ""), self.inner.survey(each), broken("list")).await
    }

    async fn tidy_partials(&self, before: Timestamp) -> Result<u64, StoreError> {
        let operation = Operation::reads("blobs.tidy_partials", before);
        self.process.run(operation, self.inner.tidy_partials(before), broken("tidy")).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.process.run(Operation::reads("blobs.free_bytes", ""), self.inner.free_bytes(), broken("measure")).await
    }
}

struct Writer {
    inner: Box<dyn BlobWriter>,
    store: Arc<dyn BlobStore>,
    process: Arc<Process>,
}

#[async_trait]
impl BlobWriter for Writer {
    fn written(&self) -> u64 {
        self.inner.written()
    }

    fn tag(&self) -> &str {
        self.inner.tag()
    }

    async fn restart(&mut self, tag: &str) -> Result<(), StoreError> {
        let operation = Operation::reads("blob.restart", tag.len());
        self.process.run(operation, self.inner.restart(tag), broken("empty")).await
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        let operation = Operation::reads("blob.write", chunk.len());
        self.process.run(operation, self.inner.write(chunk), broken("write")).await
    }

    async fn finish(self: Box<Self>, expected: Expected) -> Result<Held, StoreError> {
        let Self { inner, process, store } = *self;
        let on = expected.digest.map(|digest| digest.short()).unwrap_or_default();
        let operation = Operation::takes("blob.finish", on);
        let lie = process.lie;
        let work = async {
            let held = inner.finish(expected).await?;
            // One in eight.
            if held.digest().as_bytes().first().is_some_and(|byte| byte % 8 == 0) {
                match lie {
                    Some(Lie::LosesBlobs) => store.remove(held.digest()).await?,
                    Some(Lie::TurnsBits) => process.oracle.spoil(held.digest()),
                    _ => {}
                }
            }
            Ok(held)
        };
        process.run(operation, work, broken("finish")).await
    }
}
