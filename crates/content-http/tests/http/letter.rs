//! HTTP to the letter: raw requests and what must come back.

use crate::harness::{Site, noise};

const ZIP: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";

fn site() -> Site {
    Site::with(&[
        (ZIP, b"0123456789"),
        ("/linux/production/arch_x86_64/updates.zip", &noise(1, 100_000)),
        ("/linux/production/arch_x86_64/manifest.json", b"{}"),
        ("/empty", b""),
    ])
}

const ETAG: &str = "\"84d89877f0d4041efb6bf91a16f0248f\"";
const LAST_MODIFIED: &str = "Sat, 05 Nov 1994 01:46:40 GMT";

#[test]
fn a_whole_file_has_all_its_headers_v27() {
    let site = site();
    let answer = site.get(ZIP, "");
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"0123456789".as_slice()));
    for (name, value) in [
        ("ETag", ETAG),
        ("Content-Length", "10"),
        ("Content-Type", "application/zip"),
        ("Last-Modified", LAST_MODIFIED),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "no-cache"),
        ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert_eq!(answer.headers.len(), 7);
    let json = site.get("/linux/production/arch_x86_64/manifest.json", "");
    assert_eq!(json.header("Content-Type"), Some("application/json"));
    let empty = site.get("/empty", "");
    assert_eq!((empty.status, empty.header("Content-Type")), (200, Some("application/octet-stream")));
}

#[test]
fn no_date_lies_after_the_answer_that_gives_it_v15_v27() {
    let site = site();
    let mut next = site.next("broad", &[(ZIP, b"later")]);
    // The clock was a day ahead when this was published.
    next.routes.values_mut().for_each(|route| route.since = route.since.after(std::time::Duration::from_secs(200_000)));
    next.number += 1;
    site.source.set(next);
    site.server.nudge();
    crate::harness::until(|| site.get(ZIP, "").body == b"later");
    for (headers, status) in [("", 200), ("Range: bytes=1-2\r\n", 206)] {
        let answer = site.get(ZIP, headers);
        assert_eq!((answer.status, answer.header("Last-Modified")), (status, answer.header("Date")));
        assert_eq!((answer.header("Accept-Ranges"), answer.headers.len()), (Some("bytes"), 7 + headers.len().min(1)));
    }
    // What was said for want of a better date says nothing of these bytes; the date of those before neither.
    for date in ["Sun, 06 Nov 1994 08:49:37 GMT", LAST_MODIFIED, "Mon, 07 Nov 1994 08:49:37 GMT"] {
        assert_eq!(site.get(ZIP, &format!("If-Modified-Since: {date}\r\n")).status, 200, "{date}");
    }
}

#[test]
fn an_issued_tag_comes_back_as_304_in_few_bytes_v27() {
    let site = site();
    let tag = site.get(ZIP, "").header("ETag").unwrap().to_owned();
    let poll = site.get(ZIP, &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((poll.status, poll.header("ETag"), poll.body.len()), (304, Some(ETAG), 0));
    assert!(poll.head <= 170, "{}", poll.head);
    assert_eq!(poll.header("Content-Length"), None);
}

#[test]
fn what_is_asked_for_and_served_is_counted_and_knocks_are_not() {
    let site = site();
    for path in [ZIP, "/empty", "/", "/nowhere", "/linux/production/"] {
        site.get(path, "");
    }
    site.get(ZIP, &format!("If-None-Match: {ETAG}\r\n"));
    assert_eq!(site.server.watched().asked, 3);
}

#[test]
fn head_is_get_without_a_body() {
    let site = site();
    let mut client = site.connect();
    for path in [ZIP, "/linux/production/arch_x86_64/updates.zip", "/", "/nowhere"] {
        let got = site.get(path, "");
        client.head(path);
        let head = client.answer().unwrap();
        assert_eq!((head.status, &head.headers), (got.status, &got.headers), "{path}");
    }
    assert_eq!(site.server.stats().answered(200), 6);
}

#[test]
fn conditions_and_ranges_v14_v15() {
    let site = site();
    let etag = |text: &str| text.replace("ETAG", ETAG).replace("LM", LAST_MODIFIED);
    for (headers, status, range, body) in [
        ("If-None-Match: W/ETAG", 304, None, ""),
        ("If-None-Match: \"x\", ETAG", 304, None, ""),
        ("If-None-Match: *", 304, None, ""),
        ("If-None-Match: 84d89877f0d4041efb6bf91a16f0248f", 304, None, ""),
        ("If-None-Match: \"x\"\r\nIf-Modified-Since: LM", 200, None, "0123456789"),
        ("If-Modified-Since: LM", 304, None, ""),
        ("If-Modified-Since: LM\r\nIf-Modified-Since: LM", 200, None, "0123456789"),
        ("If-Modified-Since: Sat, 05 Nov 1994 01:46:39 GMT", 200, None, "0123456789"),
        ("If-Unmodified-Since: Sat, 05 Nov 1994 01:46:39 GMT", 412, None, ""),
        ("If-Match: \"x\"", 412, None, ""),
        ("If-Match: ETAG", 200, None, "0123456789"),
        ("If-Match: ETAG\r\nIf-None-Match: ETAG", 304, None, ""),
        ("Range: bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("Range: bytes=-3", 206, Some("bytes 7-9/10"), "789"),
        ("Range: bytes=8-99", 206, Some("bytes 8-9/10"), "89"),
        ("Range: bytes=10-", 416, Some("bytes */10"), ""),
        ("Range: bytes=0-1,4-5", 200, None, "0123456789"),
        ("Range: bytes=5-2", 200, None, "0123456789"),
        ("Range: bytes=0-1\r\nRange: bytes=0-1", 200, None, "0123456789"),
        ("Range: bytes=2-4\r\nIf-Range: ETAG", 206, Some("bytes 2-4/10"), "234"),
        ("Range: bytes=2-4\r\nIf-Range: \"other\"", 200, None, "0123456789"),
        ("Range: bytes=2-4\r\nIf-Range: W/ETAG", 200, None, "0123456789"),
        ("Range: bytes=2-4\r\nIf-Range: LM", 200, None, "0123456789"),
        ("Range: bytes=2-4\r\nIf-None-Match: ETAG", 304, None, ""),
        ("Range: bytes=2-4\r\nIf-Match: \"x\"", 412, None, ""),
        ("Range: bytes=99-\r\nIf-Range: \"other\"", 200, None, "0123456789"),
        ("Accept-Encoding: gzip, br", 200, None, "0123456789"),
        ("Expect: 100-continue", 200, None, "0123456789"),
        ("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings", 200, None, "0123456789"),
        ("X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /empty", 200, None, "0123456789"),
    ] {
        let answer = site.get(ZIP, &format!("{}\r\n", etag(headers)));
        assert_eq!(answer.status, status, "{headers}");
        assert_eq!(answer.header("Content-Range"), range, "{headers}");
        assert_eq!(answer.body, body.as_bytes(), "{headers}");
        assert_eq!(answer.header("ETag"), Some(ETAG), "{headers}");
        assert_eq!(answer.header("Vary"), None);
        assert_eq!(answer.header("Content-Encoding"), None);
    }
}

#[test]
fn a_base_has_a_tag_and_honours_it_v15_v27() {
    let site = site();
    let tag = site.get("/", "").header("ETag").unwrap().to_owned();
    for path in ["/", "/linux/production", "/linux/production/", "/rings/broad/", "/linux/production/arch_x86_64/"] {
        let answer = site.get(path, "");
        assert_eq!((answer.status, answer.header("ETag")), (200, Some(tag.as_str())), "{path}");
        assert_eq!(tag, model::Digest::of(&answer.body).etag());
        for (headers, status) in [
            (format!("If-None-Match: {tag}"), 304),
            (format!("If-None-Match: \"x\", W/{tag}"), 304),
            ("If-None-Match: *".to_owned(), 304),
            ("If-None-Match: \"x\"".to_owned(), 200),
            (format!("If-Match: {tag}"), 200),
            ("If-Match: \"x\"".to_owned(), 412),
            (format!("If-Modified-Since: {LAST_MODIFIED}"), 200),
            (format!("If-Unmodified-Since: {LAST_MODIFIED}"), 200),
            ("Range: bytes=0-1".to_owned(), 200),
        ] {
            let answer = site.get(path, &format!("{headers}\r\n"));
            assert_eq!((answer.status, answer.header("ETag")), (status, Some(tag.as_str())), "{path} {headers}");
            assert_eq!(answer.body.is_empty(), status != 200, "{headers}");
        }
    }
}

#[test]
fn methods_v17() {
    let site = site();
    for (method, status) in [
        ("OPTIONS", 405),
        ("TRACE", 405),
        ("CONNECT", 405),
        ("PUT", 405),
        ("POST", 405),
        ("DELETE", 405),
        ("PATCH", 405),
        ("get", 501),
        ("PROPFIND", 501),
        (&"A".repeat(4096), 501),
    ] {
        let bytes = site.raw(format!("{method} {ZIP} HTTP/1.1\r\nHost: h\r\nX-Secret: s3cret\r\n\r\n").as_bytes());
        let answer = &crate::harness::parse_all(&bytes)[0];
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(answer.header("Allow"), (status == 405).then_some("GET, HEAD"));
        assert_eq!(answer.header("Connection"), Some("close"));
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cret"));
    }
    let second = format!("GET {ZIP} HTTP/1.1\r\nHost: h\r\n\r\n");
    for (method, status) in [("POST", 405), ("PUT", 405), ("DELETE", 405), ("PROPFIND", 501)] {
        for length in [second.len(), 5, 1 << 30] {
            let head = format!("{method} {ZIP} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
            let answers = crate::harness::parse_all(&site.raw(format!("{head}{second}").as_bytes()));
            let found: Vec<_> = answers.iter().map(|answer| (answer.status, answer.header("Connection"))).collect();
            assert_eq!(found, [(status, Some("close"))], "{method} {length}");
            assert_eq!(answers[0].header("Allow"), (status == 405).then_some("GET, HEAD"));
        }
    }
    let options = site.raw(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(crate::harness::parse_all(&options)[0].status, 405);
}

#[test]
fn targets_and_prefixes() {
    let site = Site::empty(|settings| settings.listeners[0].policy.path_prefix = "/mirror/".to_owned());
    site.publish("broad", &[(ZIP, b"x")]);
    for (target, status) in [
        (format!("/mirror{ZIP}"), 200),
        (format!("/mirror/{ZIP}"), 200),
        (format!("/mirror//{ZIP}"), 404),
        (format!("/mirror{ZIP}?token=1"), 200),
        (format!("http://elsewhere/mirror{ZIP}"), 200),
        (format!("/mirror/rings/broad{ZIP}"), 200),
        (format!("/mirror/rings/broad/{ZIP}"), 200),
        (format!("/mirror/rings/other{ZIP}"), 404),
        (ZIP.to_owned(), 404),
        (format!("/mirrors{ZIP}"), 404),
        (format!("/mirror{}", ZIP.replace("/manifest", "/manifest/../manifest")), 404),
        (format!("/mirror{}", ZIP.replace('m', "%6d")), 404),
        (format!("/mirror{ZIP}/"), 404),
        ("/mirror".to_owned(), 200),
        ("/mirror/".to_owned(), 200),
        ("/mirror/rings/broad".to_owned(), 200),
        ("/mirror/rings/broad/".to_owned(), 200),
        ("/mirror/rings/".to_owned(), 404),
        ("/mirror/rings".to_owned(), 404),
        ("/mirror/waystation/x".to_owned(), 404),
        ("/mirror/linux/production".to_owned(), 200),
        ("/mirror/linux/production/".to_owned(), 200),
        ("/mirror/linux/production/arch_x86_64/".to_owned(), 200),
        ("/mirror/linux".to_owned(), 404),
        ("/mirror/linux/production//".to_owned(), 404),
    ] {
        let answer = site.get(&target, "");
        assert_eq!(answer.status, status, "{target}");
        if status == 404 {
            assert!(answer.body.is_empty() && answer.headers.len() == 2, "{answer:?}");
        }
    }
    let base = site.get("/mirror/", "");
    assert_eq!(base.header("Content-Type"), Some("text/plain"));
    assert_eq!(base.body.iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[test]
fn persistence_and_pipelining_in_order() {
    let big = noise(7, 300_000);
    let site = Site::with(&[("/a", b"A"), ("/b", b"B"), ("/big", &big)]);
    let mut client = site.connect();
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    client.send(&format!("{}{}{}\r\n{}{}", one("/a"), one("/big"), one("/b"), one("/nowhere"), one("/a")));
    let bodies: Vec<Vec<u8>> = (0..5).map(|_| client.answer().unwrap().body).collect();
    assert_eq!(bodies, [b"A".to_vec(), big, b"B".to_vec(), Vec::new(), b"A".to_vec()]);

    client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.answer().unwrap().header("Connection"), Some("keep-alive"));
    client.send(&format!("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n{}", one("/b")));
    let last = client.answer().unwrap();
    assert_eq!((last.body.as_slice(), last.header("Connection")), (b"A".as_slice(), Some("close")));
    assert!(client.is_closed());

    let mut client = site.connect();
    client.send("GET /a HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().unwrap().header("Connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let site = site();
    let mut client = site.connect();
    for byte in format!("GET {ZIP} HTTP/1.1\r\nHost: h\r\n\r\nGET /").bytes() {
        client.send(std::str::from_utf8(&[byte]).unwrap());
    }
    assert_eq!(client.answer().unwrap().body, b"0123456789");
    client.send("empty HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 200);
}

#[test]
fn many_pipelined_requests_are_all_answered() {
    let site = site();
    let mut client = site.connect();
    let one = format!("GET {ZIP} HTTP/1.1\r\nHost: h\r\n\r\n");
    client.send(&one.repeat(2000));
    for _ in 0..2000 {
        assert_eq!(client.answer().unwrap().body, b"0123456789");
    }
}
