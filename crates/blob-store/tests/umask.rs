//! The umask is the process's, so this test has a process of its own.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests speak by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use blob_store::{Access, BlobStore, Expected, FsRings, FsStore, PartialKey, RingStore};
use bytes::Bytes;
use model::{Digest, Generation, RingName, Timestamp};

fn modes(root: &Path, path: &Path, into: &mut BTreeMap<String, u32>) {
    let meta = path.symlink_metadata().unwrap();
    let name = path.strip_prefix(root).unwrap().display().to_string();
    into.insert(name, meta.permissions().mode() & 0o7777);
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            modes(root, &entry.unwrap().path(), into);
        }
    }
}

async fn made_under(umask: u32) -> BTreeMap<String, u32> {
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(umask));
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let store = FsStore::open(&data, Access::ReadWrite).unwrap();
    let mut writer = store.begin(None).await.unwrap();
    writer.write(Bytes::from_static(b"bytes")).await.unwrap();
    let held = writer.finish(Expected::default()).await.unwrap();
    let mut writer = store.begin(Some(PartialKey(held.digest()))).await.unwrap();
    writer.write(Bytes::from_static(b"unfinished")).await.unwrap();
    drop(writer);
    let mut generation = Generation::empty(RingName::broad(), Timestamp::from_micros(0));
    generation.number = 1;
    FsRings::open(&data, Access::ReadWrite).unwrap().publish(&generation, None).await.unwrap();
    let mut found = BTreeMap::new();
    modes(&data, &data, &mut found);
    found
}

#[tokio::test]
async fn modes_do_not_depend_on_the_umask_s22() {
    let open = made_under(0o000).await;
    let closed = made_under(0o077).await;
    assert_eq!(open, closed);
    let digest = Digest::of(b"bytes").to_string();
    for (name, mode) in [
        ("".to_owned(), 0o755),
        ("blobs".to_owned(), 0o755),
        ("blobs/ff".to_owned(), 0o755),
        (format!("blobs/{}/{digest}", &digest[..2]), 0o644),
        ("partial".to_owned(), 0o700),
        (format!("partial/{digest}.part"), 0o600),
        (format!("partial/{digest}.tag"), 0o600),
        ("damaged".to_owned(), 0o700),
        ("rings/broad".to_owned(), 0o755),
        ("rings/broad/current".to_owned(), 0o644),
        ("rings/broad/generation-1".to_owned(), 0o644),
        ("rings/broad/.lock".to_owned(), 0o600),
    ] {
        assert_eq!(open.get(&name), Some(&mode), "{name}");
    }
}
