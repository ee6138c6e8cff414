//! Trees that a person brought.

use std::fs;
use std::sync::Arc;

use blob_store::MemoryStore;
use model::{Digest, Reason};
use origin::{FolderOrigin, Origin as _, Reading};
use tempfile::TempDir;
use vendors::{Ask, FolderView as _, Target, Want};

use crate::setup::{Count, declared, unknown};

fn open(folder: &TempDir, store: &MemoryStore) -> FolderOrigin {
    FolderOrigin::open(folder.path(), Arc::new(store.clone()), 1000).unwrap()
}

fn ask(cap: u64) -> Ask {
    Ask { target: Target("/file".to_owned()), cap, unless: None }
}

fn with(bytes: &[u8]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), bytes).unwrap();
    folder
}

#[tokio::test]
async fn files_are_proven_like_any_others_u05() {
    let (store, count) = (MemoryStore::new(), Count::default());
    let folder = with(b"bytes");
    let origin = open(&folder, &store);
    assert_eq!(origin.hold(&declared(b"bytes"), &count).await.unwrap().held.digest(), Digest::of(b"bytes"));
    assert_eq!(origin.hold(&unknown(), &count).await.unwrap().held.size(), 5);
    for (want, reason) in [
        (declared(b"other"), Reason::HashMismatch),
        (declared(b"longer bytes"), Reason::SizeMismatch),
        (Want { cap: 4, ..unknown() }, Reason::TooLarge),
        (Want { source: vendors::Source::Target(Target("/none".to_owned())), ..unknown() }, Reason::NotInFolder),
    ] {
        assert_eq!(origin.hold(&want, &count).await.unwrap_err().reason, reason);
    }
    assert_eq!(origin.size(&Target("/file".to_owned())).await.unwrap(), Some(5));
}

#[tokio::test]
async fn documents_have_a_cap_c20() {
    let (store, count) = (MemoryStore::new(), Count::default());
    let folder = with(b"bytes");
    let origin = open(&folder, &store);
    let Ok(Reading::Answered(answer, validator)) = origin.read(&ask(5), &count).await else { panic!("no document") };
    assert_eq!((&answer.body[..], validator.etag), (&b"bytes"[..], None));
    assert_eq!(origin.read(&ask(4), &count).await.unwrap_err().reason, Reason::TooLarge);
}

#[tokio::test]
async fn a_disk_without_room_s30() {
    let (store, count) = (MemoryStore::new(), Count::default());
    let folder = with(b"bytes");
    store.set_free_bytes(Some(1004));
    assert_eq!(open(&folder, &store).hold(&unknown(), &count).await.unwrap_err().reason, Reason::DiskFull);
    store.set_free_bytes(Some(1005));
    assert!(open(&folder, &store).hold(&unknown(), &count).await.is_ok());
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_what_is_no_file_s20_i7() {
    use std::os::unix::fs::symlink;
    let (store, count) = (MemoryStore::new(), Count::default());
    let (folder, outside) = (TempDir::new().unwrap(), with(b"secret"));
    let root = folder.path();
    symlink(outside.path().join("file"), root.join("link")).unwrap();
    symlink(outside.path(), root.join("linked")).unwrap();
    fs::create_dir(root.join("folder")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let origin = open(&folder, &store);
    for target in ["/link", "/linked/file", "/folder", "/socket", "/../file", "/folder/../../x"] {
        let want = Want { source: vendors::Source::Target(Target(target.to_owned())), ..unknown() };
        assert!(origin.hold(&want, &count).await.is_err(), "{target}");
        assert!(!origin.has_file(target), "{target}");
    }
    assert!(origin.list("/linked").is_empty());
    assert_eq!(origin.list("/").len(), 4);
    let link = TempDir::new().unwrap();
    symlink(root, link.path().join("root")).unwrap();
    let opened = FolderOrigin::open(&link.path().join("none"), Arc::new(store), 0);
    assert_eq!(opened.err().unwrap().reason, Reason::NotInFolder);
}
