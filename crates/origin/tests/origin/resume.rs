//! Files: resumed where that is sound, refused before they cost anything where they cannot be right.

use std::sync::atomic::Ordering;

use blob_store::BlobStore as _;
use model::{Digest, Reason};
use origin::Origin as _;
use outbound::ScriptedAnswer;
use vendors::{Source, Want};

use crate::setup::{Setup, URL, declared, large, unknown};

const TAG: &str = "\"tag\"";

/// The first `at` bytes, then a break.
fn cut(bytes: &[u8], at: usize, etag: &str) -> ScriptedAnswer {
    ScriptedAnswer::status(200)
        .header("content-length", &bytes.len().to_string())
        .header("etag", etag)
        .chunk(bytes[..at].to_vec())
        .then_fails(Reason::ShortBody, "broke off")
}

fn whole(bytes: &[u8], etag: &str) -> ScriptedAnswer {
    ScriptedAnswer::ok(bytes.to_vec()).header("etag", etag)
}

#[tokio::test]
async fn a_broken_file_is_resumed_with_its_tag() {
    for want in [declared(&large(1)), unknown()] {
        let (setup, bytes) = (Setup::new(), large(1));
        let rest = ScriptedAnswer::part(&bytes, 1_000_000).header("etag", TAG);
        setup.client.answer(URL, cut(&bytes, 1_000_000, TAG)).answer(URL, rest);
        let item = setup.hold(&want).await.unwrap();
        assert_eq!(item.held.digest(), Digest::of(&bytes));
        let asked = setup.client.requests();
        assert_eq!(asked.len(), 2);
        let range = asked[1].range.as_ref().unwrap();
        assert_eq!((range.from, range.if_range.as_deref()), (1_000_000, Some(TAG)));
        assert_eq!(setup.count.received.load(Ordering::SeqCst), bytes.len() as u64, "nothing comes twice");
    }
}

#[tokio::test]
async fn without_a_strong_tag_only_a_declared_file_is_resumed_u45() {
    for tag in ["W/\"tag\"", "tag", ""] {
        for want in [declared(&large(1)), unknown()] {
            let (setup, bytes) = (Setup::new(), large(1));
            let known = want.digest.is_some();
            let next = if known { ScriptedAnswer::part(&bytes, 1_000_000) } else { whole(&bytes, tag) };
            setup.client.answer(URL, cut(&bytes, 1_000_000, tag)).answer(URL, next);
            assert_eq!(setup.hold(&want).await.unwrap().held.digest(), Digest::of(&bytes));
            assert_eq!(setup.client.requests()[1].range.is_some(), known, "{tag:?}");
        }
    }
}

#[tokio::test]
async fn another_file_in_the_place_of_the_rest_is_taken_whole_u34_u37() {
    for want in [declared(&large(2)), unknown()] {
        let (setup, old, new) = (Setup::new(), large(1), large(2));
        setup.client.answer(URL, cut(&old, 1_000_000, TAG)).answer(URL, whole(&new, "\"new\""));
        assert_eq!(setup.hold(&want).await.unwrap().held.digest(), Digest::of(&new));
        assert!(!setup.has(&old).await);
    }
}

#[tokio::test]
async fn parts_that_do_not_fit_are_not_used_u36() {
    let bytes = large(1);
    let rest = bytes[1_000_000..].to_vec();
    let part = |range: &str, etag: &str| {
        ScriptedAnswer::status(206).header("content-range", range).header("etag", etag).chunk(rest.clone())
    };
    for answer in [
        part("bytes 999999-2999998/3000000", TAG),
        part("bytes 1000000-2999999/3000001", TAG),
        part("bytes 1000000-2999998/3000000", TAG),
        part("bytes 1000000-2999999/3000000", "\"another\""),
        part("bytes 1000000-2999999/3000000", "W/\"tag\""),
        part("nonsense", TAG),
        ScriptedAnswer::status(206).chunk(rest.clone()),
        ScriptedAnswer::status(416),
    ] {
        for want in [declared(&bytes), unknown()] {
            let setup = Setup::new();
            setup.client.answer(URL, cut(&bytes, 1_000_000, TAG)).answer(URL, answer.clone());
            setup.client.answer(URL, whole(&bytes, TAG));
            let item = setup.hold(&want).await.unwrap_or_else(|error| panic!("{answer:?}: {error}"));
            assert_eq!(item.held.digest(), Digest::of(&bytes));
            let last = setup.client.requests().pop().unwrap();
            assert_eq!(last.range, None, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_splice_is_found_by_its_digest_and_fetched_anew_u36() {
    let (setup, bytes, other) = (Setup::new(), large(1), large(2));
    setup.client.answer(URL, cut(&other, 1_000_000, TAG));
    setup.client.answer(URL, ScriptedAnswer::part(&bytes, 1_000_000).header("etag", TAG));
    setup.client.answer(URL, whole(&bytes, TAG));
    assert_eq!(setup.hold(&declared(&bytes)).await.unwrap().held.digest(), Digest::of(&bytes));
}

#[tokio::test]
async fn what_cannot_be_right_is_not_read_on_u02_u04_u05_u26_u30() {
    let bytes = large(1);
    let longer = [bytes.clone(), b"more".to_vec()].concat();
    let mut flipped = bytes.clone();
    flipped[77] ^= 1;
    let endless = (0..20).fold(ScriptedAnswer::status(200), |answer, _| answer.chunk(bytes.clone()));
    for (answer, known, reason, requests) in [
        (ScriptedAnswer::ok(longer.clone()), true, Reason::SizeMismatch, 1),
        (ScriptedAnswer::ok(bytes[1..].to_vec()), true, Reason::SizeMismatch, 1),
        (ScriptedAnswer::status(200).chunk(longer), true, Reason::SizeMismatch, 1),
        (ScriptedAnswer::status(200).chunk(bytes[1..].to_vec()), true, Reason::SizeMismatch, 1),
        (ScriptedAnswer::ok(flipped), true, Reason::HashMismatch, 1),
        (endless.clone(), true, Reason::SizeMismatch, 1),
        (endless, false, Reason::TooLarge, 1),
        (ScriptedAnswer::status(200).header("content-length", "9000000000000000000"), false, Reason::TooLarge, 1),
        (ScriptedAnswer::status(500), false, Reason::ServerError, 3),
        (ScriptedAnswer::status(404), false, Reason::NotFound, 1),
    ] {
        let setup = Setup::new();
        setup.client.answer(URL, answer.clone());
        let want = if known { declared(&bytes) } else { unknown() };
        let error = setup.hold(&want).await.unwrap_err();
        assert_eq!((error.reason, setup.client.requests().len()), (reason, requests), "{answer:?}");
        assert!(setup.count.received.load(Ordering::SeqCst) <= 12 << 20);
        // Nothing of it stands in the way of the file itself.
        setup.client.replace(URL, whole(&bytes, TAG));
        assert_eq!(setup.hold(&want).await.unwrap().held.digest(), Digest::of(&bytes));
        assert_eq!(setup.client.requests().pop().unwrap().range, None, "{reason}");
    }
}

#[tokio::test]
async fn a_disk_without_room_is_not_written_to_s30() {
    let mut setup = Setup::new();
    let bytes = large(1);
    setup.reserve = 1000;
    setup.client.answer(URL, whole(&bytes, TAG));
    for (free, fits) in [(bytes.len() as u64 + 999, false), (bytes.len() as u64 + 1000, true)] {
        setup.store.set_free_bytes(Some(free));
        let held = setup.hold(&declared(&bytes)).await;
        assert_eq!(held.err().map(|error| error.reason), (!fits).then_some(Reason::DiskFull));
    }
    assert_eq!(setup.count.received.load(Ordering::SeqCst), bytes.len() as u64);
}

#[tokio::test]
async fn what_is_held_is_not_fetched_and_what_rotted_is_s16_s17() {
    let (setup, bytes) = (Setup::new(), large(1));
    setup.client.answer(URL, whole(&bytes, TAG));
    let held = setup.store.put(bytes.clone());
    setup.hold(&declared(&bytes)).await.unwrap();
    assert!(setup.client.requests().is_empty());
    assert_eq!(setup.count.found.load(Ordering::SeqCst), bytes.len() as u64);
    setup.store.rot(held.digest(), bytes[..100].to_vec());
    setup.hold(&declared(&bytes)).await.unwrap();
    assert_eq!((setup.client.requests().len(), setup.store.damaged().len()), (1, 1));
    // A manifest that gives another size to bytes that are whole lies.
    let want = Want { size: Some(7), ..declared(&bytes) };
    assert_eq!(setup.hold(&want).await.unwrap_err().reason, Reason::SizeMismatch);
    assert_eq!(setup.store.damaged().len(), 1);
}

#[tokio::test]
async fn one_digest_is_fetched_once_by_many_at_a_time() {
    let (setup, bytes) = (Setup::new(), large(1));
    setup.client.answer(URL, whole(&bytes, TAG));
    let origin = setup.origin().await;
    let want = declared(&bytes);
    let many = (0..8).map(|_| origin.hold(&want, &setup.count));
    for item in futures_util::future::join_all(many).await {
        assert_eq!(item.unwrap().held.digest(), Digest::of(&bytes));
    }
    assert_eq!(setup.client.requests().len(), 1);
}

#[tokio::test]
async fn bytes_that_are_here_touch_no_network() {
    let setup = Setup::new();
    let want = Want { source: Source::Bytes(b"here".to_vec().into()), ..declared(b"here") };
    setup.hold(&want).await.unwrap();
    setup.hold(&want).await.unwrap();
    assert!(setup.has(b"here").await && setup.client.requests().is_empty());
    let mut blobs = 0;
    setup.store.visit(&mut |_, _| blobs += 1).await.unwrap();
    assert_eq!(blobs, 1);
}
