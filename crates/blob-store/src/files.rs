//! Blobs as files.

mod blobs;
mod partial;
mod sink;
mod survey;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use model::{Digest, Held, Timestamp};
use tokio::sync::mpsc;

use crate::data::{Access, DataFolder, blocking};
use crate::{BlobReader, BlobStore, BlobWriter, Found, PartialKey, StoreError, Verification};
pub(crate) use blobs::{Blobs, blob_path};
use writer::FsWriter;

/// How many blobs a visit looks at before it hands them over.
const VISIT_BATCH: usize = 512;

/// Keeps blobs as files below the data folder.
#[derive(Clone, Debug)]
pub struct FsStore {
    blobs: Arc<Blobs>,
}

impl FsStore {
    /// Opens the store of a data folder; for writing, its folders are made. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Unsafe`] when the folder is a link, belongs to somebody else, or others can write it.
    pub fn open(data_dir: &Path, access: Access) -> Result<Self, StoreError> {
        let blobs = Arc::new(Blobs::new(DataFolder::open(data_dir, access)?));
        if access == Access::ReadWrite {
            blobs.begin_layout()?;
        }
        Ok(Self { blobs })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Blobs) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let blobs = Arc::clone(&self.blobs);
        blocking(move || work(&blobs)).await
    }

    /// Walks on a thread that may block, and hands what it meets over in batches: a few of them at most are under
    /// way, and dropping this ends the walk.
    async fn stream<T: Send + 'static>(
        &self,
        walk: impl FnOnce(&Blobs, &mut dyn FnMut(T) -> bool) -> Result<(), StoreError> + Send + 'static,
        mut each: impl FnMut(T) + Send,
    ) -> Result<(), StoreError> {
        let (send, mut receive) = mpsc::channel::<Vec<T>>(2);
        let walk = self.run(move |blobs| {
            let mut batch = Vec::with_capacity(VISIT_BATCH);
            let walked = walk(blobs, &mut |one| {
                batch.push(one);
                batch.len() < VISIT_BATCH || send.blocking_send(std::mem::take(&mut batch)).is_ok()
            });
            let _receiver_gone_means_nobody_asks = send.blocking_send(batch);
            walked
        });
        let hand_over = async {
            while let Some(batch) = receive.recv().await {
                batch.into_iter().for_each(&mut each);
            }
        };
        let (walked, ()) = tokio::join!(walk, hand_over);
        walked
    }
}

#[async_trait]
impl BlobStore for FsStore {
    async fn begin(&self, resume: Option<PartialKey>) -> Result<Box<dyn BlobWriter>, StoreError> {
        let writer = FsWriter::begin(Arc::clone(&self.blobs), resume).await?;
        Ok(Box::new(writer))
    }

    async fn find(&self, digest: Digest) -> Result<Option<Held>, StoreError> {
        self.run(move |blobs| blobs.find(digest)).await
    }

    async fn find_all(&self, digests: &[Digest]) -> Result<Vec<Option<Held>>, StoreError> {
        let digests = digests.to_vec();
        let look = move |blobs: &Blobs| {
            // One that cannot be believed is as good as gone; if that goes for all of them, nothing can be said.
            blobs.top()?;
            let found = digests.into_iter().map(|digest| blobs.find(digest).ok().flatten()).collect();
            // Also at the end: a folder that goes away meanwhile takes all of them with it.
            blobs.top()?;
            Ok(found)
        };
        self.run(look).await
    }

    async fn open(&self, digest: Digest) -> Result<Option<Box<dyn BlobReader>>, StoreError> {
        let opened = self.run(move |blobs| blobs.open(digest)).await?;
        Ok(opened.map(|(file, _)| Box::new(file) as Box<dyn BlobReader>))
    }

    async fn verify(&self, digest: Digest) -> Result<Verification, StoreError> {
        self.run(move |blobs| blobs.verify(digest)).await
    }

    async fn set_aside(&self, digest: Digest) -> Result<(), StoreError> {
        self.run(move |blobs| blobs.set_aside(digest)).await
    }

    async fn remove(&self, digest: Digest) -> Result<(), StoreError> {
        // Inline: a sweep that is dropped must not leave an unlink behind that outlives its lock.
        self.blobs.remove(digest)
    }

    async fn visit(&self, each: &mut (dyn FnMut(Digest, u64) + Send)) -> Result<(), StoreError> {
        self.stream(
            |blobs, send| blobs.visit(&mut |digest, size| send((digest, size))),
            |(digest, size)| each(digest, size),
        )
        .await
    }

    async fn shard(&self, first: u8) -> Result<Vec<Digest>, StoreError> {
        self.run(move |blobs| blobs.in_shard(first)).await
    }

    async fn survey(&self, each: &mut (dyn FnMut(Found) + Send)) -> Result<(), StoreError> {
        self.stream(
            |blobs, send| {
                blobs.top()?;
                blobs.survey(send);
                Ok(())
            },
            each,
        )
        .await
    }

    async fn tidy_partials(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.run(move |blobs| blobs.tidy_partials(before)).await
    }

    async fn check_folders(&self) -> Result<(), StoreError> {
        self.run(Blobs::check_folders).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.run(|blobs| blobs.free_bytes().map(Some)).await
    }
}
