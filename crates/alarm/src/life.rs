//! The sign that a process leaves behind while it lives, so that the next one can tell how it ended.

use std::fs::TryLockError;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use model::Timestamp;
use platform::fs::{Folder, FsError, Mode, Owners, create_folder};
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
        let folder = opened(data).ok()?;
        let (file, _) = folder.open_plain(FILE, Owners::us_or_owner_of(&folder).ok()?).ok()?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Leaves this behind, durably, in the folder that [`Life::prepare`] made.
    ///
    /// # Errors
    /// [`ShelfError`] when it cannot be written, or there is no such folder.
    pub fn keep(&self, data: &Path) -> Result<(), ShelfError> {
        let folder = opened(data)?;
        let form = |source| ShelfError::Form { path: Self::path(data), source };
        let bytes = serde_json::to_vec(self).map_err(form)?;
        Ok(folder.write_atomic(FILE, &bytes, Mode::PRIVATE_FILE)?)
    }

    /// Makes the folder for what alarms leave behind. Once, when a data folder is begun with: what stands in the place
    /// of one that went away is never made into one.
    ///
    /// # Errors
    /// [`ShelfError`] when it cannot be made.
    pub fn prepare(data: &Path) -> Result<(), ShelfError> {
        create_folder(&data.join(FOLDER), Mode::PRIVATE_FOLDER)?;
        Ok(())
    }

    /// Makes that folder again where somebody removed it, as long as `in_place` says that the data folder is the one
    /// that was begun with; whether it is. The folder is opened before it is asked, so that none is made in another.
    ///
    /// # Errors
    /// [`ShelfError`] when it cannot be made.
    pub fn mend(data: &Path, in_place: impl Fn() -> bool) -> Result<bool, ShelfError> {
        let folder = match Folder::open(data) {
            Err(error) if error.is_missing() => return Ok(false),
            other => other?,
        };
        if !in_place() {
            return Ok(false);
        }
        folder.ensure_folder(FOLDER, Mode::PRIVATE_FOLDER)?;
        Ok(true)
    }

    /// Holds the lock that shows that somebody looks, until it is dropped; none while somebody else holds it, or asks
    /// at this very moment whether anybody does.
    ///
    /// # Errors
    /// [`ShelfError`] when there is no folder for it, or its file cannot be made or locked.
    pub fn hold(data: &Path) -> Result<Option<FileLock>, ShelfError> {
        Ok(FileLock::try_acquire_in(&opened(data)?, LOCK)?)
    }

    /// Whether a lock that [`Life::hold`] gave is the one of the data folder that stands there now.
    ///
    /// # Errors
    /// [`ShelfError`] when the system does not say.
    pub fn guards(lock: &FileLock, data: &Path) -> Result<bool, ShelfError> {
        match opened(data) {
            Ok(folder) => Ok(lock.is_at(&folder, LOCK)?),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Who else looks after the data folder that stands there now, in words; `ours` is the lock that this process
    /// holds, be it in a folder that went away.
    pub fn rival(data: &Path, ours: Option<&FileLock>) -> Option<String> {
        let is_ours = ours.is_some_and(|lock| Self::guards(lock, data).unwrap_or(true));
        if is_ours || Self::is_held(data) != Some(true) {
            return None;
        }
        Some(Self::holder(data).unwrap_or_else(|| "another process holds alarms/alive.lock".to_owned()))
    }

    /// Who holds that lock, in words, as it says itself; none where it says nothing.
    pub fn holder(data: &Path) -> Option<String> {
        let folder = opened(data).ok()?;
        let holder = FileLock::holder_in(&folder, LOCK)?;
        Some(format!("process {} ({}), since {}", holder.pid, holder.verb, holder.since))
    }

    /// Whether somebody looks at this moment; none where that cannot be known: no lock was ever made, it may not be
    /// opened, or the file system has none.
    pub fn is_held(data: &Path) -> Option<bool> {
        let folder = opened(data).ok()?;
        let (file, _) = folder.open_plain(LOCK, Owners::us_or_owner_of(&folder).ok()?).ok()?;
        // Shared, so that two who ask at once do not take each other for the one who looks.
        match file.try_lock_shared() {
            Ok(()) => Some(false),
            Err(TryLockError::WouldBlock) => Some(true),
            Err(TryLockError::Error(_)) => None,
        }
    }
}

/// The folder below a data folder, as it stands.
fn opened(data: &Path) -> Result<Folder, FsError> {
    Folder::open(data)?.folder(FOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_in_what_stands_where_a_data_folder_was_s42() {
        let folder = tempfile::tempdir().unwrap();
        let (data, away) = (folder.path().join("data"), folder.path().join("away"));
        std::fs::create_dir(&data).unwrap();
        Life::prepare(&data).unwrap();
        let ours = Life::hold(&data).unwrap().unwrap();
        assert!(Life::guards(&ours, &data).unwrap());
        assert_eq!(Life::rival(&data, Some(&ours)), None);
        std::fs::rename(&data, &away).unwrap();
        std::fs::create_dir(&data).unwrap();
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let life = Life { pid: 1, since: now, at: now, ended: false, asked: None };
        assert!(life.keep(&data).is_err() && Life::hold(&data).is_err());
        assert!(!Life::mend(&data, || false).unwrap());
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0);
        assert!(!Life::guards(&ours, &data).unwrap());
        assert_eq!(Life::rival(&data, Some(&ours)), None, "nobody is there");
        // Another begins there, and the folder comes back elsewhere.
        Life::prepare(&data).unwrap();
        let mut theirs = Life::hold(&data).unwrap().unwrap();
        theirs.describe("run", now);
        let rival = Life::rival(&data, Some(&ours)).unwrap();
        assert!(rival.contains(&format!("process {} (run), since ", platform::pid())), "{rival}");
        assert!(Life::guards(&ours, &away).unwrap() && Life::hold(&away).unwrap().is_none(), "it was never let go");
        drop(theirs);
        assert_eq!(Life::rival(&data, Some(&ours)), None);
    }

    #[test]
    fn who_looks_is_known_at_once_and_to_any_number_of_askers_p01() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Life::is_held(folder.path()), None);
        Life::prepare(folder.path()).unwrap();
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
