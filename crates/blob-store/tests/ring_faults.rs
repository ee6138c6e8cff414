//! What happens to rings when somebody or something else has been at the folder, and what readers see.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests speak by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use blob_store::reader::{BlobFiles, RingReader};
use blob_store::{Access, BlobStore, Expected, FsRings, FsStore, RingStore, StoreError};
use bytes::Bytes;
use model::{Digest, Generation, RingName, Timestamp};

struct Site {
    dir: tempfile::TempDir,
    rings: FsRings,
}

impl Site {
    /// A ring that published generations 1 to `last`.
    async fn new(last: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rings = FsRings::open(dir.path(), Access::ReadWrite).unwrap();
        let site = Self { dir, rings };
        let mut expected = None;
        for number in 1..=last {
            expected = Some(site.rings.publish(&generation(number), expected).await.unwrap().digest);
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("rings/broad").join(name)
    }

    /// The number that both the engine's and the content side's reader see.
    async fn served(&self) -> Result<Option<u64>, StoreError> {
        let engine = self.rings.current(&RingName::broad()).await?;
        let content = RingReader::open(self.dir.path())?.load(&RingName::broad())?;
        assert_eq!(engine, content);
        Ok(engine.map(|current| current.generation.number))
    }
}

fn generation(number: u64) -> Generation {
    let mut made = Generation::empty(RingName::broad(), Timestamp::from_micros(0));
    made.number = number;
    made
}

fn digest(number: u64) -> Digest {
    Digest::of(&generation(number).encode())
}

fn is_unsafe<T>(result: Result<T, StoreError>) {
    match result {
        Err(StoreError::Unsafe { .. }) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("was believed"),
    }
}

#[tokio::test]
async fn the_layout_is_the_one_that_is_drawn() {
    let site = Site::new(2).await;
    let pointer = fs::read_to_string(site.path("current")).unwrap();
    assert_eq!(pointer, format!("2 {}\n", digest(2)));
    assert_eq!(fs::read(site.path("generation-2")).unwrap(), generation(2).encode());
}

#[tokio::test]
async fn a_pointer_damaged_at_any_byte_never_misleads_s41() {
    let site = Site::new(3).await;
    let whole = fs::read(site.path("current")).unwrap();
    let cuts = (0..whole.len()).map(|at| whole[..at].to_vec());
    let flips = (0..whole.len()).flat_map(|at| {
        let whole = &whole;
        (0..8).map(move |bit| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            bytes
        })
    });
    for wrong in cuts.chain(flips).chain([vec![0; 4096], [&whole[..], b"x"].concat()]) {
        fs::write(site.path("current"), &wrong).unwrap();
        assert_eq!(site.served().await.unwrap(), Some(3), "{}", String::from_utf8_lossy(&wrong));
    }
    let next = site.rings.publish(&generation(4), Some(digest(3))).await.unwrap();
    assert_eq!((next.number, site.served().await.unwrap()), (4, Some(4)), "publishing mends the pointer");
}

#[tokio::test]
async fn a_deleted_pointer_falls_back_to_the_newest_generation_s18() {
    let site = Site::new(12).await;
    fs::remove_file(site.path("current")).unwrap();
    assert_eq!(site.served().await.unwrap(), Some(12), "12 is newer than 9");
    assert!(site.rings.remove(&RingName::broad(), 12).await.is_err());
    site.rings.prepare(&generation(13)).await.unwrap();
    site.rings.publish(&generation(13), Some(digest(12))).await.unwrap();
    assert_eq!(site.served().await.unwrap(), Some(13));
}

#[tokio::test]
async fn a_damaged_generation_falls_back_to_the_one_before_r23() {
    let site = Site::new(3).await;
    let whole = fs::read(site.path("generation-3")).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(site.path("generation-3"), &bytes).unwrap();
        assert_eq!(site.served().await.unwrap(), Some(2), "flip at {at}");
        fs::write(site.path("generation-3"), &whole[..at]).unwrap();
        assert_eq!(site.served().await.unwrap(), Some(2), "cut at {at}");
    }
    assert!(matches!(site.rings.generation(&RingName::broad(), 3).await, Err(StoreError::Damaged { .. })));
    site.rings.prepare(&generation(3)).await.unwrap();
    assert_eq!(site.served().await.unwrap(), Some(3), "the same bytes again mend it");
    fs::copy(site.path("generation-1"), site.path("generation-3")).unwrap();
    assert_eq!(site.served().await.unwrap(), Some(2), "a whole file under another's name is damage");
}

#[tokio::test]
async fn a_file_whose_number_is_no_generations_is_told_and_in_nobodys_way_s41() {
    let site = Site::new(2).await;
    let odd = [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 62) + 1];
    for number in odd {
        fs::write(site.path(&format!("generation-{number}")), generation(number).encode()).unwrap();
    }
    assert_eq!(site.rings.numbers(&RingName::broad()).await.unwrap(), [1, 2]);
    fs::remove_file(site.path("current")).unwrap();
    assert_eq!(site.served().await.unwrap(), Some(2));
    site.rings.publish(&generation(3), Some(digest(2))).await.unwrap();
    assert_eq!(site.served().await.unwrap(), Some(3));
    let found = site.rings.inspect(&RingName::broad()).await.unwrap();
    assert_eq!(found.others.len(), odd.len(), "{:?}", found.others);
    // Nor does a pointer lead there.
    fs::write(site.path("current"), format!("{} {}\n", u64::MAX, digest(u64::MAX))).unwrap();
    assert_eq!(site.served().await.unwrap(), Some(3));
    assert!(site.rings.publish(&generation(u64::MAX), Some(digest(3))).await.is_err());
    assert_eq!(site.served().await.unwrap(), Some(3));
}

#[tokio::test]
async fn a_hole_that_claims_to_be_large_is_no_generation_and_not_taken_in_s41() {
    let site = Site::new(2).await;
    for length in [2 << 20, 500 << 20, 5 << 30] {
        fs::File::create(site.path("generation-3")).unwrap().set_len(length).unwrap();
        assert_eq!(site.served().await.unwrap(), Some(2), "{length}");
        fs::File::create(site.path("current")).unwrap().set_len(length).unwrap();
        assert_eq!(site.served().await.unwrap(), Some(2), "{length}");
        let found = site.rings.inspect(&RingName::broad()).await.unwrap();
        assert!(found.generations[2].fault.is_some(), "{found:?}");
    }
}

#[tokio::test]
async fn when_no_generation_is_whole_the_ring_fails_closed_s41() {
    let site = Site::new(2).await;
    for number in 1..=2 {
        fs::write(site.path(&format!("generation-{number}")), "rubbish").unwrap();
    }
    assert!(matches!(site.served().await, Err(StoreError::Damaged { .. })));
    assert!(site.rings.publish(&generation(3), Some(Digest::of(b"rubbish"))).await.is_err());
    // Who expects nothing, and passes all numbers, makes it anew.
    site.rings.publish(&generation(3), None).await.unwrap();
    assert_eq!(site.served().await.unwrap(), Some(3));
    fs::remove_dir_all(site.dir.path().join("rings")).unwrap();
    assert_eq!(site.served().await.unwrap(), None);
    site.rings.publish(&generation(1), None).await.unwrap();
    assert_eq!(site.served().await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_newer_programs_generation_is_refused_and_not_passed_over_s34() {
    let site = Site::new(2).await;
    let body = String::from_utf8(generation(2).encode()).unwrap();
    let body = body
        .split_inclusive('\n')
        .next()
        .unwrap()
        .replace("\"waystation_generation\":1", "\"waystation_generation\":2");
    let newer = format!("{body}sha256:{}\n", Digest::of(body.as_bytes()));
    fs::write(site.path("generation-2"), &newer).unwrap();
    fs::write(site.path("current"), format!("2 {}\n", Digest::of(newer.as_bytes()))).unwrap();
    assert!(matches!(site.served().await, Err(StoreError::Damaged { .. })));
    assert!(site.rings.publish(&generation(3), None).await.is_err());
}

#[tokio::test]
async fn links_planted_in_a_ring_are_refused_s20() {
    for planted in ["current", "generation-2"] {
        let site = Site::new(2).await;
        let victim = site.dir.path().join("victim");
        fs::rename(site.path(planted), &victim).unwrap();
        symlink(&victim, site.path(planted)).unwrap();
        is_unsafe(site.served().await);
    }
    let site = Site::new(2).await;
    let moved = site.dir.path().join("moved");
    fs::rename(site.dir.path().join("rings/broad"), &moved).unwrap();
    symlink(&moved, site.dir.path().join("rings/broad")).unwrap();
    is_unsafe(site.served().await);
    is_unsafe(site.rings.publish(&generation(3), Some(digest(2))).await);
    assert!(!moved.join("generation-3").exists());
}

#[tokio::test]
async fn what_others_can_write_is_refused_s22() {
    let site = Site::new(1).await;
    for (name, good) in [("current", 0o644), ("generation-1", 0o644), (".", 0o755)] {
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o777)).unwrap();
        is_unsafe(site.served().await);
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(good)).unwrap();
    }
    assert_eq!(site.served().await.unwrap(), Some(1));
}

#[tokio::test]
async fn what_a_crash_left_is_tidied_by_the_next_writer_s11() {
    let site = Site::new(1).await;
    fs::write(site.path(".tmp-1-2-3"), "half a pointer").unwrap();
    fs::write(site.path("generation-2"), "half a generation").unwrap();
    assert_eq!(site.served().await.unwrap(), Some(1));
    site.rings.publish(&generation(2), Some(digest(1))).await.unwrap();
    assert!(!site.path(".tmp-1-2-3").exists());
    assert_eq!(site.served().await.unwrap(), Some(2));
}

#[tokio::test]
async fn marks_differ_when_the_pointer_moved() {
    let site = Site::new(0).await;
    let reader = RingReader::open(site.dir.path()).unwrap();
    let broad = RingName::broad();
    assert!(reader.rings().unwrap().is_empty());
    assert_eq!((reader.current_mark(&broad), reader.load(&broad).unwrap()), (None, None));
    site.rings.publish(&generation(1), None).await.unwrap();
    let first = reader.current_mark(&broad);
    assert!(first.is_some());
    assert_eq!(reader.current_mark(&broad), first);
    site.rings.prepare(&generation(2)).await.unwrap();
    assert_eq!(reader.current_mark(&broad), first, "preparing moves nothing");
    site.rings.publish(&generation(2), Some(digest(1))).await.unwrap();
    assert_ne!(reader.current_mark(&broad), first);
    fs::create_dir(site.dir.path().join("rings/.hidden")).unwrap();
    assert_eq!(reader.rings().unwrap(), [broad]);
}

#[tokio::test]
async fn a_reader_sees_a_data_folder_that_was_restored_s18() {
    let site = Site::new(3).await;
    let reader = RingReader::open(site.dir.path()).unwrap();
    let backup = Site::new(2).await;
    fs::remove_dir_all(site.dir.path()).unwrap();
    assert!(reader.load(&RingName::broad()).is_err());
    fs::rename(backup.dir.path(), site.dir.path()).unwrap();
    assert_eq!(reader.load(&RingName::broad()).unwrap().unwrap().generation.number, 2);
}

fn chmod_all(path: &Path, files: u32, folders: u32) {
    let meta = path.symlink_metadata().unwrap();
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            chmod_all(&entry.unwrap().path(), files, folders);
        }
    }
    let mode = if meta.is_dir() { folders } else { files };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn readers_need_no_write_anywhere_and_check_sizes_s17() {
    let site = Site::new(1).await;
    let store = FsStore::open(site.dir.path(), Access::ReadWrite).unwrap();
    let mut writer = store.begin(None).await.unwrap();
    writer.write(Bytes::from_static(b"bytes")).await.unwrap();
    let held = writer.finish(Expected::default()).await.unwrap();
    chmod_all(site.dir.path(), 0o444, 0o555);
    let blobs = BlobFiles::open(site.dir.path()).unwrap();
    assert_eq!(std::io::read_to_string(blobs.open_blob(held.digest(), 5).unwrap()).unwrap(), "bytes");
    for wrong in [4, 6] {
        is_unsafe(blobs.open_blob(held.digest(), wrong));
    }
    assert!(matches!(blobs.open_blob(Digest::of(b"absent"), 5), Err(StoreError::Io { .. })));
    assert_eq!(site.served().await.unwrap(), Some(1));
    chmod_all(site.dir.path(), 0o644, 0o755);
}

/// Who can write a folder can put another in the place of any below: each level on the way counts, for whoever reads.
#[tokio::test]
async fn folders_that_others_can_write_are_refused_at_every_level_s22() {
    let site = Site::new(2).await;
    let data = site.dir.path().to_owned();
    let store = FsStore::open(&data, Access::ReadWrite).unwrap();
    let mut writer = store.begin(None).await.unwrap();
    writer.write(Bytes::from_static(b"blob")).await.unwrap();
    let held = writer.finish(Expected { digest: None, size: Some(4) }).await.unwrap();
    let shard = format!("blobs/{}", &held.digest().to_string()[..2]);
    let (rings, blobs) = (RingReader::open(&data).unwrap(), BlobFiles::open(&data).unwrap());
    let mode =
        |relative: &str, mode| fs::set_permissions(data.join(relative), fs::Permissions::from_mode(mode)).unwrap();
    for folder in ["rings", "rings/broad", "blobs", &shard] {
        mode(folder, 0o777);
        let of_rings = folder.starts_with("rings");
        let read = if of_rings {
            rings.load(&RingName::broad()).map(drop)
        } else {
            blobs.open_blob(held.digest(), 4).map(drop)
        };
        assert!(matches!(read, Err(StoreError::Unsafe { .. })), "{folder}: {read:?}");
        if !of_rings {
            let checked = store.check_folders().await;
            assert!(matches!(checked, Err(StoreError::Unsafe { .. })), "{folder}: {checked:?}");
        }
        mode(folder, 0o755);
        assert!(rings.load(&RingName::broad()).unwrap().is_some() && blobs.open_blob(held.digest(), 4).is_ok());
        store.check_folders().await.unwrap();
    }
    mode("blobs", 0o777);
    assert!(
        store.find_all(&[held.digest()]).await.is_err(),
        "a store that cannot be believed does not say that all is gone"
    );
    mode("blobs", 0o755);
}
