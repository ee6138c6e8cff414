//! Names of hosts, and the patterns that configuration has for them.

use std::net::IpAddr;

use url::{Host, Url};

/// A host in one spelling: lower case, punycode, addresses in canonical form (IPv6 in brackets), no dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostName(String);

impl HostName {
    /// Reads a host as configuration and resolvers write it; IPv6 with or without brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(IpAddr::V6(address)) = text.parse() {
            return Some(Self(format!("[{address}]")));
        }
        let host = Host::parse(text).ok()?.to_string();
        // Stripped only now: other characters than a dot may have become one.
        let host = host.strip_suffix('.').unwrap_or(&host);
        let sound = !host.is_empty() && !host.ends_with('.');
        sound.then(|| Self(host.to_owned()))
    }

    /// The host of a URL.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        url.host().and_then(|host| Self::parse(&host.to_string()))
    }

    /// The canonical text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, if the host is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.0.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Whether it is one or more labels before `suffix`, which has no dot at its start.
    fn is_below(&self, suffix: &str) -> bool {
        self.address().is_none()
            && self
                .0
                .strip_suffix(suffix)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty())
    }

    /// Names that lead to this machine whatever a resolver says (RFC 6761, 6.3).
    pub(crate) fn is_localhost(&self) -> bool {
        self.0 == "localhost" || self.is_below("localhost")
    }
}

/// A host's name, or all names below a suffix: `*.example.com` matches `a.b.example.com`, never `example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostPattern {
    Exact(HostName),
    Below(String),
}

impl HostPattern {
    /// Reads `name` or `*.suffix`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            Some(suffix) => Self::below(suffix),
            None => HostName::parse(text).map(Self::Exact),
        }
    }

    /// All names below `suffix`, which must be a name.
    pub(crate) fn below(suffix: &str) -> Option<Self> {
        let name = HostName::parse(suffix)?;
        (name.address().is_none() && !suffix.starts_with('.')).then_some(Self::Below(name.0))
    }

    pub(crate) fn matches(&self, host: &HostName) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(suffix) => host.is_below(suffix),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, host: &str) -> bool {
        HostPattern::parse(pattern).unwrap().matches(&HostName::parse(host).unwrap())
    }

    #[test]
    fn patterns_u22() {
        assert!(check("example.com", "EXAMPLE.com"));
        assert!(check("example.com", "example.com."));
        assert!(check("*.example.com", "a.example.com"));
        assert!(check("*.example.com", "a.b.example.com"));
        assert!(check("bücher.example", "xn--bcher-kva.example"));
        assert!(check("::1", "[::1]"));
        for (pattern, host) in [
            ("*.example.com", "example.com"),
            ("*.example.com", "evilexample.com"),
            ("*.example.com", "example.com.evil.test"),
            ("example.com", "a.example.com"),
            ("example.com", "example.com.evil.test"),
            ("*.0.0.1", "127.0.0.1"),
        ] {
            assert!(
                HostPattern::parse(pattern).is_none_or(|p| !p.matches(&HostName::parse(host).unwrap())),
                "{pattern} {host}"
            );
        }
    }

    #[test]
    fn addresses_have_one_spelling_u19() {
        for text in ["2130706433", "0x7f.1", "0x7f000001", "127.1", "017700000001"] {
            assert_eq!(HostName::parse(text).unwrap().address().unwrap().to_string(), "127.0.0.1", "{text}");
        }
        assert!(HostName::parse("a.localhost").unwrap().is_localhost());
        assert!(HostName::parse("localhost\u{3002}").unwrap().is_localhost());
        assert!(!HostName::parse("notlocalhost").unwrap().is_localhost());
        for text in ["a..", "localhost..", ".", "..", ""] {
            assert_eq!(HostName::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn below_means_labels_before_the_suffix_u22(labels in "([a-z0-9]{1,5}\\.){0,3}", suffix in "[a-z]{1,5}\\.[a-z]{2,4}") {
            let host = HostName::parse(&format!("{labels}{suffix}")).unwrap();
            let pattern = HostPattern::parse(&format!("*.{suffix}")).unwrap();
            prop_assert_eq!(pattern.matches(&host), !labels.is_empty());
        }

        #[test]
        fn a_glued_prefix_never_matches_u22(prefix in "[a-z0-9]{1,8}", suffix in "[a-z]{1,5}\\.[a-z]{2,4}") {
            let host = HostName::parse(&format!("{prefix}{suffix}")).unwrap();
            let pattern = HostPattern::parse(&format!("*.{suffix}")).unwrap();
            prop_assert!(!pattern.matches(&host));
        }

        #[test]
        fn never_panics(pattern in "\\PC{0,24}", host in "\\PC{0,24}") {
            if let (Some(pattern), Some(host)) = (HostPattern::parse(&pattern), HostName::parse(&host)) {
                let _ = pattern.matches(&host);
            }
        }

        #[test]
        fn parsing_is_stable(host in "[a-zA-Z0-9.\\[\\]:-]{1,24}") {
            if let Some(name) = HostName::parse(&host) {
                prop_assert_eq!(HostName::parse(name.as_str()), Some(name.clone()));
            }
        }
    }
}
