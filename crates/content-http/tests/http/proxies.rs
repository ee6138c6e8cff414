//! Proxies in front: the PROXY header that a connection begins with.

use std::io::Write;
use std::path::Path;

use content_http::{AccessLog, LogForm, LogTarget, Trouble};

use crate::harness::{Site, until};

fn site(allow: &[&str], trusted: &[&str]) -> Site {
    let site = Site::empty(|settings| {
        let policy = &mut settings.listeners[0].policy;
        policy.allow = allow.iter().map(|text| text.parse().unwrap()).collect();
        policy.trusted_proxies = trusted.iter().map(|text| text.parse().unwrap()).collect();
        policy.proxy_protocol = true;
        settings.limits.connections_per_client = 2;
    });
    site.publish("broad", &[("/a", b"A")]);
    site
}

fn version_2(source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend_from_slice(&source);
    header.extend_from_slice(&[192, 0, 2, 1, 0x30, 0x39, 0x01, 0xbb]);
    header
}

/// The status of a request behind these bytes; none when the connection ends without an answer.
fn status(site: &Site, header: &[u8]) -> Option<u16> {
    let mut client = site.connect();
    let request = [header, b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"].concat();
    let _ = client.stream.write_all(&request);
    client.answer().ok().map(|answer| answer.status)
}

#[test]
fn a_header_names_the_client_v33() {
    let site = site(&["10.0.0.0/8"], &["127.0.0.1"]);
    assert_eq!(status(&site, b"PROXY TCP4 10.0.0.1 192.0.2.1 1 80\r\n"), Some(200));
    assert_eq!(status(&site, &version_2([10, 0, 0, 1])), Some(200));
    // Whom the header names is let in by the list like anyone else.
    assert_eq!(status(&site, b"PROXY TCP4 192.0.2.9 192.0.2.1 1 80\r\n"), None);
    assert_eq!(status(&site, &version_2([192, 0, 2, 9])), None);
    // The proxy's own word: it speaks for itself, and is no client that the list names.
    assert_eq!(status(&site, b"PROXY UNKNOWN\r\n"), Some(403));
    until(|| site.server.stats().trouble(Trouble::Denied) == 3);
}

/// Behind a proxy of this machine, with its log at the path.
fn logging(log: &Path) -> Site {
    Site::empty(|settings| {
        let policy = &mut settings.listeners[0].policy;
        policy.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        policy.proxy_protocol = true;
        let target = LogTarget::File { path: log.to_owned(), rotate_bytes: 0, keep: 0 };
        settings.access_log = Some(AccessLog { target, form: LogForm::Common });
    })
}

#[test]
fn a_head_that_cannot_be_read_is_logged_with_the_client_that_the_header_named_v33() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let site = logging(&log);
    for head in ["GET /a", "GET /a HTTP/1.0\r\nb : c"] {
        site.raw(format!("PROXY TCP4 10.0.0.1 192.0.2.1 1 80\r\n{head}\r\n\r\n").as_bytes());
    }
    until(|| std::fs::read_to_string(&log).is_ok_and(|text| text.lines().count() == 2));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.lines().all(|line| line.starts_with("10.0.0.1 - - [")), "{text}");
    assert!(text.contains("\"GET /a\" 400 -") && text.contains("\"GET /a HTTP/1.0\" 400 -"), "{text}");
}

#[test]
fn without_a_header_a_proxy_s_connection_ends_v33() {
    let site = site(&[], &["127.0.0.1"]);
    for (count, header) in [
        &b""[..],
        b"PROXY TCP4 10.0.0.1\r\n",
        b"PROXY TCP4 10.0.0.1 192.0.2.1 1 80\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c",
        b"\x16\x03\x01\x02\x00",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(status(&site, header), None, "{header:?}");
        until(|| site.server.stats().trouble(Trouble::ProxyHeader) == count as u64 + 1);
    }
    assert_eq!(site.raw(b"PROXY TCP4 10.0"), b"", "a proxy that leaves early is no trouble");
}

#[test]
fn from_anyone_else_the_same_bytes_are_no_request_v33() {
    let site = site(&[], &["192.0.2.77"]);
    assert_eq!(status(&site, b""), Some(200));
    assert_eq!(status(&site, b"PROXY TCP4 10.0.0.1 192.0.2.1 1 80\r\n"), Some(400));
    assert_eq!(status(&site, &version_2([10, 0, 0, 1])), Some(400));
}

#[test]
fn a_header_may_come_in_pieces_and_is_waited_for_no_longer_than_a_head_v08() {
    let site = site(&[], &["127.0.0.1"]);
    let mut client = site.connect();
    for byte in version_2([10, 0, 0, 1]) {
        client.stream.write_all(&[byte]).unwrap();
    }
    client.get("/a", "");
    assert_eq!(client.answer().unwrap().status, 200);
    let mut slow = site.connect();
    slow.send("PROXY TCP4");
    until(|| site.server.stats().connections_open == 2);
    site.clock.advance(std::time::Duration::from_secs(16));
    until(|| slow.is_closed());
    until(|| site.server.stats().trouble(Trouble::HeadTimeout) == 1);
}

#[test]
fn each_client_behind_a_proxy_has_a_cap_of_its_own_v35() {
    let site = site(&[], &["127.0.0.1"]);
    let open = |source: [u8; 4]| {
        let mut client = site.connect();
        client.stream.write_all(&version_2(source)).unwrap();
        client.get("/a", "");
        client.answer().map(|_| client)
    };
    let mut first: Vec<_> = (0..2).map(|_| open([10, 0, 0, 1]).unwrap()).collect();
    let _other = open([10, 0, 0, 2]).unwrap();
    assert_eq!(site.server.stats().trouble(Trouble::Evicted), 0);
    // One more of the first client's: one of its own, which is idle, makes room.
    let _third = open([10, 0, 0, 1]).unwrap();
    assert_eq!(site.server.stats().trouble(Trouble::Evicted), 1);
    first.iter().for_each(|client| client.stream.set_nonblocking(true).unwrap());
    until(|| first.iter_mut().any(|client| client.is_closed()));
}

#[test]
fn the_log_shows_the_client_that_the_header_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let site = logging(&path);
    site.publish("broad", &[("/a", b"A")]);
    assert_eq!(status(&site, b"PROXY TCP6 2001:db8::7 ::1 1 80\r\n"), Some(200));
    until(|| std::fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n')));
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "2001:db8::7 - - [06/Nov/1994:08:49:37 +0000] \"GET /a HTTP/1.1\" 200 1\n"
    );
}
