//! The sign that a process leaves behind while it lives, so that the next one can tell how it ended.

use std::fs::TryLockError;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use model::Timestamp;
use platform::fs::{Folder, Mode, Owners, create_folder};
use platform::lock::FileLock;
use serde::{Deserialize, Serialize};

use crate::ShelfError;

const FOLDER: &str = "alarms";
const FILE: &str = "alive.json";
/// Held by the process as long as it lives, however it ends.
const LOCK: &str = "alive.lock";
const MOST: u64 = 4096;

/// What a process leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Its process id.
    pub pid: u32,
    /// When it began.
    pub since: Timestamp,
    /// When it was last seen.
    pub at: Timestamp,
    /// Whether it said that it ends.
    pub ended: bool,
    /// When an endpoint last asked for content, if one ever did.
    pub asked: Option<Timestamp>,
}

impl Life {
    fn path(data: &Path) -> PathBuf {
        data.join(FOLDER).join(FILE)
    }

    /// What the last process left; none when none ever did, or what it left cannot be believed.
    pub fn read(data: &Path) -> Option<Self> {
        let folder = Folder::open(data).and_then(|data| data.folder(FOLDER)).ok()?;
        let (file, _) = folder.open_plain(FILE, Owners::us_or_owner_of(&folder).ok()?).ok()?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Leaves this behind, durably.
    ///
    /// # Errors
    /// [`ShelfError`] when it cannot be written.
    pub fn keep(&self, data: &Path) -> Result<(), ShelfError> {
        let folder = create_folder(&data.join(FOLDER), Mode::PRIVATE_FOLDER)?;
        let form = |source| ShelfError::Form { path: Self::path(data), source };
        let bytes = serde_json::to_vec(self).map_err(form)?;
        Ok(folder.write_atomic(FILE, &bytes, Mode::PRIVATE_FILE)?)
    }

    /// Holds the lock that shows that somebody looks, until it is dropped; none while somebody else holds it, or asks
    /// at this very moment whether anybody does.
    ///
    /// # Errors
    /// [`ShelfError`] when its file cannot be made or locked.
    pub fn hold(data: &Path) -> Result<Option<FileLock>, ShelfError> {
        let folder = create_folder(&data.join(FOLDER), Mode::PRIVATE_FOLDER)?;
        Ok(FileLock::try_acquire_in(&folder, LOCK)?)
    }

    /// Who holds that lock, in words, as it says itself; none where it says nothing.
    pub fn holder(data: &Path) -> Option<String> {
        let folder = Folder::open(data).and_then(|data| data.folder(FOLDER)).ok()?;
        let holder = FileLock::holder_in(&folder, LOCK)?;
        Some(format!("process {} ({}), since {}", holder.pid, holder.verb, holder.since))
    }

    /// Whether somebody looks at this moment; none where that cannot be known: no lock was ever made, it may not be
    /// opened, or the file system has none.
    pub fn is_held(data: &Path) -> Option<bool> {
        let folder = Folder::open(data).and_then(|data| data.folder(FOLDER)).ok()?;
        let (file, _) = folder.open_plain(LOCK, Owners::us_or_owner_of(&folder).ok()?).ok()?;
        // Shared, so that two who ask at once do not take each other for the one who looks.
        match file.try_lock_shared() {
            Ok(()) => Some(false),
            Err(TryLockError::WouldBlock) => Some(true),
            Err(TryLockError::Error(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_is_known_at_once_and_to_any_number_of_askers_p01() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Life::is_held(folder.path()), None);
        let held = Life::hold(folder.path()).unwrap();
        assert!(held.is_some());
        assert_eq!(Life::is_held(folder.path()), Some(true));
        assert!(Life::hold(folder.path()).unwrap().is_none());
        drop(held);
        assert_eq!(Life::is_held(folder.path()), Some(false));
        assert_eq!(Life::is_held(folder.path()), Some(false));
        assert!(Life::hold(folder.path()).unwrap().is_some());
    }
}
