//! What endpoints send: a request's head, its range, its conditions.

use std::net::{IpAddr, Ipv4Addr};

use content_http::fuzzing::{self, Arrived, Header, Wanted};

/// A head as another reader takes it, line by line.
struct Naive<'b> {
    words: Vec<&'b [u8]>,
    fields: Vec<(Vec<u8>, &'b [u8])>,
}

impl<'b> Naive<'b> {
    fn read(head: &'b [u8]) -> Option<Self> {
        // One empty line before a request is nobody's fault.
        let head = head.strip_prefix(b"\r\n").unwrap_or(head).strip_suffix(b"\r\n\r\n")?;
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.split("\r\n").map(str::as_bytes);
        let words: Vec<&[u8]> = lines.next()?.split(|byte| *byte == b' ').collect();
        let fields = lines.map(field).collect::<Option<_>>()?;
        (words.len() == 3 && words.iter().all(|word| !word.is_empty())).then_some(Self { words, fields })
    }

    fn all(&self, name: &str) -> Vec<&'b [u8]> {
        self.fields.iter().filter(|(one, _)| one == name.as_bytes()).map(|(_, value)| *value).collect()
    }

    /// The value of a field that counts when it stands once.
    fn once(&self, name: &str) -> Option<&'b [u8]> {
        let all = self.all(name);
        all.first().map(|value| if all.len() == 1 { *value } else { b"" })
    }
}

fn field(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    (!name.is_empty() && name.iter().all(token)).then(|| (name.to_ascii_lowercase(), value.trim_ascii()))
}

/// Any bytes as what comes in on a connection: the end of a head is found wherever reading stops on the way, and a
/// head that is taken is what a plain reader of lines takes it for, framed in one way.
pub fn request_head(bytes: &[u8]) {
    let whole = fuzzing::arrived(bytes, 0);
    for cut in (0..bytes.len()).step_by(bytes.len() / 8 + 1) {
        let before = bytes.get(..cut).unwrap_or_default();
        match fuzzing::arrived(before, 0) {
            Arrived::Partly(from) => assert_eq!(fuzzing::arrived(bytes, from), whole, "read up to {cut}"),
            early => assert_eq!(early, whole, "read up to {cut}"),
        }
    }
    let Arrived::Whole(length) = whole else { return };
    let (head, rest) = bytes.split_at(length);
    assert!(head.ends_with(b"\r\n\r\n") && head.iter().all(|byte| matches!(byte, 0x20..=0x7e | b'\t' | b'\r' | b'\n')));
    let ends = head.windows(4).filter(|four| four == b"\r\n\r\n").count();
    assert_eq!(ends, 1, "a head with {ends} ends, {} bytes before the rest", rest.len());
    match fuzzing::head(head) {
        Ok(taken) => agreed(head, &taken),
        Err(status) => assert!(matches!(status, 400 | 417 | 431 | 505), "{status}"),
    }
}

fn agreed(head: &[u8], taken: &fuzzing::Head<'_>) {
    let naive = Naive::read(head).expect("taken, and no head to a reader of lines");
    let [method, target, version] = naive.words[..] else { panic!("three words") };
    assert!(matches!(version, b"HTTP/1.1" | b"HTTP/1.0"));
    assert_eq!(taken.is_read, matches!(method, b"GET" | b"HEAD"));
    let hosts = naive.all("host").len();
    assert!(hosts == 1 || (hosts == 0 && version == b"HTTP/1.0"), "{hosts} hosts");
    assert!(naive.all("transfer-encoding").is_empty(), "framed in two ways");
    match naive.all("content-length")[..] {
        [] => {}
        [length] if !taken.is_read => assert!(length.iter().all(u8::is_ascii_digit)),
        ref lengths => assert_eq!(lengths, [b"0"], "a body that is not read"),
    }
    let closes =
        |value: &&[u8]| value.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(b"close"));
    assert!(!(taken.stays && naive.all("connection").iter().any(closes)), "stays, though it was to close");
    assert_eq!((taken.range, taken.if_range), (naive.once("range"), naive.once("if-range")));
    if taken.is_read {
        assert!(taken.path.starts_with(b"/") && !taken.path.contains(&b'?'));
        let inside = target.windows(taken.path.len()).any(|part| part == taken.path);
        assert!(inside || taken.path == b"/", "a path that was not asked for");
    }
}

/// Any bytes as what a trusted proxy begins a connection with: the same is read wherever reading stops on the way, no
/// byte behind the header is looked at, and a line of version 1 is what a plain reader of words takes it for.
pub fn proxy_header(bytes: &[u8]) {
    let whole = fuzzing::proxy_header(bytes);
    for cut in (0..bytes.len()).step_by(bytes.len() / 8 + 1) {
        let early = fuzzing::proxy_header(bytes.get(..cut).unwrap_or_default());
        assert!(early == Header::Partly || early == whole, "read up to {cut}: {early:?}, later {whole:?}");
    }
    let Header::Whole { length, client } = whole else { return };
    let header = bytes.get(..length).expect("no longer than what there is");
    assert_eq!(fuzzing::proxy_header(header), whole, "what follows changes it");
    if let Some(line) = header.strip_prefix(b"PROXY ") {
        assert!(length <= 107 && header.ends_with(b"\r\n"));
        let words: Vec<&str> = std::str::from_utf8(line).unwrap_or("UNKNOWN").trim_end().split(' ').collect();
        let named = words.get(1).and_then(|word| word.parse::<std::net::IpAddr>().ok());
        match words.first() {
            Some(&"UNKNOWN") => assert_eq!(client, None),
            _ => assert_eq!(client, named.map(|named| named.to_canonical())),
        }
    } else {
        let [kind, _, high, low] = header.get(12..16).and_then(|fixed| fixed.try_into().ok()).expect("the fixed part");
        assert_eq!(length, 16 + usize::from(u16::from_be_bytes([high, low])));
        assert!(client.is_none() || kind == 0x21);
    }
}

/// Lines, those that begin with `f` as values of `Forwarded`, others as values of `X-Forwarded-For`, without their first
/// byte, as a client sends them: whoever is no trusted proxy is itself, whatever it says; and where a trusted proxy puts
/// the client's address behind what it said, nobody but that client is named.
pub fn forwarded(bytes: &[u8]) {
    let (mut list, mut elements): (Vec<&[u8]>, Vec<&[u8]>) = Default::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        match line.split_first() {
            Some((b'f', value)) => elements.push(value),
            Some((_, value)) => list.push(value),
            None => {}
        }
    }
    list.truncate(3);
    elements.truncate(3);
    let trusted = ["10.0.0.0/8", "fd00::/8"].map(|range| range.parse().expect("a range"));
    let (proxy, client): (IpAddr, IpAddr) = (Ipv4Addr::new(10, 1, 2, 3).into(), Ipv4Addr::new(203, 0, 113, 9).into());
    assert_eq!(fuzzing::client(client, [&list, &elements], &trusted), Some(client), "chose its address");
    assert_eq!(fuzzing::client(proxy, [&list, &elements], &[]), Some(proxy), "nobody is trusted");
    for said in ["203.0.113.9", "203.0.113.9:4711", "203.0.113.9, 10.4.5.6"] {
        for list in handed_on(&list, said) {
            let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
            let named = fuzzing::client(proxy, [&list, &elements], &trusted);
            let silent = elements.is_empty();
            assert!(named == Some(client) || (named.is_none() && !silent), "{named:?} behind {said}");
        }
    }
    for said in ["for=203.0.113.9", "For=\"203.0.113.9:_x\";proto=https", "proto=http;for=203.0.113.9, for=10.4.5.6"] {
        for elements in handed_on(&elements, said) {
            let elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
            // A quote that the client left open makes what follows unreadable: then nobody is named.
            let named = fuzzing::client(proxy, [&list, &elements], &trusted);
            assert!(named.is_none_or(|named| named == client), "{named:?} behind {said}");
        }
    }
}

/// What a proxy makes of the values that came, where it says this of its client: behind the last of them, or by itself.
fn handed_on(came: &[&[u8]], said: &str) -> [Vec<Vec<u8>>; 2] {
    let mut behind: Vec<Vec<u8>> = came.iter().map(|value| value.to_vec()).collect();
    let mut apart = behind.clone();
    apart.push(said.as_bytes().to_vec());
    match behind.last_mut() {
        Some(last) => last.extend_from_slice(format!(", {said}").as_bytes()),
        None => behind.push(said.as_bytes().to_vec()),
    }
    [behind, apart]
}

/// Two bytes of a size and a `Range` header: the part is the one that counting byte by byte gives, and inside the
/// file however large it is.
pub fn range_header(bytes: &[u8]) {
    let Some(([low, high], header)) = bytes.split_first_chunk() else { return };
    let size = u64::from(u16::from_le_bytes([*low, *high]) % 300);
    let taken = fuzzing::wanted(header, size);
    match spec(header) {
        None => assert_eq!(taken, Wanted::Whole),
        Some(_) if size == 0 => assert_ne!(taken, Wanted::Part { first: 0, length: 0 }),
        Some(spec) => {
            let chosen: Vec<u64> = (0..size).filter(|at| spec.holds(*at, size)).collect();
            let expected = match chosen.first() {
                Some(first) => Wanted::Part { first: *first, length: chosen.len() as u64 },
                None => Wanted::Unsatisfiable,
            };
            assert_eq!(taken, expected, "{size}");
        }
    }
    for size in [u64::MAX, 1 << 40, size] {
        if let Wanted::Part { first, length } = fuzzing::wanted(header, size) {
            assert!(
                length > 0 && first.checked_add(length).is_some_and(|end| end <= size),
                "{first} + {length} of {size}"
            );
        }
    }
}

/// One range as it is written.
enum Spec {
    From(u128, Option<u128>),
    Last(u128),
}

impl Spec {
    fn holds(&self, at: u64, size: u64) -> bool {
        let (at, size) = (u128::from(at), u128::from(size));
        match self {
            Self::From(first, last) => at >= *first && last.is_none_or(|last| at <= last),
            Self::Last(count) => at + count >= size,
        }
    }
}

/// The one range of a header that is well-formed and has one alone.
fn spec(header: &[u8]) -> Option<Spec> {
    let text = std::str::from_utf8(header).ok()?;
    let (unit, set) = text.split_once('=')?;
    let blank = |c: char| c.is_ascii_whitespace();
    let all: Vec<&str> = set.split(',').map(|one| one.trim_matches(blank)).filter(|one| !one.is_empty()).collect();
    let [one] = all[..] else { return None };
    let (first, last) = one.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Longer numbers than these are beyond every file.
    let number = |text: &str| digits(text).then(|| text.parse::<u128>().unwrap_or(u128::MAX));
    let spec = match (first, last) {
        ("", last) => Spec::Last(number(last)?.min(1 << 64)),
        (first, "") => Spec::From(number(first)?, None),
        (first, last) => Spec::From(number(first)?, Some(number(last)?)),
    };
    let ordered = match spec {
        Spec::From(first, Some(last)) => first.min(u128::from(u64::MAX)) <= last.min(u128::from(u64::MAX)),
        _ => true,
    };
    (unit.trim_matches(blank).eq_ignore_ascii_case("bytes") && ordered).then_some(spec)
}

const TAG: &str = "\"0123456789abcdef0123456789abcdef\"";

/// Any bytes as a list of tags: If-None-Match finds ours where a reader of characters finds it, If-Match takes it
/// strong alone, and If-Range takes nothing but it.
pub fn etag_list(bytes: &[u8]) {
    let ours = fuzzing::if_range(bytes, TAG.as_bytes());
    assert_eq!(ours, bytes.trim_ascii() == TAG.as_bytes());
    let printable = |byte: &u8| matches!(byte, 0x20..=0x7e | b'\t');
    let Some(list) = std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|byte| printable(&byte))) else {
        return;
    };
    let head = |name: &str| format!("GET / HTTP/1.1\r\nHost: h\r\n{name}: {list}\r\n\r\n");
    let status = |name: &str| fuzzing::conditions(head(name).as_bytes(), TAG.as_bytes());
    let members = members(list);
    let any = list.trim() == "*";
    let bare = TAG.trim_matches('"');
    let weakly = |member: &String| {
        let opaque = member.strip_prefix("W/").unwrap_or(member);
        opaque == TAG || opaque == bare
    };
    let unmodified = any || members.iter().any(weakly);
    assert_eq!(status("If-None-Match"), Some(if unmodified { 304 } else { 200 }), "{list:?}");
    let matched = any || members.iter().any(|member| member == TAG);
    assert_eq!(status("If-Match"), Some(if matched { 200 } else { 412 }), "{list:?}");
}

/// The members of a list, character by character: commas in quotes are part of a member.
fn members(list: &str) -> Vec<String> {
    let (mut members, mut quoted) = (vec![String::new()], false);
    for c in list.chars() {
        quoted ^= c == '"';
        match members.last_mut() {
            Some(member) if c != ',' || quoted => member.push(c),
            _ => members.push(String::new()),
        }
    }
    members.into_iter().map(|member| member.trim().to_owned()).filter(|member| !member.is_empty()).collect()
}
