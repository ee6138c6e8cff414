//! Where requests go.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

/// A base URL, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The host as a resolver and a certificate know it; IPv6 without brackets.
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// The `Host` field.
    pub(crate) authority: String,
    /// What stands before every route: empty, or `/a/b`.
    pub(crate) prefix: String,
}

impl Place {
    /// None unless the URL is http or https with a host.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = url.host_str()?;
        let port = url.port_or_known_default()?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let prefix = url.path().trim_end_matches('/').to_owned();
        Some(Self { name, port, tls, authority, prefix })
    }

    /// A host and a port alone, spoken with plainly.
    pub(crate) fn plain(host: &str, port: u16) -> Self {
        let authority = format!("{host}:{port}");
        Self { name: host.to_owned(), port, tls: false, authority, prefix: String::new() }
    }

    /// A host and a port alone, over TLS.
    pub(crate) fn over_tls(host: &str, port: u16) -> Self {
        Self { tls: true, ..Self::plain(host, port) }
    }

    /// The path to ask for.
    pub(crate) fn path(&self, route: &str) -> String {
        format!("{}{route}", self.prefix)
    }
}

/// How long each thing may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// For name, connection and TLS, each.
    pub(crate) connect: Duration,
    /// For the head of an answer.
    pub(crate) head: Duration,
    /// Between two pieces of a body.
    pub(crate) pause: Duration,
    /// For everything together.
    pub(crate) end: Instant,
}

impl Waits {
    /// The shorter of a wait and what is left of everything.
    pub(crate) fn left(&self, wait: Duration) -> Duration {
        wait.min(self.end.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let place = Place::of(&Url::parse("https://[::1]:8443/a/b/").unwrap()).unwrap();
        assert_eq!((place.name.as_str(), place.port, place.tls), ("::1", 8443, true));
        assert_eq!((place.authority.as_str(), place.path("/x").as_str()), ("[::1]:8443", "/a/b/x"));
        let place = Place::of(&Url::parse("http://mirror.example").unwrap()).unwrap();
        assert_eq!((place.authority.as_str(), place.path("/").as_str()), ("mirror.example", "/"));
        assert!(Place::of(&Url::parse("ftp://x/").unwrap()).is_none());
    }
}
