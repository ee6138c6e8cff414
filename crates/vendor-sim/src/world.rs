//! What exists on the vendors' hosts now, by path.

mod spoil;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::{Digest, Timestamp};

use crate::content::Body;
use crate::defender::{DefenderChange, DefenderFeed, DefenderRelease, DefenderTarget, Query, Stream};
use crate::elastic::{Change, ElasticRelease, ElasticTarget, Line, Shelf};
use crate::fault::Kind;
use crate::keys::{KeyError, SigningKey};
use crate::settings::Settings;

/// A publication did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no such manifest.
    #[error("there is no simulated manifest '{0}'")]
    NoManifest(ElasticTarget),
    /// There is no such feed.
    #[error("there is no simulated feed '{0}'")]
    NoFeed(DefenderFeed),
    /// The manifest could not be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Something with an address.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) body: Body,
    /// Quoted.
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    pub(crate) content_type: &'static str,
    source: Source,
}

/// Whose release a resource belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Elastic(ElasticTarget),
    Defender(DefenderFeed),
}

/// What a request target leads to.
#[derive(Clone, Debug)]
pub(crate) enum Resolution {
    Found(Resource),
    Redirect(Kind, String),
    Missing(Kind),
}

impl Resolution {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Found(resource) => resource.kind,
            Self::Redirect(kind, _) | Self::Missing(kind) => *kind,
        }
    }
}

/// Both vendors' hosts.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) key: SigningKey,
    shelf: Shelf,
    lines: Vec<Line>,
    elastic: BTreeMap<ElasticTarget, Arc<ElasticRelease>>,
    streams: Vec<Stream>,
    defender: BTreeMap<DefenderFeed, Arc<DefenderRelease>>,
    resources: HashMap<String, Resource>,
    publications: u32,
}

const OCTETS: &str = "application/octet-stream";

impl World {
    /// The first releases, published.
    pub(crate) fn new(settings: Settings) -> Result<Self, KeyError> {
        let key = match &settings.signing_key {
            Some(key) => key.clone(),
            None => SigningKey::of_this_process()?,
        };
        let mut world = Self {
            lines: Line::all(&settings),
            streams: settings.defender.feeds.iter().map(|feed| Stream::new(*feed, &settings)).collect(),
            key,
            shelf: Shelf::default(),
            elastic: BTreeMap::new(),
            defender: BTreeMap::new(),
            resources: HashMap::new(),
            publications: 0,
            settings,
        };
        (0..world.lines.len()).try_for_each(|at| world.show_line(at))?;
        (0..world.streams.len()).for_each(|at| world.show_stream(at));
        Ok(world)
    }

    fn now(&self) -> Timestamp {
        self.settings.published.after(Duration::from_secs(4 * 3600 * u64::from(self.publications)))
    }

    pub(crate) fn publish_elastic(&mut self, target: &ElasticTarget, change: &Change) -> Result<(), PublishError> {
        let meant = |line: &Line| *target == ElasticTarget::All || line.target() == target;
        let all: Vec<usize> = (0..self.lines.len()).filter(|at| self.lines.get(*at).is_some_and(meant)).collect();
        if all.is_empty() {
            return Err(PublishError::NoManifest(target.clone()));
        }
        self.publications += 1;
        for at in all {
            if let Some(line) = self.lines.get_mut(at) {
                line.apply(change);
            }
            self.show_line(at)?;
        }
        Ok(())
    }

    fn show_line(&mut self, at: usize) -> Result<(), KeyError> {
        let published = self.now();
        let Some(line) = self.lines.get(at) else { return Ok(()) };
        let release = Arc::new(line.release(&self.settings, &mut self.shelf, &self.key, published)?);
        for (place, artifact) in release.artifacts.iter().enumerate() {
            let known = self.resources.get(&artifact.relative_url);
            let etag = artifact.encoded_sha256.etag();
            if known.is_none_or(|known| known.etag != etag) {
                let (kind, body) = (Kind::Artifact(place), artifact.body.clone());
                let source = Source::Elastic(release.target.clone());
                let resource = Resource { kind, body, etag, modified: published, content_type: OCTETS, source };
                self.resources.insert(artifact.relative_url.clone(), resource);
            }
        }
        let resource = Resource {
            kind: Kind::Manifest,
            body: Body::held(release.manifest.clone()),
            etag: Digest::of(&release.manifest).etag(),
            modified: published,
            content_type: "application/zip",
            source: Source::Elastic(release.target.clone()),
        };
        self.resources.insert(release.path.clone(), resource);
        self.elastic.insert(release.target.clone(), release);
        Ok(())
    }

    pub(crate) fn publish_defender(
        &mut self,
        target: DefenderTarget,
        change: &DefenderChange,
    ) -> Result<(), PublishError> {
        let meant = |feed| target == DefenderTarget::All || target == DefenderTarget::Feed(feed);
        let all: Vec<usize> = (0..self.streams.len())
            .filter(|at| self.streams.get(*at).is_some_and(|stream| meant(stream.feed)))
            .collect();
        if let (DefenderTarget::Feed(feed), true) = (target, all.is_empty()) {
            return Err(PublishError::NoFeed(feed));
        }
        self.publications += 1;
        for at in all {
            if let Some(stream) = self.streams.get_mut(at) {
                stream.apply(change);
            }
            self.show_stream(at);
        }
        Ok(())
    }

    fn show_stream(&mut self, at: usize) {
        let published = self.now();
        let Some(stream) = self.streams.get(at) else { return };
        let release = Arc::new(stream.release(&self.settings, published));
        let resource = Resource {
            kind: Kind::Archive,
            body: release.archive.clone(),
            // From the release's identity: hashing hundreds of megabytes would only slow the start.
            etag: Digest::of(format!("{}{published}", release.content_target).as_bytes()).etag(),
            modified: published,
            content_type: "application/zip",
            source: Source::Defender(release.feed),
        };
        self.resources.insert(content_key(&release.content_target), resource);
        self.defender.insert(release.feed, release);
    }

    /// Takes a path away: 404 from now on. Answers whether there was anything.
    pub(crate) fn retire_path(&mut self, target: &str) -> bool {
        self.resources.remove(&content_key(target)).is_some()
    }

    /// Takes a manifest away; its artifacts stay.
    pub(crate) fn retire_elastic(&mut self, target: &ElasticTarget) -> bool {
        let all = *target == ElasticTarget::All;
        let paths: Vec<String> =
            self.elastic.values().filter(|r| all || r.target == *target).map(|r| r.path.clone()).collect();
        paths.iter().filter(|path| self.resources.remove(path.as_str()).is_some()).count() > 0
    }

    /// Takes feeds away: their forward links and archives.
    pub(crate) fn retire_defender(&mut self, target: DefenderTarget) -> bool {
        let before = self.defender.len();
        self.defender.retain(|feed, _| target != DefenderTarget::All && target != DefenderTarget::Feed(*feed));
        let left = &self.defender;
        self.resources.retain(|_, resource| match &resource.source {
            Source::Defender(feed) => left.contains_key(feed),
            Source::Elastic(_) => true,
        });
        self.defender.len() < before
    }

    pub(crate) fn elastic_release(&self, target: &ElasticTarget) -> Option<Arc<ElasticRelease>> {
        self.elastic.get(target).cloned()
    }

    pub(crate) fn elastic_targets(&self) -> Vec<ElasticTarget> {
        self.elastic.keys().cloned().collect()
    }

    pub(crate) fn defender_release(&self, feed: DefenderFeed) -> Option<Arc<DefenderRelease>> {
        self.defender.get(&feed).cloned()
    }

    pub(crate) fn defender_feeds(&self) -> Vec<DefenderFeed> {
        self.defender.keys().copied().collect()
    }

    /// What `target` leads to; `base` is where absolute redirects go.
    pub(crate) fn resolve(&self, target: &str, base: &str) -> Resolution {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match path {
            "/fwlink" | "/fwlink/" => self.forward(Query(query), base),
            "/packages" | "/packages/" => self.packages(Query(query)),
            _ if path.starts_with(CHAIN) => {
                let step: u64 = path.strip_prefix(CHAIN).and_then(|number| number.parse().ok()).unwrap_or(0);
                Resolution::Redirect(Kind::Other, format!("{CHAIN}{}", step.saturating_add(1)))
            }
            _ if path.starts_with("/packages/") => match self.resources.get(&content_key(target)) {
                Some(resource) => Resolution::Found(resource.clone()),
                None => Resolution::Missing(Kind::Archive),
            },
            // A CDN does not look at arguments.
            _ => match self.resources.get(path) {
                Some(resource) => Resolution::Found(resource.clone()),
                None => Resolution::Missing(Kind::Other),
            },
        }
    }

    fn forward(&self, query: Query<'_>, base: &str) -> Resolution {
        let feed = DefenderFeed::from_query(&query).filter(|feed| self.defender.contains_key(feed));
        let Some(feed) = feed.filter(|_| query.get("linkid").is_some()) else {
            return Resolution::Missing(Kind::Fwlink);
        };
        // The vendor carries the other arguments over.
        let rest: String = query
            .0
            .split('&')
            .filter(|pair| !pair.to_ascii_lowercase().starts_with("linkid="))
            .map(|p| format!("&{p}"))
            .collect();
        Resolution::Redirect(Kind::Fwlink, format!("{base}/packages?ostype={}{rest}", feed.platform))
    }

    fn packages(&self, query: Query<'_>) -> Resolution {
        let Some(release) = DefenderFeed::from_query(&query).and_then(|feed| self.defender.get(&feed)) else {
            return Resolution::Missing(Kind::Packages);
        };
        if query.get("action") != Some("info") {
            return Resolution::Redirect(Kind::Packages, release.content_target.clone());
        }
        Resolution::Found(Resource {
            kind: Kind::Info,
            body: Body::held(release.info.clone()),
            etag: Digest::of(release.info.as_bytes()).etag(),
            modified: release.published,
            content_type: "text/xml; charset=utf-8",
            source: Source::Defender(release.feed),
        })
    }
}

/// Where `redirect-chain` leads.
pub(crate) const CHAIN: &str = "/simulated/chain/";

/// A content address whose arguments may come in any order.
fn content_key(target: &str) -> String {
    match target.split_once('?') {
        Some((path, query)) => format!("{path}?{}", Query(query).sorted().join("&")),
        None => target.to_owned(),
    }
}
