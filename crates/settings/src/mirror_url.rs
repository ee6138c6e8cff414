//! The address that endpoints are given.

use std::net::IpAddr;

use model::RingName;
use url::{Host, Url};

use crate::check::{Check, Finding};
use crate::text::{shown, shown_url};

/// Whether an address without TLS is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverPlainHttp {
    /// It is refused.
    Refused,
    /// The operator knows what it means.
    Accepted,
}

/// The base URL of a mirror as endpoints reach it: scheme, host, perhaps a port and a path prefix, no slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorUrl {
    url: Url,
}

/// Why an address cannot be given to endpoints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorUrlError {
    /// There is none.
    #[error("the mirror's address is empty: write it as https://host:port/prefix")]
    Empty,
    /// It is a folder.
    #[error(
        "'{0}' is a folder: settings are made for http(s) addresses alone; make them for any URL and write the folder with \
         platform and track behind it, such as /mnt/mirror/broad/linux/production, into offlineDefinitionUpdateUrl by hand"
    )]
    Folder(String),
    /// It has no scheme.
    #[error("'{0}' has no scheme: endpoints need one, write https://{0}")]
    NoScheme(String),
    /// It has a scheme that endpoints are not known to take.
    #[error("'{0}' is neither https nor http: no vendor documents another scheme")]
    Scheme(String),
    /// It cannot be read.
    #[error("'{url}' is no URL ({detail}): write it as https://host:port/prefix")]
    Unreadable {
        /// What was given.
        url: String,
        /// Why it cannot be read.
        detail: String,
    },
    /// It is plain HTTP, and nobody said that this is meant.
    #[error(
        "'{0}' is plain HTTP: whoever stands between may hold back or swap what endpoints fetch (Elastic's manifests \
         are signed, Defender's archives are not); give an https address, or say --allow-plain-http"
    )]
    Plain(String),
    /// It holds a user or a password.
    #[error(
        "'{0}' has a user or a password in it: whether endpoints send it is not published, and every reader of the \
         policy sees it; leave it out and let [[serve]] allow in networks or client certificates"
    )]
    Credentials(String),
    /// It has a query or a fragment.
    #[error("'{0}' has a query or a fragment: endpoints append paths to this address; leave it out")]
    Query(String),
    /// It goes on into what endpoints append.
    #[error("'{url}' already holds '{part}', which is appended to it here or by endpoints: end the address before it")]
    TooFar {
        /// What was given.
        url: String,
        /// What is too much.
        part: String,
    },
    /// It names a ring, and so did the caller.
    #[error("'{0}' already names a ring: give the mirror's own address and --ring, or the ring's address alone")]
    RingTwice(String),
}

/// The part of a path that endpoints append themselves; an address that holds it gives every path twice.
fn appended(path: &str) -> Option<String> {
    let segments: Vec<String> =
        path.split('/').filter(|segment| !segment.is_empty()).map(str::to_ascii_lowercase).collect();
    let file = |segment: &&String| {
        segment.starts_with("arch_")
            || segment.starts_with("artifacts-")
            || matches!(segment.as_str(), "updates.zip" | "manifest.json")
    };
    if let Some(segment) = segments.iter().find(file) {
        return Some(segment.clone());
    }
    let layout = |pair: &&[String]| {
        let [first, second] = pair else { return false };
        let track = second.strip_suffix("_back").unwrap_or(second);
        (matches!(first.as_str(), "linux" | "mac") && matches!(track, "production" | "preview"))
            || (first == "downloads" && second == "endpoint")
    };
    if let Some(pair) = segments.windows(2).find(layout) {
        return Some(pair.join("/"));
    }
    segments.last().filter(|last| matches!(last.as_str(), "linux" | "mac" | "downloads")).cloned()
}

impl MirrorUrl {
    /// Reads an address as an operator writes it; one slash or more at its end are taken away, because endpoints append
    /// paths that begin with one.
    ///
    /// # Errors
    /// [`MirrorUrlError`] when endpoints could not use it.
    pub fn parse(text: &str, plain: OverPlainHttp) -> Result<Self, MirrorUrlError> {
        let text = text.trim();
        let told = || shown_url(text);
        if text.is_empty() {
            return Err(MirrorUrlError::Empty);
        }
        if text.starts_with('/') {
            return Err(MirrorUrlError::Folder(told()));
        }
        let Some((scheme, _)) = text.split_once("://") else { return Err(MirrorUrlError::NoScheme(told())) };
        if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
            return Err(MirrorUrlError::Scheme(told()));
        }
        let unreadable = |detail: String| MirrorUrlError::Unreadable { url: told(), detail: shown(&detail) };
        if text.contains(['\\', '<', '>']) || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(unreadable("it holds spaces, backslashes, brackets or control characters".to_owned()));
        }
        let mut url = Url::parse(text).map_err(|error| unreadable(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(MirrorUrlError::Credentials(told()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(MirrorUrlError::Query(told()));
        }
        if let Some(part) = appended(url.path()) {
            return Err(MirrorUrlError::TooFar { url: told(), part: shown(&part) });
        }
        if url.scheme() == "http" && plain == OverPlainHttp::Refused {
            return Err(MirrorUrlError::Plain(told()));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self { url })
    }

    /// The address of a ring: the mirror's own for the ring at the root (none), else below `/rings/`.
    ///
    /// # Errors
    /// [`MirrorUrlError::RingTwice`] when the address names a ring already.
    pub fn ring(&self, ring: Option<&RingName>) -> Result<Self, MirrorUrlError> {
        let Some(ring) = ring else { return Ok(self.clone()) };
        if self.url.path().split('/').any(|part| part == "rings") {
            return Err(MirrorUrlError::RingTwice(self.text()));
        }
        let mut url = self.url.clone();
        url.set_path(&format!("{}/rings/{ring}", self.url.path().trim_end_matches('/')));
        Ok(Self { url })
    }

    /// As endpoints are given it: no slash at its end.
    pub fn text(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    /// The URL, for who asks it.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What stands before every route: empty, or `/a/b`.
    pub fn prefix(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// What is worth knowing about it.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.url.scheme() == "http" {
            findings.push(Finding::new(Check::UrlPlain, "", self.text()));
        }
        if is_for_one_machine(self.url.host()) {
            findings.push(Finding::new(Check::UrlLoopback, "", self.text()));
        }
        findings
    }
}

/// Whether an address means another machine on every machine.
pub(crate) fn is_for_one_machine(host: Option<Host<&str>>) -> bool {
    let special = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    match host {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => special(address.into()),
        Some(Host::Ipv6(address)) => special(address.into()),
        None => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<MirrorUrl, MirrorUrlError> {
        MirrorUrl::parse(text, OverPlainHttp::Refused)
    }

    #[test]
    fn slashes_at_the_end_go_and_a_prefix_stays() {
        for (text, base) in [
            ("https://mirror.example", "https://mirror.example"),
            ("https://mirror.example/", "https://mirror.example"),
            (" https://Mirror.example:8443/a/b// ", "https://mirror.example:8443/a/b"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
            ("https://mirror.example:443/", "https://mirror.example"),
            ("https://mirror.example/production-eu/linux-hosts", "https://mirror.example/production-eu/linux-hosts"),
        ] {
            assert_eq!(parse(text).unwrap().text(), base, "{text}");
        }
    }

    #[test]
    fn what_is_known_to_break_is_refused_with_what_to_write() {
        for (text, part) in [
            ("mirror.example:8000", "write https://mirror.example:8000"),
            ("", "is empty"),
            ("/srv/waystation/broad", "is a folder"),
            ("file:///srv/x", "neither https nor http"),
            ("http://mirror.example", "--allow-plain-http"),
            ("https://eve:hunter2@mirror.example", "leave it out"),
            ("https://mirror.example/?a=b", "append paths"),
            ("https://mirror.example/#x", "append paths"),
            ("https://mirror.example/downloads/endpoint", "end the address before it"),
            ("https://mirror.example/linux/production/arch_x86_64", "end the address before it"),
            ("https://mirror.example/linux", "end the address before it"),
            ("https://mirror.example/a/mac/production_back/", "end the address before it"),
            ("https://mirror .example", "no URL"),
            ("https://<MIRROR>/", "no URL"),
            ("https://", "no URL"),
            ("https://mirror.example:99999", "no URL"),
        ] {
            let told = parse(text).unwrap_err().to_string();
            assert!(told.contains(part), "{text}: {told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_ring_stands_below_the_prefix_once() {
        let canary: RingName = "canary".parse().unwrap();
        let mirror = parse("https://mirror.example/a/").unwrap();
        assert_eq!(mirror.ring(None).unwrap().text(), "https://mirror.example/a");
        let ring = mirror.ring(Some(&canary)).unwrap();
        assert_eq!((ring.text().as_str(), ring.prefix()), ("https://mirror.example/a/rings/canary", "/a/rings/canary"));
        assert!(matches!(ring.ring(Some(&canary)), Err(MirrorUrlError::RingTwice(_))));
    }

    #[test]
    fn one_machine_s_own_address_is_told() {
        let codes = |text: &str| {
            let url = MirrorUrl::parse(text, OverPlainHttp::Accepted).unwrap();
            url.findings().iter().map(|finding| finding.check.code()).collect::<Vec<_>>()
        };
        assert_eq!(codes("http://127.0.0.1:8080"), ["url_plain", "url_loopback"]);
        assert_eq!(codes("https://[::1]"), ["url_loopback"]);
        assert_eq!(codes("https://localhost:1"), ["url_loopback"]);
        assert!(codes("https://mirror.example").is_empty());
    }
}
