//! What is served when, and what is not taken over.

use content_http::Trouble;
use model::{Digest, Reason};

use crate::harness::{Site, flip, noise, ring, until};

#[test]
fn before_the_first_publication_everything_is_503() {
    let site = Site::empty(|settings| settings.rings = vec![ring("broad"), ring("canary")]);
    assert!(!site.server.is_ready());
    for path in ["/", "/a", "/linux/production/", "/rings/broad/a", "/rings/canary/a", "/rings/canary"] {
        let answer = site.get(path, "");
        assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("30")), "{path}");
    }
    assert_eq!(site.get("/rings/unknown/a", "").status, 404);
    site.publish("broad", &[("/a", b"A")]);
    assert!(site.server.is_ready());
    assert_eq!(site.get("/a", "").status, 200);
    assert_eq!(site.get("/b", "").status, 404);
    assert_eq!(site.get("/rings/canary/a", "").status, 503);
}

#[test]
fn rings_stand_side_by_side() {
    let site = Site::with(&[("/a", b"broad")]);
    site.publish("canary", &[("/a", b"canary")]);
    assert_eq!(site.get("/a", "").body, b"broad");
    assert_eq!(site.get("/rings/broad/a", "").body, b"broad");
    assert_eq!(site.get("/rings/canary/a", "").body, b"canary");
    site.publish("canary", &[("/b", b"new")]);
    assert_eq!(site.get("/rings/canary/a", "").status, 404);
    assert_eq!(site.get("/a", "").body, b"broad");
    let stats = site.server.stats().rings;
    let seen: Vec<_> = stats.iter().map(|ring| (ring.ring.as_str(), ring.generation, ring.routes)).collect();
    assert_eq!(seen, [("broad", Some(1), 1), ("canary", Some(2), 1)]);
}

#[test]
fn only_the_rings_that_are_named_are_served() {
    let site = Site::empty(|settings| settings.rings = vec![ring("broad")]);
    let canary = site.next("canary", &[("/a", b"A")]);
    site.source.set(canary);
    site.publish("broad", &[("/a", b"A")]);
    assert_eq!(site.get("/rings/canary/a", "").status, 404);
}

#[test]
fn a_publication_is_seen_without_a_nudge() {
    let site = Site::with(&[("/a", b"1")]);
    let next = site.next("broad", &[("/a", b"2")]);
    site.source.set(next);
    until(|| site.generation("broad") == Some(2));
    assert_eq!(site.get("/a", "").body, b"2");
}

#[test]
fn a_generation_that_is_not_whole_changes_nothing_s18() {
    let site = Site::with(&[("/a", b"1"), ("/b", b"2")]);
    let next = site.next("broad", &[("/a", b"3"), ("/gone", &noise(9, 50_000))]);
    let gone = site.source.blob_path(&Digest::of(&noise(9, 50_000)));
    let bytes = std::fs::read(&gone).unwrap();
    std::fs::write(&gone, b"short").unwrap();
    site.source.set(next);
    site.server.nudge();
    until(|| site.server.stats().rings[0].refused.is_some());
    for _ in 0..20 {
        site.server.nudge();
        assert_eq!(site.get("/a", "").body, b"1");
        assert_eq!(site.get("/b", "").body, b"2");
    }
    let stats = site.server.stats();
    assert_eq!((stats.trouble(Trouble::GenerationRefused), stats.rings[0].generation), (1, Some(1)));
    assert!(stats.rings[0].refused.as_ref().unwrap().detail.contains("/gone"), "{stats:?}");

    // Healed, it is taken over although `current` did not move again.
    std::fs::write(&gone, bytes).unwrap();
    until(|| {
        site.server.nudge();
        site.generation("broad") == Some(2)
    });
    assert_eq!(site.get("/a", "").body, b"3");
    assert_eq!(site.server.stats().rings[0].refused, None);
}

#[test]
fn a_generation_that_does_not_decode_changes_nothing_r23() {
    let site = Site::with(&[("/a", b"1")]);
    site.publish("canary", &[("/a", b"c1")]);
    *site.source.unreadable.lock().unwrap() = true;
    let next = site.next("broad", &[("/a", b"2")]);
    site.source.set(next);
    site.server.nudge();
    until(|| site.server.stats().rings[0].refused.is_some());
    assert_eq!(site.get("/a", "").body, b"1");
    assert_eq!(site.get("/rings/canary/a", "").body, b"c1");
}

#[test]
fn the_folder_going_back_is_refused_s40() {
    let site = Site::with(&[("/a", b"1")]);
    let first = site.next("broad", &[("/a", b"1")]);
    site.publish("broad", &[("/a", b"2")]);
    site.publish("broad", &[("/a", b"3")]);
    site.source.set(first);
    site.server.nudge();
    until(|| site.server.stats().rings[0].refused.is_some());
    let why = site.server.stats().rings[0].refused.clone().unwrap();
    assert_eq!(why.reason, Reason::RingWentBack, "nothing is damaged: {why:?}");
    assert_eq!(site.get("/a", "").body, b"3");
}

#[test]
fn every_answer_under_publications_is_one_generation_v25() {
    let file = |generation: u64, name: u64| noise(generation * 10 + name, 30_000);
    let site = Site::with(&[("/0", &file(0, 0)), ("/1", &file(0, 1))]);
    let all: Vec<(Vec<u8>, Vec<u8>)> = (0..30).map(|at| (file(at, 0), file(at, 1))).collect();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = site.connect();
                    let mut newest = 0;
                    while newest < all.len() - 1 {
                        client.get("/0", "");
                        let body = client.answer().unwrap().body;
                        let at = all.iter().position(|(first, _)| *first == body).expect("a whole known file");
                        assert!(at >= newest, "never back");
                        newest = at;
                    }
                })
            })
            .collect();
        for (first, second) in &all[1..] {
            site.publish("broad", &[("/0", first), ("/1", second)]);
        }
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    let stats = site.server.stats();
    assert!(stats.requests.iter().all(|(status, count)| *status == 200 || *count == 0), "{stats:?}");
}

#[test]
fn a_folder_that_vanishes_takes_nothing_away_and_is_told_s42() {
    let site = Site::with(&[("/a", b"1")]);
    site.get("/a", "");
    let again = site.next("broad", &[("/a", b"2")]);
    site.source.forget("broad");
    until(|| {
        site.server.nudge();
        site.server.stats().rings[0].refused.as_ref().is_some_and(|why| why.detail.contains("gone"))
    });
    assert_eq!(site.get("/a", "").body, b"1");
    assert!(site.server.is_ready());
    site.source.set(again);
    site.server.nudge();
    until(|| site.generation("broad") == Some(2));
    assert_eq!(site.server.stats().rings[0].refused, None);
}

#[test]
fn generations_that_are_gone_are_told_once_s42() {
    let site = Site::with(&[("/a", b"1")]);
    site.source.forget("broad");
    site.server.nudge();
    until(|| site.server.stats().rings[0].refused.is_some());
    for _ in 0..20 {
        let looks = site.server.watched().looks;
        site.server.nudge();
        until(|| site.server.watched().looks > looks);
    }
    assert_eq!(site.get("/a", "").body, b"1", "what was loaded is served on");
    assert_eq!(site.server.stats().trouble(Trouble::GenerationRefused), 1);
}

#[test]
fn a_large_file_that_rotted_before_it_was_published_does_not_replace_a_whole_one_s16() {
    let (first, second, third) = (noise(1, 2 << 20), noise(2, 2 << 20), noise(3, 2 << 20));
    let site = Site::with(&[("/updates.zip", &first), ("/manifest.json", b"1")]);
    let rotted = site.next("broad", &[("/updates.zip", &second), ("/manifest.json", b"2")]);
    flip(&site.source.blob_path(&Digest::of(&second)), 1 << 20);
    site.source.set(rotted);
    site.server.nudge();
    until(|| {
        site.server.nudge();
        assert!(site.get("/updates.zip", "").body == first, "what is whole is served on");
        assert_eq!(site.get("/manifest.json", "").body, b"1", "and nothing is mixed");
        site.server.stats().rings[0].refused.is_some()
    });
    assert_eq!(site.generation("broad"), Some(1));
    assert_eq!(site.server.take_damaged(), [Digest::of(&second)], "and who heals is told");

    // Healed, it is read again and taken over.
    site.source.restore(&second);
    until(|| {
        site.server.nudge();
        site.generation("broad") == Some(2)
    });
    assert!(site.get("/updates.zip", "").body == second);
    site.publish("broad", &[("/updates.zip", &third), ("/manifest.json", b"3")]);
    assert!(site.get("/updates.zip", "").body == third);
}

#[test]
fn while_large_files_are_read_what_was_before_is_served_s16() {
    let (first, second, more) = (noise(1, 2 << 20), noise(2, 2 << 20), noise(3, 2 << 20));
    // All made at once: a file that is written again is another one to who serves it.
    let site = Site::empty(|_| {});
    let [one, mut two, mut three] = [
        site.next("broad", &[("/updates.zip", &first)]),
        site.next("broad", &[("/updates.zip", &first), ("/more", &more)]),
        site.next("broad", &[("/updates.zip", &second), ("/more", &more)]),
    ];
    (two.number, three.number) = (2, 3);
    let publish = |generation| {
        site.source.set(generation);
        site.server.nudge();
    };
    publish(one);
    until(|| site.generation("broad") == Some(1));
    {
        let reading = site.source.reading.lock().unwrap();
        // What takes nothing away waits for nobody: who asked for it waits already.
        publish(two);
        until(|| site.generation("broad") == Some(2));
        publish(three);
        for _ in 0..10 {
            let looks = site.server.watched().looks;
            site.server.nudge();
            until(|| site.server.watched().looks > looks);
            assert!(site.get("/updates.zip", "").body == first);
        }
        let stats = site.server.stats();
        assert_eq!((stats.rings[0].generation, stats.trouble(Trouble::GenerationRefused)), (Some(2), 0), "{stats:?}");
        drop(reading);
    }
    until(|| {
        site.server.nudge();
        site.generation("broad") == Some(3)
    });
    assert!(site.get("/updates.zip", "").body == second);
}
