//! Rough handling: paths in thousands of spellings, ends in the middle, handshakes that are none.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use content_http::Trouble;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion};

use crate::harness::{Site, noise, parse_all, until};
use crate::tls::{Served, served};

/// Ways to write one step upwards, or a separator, that some server somewhere took for one.
const UP: [&str; 20] = [
    "..",
    "%2e%2e",
    "%2E%2e",
    ".%2e",
    "%2e.",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "....",
    "..;",
    "..%00",
    "..%0d",
    "..%20",
    ".%00.",
    "..%ff",
    "...",
    ".",
    "%2e",
    "~",
];
const SEPARATORS: [&str; 14] =
    ["/", "//", "%2f", "%2F", "\\", "%5c", "%5C", "%252f", "%255c", "%c0%af", "%e0%80%af", "/./", "%u2215", ";/"];
const TARGETS: [&str; 7] =
    ["etc/passwd", "a", "current", "catalog/catalog.sqlite3", "proc/self/environ", ".git/config", "waystation.toml"];
const PREFIXES: [&str; 8] =
    ["/", "/rings/", "/rings/broad/", "/blobs/", "/a/", "/linux/production/", "/waystation/", "//"];

#[test]
fn no_spelling_of_thousands_climbs_v01() {
    let site = Site::with(&[("/a", b"A")]);
    let mut paths = BTreeSet::new();
    for prefix in PREFIXES {
        for up in UP {
            for separator in SEPARATORS {
                for target in TARGETS {
                    for times in [1, 6] {
                        paths.insert(format!("{prefix}{}{target}", format!("{up}{separator}").repeat(times)));
                    }
                }
            }
        }
    }
    assert!(paths.len() >= 10_000, "{}", paths.len());
    let opened = site.source.opened();
    let paths: Vec<String> = paths.into_iter().collect();
    for some in paths.chunks(200) {
        let asked: String = some.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).collect();
        let answers = parse_all(&site.raw(asked.as_bytes()));
        assert_eq!(answers.len(), some.len());
        for (path, answer) in some.iter().zip(&answers) {
            assert_eq!((answer.status, answer.body.len()), (404, 0), "{path}");
        }
    }
    assert_eq!(site.source.opened(), opened, "a path that is not served opens nothing");
}

#[test]
fn whoever_leaves_in_the_middle_leaves_nothing_behind_v11() {
    let big = noise(1, 8 << 20);
    let site = Site::with(&[("/a", b"A"), ("/big", &big)]);
    // Who says that nothing follows still gets what was asked for.
    let answers = parse_all(&site.raw(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert!(answers.len() == 1 && answers[0].body == big);
    for cut in ["", "G", "GET /big HTT", "GET /big HTTP/1.1\r\nHost: h\r\n"] {
        assert_eq!(site.raw(cut.as_bytes()), b"", "{cut:?}");
    }
    for number in 0..60 {
        let mut client = site.connect();
        client.stream.write_all(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut some = vec![0; 1 + number * 1000];
        client.stream.read_exact(&mut some).unwrap();
        if number % 2 == 0 {
            // The rest that was not read makes this a reset; the other half ends in order first.
            let _ = client.stream.shutdown(Shutdown::Write);
        }
    }
    until(|| site.server.stats().connections_open == 0);
    assert_eq!(site.get("/a", "").body, b"A");
}

#[test]
fn no_coding_is_ever_made_up_v29() {
    let body = vec![b'a'; 20_000];
    let site = Site::with(&[("/a", &body)]);
    let plain = site.get("/a", "");
    for value in
        ["gzip", "gzip, deflate, br, zstd", "*", "identity", "identity;q=0", "*;q=0", "gzip;q=1.0, *;q=0", "", "x"]
    {
        let answer = site.get("/a", &format!("Accept-Encoding: {value}\r\n"));
        assert_eq!((answer.status, &answer.body), (200, &body), "{value}");
        assert_eq!(answer.header("etag"), plain.header("etag"), "{value}");
        assert!(answer.header("content-encoding").is_none() && answer.header("vary").is_none(), "{value}");
    }
}

/// The first bytes of an honest client.
fn hello(served: &Served, name: &str, version: &'static SupportedProtocolVersion) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(served.authority.roots())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// What a TLS listener says first; none when it says nothing.
fn said(served: &Served, pieces: &[&[u8]]) -> Option<u8> {
    let mut stream = TcpStream::connect(served.site.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    for piece in pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut first = [0];
    match stream.read(&mut first) {
        Ok(1) => Some(first[0]),
        Ok(_) => None,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
            None
        }
    }
}

/// A hello cut into records of so many bytes.
fn in_records(hello: &[u8], length: usize) -> Vec<u8> {
    let (head, body) = hello.split_at(5);
    let mut bytes = Vec::new();
    for part in body.chunks(length) {
        bytes.extend_from_slice(&head[..3]);
        bytes.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn replaced(hello: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    assert_eq!(what.len(), with.len());
    let at = hello.windows(what.len()).position(|window| window == what).expect("it stands in the hello");
    let mut bytes = hello.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

#[test]
fn handshakes_that_are_none_end_with_an_alert_v22() {
    let served = served(None);
    let modern = hello(&served, "mirror", &rustls::version::TLS13);
    let older = hello(&served, "mirror", &rustls::version::TLS12);
    let bytewise: Vec<&[u8]> = modern.chunks(1).collect();
    assert_eq!(said(&served, &bytewise), Some(HANDSHAKE), "a hello that trickles in is a hello");
    assert_eq!(said(&served, &[&in_records(&modern, 40)]), Some(HANDSHAKE), "in many records, too");
    assert_eq!(said(&served, &[&hello(&served, "192.0.2.1", &rustls::version::TLS13)]), Some(HANDSHAKE), "no name");
    assert_eq!(
        said(&served, &[&hello(&served, "elsewhere", &rustls::version::TLS13)]),
        Some(HANDSHAKE),
        "another name"
    );
    // A TLS 1.1 client: what it calls its version, and no list of others.
    let tls11 = replaced(&replaced(&older, &[0x2b, 0, 3, 2, 3, 3], &[0x2b, 0, 3, 2, 3, 2]), &[3, 3], &[3, 2]);
    let suites = {
        let session = 5 + 4 + 2 + 32;
        let at = session + 1 + usize::from(older[session]);
        let length = usize::from(u16::from_be_bytes([older[at], older[at + 1]]));
        let mut bytes = older.clone();
        bytes[at + 2..at + 2 + length].chunks_mut(2).for_each(|suite| suite.copy_from_slice(&[0, 5]));
        bytes
    };
    let mut endless = vec![HANDSHAKE, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    endless.extend(noise(3, 70_000));
    let wrong: [(&str, Vec<u8>); 9] = [
        ("a version before 1.2", tls11),
        ("suites that nobody should have", suites),
        ("a name with a NUL", replaced(&modern, b"mirror", b"mir\0or")),
        ("a hello of megabytes", endless),
        ("a record longer than any", [vec![HANDSHAKE, 3, 1, 0xff, 0xff], noise(4, 66_000)].concat()),
        ("no hello at all", noise(5, 400)),
        ("an answer of a server", [&modern[..5], &[2], &modern[6..]].concat()),
        ("application data first", [vec![23, 3, 3, 0, 20], noise(6, 20)].concat()),
        ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
    ];
    let before = served.site.server.stats().trouble(Trouble::Handshake);
    for (name, bytes) in &wrong {
        let first = said(&served, &[bytes]);
        assert!(matches!(first, None | Some(ALERT)), "{name}: {first:?}");
    }
    // Goodbyes without end, before any hello.
    assert_eq!(said(&served, &[&[ALERT, 3, 3, 0, 2, 1, 0].repeat(2000)]).unwrap_or(ALERT), ALERT);
    until(|| served.site.server.stats().trouble(Trouble::Handshake) >= before + wrong.len() as u64);
    assert_eq!(served.try_get("mirror", None).unwrap(), b"A", "and honest clients are served as before");
    until(|| served.site.server.stats().connections_open == 0);
}
