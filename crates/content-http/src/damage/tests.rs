//! Cases by hand, with a source that fails as it is told.

use std::sync::atomic::{AtomicI64, Ordering};

use model::{RingName, Timestamp};

use super::*;
use crate::blob::Blobs;
use crate::source::Loaded;

#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

/// Opens the files in this folder, or fails with this code of the system.
struct Disk(Result<std::path::PathBuf, i32>);

impl Source for Disk {
    fn rings(&self) -> Result<Vec<RingName>, SourceError> {
        Ok(Vec::new())
    }

    fn pointer_digest(&self, _: &RingName) -> Result<Option<Digest>, SourceError> {
        Ok(None)
    }

    fn load(&self, _: &RingName) -> Result<Option<Loaded>, SourceError> {
        Ok(None)
    }

    fn open(&self, digest: &Digest, _: u64) -> Result<File, SourceError> {
        match &self.0 {
            Ok(folder) => Ok(File::open(folder.join(digest.to_string()))?),
            Err(code) => Err(io::Error::from_raw_os_error(*code).into()),
        }
    }
}

const SMALL: usize = 8;
const MIDDLING: usize = 17 << 10;
const LARGE: usize = (1 << 20) + 8;

struct Ward {
    clock: Arc<Hand>,
    counters: Arc<Counters>,
    damage: Damage,
    blobs: Blobs,
}

fn ward() -> Ward {
    let (clock, counters) = (Arc::new(Hand::default()), Arc::new(Counters::default()));
    let damage = Damage::new(clock.clone(), counters.clone());
    let blobs = Blobs::new(1 << 20, damage.proofs());
    Ward { clock, counters, damage, blobs }
}

impl Ward {
    fn blob(&mut self, number: u64) -> Arc<Blob> {
        self.sized(number, MIDDLING)
    }

    fn sized(&mut self, number: u64, size: usize) -> Arc<Blob> {
        self.blobs.add(Digest::of(&bytes(number, size)), size as u64)
    }

    fn counted(&self) -> u64 {
        let mut stats = crate::Stats::new(Timestamp::from_micros(0));
        self.counters.add_to(&mut stats);
        stats.trouble(Trouble::Damaged)
    }
}

fn missing() -> SourceError {
    io::Error::from(io::ErrorKind::NotFound).into()
}

fn bytes(number: u64, size: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(size).collect()
}

/// A disk with the blobs of these numbers.
fn disk(numbers: std::ops::Range<u64>, size: usize) -> (tempfile::TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    for bytes in numbers.map(|number| bytes(number, size)) {
        std::fs::write(folder.path().join(Digest::of(&bytes).to_string()), &bytes).unwrap();
    }
    let disk = Disk(Ok(folder.path().to_owned()));
    (folder, disk)
}

#[test]
fn one_damage_is_one_case_whoever_meets_it_s16() {
    let mut ward = ward();
    let blob = ward.blob(1);
    assert!(ward.damage.note(&blob, 0, None, &missing()));
    assert!(!ward.damage.note(&blob, 0, None, &missing()), "the same damage, met by another worker");
    assert_eq!((ward.damage.take(), ward.counted()), (vec![blob.digest], 1));
    assert_eq!(ward.damage.retry(&Disk(Err(2))), 0);
    assert!(ward.damage.take().is_empty());

    let (_folder, good) = disk(1..2, MIDDLING);
    assert_eq!(ward.damage.retry(&good), 1);
    assert_eq!(blob.epoch(), Some(2));
    assert!(!ward.damage.note(&blob, 0, None, &missing()), "a download of before the repair ends late");
    assert!(!blob.is_broken() && ward.damage.take().is_empty());
    assert!(ward.damage.note(&blob, 2, None, &missing()), "it broke again");
    assert_eq!((ward.damage.take(), ward.counted()), (vec![blob.digest], 2));
}

#[test]
fn a_file_that_could_not_be_read_is_not_trusted_until_it_is_another_s04() {
    let mut ward = ward();
    let blob = ward.blob(1);
    let (folder, good) = disk(1..2, MIDDLING);
    let path = &folder.path().join(blob.digest.to_string());
    let file = File::open(path).unwrap();
    ward.damage.note(&blob, 0, Some(&file), &io::Error::from_raw_os_error(5).into());
    assert_eq!(ward.damage.retry(&good), 0, "the same file");

    let other = path.with_extension("new");
    std::fs::copy(path, &other).unwrap();
    std::fs::rename(&other, path).unwrap();
    assert_eq!(ward.damage.retry(&good), 1, "it was replaced");

    let file = File::open(path).unwrap();
    ward.damage.note(&blob, 2, Some(&file), &io::Error::from_raw_os_error(5).into());
    assert_eq!(ward.damage.retry(&good), 0);
    ward.clock.0.store(61, Ordering::SeqCst);
    assert_eq!(ward.damage.retry(&good), 1, "a fault of the disk that passed");
}

#[test]
fn a_lack_of_descriptors_is_no_damage_to_be_repaired_s09() {
    let mut ward = ward();
    let blob = ward.blob(1);
    assert!(!ward.damage.note(&blob, 0, None, &io::Error::from_raw_os_error(Errno::MFILE.raw_os_error()).into()));
    assert!(!blob.is_broken() && ward.damage.take().is_empty(), "the next request may have one");
    assert_eq!(ward.damage.retry(&Disk(Err(Errno::NFILE.raw_os_error()))), 0);
    assert!(ward.damage.take().is_empty());
    assert!(ward.damage.note(&blob, 0, None, &missing()));
    assert_eq!(ward.damage.take(), [blob.digest]);
}

#[test]
fn nothing_is_forgotten_beyond_the_caps_s18() {
    let mut ward = ward();
    let blobs: Vec<_> = (0..2000).map(|number| ward.sized(number, SMALL)).collect();
    let news = blobs.iter().filter(|blob| ward.damage.note(blob, 0, None, &missing())).count();
    assert_eq!((news, ward.counted()), (MOST_TOLD, 2000), "the log is bounded, the count is not");
    let mut told: BTreeSet<Digest> = ward.damage.take().into_iter().collect();
    assert_eq!(told.len(), MOST_TOLD);
    let looks = blobs.len().div_ceil(RETRIES);
    for _ in 0..looks {
        assert_eq!(ward.damage.retry(&Disk(Err(2))), 0);
    }
    told.extend(ward.damage.take());
    assert_eq!(told.len(), 2000);
    let (_folder, good) = disk(0..2000, SMALL);
    let healed: Vec<usize> = (0..looks).map(|_| ward.damage.retry(&good)).collect();
    assert_eq!(healed.iter().sum::<usize>(), 2000, "{healed:?}");
    assert!(healed.iter().all(|healed| *healed <= RETRIES));
}

#[test]
fn a_blob_that_no_route_needs_is_forgotten() {
    let mut ward = ward();
    drop({
        let blob = ward.blob(1);
        ward.damage.note(&blob, 0, None, &missing());
        blob
    });
    assert_eq!(ward.damage.retry(&Disk(Err(2))), 0);
    assert!(ward.damage.cases().open.is_empty());
}

#[test]
fn a_large_file_that_was_changed_is_told_only_once_it_was_read_s16() {
    let mut ward = ward();
    let (folder, disk) = disk(1..2, LARGE);
    let blob = ward.sized(1, LARGE);
    let path = folder.path().join(blob.digest.to_string());
    blob.first_seen(&File::open(&path).unwrap());
    assert!(blob.open(&disk).is_ok(), "served as it was first seen");
    ward.damage.settle(&blob, &disk, Haste::Calm);
    assert!(blob.open(&disk).is_ok() && !blob.is_broken());

    let whole = std::fs::read(&path).unwrap();
    let mut other = whole.clone();
    other[LARGE - 1] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &other).unwrap();
    let error = blob.open(&disk).unwrap_err();
    assert!(error.is::<Unproven>(), "{error}");
    assert!(ward.damage.note(&blob, 0, None, &error));
    assert_eq!(ward.damage.retry(&disk), 0, "no look reads it");
    assert!(blob.is_broken() && ward.damage.take().is_empty() && ward.counted() == 0);
    for _ in 0..3 {
        ward.damage.settle(&blob, &disk, Haste::Urgent);
    }
    assert_eq!((ward.damage.take(), ward.counted()), (vec![blob.digest], 1));
    ward.damage.put_back(&[blob.digest]);
    assert_eq!(ward.damage.take(), [blob.digest]);

    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(ward.damage.retry(&disk), 0);
    ward.damage.settle(&blob, &disk, Haste::Urgent);
    assert_eq!((blob.epoch(), ward.counted()), (Some(2), 1));
    assert!(blob.open(&disk).is_ok());
}

#[test]
fn a_large_file_that_was_away_is_served_once_it_is_back_and_not_read_anew_s42() {
    let mut ward = ward();
    let (_folder, disk) = disk(1..2, LARGE);
    let blob = ward.sized(1, LARGE);
    blob.first_seen(&disk.open(&blob.digest, blob.size).unwrap());
    let away = |errno: Errno, settled: bool| {
        let gone = Disk(Err(errno.raw_os_error()));
        assert!(ward.damage.look_behind(&blob, &gone).is_err() && blob.is_broken());
        assert_eq!(ward.damage.retry(&gone), 0);
        assert_eq!(ward.damage.retry(&disk), 1, "{errno}");
        assert!(blob.open(&disk).is_ok() && blob.is_settled() == settled, "{errno}");
    };
    // It had not been read to its end yet: it is served as before, and read meanwhile.
    away(Errno::STALE, false);
    ward.damage.settle(&blob, &disk, Haste::Calm);
    for errno in [Errno::NOENT, Errno::IO, Errno::ACCESS, Errno::STALE] {
        away(errno, true);
    }
    // One that could not be read, though it opened, is read.
    let (file, _) = blob.open(&disk).unwrap();
    ward.damage.note(&blob, blob.epoch().unwrap(), Some(&file), &io::Error::from_raw_os_error(5).into());
    ward.clock.0.store(61, Ordering::SeqCst);
    assert_eq!(ward.damage.retry(&disk), 0);
    ward.damage.settle(&blob, &disk, Haste::Urgent);
    assert!(!blob.is_broken());
}

#[test]
fn a_large_file_that_got_another_name_is_served_on_and_read_meanwhile_s16() {
    let mut ward = ward();
    let (folder, disk) = disk(1..2, LARGE);
    let blob = ward.sized(1, LARGE);
    let path = folder.path().join(blob.digest.to_string());
    blob.first_seen(&File::open(&path).unwrap());
    let (file, then) = blob.open(&disk).unwrap();
    std::fs::hard_link(&path, folder.path().join("linked")).unwrap();
    assert!(blob.open(&disk).is_ok());

    // Written to without a trace in the times, as a disk that rots: who began before is cut off as well.
    let times = std::fs::FileTimes::new().set_modified(file.metadata().unwrap().modified().unwrap());
    let mut other = std::fs::read(&path).unwrap();
    other[7] ^= 1;
    std::fs::write(&path, other).unwrap();
    File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
    let (_, began) = (std::fs::hard_link(&path, folder.path().join("another")), blob.open(&disk).unwrap().1);
    ward.damage.settle(&blob, &disk, Haste::Calm);
    assert!(blob.is_broken() && !blob.still_holds(&file, &began).unwrap());
    assert_eq!((ward.damage.take(), ward.counted()), (vec![blob.digest], 1));
    assert!(then != began);
}
