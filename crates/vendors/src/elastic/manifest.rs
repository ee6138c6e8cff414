//! What a manifest says, read strictly; unknown members are nobody's business, they are served as they came.

use std::collections::{BTreeMap, BTreeSet};

use model::{Digest, Note, Reason, RoutePath, VendorVersion};
use serde_json::{Map, Value};

use super::ElasticSettings;
use super::layout;
use crate::json::{self, Limits, shown};

/// The size and digest of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// One artifact that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Artifact {
    /// Where it lies.
    pub(super) route: RoutePath,
    /// Its bytes on the wire.
    pub(super) encoded: Pair,
    /// What zlib unpacks them to, where that is still to be looked at.
    pub(super) inflated: Option<Pair>,
}

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) version: VendorVersion,
    /// In the manifest's order; twice on one route only if they say that it unpacks to different things.
    pub(super) artifacts: Vec<Artifact>,
    /// The same under each of their names, none left out.
    pub(super) named: Vec<(String, Artifact)>,
    /// What weakens it.
    pub(super) notes: Vec<Note>,
}

/// What it is read against.
pub(super) struct Rules<'a> {
    pub(super) settings: &'a ElasticSettings,
    /// Where the manifest itself lies.
    pub(super) route: &'a RoutePath,
}

fn bad(detail: String) -> Note {
    Note { reason: Reason::BadManifest, detail }
}

/// Reads a manifest.
pub(super) fn read(bytes: &[u8], rules: &Rules<'_>) -> Result<Manifest, Note> {
    let limits =
        Limits { bytes: usize::try_from(rules.settings.manifest_cap).unwrap_or(usize::MAX), ..Limits::default() };
    let value = json::parse(bytes, &limits).map_err(|error| bad(format!("manifest.json: {error}")))?;
    let Value::Object(top) = value else { return Err(bad("manifest.json is not an object".to_owned())) };
    let version = version(&top)?;
    let mut notes: Vec<Note> = schema(&top)?.into_iter().collect();
    let Some(Value::Object(entries)) = top.get("artifacts") else {
        return Err(bad("'artifacts' is missing or not an object".to_owned()));
    };
    if entries.len() > rules.settings.artifacts {
        return Err(bad(format!("{} artifacts, at most {} are taken", entries.len(), rules.settings.artifacts)));
    }
    let mut set = Set::default();
    let mut named = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let (artifact, note) = artifact(name, entry, rules)?;
        named.push((name.clone(), artifact.clone()));
        set.add(name, artifact, rules)?;
        notes.extend(note);
    }
    Ok(Manifest { version, artifacts: set.finish()?, named, notes })
}

fn version(top: &Map<String, Value>) -> Result<VendorVersion, Note> {
    let text = top.get("manifest_version").and_then(Value::as_str);
    let text = text.ok_or_else(|| bad("'manifest_version' is missing or not a string".to_owned()))?;
    let version = text.parse().map_err(|error| bad(format!("manifest_version '{}': {error}", shown(text))))?;
    Ok(VendorVersion::plain(version))
}

fn schema(top: &Map<String, Value>) -> Result<Option<Note>, Note> {
    let detail = match top.get("schema_version") {
        Some(Value::String(known)) if known == "v1" => return Ok(None),
        Some(Value::String(other)) => format!("schema_version is '{}', 'v1' is known", shown(other)),
        None => "schema_version is missing, 'v1' is known".to_owned(),
        Some(_) => return Err(bad("'schema_version' is not a string".to_owned())),
    };
    Ok(Some(Note { reason: Reason::UnknownSchema, detail }))
}

fn artifact(name: &str, entry: &Value, rules: &Rules<'_>) -> Result<(Artifact, Option<Note>), Note> {
    let about = |what: &str| bad(format!("artifact '{}': {what}", shown(name)));
    if name.is_empty() || name.len() > 255 || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(about("its name is not 1 to 255 printable ASCII characters"));
    }
    let Value::Object(entry) = entry else { return Err(about("is not an object")) };
    let url = text(entry, "relative_url").map_err(|what| about(&what))?;
    let url = url.ok_or_else(|| about("'relative_url' is missing"))?;
    let encoded = pair(entry, "encoded_sha256", "encoded_size").map_err(|what| about(&what))?;
    let Pairing::Both(encoded) = encoded else { return Err(about("'encoded_sha256' or 'encoded_size' is missing")) };
    let decoded = pair(entry, "decoded_sha256", "decoded_size").map_err(|what| about(&what))?;
    let coding = coding(entry).map_err(|what| about(&what))?;
    let route = route(name, url, rules)?;
    let largest = if let Pairing::Both(decoded) = decoded { decoded.size.max(encoded.size) } else { encoded.size };
    if largest > rules.settings.artifact_cap {
        let detail = format!(
            "artifact '{}' has {largest} bytes, at most {} are taken",
            shown(name),
            rules.settings.artifact_cap
        );
        return Err(Note { reason: Reason::TooLarge, detail });
    }
    let (inflated, note) = match (coding, decoded) {
        (Coding::Zlib, Pairing::Both(decoded)) => (Some(decoded), None),
        (Coding::None, Pairing::Both(decoded)) if decoded == encoded => (None, None),
        (Coding::None, Pairing::Both(_)) => {
            let detail = format!("artifact '{}' is not compressed, yet its two pairs differ", shown(name));
            return Err(Note { reason: Reason::DecodedMismatch, detail });
        }
        (Coding::Unknown(what), _) => (None, Some(format!("artifact '{}': {what}", shown(name)))),
        (_, Pairing::Missing) => (None, Some(format!("artifact '{}': no decoded size and hash", shown(name)))),
    };
    let note = note.map(|detail| Note { reason: Reason::DecodedUnchecked, detail });
    Ok((Artifact { route, encoded, inflated }, note))
}

fn route(name: &str, url: &str, rules: &Rules<'_>) -> Result<RoutePath, Note> {
    let refused =
        |what: String| Note { reason: Reason::BadPath, detail: format!("artifact '{}': {what}", shown(name)) };
    let route: RoutePath = url.parse().map_err(|error: model::RouteError| refused(error.to_string()))?;
    if !layout::may_hold_artifact(&route, rules.route, rules.settings) {
        return Err(refused(format!("'{route}' is no place for an artifact")));
    }
    Ok(route)
}

/// A text member; none if it is not there.
fn text<'a>(entry: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, String> {
    match entry.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("'{key}' is not a string")),
    }
}

/// What an entry says of a size and its digest.
#[derive(Clone, Copy)]
enum Pairing {
    Both(Pair),
    /// One or both are not there.
    Missing,
}

fn pair(entry: &Map<String, Value>, digest_key: &str, size_key: &str) -> Result<Pairing, String> {
    let digest = text(entry, digest_key)?
        .map(|text| text.parse::<Digest>().map_err(|error| format!("'{digest_key}' is '{}': {error}", shown(text))));
    let size = entry
        .get(size_key)
        .map(|value| json::size(value).ok_or_else(|| format!("'{size_key}' is not a whole number from 0 to 2^53 - 1")));
    let (Some(digest), Some(size)) = (digest.transpose()?, size.transpose()?) else { return Ok(Pairing::Missing) };
    // Nothing but no bytes has the digest of no bytes.
    if (size == 0) != (digest == Digest::of(b"")) {
        return Err(format!("'{size_key}' is {size}, which '{digest_key}' contradicts"));
    }
    Ok(Pairing::Both(Pair { digest, size }))
}

enum Coding {
    None,
    Zlib,
    Unknown(String),
}

fn coding(entry: &Map<String, Value>) -> Result<Coding, String> {
    let compression = text(entry, "compression_algorithm")?;
    let encryption = text(entry, "encryption_algorithm")?;
    let unknown = |key: &str, value: Option<&str>| match value {
        Some(value) => Coding::Unknown(format!("{key} '{}' is not known here", shown(value))),
        None => Coding::Unknown(format!("{key} is missing")),
    };
    Ok(match (compression, encryption) {
        (Some("none"), Some("none")) => Coding::None,
        (Some("zlib"), Some("none")) => Coding::Zlib,
        (Some("none" | "zlib"), other) => unknown("encryption_algorithm", other),
        (other, _) => unknown("compression_algorithm", other),
    })
}

/// The artifacts read so far, and what they must not contradict.
#[derive(Default)]
struct Set {
    artifacts: Vec<Artifact>,
    /// By route, as the least discerning file system compares them.
    routes: BTreeMap<String, (RoutePath, Pair)>,
    sizes: BTreeMap<Digest, u64>,
    total: u64,
    seen: BTreeSet<(RoutePath, Option<Pair>)>,
}

impl Set {
    fn add(&mut self, name: &str, artifact: Artifact, rules: &Rules<'_>) -> Result<(), Note> {
        let Pair { digest, size } = artifact.encoded;
        match self.sizes.insert(digest, size) {
            None => self.total = self.total.saturating_add(size),
            Some(told) if told == size => {}
            Some(told) => return Err(bad(format!("{digest} has {told} bytes, and {size} as '{}'", shown(name)))),
        }
        if self.total > rules.settings.total_cap {
            let detail = format!("all artifacts together have more than {} bytes", rules.settings.total_cap);
            return Err(Note { reason: Reason::TooLarge, detail });
        }
        let place = (artifact.route.clone(), artifact.encoded);
        let taken = self.routes.entry(artifact.route.as_str().to_ascii_lowercase()).or_insert_with(|| place.clone());
        if *taken != place {
            let detail = format!("'{}' is named for other bytes, or is spelled '{}'", artifact.route, taken.0);
            return Err(Note { reason: Reason::BadPath, detail });
        }
        // Two names for one file are one file, unless they say that it unpacks to different things: then both
        // are looked at, and one is wrong.
        if self.seen.insert((artifact.route.clone(), artifact.inflated)) {
            self.artifacts.push(artifact);
        }
        Ok(())
    }

    /// No artifact is a folder of another.
    fn finish(self) -> Result<Vec<Artifact>, Note> {
        let is_folder = |path: &str| self.routes.contains_key(path);
        let inside = |path: &&String| path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(is_folder));
        match self.routes.keys().find(inside) {
            None => Ok(self.artifacts),
            Some(path) => {
                let detail = format!("'{path}' lies below another artifact");
                Err(Note { reason: Reason::BadPath, detail })
            }
        }
    }
}
