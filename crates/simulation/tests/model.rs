//! The stores against a model of themselves: what was kept is there after every crash, and nothing else (S44, S25).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // tests

use std::collections::BTreeMap;
use std::io::Read as _;

use blob_store::reader::{BlobFiles, RingReader};
use blob_store::{Access, BlobStore as _, Expected, FsRings, FsStore, RingStore as _, Verification};
use bytes::Bytes;
use model::{Digest, Generation, RingName, Timestamp};
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
