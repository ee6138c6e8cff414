//! The hosts that vendors need, asked the way a sync asks them.

use std::collections::BTreeMap;

use bytes::Bytes;
use config::Config;
use futures_util::future::join_all;
use model::{Exchange, FeedId, Reason, TlsAnchor, Vendor};
use outbound::{OutboundError, Request, Response};
use url::Url;
use vendors::{Answer, Event, Memory, SourceKind, Step, registry};

use crate::Check;
use crate::around::Surroundings;
use crate::around::clock::Heard;
use crate::around::issuer::{self, Looked};
use crate::finding::{Finding, HostRow, Level, clean};
use crate::play::anchor_words;
use crate::wire::Waits;

/// What asking brought.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) rows: Vec<HostRow>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) dates: Vec<Heard>,
}

/// What is to be asked.
struct Probe {
    vendor: Vendor,
    url: Url,
    /// The feed whose first document it is, where it is one.
    feed: Option<FeedId>,
    redirect_hosts: Vec<String>,
    purpose: &'static str,
    /// The most bytes of the document.
    cap: u64,
}

const ELASTIC: &str = "manifests and artifacts of Elastic Defend";
const LINK: &str = "links to Defender's security intelligence";
const CONTENT: &str = "Defender's security intelligence itself";
const HTTPS: &str = "HTTPS";
const HTTP: &str = "HTTP";

/// Asks every host, all at once.
pub(crate) async fn look(site: &Surroundings, waits: Waits) -> Asked {
    let mut asked = Asked::default();
    let first = join_all(probes(site).into_iter().map(|probe| ask(site, probe, waits))).await;
    first.into_iter().for_each(|one| asked.join(one));
    // Hosts that a redirect led to were asked by that; the others are asked by themselves.
    let rest = others(&site.config, &asked.rows);
    let rest = join_all(rest.into_iter().map(|probe| ask(site, probe, waits))).await;
    // Where every link led somewhere, the vendor is known not to redirect to the others.
    let is_known = asked.rows.iter().all(|row| row.purpose != LINK || row.level == Some(Level::Ok));
    rest.into_iter().for_each(|one| asked.join(if is_known { one.unasked() } else { one.unknown() }));
    asked.rows.extend(patterns(&site.config, &asked.rows));
    if let Some(row) = proxy(&site.config, &asked.findings) {
        asked.rows.insert(0, row);
    }
    asked
}

impl Asked {
    fn join(&mut self, other: Self) {
        for mut row in other.rows {
            let Some(known) = self.rows.iter_mut().find(|known| (&known.host, known.port) == (&row.host, row.port))
            else {
                self.rows.push(row);
                continue;
            };
            // Whoever needs it needs it, whatever came of it.
            let needed_by = both(&known.needed_by, &row.needed_by);
            if row.level > known.level {
                std::mem::swap(known, &mut row);
            }
            known.needed_by = needed_by;
        }
        self.findings.extend(other.findings);
        self.dates.extend(other.dates);
    }

    /// Of a host of which is not known whether the vendor redirects there: it may be needed, and does not answer.
    fn unknown(mut self) -> Self {
        let words = |came: &str| {
            clean(&format!(
                "whether the vendor redirects there is not known: its links could not be asked; by itself: {came}"
            ))
        };
        for row in self.rows.iter_mut().filter(|row| row.level == Some(Level::Fail)) {
            row.result = words(&row.result);
        }
        for finding in self.findings.iter_mut().filter(|finding| finding.level == Level::Fail) {
            finding.came = words(&finding.came);
        }
        self
    }

    /// Of a host that the vendor led to by nothing: a sync did not need it, so that its silence is no fault.
    fn unasked(mut self) -> Self {
        for row in self.rows.iter_mut().filter(|row| row.level == Some(Level::Fail)) {
            row.level = None;
            row.result = clean(&format!("the vendor does not redirect there now; asked by itself: {}", row.result));
        }
        self.findings.retain(|finding| finding.level != Level::Fail);
        self
    }
}

/// Names in lists, each once.
fn both(one: &str, other: &str) -> String {
    let mut names: Vec<&str> = one.split(", ").collect();
    for name in other.split(", ") {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn probes(site: &Surroundings) -> Vec<Probe> {
    let config = &site.config;
    let mut probes = Vec::new();
    if let Some(elastic) = &config.elastic {
        // Before set-up nobody has named a version, and a guess that the vendor has retired would look like a fault.
        let feed = elastic.feeds.first().filter(|_| site.is_set_up);
        probes.push(first(site, &elastic.origin, feed, ELASTIC));
    }
    if let Some(defender) = &config.defender {
        // One link for each platform: a firewall may let one through and not the other.
        let mut platforms: BTreeMap<String, &FeedId> = BTreeMap::new();
        for feed in &defender.feeds {
            platforms.entry(feed.segments().next().unwrap_or_default().to_owned()).or_insert(feed);
        }
        for feed in platforms.into_values() {
            let redirect_hosts = defender.redirect_hosts.clone();
            probes.push(Probe { redirect_hosts, ..first(site, &defender.origin, Some(feed), LINK) });
        }
    }
    probes
}

/// What the vendor's own session asks first; without a feed, the origin itself.
fn first(site: &Surroundings, origin: &Url, feed: Option<&FeedId>, purpose: &'static str) -> Probe {
    let vendor = feed.map_or(Vendor::Elastic, FeedId::vendor);
    let step = feed.map(|feed| {
        let mut session = registry(vendor).session(feed, &site.settings, SourceKind::Vendor, Memory::default());
        session.next(Event::Start)
    });
    let base = origin.as_str().trim_end_matches('/');
    let (url, cap) = match step {
        Some(Step::Ask(ask)) => {
            // A query belongs behind the origin's own path, slash and all.
            let base = if ask.target.0.starts_with('?') { origin.as_str() } else { base };
            (Url::parse(&format!("{base}{}", ask.target.0)).ok(), ask.cap)
        }
        _ => (None, 0),
    };
    let feed = feed.filter(|_| url.is_some()).cloned();
    let url = url.unwrap_or_else(|| origin.clone());
    Probe { vendor, url, feed, redirect_hosts: Vec::new(), purpose, cap }
}

/// Hosts that the vendor may redirect to, and that nobody led to.
fn others(config: &Config, rows: &[HostRow]) -> Vec<Probe> {
    let Some(defender) = &config.defender else { return Vec::new() };
    let known = |host: &str| rows.iter().any(|row| row.host == host && row.level == Some(Level::Ok));
    let named = defender.redirect_hosts.iter().filter(|host| !host.starts_with("*.") && !known(host));
    let probe = |host: &String| {
        let url = Url::parse(&format!("https://{host}/")).ok()?;
        let purpose = CONTENT;
        Some(Probe { vendor: Vendor::Defender, url, feed: None, redirect_hosts: Vec::new(), purpose, cap: 0 })
    };
    named.filter_map(probe).collect()
}

/// Suffixes: which of their names a vendor uses shows only when it redirects there.
fn patterns(config: &Config, rows: &[HostRow]) -> Vec<HostRow> {
    let patterns =
        config.defender.iter().flat_map(|one| one.redirect_hosts.iter()).filter(|host| host.starts_with("*."));
    let row = |pattern: &String| {
        let suffix = pattern.trim_start_matches('*');
        let used = rows.iter().find(|row| row.host.ends_with(suffix));
        let result = match used {
            Some(row) => format!("the vendor redirects to {}", row.host),
            None => "the vendor redirects there in some regions".to_owned(),
        };
        HostRow {
            host: pattern.clone(),
            port: 443,
            protocol: HTTPS,
            purpose: CONTENT,
            needed_by: Vendor::Defender.to_string(),
            level: None,
            result,
            via: via(config),
        }
    };
    patterns.map(row).collect()
}

fn proxy(config: &Config, findings: &[Finding]) -> Option<HostRow> {
    let proxy = config.origin.proxy.as_ref()?;
    let bad = findings.iter().find(|finding| finding.check == Check::Proxy && finding.level != Level::Ok);
    Some(HostRow {
        host: proxy.url.host_str().unwrap_or_default().to_owned(),
        port: proxy.url.port_or_known_default().unwrap_or(0),
        protocol: "HTTP CONNECT",
        purpose: "the way out",
        needed_by: "origin.proxy".to_owned(),
        level: Some(bad.map_or(Level::Ok, |finding| finding.level)),
        result: bad.map_or_else(|| "lets requests through".to_owned(), |finding| finding.came.clone()),
        via: "direct".to_owned(),
    })
}

fn via(config: &Config) -> String {
    config.origin.proxy.as_ref().map_or_else(|| "direct".to_owned(), |proxy| shown(&proxy.url))
}

fn shown(url: &Url) -> String {
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

async fn ask(site: &Surroundings, probe: Probe, waits: Waits) -> Asked {
    let mut request = Request::get(probe.url.clone());
    request.redirect_hosts.clone_from(&probe.redirect_hosts);
    request.head_only = probe.feed.is_none();
    let mut asked = Asked::default();
    match site.outbound.get(request).await {
        Ok(response) => {
            let exchange = response.exchange.clone();
            let offered = read(site, &probe, response).await;
            answered(&probe, &exchange, offered, &mut asked);
            asked.findings.extend(intercepted(site, &exchange, waits).await);
        }
        // Any answer of the host itself shows that it can be reached.
        Err(OutboundError { reason, exchange: Some(exchange), .. }) if probe.feed.is_none() && is_answer(reason) => {
            let words = format!("answers ({})", exchange.status);
            answered(&probe, &exchange, Ok(words), &mut asked);
            asked.findings.extend(intercepted(site, &exchange, waits).await);
        }
        Err(error) => {
            let url = error.exchange.as_ref().and_then(|exchange| Url::parse(exchange.urls.last()?).ok());
            let url = url.or_else(|| Url::parse(&error.url).ok()).unwrap_or_else(|| probe.url.clone());
            asked.dates.extend(error.exchange.as_ref().and_then(|exchange| Heard::of(&host_of(&url), exchange)));
            let looked = match error.reason {
                Reason::TlsFailed => issuer::look(&site.config, &url, site.clock.now(), waits).await,
                _ => None,
            };
            asked.join(failed(via(&site.config), &probe, &url, (&error, looked.as_ref())));
            if let Some(exchange) = &error.exchange {
                asked.findings.extend(intercepted(site, exchange, waits).await);
            }
        }
    }
    asked
}

fn is_answer(reason: Reason) -> bool {
    !matches!(reason, Reason::ProxyFailed | Reason::AddressRefused | Reason::RedirectRefused)
}

/// Reads the first document and tells what it offers, or why it is none.
async fn read(site: &Surroundings, probe: &Probe, mut response: Response) -> Result<String, String> {
    let Some(feed) = &probe.feed else { return Ok(format!("answers ({})", response.status)) };
    let mut body = Vec::new();
    loop {
        match response.body.chunk().await {
            Ok(None) => break,
            Ok(Some(piece)) if body.len() as u64 + piece.len() as u64 > probe.cap => {
                return Err(format!("its first document has more than {} bytes", probe.cap));
            }
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Err(error) => return Err(format!("{}: {}", error.reason, error.detail)),
        }
    }
    let mut session = registry(probe.vendor).session(feed, &site.settings, SourceKind::Vendor, Memory::default());
    let _the_same_question_again = session.next(Event::Start);
    let step = session.next(Event::Answered(Answer { body: Bytes::from(body), exchange: Some(response.exchange) }));
    match (step, session.offered()) {
        (Step::Refuse(refusal), _) => Err(format!("{}: {}", refusal.note.reason, refusal.note.detail)),
        (_, Some(offered)) => Ok(format!("offers {} of {feed}", offered.vendor_version)),
        (_, None) => Ok("answers".to_owned()),
    }
}

fn answered(probe: &Probe, exchange: &Exchange, offered: Result<String, String>, asked: &mut Asked) {
    let urls: Vec<Url> = exchange.urls.iter().filter_map(|url| Url::parse(url).ok()).collect();
    let last = urls.len().saturating_sub(1);
    for (index, url) in urls.iter().enumerate() {
        let vouched = anchor_words(exchange.anchor);
        let words = match (&offered, index == last) {
            (_, false) => "redirects onward".to_owned(),
            (Ok(words), true) => format!("{words}, vouched for by {vouched}"),
            (Err(why), true) => why.clone(),
        };
        let level = if index == last && offered.is_err() { Level::Fail } else { Level::Ok };
        let purpose = if index > 0 { CONTENT } else { probe.purpose };
        let via = exchange.proxy.clone().unwrap_or_else(|| "direct".to_owned());
        asked.rows.push(row(probe, url, purpose, (level, words.clone(), via)));
        asked.findings.push(Finding::new(level, Check::Host, &host_of(url), "the first request of a sync", words));
    }
    if let (Some(proxy), Some(url)) = (&exchange.proxy, urls.last()) {
        asked.findings.push(Finding::ok(Check::Proxy, proxy, "a tunnel", format!("opened to {}", host_of(url))));
    }
    asked.dates.extend(urls.last().and_then(|url| Heard::of(&host_of(url), exchange)));
}

fn failed(via: String, probe: &Probe, url: &Url, (error, looked): (&OutboundError, Option<&Looked>)) -> Asked {
    let mut asked = Asked::default();
    let mut words = format!("{}: {}", error.reason, error.detail);
    if let Some(looked) = looked {
        words.push_str(&format!("; its certificate was issued by '{}'", looked.issuer));
    }
    let came = clean(&words);
    asked.rows.push(row(probe, url, probe.purpose, (Level::Fail, came.clone(), via)));
    let question = "the first request of a sync";
    let finding = match (error.reason, looked) {
        (Reason::ProxyFailed, _) => Finding::fail(Check::Proxy, &host_of(url), question, came),
        (Reason::TlsFailed, Some(looked)) if !looked.public && is_public(url) => {
            Finding::fail(Check::Intercepted, &host_of(url), question, came)
        }
        _ => Finding::fail(Check::Host, &host_of(url), question, came).with_remedy(error.reason.remedy()),
    };
    asked.findings.push(finding);
    asked
}

fn row(probe: &Probe, url: &Url, purpose: &'static str, (level, result, via): (Level, String, String)) -> HostRow {
    HostRow {
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or(0),
        protocol: if url.scheme() == "https" { HTTPS } else { HTTP },
        purpose,
        needed_by: probe.vendor.to_string(),
        level: Some(level),
        result: clean(&result),
        via,
    }
}

/// A vendor's public host that no public root vouches for is not the vendor's.
async fn intercepted(site: &Surroundings, exchange: &Exchange, waits: Waits) -> Option<Finding> {
    let url = exchange.urls.last().and_then(|url| Url::parse(url).ok())?;
    if !matches!(exchange.anchor, TlsAnchor::SystemRoot | TlsAnchor::CaFile) || !is_public(&url) {
        return None;
    }
    let looked = issuer::look(&site.config, &url, site.clock.now(), waits).await;
    let issuer = looked.map_or_else(|| "somebody".to_owned(), |looked| format!("'{}'", looked.issuer));
    let came = format!("a certificate issued by {issuer}, vouched for by {}", anchor_words(exchange.anchor));
    Some(Finding::warn(Check::Intercepted, &host_of(&url), "who answers TLS", came))
}

/// Whether a host is the vendors' own.
fn is_public(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    ["elastic.co", "microsoft.com"]
        .iter()
        .any(|domain| host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
