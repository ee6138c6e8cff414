//! Microsoft Defender's offline security intelligence for Linux and macOS.
//!
//! Upstream is a redirecting link per platform. With `action=info` it answers a small XML that names the
//! engine's and the definitions' versions, without it the archive `updates.zip`. Nothing binds the two but the
//! moment, so a session asks for the info before and after the archive and believes neither unless they agree.
//!
//! Microsoft signs what is inside, yet says nowhere how; here the archive is proven whole (one view, every
//! member's CRC) and bound to the host it came from: `transport-only`, and never called more.
//!
//! A folder is laid out as Microsoft's script leaves it:
//!
//! ```text
//! <platform>/<track>/arch_<arch>/updates.zip
//! <platform>/<track>/arch_<arch>/manifest.json    the script's own, our companion's pattern
//! ```

mod archive;
mod client;
mod companion;
mod info;
mod machine;
mod place;
mod run;

use model::{Digest, FeedId, ItemKind, RoutePath, Vendor};
use serde::{Deserialize, Serialize};

use crate::{FolderView, Memory, Session, Settings, SourceKind, VendorModule};
use place::Place;

pub use client::{Pair, companion, info, inspection, upstream};

/// What to do when an archive lacks members that such archives have had so far. An archive without any file is
/// refused under each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberPolicy {
    /// Do not look.
    Off,
    /// Take it and say so; refuse it when nothing in it is as expected.
    #[default]
    Warn,
    /// Refuse it.
    Require,
}

/// The settings that Defender's feeds depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefenderSettings {
    /// The number of the link that leads to the content for Linux.
    pub linux_link: u32,
    /// The number of the link that leads to the content for macOS.
    pub mac_link: u32,
    /// What to do when expected members are absent.
    pub expected_members: MemberPolicy,
    /// Patterns (`*`, `?`, alternatives parted by `|`, case ignored) that a member's name, without its folders,
    /// must match once each. What is inside is not documented, so this is data, not a fact.
    pub member_patterns: Vec<String>,
    /// The most bytes of an archive.
    pub archive_cap: u64,
    /// How often a run may begin anew because the vendor published in between.
    pub attempts: u8,
}

impl Default for DefenderSettings {
    fn default() -> Self {
        Self {
            linux_link: 2_144_709,
            mac_link: 2_120_136,
            expected_members: MemberPolicy::default(),
            member_patterns: vec!["*mpengine*".to_owned(), "mp*base.vdm".to_owned()],
            archive_cap: 2 << 30,
            attempts: 3,
        }
    }
}

/// Defender's module.
#[derive(Clone, Copy, Debug)]
pub struct Defender;

impl VendorModule for Defender {
    fn vendor(&self) -> Vendor {
        Vendor::Defender
    }

    fn supports(&self, feed: &FeedId) -> Result<(), String> {
        Place::of(feed).map(|_| ())
    }

    fn policy(&self, settings: &Settings) -> String {
        let of = &settings.defender;
        let text = format!(
            "defender 2\n{} {}\n{:?} {:?}\n{}\n",
            of.linux_link, of.mac_link, of.expected_members, of.member_patterns, of.archive_cap
        );
        Digest::of(text.as_bytes()).to_string()
    }

    fn session(&self, feed: &FeedId, settings: &Settings, source: SourceKind, memory: Memory) -> Box<dyn Session> {
        Box::new(run::Run::new(feed, &settings.defender, source, memory))
    }

    fn find_in_folder(&self, folder: &dyn FolderView, _: &[FeedId], _: &mut Settings) -> Vec<FeedId> {
        // One of the two files is enough to be found: what is missing is then said aloud.
        let lies = |place: &Place| {
            [place.archive(), place.companion()].into_iter().flatten().any(|route| folder.has_file(route.as_str()))
        };
        Place::all().filter(lies).filter_map(|place| place.feed()).collect()
    }

    fn fixed_addresses(&self) -> bool {
        true
    }

    fn back_route(&self, feed: &FeedId, route: &RoutePath) -> Option<RoutePath> {
        Place::of(feed).ok()?.back(route)
    }

    fn back_bases(&self, feed: &FeedId) -> Vec<RoutePath> {
        Place::of(feed).map(|place| place.back_bases()).unwrap_or_default()
    }

    fn files(&self, feed: &FeedId, _: &Settings, _: Option<(&RoutePath, &[u8])>) -> Vec<(RoutePath, ItemKind)> {
        let Ok(place) = Place::of(feed) else { return Vec::new() };
        let archive = place.archive().map(|route| (route, ItemKind::Artifact));
        archive.into_iter().chain(place.companion().map(|route| (route, ItemKind::Companion))).collect()
    }
}

#[cfg(test)]
mod tests;
