//! The vendors, asked without a socket: real answers of simulated hosts through the product's own client rules, and
//! what can be wrong with an answer.

mod answer;
mod trick;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use model::{Clock, Digest, FeedId, Reason, Vendor};
use outbound::{Body, Outbound, OutboundError, Request, Response, ScriptedAnswer, ScriptedClient};
use url::Url;
use vendor_sim::{Change, DefenderChange, DefenderTarget, ElasticTarget, Hosts, KeyError, PublishError, Said};

use crate::draw::Draw;
use crate::process::{Operation, Process};
use answer::{Page, Wanted};
pub(crate) use trick::{Mischief, Trick};

/// What stands for Elastic's host.
pub(crate) const ELASTIC: &str = "https://elastic.simulated";
/// What stands for Microsoft's forward link.
pub(crate) const DEFENDER: &str = "https://defender.simulated/fwlink/";
/// Where the forward link leads.
const PACKAGES: &str = "https://defender.simulated";

/// Both vendors, and how their answers are spoiled just now.
pub(crate) struct Upstream(Mutex<State>);

struct State {
    hosts: Hosts,
    draw: Draw,
    mischief: Mischief,
    /// What was ever published, whole and true.
    honest: BTreeSet<Digest>,
    /// Definitions and engine of each archive.
    archives: BTreeMap<Digest, (String, String)>,
    /// The answers of earlier releases, for hosts that are stuck.
    earlier: BTreeMap<String, Page>,
    /// How many answers were tampered with.
    tricks: u64,
    /// How often something was published.
    publications: u64,
}

impl Upstream {
    pub(crate) fn new(settings: vendor_sim::Settings, draw: Draw) -> Result<Self, KeyError> {
        let mut state = State {
            hosts: Hosts::new(settings)?,
            draw,
            mischief: Mischief::default(),
            honest: BTreeSet::new(),
            archives: BTreeMap::new(),
            earlier: BTreeMap::new(),
            tricks: 0,
            publications: 0,
        };
        state.note_honest();
        Ok(Self(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides how answers are spoiled from now on.
    pub(crate) fn set_mischief(&self, mischief: Mischief) {
        self.state().mischief = mischief;
    }

    /// How many answers were tampered with, and how often something was published.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.tricks, state.publications)
    }

    pub(crate) fn publish_elastic(&self, target: &ElasticTarget, change: &Change) -> Result<(), PublishError> {
        self.state().publish(|hosts| hosts.publish_elastic(target, change))
    }

    pub(crate) fn publish_defender(&self, change: &DefenderChange) -> Result<(), PublishError> {
        self.state().publish(|hosts| hosts.publish_defender(DefenderTarget::All, change))
    }

    /// Whether these bytes were ever published whole.
    pub(crate) fn is_honest(&self, digest: &Digest) -> bool {
        self.state().honest.contains(digest)
    }

    /// Definitions and engine of a published archive.
    pub(crate) fn archive(&self, digest: &Digest) -> Option<(String, String)> {
        self.state().archives.get(digest).cloned()
    }

    /// The version that a feed shows now, and its paths and digests as far as the vendor names them.
    pub(crate) fn offer(&self, feed: &FeedId) -> Option<Offer> {
        let state = self.state();
        match feed.vendor() {
            Vendor::Elastic => {
                let target = ElasticTarget::Version(feed.segments().next()?.to_owned());
                let release = state.hosts.elastic_release(&target)?;
                let mut files: BTreeMap<String, Digest> = release
                    .artifacts
                    .iter()
                    .map(|artifact| (artifact.relative_url.clone(), artifact.encoded_sha256))
                    .collect();
                files.insert(release.path.clone(), Digest::of(&release.manifest));
                Some(Offer { version: release.manifest_version.clone(), files })
            }
            Vendor::Defender => {
                let name = feed.as_str().strip_prefix("defender/")?;
                let release = state.hosts.defender_release(name.parse().ok()?)?;
                let mut parts = name.split('/');
                let (platform, track, arch) = (parts.next()?, parts.next()?, parts.next()?);
                let path = format!("/{platform}/{track}/arch_{arch}/updates.zip");
                let files = BTreeMap::from([(path, release.archive.digest())]);
                Some(Offer { version: release.definitions.clone(), files })
            }
        }
    }

    /// A client that plays the answer to this one request.
    fn script(&self, request: &Request, clock: Arc<dyn Clock>) -> ScriptedClient {
        let client = ScriptedClient::new(clock);
        let mut state = self.state();
        let mut url = request.url.clone();
        for _ in 0..4 {
            let target = target(&url);
            match state.hosts.ask(&target, PACKAGES) {
                Said::Redirect(to) => {
                    if let Some(trick) = state.trick(None).filter(Trick::is_of_a_head) {
                        client.answer(url.as_str(), trick.bare());
                        return client;
                    }
                    client.answer(url.as_str(), ScriptedAnswer::redirect(&to));
                    let Ok(next) = url.join(&to) else { return client };
                    url = next;
                }
                Said::Missing => {
                    client.answer(url.as_str(), ScriptedAnswer::status(404));
                    return client;
                }
                Said::Found { kind, body, etag, modified } => {
                    let page = Page { body: Bytes::from(body.to_vec()), etag, modified };
                    let trick = state.trick(Some(kind));
                    let answer = state.answer(&target, page, trick, &Wanted::of(request));
                    client.answer(url.as_str(), answer);
                    return client;
                }
            }
        }
        client
    }
}

/// What a vendor shows now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// In the vendor's own words.
    pub(crate) version: String,
    /// Path and bytes; a companion is ours and not among them.
    pub(crate) files: BTreeMap<String, Digest>,
}

impl State {
    fn publish(&mut self, act: impl FnOnce(&mut Hosts) -> Result<(), PublishError>) -> Result<(), PublishError> {
        self.publications += 1;
        let done = act(&mut self.hosts);
        self.note_honest();
        done
    }

    fn note_honest(&mut self) {
        for version in crate::world::VERSIONS {
            let Some(release) = self.hosts.elastic_release(&ElasticTarget::Version(version.to_owned())) else {
                continue;
            };
            self.honest.insert(Digest::of(&release.manifest));
            self.honest.extend(release.artifacts.iter().map(|artifact| artifact.encoded_sha256));
        }
        for feed in vendor_sim::DefenderFeed::ALL {
            let Some(release) = self.hosts.defender_release(feed) else { continue };
            let digest = release.archive.digest();
            self.honest.insert(digest);
            self.archives.insert(digest, (release.definitions.clone(), release.engine.clone()));
        }
    }

    /// Whether and how the next answer is spoiled.
    fn trick(&mut self, kind: Option<vendor_sim::Kind>) -> Option<Trick> {
        let trick = self.mischief.next(&mut self.draw, kind)?;
        self.tricks += 1;
        Some(trick)
    }
}

fn target(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// One process's line to the vendors: each request and each chunk of a body is an operation.
pub(crate) struct Line {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) process: Arc<Process>,
    pub(crate) clock: Arc<dyn Clock>,
}

fn cut(url: &str) -> impl Fn() -> OutboundError + Send {
    let url = url.to_owned();
    move || OutboundError {
        reason: Reason::ConnectFailed,
        url: url.clone(),
        detail: "struck by the simulation".to_owned(),
        retry_after: None,
        exchange: None,
    }
}

#[async_trait]
impl Outbound for Line {
    async fn get(&self, request: Request) -> Result<Response, OutboundError> {
        let url = request.url.to_string();
        let work = async {
            let client = self.upstream.script(&request, Arc::clone(&self.clock));
            client.get(request).await
        };
        let response = self.process.run(Operation::reads("vendor.ask", target_text(&url)), work, cut(&url)).await?;
        let body = Box::new(Counted { inner: response.body, process: Arc::clone(&self.process), url });
        Ok(Response { body, ..response })
    }

    fn checks_addresses(&self) -> bool {
        true
    }
}

fn target_text(url: &str) -> String {
    url.split_once("simulated").map_or(url, |(_, rest)| rest).to_owned()
}

struct Counted {
    inner: Box<dyn Body>,
    process: Arc<Process>,
    url: String,
}

#[async_trait]
impl Body for Counted {
    async fn chunk(&mut self) -> Result<Option<Bytes>, OutboundError> {
        let operation = Operation::reads("vendor.chunk", "");
        self.process.run(operation, self.inner.chunk(), cut(&self.url)).await
    }
}
