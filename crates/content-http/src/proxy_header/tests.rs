use super::*;
use proptest::prelude::*;

const TCP4: &[u8] = b"\x0a\x00\x00\x07\xc0\x00\x02\x01\x30\x39\x01\xbb";

fn made(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE.as_slice(), &[command, family], &length, body].concat()
}

/// A header with a checksum option; `flip` is added to the right sum.
fn summed(flip: u32) -> Vec<u8> {
    let mut header = made(0x21, 0x11, &[TCP4, b"\x03\x00\x04\0\0\0\0"].concat());
    let at = header.len() - 4;
    let sum = crc32c(&header, at).wrapping_add(flip);
    header.splice(at.., sum.to_be_bytes());
    header
}

fn client(bytes: &[u8]) -> Option<Option<String>> {
    match read(bytes) {
        Header::Whole { length, client } => {
            assert!(length <= bytes.len());
            Some(client.map(|client| client.to_string()))
        }
        Header::Malformed => None,
        Header::Partly => panic!("{bytes:?} is whole"),
    }
}

#[test]
fn lines_of_version_1_v33() {
    for (line, expected) in [
        ("PROXY TCP4 10.0.0.7 192.0.2.1 12345 443\r\n", Some("10.0.0.7")),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Some("255.255.255.255")),
        ("PROXY TCP6 2001:db8::7 2001:db8::1 0 443\r\n", Some("2001:db8::7")),
        ("PROXY TCP6 ::ffff:10.0.0.7 ::1 1 2\r\n", Some("10.0.0.7")),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
        ("PROXY TCP4 10.0.0.7 192.0.2.1 12345 443\r\nGET / HTTP/1.1\r\n", Some("10.0.0.7")),
    ] {
        assert_eq!(client(line.as_bytes()), Some(expected.map(str::to_owned)), "{line}");
    }
}

#[test]
fn lines_that_are_none_v33() {
    for line in [
        "GET / HTTP/1.1\r\n",
        "proxy TCP4 10.0.0.7 192.0.2.1 1 2\r\n",
        "PROXY  TCP4 10.0.0.7 192.0.2.1 1 2\r\n",
        "PROXY TCP4  10.0.0.7 192.0.2.1 1 2\r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 1 2 \r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 1 2 3\r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 1\r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1\r\n",
        "PROXY TCP4 10.0.0.07 192.0.2.1 1 2\r\n",
        "PROXY TCP4 10.0.0.256 192.0.2.1 1 2\r\n",
        "PROXY TCP4 10.0.0 192.0.2.1 1 2\r\n",
        "PROXY TCP4 10.0.0.7 nonsense 1 2\r\n",
        "PROXY TCP4 2001:db8::7 192.0.2.1 1 2\r\n",
        "PROXY TCP6 10.0.0.7 ::1 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 65536 2\r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 01 2\r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 +1 2\r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 -1 2\r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1  2\r\n",
        "PROXY UDP4 10.0.0.7 192.0.2.1 1 2\r\n",
        "PROXY UNKNOWNER\r\n",
        "PROXY \r\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 1 2\n",
        "PROXY TCP4 10.0.0.7 192.0.2.1 1 2\r\r\n",
        "PROXY TCP4 10.0.0.7\t192.0.2.1 1 2\r\n",
    ] {
        assert_eq!(client(line.as_bytes()), None, "{line}");
    }
    let unended = format!("PROXY UNKNOWN {}", "x".repeat(MOST_LINE));
    assert_eq!(client(unended.as_bytes()), None);
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MOST_LINE - 16));
    assert_eq!(client(longest.as_bytes()), Some(None));
    let longer = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MOST_LINE - 15));
    assert_eq!(client(longer.as_bytes()), None);
}

#[test]
fn headers_of_version_2_v33() {
    let six: Vec<u8> = ["2001:db8::7", "2001:db8::1"]
        .iter()
        .flat_map(|text| text.parse::<Ipv6Addr>().unwrap().octets())
        .chain([0, 1, 0, 2])
        .collect();
    let mapped: Vec<u8> = ["::ffff:10.0.0.7", "::1"]
        .iter()
        .flat_map(|text| text.parse::<Ipv6Addr>().unwrap().octets())
        .chain([0, 1, 0, 2])
        .collect();
    for (header, expected) in [
        (made(0x21, 0x11, TCP4), Some("10.0.0.7")),
        (made(0x21, 0x21, &six), Some("2001:db8::7")),
        (made(0x21, 0x21, &mapped), Some("10.0.0.7")),
        (made(0x21, 0x11, &[TCP4, b"\x04\x00\x02ab\x01\x00\x00"].concat()), Some("10.0.0.7")),
        (summed(0), Some("10.0.0.7")),
        (made(0x20, 0x00, b""), None),
        (made(0x20, 0x11, b"whatever"), None),
        (made(0x21, 0x00, b""), None),
    ] {
        assert_eq!(client(&header), Some(expected.map(str::to_owned)), "{header:?}");
    }
}

#[test]
fn headers_that_are_none_v33() {
    for header in [
        made(0x21, 0x11, &TCP4[..11]),
        made(0x21, 0x21, TCP4),
        made(0x21, 0x12, TCP4),
        made(0x21, 0x31, &[0; 216]),
        made(0x21, 0x13, TCP4),
        made(0x22, 0x11, TCP4),
        made(0x11, 0x11, TCP4),
        made(0x31, 0x11, TCP4),
        made(0x21, 0x11, &[TCP4, b"\x04"].concat()),
        made(0x21, 0x11, &[TCP4, b"\x04\x00\x03ab"].concat()),
        made(0x21, 0x11, &[TCP4, b"\x03\x00\x03abc"].concat()),
        made(0x21, 0x00, b"\x04\x00\x03ab"),
        made(0x20, 0x00, &vec![0; MOST_BINARY + 1]),
        summed(1),
    ] {
        assert_eq!(client(&header), None, "{header:?}");
    }
    assert_eq!(read(b"\r\n\r\n\0\r\nQUIX\n"), Header::Malformed);
}

#[test]
fn a_checksum_as_published() {
    // RFC 3720, B.4: 32 bytes of zeroes, and a text that is quoted everywhere.
    assert_eq!(crc32c(&[0; 32], 100), 0x8a91_36aa);
    assert_eq!(crc32c(b"123456789", 100), 0xe306_9283);
}

proptest! {
    /// However the bytes are cut, the same is read, and never more than the header itself.
    #[test]
    fn where_reading_stops_does_not_matter_v44(
        body in prop::collection::vec(any::<u8>(), 0..60),
        command in prop::sample::select(vec![0x20_u8, 0x21, 0x22]),
        family in prop::sample::select(vec![0x00_u8, 0x11, 0x21, 0x12]),
        tail in prop::collection::vec(any::<u8>(), 0..20),
        port in any::<u16>(),
        binary in any::<bool>(),
    ) {
        let header = if binary {
            made(command, family, &body)
        } else {
            format!("PROXY TCP4 10.0.0.7 192.0.2.1 {port} 1\r\n").into_bytes()
        };
        let whole = read(&[header.as_slice(), &tail].concat());
        prop_assert!(whole != Header::Partly);
        for cut in 0..header.len() {
            let early = read(&header[..cut]);
            prop_assert!(early == Header::Partly || early == whole, "{} of {:?}: {:?}", cut, header, early);
        }
        if let Header::Whole { length, .. } = whole {
            prop_assert_eq!(length, header.len());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_v44(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Header::Whole { length, .. } = read(&bytes) {
            prop_assert!(length <= bytes.len());
        }
    }
}
