//! The mirror's address, as an agent is given it.

use url::{Host, Url};

use super::Context;
use crate::check::{Check, Finding};
use crate::mirror_url::is_for_one_machine;
use crate::text::shown_url;

/// Hosts of the vendor's cloud.
const VENDOR: [&str; 3] = ["microsoft.com", "windows.com", "microsoftonline.com"];

/// What is wrong with it.
pub(super) fn look(text: &str, at: &str, context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut tell = |check: Check, seen: &str| findings.push(Finding::new(check, at, seen));
    let shown = shown_url(text);
    let path = match place(text) {
        Ok(Place::Folder(path)) => path,
        Ok(Place::Web(url)) => {
            web(&url, &shown, &mut tell);
            url.path().to_owned()
        }
        Err(check) => {
            tell(check, &shown);
            // The path behind a host without a scheme can be looked at all the same.
            text.split_once('/').map(|(_, path)| format!("/{path}")).unwrap_or_default()
        }
    };
    layout(&path, &shown, context, &mut tell);
    if let Some(url) = &context.url
        && url.trim_end_matches('/') != text.trim_end_matches('/')
    {
        tell(Check::UrlRing, &format!("{shown}, where {url} is meant"));
    }
    findings
}

enum Place {
    Folder(String),
    Web(Url),
}

fn place(text: &str) -> Result<Place, Check> {
    if text.is_empty() || text.contains('\\') || text.trim() != text || text.chars().any(char::is_control) {
        return Err(Check::UrlUnreadable);
    }
    if text.starts_with('/') {
        // Two slashes are a share, not a folder.
        return if text.starts_with("//") { Err(Check::UrlUnreadable) } else { Ok(Place::Folder(text.to_owned())) };
    }
    let Some((scheme, _)) = text.split_once("://") else {
        let first = text.split('/').next().unwrap_or_default();
        let host = first.contains('.') || first.contains(':') || first == "localhost";
        return Err(if host { Check::UrlNoScheme } else { Check::UrlUnreadable });
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Check::UrlScheme);
    }
    Url::parse(text).map(Place::Web).map_err(|_| Check::UrlUnreadable)
}

fn web(url: &Url, shown: &str, tell: &mut impl FnMut(Check, &str)) {
    if url.scheme() == "http" {
        tell(Check::UrlPlain, shown);
    }
    if !url.username().is_empty() || url.password().is_some() {
        tell(Check::UrlCredentials, shown);
    }
    if url.query().is_some() || url.fragment().is_some() {
        tell(Check::UrlQuery, shown);
    }
    if is_for_one_machine(url.host()) {
        tell(Check::UrlLoopback, shown);
    }
    if let Some(Host::Domain(name)) = url.host()
        && VENDOR.iter().any(|vendor| name == *vendor || name.ends_with(&format!(".{vendor}")))
    {
        tell(Check::UrlVendor, shown);
    }
}

/// What the path says, by Microsoft's layout: platform, track, and nothing behind it.
fn layout(path: &str, shown: &str, context: &Context, tell: &mut impl FnMut(Check, &str)) {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let too_far =
        |segment: &&&str| segment.starts_with("arch_") || segment.ends_with(".zip") || segment.ends_with(".json");
    if segments.iter().any(|segment| too_far(&segment)) {
        tell(Check::UrlArch, shown);
        return;
    }
    let track = |segment: &str| {
        let plain = segment.strip_suffix("_back").unwrap_or(segment);
        plain == "production" || plain == "preview"
    };
    match segments.as_slice() {
        [.., platform, last] if track(last) && matches!(*platform, "linux" | "mac") => {
            if *platform != context.platform.as_str() {
                tell(Check::UrlPlatform, shown);
            }
            if last.ends_with("_back") {
                tell(Check::UrlBack, shown);
            }
        }
        _ => tell(Check::UrlTrack, shown),
    }
}
