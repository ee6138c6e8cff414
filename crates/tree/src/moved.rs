//! Whether a folder is one that was filled before, and lies elsewhere now.

use std::path::Path;

use model::RingName;
use platform::fs::Folder;

use crate::place::is_known;
use crate::records::Records;
use crate::survey::hash;
use crate::{Tree, TreeError};

/// The largest file that is read to tell.
const SMALL: u64 = 64 << 10;

impl Tree {
    /// Whether the folder that the records in a folder speak of shows nothing any more of what was written into it, while
    /// `here` has some of it at its place: all of it, or what lay in it, was moved there.
    ///
    /// # Errors
    /// [`TreeError`] when the records cannot be read.
    pub fn moved_to(here: &Path, records: &Path, ring: &RingName) -> Result<bool, TreeError> {
        let folder = match Folder::open(records) {
            Err(error) if error.is_missing() => return Ok(false),
            other => other?,
        };
        let Some(records) = Records::read(&folder, ring)?.filter(|records| is_known(Some(records))) else {
            return Ok(false);
        };
        let names = || records.files.iter().map(|(path, wrote)| (path.as_str().trim_start_matches('/'), wrote));
        let stays = names().any(|(name, _)| records.root.join(name).symlink_metadata().is_ok());
        let Some(here) = Folder::open(here).ok().filter(|_| !stays) else { return Ok(false) };
        Ok(names().any(|(name, wrote)| {
            let opened = here.open_regular(name).ok().filter(|(_, size)| *size == wrote.size && *size <= SMALL);
            opened.is_some_and(|(mut file, _)| hash(&mut file).is_ok_and(|digest| digest == wrote.digest))
        }))
    }
}
