//! What is simulated: how many feeds, how large, over what kind of line.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use model::Timestamp;

use crate::defender::DefenderFeed;
use crate::keys::SigningKey;
use crate::server::now;

/// Everything about a simulator that is chosen before it starts.
///
/// The same settings (and the same signing key) give the same bytes at the same paths in every process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// What all content is made from.
    pub seed: u64,
    /// Elastic's host.
    pub elastic: ElasticSettings,
    /// Microsoft's chain.
    pub defender: DefenderSettings,
    /// The line between client and vendor.
    pub network: Network,
    /// The key that signs manifests; `None` takes one made once per process.
    pub signing_key: Option<SigningKey>,
    /// When the first releases were published; each later one follows four hours after the one before.
    pub published: Timestamp,
    /// How many requests the log keeps.
    pub log_length: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            elastic: ElasticSettings::default(),
            defender: DefenderSettings::default(),
            network: Network::default(),
            signing_key: None,
            published: Timestamp::from_micros(1_791_083_565_000_000),
            log_length: 10_000,
        }
    }
}

impl Settings {
    /// The same vendors, whose first releases were published a day ago by the system's clock: for a program that runs
    /// on that clock and tells old content from new.
    pub fn lately() -> Self {
        Self { published: now().before(Duration::from_secs(86_400)), ..Self::default() }
    }
}

/// Elastic's host.
#[derive(Clone, Debug)]
pub struct ElasticSettings {
    /// The Endpoint versions that have a manifest.
    pub versions: Vec<String>,
    /// The versions that have a `candidate` manifest too.
    pub candidates: Vec<String>,
    /// The dated manifests: version and `YYYY-MM-DD`.
    pub dated: Vec<(String, String)>,
    /// How many artifacts each manifest names.
    pub artifacts: usize,
    /// How many of a hundred artifacts are the same in all versions.
    pub shared_percent: usize,
    /// The encoded size of an artifact, nearly.
    pub artifact_size: u64,
    /// The number N of the first `manifest_version`, `1.0.N`.
    pub first_number: u64,
    /// How artifacts are addressed.
    pub urls: ArtifactUrls,
    /// Path of a dated manifest. Invented: the vendor's own is not public.
    pub dated_path: String,
    /// Path of a candidate manifest. Invented: the vendor's own is not public.
    pub candidate_path: String,
}

impl Default for ElasticSettings {
    fn default() -> Self {
        Self {
            versions: ["8.17.4", "8.18.3", "9.0.0-beta1", "9.0.0", "9.1.2"].map(String::from).to_vec(),
            candidates: vec!["9.0.0".to_owned()],
            dated: vec![("8.18.3".to_owned(), "2026-01-15".to_owned())],
            artifacts: 30,
            shared_percent: 80,
            artifact_size: 64 * 1024,
            first_number: 1049,
            urls: ArtifactUrls::PerContent,
            dated_path: "/downloads/endpoint/manifest/artifacts-{version}-{date}.zip".to_owned(),
            candidate_path: "/downloads/endpoint/manifest/candidate/artifacts-{version}.zip".to_owned(),
        }
    }
}

/// How artifacts are addressed; which of the two the vendor uses is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactUrls {
    /// Each content has a path of its own, and old paths stay.
    PerContent,
    /// Each name has one path, whose bytes change with a release.
    Fixed,
}

/// Microsoft's chain.
#[derive(Clone, Debug)]
pub struct DefenderSettings {
    /// The feeds that exist.
    pub feeds: Vec<DefenderFeed>,
    /// The size of an archive, nearly.
    pub archive_size: u64,
    /// Scheme and authority that the fwlink redirects to, `{port}` being ours; `None` stays on the host that
    /// was asked.
    pub content_base: Option<String>,
}

impl Default for DefenderSettings {
    fn default() -> Self {
        Self { feeds: DefenderFeed::ALL.to_vec(), archive_size: 64 * 1024, content_base: None }
    }
}

/// The line between client and vendor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Waited once when a connection is accepted, before its first request is read.
    pub accept_delay: Duration,
    /// Waited before the first byte of each answer.
    pub request_delay: Duration,
    /// The most bytes a second that one connection carries.
    pub bytes_per_second: Option<u64>,
}

impl Network {
    /// A line with this round-trip time and no limit of its rate: one round trip to connect, one per request.
    pub const fn with_latency(round_trip: Duration) -> Self {
        Self { accept_delay: round_trip, request_delay: round_trip, bytes_per_second: None }
    }
}

/// A text is no size or no duration.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{text}' is no {what}, such as {example}")]
pub struct QuantityError {
    text: String,
    what: &'static str,
    example: &'static str,
}

/// Reads a size: `64KB`, `250MB`, `1GB`, `512` (1 KB is 1,024 bytes).
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let error = || QuantityError { text: text.to_owned(), what: "size", example: "64KB or 250MB" };
    let (digits, unit) = split_unit(text);
    let factor: u64 = match unit {
        "" | "B" => 1,
        "K" | "KB" | "kB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        _ => return Err(error()),
    };
    let number: u64 = digits.parse().map_err(|_| error())?;
    number.checked_mul(factor).filter(|size| *size <= 4 << 30).ok_or_else(error)
}

/// Reads a duration: `30ms`, `2s`, `5m`.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let error = || QuantityError { text: text.to_owned(), what: "duration", example: "30ms or 2s" };
    let (digits, unit) = split_unit(text);
    let number: u64 = digits.parse().map_err(|_| error())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs).ok_or_else(error),
        _ => Err(error()),
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        assert_eq!(parse_size("64KB"), Ok(65_536));
        assert_eq!(parse_size("250MB"), Ok(262_144_000));
        assert_eq!(parse_size("7"), Ok(7));
        assert_eq!(parse_duration("30ms"), Ok(Duration::from_millis(30)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "KB", "-1", "64XB", "99999999999999999999", "18446744073709551615GB", "5GB", "é"] {
            assert!(parse_size(bad).is_err(), "{bad}");
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
