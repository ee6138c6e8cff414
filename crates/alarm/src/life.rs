//! The sign that a process leaves behind while it lives, so that the next one can tell how it ended.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use model::Timestamp;
use platform::fs::{Folder, Mode, Owners, create_folder};
use serde::{Deserialize, Serialize};

use crate::ShelfError;

const FOLDER: &str = "alarms";
const FILE: &str = "alive.json";
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
}
