//! Blobs in memory.

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use model::{Digest, Held, Timestamp};

use crate::{
    BlobReader, BlobStore, BlobWriter, Expected, Found, Leftover, LeftoverKind, PartialKey, StoreError, Verification,
};

/// Keeps blobs in memory. Clones share what they keep, as two processes share a folder.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<Digest, Bytes>,
    partials: HashMap<PartialKey, Partial>,
    damaged: Vec<(Digest, Bytes)>,
    free: Option<u64>,
}

#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    tag: String,
    /// Somebody writes it.
    taken: bool,
}

impl Partial {
    /// What is left of it when whoever writes it is gone.
    fn left(&self) -> Self {
        Self { bytes: self.bytes.clone(), tag: self.tag.clone(), taken: false }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy that goes its own way from here on, for simulations that try what follows again and again.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.state();
        let partials = state.partials.iter().map(|(key, partial)| (*key, partial.left())).collect();
        let copy = State { blobs: state.blobs.clone(), partials, damaged: state.damaged.clone(), free: state.free };
        Self { state: Arc::new(Mutex::new(copy)) }
    }

    /// Keeps bytes at once.
    pub fn put(&self, bytes: impl Into<Bytes>) -> Held {
        let bytes = bytes.into();
        let held = Held::attest(Digest::of(&bytes), bytes.len() as u64);
        self.state().blobs.insert(held.digest(), bytes);
        held
    }

    /// Puts other bytes under a digest, as a rotting disk does.
    pub fn rot(&self, digest: Digest, bytes: impl Into<Bytes>) {
        self.state().blobs.insert(digest, bytes.into());
    }

    /// Says what [`BlobStore::free_bytes`] answers.
    pub fn set_free_bytes(&self, free: Option<u64>) {
        self.state().free = free;
    }

    /// The blobs that were set aside, in order.
    pub fn damaged(&self) -> Vec<(Digest, Bytes)> {
        self.state().damaged.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlobStore for MemoryStore {
    async fn begin(&self, resume: Option<PartialKey>) -> Result<Box<dyn BlobWriter>, StoreError> {
        let mut writer =
            MemoryWriter { store: self.clone(), key: None, bytes: Vec::new(), tag: String::new(), done: false };
        if let Some(key) = resume {
            let mut state = self.state();
            let partial = state.partials.entry(key).or_default();
            if !partial.taken {
                partial.taken = true;
                writer.key = Some(key);
                writer.bytes = std::mem::take(&mut partial.bytes);
                writer.tag = std::mem::take(&mut partial.tag);
            }
        }
        Ok(Box::new(writer))
    }

    async fn find(&self, digest: Digest) -> Result<Option<Held>, StoreError> {
        Ok(self.state().blobs.get(&digest).map(|bytes| Held::attest(digest, bytes.len() as u64)))
    }

    async fn open(&self, digest: Digest) -> Result<Option<Box<dyn BlobReader>>, StoreError> {
        let found = self.state().blobs.get(&digest).cloned();
        Ok(found.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn BlobReader>))
    }

    async fn verify(&self, digest: Digest) -> Result<Verification, StoreError> {
        let Some(bytes) = self.state().blobs.get(&digest).cloned() else { return Ok(Verification::Absent) };
        let (actual, size) = (Digest::of(&bytes), bytes.len() as u64);
        let good = actual == digest;
        Ok(if good { Verification::Good(Held::attest(digest, size)) } else { Verification::Damaged { actual, size } })
    }

    async fn set_aside(&self, digest: Digest) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(bytes) = state.blobs.remove(&digest) {
            state.damaged.push((digest, bytes));
        }
        Ok(())
    }

    async fn remove(&self, digest: Digest) -> Result<(), StoreError> {
        self.state().blobs.remove(&digest);
        Ok(())
    }

    async fn visit(&self, each: &mut (dyn FnMut(Digest, u64) + Send)) -> Result<(), StoreError> {
        let all: Vec<(Digest, u64)> =
            self.state().blobs.iter().map(|(digest, bytes)| (*digest, bytes.len() as u64)).collect();
        all.into_iter().for_each(|(digest, size)| each(digest, size));
        Ok(())
    }

    async fn survey(&self, each: &mut (dyn FnMut(Found) + Send)) -> Result<(), StoreError> {
        let left = |kind, name: String, size: usize| Found::Left(Leftover { kind, path: name, size: size as u64 });
        let found: Vec<Found> = {
            let state = self.state();
            let blobs = state.blobs.iter();
            let blobs =
                blobs.map(|(digest, bytes)| Found::Blob { digest: *digest, size: bytes.len() as u64, doubt: None });
            let partials = state.partials.iter();
            let partials = partials.map(|(key, partial)| {
                left(LeftoverKind::Partial, format!("partial/{}.part", key.0), partial.bytes.len())
            });
            let damaged = state.damaged.iter().enumerate();
            let damaged = damaged
                .map(|(n, (digest, bytes))| left(LeftoverKind::Damaged, format!("damaged/{digest}.{n}"), bytes.len()));
            blobs.chain(partials).chain(damaged).collect()
        };
        found.into_iter().for_each(each);
        Ok(())
    }

    async fn tidy_partials(&self, before: Timestamp) -> Result<u64, StoreError> {
        // What lies in memory has no time of its own: it counts as written at the beginning of time.
        let mut state = self.state();
        if before <= Timestamp::from_micros(0) {
            return Ok(0);
        }
        let mut freed = 0;
        state.partials.retain(|_, partial| {
            freed += if partial.taken { 0 } else { partial.bytes.len() as u64 };
            partial.taken
        });
        Ok(freed)
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.state().free)
    }
}

struct MemoryWriter {
    store: MemoryStore,
    key: Option<PartialKey>,
    bytes: Vec<u8>,
    tag: String,
    done: bool,
}

#[async_trait]
impl BlobWriter for MemoryWriter {
    fn written(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    async fn restart(&mut self, tag: &str) -> Result<(), StoreError> {
        self.bytes.clear();
        tag.clone_into(&mut self.tag);
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.bytes.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(mut self: Box<Self>, expected: Expected) -> Result<Held, StoreError> {
        let (actual, size) = (Digest::of(&self.bytes), self.bytes.len() as u64);
        self.done = true;
        if expected.digest.is_some_and(|digest| digest != actual) || expected.size.is_some_and(|n| n != size) {
            return Err(StoreError::Mismatch { expected, actual, size });
        }
        let bytes = std::mem::take(&mut self.bytes);
        Ok(self.store.put(bytes))
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut state = self.store.state();
        if self.done || self.bytes.is_empty() {
            state.partials.remove(&key);
        } else {
            let (bytes, tag) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.tag));
            state.partials.insert(key, Partial { bytes, tag, taken: false });
        }
    }
}
