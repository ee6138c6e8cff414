//! What goes over HTTP: requests, answers, redirects; and templates of addresses.

use super::Book;

pub(super) fn write(book: &mut Book) {
    requests(book);
    answers(book);
    redirects(book);
    forwarded(book);
    book.family(
        &["url_template"],
        "templates",
        [
            "/downloads/endpoint/manifest/artifacts-{version}.zip",
            "/m/{version}.zip\n/m/{version}-{date}.zip\n/m/{track}/{version}.zip\n/m/{track}/{version}-{date}.zip",
            "{version}",
            "/{version}/../x",
            "//evil.test/{version}",
            "/{version}?x={date}",
            "/a/{version}/{version}{track}{date}",
            "/{{version}}",
            "/\u{1b}[2J{version}",
            "",
        ],
    );
}

fn requests(book: &mut Book) {
    let to = &["request_head"];
    let get = |fields: &str| format!("GET /downloads/a.zip HTTP/1.1\r\nHost: mirror:8080\r\n{fields}\r\n");
    book.honest(to, "poll", get("If-None-Match: \"0123456789abcdef0123456789abcdef\"\r\nUser-Agent: x\r\n"));
    book.honest(to, "resumed", get("Range: bytes=100-\r\nIf-Range: \"a\"\r\nConnection: keep-alive\r\n"));
    let fields = [
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: a\r\n b\r\n",
        "Range: bytes=0-1\r\nRange: bytes=2-3\r\n",
        "Connection: x, close\r\n",
        "Expect: 100-continue\r\n",
        "Host: b\r\n",
        ": a\r\n",
    ];
    book.family(to, "v06-framing", fields.map(get));
    book.family(
        to,
        "v19-versions",
        [
            "GET /a\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET http://other/a?b HTTP/1.0\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "HEAD / HTTP/1.1\nHost: h\n\n",
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        ],
    );
    let sized = |text: &str| [&[100, 0], text.as_bytes()].concat();
    let ranges = [
        "bytes=0-",
        "bytes=-1",
        "bytes=-0",
        "bytes=10-19",
        "bytes=5-2",
        "bytes=99-99999999999999999999999",
        "bytes=18446744073709551616-",
        "bytes= 1-2 ,",
        "bytes=1-2,3-4",
        "items=0-1",
        "bytes=--1",
        "BYTES=1-",
    ];
    book.family(&["range_header"], "v14-ranges", ranges.map(sized));
    book.family(&["range_header"], "v14-empty-file", ["bytes=0-", "bytes=-5"].map(|text| format!("\0\0{text}")));
    proxies(book);
    let tag = "\"0123456789abcdef0123456789abcdef\"";
    let lists = [
        tag.to_owned(),
        format!("W/{tag}"),
        format!("\"a,b\", {tag} ,"),
        tag.trim_matches('"').to_owned(),
        "*".to_owned(),
        " * ".to_owned(),
        format!("\"a, {tag}, b\""),
        format!("w/{tag}"),
        String::new(),
    ];
    book.family(&["etag_list"], "v15-lists", lists);
}

fn answers(book: &mut Book) {
    let to = &["answer_head"];
    book.honest(to, "whole", "200\nContent-Length: 5\nETag: \"a\"\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\n");
    book.honest(to, "part", "206 from=10\nContent-Range: bytes 10-19/20\nContent-Length: 10\n");
    book.family(to, "u42-not-modified", ["304 if\nETag: \"a\"\nContent-Length: 7", "304\n", "304 from=1\n"]);
    let lengths = ["+5", "5,5", "0x5", "-1", "", "9223372036854775808", "18446744073709551616", "5\nContent-Length: 5"];
    book.family(to, "u29-lengths", lengths.map(|text| format!("200\nContent-Length: {text}")));
    book.family(
        to,
        "u36-parts",
        [
            "206 from=10\nContent-Range: bytes 9-19/20",
            "206 from=10\nContent-Range: bytes 10-20/20",
            "206 from=10\nContent-Type: multipart/byteranges; boundary=x",
            "206 from=0\nContent-Range: bytes 0-18446744073709551615/*",
            "206\nContent-Range: bytes 0-1/2",
        ],
    );
    book.family(
        to,
        "u31-codings",
        [
            "200\nContent-Encoding: gzip",
            "200\nTransfer-Encoding: gzip, chunked",
            "200\nTransfer-Encoding: chunked\nContent-Length: 1",
        ],
    );
    book.family(
        to,
        "u17-redirects",
        ["302\nLocation: /x", "301\n", "307\nLocation: /a\nLocation: /b", "308\nLocation: //cdn.test/x"],
    );
    let waits = [
        "120",
        "0",
        "-5",
        "1e18",
        "99999999999999999999",
        "soon",
        "Sun, 06 Nov 1994 08:59:37 GMT",
        "Mon, 06 Nov 2034 08:49:37 GMT",
        " 7 ",
    ];
    book.family(&["retry_after"], "u16-waits", waits);
    book.family(to, "u15-waits", waits.map(|text| format!("429\nRetry-After: {text}")));
}

fn redirects(book: &mut Book) {
    book.family(
        &["redirect_location"],
        "u19-u23-places",
        [
            "/c?x=1#part",
            "//cdn.test/x",
            "https://a.b.wide.test/x",
            "http://first.test/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://evilwide.test/",
            "https://user:secret@cdn.test/",
            "/\\evil.test/x",
            "https://[::1/",
            "https://first.test.:443/",
            "\u{1b}[2J",
            "https://cdn.test%2eevil.test/",
            "https://cdn\u{3002}test/",
        ],
    );
}

/// What clients and proxies say of whom a request is for, and what they must not get by it.
fn forwarded(book: &mut Book) {
    let to = &["forwarded"];
    book.honest(to, "list", "x10.9.9.9, 203.0.113.5:80\nx[2001:db8::1]:443");
    book.honest(to, "elements", "ffor=\"[2001:db8::1]:_p\";proto=https;by=10.0.0.1, for=192.0.2.1\nffor=unknown");
    let told = [
        "x10.9.9.9\nffor=10.9.9.9",
        "x,",
        "x unknown",
        "x203.0.113.9\nffor=10.9.9.9;x=\"",
        "ffor=192.0.2.7;x=\"",
        "ffor=192.0.2.7;x=\"\\",
        "ffor=192.0.2.7;x=\"\\\"",
        "ffor=192.0.2.7;\"=\"",
        "ffor=192.0.2.7;for=",
        "ffor=192.0.2.7;",
        "f=;=,=",
        "ffor=\"192.0.2.7",
        "f,\nf;\nf\"",
        "x::ffff:192.0.2.7, fe80::1%eth0",
    ];
    book.family(to, "v33-told", told);
}

/// What proxies put before a connection, and what they must not.
fn proxies(book: &mut Book) {
    let version_2 = |rest: &[u8]| [b"\r\n\r\n\0\r\nQUIT\n", rest].concat();
    let four = b"\x21\x11\x00\x0c\x0a\x00\x00\x07\xc0\x00\x02\x01\x30\x39\x01\xbb";
    let target = &["proxy_header"];
    book.honest(target, "line", b"PROXY TCP4 10.0.0.7 192.0.2.1 12345 443\r\nGET / HTTP/1.1\r\n");
    book.honest(target, "binary", version_2(four));
    let lines = [
        "PROXY UNKNOWN\r\n",
        "PROXY TCP6 2001:db8::7 ::1 0 65535\r\n",
        "PROXY TCP6 ::ffff:10.0.0.7 ::1 1 2\r\n",
        "PROXY TCP4 10.0.0.07 192.0.2.1 1 2\r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 01 2\r\n",
        "PROXY TCP4  10.0.0.7 192.0.2.1 1 2\r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 1 2\n",
        "PROXY UNKNOWNER\r\n",
        "GET / HTTP/1.1\r\n",
    ];
    book.family(target, "v33-lines", lines);
    let binaries: [&[u8]; 5] = [
        b"\x20\x00\x00\x00",
        b"\x21\x00\x00\x00",
        b"\x21\x12\x00\x00",
        b"\x21\x11\xff\xff",
        b"\x21\x11\x00\x10\x0a\x00\x00\x07\xc0\x00\x02\x01\x30\x39\x01\xbb\x04\x00\x02a",
    ];
    book.family(target, "v33-binaries", binaries.map(version_2));
}
