//! Who asks: derived once, here.

use std::net::{IpAddr, SocketAddr};

use crate::Cidr;
use crate::conditional::Values;
use model::any_contains;

/// What a request says of whom it is asked for.
pub(crate) struct Told<'a, 'b> {
    /// `X-Forwarded-For`.
    pub(crate) forwarded_for: &'a Values<'b>,
    /// `Forwarded` (RFC 7239).
    pub(crate) forwarded: &'a Values<'b>,
}

/// The client behind a peer: the peer itself unless it is a trusted proxy; then the rightmost address in what it
/// says that is not a trusted proxy too. None when that cannot be read, and when the two headers differ: a proxy that
/// writes one of them hands on what a client wrote into the other.
pub(crate) fn client(peer: IpAddr, told: &Told<'_, '_>, trusted: &[Cidr]) -> Option<IpAddr> {
    let silent = told.forwarded_for.is_empty() && told.forwarded.is_empty();
    if trusted.is_empty() || silent || !any_contains(trusted, peer) {
        return Some(peer);
    }
    let list = || {
        let hops = told.forwarded_for.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
        behind(peer, hops.map(|hop| address(hop.trim_ascii())), trusted)
    };
    let elements = || {
        let hops = told.forwarded.iter().rev().flat_map(|value| elements_of(value).into_iter().rev());
        behind(peer, hops.map(for_of), trusted)
    };
    match (told.forwarded_for.is_empty(), told.forwarded.is_empty()) {
        (false, true) => list(),
        (true, _) => elements(),
        (false, false) => list().filter(|client| elements() == Some(*client)),
    }
}

/// The first of these that is no trusted proxy, the nearest first; the last one when all are.
fn behind(peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>, trusted: &[Cidr]) -> Option<IpAddr> {
    let mut client = peer;
    for hop in hops {
        client = hop?;
        if !any_contains(trusted, client) {
            break;
        }
    }
    Some(client)
}

/// The elements of a value. Where a quote is left open they cannot be told apart: what a client wrote would swallow what
/// a proxy put behind it in the same value, and so nobody is named.
fn elements_of(value: &[u8]) -> Vec<&[u8]> {
    let is_open = value.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
    if is_open { vec![b""] } else { apart(value, b',') }
}

fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// The address in an element's `for` (RFC 7239, 4 and 6); none where it stands not once, or hides it. An element without
/// a pair is a proxy's that says nothing of whom it speaks for: it names nobody, and what a client may have written before
/// it is not believed in its place.
fn for_of(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in apart(element, b';').into_iter().filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let (name, value) = (halves.next()?.trim_ascii(), halves.next()?);
        if name.eq_ignore_ascii_case(b"for") {
            let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
            // An escape in quotes has no place in an address, and fails to be one.
            if found.replace(address(without_hidden_port(bare))?).is_some() {
                return None;
            }
        }
    }
    found
}

/// A node without a port that is hidden behind a name (RFC 7239, 6.2 and 6.3).
fn without_hidden_port(node: &[u8]) -> &[u8] {
    let hidden = |port: &[u8]| {
        let name = port.strip_prefix(b"_").unwrap_or_default();
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
    };
    let colon = node.iter().rposition(|byte| *byte == b':');
    match colon.and_then(|at| node.split_at_checked(at)) {
        Some((address, port)) if port.strip_prefix(b":").is_some_and(hidden) => address,
        _ => node,
    }
}

/// The parts of a text; a separator in quotes separates nothing.
fn apart(text: &[u8], at: u8) -> Vec<&[u8]> {
    let mut quoted = false;
    let parts = text.split(move |byte| {
        quoted ^= *byte == b'"';
        *byte == at && !quoted
    });
    parts.map(<[u8]>::trim_ascii).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn values<'a>(headers: &[&'a str]) -> Values<'a> {
        let mut values = Values::default();
        for header in headers {
            assert!(values.push(header.as_bytes()));
        }
        values
    }

    fn found(peer: &str, forwarded_for: &[&str], forwarded: &[&str]) -> Option<String> {
        let trusted = ["10.1.2.3".parse().unwrap(), "192.168.0.0/16".parse().unwrap()];
        let told = Told { forwarded_for: &values(forwarded_for), forwarded: &values(forwarded) };
        client(peer.parse().unwrap(), &told, &trusted).map(|client| client.to_string())
    }

    fn check(peer: &str, headers: &[&str], expected: Option<&str>) {
        assert_eq!(found(peer, headers, &[]).as_deref(), expected, "{peer} {headers:?}");
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_v05_v33() {
        check("203.0.113.5", &["10.9.9.9"], Some("203.0.113.5"));
        check("10.1.2.3", &[], Some("10.1.2.3"));
        check("10.1.2.3", &["203.0.113.9"], Some("203.0.113.9"));
        check("10.1.2.3", &["1.1.1.1, 203.0.113.9"], Some("203.0.113.9"));
        check("10.1.2.3", &["1.1.1.1", "203.0.113.9, 192.168.1.1"], Some("203.0.113.9"));
        check("10.1.2.3", &["192.168.1.1, 192.168.1.2"], Some("192.168.1.1"));
        check("10.1.2.3", &["203.0.113.9:4711"], Some("203.0.113.9"));
        check("10.1.2.3", &["[2001:db8::1]:4711"], Some("2001:db8::1"));
        check("10.1.2.3", &["[2001:db8::1]"], Some("2001:db8::1"));
        check("10.1.2.3", &["::ffff:203.0.113.9"], Some("203.0.113.9"));
        check("10.1.2.3", &["unknown"], None);
        check("10.1.2.3", &["203.0.113.9, "], None);
        check("10.1.2.3", &["fe80::1%eth0"], None);
    }

    #[test]
    fn forwarded_says_the_same_in_its_own_way_v05_v33() {
        for (headers, expected) in [
            (&["for=203.0.113.9"][..], Some("203.0.113.9")),
            (&["For=203.0.113.9;proto=https;by=10.1.2.3"], Some("203.0.113.9")),
            (&["proto=https; for=\"203.0.113.9:4711\""], Some("203.0.113.9")),
            (&["for=\"[2001:db8::1]:4711\""], Some("2001:db8::1")),
            (&["for=1.1.1.1, for=203.0.113.9, for=192.168.1.1"], Some("203.0.113.9")),
            (&["for=1.1.1.1", "for=203.0.113.9"], Some("203.0.113.9")),
            (&["for=1.1.1.1;ext=\"a,for=10.9.9.9;x\""], Some("1.1.1.1")),
            (&["for=203.0.113.9;"], Some("203.0.113.9")),
            (&["for=203.0.113.9;;proto=http"], Some("203.0.113.9")),
            (&["for=\"203.0.113.9:_port\""], Some("203.0.113.9")),
            (&["for=\"[2001:db8::1]:_p.o-r_t\""], Some("2001:db8::1")),
            (&["for=\"203.0.113.9:_\""], None),
            (&["for=\"203.0.113.9:_p/t\""], None),
            (&[";"], None),
            (&["for=1.1.1.1, ;"], None),
            (&["for=unknown"], None),
            (&["for=_hidden"], None),
            (&["for=1.1.1.1;for=203.0.113.9"], None),
            (&["by=1.1.1.1"], None),
            (&["203.0.113.9"], None),
            (&["for=1.1.1.1,"], None),
            (&["for=\"1.1.1.1"], None),
            (&["for=\"1.1.1\\.1\""], None),
            // A client's open quote, and what a proxy put behind it.
            (&["for=1.1.1.1;x=\", for=203.0.113.9"], None),
            (&["for=1.1.1.1;x=\", for=\"203.0.113.9:4711\""], None),
            (&["for=1.1.1.1;x=\"", "for=203.0.113.9"], Some("203.0.113.9")),
            (&["for=1.1.1.1;x=\"\\\", for=203.0.113.9"], Some("203.0.113.9")),
        ] {
            assert_eq!(found("10.1.2.3", &[], headers).as_deref(), expected, "{headers:?}");
            assert_eq!(found("203.0.113.5", &[], headers).as_deref(), Some("203.0.113.5"));
        }
    }

    #[test]
    fn two_headers_that_differ_name_nobody_v05_v33() {
        let both = |list, element| found("10.1.2.3", &[list], &[element]);
        assert_eq!(both("203.0.113.9", "for=203.0.113.9").as_deref(), Some("203.0.113.9"));
        assert_eq!(both("203.0.113.9", "for=10.9.9.9"), None);
        assert_eq!(both("203.0.113.9", "for=unknown"), None);
        assert_eq!(both("unknown", "for=unknown"), None);
    }
}
