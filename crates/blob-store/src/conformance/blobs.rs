//! What every [`BlobStore`] does.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;
use model::{Digest, Held, Timestamp};

use crate::{BlobStore, BlobWriter, Expected, PartialKey, StoreError, Verification};

/// Runs the suite. `open` opens the same store anew each time, as another process would; it is empty at first.
pub async fn blobs(open: &(dyn Fn() -> Box<dyn BlobStore> + Sync)) {
    keeps_what_it_proved(&*open()).await;
    refuses_what_it_did_not_expect(&*open()).await;
    an_empty_blob_is_a_blob(&*open()).await;
    many_at_once(&*open()).await;
    resumes(open).await;
    begins_again(open).await;
    a_wrong_resume_leaves_nothing(open).await;
    two_writers_of_one_download(&*open()).await;
    lets_go_and_sets_aside(&*open()).await;
    tidies(&*open()).await;
    visits_each_once(&*open()).await;
}

/// Bytes that differ by `seed`, enough to pass several batches when `len` is large.
fn sample(seed: u8, len: usize) -> Bytes {
    (0..len).map(|at| (at % 251) as u8 ^ seed).collect::<Vec<_>>().into()
}

fn key(text: &str) -> PartialKey {
    PartialKey(Digest::of(text.as_bytes()))
}

fn exactly(bytes: &[u8]) -> Expected {
    Expected { digest: Some(Digest::of(bytes)), size: Some(bytes.len() as u64) }
}

async fn feed(writer: &mut Box<dyn BlobWriter>, bytes: &Bytes) {
    for at in (0..bytes.len()).step_by(10_000) {
        writer.write(bytes.slice(at..bytes.len().min(at + 10_000))).await.unwrap();
    }
}

async fn keep(store: &dyn BlobStore, bytes: &Bytes) -> Held {
    let mut writer = store.begin(None).await.unwrap();
    feed(&mut writer, bytes).await;
    writer.finish(exactly(bytes)).await.unwrap()
}

async fn read(store: &dyn BlobStore, digest: Digest) -> Vec<u8> {
    let mut got = Vec::new();
    store.open(digest).await.unwrap().expect("the blob is held").read_to_end(&mut got).unwrap();
    got
}

async fn keeps_what_it_proved(store: &dyn BlobStore) {
    let bytes = sample(1, 1_000_000);
    let digest = Digest::of(&bytes);
    assert_eq!(store.find(digest).await.unwrap(), None);
    assert!(store.open(digest).await.unwrap().is_none());
    assert_eq!(store.verify(digest).await.unwrap(), Verification::Absent);

    let mut writer = store.begin(None).await.unwrap();
    assert_eq!((writer.written(), writer.tag()), (0, ""));
    feed(&mut writer, &bytes).await;
    assert_eq!(writer.written(), 1_000_000);
    assert_eq!(store.find(digest).await.unwrap(), None, "not visible before it is proven");
    let held = writer.finish(Expected::default()).await.unwrap();
    assert_eq!((held.digest(), held.size()), (digest, 1_000_000));

    assert_eq!(store.find(digest).await.unwrap(), Some(held));
    assert_eq!(store.verify(digest).await.unwrap(), Verification::Good(held));
    assert_eq!(read(store, digest).await, bytes);
    let mut reader = store.open(digest).await.unwrap().unwrap();
    reader.seek(SeekFrom::End(-3)).unwrap();
    let mut tail = Vec::new();
    reader.read_to_end(&mut tail).unwrap();
    assert_eq!(tail, bytes[bytes.len() - 3..]);
    assert_eq!(keep(store, &bytes).await, held, "keeping it twice is fine");
}

async fn refuses_what_it_did_not_expect(store: &dyn BlobStore) {
    let bytes = sample(2, 1000);
    let actual = Digest::of(&bytes);
    let other = Digest::of(b"other");
    for expected in [
        Expected { digest: Some(other), size: None },
        Expected { digest: Some(actual), size: Some(999) },
        Expected { digest: Some(actual), size: Some(1001) },
    ] {
        for resume in [None, Some(key("mismatch"))] {
            let mut writer = store.begin(resume).await.unwrap();
            assert_eq!(writer.written(), 0, "a mismatch leaves nothing to resume");
            feed(&mut writer, &bytes).await;
            match writer.finish(expected).await {
                Err(StoreError::Mismatch { actual: found, size: 1000, .. }) => assert_eq!(found, actual),
                other => panic!("{other:?}"),
            }
            assert_eq!(store.find(actual).await.unwrap(), None);
            assert_eq!(store.find(other).await.unwrap(), None);
        }
    }
}

async fn an_empty_blob_is_a_blob(store: &dyn BlobStore) {
    let held = keep(store, &Bytes::new()).await;
    assert_eq!(held.size(), 0);
    assert_eq!(store.find(held.digest()).await.unwrap(), Some(held));
    store.remove(held.digest()).await.unwrap();
}

async fn many_at_once(store: &dyn BlobStore) {
    let all: Vec<Bytes> = (100..154).map(|seed| sample(seed, 64 * 1024)).collect();
    let mut writers = Vec::new();
    for bytes in &all {
        let mut writer = store.begin(Some(PartialKey(Digest::of(bytes)))).await.unwrap();
        feed(&mut writer, bytes).await;
        writers.push(writer.finish(exactly(bytes)));
    }
    for (bytes, finished) in all.iter().zip(futures(writers).await) {
        assert_eq!(&read(store, finished.unwrap().digest()).await, bytes);
    }
}

/// Polls all of them until each is done, at once.
async fn futures<F: Future + Unpin>(mut all: Vec<F>) -> Vec<F::Output> {
    use std::task::Poll;
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (future, slot) in all.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let Poll::Ready(output) = std::pin::Pin::new(future).poll(context)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(done.drain(..).flatten().collect()) } else { Poll::Pending }
    })
    .await
}

async fn resumes(open: &(dyn Fn() -> Box<dyn BlobStore> + Sync)) {
    for cut in [1, 9_999, 262_144, 700_000] {
        let bytes = sample(3, 900_000);
        let mut writer = open().begin(Some(key("resume"))).await.unwrap();
        assert_eq!(writer.written(), 0);
        writer.restart("\"v 1\"\n").await.unwrap();
        feed(&mut writer, &bytes.slice(..cut)).await;
        drop(writer);

        let store = open();
        let mut writer = store.begin(Some(key("resume"))).await.unwrap();
        assert_eq!((writer.written(), writer.tag()), (cut as u64, "\"v 1\"\n"), "cut at {cut}");
        feed(&mut writer, &bytes.slice(cut..)).await;
        let held = writer.finish(exactly(&bytes)).await.unwrap();
        assert_eq!(read(&*store, held.digest()).await, bytes);
        store.remove(held.digest()).await.unwrap();
    }
}

async fn begins_again(open: &(dyn Fn() -> Box<dyn BlobStore> + Sync)) {
    let (old, new) = (sample(4, 600_000), sample(5, 500_000));
    let mut writer = open().begin(Some(key("again"))).await.unwrap();
    writer.restart("old").await.unwrap();
    feed(&mut writer, &old).await;
    drop(writer);

    let store = open();
    let mut writer = store.begin(Some(key("again"))).await.unwrap();
    assert_eq!((writer.written(), writer.tag()), (600_000, "old"));
    writer.restart("new").await.unwrap();
    assert_eq!((writer.written(), writer.tag()), (0, "new"));
    feed(&mut writer, &new.slice(..400_000)).await;
    drop(writer);

    let mut writer = store.begin(Some(key("again"))).await.unwrap();
    assert_eq!((writer.written(), writer.tag()), (400_000, "new"));
    feed(&mut writer, &new.slice(400_000..)).await;
    let held = writer.finish(Expected { digest: None, size: Some(500_000) }).await.unwrap();
    assert_eq!(read(&*store, held.digest()).await, new);
    assert_eq!(store.begin(Some(key("again"))).await.unwrap().written(), 0, "nothing is left of a finished download");
}

async fn a_wrong_resume_leaves_nothing(open: &(dyn Fn() -> Box<dyn BlobStore> + Sync)) {
    let bytes = sample(6, 500_000);
    let mut writer = open().begin(Some(key("wrong"))).await.unwrap();
    feed(&mut writer, &sample(7, 300_000)).await;
    drop(writer);
    let store = open();
    let mut writer = store.begin(Some(key("wrong"))).await.unwrap();
    feed(&mut writer, &bytes.slice(300_000..)).await;
    assert!(matches!(writer.finish(exactly(&bytes)).await, Err(StoreError::Mismatch { .. })));
    assert_eq!(store.begin(Some(key("wrong"))).await.unwrap().written(), 0);
}

async fn two_writers_of_one_download(store: &dyn BlobStore) {
    let bytes = sample(8, 600_000);
    let mut first = store.begin(Some(key("shared"))).await.unwrap();
    feed(&mut first, &bytes.slice(..300_000)).await;
    let mut second = store.begin(Some(key("shared"))).await.unwrap();
    feed(&mut second, &bytes).await;
    feed(&mut first, &bytes.slice(300_000..)).await;
    let held = second.finish(exactly(&bytes)).await.unwrap();
    assert_eq!(first.finish(exactly(&bytes)).await.unwrap(), held);
    assert_eq!(read(store, held.digest()).await, bytes);
}

async fn lets_go_and_sets_aside(store: &dyn BlobStore) {
    let (kept, gone) = (keep(store, &sample(9, 10)).await, keep(store, &sample(10, 10)).await);
    let mut open_while_removed = store.open(gone.digest()).await.unwrap().unwrap();
    for _ in 0..2 {
        store.remove(gone.digest()).await.unwrap();
        assert_eq!(store.find(gone.digest()).await.unwrap(), None);
    }
    let mut got = Vec::new();
    open_while_removed.read_to_end(&mut got).unwrap();
    assert_eq!(got, sample(10, 10), "s25: who reads it reads on");
    for _ in 0..2 {
        store.set_aside(kept.digest()).await.unwrap();
        assert_eq!(store.find(kept.digest()).await.unwrap(), None);
        assert_eq!(store.verify(kept.digest()).await.unwrap(), Verification::Absent);
    }
    assert_eq!(keep(store, &sample(9, 10)).await, kept, "it can be fetched again");
}

async fn tidies(store: &dyn BlobStore) {
    let never = Timestamp::from_micros(0);
    let ever = Timestamp::from_micros(i64::MAX);
    store.tidy_partials(ever).await.unwrap();
    let mut left = store.begin(Some(key("left"))).await.unwrap();
    feed(&mut left, &sample(11, 300_000)).await;
    drop(left);
    let mut busy = store.begin(Some(key("busy"))).await.unwrap();
    feed(&mut busy, &sample(12, 600_000)).await;
    assert_eq!(store.tidy_partials(never).await.unwrap(), 0);
    assert_eq!(store.tidy_partials(ever).await.unwrap(), 300_000, "what is being written stays");
    assert_eq!(store.begin(Some(key("left"))).await.unwrap().written(), 0);
    assert_eq!(busy.finish(exactly(&sample(12, 600_000))).await.unwrap().size(), 600_000);
}

async fn visits_each_once(store: &dyn BlobStore) {
    let mut seen = BTreeMap::new();
    store.visit(&mut |digest, size| seen.extend([(digest, size)])).await.unwrap();
    for digest in seen.into_keys() {
        store.remove(digest).await.unwrap();
    }
    let mut want = BTreeMap::new();
    for seed in 0..20 {
        let held = keep(store, &sample(seed, 100 + usize::from(seed))).await;
        want.insert(held.digest(), held.size());
    }
    let mut seen = BTreeMap::new();
    store.visit(&mut |digest, size| assert!(seen.insert(digest, size).is_none(), "{digest} came twice")).await.unwrap();
    assert_eq!(seen, want);
}
