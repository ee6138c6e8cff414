//! Who asks: derived once, here.

use std::net::{IpAddr, SocketAddr};

use crate::Cidr;
use crate::conditional::Values;
use model::any_contains;

/// The client behind a peer: the peer itself unless it is a trusted proxy; then the rightmost address of
/// `X-Forwarded-For` that is not a trusted proxy too. None when a trusted proxy sent something unreadable.
pub(crate) fn client(peer: IpAddr, forwarded_for: &Values<'_>, trusted: &[Cidr]) -> Option<IpAddr> {
    if trusted.is_empty() || forwarded_for.is_empty() || !any_contains(trusted, peer) {
        return Some(peer);
    }
    let mut client = peer;
    for hop in forwarded_for.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
        client = address(hop.trim_ascii())?;
        if !any_contains(trusted, client) {
            break;
        }
    }
    Some(client)
}

fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(peer: &str, headers: &[&str], expected: Option<&str>) {
        let trusted = ["10.1.2.3".parse().unwrap(), "192.168.0.0/16".parse().unwrap()];
        let mut values = Values::default();
        for header in headers {
            assert!(values.push(header.as_bytes()));
        }
        let found = client(peer.parse().unwrap(), &values, &trusted);
        assert_eq!(found, expected.map(|text| text.parse().unwrap()), "{peer} {headers:?}");
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
}
