//! Sets of definitions on disk, of which one is in use.

use std::sync::Arc;

use model::{Clock, Digest, Timestamp, VendorVersion};
use platform::lock::FileLock;
use serde::{Deserialize, Serialize};

use crate::disk::{Disk, StateError, Steps, digest, guid};
use crate::fetch::{Fail, Validator};

const CURRENT: &str = "current.json";
const RECORD: &str = "state.json";
/// What is said about a set, beside its members.
const ABOUT: &str = "set.json";
/// The vendor's own name for the folder that holds one folder per set.
const SETS: &str = "definitions.noindex";
/// A set that is being made.
const NEW: &str = ".new-";
const DOWNLOAD: &str = "download";
/// The archive that is being looked at.
pub(super) const ARCHIVE: &str = "download/updates.zip";

/// One file of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name in the archive.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
}

/// A set of definitions that was proven and unpacked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// What stood beside the archive; none where nothing did.
    pub version: Option<VendorVersion>,
    /// Where it came from, as health shows it.
    pub source: String,
    /// Since when it is in use.
    pub at: Timestamp,
    /// The archive's digest.
    pub archive: Digest,
    /// The archive's bytes.
    pub bytes: u64,
    /// The system and the processor that it was proven for.
    #[serde(default)]
    pub kind: String,
    /// The key that made the engine's signature, where one was checked.
    pub engine_key: Option<String>,
    /// Its files.
    pub members: Vec<Member>,
}

/// What was tried last, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// When an update was tried last.
    pub tried: Option<Timestamp>,
    /// When the definitions were last brought up to date, or found to be so.
    pub succeeded: Option<Timestamp>,
    /// From where they were then.
    pub source: String,
    /// Why the last attempt failed; none where it did not.
    pub fail: Option<Fail>,
    /// The URL whose answer is remembered, its validators, and the archive that they stand for.
    pub(super) answer: Option<Answer>,
}

/// What the last answer was tagged with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) validator: Validator,
    pub(super) archive: Digest,
}

/// Which set is in use.
#[derive(Debug, Serialize, Deserialize)]
struct Current {
    set: String,
}

/// The sets of one endpoint.
#[derive(Debug)]
pub struct Store {
    pub(super) disk: Disk,
}

impl Store {
    /// Opens a state folder, made if it is not there.
    ///
    /// # Errors
    /// [`StateError`] naming it.
    pub fn open(path: &std::path::Path, steps: Arc<dyn Steps>) -> Result<Self, StateError> {
        Disk::open(path, steps).map(|disk| Self { disk })
    }

    /// Whether an update is under way.
    pub fn is_updating(&self) -> bool {
        self.disk.is_busy()
    }

    /// The set in use.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read.
    pub fn current(&self) -> Result<Option<Installed>, StateError> {
        let Some(current) = self.disk.read::<Current>(CURRENT)? else { return Ok(None) };
        self.disk.read(&format!("{SETS}/{}/{ABOUT}", current.set))
    }

    /// What was tried last.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read.
    pub fn record(&self) -> Result<Record, StateError> {
        Ok(self.disk.read(RECORD)?.unwrap_or_default())
    }

    /// Reads the set in use whole, and says which of its files is not as it was unpacked.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read.
    pub fn check(&self) -> Result<Vec<String>, StateError> {
        let Some(current) = self.disk.read::<Current>(CURRENT)? else { return Ok(Vec::new()) };
        let Some(installed) = self.current()? else { return Ok(vec![format!("{} is gone", current.set)]) };
        let mut wrong = Vec::new();
        for member in &installed.members {
            let name = format!("{SETS}/{}/{}", current.set, member.name);
            // What cannot be opened or read is as bad as what was changed: it is fetched again.
            let found = self.disk.open_file(&name).ok().flatten().and_then(|(file, _)| digest(file).ok());
            if found != Some((member.digest, member.size)) {
                wrong.push(name);
            }
        }
        Ok(wrong)
    }

    /// The files of the set in use that are not there with the size that they were unpacked with: as much of
    /// [`Self::check`] as can be said at once.
    ///
    /// # Errors
    /// [`StateError`] when the state cannot be read.
    pub fn lacking(&self) -> Result<Vec<String>, StateError> {
        let Some(current) = self.disk.read::<Current>(CURRENT)? else { return Ok(Vec::new()) };
        let members = self.current()?.map(|installed| installed.members).unwrap_or_default();
        let is_whole = |member: &Member| {
            let name = format!("{SETS}/{}/{}", current.set, member.name);
            matches!(self.disk.open_file(&name), Ok(Some((_, size))) if size == member.size)
        };
        Ok(members.into_iter().filter(|member| !is_whole(member)).map(|member| member.name).collect())
    }

    pub(super) fn lock(&self, clock: &dyn Clock) -> Result<FileLock, StateError> {
        self.disk.lock("update", clock)
    }

    /// Removes what an interrupted update left. Only while the lock is held.
    pub(super) fn tidy(&self) -> Result<(), StateError> {
        self.disk.tidy()?;
        self.disk.make_folder(SETS)?;
        self.disk.make_folder(DOWNLOAD)?;
        self.disk.remove(ARCHIVE)?;
        let current = self.disk.read::<Current>(CURRENT)?.map(|current| current.set);
        for name in self.disk.names(SETS)? {
            if Some(&name) != current.as_ref() {
                self.disk.remove_tree(&format!("{SETS}/{name}"))?;
            }
        }
        Ok(())
    }

    pub(super) fn note(&self, record: &Record) -> Result<(), StateError> {
        self.disk.write(RECORD, record)
    }

    /// Begins a set beside the one in use.
    pub(super) fn begin(&self, archive: Digest, now: Timestamp) -> Result<NewSet<'_>, StateError> {
        let set = guid(Digest::of(format!("{archive} {}", now.as_micros()).as_bytes()));
        let folder = format!("{SETS}/{NEW}{set}");
        self.disk.remove_tree(&folder)?;
        self.disk.make_folder(&folder)?;
        Ok(NewSet { disk: &self.disk, set, folder, folders: Vec::new() })
    }
}

/// A set that is being made.
#[derive(Debug)]
pub(super) struct NewSet<'d> {
    disk: &'d Disk,
    set: String,
    folder: String,
    /// Made below it.
    folders: Vec<String>,
}

impl<'d> NewSet<'d> {
    /// Begins a file; the folders that its name lies in are made.
    pub(super) fn file(&mut self, name: &str) -> Result<crate::disk::Growing<'d>, StateError> {
        for (at, _) in name.match_indices('/') {
            let folder = format!("{}/{}", self.folder, name.get(..at).unwrap_or_default());
            if !self.folders.contains(&folder) {
                self.disk.make_folder(&folder)?;
                self.folders.push(folder);
            }
        }
        self.disk.create(&format!("{}/{name}", self.folder))
    }

    /// Makes it the set in use: one rename, one replaced document. The old one is removed only then.
    pub(super) fn switch(self, installed: &Installed) -> Result<(), StateError> {
        self.disk.write(&format!("{}/{ABOUT}", self.folder), installed)?;
        for folder in self.folders.iter().rev() {
            self.disk.sync(folder)?;
        }
        self.disk.sync(&self.folder)?;
        self.disk.rename(SETS, &format!("{NEW}{}", self.set), &self.set)?;
        self.disk.write(CURRENT, &Current { set: self.set.clone() })?;
        for name in self.disk.names(SETS)? {
            if name != self.set {
                self.disk.remove_tree(&format!("{SETS}/{name}"))?;
            }
        }
        self.disk.remove(ARCHIVE)
    }

    /// Removes it again.
    pub(super) fn drop_it(self) -> Result<(), StateError> {
        self.disk.remove_tree(&self.folder)?;
        self.disk.remove(ARCHIVE)
    }
}
