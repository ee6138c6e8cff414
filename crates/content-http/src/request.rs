//! Reads one request's head, strictly: what two parsers could read differently is refused.

mod fields;

use std::mem::MaybeUninit;

use crate::conditional::{Conditions, Values};
use crate::log::NO_VERSION;
use fields::{Fields, is_host};

/// The most headers a request may have.
const MAX_HEADERS: usize = 64;

/// How far a request's head has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// Whole: this many bytes.
    Whole(usize),
    /// Not yet; bytes before this one need not be looked at again.
    Partly(usize),
    /// It cannot become well-formed.
    Malformed,
}

/// Looks for the empty line that ends a head, starting at `from`. Only printable ASCII, tabs and CRLF may stand
/// in it: a bare CR or LF, a NUL, another control or a byte above ASCII ends the matter.
pub(crate) fn arrived(input: &[u8], from: usize) -> Arrived {
    let mut at = from;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let skip = printable(rest);
        at += skip;
        if at >= input.len() {
            return Arrived::Partly(input.len());
        }
        match rest.get(skip..) {
            Some([b'\t', ..]) => at += 1,
            Some([b'\r', b'\n', ..]) => {
                if input.get(..at).is_some_and(|before| before.ends_with(b"\r\n")) {
                    return Arrived::Whole(at + 2);
                }
                at += 2;
            }
            Some([b'\r']) => return Arrived::Partly(at),
            _ => return Arrived::Malformed,
        }
    }
}

/// How many printable bytes of ASCII a text begins with. Looks at many at once.
fn printable(text: &[u8]) -> usize {
    const STEP: usize = 32;
    let is_printable = |byte: &u8| matches!(byte, 0x20..=0x7e);
    let steps = text.chunks_exact(STEP).take_while(|step| step.iter().fold(true, |all, byte| all & is_printable(byte)));
    let sure = steps.count() * STEP;
    let rest = text.get(sure..).unwrap_or_default();
    sure + rest.iter().position(|byte| !is_printable(byte)).unwrap_or(rest.len())
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    /// A method of HTTP that is never allowed here: its name.
    NotAllowed(&'static str),
    /// Anything else.
    Unknown,
}

/// Methods that HTTP has and that change something, or tell of more than is served.
const NOT_ALLOWED: [&str; 7] = ["OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"];

impl Method {
    fn of(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            _ => {
                NOT_ALLOWED.iter().find(|known| **known == name).map_or(Self::Unknown, |known| Self::NotAllowed(known))
            }
        }
    }

    /// The name as the access log shows it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::NotAllowed(name) => name,
            Self::Unknown => "-",
        }
    }
}

/// What follows on the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// The connection ends.
    Close,
    /// HTTP/1.1's default: it stays, and nothing is said.
    Stay,
    /// HTTP/1.0: it stays because the client asked, and is told.
    StaySaid,
}

/// A well-formed request. Whatever body it has is never read: its method is refused, and the connection ends.
#[derive(Debug)]
pub(crate) struct Request<'b> {
    pub(crate) method: Method,
    /// The path, query and authority taken off. Empty when the target is no path.
    pub(crate) path: &'b [u8],
    pub(crate) persistence: Persistence,
    pub(crate) conditions: Conditions<'b>,
    pub(crate) range: Option<&'b [u8]>,
    pub(crate) if_range: Option<&'b [u8]>,
    pub(crate) forwarded_for: Values<'b>,
    pub(crate) forwarded: Values<'b>,
    /// Empty when it stood twice.
    pub(crate) authorization: Option<&'b [u8]>,
    /// The minor version of HTTP/1.
    pub(crate) minor: u8,
    pub(crate) user_agent: &'b [u8],
}

/// Why a head is refused: the status to answer with before the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) u16);

const BAD: Refused = Refused(400);

impl<'b> Request<'b> {
    /// Parses a whole head.
    pub(crate) fn parse(head: &'b [u8]) -> Result<Self, Refused> {
        let mut headers = [const { MaybeUninit::<httparse::Header<'b>>::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(head, &mut headers) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(BAD),
            Err(httparse::Error::TooManyHeaders) => return Err(Refused(431)),
            Err(httparse::Error::Version) => return Err(version_refused(head)),
            Err(_) => return Err(BAD),
        }
        let mut fields = Fields::default();
        for header in parsed.headers.iter() {
            fields.take(header.name.as_bytes(), header.value)?;
        }
        let modern = parsed.version == Some(1);
        if fields.hosts > 1 || (modern && fields.hosts == 0) {
            return Err(BAD);
        }
        let persistence = match (fields.close, fields.keep_alive, modern) {
            (true, _, _) | (false, false, false) => Persistence::Close,
            (false, true, false) => Persistence::StaySaid,
            (false, _, true) => Persistence::Stay,
        };
        let method = Method::of(parsed.method.unwrap_or_default());
        if fields.body && matches!(method, Method::Get | Method::Head) {
            return Err(BAD);
        }
        let target = parsed.path.unwrap_or_default().as_bytes();
        let path = match method {
            Method::Get | Method::Head => path_of(target)?,
            // Refused for its method, whatever it is for; the log shows what that was.
            Method::NotAllowed(_) | Method::Unknown => path_of(target).unwrap_or_default(),
        };
        Ok(Self {
            method,
            path,
            persistence,
            conditions: fields.conditions,
            range: fields.range,
            if_range: fields.if_range,
            forwarded_for: fields.forwarded_for,
            forwarded: fields.forwarded,
            authorization: fields.authorization,
            minor: u8::from(modern),
            user_agent: fields.user_agent,
        })
    }
}

/// What the first line of a refused head asked for, as far as it can be told: for the log alone.
pub(crate) fn glimpse(head: &[u8]) -> (&'static str, &[u8]) {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().and_then(|word| std::str::from_utf8(word).ok()).map_or(Method::Unknown, Method::of);
    let path = words.next().filter(|word| word.starts_with(b"/")).unwrap_or_default();
    (method.as_str(), path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default())
}

/// The minor version of HTTP/1 in a head that may be none, as far as it can be told.
pub(crate) fn minor_of(head: &[u8]) -> u8 {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    match line.rsplit(|byte| *byte == b' ').next() {
        Some(b"HTTP/1.0") => 0,
        Some(b"HTTP/1.1") => 1,
        _ => NO_VERSION,
    }
}

/// The same head as HTTP/1.1 has it, where it is one of a later HTTP/1: who speaks more than we do is answered as far
/// as we do (RFC 9110, 6.2).
pub(crate) fn as_we_speak(head: &[u8]) -> Option<Vec<u8>> {
    const VERSION: &[u8] = b" HTTP/1.";
    let end = head.iter().position(|byte| *byte == b'\r')?;
    let (line, rest) = head.split_at_checked(end)?;
    let (minor, before) = line.split_last()?;
    (before.ends_with(VERSION) && matches!(minor, b'2'..=b'9')).then(|| [before, b"1", rest].concat())
}

/// A first line of three words whose last is another version of HTTP gets 505, anything else 400.
fn version_refused(head: &[u8]) -> Refused {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    match (words.nth(2), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refused(505)
        }
        _ => BAD,
    }
}

/// The path of an origin-form or absolute-form target; its authority is ignored.
fn path_of(target: &[u8]) -> Result<&[u8], Refused> {
    let path = if target.starts_with(b"/") {
        target
    } else {
        let after = strip_scheme(target).ok_or(BAD)?;
        let end = after.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        if authority.is_empty() || !is_host(authority) || path.contains(&b'#') {
            return Err(BAD);
        }
        if path.starts_with(b"/") { path } else { b"/" }
    };
    // Hardly ever is there one, and a look without an early end takes many bytes at once.
    if !path.iter().fold(false, |found, byte| found | matches!(byte, b'?' | b'#')) {
        return Ok(path);
    }
    if path.contains(&b'#') {
        // A fragment stays with the client: no target has one.
        return Err(BAD);
    }
    Ok(path.split(|byte| *byte == b'?').next().unwrap_or_default())
}

fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    [b"http://".as_slice(), b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(head: &str) -> Option<u16> {
        assert_eq!(arrived(head.as_bytes(), 0), Arrived::Whole(head.len()), "{head:?}");
        Request::parse(head.as_bytes()).err().map(|refused| refused.0)
    }

    fn get(lines: &str) -> Option<u16> {
        refused(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n"))
    }

    #[test]
    fn ambiguous_framing_is_refused_v06() {
        for lines in [
            "Content-Length: 5\r\n",
            "Content-Length: 00\r\n",
            "Content-Length: +0\r\n",
            "Content-Length: 0, 0\r\n",
            "Content-Length: 0\r\nContent-Length: 0\r\n",
            "Content-Length:\r\n",
            "Transfer-Encoding: chunked\r\n",
            "transfer-encoding: identity\r\n",
            "Transfer-Encoding:\tchunked\r\n",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "X: a\r\n b\r\n",
            " X: a\r\n",
            ": a\r\n",
            "X\r\n",
            "Host: h\r\n",
            "Content Length: 0\r\n",
        ] {
            assert_eq!(get(lines), Some(400), "{lines:?}");
        }
        for lines in ["Content-Length: 0\r\n", "Content-Length: 5\r\n", "Content-Length: 18446744073709551615\r\n"] {
            let head = format!("POST /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
            let request = Request::parse(head.as_bytes()).unwrap();
            assert_eq!((request.method, request.path), (Method::NotAllowed("POST"), &b"/a"[..]), "{lines:?}");
        }
        for lines in
            ["Content-Length: 05\r\n", "Content-Length: 5, 5\r\n", "Content-Length: 5\r\nContent-Length: 5\r\n"]
        {
            assert_eq!(refused(&format!("PUT /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n")), Some(400), "{lines:?}");
        }
        assert_eq!(get("Content-Length: 0\r\n"), None);
        assert_eq!(get("Expect: 100-continue\r\n"), None);
        for more in ["more", "100-continue, more", "100-continue;q=1", "100-continued"] {
            assert_eq!(get(&format!("Expect: {more}\r\n")), Some(417), "{more}");
        }
        for nothing in ["", "100-continue, 100-continue", ", 100-Continue ,", "100-continue\r\nExpect: 100-continue"] {
            assert_eq!(get(&format!("Expect: {nothing}\r\n")), None, "{nothing}");
        }
    }

    #[test]
    fn heads_that_cannot_become_well_formed_v02_v19() {
        for bytes in ["GET / HTTP/1.1\n", "GET /\0", "GET /\r\r", "GET /\u{1}", "GET /ä", "\u{16}\u{3}\u{1}", "a\x7f"]
        {
            assert_eq!(arrived(bytes.as_bytes(), 0), Arrived::Malformed, "{bytes:?}");
        }
        assert_eq!(arrived(b"GET / HTTP/1.1\r", 0), Arrived::Partly(14));
        assert_eq!(arrived(b"GET / HTTP/1.1\r\n", 0), Arrived::Partly(16));
    }

    #[test]
    fn host_rules_v04() {
        assert_eq!(refused("GET /a HTTP/1.1\r\n\r\n"), Some(400));
        assert_eq!(refused("GET /a HTTP/1.0\r\n\r\n"), None);
        assert_eq!(refused("GET /a HTTP/1.1\r\nHost:\r\n\r\n"), None);
        for host in
            ["h", "h:80", "h:", "h:65535", "[::1]", "[::1]:80", "[v1.a:b]", "192.0.2.1:80", "a_b.c-d~%41", "a,b"]
        {
            assert_eq!(refused(&format!("GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n")), None, "{host}");
            assert_eq!(refused(&format!("GET http://{host}/a HTTP/1.1\r\nHost: h\r\n\r\n")), None, "{host}");
        }
        for host in [
            "a@b",
            "a/b",
            "a b",
            "a\"b",
            ":80",
            "::::",
            "[",
            "[]",
            "[/",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "::1",
            "h:x",
            "h:80:80",
            "h:65536",
            "h:99999999",
            "[v.x]",
            "[g::1]",
            "%zz",
        ] {
            assert_eq!(refused(&format!("GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n")), Some(400), "{host}");
        }
    }

    #[test]
    fn versions_v19() {
        assert_eq!(refused("GET /a HTTP/1.2\r\n\r\n"), Some(505));
        let later = as_we_speak(b"GET /a HTTP/1.7\r\nHost: h\r\n\r\n").unwrap();
        assert_eq!(later, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        for none in ["GET /a HTTP/1.1", "GET /a HTTP/1.0", "GET /a HTTP/2.0", "GET /a HTTP/1.12", "GET /a", ""] {
            assert_eq!(as_we_speak(format!("{none}\r\n\r\n").as_bytes()), None, "{none}");
        }
        assert_eq!(refused("PRI * HTTP/2.0\r\n\r\n"), Some(505));
        assert_eq!(refused("GET /a\r\n\r\n"), Some(400));
        assert_eq!(refused("GET /a http/1.1\r\n\r\n"), Some(400));
        assert_eq!(refused("GET  /a HTTP/1.1\r\n\r\n"), Some(400));
    }

    #[test]
    fn targets() {
        for (target, path) in [
            ("/a/b?q=1", "/a/b"),
            ("/", "/"),
            ("/?q", "/"),
            ("http://other/a", "/a"),
            ("HTTP://other:81/a?x", "/a"),
            ("https://other", "/"),
            ("http://other?x=/b", "/"),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(Request::parse(head.as_bytes()).unwrap().path, path.as_bytes(), "{target}");
        }
        for target in [
            "a",
            "*",
            "ftp://x/a",
            "http:///a",
            "http://u@h/a",
            "host:80",
            "http://:80/",
            "http://[/",
            "http://h:99999999/",
            "http://h#x",
            "http://h/a#x",
            "/a#x",
            "/#",
            "/a?b#c",
        ] {
            assert_eq!(refused(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")), Some(400), "{target}");
        }
    }

    #[test]
    fn persistence() {
        for (version, connection, expected) in [
            ("1.1", "", Persistence::Stay),
            ("1.1", "Connection: close\r\n", Persistence::Close),
            ("1.1", "Connection: x, CLOSE\r\n", Persistence::Close),
            ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", Persistence::Close),
            ("1.0", "", Persistence::Close),
            ("1.0", "Connection: Keep-Alive\r\n", Persistence::StaySaid),
        ] {
            let head = format!("GET /a HTTP/{version}\r\nHost: h\r\n{connection}\r\n");
            assert_eq!(Request::parse(head.as_bytes()).unwrap().persistence, expected, "{head:?}");
        }
    }

    #[test]
    fn the_log_of_a_refused_head_shows_what_can_be_told() {
        for (head, method, path) in [
            ("GET /a?secret HTTP/1.1\r\nX: \u{e4}\r\n\r\n", "GET", "/a"),
            ("POST /a#b HTTP/1.1\r\n\r\n", "POST", "/a"),
            ("BREW /pot HTTP/1.1\r\n\r\n", "-", "/pot"),
            ("GET http://u:p@h/a HTTP/1.1\r\n\r\n", "GET", ""),
            ("\u{16}\u{3}\u{1}", "-", ""),
            ("", "-", ""),
        ] {
            assert_eq!(glimpse(head.as_bytes()), (method, path.as_bytes()), "{head:?}");
        }
    }

    #[test]
    fn header_flood_v07() {
        assert_eq!(get(&"X: a\r\n".repeat(63)), None);
        assert_eq!(get(&"X: a\r\n".repeat(64)), Some(431));
    }

    proptest! {
        #[test]
        fn where_reading_stops_does_not_matter_v44(head in "[ -~\r\n\t]{0,80}", cut in 0usize..80) {
            let bytes = head.as_bytes();
            let cut = cut.min(bytes.len());
            let whole = arrived(bytes, 0);
            match arrived(&bytes[..cut], 0) {
                Arrived::Partly(from) => prop_assert_eq!(arrived(bytes, from), whole),
                early => prop_assert_eq!(early, whole),
            }
        }

        #[test]
        fn any_bytes_parse_or_are_refused_v44(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = arrived(&bytes, 0);
            let _ = Request::parse(&bytes);
        }
    }
}
