//! Heads, good and hostile.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use reqwest::header::HeaderValue;
use url::Url;

use super::*;
use crate::RangeAsk;

const NOW: Timestamp = Timestamp::from_micros(784_111_777_000_000);

fn plain() -> Request {
    Request::get(Url::parse("https://a.test/x").unwrap())
}

fn conditional() -> Request {
    Request { if_none_match: Some("\"a\"".into()), ..plain() }
}

fn ranged() -> Request {
    Request { range: Some(RangeAsk { from: 10, if_range: None }), ..plain() }
}

fn run(request: &Request, status: u16, headers: &[(&str, &str)]) -> Result<Meaning, Failure> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    judge(request, status, &map, NOW)
}

fn refused(request: &Request, status: u16, headers: &[(&str, &str)]) -> Reason {
    run(request, status, headers).unwrap_err().reason
}

fn answer(request: &Request, status: u16, headers: &[(&str, &str)]) -> Answer {
    match run(request, status, headers).unwrap() {
        Meaning::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn statuses_u09_u10_u12_u14() {
    for (status, reason) in [
        (201, Reason::UnexpectedStatus),
        (202, Reason::UnexpectedStatus),
        (203, Reason::UnexpectedStatus),
        (204, Reason::UnexpectedStatus),
        (205, Reason::UnexpectedStatus),
        (226, Reason::UnexpectedStatus),
        (300, Reason::UnexpectedStatus),
        (305, Reason::UnexpectedStatus),
        (400, Reason::UnexpectedStatus),
        (401, Reason::Refused),
        (403, Reason::Refused),
        (404, Reason::NotFound),
        (407, Reason::ProxyFailed),
        (410, Reason::NotFound),
        (416, Reason::UnexpectedStatus),
        (429, Reason::RateLimited),
        (451, Reason::Refused),
        (500, Reason::ServerError),
        (503, Reason::ServerError),
        (599, Reason::ServerError),
        (304, Reason::UnexpectedNotModified),
        (206, Reason::BadRange),
    ] {
        assert_eq!(refused(&plain(), status, &[]), reason, "{status}");
    }
    assert_eq!(refused(&ranged(), 416, &[]), Reason::BadRange);
    assert_eq!(refused(&ranged(), 304, &[]), Reason::UnexpectedNotModified, "u42");
}

#[test]
fn not_modified_has_no_length_u42() {
    let got = answer(&conditional(), 304, &[("etag", "\"a\""), ("content-length", "77"), ("content-encoding", "gzip")]);
    assert_eq!((got.length, got.etag.as_deref()), (None, Some("\"a\"")));
    let since = Request { if_modified_since: Some("x".into()), ..plain() };
    assert!(run(&since, 304, &[]).is_ok());
}

#[test]
fn retry_after_u15_u16() {
    let day = Some(RetryAfter::In(MAX_RETRY_AFTER));
    let cases: [(&str, Option<RetryAfter>); 9] = [
        ("120", Some(RetryAfter::In(Duration::from_secs(120)))),
        ("0", Some(RetryAfter::In(Duration::ZERO))),
        ("1000000000000000000", day),
        ("99999999999999999999999999", day),
        ("-5", None),
        ("1e18", None),
        ("soon", None),
        ("Sun, 06 Nov 1994 08:59:37 GMT", Some(RetryAfter::At(NOW.after(Duration::from_secs(600))))),
        ("Mon, 06 Nov 2034 08:49:37 GMT", Some(RetryAfter::At(NOW.after(MAX_RETRY_AFTER)))),
    ];
    for (text, expected) in cases {
        let limited = run(&plain(), 429, &[("retry-after", text)]).unwrap_err();
        assert_eq!((limited.reason, limited.retry_after), (Reason::RateLimited, expected), "{text}");
        let busy = run(&plain(), 503, &[("retry-after", text)]).unwrap_err();
        let reason = if expected.is_some() { Reason::RateLimited } else { Reason::ServerError };
        assert_eq!((busy.reason, busy.retry_after), (reason, expected), "{text}");
    }
}

#[test]
fn lengths_u29_u30() {
    assert_eq!(answer(&plain(), 200, &[("content-length", "5")]).length, Some(5));
    assert_eq!(answer(&plain(), 200, &[("content-length", "18446744073709551615")]).length, Some(u64::MAX));
    assert_eq!(answer(&plain(), 200, &[("transfer-encoding", "Chunked")]).length, None);
    for bad in ["+5", "5,5", " 5x", "0x5", "-1", "", "18446744073709551616", "5 5"] {
        assert_eq!(refused(&plain(), 200, &[("content-length", bad)]), Reason::BadResponse, "{bad:?}");
    }
    assert_eq!(refused(&plain(), 200, &[("content-length", "5"), ("content-length", "5")]), Reason::BadResponse);
    assert_eq!(
        refused(&plain(), 200, &[("content-length", "5"), ("transfer-encoding", "chunked")]),
        Reason::BadResponse
    );
    assert_eq!(refused(&plain(), 302, &[("content-length", "x"), ("location", "/")]), Reason::BadResponse);
}

#[test]
fn codings_u31_u32() {
    for coding in
        ["gzip", "br", "zstd", "deflate", "gzip, gzip", "x-unknown", "identity, gzip", "identity, identity", ""]
    {
        assert_eq!(refused(&plain(), 200, &[("content-encoding", coding)]), Reason::EncodedBody, "{coding}");
    }
    assert_eq!(
        refused(&plain(), 200, &[("content-encoding", "identity"), ("content-encoding", "gzip")]),
        Reason::EncodedBody
    );
    assert_eq!(refused(&plain(), 200, &[("transfer-encoding", "gzip, chunked")]), Reason::EncodedBody);
    assert!(run(&plain(), 200, &[("content-encoding", "Identity")]).is_ok());
    assert_eq!(
        refused(&ranged(), 206, &[("content-encoding", "gzip"), ("content-range", "bytes 10-19/20")]),
        Reason::EncodedBody
    );
}

#[test]
fn parts_u36() {
    let got = answer(&ranged(), 206, &[("content-range", "bytes 10-19/20"), ("content-length", "10")]);
    assert_eq!(got.content_range, Some(ContentRange { first: 10, last: 19, total: Some(20) }));
    assert_eq!(answer(&ranged(), 206, &[("content-range", "bytes 10-19/*")]).content_range.unwrap().total, None);
    for bad in [
        "bytes 9-19/20",
        "bytes 11-19/20",
        "bytes 10-9/20",
        "bytes 10-20/20",
        "bytes 10-19",
        "items 10-19/20",
        "bytes */20",
        "bytes 10-/20",
        "bytes +10-19/20",
        "bytes 10-99999999999999999999/*",
        "10-19/20",
        "",
    ] {
        assert_eq!(refused(&ranged(), 206, &[("content-range", bad)]), Reason::BadRange, "{bad:?}");
    }
    assert_eq!(refused(&ranged(), 206, &[("content-type", "multipart/byteranges; boundary=x")]), Reason::BadRange);
    assert_eq!(
        refused(&ranged(), 206, &[("content-range", "bytes 10-19/20"), ("content-length", "9")]),
        Reason::BadRange
    );
    assert_eq!(
        refused(&ranged(), 206, &[("content-range", "bytes 10-19/20"), ("content-range", "bytes 10-19/20")]),
        Reason::BadRange
    );
}

#[test]
fn a_whole_answers_a_range_u37() {
    assert_eq!(answer(&ranged(), 200, &[("content-length", "20")]).content_range, None);
}

#[test]
fn validators_u45() {
    for tag in ["\"a\"", "W/\"a\"", "unquoted"] {
        assert_eq!(answer(&plain(), 200, &[("etag", tag)]).etag.as_deref(), Some(tag));
    }
    let long = "x".repeat(64 * 1024);
    assert_eq!(answer(&plain(), 200, &[("etag", &long), ("last-modified", &long)]), Answer::default());
    assert_eq!(answer(&plain(), 200, &[("etag", ""), ("last-modified", "ü")]), Answer::default());
    assert_eq!(answer(&plain(), 200, &[("etag", "\"a\""), ("etag", "\"b\"")]).etag, None);
}

#[test]
fn redirects_name_one_place_u17() {
    for status in [301, 302, 303, 307, 308] {
        assert_eq!(run(&plain(), status, &[("location", "/x")]), Ok(Meaning::Redirect("/x".into())), "{status}");
    }
    for headers in [&[][..], &[("location", "/a"), ("location", "/b")], &[("location", "")], &[("location", "/ü")]] {
        assert_eq!(refused(&plain(), 302, headers), Reason::BadResponse);
    }
}

#[test]
fn hostile_headers_change_nothing_u33() {
    let quiet = answer(&plain(), 200, &[]);
    let noisy = [
        ("content-disposition", "attachment; filename=../../x"),
        ("link", "<https://evil.test>; rel=canonical"),
        ("refresh", "0; url=https://evil.test"),
        ("set-cookie", "a=b"),
        ("x-content-digest", "sha-256=00"),
        ("location", "https://evil.test/"),
        ("date", "Sun, 06 Nov 1950 08:49:37 GMT"),
    ];
    assert_eq!(answer(&plain(), 200, &noisy), quiet);
}

proptest! {
    #[test]
    fn no_head_panics(status in 100u16..1000, name in prop::sample::select(vec!["content-length", "content-range",
        "retry-after", "location", "transfer-encoding", "content-encoding", "etag"]), value in proptest::collection::vec(32u8..=255, 0..40)) {
        let mut map = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        for request in [plain(), conditional(), ranged()] {
            let _ = judge(&request, status, &map, NOW);
        }
    }

    #[test]
    fn content_ranges_round_trip(first in 0u64..u64::MAX / 2, more in 0u64..1000, beyond in 1u64..1000) {
        let (last, total) = (first + more, first + more + beyond);
        prop_assert_eq!(content_range(&format!("bytes {first}-{last}/{total}")), Some(ContentRange { first, last, total: Some(total) }));
    }
}
