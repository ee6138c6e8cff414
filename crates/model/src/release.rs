//! Releases: immutable, complete, verified sets of artifacts of one feed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Digest, DigestError, FeedId, Hasher, Provenance, Reason, RoutePath, Timestamp, VendorVersion};

/// Identifies a release by its content: the digest over its feed and, in route order, each item's route,
/// digest and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseId(Digest);

impl ReleaseId {
    /// The id of a set of items of a feed. The order of `items` does not matter.
    pub fn of(feed: &FeedId, items: &[ReleaseItem]) -> Self {
        let mut sorted: Vec<&ReleaseItem> = items.iter().collect();
        sorted.sort_by(|a, b| a.route.cmp(&b.route));
        let mut hasher = Hasher::new();
        hasher.update(format!("waystation release 1\n{feed}\n").as_bytes());
        for item in sorted {
            hasher.update(format!("{} {} {}\n", item.route, item.digest, item.size).as_bytes());
        }
        Self(hasher.finish())
    }

    /// The digest behind the id.
    pub fn digest(&self) -> &Digest {
        &self.0
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReleaseId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

/// What an item of a release is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// The vendor's own list.
    Manifest,
    /// A file that the list names, or an archive that stands alone.
    Artifact,
    /// The `manifest.json` that we write beside a Defender archive.
    Companion,
}

/// One file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseItem {
    /// Where it is served.
    pub route: RoutePath,
    /// Its bytes' SHA-256.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it is.
    pub kind: ItemKind,
}

/// How far the bytes themselves were checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checked {
    /// The vendor's signature was verified with the key of this id.
    VendorSigned(String),
    /// Every hash stands in the vendor's own, unsigned manifest.
    VendorHashed,
    /// Neither: the bytes are bound to the transport alone.
    TransportOnly,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VendorSigned(key) => write!(f, "vendor-signed (key {key})"),
            Self::VendorHashed => f.write_str("vendor-hashed"),
            Self::TransportOnly => f.write_str("transport-only"),
        }
    }
}

/// Who attests that the bytes are the vendor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attestation {
    /// The vendor's host over TLS that a public root vouches for.
    PublicTls,
    /// A host over TLS that only this machine's trust store vouches for.
    SystemTls,
    /// A host over TLS through the configured `ca_file`.
    CaFileTls,
    /// A host over plain HTTP: nobody.
    PlainHttp,
    /// A person's folder.
    Folder,
}

impl fmt::Display for Attestation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PublicTls => "the vendor's host over public TLS",
            Self::SystemTls => "a host over TLS that only this machine's trust store vouches for",
            Self::CaFileTls => "a host over TLS through the configured ca_file",
            Self::PlainHttp => "nobody (plain HTTP)",
            Self::Folder => "a person's folder",
        })
    }
}

/// Two facts, never overstated: what was checked, and who attests it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// What was checked.
    pub checked: Checked,
    /// Who attests it.
    pub attested_by: Attestation,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, attested by {}", self.checked, self.attested_by)
    }
}

/// One thing worth knowing about a release that did not stop it: a signature that was absent, an artifact
/// whose decoded pair could not be checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Which kind of thing.
    pub reason: Reason,
    /// On what, in words.
    pub detail: String,
}

/// What was decided about a release, and why: stored, never recomputed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Why it is quarantined or rejected; none when nothing spoke against it.
    pub reasons: Vec<Note>,
    /// What weakens it without stopping it.
    pub notes: Vec<Note>,
    /// What the proof rests on.
    pub trust: Trust,
}

/// Where a release stands. Only `Admitted` may ever be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseState {
    /// Proven and good to serve.
    Admitted,
    /// Proven in itself, kept, never served until the operator decides.
    Quarantined,
    /// Refused by the operator: never served.
    Rejected,
    /// Its bytes were let go by retention; the record stays.
    Expired,
}

impl ReleaseState {
    /// The word used in reports and in the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Quarantined => "quarantined",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Admitted, Self::Quarantined, Self::Rejected, Self::Expired].into_iter().find(|s| s.as_str() == word)
    }
}

impl fmt::Display for ReleaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A release as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its identity.
    pub id: ReleaseId,
    /// Whose it is.
    pub feed: FeedId,
    /// What the vendor calls it.
    pub vendor_version: VendorVersion,
    /// The date that came with it. Defender's is the vendor's word on when it was published. Elastic's is that of
    /// `manifest.json` in its zip, which whatever packed it set: it may mean the same or nothing.
    pub vendor_time: Option<Timestamp>,
    /// Its files, in route order.
    pub items: Vec<ReleaseItem>,
    /// Paths that answer 200 with a line of text because endpoints' self-tests knock there.
    pub bases: Vec<RoutePath>,
    /// What was decided and why.
    pub verdict: Verdict,
    /// Where its bytes came from.
    pub provenance: Provenance,
    /// When it was first held whole.
    pub held_since: Timestamp,
}

impl Release {
    /// The bytes of all its items; items that share a blob count once.
    pub fn bytes(&self) -> u64 {
        let mut seen = std::collections::BTreeSet::new();
        self.items.iter().filter(|item| seen.insert(item.digest)).map(|item| item.size).sum()
    }
}

/// Bytes that the blob store holds under the digest they were proven to have while they were written.
///
/// Only the blob store attests this (`cargo xtask tidy` holds it), and everything that may be served is built
/// from such values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Held {
    digest: Digest,
    size: u64,
}

impl Held {
    /// For the blob store alone: these bytes lie in it, durable, under this digest.
    pub const fn attest(digest: Digest, size: u64) -> Self {
        Self { digest, size }
    }

    /// Their digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Their size in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }
}
