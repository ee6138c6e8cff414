//! Which hosts are reached without the proxy.

use std::net::IpAddr;

use url::Url;

use crate::ClientError;
use crate::address::{in_v4, in_v6};
use crate::host::{HostName, HostPattern};
use crate::text::escape;

/// The hosts reached directly.
#[derive(Debug, Default)]
pub(crate) struct NoProxy(Vec<Entry>);

#[derive(Debug)]
enum Entry {
    All,
    Network(IpAddr, u32),
    Host(HostPattern, Option<u16>),
}

impl NoProxy {
    /// Reads the configured entries; one that means nothing is an error, for silence would send traffic elsewhere.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, ClientError> {
        let read = |text: &String| {
            entry(text.trim()).ok_or_else(|| ClientError::NoProxy { entry: escape(text.as_bytes(), 128) })
        };
        entries.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `url` is asked directly.
    pub(crate) fn covers(&self, url: &Url) -> bool {
        let Some(host) = HostName::of(url) else { return false };
        let port = url.port_or_known_default();
        self.0.iter().any(|entry| match entry {
            Entry::All => true,
            Entry::Network(net, bits) => host.address().is_some_and(|address| in_network(address, *net, *bits)),
            Entry::Host(pattern, only) => pattern.matches(&host) && (only.is_none() || *only == port),
        })
    }
}

fn entry(text: &str) -> Option<Entry> {
    if text == "*" {
        return Some(Entry::All);
    }
    if let Some((address, bits)) = text.split_once('/') {
        let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        return (bits <= most).then_some(Entry::Network(address, bits));
    }
    let (name, port) = split_port(text)?;
    let pattern = match name.strip_prefix('.') {
        Some(suffix) => HostPattern::below(suffix)?,
        None => HostPattern::parse(name)?,
    };
    Some(Entry::Host(pattern, port))
}

/// A bare IPv6 address has colons and no port.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    match text.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => Some((name, Some(port.parse().ok()?))),
        _ => Some((text, None)),
    }
}

fn in_network(address: IpAddr, net: IpAddr, bits: u32) -> bool {
    match (address.to_canonical(), net) {
        (IpAddr::V4(address), IpAddr::V4(net)) => in_v4(address, net, bits),
        (IpAddr::V6(address), IpAddr::V6(net)) => in_v6(address, net, bits),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(entry: &str, url: &str) -> bool {
        NoProxy::parse(&[entry.to_owned()]).unwrap().covers(&Url::parse(url).unwrap())
    }

    #[test]
    fn forms_u49() {
        for (entry, url) in [
            ("*", "http://anything.test/"),
            ("mirror.internal", "https://MIRROR.internal/x"),
            (".internal", "http://a.internal/"),
            ("*.internal", "http://a.b.internal/"),
            (" mirror.internal ", "http://mirror.internal/"),
            ("mirror.internal:8080", "http://mirror.internal:8080/"),
            ("mirror.internal:443", "https://mirror.internal/"),
            ("10.0.0.0/8", "http://10.9.8.7/"),
            ("10.1.2.3", "http://10.1.2.3:99/"),
            ("::1", "http://[::1]:80/"),
            ("[::1]:81", "http://[::1]:81/"),
            ("fd00::/8", "http://[fd12::1]/"),
            ("0.0.0.0/0", "http://8.8.8.8/"),
            ("10.0.0.0/8", "http://[::ffff:10.1.1.1]/"),
        ] {
            assert!(check(entry, url), "{entry} does not cover {url}");
        }
        for (entry, url) in [
            ("mirror.internal", "http://a.mirror.internal/"),
            (".internal", "http://internal/"),
            ("internal", "http://notinternal/"),
            ("mirror.internal:8080", "http://mirror.internal/"),
            ("10.0.0.0/8", "http://11.0.0.1/"),
            ("10.0.0.0/8", "http://ten.test/"),
            ("::1", "http://[::2]/"),
        ] {
            assert!(!check(entry, url), "{entry} covers {url}");
        }
    }

    #[test]
    fn nonsense_is_named_u49() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/x", "a b", "host:99999", "..internal", "fd00::/129", "."] {
            assert!(NoProxy::parse(&[text.to_owned()]).is_err(), "{text:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,32}") {
            let _ = NoProxy::parse(&[text]);
        }
    }
}
