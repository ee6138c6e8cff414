//! A manifest as whoever applies it sees it: each artifact under its name, and how it is proven.

use model::{Checked, Digest, Note, RoutePath, VendorVersion};

use super::decoded::Zlib;
use super::manifest::{self, Artifact, Rules};
use super::session::check_signature;
use super::{ElasticSettings, archive};
use crate::Inspection;

/// A manifest that was read.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its `manifest_version`.
    pub version: VendorVersion,
    /// What its signature proves.
    pub checked: Checked,
    /// What it names, in its own order.
    pub artifacts: Vec<NamedArtifact>,
    /// What weakens it.
    pub notes: Vec<Note>,
}

/// One artifact under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedArtifact {
    /// The manifest's name for it.
    pub name: String,
    /// Where it lies.
    pub route: RoutePath,
    /// Bytes on the wire.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
    artifact: Artifact,
}

impl NamedArtifact {
    /// The digest of what it unpacks to; of itself, where it is not packed or not known how.
    pub fn decoded_digest(&self) -> Digest {
        self.artifact.inflated.map_or(self.digest, |pair| pair.digest)
    }

    /// The proof that it unpacks to what the manifest says; none where there is nothing to unpack, or no known way.
    pub fn inspection(&self) -> Option<Box<dyn Inspection>> {
        self.artifact.inflated.map(|pair| Box::new(Zlib(pair)) as Box<dyn Inspection>)
    }
}

/// Opens a manifest zip that lay at `route`, checks its signature as the settings say, and reads it.
///
/// # Errors
/// Why it is refused.
pub fn open(zip: &[u8], route: &RoutePath, settings: &ElasticSettings) -> Result<Opened, Note> {
    let members = archive::open(zip, settings.manifest_cap)?;
    let read = manifest::read(&members.manifest, &Rules { settings, route })?;
    let (checked, note) = check_signature(&members, settings)?;
    let artifacts = read.named.into_iter().map(|(name, artifact)| NamedArtifact {
        name,
        route: artifact.route.clone(),
        size: artifact.encoded.size,
        digest: artifact.encoded.digest,
        artifact,
    });
    Ok(Opened {
        version: read.version,
        checked,
        artifacts: artifacts.collect(),
        notes: note.into_iter().chain(read.notes).collect(),
    })
}
