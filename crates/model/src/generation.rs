//! Generations: what one ring serves, whole, as one immutable file.
//!
//! # The file
//! Lines of JSON, each ended by a newline: a head, one line a served feed, one line a route in path order,
//! and a last line `sha256:<digest of all bytes before it>`. A file that is cut, edited or mixed does not
//! decode, and a reader that meets one keeps what it has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, FeedId, Release, ReleaseId, RingName, RoutePath, Timestamp, Trust, VendorVersion};

/// The format's number, in the head of every file.
const FORMAT: u32 = 1;
/// The most routes one generation may hold.
const MAX_ROUTES: usize = 1_000_000;
/// The longest line that a reader takes.
const MAX_LINE: usize = 16 * 1024;

/// What one ring serves: every route, and for each feed the release it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The ring.
    pub ring: RingName,
    /// Counts up by one with each publication of the ring.
    pub number: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The release that each feed serves.
    pub feeds: BTreeMap<FeedId, ServedFeed>,
    /// Every path that answers with bytes.
    pub routes: BTreeMap<RoutePath, Route>,
}

/// The release that a feed serves in a ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedFeed {
    /// Its current release.
    pub release: ReleaseId,
    /// What the vendor calls that release.
    pub vendor_version: VendorVersion,
    /// When the ring began to serve it.
    pub since: Timestamp,
    /// Paths that answer 200 with a line of text.
    pub bases: Vec<RoutePath>,
    /// The release that `_back` serves, where the feed's layout has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<ReleaseId>,
    /// Releases of the feed that the operator rejected or rolled back from, the newest word first (in order of id in files
    /// of earlier versions); no more than [`ServedFeed::MAX_DENIED`]. The ring keeps the operator's word also where the
    /// catalog is lost or an older one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<ReleaseId>,
    /// What the ring remembers of the releases that it names: with its routes enough to record them again where the
    /// catalog is lost. Empty in files of earlier versions, and where the history tells of a generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remembers: Vec<Remembered>,
}

/// What a ring remembers of a release beside its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Which.
    pub release: ReleaseId,
    /// What the vendor calls it.
    pub vendor_version: VendorVersion,
    /// The date that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_time: Option<Timestamp>,
    /// When it was first held whole.
    pub held_since: Timestamp,
    /// What its proof rests on.
    pub trust: Trust,
}

impl From<&Release> for Remembered {
    fn from(release: &Release) -> Self {
        Self {
            release: release.id,
            vendor_version: release.vendor_version.clone(),
            vendor_time: release.vendor_time,
            held_since: release.held_since,
            trust: release.verdict.trust.clone(),
        }
    }
}

impl ServedFeed {
    /// The most releases that a ring remembers as denied, for each feed: with them a line stays within its cap.
    pub const MAX_DENIED: usize = 64;
}

/// One path and the bytes behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The bytes.
    pub digest: Digest,
    /// Their size.
    pub size: u64,
    /// The feed whose release put it there.
    pub feed: FeedId,
    /// When these bytes first stood behind this path: the answer's `Last-Modified`.
    pub since: Timestamp,
    /// Set on what is superseded and kept through the grace period: when it may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Why bytes are not a generation.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GenerationError {
    /// The last line is missing or its digest is not that of the bytes before it.
    #[error("checksum is missing or wrong: the file was cut or changed")]
    Checksum,
    /// The file was written by a newer program.
    #[error("format {0} is newer than this program reads ({FORMAT})")]
    Format(u32),
    /// A line is not what the format says.
    #[error("line {0} is not well-formed")]
    Line(usize),
    /// A route or feed stands twice, or there are over a million routes.
    #[error("line {0} repeats a route or feed, or passes the cap")]
    Repeated(usize),
}

impl GenerationError {
    /// Whether the file is whole and was written by a newer program: that is no damage.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Format(_))
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    waystation_generation: u32,
    ring: RingName,
    number: u64,
    at: Timestamp,
    feeds: usize,
    routes: usize,
}

#[derive(Serialize, Deserialize)]
struct FeedLine {
    feed: FeedId,
    #[serde(flatten)]
    served: ServedFeed,
}

#[derive(Serialize, Deserialize)]
struct RouteLine {
    path: RoutePath,
    #[serde(flatten)]
    route: Route,
}

impl Generation {
    /// Whether it is an older one than the generation of that number and time, which was served before: a restored backup
    /// is. What is published on top of a backup may repeat a number, and is newer.
    pub fn goes_back_from(&self, (number, at): (u64, Timestamp)) -> bool {
        self.number < number && self.at <= at
    }

    /// A ring that has never served anything.
    pub fn empty(ring: RingName, at: Timestamp) -> Self {
        Self { ring, number: 0, at, feeds: BTreeMap::new(), routes: BTreeMap::new() }
    }

    /// The file's bytes. The same generation always gives the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push(
            &mut out,
            &Head {
                waystation_generation: FORMAT,
                ring: self.ring.clone(),
                number: self.number,
                at: self.at,
                feeds: self.feeds.len(),
                routes: self.routes.len(),
            },
        );
        for (feed, served) in &self.feeds {
            push(&mut out, &FeedLine { feed: feed.clone(), served: served.clone() });
        }
        for (path, route) in &self.routes {
            push(&mut out, &RouteLine { path: path.clone(), route: route.clone() });
        }
        let sum = Digest::of(&out);
        out.extend_from_slice(format!("sha256:{sum}\n").as_bytes());
        out
    }

    /// Reads a file's bytes back.
    ///
    /// # Errors
    /// [`GenerationError`] when the bytes are not exactly one whole generation.
    pub fn decode(bytes: &[u8]) -> Result<Self, GenerationError> {
        let body = checked_body(bytes)?;
        let mut lines = body.split_inclusive(|byte| *byte == b'\n').enumerate();
        let head: Head = line(lines.next())?;
        if head.waystation_generation != FORMAT {
            return Err(GenerationError::Format(head.waystation_generation));
        }
        if head.routes > MAX_ROUTES || head.feeds > MAX_ROUTES {
            return Err(GenerationError::Repeated(1));
        }
        let mut made = Self::empty(head.ring, head.at);
        made.number = head.number;
        for _ in 0..head.feeds {
            let next = lines.next();
            let at = next.map_or(0, |(index, _)| index + 1);
            let FeedLine { feed, served } = line(next)?;
            if made.feeds.insert(feed, served).is_some() {
                return Err(GenerationError::Repeated(at));
            }
        }
        for _ in 0..head.routes {
            let next = lines.next();
            let at = next.map_or(0, |(index, _)| index + 1);
            let RouteLine { path, route } = line(next)?;
            if made.routes.insert(path, route).is_some() {
                return Err(GenerationError::Repeated(at));
            }
        }
        match lines.next() {
            None => Ok(made),
            Some((index, _)) => Err(GenerationError::Line(index + 1)),
        }
    }
}

fn push(out: &mut Vec<u8>, value: &impl Serialize) {
    // Serialising these plain structs to memory has no way to fail.
    if serde_json::to_writer(&mut *out, value).is_ok() {
        out.push(b'\n');
    }
}

fn checked_body(bytes: &[u8]) -> Result<&[u8], GenerationError> {
    const TAIL: usize = 7 + 64 + 1;
    let at = bytes.len().checked_sub(TAIL).ok_or(GenerationError::Checksum)?;
    let (body, tail) = bytes.split_at(at);
    let said =
        std::str::from_utf8(tail).ok().and_then(|t| t.strip_prefix("sha256:")).and_then(|t| t.strip_suffix('\n'));
    match said.and_then(|text| text.parse::<Digest>().ok()) {
        Some(said) if said == Digest::of(body) => Ok(body),
        _ => Err(GenerationError::Checksum),
    }
}

fn line<'a, T: Deserialize<'a>>(next: Option<(usize, &'a [u8])>) -> Result<T, GenerationError> {
    let (index, bytes) = next.ok_or(GenerationError::Line(0))?;
    if bytes.len() > MAX_LINE {
        return Err(GenerationError::Line(index + 1));
    }
    serde_json::from_slice(bytes).map_err(|_| GenerationError::Line(index + 1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::{Attestation, Checked};

    fn sample() -> Generation {
        let at = Timestamp::from_micros(1_790_000_000_000_000);
        let feed: FeedId = "defender/linux/production/x86_64".parse().unwrap();
        let digest = Digest::of(b"zip");
        let mut made = Generation::empty(RingName::broad(), at);
        made.number = 7;
        let (release, version) = (digest.to_string().parse().unwrap(), "1.459.553.0".parse().unwrap());
        let vendor_version = VendorVersion { version, engine: "1.1.26080.3".parse().ok() };
        let trust = Trust { checked: Checked::TransportOnly, attested_by: Attestation::PublicTls };
        made.feeds.insert(
            feed.clone(),
            ServedFeed {
                release,
                vendor_version: vendor_version.clone(),
                since: at,
                bases: vec!["/linux/production".parse().unwrap()],
                back: None,
                denied: vec![Digest::of(b"another").to_string().parse().unwrap()],
                remembers: vec![Remembered { release, vendor_version, vendor_time: Some(at), held_since: at, trust }],
            },
        );
        for (name, until) in [("/linux/production/arch_x86_64/updates.zip", None), ("/old", Some(at))] {
            made.routes.insert(name.parse().unwrap(), Route { digest, size: 3, feed: feed.clone(), since: at, until });
        }
        made
    }

    #[test]
    fn round_trips() {
        let made = sample();
        assert_eq!(Generation::decode(&made.encode()).unwrap(), made);
        let empty = Generation::empty(RingName::broad(), Timestamp::from_micros(0));
        assert_eq!(Generation::decode(&empty.encode()).unwrap(), empty);
    }

    #[test]
    fn every_cut_and_every_flip_is_noticed_s41() {
        let bytes = sample().encode();
        for cut in 0..bytes.len() {
            assert!(Generation::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x01;
            assert!(Generation::decode(&flipped).is_err(), "flip at {at}");
        }
    }

    #[test]
    fn a_right_checksum_does_not_excuse_wrong_content() {
        let text = String::from_utf8(sample().encode()).unwrap();
        let body = &text[..text.len() - 72];
        for wrong in [
            body.replace("\"waystation_generation\":1", "\"waystation_generation\":2"),
            body.replace("/old", "/../old"),
            body.replace("\"routes\":2", "\"routes\":1"),
            body.replace("\"routes\":2", "\"routes\":3"),
            body.replace("/old", "/linux/production/arch_x86_64/updates.zip"),
        ] {
            let mut bytes = wrong.clone().into_bytes();
            bytes.extend_from_slice(format!("sha256:{}\n", Digest::of(wrong.as_bytes())).as_bytes());
            assert!(Generation::decode(&bytes).is_err(), "{wrong}");
        }
    }
}
