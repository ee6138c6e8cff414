//! Vendors and the way to them.

use std::path::PathBuf;

use model::{FeedId, Version};
use url::Url;

use super::{own_retention, scope};
use crate::Secret;
use crate::keys::Kind;
use crate::load::read_secret;
use crate::problem::quoted;
use crate::raw::Raw;
use crate::reader::{Reader, Scope};
use crate::setting::Setting;
use crate::types::{Defender, Demand, Elastic, ElasticMode, Origin, Proxy, Retention, UnknownPaths, VersionPattern};

pub(super) fn origin(reader: &Reader<'_>) -> Option<Origin> {
    let scope = scope(reader, "origin")?;
    let proxy = proxy(&scope);
    let no_proxy = hosts(&scope, "no_proxy", is_exempt);
    let ca_file = scope.path("ca_file");
    let connections = scope.get::<u64>("connections_per_host");
    let rate_limit = scope.maybe::<u64>("rate_limit");
    let allow_plain_http = scope.get("allow_plain_http");
    if rate_limit == Some(Some(0)) {
        scope.wrong("rate_limit", "is 0, so that nothing could be fetched; leave it out for no limit");
        return None;
    }
    Some(Origin {
        proxy: proxy?,
        no_proxy: no_proxy?,
        ca_file: ca_file?,
        connections_per_host: usize::try_from(connections?).ok()?,
        rate_limit: rate_limit?,
        allow_plain_http: allow_plain_http?,
    })
}

fn proxy(scope: &Scope<'_>) -> Option<Option<Proxy>> {
    let url = scope.maybe::<Url>("proxy");
    let password = password(scope);
    let (url, password) = (url?, password?);
    let Some(mut url) = url else {
        if password.is_some() {
            let key = if scope.has("proxy_password_file") { "proxy_password_file" } else { "proxy_password" };
            scope.wrong(key, "is given without origin.proxy");
            return None;
        }
        return Some(None);
    };
    if url.password().is_some() {
        scope.wrong("proxy", "holds a password, which logs and process lists would show; put it into a file and name that in proxy_password_file");
        return None;
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        scope.wrong(
            "proxy",
            "has a path; a proxy is a scheme, a host and a port: proxy = \"http://user@proxy.example:3128\"",
        );
        return None;
    }
    let user = (!url.username().is_empty()).then(|| url.username().to_owned());
    if user.is_none() && password.is_some() {
        scope.wrong(
            "proxy",
            "names no user for the password; write for example proxy = \"http://user@proxy.example:3128\"",
        );
        return None;
    }
    // Cannot fail for a URL with a host.
    url.set_username("").ok()?;
    Some(Some(Proxy { url, user, password }))
}

fn password(scope: &Scope<'_>) -> Option<Option<Secret>> {
    let plain: Option<Secret> = scope.maybe("proxy_password")?;
    let file: Option<PathBuf> = scope.path("proxy_password_file")?;
    match (plain, file) {
        (Some(_), Some(_)) => {
            scope.wrong("proxy_password", "stands beside proxy_password_file; keep one of the two");
            None
        }
        (plain, None) => Some(plain),
        (None, Some(file)) => match read_secret(&file) {
            Ok(secret) => Some(Some(secret)),
            Err(message) => {
                scope.wrong("proxy_password_file", message);
                None
            }
        },
    }
}

/// The base URL of a vendor: nothing in it but scheme, host, port and path.
fn base(scope: &Scope<'_>, plain_http: bool) -> Option<Url> {
    let url: Url = scope.get("origin")?;
    let wrong = if !url.username().is_empty() || url.password().is_some() {
        "holds a user or password, which no vendor asks for; remove it"
    } else if url.query().is_some() || url.fragment().is_some() {
        "has a '?' or '#' part; write the base alone"
    } else if url.scheme() == "http" && !plain_http {
        "is plain http; use https, or set origin.allow_plain_http = true for an internal origin"
    } else {
        return Some(url);
    };
    scope.wrong("origin", wrong);
    None
}

fn hosts(scope: &Scope<'_>, name: &'static str, good: fn(&str) -> bool) -> Option<Vec<String>> {
    let hosts: Vec<String> = scope.each(name)?;
    let bad: Vec<&String> = hosts.iter().filter(|host| !good(host)).collect();
    for host in &bad {
        scope.wrong(
            name,
            format!("{} is not a host's name; write for example {name} = [\"mirror.example\"]", quoted(host)),
        );
    }
    bad.is_empty().then_some(hosts)
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn is_redirect(text: &str) -> bool {
    match text.strip_prefix("*.") {
        // A suffix of one label would be a whole top-level domain.
        Some(suffix) => suffix.contains('.') && is_host(suffix),
        None => is_host(text) || text.parse::<std::net::IpAddr>().is_ok(),
    }
}

fn is_exempt(text: &str) -> bool {
    text.parse::<crate::Cidr>().is_ok() || is_host(text.strip_prefix('.').unwrap_or(text))
}

pub(super) fn elastic(reader: &Reader<'_>, common: Option<Retention>, plain_http: bool) -> Option<Option<Elastic>> {
    if !reader.has("elastic") {
        return Some(None);
    }
    let scope = scope(reader, "elastic")?;
    let origin = base(&scope, plain_http);
    let listed = scope.each("versions");
    let dated_templates = templates(&scope, "dated_templates", "{date}");
    let track_templates = templates(&scope, "track_templates", "{track}");
    let dated = dated(&scope);
    let demand = demand(&scope);
    let signature = scope.get("signature");
    let public_keys = scope.paths("public_keys");
    let schedule = scope.get("schedule");
    let retention = own_retention(reader, "elastic.retention", common);
    let (listed, dated, demand) = (listed?, dated?, demand?);
    let (versions, patterns) = split(listed);
    // No version need be named: what was learned is followed, and a list may be brought.
    let plain = versions.iter().filter_map(|version| format!("elastic/{version}").parse().ok());
    Some(Some(Elastic {
        origin: origin?,
        feeds: plain.chain(dated).collect(),
        versions,
        patterns,
        dated_templates: dated_templates?,
        track_templates: track_templates?,
        demand,
        signature: signature?,
        public_keys: public_keys?,
        schedule: schedule?,
        retention: retention?,
    }))
}

fn demand(scope: &Scope<'_>) -> Option<Demand> {
    let mode = scope.get::<String>("mode");
    let auto_learn = scope.get("auto_learn");
    let learned_feeds = scope.get::<u64>("learned_feeds").and_then(|number| usize::try_from(number).ok());
    let probe = scope.get("probe");
    let revalidate = scope.get("revalidate");
    let wait = scope.get("wait");
    let unknown_paths = scope.get::<String>("unknown_paths");
    let forwarded_bytes = scope.get("forwarded_bytes");
    let pass_headers = scope.each("pass_headers");
    Some(Demand {
        mode: if mode? == "proxy" { ElasticMode::Proxy } else { ElasticMode::Mirror },
        auto_learn: auto_learn?,
        learned_feeds: learned_feeds?,
        probe: probe?,
        revalidate: revalidate?,
        wait: wait?,
        unknown_paths: if unknown_paths? == "forward" { UnknownPaths::Forward } else { UnknownPaths::Refuse },
        forwarded_bytes: forwarded_bytes?,
        pass_headers: pass_headers?,
    })
}

fn split(listed: Vec<Listed>) -> (Vec<Version>, Vec<VersionPattern>) {
    let (mut versions, mut patterns) = (Vec::new(), Vec::new());
    for one in listed {
        match one {
            Listed::One(version) => versions.push(version),
            Listed::Pattern(pattern) => patterns.push(pattern),
        }
    }
    (versions, patterns)
}

/// What `elastic.versions` lists.
enum Listed {
    /// A version of Elastic Defend.
    One(Version),
    /// Its patch levels.
    Pattern(VersionPattern),
}

impl Setting for Listed {
    fn read(raw: &Raw, kind: Kind) -> Result<Self, String> {
        let text = String::read(raw, kind)?;
        if let Some(pattern) = VersionPattern::parse(&text) {
            return Ok(Self::Pattern(pattern));
        }
        match text.parse::<Version>() {
            Ok(version) if is_release(&text) && format!("elastic/{text}").parse::<FeedId>().is_ok() => {
                Ok(Self::One(version))
            }
            _ => {
                let hint = match text.split_once(['/', '@']) {
                    Some((version, _)) if !is_release(version) => "",
                    Some(_) if text.contains('/') => ": a candidate is followed with `waystation feed learn`",
                    Some(_) => ": dated ones stand in elastic.dated",
                    None => "",
                };
                Err(format!("{} is not a version of three numbers, nor a pattern such as 8.19.*{hint}", quoted(&text)))
            }
        }
    }

    fn show(&self) -> String {
        match self {
            Self::One(version) => version.as_str().to_owned(),
            Self::Pattern(pattern) => pattern.to_string(),
        }
    }
}

/// `9.0.0` or `9.0.0-beta1`: an endpoint's own version, as it asks for it.
fn is_release(text: &str) -> bool {
    let core = text.split('-').next().unwrap_or_default();
    let number = |part: &str| !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
    core.split('.').count() == 3 && core.split('.').all(number) && !text.ends_with('-')
}

fn dated(scope: &Scope<'_>) -> Option<Vec<FeedId>> {
    let texts: Vec<String> = scope.each("dated")?;
    let read = |text: &String| {
        let feed = format!("elastic/{text}").parse::<FeedId>().ok();
        let version = text.split('@').next().unwrap_or_default();
        let good = feed.filter(|feed| feed.date().is_some() && is_release(version));
        if good.is_none() {
            scope.wrong(
                "dated",
                format!("{} is not a version and a day; write for example \"8.18.3@2026-01-15\"", quoted(text)),
            );
        }
        good
    };
    let read: Vec<Option<FeedId>> = texts.iter().map(read).collect();
    read.into_iter().collect()
}

/// Paths with `{version}` and another mark in them.
fn templates(scope: &Scope<'_>, name: &'static str, mark: &str) -> Option<Vec<String>> {
    let templates: Vec<String> = scope.each(name)?;
    let good = |template: &&String| {
        let filled =
            template.replace("{version}", "9.0.0").replace("{date}", "2026-01-15").replace("{track}", "candidate");
        template.contains("{version}") && template.contains(mark) && filled.parse::<model::RoutePath>().is_ok()
    };
    let bad: Vec<&String> = templates.iter().filter(|template| !good(template)).collect();
    for template in &bad {
        let message = format!("{} is not a path from '/' on with {{version}} and {mark} in it", quoted(template));
        scope.wrong(name, message);
    }
    bad.is_empty().then_some(templates)
}

pub(super) fn defender(reader: &Reader<'_>, common: Option<Retention>, plain_http: bool) -> Option<Option<Defender>> {
    if !reader.has("defender") {
        return Some(None);
    }
    let scope = scope(reader, "defender")?;
    let origin = base(&scope, plain_http);
    let redirect_hosts = hosts(&scope, "redirect_hosts", is_redirect);
    let platforms = some_of(&scope, "platforms");
    let architectures = some_of(&scope, "architectures");
    let tracks = some_of(&scope, "tracks");
    let expected_members = scope.get("expected_members");
    let schedule = scope.get("schedule");
    let retention = own_retention(reader, "defender.retention", common);
    let (platforms, tracks, architectures) = (platforms?, tracks?, architectures?);
    let mut feeds = Vec::new();
    for platform in &platforms {
        for track in &tracks {
            for arch in &architectures {
                feeds.push(format!("defender/{platform}/{track}/{arch}").parse().ok()?);
            }
        }
    }
    Some(Some(Defender {
        origin: origin?,
        redirect_hosts: redirect_hosts?,
        feeds,
        expected_members: expected_members?,
        schedule: schedule?,
        retention: retention?,
    }))
}

fn some_of(scope: &Scope<'_>, name: &'static str) -> Option<Vec<String>> {
    let words: Vec<String> = scope.each(name)?;
    if words.is_empty() {
        scope.wrong(name, "is empty, so that nothing would be followed; name at least one, or remove [defender]");
        return None;
    }
    Some(words)
}
