//! Blobs that are missing or not whole: one takes one route away, is told once, and comes back by itself.

use content_http::Trouble;
use model::Digest;

use crate::harness::{Answer, Site, noise, ring, until};

fn refused(answer: &Answer) -> bool {
    (answer.status, answer.header("Retry-After"), answer.body.len()) == (503, Some("30"), 0)
}

#[test]
fn a_blob_deleted_before_the_start_takes_one_route_away_and_heals_without_a_restart_s18() {
    let (big, small) = (noise(1, 50_000), b"small".to_vec());
    let first = Site::with(&[("/big", &big), ("/small", &small), ("/other", b"other")]);
    first.source.lose(&big);
    first.source.lose(&small);

    let site = first.restarted();
    assert!(site.server.is_ready());
    assert_eq!(site.get("/other", "").body, b"other");
    for path in ["/big", "/small", "/rings/broad/big"] {
        assert!(refused(&site.get(path, "")), "{path}");
    }
    let stats = site.server.stats();
    let seen = &stats.rings[0];
    assert_eq!((seen.generation, seen.routes, seen.broken, seen.refused.clone()), (Some(1), 3, 2, None));
    assert_eq!((stats.trouble(Trouble::Damaged), stats.trouble(Trouble::GenerationRefused)), (2, 0));
    let mut damaged = site.server.take_damaged();
    damaged.sort_by_key(Digest::to_string);
    let mut lost = [Digest::of(&big), Digest::of(&small)];
    lost.sort_by_key(Digest::to_string);
    assert_eq!(damaged, lost);

    site.source.restore(&small);
    until(|| site.server.stats().rings[0].broken == 1);
    assert_eq!(site.get("/small", "").body, small);
    assert!(refused(&site.get("/big", "")));
    site.source.restore(&big);
    until(|| site.server.stats().rings[0].broken == 0);
    assert_eq!(site.get("/big", "").body, big);
}

#[test]
fn a_blob_of_another_size_before_the_start_takes_one_route_away_s17() {
    let big = noise(2, 50_000);
    let first = Site::with(&[("/big", &big), ("/other", b"other")]);
    let path = first.source.blob_path(&Digest::of(&big));
    for length in [0, 49_999, 50_001] {
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        let site = first.restarted();
        assert!(refused(&site.get("/big", "")), "{length}");
        assert_eq!(site.get("/other", "").body, b"other");
        assert_eq!(site.server.take_damaged(), [Digest::of(&big)]);
        site.source.restore(&big);
        until(|| site.server.stats().rings[0].broken == 0);
        assert_eq!(site.get("/big", "").body, big);
    }
}

#[test]
fn all_blobs_deleted_is_not_ready_and_heals_s18() {
    let first = Site::with(&[("/a", b"A"), ("/b", b"B")]);
    first.source.lose(b"A");
    first.source.lose(b"B");
    let site = first.restarted();
    assert!(!site.server.is_ready());
    assert!(refused(&site.get("/a", "")) && refused(&site.get("/b", "")));
    // The self-test of endpoints knocks at a base, which needs no blob.
    assert_eq!(site.get("/", "").status, 200);
    site.source.restore(b"B");
    until(|| site.server.is_ready());
    assert_eq!(site.get("/b", "").body, b"B");
}

#[test]
fn who_begins_nowhere_has_no_use_for_the_rest_s18() {
    let first = Site::with(&[("/m/1.zip", b"M1"), ("/m/2.zip", b"M2"), ("/a", b"A")]);
    let begins = |path: &str| path.starts_with("/m/");
    first.source.lose(b"M1");
    let site = first.restarted();
    assert!(site.server.is_ready_for(begins), "one of the two answers");
    site.source.lose(b"M2");
    let site = site.restarted();
    assert!(site.server.is_ready() && !site.server.is_ready_for(begins));
    assert!(site.server.is_ready_for(|_| false), "nobody begins anywhere");
    site.source.restore(b"M2");
    until(|| site.server.is_ready_for(begins));
}

#[test]
fn one_bad_file_sends_nobody_away_because_a_newer_generation_does_not_read_s18() {
    let (gone, big) = (noise(3, 50_000), noise(4, 50_000));
    let site = Site::with(&[("/gone", &gone), ("/big", &big)]);
    *site.source.unreadable.lock().unwrap() = true;
    site.source.set(site.next("broad", &[("/new", b"new")]));
    site.server.nudge();
    until(|| site.server.stats().rings[0].refused.is_some());
    site.source.lose(&gone);
    until(|| site.get("/gone", "").status == 503);
    assert!(site.server.is_ready() && !site.server.has_lost_content());
    assert_eq!(site.get("/big", "").body, big);
    site.source.lose(&big);
    until(|| site.server.has_lost_content());
    assert!(!site.server.is_ready());
}

#[test]
fn many_broken_blobs_heal_without_hurry_and_without_loss_s18() {
    let files: Vec<(String, Vec<u8>)> = (0..700).map(|at| (format!("/{at}"), noise(at, 40))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let first = Site::with(&files);
    files.iter().for_each(|(_, bytes)| first.source.lose(bytes));
    let site = first.restarted();
    assert_eq!(site.server.stats().rings[0].broken, 700);
    assert_eq!(site.server.take_damaged().len(), 700);
    files.iter().for_each(|(_, bytes)| site.source.restore(bytes));
    until(|| site.server.stats().rings[0].broken == 0);
    assert_eq!(site.get("/699", "").body, files[699].1);
}

#[test]
fn a_broken_route_refuses_whatever_is_asked_s18() {
    let first = Site::with(&[("/a", b"A")]);
    first.source.lose(b"A");
    let site = first.restarted();
    let tag = Digest::of(b"A").etag();
    for headers in [
        format!("If-None-Match: {tag}\r\n"),
        "If-None-Match: *\r\n".to_owned(),
        "If-Match: \"x\"\r\n".to_owned(),
        "Range: bytes=0-0\r\n".to_owned(),
        "Range: bytes=9-\r\n".to_owned(),
    ] {
        assert!(refused(&site.get("/a", &headers)), "{headers}");
    }
    let mut client = site.connect();
    client.head("/a");
    assert!(refused(&client.answer().unwrap()));
    // The connection is kept: a refusal is an answer.
    client.get("/a", "");
    assert!(refused(&client.answer().unwrap()));
}

#[test]
fn polling_a_broken_blob_tells_it_once_until_it_healed_and_broke_again_s16() {
    let big = noise(3, 50_000);
    let site = Site::with(&[("/big", &big), ("/other", b"other")]);
    let digest = Digest::of(&big);
    for round in 1..=2 {
        site.source.lose(&big);
        // Also where a descriptor is open already.
        assert!(refused(&site.get("/big", "")));
        let mut told = site.server.take_damaged();
        for _ in 0..50 {
            assert!(refused(&site.get("/big", "")));
            told.extend(site.server.take_damaged());
        }
        assert_eq!(told, [digest]);
        assert_eq!(site.server.stats().trouble(Trouble::Damaged), round);
        assert_eq!(site.server.stats().rings[0].broken, 1);
        site.source.restore(&big);
        until(|| site.server.stats().rings[0].broken == 0);
        assert_eq!(site.get("/big", "").body, big);
    }
    assert_eq!(site.get("/other", "").body, b"other");
}

#[test]
fn polling_a_broken_blob_touches_no_disk_s18() {
    let first = Site::with(&[("/a", b"A")]);
    first.source.lose(b"A");
    let site = first.restarted();
    drop(first);
    let before = site.source.opened();
    let mut client = site.connect();
    for _ in 0..2000 {
        client.get("/a", "");
        assert!(refused(&client.answer().unwrap()));
    }
    // The watcher alone tried: a few times, not two thousand.
    assert!(site.source.opened() - before < 200, "{}", site.source.opened() - before);
}

#[test]
fn what_could_not_be_looked_after_is_told_again_s18() {
    let first = Site::with(&[("/a", b"A"), ("/b", b"B")]);
    first.source.lose(b"A");
    let site = first.restarted();
    let damaged = site.server.take_damaged();
    assert_eq!(damaged, [Digest::of(b"A")]);
    site.server.put_back_damaged(&damaged);
    // What is whole is not told by mistake.
    site.server.put_back_damaged(&[Digest::of(b"B")]);
    assert_eq!(site.server.take_damaged(), damaged);
    assert!(site.server.take_damaged().is_empty());
}

#[test]
fn while_the_old_generation_is_whole_a_broken_one_waits_s18() {
    let site = Site::with(&[("/a", b"1"), ("/b", b"2")]);
    let gone = noise(9, 50_000);
    let next = site.next("broad", &[("/a", b"3"), ("/gone", &gone)]);
    site.source.lose(&gone);
    site.source.set(next);
    site.server.nudge();
    until(|| site.server.stats().rings[0].refused.is_some());
    assert_eq!((site.get("/a", "").body, site.get("/b", "").body), (b"1".to_vec(), b"2".to_vec()));
    let stats = site.server.stats();
    assert_eq!((stats.rings[0].generation, stats.rings[0].broken), (Some(1), 0));
    // Whoever repairs blobs is told all the same: otherwise it would wait for ever.
    assert_eq!(site.server.take_damaged(), [Digest::of(&gone)]);
    for _ in 0..40 {
        site.server.nudge();
        assert_eq!(site.get("/gone", "").status, 404);
    }
    assert!(site.server.take_damaged().is_empty());
    assert_eq!(site.server.stats().trouble(Trouble::GenerationRefused), 1);
}

#[test]
fn once_the_old_generation_is_broken_too_the_new_one_is_taken_over_s18() {
    let old = noise(8, 50_000);
    let site = Site::with(&[("/a", &old), ("/b", b"2")]);
    let gone = noise(9, 50_000);
    let next = site.next("broad", &[("/a", b"3"), ("/gone", &gone)]);
    site.source.lose(&gone);
    site.source.set(next);
    site.server.nudge();
    until(|| site.server.stats().rings[0].refused.is_some());
    assert_eq!(site.get("/b", "").body, b"2");

    site.source.lose(&old);
    assert!(refused(&site.get("/a", "")));
    until(|| site.generation("broad") == Some(2));
    assert_eq!(site.get("/a", "").body, b"3");
    assert!(refused(&site.get("/gone", "")));
    let seen = site.server.stats().rings[0].clone();
    assert_eq!((seen.broken, seen.refused), (1, None));

    // The next generation needs it no more, and is whole.
    site.publish("broad", &[("/a", b"4")]);
    assert_eq!(site.server.stats().rings[0].broken, 0);
}

#[test]
fn one_blob_of_two_rings_breaks_and_heals_in_both_s18() {
    let first = Site::with(&[("/a", b"A")]);
    first.publish("canary", &[("/a", b"A"), ("/b", b"B")]);
    first.source.lose(b"A");
    let site = first.restarted();
    assert!(refused(&site.get("/a", "")) && refused(&site.get("/rings/canary/a", "")));
    assert_eq!(site.get("/rings/canary/b", "").body, b"B");
    let broken = || site.server.stats().rings.iter().map(|seen| (seen.ring.clone(), seen.broken)).collect::<Vec<_>>();
    assert_eq!(broken(), [(ring("broad"), 1), (ring("canary"), 1)]);
    assert_eq!(site.server.take_damaged(), [Digest::of(b"A")]);
    site.source.restore(b"A");
    until(|| broken().iter().all(|(_, broken)| *broken == 0));
    assert_eq!((site.get("/a", "").body, site.get("/rings/canary/a", "").body), (b"A".to_vec(), b"A".to_vec()));
}

#[test]
fn without_descriptors_one_request_is_refused_and_nothing_breaks_s09() {
    let large = noise(9, 2 << 20);
    let site = Site::with(&[("/large", &large), ("/a", b"A")]);
    let whole = site.get("/large", "");
    assert!(whole.body == large);
    until(|| {
        *site.source.short.lock().unwrap() = true;
        let answer = site.get("/large", "");
        *site.source.short.lock().unwrap() = false;
        // A download that is not over yet lends its descriptor.
        refused(&answer)
    });
    let tag = whole.header("ETag").unwrap();
    *site.source.short.lock().unwrap() = true;
    assert_eq!(site.get("/large", &format!("If-None-Match: {tag}\r\n")).status, 304, "polls need no file");
    *site.source.short.lock().unwrap() = false;
    assert!(site.get("/large", "").body == large, "the next one is served at once");
    let stats = site.server.stats();
    assert_eq!((stats.trouble(Trouble::Damaged), stats.rings[0].broken), (0, 0));
    assert!(stats.trouble(Trouble::Shortage) >= 1 && site.server.take_damaged().is_empty());
}

#[test]
fn downloads_of_one_large_file_share_a_descriptor_s09() {
    use std::io::Read;
    let large = noise(10, 32 << 20);
    let site = Site::with(&[("/large", &large)]);
    let first = site.get("/large", "Range: bytes=0-0\r\n");
    assert_eq!(first.status, 206);
    let asked = site.source.asked();
    let mut clients: Vec<_> = (0..5).map(|_| site.connect()).collect();
    for client in &mut clients {
        client.get("/large", "");
        client.stream.read_exact(&mut [0; 1]).unwrap();
    }
    assert_eq!(site.source.asked(), asked + 1, "the others are sent from the same");
}

#[test]
fn a_file_that_is_served_from_memory_is_looked_at_behind_it_s17() {
    let (small, left) = (noise(3, 9_000), noise(4, 9_000));
    let site = Site::with(&[("/small", &small), ("/left", &left)]);
    assert_eq!((site.get("/small", "").body, site.get("/left", "").body), (small.clone(), left.clone()));
    let mut other = small.clone();
    other[4_000] ^= 1;
    site.source.lose(&small);
    std::fs::write(site.source.blob_path(&Digest::of(&small)), &other).unwrap();
    until(|| site.server.stats().rings[0].broken == 1);
    assert!(refused(&site.get("/small", "")), "nobody else need ask for it, and nothing is restarted");
    assert_eq!(
        (site.server.take_damaged(), site.server.stats().trouble(Trouble::Damaged)),
        (vec![Digest::of(&small)], 1)
    );
    assert_eq!(site.get("/left", "").body, left);
    site.source.restore(&small);
    until(|| site.server.stats().rings[0].broken == 0);
    assert_eq!(site.get("/small", "").body, small);
}
