//! What is followed of Elastic, and what is fetched because it was asked for.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use model::{FeedId, Version};
use url::Url;

use super::{Retention, Strictness};

/// What is followed of Elastic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elastic {
    /// The base URL of its artifacts.
    pub origin: Url,
    /// The versions followed.
    pub versions: Vec<Version>,
    /// Whole lines of versions that are followed as they become known.
    pub patterns: Vec<VersionPattern>,
    /// Paths that a dated manifest is looked for at, with `{version}` and `{date}` in them.
    pub dated_templates: Vec<String>,
    /// Paths that the manifest of a track is looked for at, with `{version}` and `{track}` in them.
    pub track_templates: Vec<String>,
    /// What is fetched because it was asked for.
    pub demand: Demand,
    /// Its feeds: one a version, then the dated ones.
    pub feeds: Vec<FeedId>,
    /// How a manifest's signature is taken.
    pub signature: Strictness,
    /// PEM files of keys beside the built-in one.
    pub public_keys: Vec<PathBuf>,
    /// How often it is asked.
    pub schedule: Duration,
    /// What is kept.
    pub retention: Retention,
}

/// What is fetched because it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Whether an endpoint's request leads to a fetch.
    pub mode: ElasticMode,
    /// Whether manifests that were asked for become feeds.
    pub auto_learn: bool,
    /// The most feeds that are learned.
    pub learned_feeds: usize,
    /// How often the vendor is asked for what patterns and templates stand for.
    pub probe: Duration,
    /// In proxy mode: how often the vendor is asked whether a manifest has changed.
    pub revalidate: Duration,
    /// In proxy mode: how long a request waits for what is being fetched.
    pub wait: Duration,
    /// In proxy mode: what becomes of a path that no manifest names.
    pub unknown_paths: UnknownPaths,
    /// The most bytes that forwarded paths take together.
    pub forwarded_bytes: u64,
    /// The vendor's headers that are passed on, in lower case.
    pub pass_headers: Vec<String>,
}

impl Demand {
    /// Whether manifests that were asked for become feeds.
    pub fn learns(&self) -> bool {
        self.auto_learn || self.mode == ElasticMode::Proxy
    }
}

/// Whether an endpoint's request leads to a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElasticMode {
    /// What is followed is fetched ahead of the endpoints.
    Mirror,
    /// What is asked for and not held is fetched, proven and kept.
    Proxy,
}

/// What becomes of a path that no manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownPaths {
    /// It is fetched whole, kept, and served with nothing but the transport's word.
    Forward,
    /// It is not found.
    Refuse,
}

/// Every patch level of a line of versions: `8.19.*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionPattern(String);

impl VersionPattern {
    /// Reads `8.19.*`; none if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.strip_suffix(".*")?;
        let (major, minor) = line.split_once('.')?;
        let number = |part: &str| !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
        (number(major) && number(minor)).then(|| Self(line.to_owned()))
    }

    /// Its line: `8.19`.
    pub fn line(&self) -> &str {
        &self.0
    }

    /// Whether a version is one of its patch levels; a pre-release is none.
    pub fn matches(&self, version: &str) -> bool {
        let patch = version.strip_prefix(&self.0).and_then(|rest| rest.strip_prefix('.'));
        patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
    }
}

impl fmt::Display for VersionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.*", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_patch_levels() {
        let pattern = VersionPattern::parse("8.19.*").unwrap();
        for (version, fits) in
            [("8.19.0", true), ("8.19.12", true), ("8.19.0-beta1", false), ("8.190.1", false), ("8.19.", false)]
        {
            assert_eq!(pattern.matches(version), fits, "{version}");
        }
        for bad in ["8.*", "*", "8.19.1", "8.x.*", ".19.*", "8.19.0.*"] {
            assert_eq!(VersionPattern::parse(bad), None, "{bad}");
        }
    }
}
