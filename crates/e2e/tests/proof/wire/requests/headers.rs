//! Header lines: conditions, ranges, oddities, bodies.

use super::{Dice, Draft};

const TAGS: [(&str, &str); 14] = [
    ("{etag}", "own"),
    ("W/{etag}", "own-weak"),
    ("\"other\"", "other"),
    ("W/\"other\"", "other"),
    ("*", "any"),
    ("\"a\", {etag} , \"b\"", "list-own"),
    ("\"a\",W/{etag}", "list-own-weak"),
    ("\"a\",\"b\"", "other"),
    (",,{etag},", "list-own"),
    ("{bare}", "bare"),
    ("\"{bare}", "broken"),
    ("\"a,{bare},b\"", "other"),
    ("", "empty"),
    ("*, {etag}", "any-and-more"),
];

const DATES: [(&str, &str); 11] = [
    ("{date}", "own"),
    ("{before}", "before"),
    ("{after}", "after"),
    ("{rfc850}", "own-rfc850"),
    ("{asctime}", "own-asctime"),
    ("Fri, 01 Jan 2100 00:00:00 GMT", "future"),
    ("Thu, 01 Jan 1970 00:00:00 GMT", "epoch"),
    ("yesterday", "junk"),
    ("0", "junk"),
    ("", "empty"),
    ("{date}, {date}", "two"),
];

/// If-Match, If-None-Match and the two dates, in every combination.
pub(super) fn conditions(dice: &mut Dice, draft: &mut Draft) {
    for (name, mark, chance) in [("If-Match", "if-match", 25), ("If-None-Match", "if-none-match", 50)] {
        if dice.percent(chance) {
            let (value, kind) = *dice.pick(&TAGS);
            draft.mark(mark);
            draft.mark(&format!("{mark}:{kind}"));
            draft.line(format!("{name}: {value}"));
            if dice.percent(6) {
                let (value, kind) = *dice.pick(&TAGS);
                draft.mark("condition:twice");
                draft.mark(&format!("{mark}:{kind}"));
                draft.line(format!("{name}: {value}"));
            }
        }
    }
    for (name, mark, chance) in
        [("If-Modified-Since", "if-modified-since", 40), ("If-Unmodified-Since", "if-unmodified-since", 25)]
    {
        if dice.percent(chance) {
            let (value, kind) = *dice.pick(&DATES);
            draft.mark(mark);
            draft.mark(&format!("{mark}:{kind}"));
            draft.line(format!("{name}: {value}"));
            if dice.percent(4) {
                draft.mark("condition:twice");
                draft.line(format!("{name}: {value}"));
            }
        }
    }
}

const RANGES: [(&str, &str); 34] = [
    ("bytes=0-", "range:one"),
    ("bytes=0-0", "range:one"),
    ("bytes=10-19", "range:one"),
    ("bytes=5-999999999", "range:one"),
    ("bytes=-1", "range:one"),
    ("bytes=-10", "range:one"),
    ("bytes=-999999999", "range:one"),
    ("Bytes=1-2", "range:unit-case"),
    ("bytes=999999999-", "range:beyond"),
    ("bytes=999999999-9999999999", "range:beyond"),
    ("bytes=-0", "range:last-0"),
    ("bytes=18446744073709551616-", "range:overflow"),
    ("bytes=0-18446744073709551616", "range:overflow-end"),
    ("bytes=0-999999999999999999999999999999", "range:overflow-end"),
    ("bytes=5-2", "range:backwards"),
    ("bytes=", "range:malformed"),
    ("bytes=-", "range:malformed"),
    ("bytes=--1", "range:malformed"),
    ("bytes=a-b", "range:malformed"),
    ("bytes=1", "range:malformed"),
    ("bytes=1-2-3", "range:malformed"),
    ("bytes=0x1-2", "range:malformed"),
    ("bytes=+1-2", "range:malformed"),
    ("bytes", "range:malformed"),
    ("=0-1", "range:malformed"),
    ("", "range:empty"),
    ("items=0-1", "range:other-unit"),
    ("bytes= 1-2", "range:space"),
    ("bytes=1 - 2", "range:space-inside"),
    ("bytes =1-2", "range:space-before-equals"),
    ("bytes=,1-2,", "range:commas"),
    ("bytes=1-2,3-4", "range:several"),
    ("bytes=0-0,-1", "range:several"),
    ("bytes=0-,0-,0-,0-,0-,0-", "range:several"),
];

const IF_RANGES: [(&str, &str); 9] = [
    ("{etag}", "if-range:own"),
    ("W/{etag}", "if-range:own-weak"),
    ("\"other\"", "if-range:other"),
    ("{date}", "if-range:date"),
    ("{before}", "if-range:date-before"),
    ("{after}", "if-range:date-after"),
    ("{bare}", "if-range:bare"),
    ("*", "if-range:junk"),
    ("", "if-range:empty"),
];

/// A range, sometimes with If-Range, sometimes twice.
pub(super) fn range(dice: &mut Dice, draft: &mut Draft) {
    let (value, mark) = *dice.pick(&RANGES);
    draft.mark("range");
    draft.mark(mark);
    draft.line(format!("Range: {value}"));
    if dice.percent(5) {
        draft.mark("range:twice");
        draft.line("Range: bytes=3-4");
    }
    if dice.percent(45) {
        let (value, mark) = *dice.pick(&IF_RANGES);
        draft.mark(mark);
        draft.line(format!("If-Range: {value}"));
    }
}

/// What changes nothing here.
pub(super) fn harmless(dice: &mut Dice, draft: &mut Draft) {
    const LINES: [&str; 14] = [
        "Accept-Encoding: gzip, deflate, br",
        "Accept-Encoding: identity;q=0",
        "Accept-Encoding: *;q=0",
        "Accept: application/json",
        "Accept-Language: de",
        "User-Agent: x",
        "X-HTTP-Method-Override: DELETE",
        "X-Original-URL: /other",
        "X-Rewrite-URL: /other",
        "Forwarded: for=1.2.3.4;host=other",
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Host: other",
        "Cache-Control: no-cache",
        "Cookie: a=b",
    ];
    for _ in 0..=dice.below(3) {
        draft.line(dice.pick(&LINES));
    }
}

/// What the client wants to become of the connection.
pub(super) fn connection(dice: &mut Dice, draft: &mut Draft) {
    const LINES: [(&str, &str); 8] = [
        ("Connection: close", "connection:close"),
        ("Connection: CLOSE", "connection:close"),
        ("Connection: x, close", "connection:close-in-list"),
        ("Connection: keep-alive", "connection:keep-alive"),
        ("Connection: Keep-Alive, x", "connection:keep-alive-in-list"),
        ("Connection: keep-alive\r\nConnection: close", "connection:both"),
        ("Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", "connection:upgrade"),
        ("Connection: Upgrade\r\nUpgrade: websocket", "connection:upgrade"),
    ];
    let (line, mark) = *dice.pick(&LINES);
    draft.mark(mark);
    draft.line(line);
}

/// Lines that are odd, and some that are wrong.
pub(super) fn odd(dice: &mut Dice, draft: &mut Draft) {
    let lines: [(&'static str, Vec<u8>); 24] = [
        ("header:folded", "X-Long: one\r\n two".into()),
        ("header:folded-first", " X-First: folded".into()),
        ("header:no-colon", "Nonsense".into()),
        ("header:no-name", ": value".into()),
        ("header:space-before-colon", "X-A : b".into()),
        ("header:space-in-name", "X A: b".into()),
        ("header:name-no-token", "X(A): b".into()),
        ("header:no-space", "X-A:b".into()),
        ("header:tabs", "X-A:\tb\tc\t".into()),
        ("header:empty-value", "X-A:".into()),
        ("header:nul", b"X-A: \0".to_vec()),
        ("header:control", b"X-A: \x01\x7f".to_vec()),
        ("header:obs-text", b"X-A: \xe4\xff".to_vec()),
        ("header:utf8", "X-A: ä".into()),
        ("header:bare-cr", "X-A: b\rX-B: c".into()),
        ("header:bare-lf", "X-A: b\nX-B: c".into()),
        ("header:long", format!("X-A: {}", "a".repeat(6000)).into()),
        ("header:very-long", format!("X-A: {}", "a".repeat(40_000)).into()),
        ("header:sixty", vec!["X-A: b"; 60].join("\r\n").into()),
        ("header:two-hundred", vec!["X-A: b"; 200].join("\r\n").into()),
        ("header:underscore", "X_A: b".into()),
        ("expect:continue", "Expect: 100-continue".into()),
        ("expect:other", "Expect: something".into()),
        ("te", "TE: trailers, gzip\r\nConnection: TE".into()),
    ];
    match dice.below(lines.len() + 3) {
        which if which < lines.len() => {
            let (mark, line) = lines.into_iter().nth(which).unwrap();
            draft.mark(mark);
            draft.line(line);
        }
        which if which == lines.len() => {
            draft.before = b"\r\n";
            draft.mark("before:empty-line");
        }
        which if which == lines.len() + 1 => {
            draft.before = b"\r\n\r\n";
            draft.mark("before:empty-lines");
        }
        _ => draft.mark("line-ends:bare-lf"),
    }
}

/// Requests that say that a body follows, and what follows.
pub(super) fn framed(dice: &mut Dice, draft: &mut Draft) {
    const CASES: [(&str, &str, &str); 18] = [
        ("Content-Length: 0", "", "body:length-0"),
        ("Content-Length: 5", "hello", "body:length"),
        ("Content-Length: 5", "", "body:length-short"),
        ("Content-Length: 5\r\nContent-Length: 5", "hello", "body:length-twice"),
        ("Content-Length: 5, 5", "hello", "body:length-list"),
        ("Content-Length: 5\r\nContent-Length: 0", "hello", "body:lengths-differ"),
        ("Content-Length: +5", "hello", "body:length-malformed"),
        ("Content-Length: 0x5", "hello", "body:length-malformed"),
        ("Content-Length: -1", "", "body:length-malformed"),
        ("Content-Length: 005", "hello", "body:length-zeros"),
        ("Content-Length: 99999999999999999999", "", "body:length-overflow"),
        ("Content-Length:", "", "body:length-empty"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", "body:chunked"),
        ("Transfer-Encoding: chunked", "5;a=b\r\nhello\r\n0\r\n\r\n", "body:chunked"),
        ("Transfer-Encoding: chunked", "zz\r\n", "body:chunks-malformed"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n", "body:chunked-and-length"),
        ("Transfer-Encoding: identity", "", "body:other-coding"),
        ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n", "body:other-coding"),
    ];
    let (lines, body, mark) = *dice.pick(&CASES);
    draft.mark(mark);
    draft.line(lines);
    draft.body = body.into();
    if dice.percent(25) {
        draft.method = if dice.percent(50) { "POST" } else { "PUT" };
        draft.mark("method:other");
    }
}
