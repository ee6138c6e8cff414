//! Where redirects may lead.

use model::Reason;
use url::Url;

use crate::failure::Failure;
use crate::host::{HostName, HostPattern};
use crate::text::safe_url;

/// The statuses that say "look there".
pub(crate) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The first URL of a request, without its fragment, if it may be asked at all.
pub(crate) fn first(url: &Url, allow_plain_http: bool) -> Result<Url, Failure> {
    let mut url = url.clone();
    url.set_fragment(None);
    match url.scheme() {
        "https" => {}
        "http" if allow_plain_http => {}
        "http" => return Err(Failure::new(Reason::PlainHttpRefused, "plain http is not allowed")),
        _ => return Err(Failure::new(Reason::Internal, "only http and https can be asked")),
    }
    if has_credentials(&url) {
        return Err(Failure::new(Reason::Internal, "a URL with credentials cannot be asked"));
    }
    Ok(url)
}

/// One chain of redirects.
pub(crate) struct Chain {
    urls: Vec<Url>,
    allowed: Vec<HostPattern>,
    hops: usize,
}

impl Chain {
    /// A chain that may lead to its first host and to `hosts`; texts that are no hosts allow none.
    pub(crate) fn new(first: Url, hosts: &[String], hops: usize) -> Self {
        let own = HostName::of(&first).map(HostPattern::Exact);
        let allowed = own.into_iter().chain(hosts.iter().filter_map(|text| HostPattern::parse(text))).collect();
        Self { urls: vec![first], allowed, hops }
    }

    /// Every URL so far, safe to print.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.urls.iter().map(safe_url).collect()
    }

    /// Goes from `from` to where `location` leads, if that is allowed.
    pub(crate) fn follow(&mut self, from: &Url, location: &str) -> Result<Url, Failure> {
        let to = self.target(from, location)?;
        if self.urls.contains(&to) {
            return Err(limit(format!("the redirects lead in a circle, back to {}", safe_url(&to))));
        }
        if self.urls.len() > self.hops {
            return Err(limit(format!("over {} redirects", self.hops)));
        }
        self.urls.push(to.clone());
        Ok(to)
    }

    fn target(&self, from: &Url, location: &str) -> Result<Url, Failure> {
        let mut to = from.join(location).map_err(|cause| refused(format!("the redirect leads to no URL: {cause}")))?;
        to.set_fragment(None);
        let shown = safe_url(&to);
        if !matches!(to.scheme(), "http" | "https") {
            return Err(refused(format!("the redirect leads to the scheme '{}'", safe_scheme(&to))));
        }
        if to.scheme() == "http" && from.scheme() == "https" {
            return Err(refused(format!("the redirect leads from https to plain http: {shown}")));
        }
        if has_credentials(&to) {
            return Err(refused(format!("the redirect carries credentials: {shown}")));
        }
        let allowed = HostName::of(&to).is_some_and(|host| self.allowed.iter().any(|pattern| pattern.matches(&host)));
        if !allowed {
            return Err(refused(format!("the redirect leads to a host that is not allowed: {shown}")));
        }
        Ok(to)
    }
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn safe_scheme(url: &Url) -> String {
    url.scheme().chars().take(32).collect()
}

fn refused(detail: String) -> Failure {
    Failure::new(Reason::RedirectRefused, detail)
}

fn limit(detail: String) -> Failure {
    Failure::new(Reason::RedirectLimit, detail)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn follow(location: &str) -> Result<String, Reason> {
        let from = url("https://first.test/a/b?linkid=1");
        let mut chain = Chain::new(from.clone(), &["cdn.test".into(), "*.wide.test".into()], 3);
        chain.follow(&from, location).map(|to| to.to_string()).map_err(|failure| failure.reason)
    }

    #[test]
    fn allowed_targets() {
        for (location, to) in [
            ("/c?x=1#part", "https://first.test/c?x=1"),
            ("c", "https://first.test/a/c"),
            ("?other", "https://first.test/a/b?other"),
            ("//cdn.test/x", "https://cdn.test/x"),
            ("https://a.b.wide.test/x", "https://a.b.wide.test/x"),
            ("https://first.test:8443/", "https://first.test:8443/"),
        ] {
            assert_eq!(follow(location).unwrap(), to);
        }
    }

    #[test]
    fn refused_targets_u18_u21_u22_u23() {
        for location in [
            "http://first.test/",
            "http://cdn.test/",
            "file:///etc/passwd",
            "ftp://first.test/",
            "gopher://first.test/",
            "data:text/plain,x",
            "javascript:alert(1)",
            "unix:/run/x",
            "https://evil.test/",
            "https://wide.test/",
            "https://evilwide.test/",
            "https://user@first.test/",
            "https://user:secret@cdn.test/",
            "https://@evil.test/",
            "https://first.test.evil.test/",
            "//evil.test",
            "/\\evil.test/x",
            "https:\\\\evil.test",
            "https://",
            "https://[::1/",
        ] {
            assert_eq!(follow(location), Err(Reason::RedirectRefused), "{location}");
        }
    }

    #[test]
    fn circles_and_long_chains_end_u17() {
        let first = url("https://first.test/0");
        let mut chain = Chain::new(first.clone(), &[], 3);
        assert_eq!(chain.follow(&first, "/0#again").unwrap_err().reason, Reason::RedirectLimit);
        let mut at = first;
        for hop in 1..=3 {
            at = chain.follow(&at, &format!("/{hop}")).unwrap();
        }
        assert_eq!(chain.follow(&at, "/4").unwrap_err().reason, Reason::RedirectLimit);
        assert_eq!(chain.shown().len(), 4);
    }

    proptest! {
        #[test]
        fn whatever_a_location_says_only_allowed_places_are_reached_u18_u22_u23(
            start in prop::sample::select(vec!["", "/", "//", "https://", "http://", "https:", "\\\\", "https://first.test", "//cdn.test@"]),
            rest in "[a-z0-9@:/\\\\.?#%\\[\\] ]{0,24}|\\PC{0,24}",
        ) {
            let from = url("https://first.test/a/b");
            let mut chain = Chain::new(from.clone(), &["cdn.test".into(), "*.wide.test".into()], 3);
            if let Ok(to) = chain.follow(&from, &format!("{start}{rest}")) {
                let host = to.host_str().unwrap_or_default().trim_end_matches('.').to_owned();
                prop_assert!(host == "first.test" || host == "cdn.test" || host.ends_with(".wide.test"), "{}", to);
                prop_assert_eq!(to.scheme(), "https");
                prop_assert!(to.username().is_empty() && to.password().is_none() && to.fragment().is_none());
            }
        }
    }
}
