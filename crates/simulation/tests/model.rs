//! The stores against a model of themselves: what was kept is there after every crash, and nothing else (S44, S25).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // tests

use std::collections::BTreeMap;
use std::io::Read as _;

use blob_store::reader::{BlobFiles, RingReader};
use blob_store::{
    Access, BlobStore as _, Expected, FsRings, FsStore, MemoryRings, RingDamage, RingStore, StoreError, Verification,
};
use bytes::Bytes;
use model::{Digest, Generation, Reason, RingName, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const STEPS: u32 = 600;

struct Model {
    blobs: BTreeMap<Digest, Vec<u8>>,
    rotten: Vec<Digest>,
    generations: BTreeMap<u64, Generation>,
    current: Option<u64>,
}

async fn put(store: &FsStore, bytes: &[u8]) -> Digest {
    let mut writer = store.begin(None).await.unwrap();
    writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    writer.finish(Expected { digest: None, size: Some(bytes.len() as u64) }).await.unwrap().digest()
}

fn generation(number: u64, random: &mut StdRng) -> Generation {
    let at = Timestamp::from_micros(random.random_range(0..1_000_000));
    Generation { number, ..Generation::empty(RingName::broad(), at) }
}

#[tokio::test]
async fn stores_are_what_their_model_says_s44() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let open = || (FsStore::open(&path, Access::ReadWrite).unwrap(), FsRings::open(&path, Access::ReadWrite).unwrap());
    let mut random = StdRng::seed_from_u64(44);
    let mut model = Model { blobs: BTreeMap::new(), rotten: Vec::new(), generations: BTreeMap::new(), current: None };
    let (mut store, mut rings) = open();
    let ring = RingName::broad();
    for _ in 0..STEPS {
        let some = model.blobs.keys().nth(random.random_range(0..model.blobs.len().max(1))).copied();
        match random.random_range(0..10) {
            0..=2 => {
                let bytes = vec![random.random_range(0..40_u8); random.random_range(0..200)];
                let digest = put(&store, &bytes).await;
                model.rotten.retain(|rotten| *rotten != digest || model.blobs.contains_key(rotten));
                model.blobs.entry(digest).or_insert(bytes);
            }
            // A process dies while it writes: nothing is visible of it.
            3 => {
                let mut writer = store.begin(None).await.unwrap();
                writer.write(Bytes::from_static(b"half of something")).await.unwrap();
                drop(writer);
                (store, rings) = open();
            }
            4 => {
                if let Some(digest) = some {
                    store.remove(digest).await.unwrap();
                    model.blobs.remove(&digest);
                    model.rotten.retain(|rotten| *rotten != digest);
                }
            }
            5 => {
                if let Some(digest) = some {
                    let name = digest.to_string();
                    std::fs::write(path.join("blobs").join(&name[..2]).join(&name), b"rot").unwrap();
                    model.rotten.push(digest);
                }
            }
            // A scrub: what rots is found and set aside, what is whole stays.
            6 => {
                if let Some(digest) = some {
                    let rotten = model.rotten.contains(&digest);
                    let damaged = matches!(store.verify(digest).await.unwrap(), Verification::Damaged { .. });
                    assert_eq!(damaged, rotten, "{digest}");
                    if damaged {
                        store.set_aside(digest).await.unwrap();
                        model.blobs.remove(&digest);
                        model.rotten.retain(|other| *other != digest);
                    }
                }
            }
            7 => {
                let next = model.current.unwrap_or(0) + 1;
                // Before the first publication the only file there is counts as what is served, and stays.
                if model.current.is_some() || !model.generations.contains_key(&next) {
                    let made = generation(next, &mut random);
                    rings.prepare(&made).await.unwrap();
                    model.generations.insert(next, made);
                }
            }
            8 => {
                let next = model.current.unwrap_or(0) + 1;
                if let Some(made) = model.generations.get(&next) {
                    let served = model.current.and_then(|current| model.generations.get(&current));
                    let expected = served.map(|served| Digest::of(&served.encode()));
                    model.current = Some(rings.publish(made, expected).await.unwrap().number);
                }
            }
            _ => {
                let oldest = model.generations.keys().next().copied();
                if let Some(number) = oldest.filter(|number| model.current.is_some_and(|current| *number < current)) {
                    rings.remove(&ring, number).await.unwrap();
                    model.generations.remove(&number);
                }
            }
        }
        check(&store, &model, &path).await;
    }
    assert!(model.blobs.len() > 3 && model.current.is_some_and(|current| current > 5));
}

async fn check(store: &FsStore, model: &Model, path: &std::path::Path) {
    let mut there = Vec::new();
    store.visit(&mut |digest, _| there.push(digest)).await.unwrap();
    there.sort();
    assert!(there.iter().eq(model.blobs.keys()), "{there:?}");
    if let Some(current) = model.current {
        let served = RingReader::open(path).unwrap().load(&RingName::broad()).unwrap().unwrap();
        assert_eq!(Some(&served.generation), model.generations.get(&current));
    }
}

#[tokio::test]
async fn a_blob_that_gc_takes_while_it_streams_streams_to_its_end_s25() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let store = FsStore::open(&path, Access::ReadWrite).unwrap();
    let bytes = vec![7_u8; 3_000_000];
    let digest = put(&store, &bytes).await;
    let mut streaming = BlobFiles::open(&path).unwrap().open_blob(digest, bytes.len() as u64).unwrap();
    let mut read = vec![0; 1000];
    streaming.read_exact(&mut read).unwrap();
    store.remove(digest).await.unwrap();
    assert_eq!(store.find(digest).await.unwrap(), None);
    streaming.read_to_end(&mut read).unwrap();
    assert_eq!(Digest::of(&read), digest);
}

/// What a store said, so that two can be compared: a failure is its reason.
type Said<T> = Result<T, Reason>;

fn said<T>(answer: Result<T, StoreError>) -> Said<T> {
    answer.map_err(|error| error.reason())
}

/// What the disk does to a ring's folder.
fn wear(folder: &std::path::Path, damage: RingDamage) {
    let file = |number: u64| folder.join(format!("generation-{number}"));
    let done = match damage {
        RingDamage::PointerLost => std::fs::remove_file(folder.join("current")),
        RingDamage::PointerGarbled => std::fs::write(folder.join("current"), b"17 nonsense\n"),
        RingDamage::Lost(number) => std::fs::remove_file(file(number)),
        RingDamage::Garbled(number) if file(number).exists() => std::fs::write(file(number), b"{}"),
        RingDamage::Garbled(_) => Ok(()),
        RingDamage::AllLost => std::fs::remove_dir_all(folder),
    };
    if let Err(error) = done {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{damage:?}: {error}");
    }
}

fn some_damage(numbers: &[u64], random: &mut StdRng) -> RingDamage {
    let number = numbers.get(random.random_range(0..numbers.len().max(1))).copied().unwrap_or(1);
    match random.random_range(0..12) {
        0 => RingDamage::AllLost,
        1 | 2 => RingDamage::PointerLost,
        3 | 4 => RingDamage::PointerGarbled,
        5..=7 => RingDamage::Lost(number),
        _ => RingDamage::Garbled(number),
    }
}

/// One operation on a ring, and all that can be seen of the ring afterwards.
async fn after(rings: &dyn RingStore, step: u32, next: &Generation, expected: Option<Digest>) -> String {
    let (ring, number) = (RingName::broad(), next.number);
    let done = match step % 6 {
        0 | 1 => format!("{:?}", said(rings.publish(next, expected).await.map(|done| done.digest))),
        2 => format!("{:?}", said(rings.prepare(next).await)),
        3 => format!("{:?}", said(rings.mend(&ring).await)),
        4 => format!("{:?}", said(rings.remove(&ring, number.saturating_sub(2)).await)),
        _ => format!("{:?}", said(rings.confirm(&ring, expected.unwrap_or(Digest::of(b""))).await)),
    };
    let current =
        said(rings.current(&ring).await.map(|found| found.map(|found| (found.generation.number, found.digest))));
    let state = rings.inspect(&ring).await.unwrap();
    let faults: Vec<_> = state.generations.iter().map(|found| (found.number, found.fault.is_some())).collect();
    let pointer = match state.pointer {
        blob_store::PointerState::Bad { number, .. } => format!("bad, {number:?}"),
        other => format!("{other:?}"),
    };
    format!("{done} {current:?} {faults:?} {pointer}")
}

/// Rings in memory, which whole lives are simulated on, say what rings on files say, whatever a disk does to either.
#[tokio::test]
async fn rings_in_memory_and_on_files_are_damaged_alike_s18_s40_s41_s44() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let (ring, memory) = (RingName::broad(), MemoryRings::new());
    let files = FsRings::open(&path, Access::ReadWrite).unwrap();
    let mut random = StdRng::seed_from_u64(45);
    let (mut served, mut nothing) = (0, 0);
    for step in 0..STEPS {
        let numbers = files.numbers(&ring).await.unwrap();
        if random.random_range(0..6) == 0 {
            let damage = some_damage(&numbers, &mut random);
            memory.damage(&ring, damage);
            wear(&path.join("rings").join(ring.as_str()), damage);
        }
        let current = said(files.current(&ring).await).unwrap_or_default();
        let newest = numbers.last().copied().unwrap_or(0);
        let next = generation((newest + random.random_range(0..2)).max(1), &mut random);
        let expected = current.as_ref().map(|current| current.digest);
        let choice = random.random_range(0..6);
        let told = after(&files, choice, &next, expected).await;
        assert_eq!(after(&memory, choice, &next, expected).await, told, "step {step}");
        served += u32::from(current.is_some());
        nothing += u32::from(current.is_none());
    }
    assert!(served > STEPS / 4 && nothing > STEPS / 20, "{served} times something was served, {nothing} times nothing");
}
