//! Elastic's host: manifests that are signed, artifacts that they name.

mod line;
mod manifest;
mod names;

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use model::{Digest, Timestamp};

use crate::content::Body;

pub(crate) use line::{Line, Shelf};
pub(crate) use manifest::faulty_manifest;

/// Which manifest is meant; reads `all`, `8.18.3`, `9.0.0/candidate`, `8.18.3@2026-01-15`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ElasticTarget {
    /// Every one there is.
    All,
    /// The one that a version's endpoints follow.
    Version(String),
    /// The version's early one.
    Candidate(String),
    /// The version's as of a day.
    Dated(String, String),
}

impl ElasticTarget {
    pub(crate) fn version(&self) -> &str {
        match self {
            Self::All => "",
            Self::Version(version) | Self::Candidate(version) | Self::Dated(version, _) => version,
        }
    }
}

impl From<&str> for ElasticTarget {
    fn from(text: &str) -> Self {
        let text = text.strip_prefix("elastic/").unwrap_or(text);
        if text == "all" || text.is_empty() {
            Self::All
        } else if let Some((version, date)) = text.split_once('@') {
            Self::Dated(version.to_owned(), date.to_owned())
        } else if let Some(version) = text.strip_suffix("/candidate") {
            Self::Candidate(version.to_owned())
        } else {
            Self::Version(text.to_owned())
        }
    }
}

impl FromStr for ElasticTarget {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Display for ElasticTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Version(version) => f.write_str(version),
            Self::Candidate(version) => write!(f, "{version}/candidate"),
            Self::Dated(version, date) => write!(f, "{version}@{date}"),
        }
    }
}

/// How a version number moves with a publication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// To the next number.
    #[default]
    Next,
    /// It stays although the bytes change (U39).
    Same,
    /// Back by that many (U38).
    Back(u64),
    /// To 999999 (U40).
    Leap,
    /// To that number: `1.0.N` of a manifest, `1.459.N.0` of definitions.
    To(u64),
}

impl Step {
    pub(crate) fn from(&self, number: u64) -> u64 {
        match self {
            Self::Next => number + 1,
            Self::Same => number,
            Self::Back(by) => number.saturating_sub(*by),
            Self::Leap => 999_999,
            Self::To(number) => *number,
        }
    }
}

/// What a new Elastic release changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// How many artifacts get new content: shared ones first, as a day's rules do.
    pub changed: usize,
    /// How many artifacts get new content, from the end of the list: those that no other manifest names.
    pub changed_own: usize,
    /// How many new names appear.
    pub added: usize,
    /// How many names go, from the end of the list.
    pub removed: usize,
    /// How `manifest_version` moves.
    pub step: Step,
}

impl Change {
    /// An ordinary release: so many artifacts get new content.
    pub fn of(changed: usize) -> Self {
        Self { changed, ..Self::default() }
    }

    /// An older version number with other content (U38).
    pub fn regress() -> Self {
        Self { changed: 1, step: Step::Back(1), ..Self::default() }
    }

    /// The same version number with other bytes (U39).
    pub fn same_version() -> Self {
        Self { changed: 1, step: Step::Same, ..Self::default() }
    }

    /// A version number far ahead (U40).
    pub fn leap() -> Self {
        Self { changed: 1, step: Step::Leap, ..Self::default() }
    }

    /// So many artifacts fewer (U52).
    pub fn shrink(removed: usize) -> Self {
        Self { removed, ..Self::default() }
    }

    /// So many artifacts more.
    pub fn grow(added: usize) -> Self {
        Self { added, ..Self::default() }
    }
}

/// One release as it was published.
#[derive(Clone, Debug)]
pub struct ElasticRelease {
    /// Which manifest it is.
    pub target: ElasticTarget,
    /// `1.0.N`.
    pub manifest_version: String,
    /// The path of its manifest.
    pub path: String,
    /// The archive at that path.
    pub manifest: Bytes,
    /// What it names.
    pub artifacts: Vec<ElasticArtifact>,
    /// When it was published.
    pub published: Timestamp,
}

impl ElasticRelease {
    /// How many bytes a client needs that has nothing: manifest and artifacts.
    pub fn total_bytes(&self) -> u64 {
        self.manifest.len() as u64 + self.artifacts.iter().map(|artifact| artifact.encoded_size).sum::<u64>()
    }
}

/// One artifact of a release.
#[derive(Clone, Debug)]
pub struct ElasticArtifact {
    /// Its key in the manifest.
    pub name: String,
    /// Its path.
    pub relative_url: String,
    /// Bytes on the wire.
    pub encoded_size: u64,
    /// Their digest.
    pub encoded_sha256: Digest,
    /// Bytes after decoding.
    pub decoded_size: u64,
    /// Their digest.
    pub decoded_sha256: Digest,
    /// The bytes on the wire.
    pub body: Body,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_as_feeds_do() {
        for text in ["all", "8.18.3", "9.0.0/candidate", "8.18.3@2026-01-15", "9.0.0-beta1"] {
            assert_eq!(ElasticTarget::from(text).to_string(), text);
        }
        assert_eq!(ElasticTarget::from("elastic/9.0.0"), ElasticTarget::Version("9.0.0".to_owned()));
    }
}
