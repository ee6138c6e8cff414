//! Between the async side, which must never wait for a disk, and a [`Sink`], which does nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use model::Held;
use tokio::task::JoinHandle;

use super::blobs::Blobs;
use super::sink::Sink;
use crate::data::{blocking, flat};
use crate::{BlobWriter, Expected, PartialKey, StoreError};

/// How many bytes are gathered before a thread is asked to hash and write them.
const BATCH: usize = 256 * 1024;

/// Gathers chunks and hands them to a blocking thread, one batch behind the network: at most two batches are
/// held in memory.
pub(super) struct FsWriter {
    shared: Arc<Shared>,
    /// The batch that is being written.
    pending: Option<JoinHandle<Result<(), StoreError>>>,
    gathered: usize,
    written: u64,
    tag: String,
    /// Set once the blocking side alone decides what becomes of the bytes.
    finishing: bool,
}

struct Shared {
    sink: Mutex<Sink>,
    /// Chunks in order. Whoever holds the sink takes all of them, so they stay in order whoever comes first.
    queue: Mutex<Vec<Bytes>>,
}

impl Shared {
    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Vec<Bytes>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&self) -> Result<(), StoreError> {
        let mut sink = self.sink();
        let chunks = std::mem::take(&mut *self.queue());
        sink.take(&chunks)
    }
}

impl FsWriter {
    pub(super) async fn begin(blobs: Arc<Blobs>, key: Option<PartialKey>) -> Result<Self, StoreError> {
        let sink = blocking(move || Sink::begin(blobs, key)).await?;
        let (written, tag) = (sink.written(), sink.tag().to_owned());
        let shared = Arc::new(Shared { sink: Mutex::new(sink), queue: Mutex::default() });
        Ok(Self { shared, pending: None, gathered: 0, written, tag, finishing: false })
    }

    /// Waits for the batch under way. A caller that stops waiting half-way may ask again.
    async fn settle(&mut self) -> Result<(), StoreError> {
        let Some(pending) = &mut self.pending else { return Ok(()) };
        let ended = pending.await;
        self.pending = None;
        flat(ended)
    }
}

#[async_trait]
impl BlobWriter for FsWriter {
    fn written(&self) -> u64 {
        self.written
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    async fn restart(&mut self, tag: &str) -> Result<(), StoreError> {
        // What became of bytes that are given up does not matter.
        let _ = self.settle().await;
        let (shared, text) = (Arc::clone(&self.shared), tag.to_owned());
        self.shared.queue().clear();
        blocking(move || shared.sink().restart(&text)).await?;
        (self.gathered, self.written) = (0, 0);
        tag.clone_into(&mut self.tag);
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.gathered = self.gathered.saturating_add(chunk.len());
        self.written = self.written.saturating_add(chunk.len() as u64);
        self.shared.queue().push(chunk);
        if self.gathered < BATCH {
            return Ok(());
        }
        self.settle().await?;
        let shared = Arc::clone(&self.shared);
        self.pending = Some(tokio::task::spawn_blocking(move || shared.drain()));
        self.gathered = 0;
        Ok(())
    }

    async fn finish(mut self: Box<Self>, expected: Expected) -> Result<Held, StoreError> {
        self.settle().await?;
        self.finishing = true;
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let mut sink = shared.sink();
            let chunks = std::mem::take(&mut *shared.queue());
            sink.finish(&chunks, expected)
        })
        .await
    }
}

impl Drop for FsWriter {
    /// Ends the download here and now, so that the next writer of the same key finds its bytes. What is still
    /// to be written is two batches at most, and the system's cache takes them.
    fn drop(&mut self) {
        if self.finishing {
            return;
        }
        let mut sink = self.shared.sink();
        let chunks = std::mem::take(&mut *self.shared.queue());
        sink.leave(&chunks);
    }
}
