//! What is applied, and the artifacts that it is made of.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use model::{Clock, Digest, Timestamp};
use platform::lock::FileLock;
use serde::{Deserialize, Serialize};
use settings::elastic::System;

use crate::disk::{Disk, StateError, Steps, digest, guid};
use crate::fetch::Fail;

const APPLIED: &str = "applied.json";
const RECORD: &str = "state.json";
pub(super) const RESPONSE: &str = "policy-response.json";
const ARTIFACTS: &str = "artifacts";

/// One artifact in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    /// Its name.
    pub name: String,
    /// What documents show: the digest of what it unpacks to. That it is this one of the two is inferred.
    pub sha256: Digest,
    /// The digest of the bytes kept.
    pub encoded: Digest,
    /// Their number.
    pub size: u64,
}

/// What is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The manifest's version.
    pub version: String,
    /// Where it came from.
    pub url: String,
    /// The tag that it came with.
    pub etag: String,
    /// `latest`, or the day.
    pub snapshot: String,
    /// `stable` or `candidate`.
    pub manifest_type: String,
    /// The system whose artifacts these are; none where an earlier program wrote it.
    #[serde(default)]
    pub system: Option<System>,
    /// The key that signed it; none where none was found that did.
    pub key: Option<String>,
    /// Since when.
    pub at: Timestamp,
    /// The artifacts of this system.
    pub identifiers: Vec<Identifier>,
}

/// Who this endpoint is, and what was tried last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The agent's id.
    pub agent: String,
    /// When it was polled last.
    pub polled: Option<Timestamp>,
    /// When what is applied was last found, or made, the newest.
    pub current: Option<Timestamp>,
    /// Why the last poll failed; none where it did not.
    pub fail: Option<Fail>,
}

/// The state of one endpoint.
#[derive(Debug)]
pub struct Store {
    pub(super) disk: Disk,
}

impl Store {
    /// Opens a state folder, made if it is not there.
    ///
    /// # Errors
    /// [`StateError`] naming it.
    pub fn open(path: &Path, steps: Arc<dyn Steps>) -> Result<Self, StateError> {
        Disk::open(path, steps).map(|disk| Self { disk })
    }

    /// What is applied.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read.
    pub fn applied(&self) -> Result<Option<Applied>, StateError> {
        self.disk.read(APPLIED)
    }

    /// Who this endpoint is, and what was tried last.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read.
    pub fn record(&self) -> Result<Record, StateError> {
        Ok(self.disk.read(RECORD)?.unwrap_or_default())
    }

    /// The last document that was written.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read.
    pub fn response(&self) -> Result<Option<serde_json::Value>, StateError> {
        self.disk.read(RESPONSE)
    }

    /// Reads all artifacts in use, and says which is not as it was applied.
    ///
    /// # Errors
    /// [`StateError`] when one cannot be read.
    pub fn check(&self) -> Result<Vec<String>, StateError> {
        let Some(applied) = self.applied()? else { return Ok(Vec::new()) };
        let mut wrong = Vec::new();
        for identifier in &applied.identifiers {
            if !self.holds(identifier.encoded, identifier.size)? {
                wrong.push(identifier.name.clone());
            }
        }
        Ok(wrong)
    }

    /// Whether an artifact is kept, whole.
    pub(super) fn holds(&self, wanted: Digest, size: u64) -> Result<bool, StateError> {
        let name = place(wanted);
        let Some((file, there)) = self.disk.open_file(&name)? else { return Ok(false) };
        if there != size {
            return Ok(false);
        }
        let found = digest(file).map_err(|source| StateError::Write { path: self.disk.path().join(name), source })?;
        Ok(found.0 == wanted)
    }

    pub(super) fn lock(&self, clock: &dyn Clock) -> Result<FileLock, StateError> {
        self.disk.lock("poll", clock)
    }

    /// Makes it ready, and gives the endpoint its id the first time.
    pub(super) fn begin(&self, clock: &dyn Clock) -> Result<Record, StateError> {
        self.disk.tidy()?;
        self.disk.make_folder(ARTIFACTS)?;
        let mut record = self.record()?;
        if record.agent.is_empty() {
            let seed = format!("{} {}", platform::unique_name("agent"), clock.now().as_micros());
            record.agent = guid(Digest::of(seed.as_bytes()));
        }
        Ok(record)
    }

    pub(super) fn note(&self, record: &Record) -> Result<(), StateError> {
        self.disk.write(RECORD, record)
    }

    /// Makes this what is applied: the one step after which it counts. What nothing names then is removed.
    pub(super) fn apply(&self, applied: &Applied) -> Result<(), StateError> {
        self.disk.sync(ARTIFACTS)?;
        self.disk.write(APPLIED, applied)?;
        self.sweep(applied)
    }

    /// Removes the artifacts that are not in use.
    fn sweep(&self, applied: &Applied) -> Result<(), StateError> {
        let used: BTreeSet<String> = applied.identifiers.iter().map(|one| one.encoded.to_string()).collect();
        for name in self.disk.names(ARTIFACTS)?.iter().filter(|name| !used.contains(*name)) {
            self.disk.remove(&format!("{ARTIFACTS}/{name}"))?;
        }
        Ok(())
    }
}

/// Where an artifact lies.
pub(super) fn place(digest: Digest) -> String {
    format!("{ARTIFACTS}/{digest}")
}
