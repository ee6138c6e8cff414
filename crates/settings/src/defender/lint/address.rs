//! The mirror's address, as an agent is given it.

use url::Url;

use super::Context;
use crate::check::{Check, Finding};
use crate::defender::Address;
use crate::mirror_url::is_for_one_machine;
use crate::text::shown_url;

/// What is wrong with it.
pub(super) fn look(text: &str, at: &str, context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut tell = |check: Check, seen: &str| findings.push(Finding::new(check, at, seen));
    let shown = shown_url(text);
    let address = Address::read(text);
    match place(text) {
        Ok(None) => {}
        Ok(Some(url)) => web(&url, &address, &shown, &mut tell),
        Err(check) => tell(check, &shown),
    }
    layout(&address, &shown, context, &mut tell);
    if let Some(url) = &context.url
        && !Address::read(url).is_same(&address)
    {
        tell(Check::UrlRing, &format!("{shown}, where {url} is meant"));
    }
    findings
}

/// The URL that it is; none for a folder.
fn place(text: &str) -> Result<Option<Url>, Check> {
    if text.is_empty() || text.contains('\\') || text.trim() != text || text.chars().any(char::is_control) {
        return Err(Check::UrlUnreadable);
    }
    if text.starts_with('/') {
        // Two slashes are a share, not a folder.
        return if text.starts_with("//") { Err(Check::UrlUnreadable) } else { Ok(None) };
    }
    let Some((scheme, _)) = text.split_once("://") else {
        let first = text.split('/').next().unwrap_or_default();
        let host = first.contains('.') || first.contains(':') || first == "localhost";
        return Err(if host { Check::UrlNoScheme } else { Check::UrlUnreadable });
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Check::UrlScheme);
    }
    Url::parse(text).map(Some).map_err(|_| Check::UrlUnreadable)
}

fn web(url: &Url, address: &Address, shown: &str, tell: &mut impl FnMut(Check, &str)) {
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
    if address.is_of_vendor() {
        tell(Check::UrlVendor, shown);
    }
    if address.is_doubled() {
        tell(Check::UrlSlashes, shown);
    }
}

/// What the path says, by Microsoft's layout: platform, track, and nothing behind it.
fn layout(address: &Address, shown: &str, context: &Context, tell: &mut impl FnMut(Check, &str)) {
    if address.is_too_far() {
        return tell(Check::UrlArch, shown);
    }
    match address.layout() {
        Some((platform, track)) if !address.goes_on() => {
            if platform != context.platform.as_str() {
                tell(Check::UrlPlatform, shown);
            }
            if track.ends_with("_back") {
                tell(Check::UrlBack, shown);
            }
        }
        // What is mounted there decides; a URL has its layout in it.
        None if address.is_folder() => tell(Check::UrlFolder, shown),
        _ => tell(Check::UrlTrack, shown),
    }
}
