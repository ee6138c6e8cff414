//! However a download is cut into chunks and interrupted, its bytes arrive as they were sent.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests speak by panicking")]

use blob_store::{Access, BlobStore, Expected, FsStore, PartialKey};
use bytes::Bytes;
use model::Digest;
use proptest::prelude::*;

/// What happens to a download.
#[derive(Clone, Debug)]
enum Event {
    /// This many more bytes come.
    Chunk(usize),
    /// The writer is dropped and a new one goes on.
    Interrupted,
    /// The vendor's answer changed: all begins again.
    Restarted,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..120_000usize).prop_map(Event::Chunk),
        2 => Just(Event::Interrupted),
        1 => Just(Event::Restarted),
    ];
    proptest::collection::vec(event, 0..24)
}

async fn play(events: Vec<Event>) {
    let dir = tempfile::tempdir().unwrap();
    let store = FsStore::open(dir.path(), Access::ReadWrite).unwrap();
    let key = Some(PartialKey(Digest::of(b"download")));
    let mut sent: Vec<u8> = Vec::new();
    let mut tag = String::new();
    let mut writer = store.begin(key).await.unwrap();
    for (step, event) in events.into_iter().enumerate() {
        match event {
            Event::Chunk(len) => {
                let chunk: Vec<u8> = (0..len).map(|at| (at ^ step) as u8).collect();
                sent.extend_from_slice(&chunk);
                writer.write(Bytes::from(chunk)).await.unwrap();
            }
            Event::Interrupted => {
                drop(writer);
                writer = store.begin(key).await.unwrap();
                if sent.is_empty() {
                    tag.clear();
                }
                assert_eq!(writer.tag(), tag);
            }
            Event::Restarted => {
                tag = format!("\"{step}\"");
                sent.clear();
                writer.restart(&tag).await.unwrap();
            }
        }
        assert_eq!(writer.written(), sent.len() as u64);
    }
    let expected = Expected { digest: Some(Digest::of(&sent)), size: Some(sent.len() as u64) };
    let held = writer.finish(expected).await.unwrap();
    let mut read = Vec::new();
    store.open(held.digest()).await.unwrap().unwrap().read_to_end(&mut read).unwrap();
    assert!(read == sent);
    assert_eq!(std::fs::read_dir(dir.path().join("partial")).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn bytes_arrive_as_they_were_sent_s11(events in events()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(play(events));
    }
}
