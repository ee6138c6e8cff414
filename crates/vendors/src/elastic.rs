//! Elastic Defend's global artifacts: one manifest zip per Endpoint version, artifacts beside it.
//!
//! The zip holds `manifest.json` and `manifest.sig`; the manifest names each artifact by a path and the size and
//! SHA-256 of its bytes on the wire (encoded) and unpacked (decoded). A folder that a person brought has the same
//! paths. What of the vendor's layout is not publicly known (the paths of dated and candidate manifests) is
//! a setting without a default.

mod archive;
mod client;
mod dates;
mod decoded;
mod forwarded;
mod in_folder;
mod layout;
mod manifest;
mod session;
mod wanted;

use std::fmt;
use std::sync::Arc;

use model::{Digest, FeedId, ItemKind, RoutePath, Vendor};
use serde::{Deserialize, Serialize};
use trust::KeyRing;

use crate::{FolderView, Memory, Place, Session, Settings, SourceKind, VendorModule};

pub use archive::is_manifest;
pub use client::{NamedArtifact, Opened, open};
pub use dates::{Rule, check_date, never_offered};
pub use forwarded::{Forwarded, ForwardedPath};
pub use wanted::{DOWNLOADS, Wanted, templates, wanted};

/// What becomes of a manifest whose signature no known key verifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureMode {
    /// Signatures are not looked at.
    Off,
    /// It is taken, and the release says so.
    #[default]
    Warn,
    /// It is refused.
    Require,
}

impl SignatureMode {
    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Require => "require",
        }
    }
}

impl fmt::Display for SignatureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The settings that Elastic's feeds depend on.
#[derive(Clone, Debug)]
pub struct ElasticSettings {
    /// What becomes of a manifest whose signature no known key verifies.
    pub signature: SignatureMode,
    /// The keys that signatures are checked with.
    pub keys: Arc<KeyRing>,
    /// Where a version's manifest lies: a path with `{version}`.
    pub manifest_template: String,
    /// Where dated manifests lie: paths with `{version}` and `{date}`, and with `{track}` for dated ones of a
    /// track. The first that fits a feed is used. The vendor's own are not publicly known.
    pub dated_templates: Vec<String>,
    /// Where the manifests of a track lie: paths with `{version}` and `{track}`. The first that fits is used.
    /// The vendor's own are not publicly known.
    pub track_templates: Vec<String>,
    /// What `elastic/forwarded` consists of.
    pub forwarded: Forwarded,
    /// The most bytes of a manifest zip, and of the manifest in it.
    pub manifest_cap: u64,
    /// The most bytes of one artifact, encoded or decoded.
    pub artifact_cap: u64,
    /// The most bytes that all artifacts of a manifest have together, encoded.
    pub total_cap: u64,
    /// The most artifacts that a manifest names.
    pub artifacts: usize,
}

impl Default for ElasticSettings {
    fn default() -> Self {
        Self {
            signature: SignatureMode::default(),
            keys: Arc::new(KeyRing::built_in()),
            manifest_template: layout::MANIFEST.to_owned(),
            dated_templates: Vec::new(),
            track_templates: Vec::new(),
            forwarded: Forwarded::default(),
            manifest_cap: 16 << 20,
            artifact_cap: 2 << 30,
            total_cap: 16 << 30,
            artifacts: 10_000,
        }
    }
}

/// Elastic's module.
#[derive(Clone, Copy, Debug)]
pub struct Elastic;

impl VendorModule for Elastic {
    fn vendor(&self) -> Vendor {
        Vendor::Elastic
    }

    fn supports(&self, feed: &FeedId) -> Result<(), String> {
        layout::supports(feed)
    }

    fn configured(&self, feed: &FeedId, settings: &Settings) -> Result<(), String> {
        if is_forwarded(feed) {
            return Ok(());
        }
        layout::manifest_route(feed, &settings.elastic).map(|_| ())
    }

    fn places(&self, feed: &FeedId, settings: &Settings) -> Vec<Place> {
        if feed.date().is_none() && feed.segments().count() < 2 {
            return Vec::new();
        }
        let place = |template: String| {
            let mut settings = settings.clone();
            settings.elastic.dated_templates = vec![template.clone()];
            settings.elastic.track_templates = vec![template.clone()];
            Place { name: Some(template), settings }
        };
        templates(feed, &settings.elastic).into_iter().map(place).collect()
    }

    fn makes_room(&self, feed: &FeedId) -> bool {
        is_forwarded(feed)
    }

    fn policy(&self, settings: &Settings) -> String {
        policy(&settings.elastic).to_string()
    }

    fn session(&self, feed: &FeedId, settings: &Settings, source: SourceKind, memory: Memory) -> Box<dyn Session> {
        if is_forwarded(feed) {
            return Box::new(forwarded::ForwardSession::new(&settings.elastic));
        }
        Box::new(session::ElasticSession::new(feed, &settings.elastic, source, memory))
    }

    fn find_in_folder(&self, folder: &dyn FolderView, followed: &[FeedId], settings: &mut Settings) -> Vec<FeedId> {
        in_folder::find(folder, followed, &mut settings.elastic)
    }

    fn back_route(&self, _feed: &FeedId, _route: &RoutePath) -> Option<RoutePath> {
        None
    }

    fn back_bases(&self, _feed: &FeedId) -> Vec<RoutePath> {
        Vec::new()
    }

    fn files(
        &self,
        feed: &FeedId,
        settings: &Settings,
        manifest: Option<(&RoutePath, &[u8])>,
    ) -> Vec<(RoutePath, ItemKind)> {
        let Some((route, zip)) = manifest else {
            let places = self.places(feed, settings).into_iter().map(|place| place.settings);
            let all = std::iter::once(settings.clone()).chain(places);
            let routes = all.flat_map(|settings| layout::routes_of(feed, &settings.elastic));
            return routes.map(|route| (route, ItemKind::Manifest)).collect();
        };
        // Its signature was judged when the release was let in.
        let settings = ElasticSettings { signature: SignatureMode::Off, ..settings.elastic.clone() };
        let named = open(zip, route, &settings).map(|opened| opened.artifacts).unwrap_or_default();
        let artifacts = named.into_iter().map(|artifact| (artifact.route, ItemKind::Artifact));
        artifacts.chain([(route.clone(), ItemKind::Manifest)]).collect()
    }
}

/// The feed of files that no manifest names.
pub fn forwarded_feed() -> Option<FeedId> {
    layout::FORWARDED.parse().ok()
}

/// Whether a feed is the one of files that no manifest names. What it serves makes room for what a manifest names.
pub fn is_forwarded(feed: &FeedId) -> bool {
    feed.as_str() == layout::FORWARDED
}

/// Changes when a manifest that was judged once would be judged otherwise now; the number, when the rules here do.
fn policy(settings: &ElasticSettings) -> Digest {
    let mut keys: Vec<&str> = settings.keys.ids().collect();
    keys.sort_unstable();
    let text = format!("elastic policy 1\nsignature {}\nkeys {}\n", settings.signature, keys.join(" "));
    Digest::of(text.as_bytes())
}

#[cfg(test)]
mod tests;
