//! What happens to blobs when somebody or something else has been at the folder.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests speak by panicking")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use blob_store::{Access, BlobStore, Expected, FsStore, PartialKey, StoreError, Verification};
use bytes::Bytes;
use model::{Digest, Held, Reason, Timestamp};

struct Site {
    dir: tempfile::TempDir,
    store: FsStore,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = FsStore::open(dir.path(), Access::ReadWrite).unwrap();
        Self { dir, store }
    }

    async fn keep(&self, bytes: &'static [u8]) -> Held {
        let mut writer = self.store.begin(None).await.unwrap();
        writer.write(Bytes::from_static(bytes)).await.unwrap();
        writer.finish(Expected::default()).await.unwrap()
    }

    fn blob(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        self.dir.path().join("blobs").join(&name[..2]).join(name)
    }

    fn partial(&self) -> PathBuf {
        self.dir.path().join("partial")
    }

    /// Leaves an unfinished download behind.
    async fn unfinished(&self, key: PartialKey, bytes: &'static [u8], tag: &str) {
        let mut writer = self.store.begin(Some(key)).await.unwrap();
        writer.restart(tag).await.unwrap();
        writer.write(Bytes::from_static(bytes)).await.unwrap();
    }
}

fn key() -> PartialKey {
    PartialKey(Digest::of(b"key"))
}

fn is_unsafe<T>(result: Result<T, StoreError>) {
    match result {
        Err(StoreError::Unsafe { .. } | StoreError::NotAFile { .. }) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("was believed"),
    }
}

fn files_in(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn flipped_bytes_are_found_and_healed_s16() {
    let site = Site::new();
    let held = site.keep(b"the bytes of a blob").await;
    let path = site.blob(held.digest());
    for at in 0..19 {
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 0x20;
        fs::write(&path, &bytes).unwrap();
        let found = site.store.verify(held.digest()).await.unwrap();
        assert_eq!(found, Verification::Damaged { actual: Digest::of(&bytes), size: 19 });
        site.store.set_aside(held.digest()).await.unwrap();
        assert_eq!(site.store.find(held.digest()).await.unwrap(), None);
        assert_eq!(site.keep(b"the bytes of a blob").await, held);
        assert_eq!(site.store.verify(held.digest()).await.unwrap(), Verification::Good(held));
    }
    let kept = files_in(&site.dir.path().join("damaged"));
    assert!((1..=8).contains(&kept), "damaged copies of one blob are bounded: {kept}");
}

#[tokio::test]
async fn cut_grown_and_zeroed_blobs_are_found_s17() {
    let site = Site::new();
    let held = site.keep(b"0123456789").await;
    for wrong in [&b""[..], b"012345678", b"0123456789x", &[0; 10]] {
        fs::write(site.blob(held.digest()), wrong).unwrap();
        let size = wrong.len() as u64;
        assert_eq!(site.store.find(held.digest()).await.unwrap().unwrap().size(), size);
        let found = site.store.verify(held.digest()).await.unwrap();
        assert_eq!(found, Verification::Damaged { actual: Digest::of(wrong), size });
    }
    assert_eq!(site.keep(b"0123456789").await, held, "writing it again replaces the damaged bytes");
    assert_eq!(site.store.verify(held.digest()).await.unwrap(), Verification::Good(held));
}

#[tokio::test]
async fn deleted_folders_are_made_again_s18() {
    let site = Site::new();
    let held = site.keep(b"bytes").await;
    for gone in ["partial", "damaged"] {
        fs::remove_dir_all(site.dir.path().join(gone)).unwrap();
        assert_eq!(site.store.find(held.digest()).await.unwrap(), Some(held));
        site.store.visit(&mut |_, _| {}).await.unwrap();
        site.store.set_aside(held.digest()).await.unwrap();
        assert_eq!(site.keep(b"bytes").await, held);
    }
    fs::remove_dir_all(site.dir.path()).unwrap();
    assert!(site.store.find(held.digest()).await.is_err(), "that is no word on a blob");
    assert!(site.store.begin(None).await.is_err(), "nothing is written where the folder was");
    assert!(!site.dir.path().exists());
}

#[tokio::test]
async fn links_and_special_files_planted_as_a_blob_are_refused_s20() {
    let site = Site::new();
    let held = site.keep(b"bytes").await;
    let path = site.blob(held.digest());
    let twin = site.dir.path().join("twin");
    fs::write(&twin, b"bytes").unwrap();
    let plants: [(&str, &dyn Fn()); 4] = [
        ("link", &|| symlink(&twin, &path).unwrap()),
        ("dangling link", &|| symlink("nowhere", &path).unwrap()),
        ("folder", &|| fs::create_dir(&path).unwrap()),
        ("pipe", &|| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }),
    ];
    for (what, plant) in plants {
        fs::remove_file(&path).unwrap();
        plant();
        is_unsafe(site.store.find(held.digest()).await);
        is_unsafe(site.store.open(held.digest()).await);
        let refused = site.store.verify(held.digest()).await;
        assert!(refused.as_ref().is_err_and(StoreError::is_damage), "{what}: nothing is lost with it: {refused:?}");
        is_unsafe(refused);
        let mut seen = 0;
        site.store.visit(&mut |_, _| seen += 1).await.unwrap();
        assert_eq!(seen, 0, "{what}");
        site.store.set_aside(held.digest()).await.unwrap();
        assert_eq!(site.keep(b"bytes").await, held, "{what} set aside, it heals");
    }
    fs::remove_file(&path).unwrap();
    symlink(&twin, &path).unwrap();
    assert_eq!(site.keep(b"bytes").await, held, "keeping replaces the link and not what it points to");
    assert!(path.symlink_metadata().unwrap().is_file());
}

#[tokio::test]
async fn links_planted_as_a_folder_are_refused_s20() {
    for planted in ["blobs", "a shard", "partial"] {
        let site = Site::new();
        let held = site.keep(b"bytes").await;
        let shard = format!("blobs/{}", &held.digest().to_string()[..2]);
        let planted = if planted == "a shard" { shard.as_str() } else { planted };
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("moved");
        fs::rename(site.dir.path().join(planted), &target).unwrap();
        symlink(&target, site.dir.path().join(planted)).unwrap();
        let before = files_in(&target);
        if planted == "partial" {
            is_unsafe(site.store.begin(Some(key())).await);
        } else {
            is_unsafe(site.store.find(held.digest()).await);
            is_unsafe(site.store.open(held.digest()).await);
            is_unsafe(site.store.set_aside(held.digest()).await);
            let mut writer = site.store.begin(None).await.unwrap();
            writer.write(Bytes::from_static(b"bytes")).await.unwrap();
            is_unsafe(writer.finish(Expected::default()).await);
        }
        if planted != shard {
            // A shard is judged when it is used.
            is_unsafe(FsStore::open(site.dir.path(), Access::ReadWrite));
        }
        assert_eq!(files_in(&target), before, "nothing was written through the link");
    }
}

#[tokio::test]
async fn links_planted_as_an_unfinished_download_are_refused_s20() {
    for planted in ["part", "tag"] {
        let site = Site::new();
        site.unfinished(key(), b"unfinished", "tag").await;
        let victim = site.dir.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        let path = site.partial().join(format!("{}.{planted}", key().0));
        fs::remove_file(&path).unwrap();
        symlink(&victim, &path).unwrap();
        is_unsafe(site.store.begin(Some(key())).await);
        site.store.tidy_partials(Timestamp::from_micros(i64::MAX)).await.unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
    }
}

#[test]
fn a_link_as_the_data_folder_is_refused_s20() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    symlink("real", dir.path().join("link")).unwrap();
    for access in [Access::ReadWrite, Access::ReadOnly] {
        is_unsafe(FsStore::open(&dir.path().join("link"), access));
    }
}

#[tokio::test]
async fn what_others_can_write_is_refused_s22() {
    let site = Site::new();
    let held = site.keep(b"bytes").await;
    let blob = site.blob(held.digest());
    let shard = blob.parent().unwrap();
    for mode in [0o664, 0o646, 0o666] {
        fs::set_permissions(&blob, fs::Permissions::from_mode(mode)).unwrap();
        is_unsafe(site.store.find(held.digest()).await);
        is_unsafe(site.store.open(held.digest()).await);
        let refused = site.store.verify(held.digest()).await;
        assert!(refused.as_ref().is_err_and(|error| !error.is_damage()), "{mode:o}: it may be whole: {refused:?}");
    }
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(shard, fs::Permissions::from_mode(0o777)).unwrap();
    is_unsafe(site.store.find(held.digest()).await);
    fs::set_permissions(shard, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(site.store.find(held.digest()).await.unwrap(), Some(held));
    fs::set_permissions(site.dir.path(), fs::Permissions::from_mode(0o775)).unwrap();
    for access in [Access::ReadWrite, Access::ReadOnly] {
        is_unsafe(FsStore::open(site.dir.path(), access));
    }
}

#[tokio::test]
async fn other_users_files_are_refused_but_the_folders_owner_is_believed_by_readers_s22() {
    let site = Site::new();
    let held = site.keep(b"bytes").await;
    let blob = site.blob(held.digest());
    if std::os::unix::fs::chown(&blob, Some(54_321), None).is_err() {
        // Only root may give files away.
        return;
    }
    is_unsafe(site.store.find(held.digest()).await);
    is_unsafe(site.store.open(held.digest()).await);
    std::os::unix::fs::chown(site.dir.path(), Some(54_321), None).unwrap();
    is_unsafe(FsStore::open(site.dir.path(), Access::ReadWrite));
    let reader = FsStore::open(site.dir.path(), Access::ReadOnly).unwrap();
    assert_eq!(reader.find(held.digest()).await.unwrap(), Some(held));
    std::os::unix::fs::chown(&blob, Some(12_345), None).unwrap();
    is_unsafe(reader.find(held.digest()).await);
}

#[tokio::test]
async fn reading_alone_changes_nothing() {
    let site = Site::new();
    let held = site.keep(b"bytes").await;
    let reader = FsStore::open(site.dir.path(), Access::ReadOnly).unwrap();
    assert_eq!(reader.find(held.digest()).await.unwrap(), Some(held));
    assert!(reader.begin(None).await.is_err());
    assert!(reader.remove(held.digest()).await.is_err());
    assert!(reader.set_aside(held.digest()).await.is_err());
    assert!(reader.tidy_partials(Timestamp::from_micros(i64::MAX)).await.is_err());
    assert_eq!(reader.verify(held.digest()).await.unwrap(), Verification::Good(held));
    let missing = FsStore::open(&site.dir.path().join("absent"), Access::ReadOnly);
    assert!(matches!(missing, Err(StoreError::Io { .. })));
}

#[tokio::test]
async fn what_a_killed_writer_left_is_tidied_and_nothing_else_s11() {
    let site = Site::new();
    site.unfinished(key(), b"0123456789", "tag").await;
    fs::write(site.partial().join("tmp-1-abc-0"), [0; 100]).unwrap();
    fs::write(site.partial().join(format!("{}.tag", Digest::of(b"orphan"))), [0; 7]).unwrap();
    fs::write(site.partial().join("notes.txt"), "not ours").unwrap();
    fs::create_dir_all(site.dir.path().join("blobs/00")).unwrap();
    for foreign in ["blobs/00/readme", "blobs/zz", "blobs/00/0000.tmp"] {
        fs::write(site.dir.path().join(foreign), "not ours").unwrap();
    }
    site.store.visit(&mut |digest, _| panic!("{digest} is not a blob")).await.unwrap();
    assert_eq!(site.store.tidy_partials(Timestamp::from_micros(0)).await.unwrap(), 0);
    assert_eq!(site.store.tidy_partials(Timestamp::from_micros(i64::MAX)).await.unwrap(), 117);
    assert_eq!(files_in(&site.partial()), 1, "what is not ours stays");
    assert!(site.dir.path().join("blobs/00/readme").exists());
}

#[tokio::test]
async fn a_download_with_a_damaged_tag_begins_again_s41() {
    let site = Site::new();
    site.unfinished(key(), b"0123456789", "\"v1\"").await;
    let tag = site.partial().join(format!("{}.tag", key().0));
    let whole = fs::read(&tag).unwrap();
    let cuts = (0..whole.len()).map(|at| whole[..at].to_vec());
    let flips = (0..whole.len()).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    });
    for wrong in cuts.chain(flips).chain([vec![0xff; 70], vec![b'a'; 1 << 20]]) {
        site.unfinished(key(), b"0123456789", "\"v1\"").await;
        fs::write(&tag, &wrong).unwrap();
        let writer = site.store.begin(Some(key())).await.unwrap();
        assert_eq!((writer.written(), writer.tag()), (0, ""), "{}", String::from_utf8_lossy(&wrong));
    }
    site.unfinished(key(), b"0123456789", "\"v1\"").await;
    fs::remove_file(&tag).unwrap();
    assert_eq!(site.store.begin(Some(key())).await.unwrap().written(), 0);
}

#[tokio::test]
async fn a_resumed_download_whose_bytes_rotted_is_refused_and_forgotten_s16() {
    let site = Site::new();
    site.unfinished(key(), b"01234", "").await;
    fs::write(site.partial().join(format!("{}.part", key().0)), b"0123x").unwrap();
    let mut writer = site.store.begin(Some(key())).await.unwrap();
    assert_eq!(writer.written(), 5);
    writer.write(Bytes::from_static(b"56789")).await.unwrap();
    let expected = Expected { digest: Some(Digest::of(b"0123456789")), size: Some(10) };
    assert!(matches!(writer.finish(expected).await, Err(StoreError::Mismatch { .. })));
    assert_eq!(files_in(&site.partial()), 0);
}

#[tokio::test]
async fn who_reads_a_blob_reads_on_when_it_goes_s25() {
    let site = Site::new();
    let held = site.keep(b"bytes").await;
    let mut reader = site.store.open(held.digest()).await.unwrap().unwrap();
    site.store.remove(held.digest()).await.unwrap();
    let mut got = String::new();
    reader.read_to_string(&mut got).unwrap();
    assert_eq!(got, "bytes");
}

/// A folder that is away for a moment, as one of a volume of its own that is mounted again, takes no blob with it.
#[tokio::test]
async fn a_folder_of_blobs_that_is_away_is_no_absence_of_each_blob_s42() {
    let site = Site::new();
    let held = site.keep(b"what is held").await;
    let (blobs, away) = (site.dir.path().join("blobs"), site.dir.path().join("away"));
    let is_away = |error: StoreError| assert_eq!((error.reason(), error.is_damage()), (Reason::FolderGone, false));
    fs::rename(&blobs, &away).unwrap();
    for another in [false, true] {
        if another {
            fs::create_dir(&blobs).unwrap();
        }
        let (store, digest) = (&site.store, held.digest());
        is_away(store.find(digest).await.unwrap_err());
        is_away(store.find_all(&[digest]).await.unwrap_err());
        is_away(store.open(digest).await.err().unwrap());
        is_away(store.verify(digest).await.unwrap_err());
        is_away(store.set_aside(digest).await.unwrap_err());
        is_away(store.remove(digest).await.unwrap_err());
        is_away(store.visit(&mut |_, _| ()).await.unwrap_err());
        is_away(store.shard(0).await.unwrap_err());
        is_away(store.survey(&mut |_| ()).await.unwrap_err());
        is_away(store.check_folders().await.unwrap_err());
        let mut writer = store.begin(None).await.unwrap();
        writer.write(Bytes::from_static(b"something new")).await.unwrap();
        is_away(writer.finish(Expected::default()).await.unwrap_err());
        assert_eq!(blobs.exists(), another, "it is not made anew");
    }
    assert_eq!(files_in(&blobs), 0, "nothing is written into what stands in its place");
    fs::remove_dir(&blobs).unwrap();
    fs::rename(&away, &blobs).unwrap();
    assert_eq!(site.store.verify(held.digest()).await.unwrap(), Verification::Good(held));
    site.keep(b"something new").await;
}
