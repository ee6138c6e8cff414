//! A store for the length of a look: what is inspected must be held, and nothing large is held in memory.

use std::sync::atomic::{AtomicU64, Ordering};

use blob_store::{Access, BlobReader, BlobStore, BlobWriter, FsStore, MemoryStore, StoreError};
use model::Digest;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// A temporary store; gone with it.
#[derive(Default)]
pub(crate) struct Spool {
    memory: MemoryStore,
    /// Bytes promised to memory.
    used: AtomicU64,
    disk: OnceCell<Disk>,
}

struct Disk {
    store: FsStore,
    folder: TempDir,
}

/// Left free in the temporary folder.
const RESERVE: u64 = 64 << 20;
/// The most bytes kept in memory; what is larger goes to the temporary folder.
const MEMORY: u64 = 8 << 20;

impl Spool {
    /// Begins to take a file, whose length may be known.
    pub(crate) async fn begin(&self, length: Option<u64>) -> Result<Box<dyn BlobWriter>, String> {
        let told = |error: StoreError| model::error_chain(&error);
        if let Some(length) = length
            && self.used.fetch_add(length, Ordering::Relaxed).saturating_add(length) <= MEMORY
        {
            return self.memory.begin(None).await.map_err(told);
        }
        let disk = self.disk().await?;
        disk.fits(length.unwrap_or(0)).await?;
        disk.store.begin(None).await.map_err(told)
    }

    /// Opens a file that was taken.
    pub(crate) async fn open(&self, digest: Digest) -> Option<Box<dyn BlobReader>> {
        if let Ok(Some(reader)) = self.memory.open(digest).await {
            return Some(reader);
        }
        self.disk.get()?.store.open(digest).await.ok().flatten()
    }

    /// Whether so many bytes fit; if not, why not.
    pub(crate) async fn fits(&self, bytes: u64) -> Result<(), String> {
        if bytes <= MEMORY { Ok(()) } else { self.disk().await?.fits(bytes).await }
    }

    async fn disk(&self) -> Result<&Disk, String> {
        self.disk.get_or_try_init(|| async { Disk::open() }).await
    }
}

impl Disk {
    fn open() -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("waystation-doctor-").tempdir();
        let folder = folder.map_err(|error| format!("no temporary folder: {error}"))?;
        let store = FsStore::open(folder.path(), Access::ReadWrite).map_err(|error| model::error_chain(&error))?;
        Ok(Self { store, folder })
    }

    async fn fits(&self, bytes: u64) -> Result<(), String> {
        let free = self.store.free_bytes().await.ok().flatten().unwrap_or(u64::MAX);
        if free.saturating_sub(RESERVE) < bytes {
            let folder = self.folder.path().display();
            return Err(format!("{bytes} bytes are to be looked at and {free} are free in {folder}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use blob_store::Expected;
    use bytes::Bytes;

    use super::*;

    #[tokio::test]
    async fn large_files_go_to_the_disk_and_small_ones_do_not_s38() {
        let spool = Spool::default();
        for (length, on_disk) in [(Some(10), false), (None, true), (Some(MEMORY), true)] {
            let mut writer = spool.begin(length).await.unwrap();
            writer.write(Bytes::from(format!("{length:?}"))).await.unwrap();
            let held = writer.finish(Expected::default()).await.unwrap();
            let mut text = String::new();
            spool.open(held.digest()).await.unwrap().read_to_string(&mut text).unwrap();
            assert_eq!((text, spool.disk.get().is_some()), (format!("{length:?}"), on_disk));
        }
        assert!(spool.fits(u64::MAX).await.unwrap_err().contains("free in"));
    }
}
