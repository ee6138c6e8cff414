//! The header that a proxy puts before a connection's first byte, so that the client's address is not lost: PROXY
//! protocol, versions 1 and 2 (haproxy's proxy-protocol.txt, clauses 2.1 and 2.2). Pure, and strict: what is not
//! exactly as specified ends the connection, for it comes from a proxy that is trusted or from nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest line of version 1, its end included (2.1).
const MOST_LINE: usize = 107;
/// The longest addresses and options of version 2 that are taken: real ones stay below 300 bytes.
const MOST_BINARY: usize = 2048;
/// What version 2 begins with (2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, family and length.
const FIXED: usize = 16;
/// An option that holds a CRC-32c of the header (2.2.3).
const CRC32C: u8 = 0x03;
const CRC32C_BYTES: usize = 4;

/// How far a header has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Whole.
    Whole {
        /// Its bytes.
        length: usize,
        /// Whose connection it is; none where the proxy speaks for itself (a check of health), or does not know.
        client: Option<IpAddr>,
    },
    /// Not yet, and nothing is wrong so far.
    Partly,
    /// It cannot become one.
    Malformed,
}

/// Reads a header from the first bytes of a connection.
pub(crate) fn read(bytes: &[u8]) -> Header {
    let begins = |with: &[u8]| with.starts_with(bytes.get(..with.len()).unwrap_or(bytes));
    if begins(SIGNATURE) {
        binary(bytes)
    } else if begins(b"PROXY ") {
        line(bytes)
    } else {
        Header::Malformed
    }
}

/// Version 1: one line.
fn line(bytes: &[u8]) -> Header {
    let seen = bytes.get(..MOST_LINE).unwrap_or(bytes);
    let Some(end) = seen.iter().position(|byte| *byte == b'\r' || *byte == b'\n') else {
        return if bytes.len() < MOST_LINE { Header::Partly } else { Header::Malformed };
    };
    let (words, rest) = seen.split_at(end);
    match rest {
        b"\r" if bytes.len() < MOST_LINE => Header::Partly,
        [b'\r', b'\n', ..] => {
            client_of(words).map_or(Header::Malformed, |client| Header::Whole { length: end + 2, client })
        }
        _ => Header::Malformed,
    }
}

/// The source in `PROXY TCP4 source destination port port`; the outer none where the line is none.
fn client_of(words: &[u8]) -> Option<Option<IpAddr>> {
    let text = std::str::from_utf8(words).ok()?.strip_prefix("PROXY ")?;
    // What follows is to be ignored (2.1).
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Some(None);
    }
    let mut words = text.split(' ');
    let mut next = || words.next();
    let (family, source, destination) = (next()?, next()?, next()?);
    let (from, to) = (next()?, next()?);
    if next().is_some() || !is_port(from) || !is_port(to) {
        return None;
    }
    let client = match family {
        "TCP4" => both::<Ipv4Addr>(source, destination)?.into(),
        "TCP6" => both::<Ipv6Addr>(source, destination)?.into(),
        _ => return None,
    };
    Some(Some(IpAddr::to_canonical(&client)))
}

fn both<A: std::str::FromStr>(source: &str, destination: &str) -> Option<A> {
    destination.parse::<A>().ok()?;
    source.parse().ok()
}

fn is_port(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain && text.parse::<u16>().is_ok()
}

/// Version 2: a fixed part, addresses, options.
fn binary(bytes: &[u8]) -> Header {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else { return Header::Partly };
    let [.., command, family, high, low] = fixed else { return Header::Malformed };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > MOST_BINARY {
        return Header::Malformed;
    }
    let Some(body) = rest.get(..length) else { return Header::Partly };
    let whole = bytes.get(..FIXED + length).unwrap_or_default();
    let client = match (*command, *family) {
        // LOCAL: the proxy's own; whatever stands in it says nothing.
        (0x20, _) => Some(None),
        (0x21, 0x00) => options(whole, FIXED).then_some(None),
        (0x21, 0x11) => (options(whole, FIXED + 12)).then(|| first::<4>(body).map(|four| IpAddr::from(*four))),
        (0x21, 0x21) => (options(whole, FIXED + 36)).then(|| first::<16>(body).map(|six| IpAddr::from(*six))),
        // Datagrams, sockets of the machine's own, other versions and commands: nothing that is served here.
        _ => None,
    };
    client.map_or(Header::Malformed, |client| Header::Whole {
        length: FIXED + length,
        client: client.map(|client| client.to_canonical()),
    })
}

fn first<const N: usize>(body: &[u8]) -> Option<&[u8; N]> {
    body.first_chunk::<N>()
}

/// Whether a header's options, from `at` on, fill it to its end, and its checksum, where it has one, is right.
fn options(header: &[u8], at: usize) -> bool {
    let Some(mut rest) = header.get(at..) else { return false };
    while let [kind, high, low, more @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, next)) = more.split_at_checked(length) else { return false };
        let offset = header.len() - more.len();
        if *kind == CRC32C && !(length == CRC32C_BYTES && value == crc32c(header, offset).to_be_bytes()) {
            return false;
        }
        rest = next;
    }
    rest.is_empty()
}

/// CRC-32c of a header whose own checksum, at `zeroed`, counts as zeroes.
fn crc32c(header: &[u8], zeroed: usize) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let own = zeroed..zeroed + CRC32C_BYTES;
    !header.iter().enumerate().fold(u32::MAX, |sum, (at, byte)| {
        let byte = if own.contains(&at) { 0 } else { *byte };
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (POLYNOMIAL * (sum & 1)))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
