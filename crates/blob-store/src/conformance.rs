//! The suites that every implementation of the two ports must pass. They panic where one does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite speaks by panicking"
)]

mod blobs;
mod rings;

pub use blobs::blobs;
pub use rings::rings;

#[cfg(test)]
mod tests {
    use crate::{Access, BlobStore, FsRings, FsStore, MemoryRings, MemoryStore, RingStore};

    #[tokio::test(flavor = "multi_thread")]
    async fn blobs_as_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let open = || -> Box<dyn BlobStore> { Box::new(FsStore::open(&path, Access::ReadWrite).unwrap()) };
        super::blobs(&open).await;
        let left = std::fs::read_dir(path.join("partial")).unwrap().count();
        assert_eq!(left, 0, "nothing is left of what was finished, refused or tidied");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn blobs_in_memory() {
        let store = MemoryStore::new();
        super::blobs(&|| -> Box<dyn BlobStore> { Box::new(store.clone()) }).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rings_as_files_s23() {
        let dir = tempfile::tempdir().unwrap();
        let open = || -> Box<dyn RingStore> { Box::new(FsRings::open(dir.path(), Access::ReadWrite).unwrap()) };
        super::rings(&open).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rings_in_memory() {
        let store = MemoryRings::new();
        super::rings(&|| -> Box<dyn RingStore> { Box::new(store.clone()) }).await;
    }
}
