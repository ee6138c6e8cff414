//! Large bodies: whole or visibly not.

use std::io::Read;
use std::time::Duration;

use content_http::Trouble;
use model::Digest;

use crate::harness::{Site, flip, noise, until};

#[test]
fn large_files_and_their_ranges_arrive_whole() {
    let big = noise(5, 3 * 1024 * 1024 + 17);
    let site = Site::with(&[("/big", &big)]);
    assert_eq!(site.get("/big", "").body, big);
    let part = site.get("/big", "Range: bytes=1048570-2097160\r\n");
    assert_eq!((part.status, part.body.as_slice()), (206, &big[1_048_570..=2_097_160]));
    let tail = site.get("/big", "Range: bytes=-100000\r\n");
    assert_eq!(tail.body, &big[big.len() - 100_000..]);
}

#[test]
fn a_download_ends_with_the_bytes_it_began_with_v25_v26() {
    let (old, new) = (noise(1, 12 << 20), noise(2, 12 << 20));
    let site = Site::with(&[("/big", &old)]);
    let mut client = site.connect();
    client.get("/big", "");
    let mut first = [0; 4096];
    client.stream.read_exact(&mut first).unwrap();

    site.publish("broad", &[("/big", &new)]);
    // Even when the old bytes are let go meanwhile.
    std::fs::remove_file(site.source.blob_path(&Digest::of(&old))).unwrap();
    let fresh = site.get("/big", "");
    assert!(fresh.body == new);

    let mut rest = first.to_vec();
    let mut chunk = vec![0; 1 << 20];
    let head = first.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    while rest.len() < head + old.len() {
        let read = client.stream.read(&mut chunk).unwrap();
        assert!(read > 0);
        rest.extend_from_slice(&chunk[..read]);
    }
    assert!(rest[head..] == old);

    let resumed = site.get("/big", &format!("Range: bytes=100-\r\nIf-Range: {}\r\n", Digest::of(&old).etag()));
    assert_eq!(resumed.status, 200);
    assert!(resumed.body == new, "a resumed download must start again, not splice");
}

#[test]
fn a_file_that_turns_short_aborts_the_connection_v38() {
    let big = noise(4, 64 << 20);
    let site = Site::with(&[("/big", &big)]);
    let mut client = site.connect();
    client.get("/big", "");
    client.stream.read_exact(&mut [0; 1]).unwrap();
    let digest = Digest::of(&big);
    let file = std::fs::OpenOptions::new().write(true).open(site.source.blob_path(&digest)).unwrap();
    file.set_len(1 << 20).unwrap();
    let mut rest = Vec::new();
    assert!(client.stream.read_to_end(&mut rest).is_err(), "a reset, not an end that looks right");
    assert!(rest.len() < big.len());
    until(|| site.server.take_damaged() == [digest]);
    let stats = site.server.stats();
    assert_eq!((stats.trouble(Trouble::Damaged), stats.trouble(Trouble::Aborted)), (1, 1));

    // Until it is healed, it is not there: never short, never wrong.
    let answer = site.get("/big", "");
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("30")));
    std::fs::write(site.source.blob_path(&digest), &big).unwrap();
    until(|| site.server.stats().rings[0].broken == 0);
    assert!(site.get("/big", "").body == big);
}

#[test]
fn a_file_written_to_while_it_is_sent_is_cut_before_its_end_v39() {
    let big = noise(4, 64 << 20);
    let site = Site::with(&[("/big", &big)]);
    let mut client = site.connect();
    client.get("/big", "");
    client.stream.read_exact(&mut [0; 1]).unwrap();
    let digest = Digest::of(&big);
    flip(&site.source.blob_path(&digest), 60 << 20);
    let mut rest = Vec::new();
    assert!(client.stream.read_to_end(&mut rest).is_err(), "a reset, not an end that looks right");
    assert!(rest.len() < big.len());
    until(|| site.server.take_damaged() == [digest]);
    assert_eq!(site.get("/big", "").status, 503);
    site.source.lose(&big);
    site.source.restore(&big);
    until(|| site.server.stats().rings[0].broken == 0);
    assert!(site.get("/big", "").body == big);
}

#[test]
fn a_middling_file_that_was_damaged_before_the_start_is_not_served_s16() {
    let bytes = noise(4, 50_000);
    let first = Site::with(&[("/a", &bytes), ("/b", b"B")]);
    let path = first.source.blob_path(&Digest::of(&bytes));
    flip(&path, 49_999);
    let site = first.restarted();
    for headers in ["", "Range: bytes=0-9\r\n"] {
        assert_eq!(site.get("/a", headers).status, 503);
    }
    assert_eq!((site.server.take_damaged(), site.get("/b", "").status), (vec![Digest::of(&bytes)], 200));
    // However long it takes: only other bytes bring it back.
    for _ in 0..3 {
        site.clock.advance(Duration::from_secs(61));
        let before = site.source.opened();
        until(|| site.source.opened() > before + 1);
        assert_eq!(site.get("/a", "").status, 503);
    }
    flip(&path, 49_999);
    until(|| site.server.stats().rings[0].broken == 0);
    assert_eq!(site.get("/a", "").body, bytes);
}

#[test]
fn a_file_that_was_touched_but_is_good_is_served_on_s16() {
    let bytes = noise(4, 50_000);
    let site = Site::with(&[("/a", &bytes)]);
    assert_eq!(site.get("/a", "").body, bytes);
    let path = site.source.blob_path(&Digest::of(&bytes));
    flip(&path, 7);
    flip(&path, 7);
    assert_eq!(site.get("/a", "").body, bytes);
    assert_eq!(site.server.stats().trouble(Trouble::Damaged), 0);
}

#[test]
fn a_large_file_whose_bytes_changed_is_not_served_until_it_is_whole_s16_v39() {
    let big = noise(4, 2 << 20);
    let site = Site::with(&[("/big", &big), ("/other", b"other")]);
    let digest = Digest::of(&big);
    let path = site.source.blob_path(&digest);
    assert!(site.get("/big", "").body == big);
    let resumed = format!("Range: bytes=1048576-\r\nIf-Range: {}\r\n", digest.etag());
    let poll = format!("If-None-Match: {}\r\n", digest.etag());
    flip(&path, 2_000_000);
    for headers in [resumed.as_str(), "", "Range: bytes=0-9\r\n", poll.as_str(), resumed.as_str()] {
        assert_eq!(site.get("/big", headers).status, 503, "{headers}");
    }
    until(|| site.server.take_damaged() == [digest]);
    assert_eq!((site.get("/big", "").status, site.get("/other", "").status), (503, 200));
    assert_eq!(site.server.stats().trouble(Trouble::Damaged), 1);
    flip(&path, 2_000_000);
    until(|| site.server.stats().rings[0].broken == 0);
    assert!(site.get("/big", "").body == big);
    assert!(site.get("/big", &resumed).body == big[1 << 20..]);
}

#[test]
fn a_large_file_that_was_touched_but_is_good_is_served_again_and_told_to_nobody_s16() {
    let big = noise(4, 2 << 20);
    let site = Site::with(&[("/big", &big)]);
    assert!(site.get("/big", "").body == big);
    let path = site.source.blob_path(&Digest::of(&big));
    for _ in 0..2 {
        let reading = site.source.reading.lock().unwrap();
        flip(&path, 7);
        flip(&path, 7);
        assert_eq!(site.get("/big", "").status, 503, "nobody has read it yet");
        drop(reading);
        until(|| site.server.stats().rings[0].broken == 0);
        assert!(site.get("/big", "").body == big);
    }
    assert_eq!(site.server.stats().trouble(Trouble::Damaged), 0);
    assert!(site.server.take_damaged().is_empty());
}

#[test]
fn a_large_file_that_got_another_name_is_served_on_s16() {
    let big = noise(4, 2 << 20);
    let site = Site::with(&[("/big", &big)]);
    let path = site.source.blob_path(&Digest::of(&big));
    for name in ["first", "second", "third"] {
        std::fs::hard_link(&path, path.with_extension(name)).unwrap();
        let answer = site.get("/big", "");
        assert!((answer.status, &answer.body) == (200, &big), "{name}: {}", answer.status);
    }
}

#[test]
fn a_large_file_that_was_touched_is_read_before_anybody_asks_s16() {
    use std::os::unix::fs::MetadataExt;
    let big = noise(4, 2 << 20);
    let site = Site::with(&[("/big", &big)]);
    until(|| site.source.read() == 1);
    let path = site.source.blob_path(&Digest::of(&big));
    let changed = || std::fs::metadata(&path).map(|found| (found.ctime(), found.ctime_nsec())).unwrap();
    let before = changed();
    // A name that it got and lost at once leaves no trace but the time of the last change.
    until(|| {
        std::fs::hard_link(&path, path.with_extension("name")).unwrap();
        std::fs::remove_file(path.with_extension("name")).unwrap();
        changed() != before
    });
    until(|| {
        site.server.nudge();
        site.source.read() == 2
    });
    assert_eq!(site.server.stats().rings[0].broken, 0, "it is no damage");
    until(|| site.get("/big", "").status == 200);
}

#[test]
fn a_large_file_that_got_other_rights_is_served_on_s16() {
    use std::os::unix::fs::PermissionsExt;
    let big = noise(4, 2 << 20);
    let site = Site::with(&[("/big", &big)]);
    let path = site.source.blob_path(&Digest::of(&big));
    let _reading = site.source.reading.lock().unwrap();
    for mode in [0o600, 0o640, 0o644] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let answer = site.get("/big", "");
        assert!((answer.status, &answer.body) == (200, &big), "{mode:o}: {}", answer.status);
    }
}

#[test]
fn a_file_that_changes_while_its_last_bytes_leave_does_not_arrive_whole_s16() {
    use std::io::{Read, Write};
    let big = noise(5, 32 << 20);
    // All of it is one turn, and the system takes a few MiB ahead at the most.
    let site = Site::empty(|settings| settings.limits.bulk_turn = 32 << 20);
    site.publish("broad", &[("/big", &big)]);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.connect(&site.address().into()).unwrap();
    let mut stream: std::net::TcpStream = socket.into();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
    flip(&site.source.blob_path(&Digest::of(&big)), (32 << 20) - 1);
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest);
    assert!(ended.is_err() || rest.len() < 31 << 20, "{} bytes", rest.len());
}

#[test]
fn a_large_file_that_was_damaged_before_the_start_is_found_and_no_longer_served_s16() {
    let big = noise(4, 2 << 20);
    let first = Site::with(&[("/big", &big), ("/b", b"B")]);
    let digest = Digest::of(&big);
    let path = first.source.blob_path(&digest);
    flip(&path, 1_999_999);
    let site = first.restarted();
    until(|| site.server.take_damaged() == [digest]);
    assert_eq!((site.get("/big", "").status, site.get("/b", "").status), (503, 200));
    flip(&path, 1_999_999);
    until(|| site.server.stats().rings[0].broken == 0);
    assert!(site.get("/big", "").body == big);
}

#[test]
fn a_start_waits_for_no_proof_and_who_began_before_it_failed_is_cut_off_s16_v39() {
    let big = noise(4, 64 << 20);
    let first = Site::with(&[("/big", &big)]);
    flip(&first.source.blob_path(&Digest::of(&big)), 60 << 20);
    let reading = first.source.reading.lock().unwrap();
    let site = first.restarted();
    assert!(site.server.is_ready());
    let mut client = site.connect();
    client.get("/big", "");
    client.stream.read_exact(&mut [0; 1]).unwrap();
    drop(reading);
    until(|| site.server.stats().rings[0].broken == 1);
    let mut rest = Vec::new();
    assert!(client.stream.read_to_end(&mut rest).is_err(), "a reset, not an end that looks right");
    assert!(rest.len() < big.len());
}

#[test]
fn a_small_file_whose_bytes_changed_is_not_served_s16() {
    let site = Site::with(&[("/a", b"good")]);
    let digest = Digest::of(b"good");
    std::fs::write(site.source.blob_path(&digest), b"evil").unwrap();
    assert_eq!(site.get("/a", "").status, 503);
    assert_eq!(site.server.take_damaged(), [digest]);
    std::fs::write(site.source.blob_path(&digest), b"good").unwrap();
    until(|| site.server.stats().rings[0].broken == 0);
    assert_eq!(site.get("/a", "").body, b"good");
    // From here on it is served from memory.
    std::fs::write(site.source.blob_path(&digest), b"evil").unwrap();
    assert_eq!(site.get("/a", "").body, b"good");
}

#[test]
fn small_files_are_served_without_memory_to_keep_them() {
    let site = Site::empty(|settings| settings.limits.small_file_memory = 8);
    site.publish("broad", &[("/a", b"12345678"), ("/b", b"9"), ("/c", b"")]);
    for _ in 0..2 {
        for (path, body) in [("/a", "12345678"), ("/b", "9"), ("/c", "")] {
            assert_eq!(site.get(path, "").body, body.as_bytes());
        }
    }
    assert_eq!(site.get("/b", "Range: bytes=0-\r\n").body, b"9");
}

#[test]
fn a_slow_reader_takes_hours_as_long_as_bytes_move_v10() {
    let big = noise(6, 24 << 20);
    let site = Site::with(&[("/big", &big)]);
    let mut client = site.connect();
    client.get("/big", "Connection: close\r\n");
    let mut got = Vec::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        let read = client.stream.read(&mut chunk).unwrap();
        got.extend_from_slice(&chunk[..read]);
        if read == 0 {
            break;
        }
        // A few thousand bytes a second: far beyond every deadline in sum, never between two reads.
        site.clock.advance(Duration::from_micros(read as u64 * 400));
    }
    assert!(got.ends_with(&big[big.len() - 1000..]) && got.len() > big.len());
    assert_eq!(site.server.stats().trouble(Trouble::Stalled), 0);
}

/// Whether a reader is let go that takes some megabytes, makes a long pause, and does so again.
fn is_let_go(minimum_rate: u64) -> bool {
    let big = noise(6, 64 << 20);
    let site = Site::empty(|settings| settings.limits.minimum_rate = minimum_rate);
    site.publish("broad", &[("/big", &big)]);
    let mut client = site.connect();
    client.get("/big", "");
    let settled = || {
        let mut before = 0;
        until(|| {
            let sent = site.server.stats().bytes_sent;
            std::mem::replace(&mut before, sent) == sent && sent > 0
        });
        before
    };
    for _ in 0..2 {
        let sent = settled();
        while site.server.stats().bytes_sent == sent {
            client.stream.read_exact(&mut vec![0; 256 << 10]).unwrap();
        }
        settled();
        site.clock.advance(Duration::from_secs(11 * 60));
    }
    // A connection of another client's shows that deadlines were looked at since then.
    let seen = site.server.stats().connections_total;
    let mut idle = site.connect();
    idle.get("/nowhere", "");
    idle.answer().unwrap();
    site.clock.advance(Duration::from_secs(76));
    until(|| idle.is_closed());
    assert!(site.server.stats().connections_total > seen);
    site.server.stats().trouble(Trouble::Stalled) == 1
}

#[test]
fn a_reader_below_the_least_rate_is_let_go_though_bytes_move_v10() {
    assert!(is_let_go(1 << 30), "megabytes in minutes are nothing to a gigabyte a second");
    assert!(!is_let_go(100), "nor anything to hurry at a hundred bytes");
    assert!(!is_let_go(0));
}

#[test]
fn a_reader_that_stopped_is_let_go_v10() {
    let big = noise(6, 64 << 20);
    let site = Site::with(&[("/big", &big)]);
    let mut client = site.connect();
    client.get("/big", "");
    client.stream.read_exact(&mut [0; 4096]).unwrap();
    let mut before = 0;
    until(|| {
        let sent = site.server.stats().bytes_sent;
        std::mem::replace(&mut before, sent) == sent && sent > 4096
    });
    site.clock.advance(Duration::from_secs(60 * 20 + 1));
    until(|| site.server.stats().connections_open == 0);
    assert_eq!(site.server.stats().trouble(Trouble::Stalled), 1);
    assert!(client.answer().is_err());
}
