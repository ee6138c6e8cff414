//! Whose files are believed.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FileType, Stat, fstat};

use super::{Folder, FsError};

/// The users whose files are believed: root always, and those named here. Anybody else who could write a file
/// could change what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    us: u32,
    owner: u32,
}

impl Owners {
    /// Ourselves (and root): for whoever writes.
    pub fn us() -> Self {
        let us = crate::uid();
        Self { us, owner: us }
    }

    /// Ourselves and the owner of `folder` (and root): for a reader that runs as another user than the writer.
    ///
    /// # Errors
    /// [`FsError`] when the folder does not answer.
    pub fn us_or_owner_of(folder: &Folder) -> Result<Self, FsError> {
        Ok(Self { us: crate::uid(), owner: folder.owner()? })
    }

    /// Whether files of this user are believed.
    pub fn believes(self, uid: u32) -> bool {
        uid == 0 || uid == self.us || uid == self.owner
    }

    /// What is wrong with a file or folder of this state, if anything.
    pub(super) fn judge(self, stat: &Stat, want: FileType) -> Result<(), &'static str> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        match (kind == want, want) {
            (true, _) => {}
            (false, FileType::Directory) => return Err("is not a folder"),
            (false, _) if kind == FileType::Symlink => return Err("is a symbolic link"),
            (false, _) => return Err("is not a regular file"),
        }
        if !self.believes(stat.st_uid) {
            return Err("belongs to another user");
        }
        if stat.st_mode & 0o022 != 0 {
            return Err("can be written by its group or by others");
        }
        Ok(())
    }
}

/// Checks that an open file is a regular one of an owner that is believed, and that nobody else can write it;
/// returns its size.
///
/// # Errors
/// [`FsError::Unsafe`] saying what is wrong, with `path` as the file's name.
pub fn check_plain(file: &File, owners: Owners, path: &Path) -> Result<u64, FsError> {
    let stat = fstat(file).map_err(|errno| FsError::io("look at", path, errno))?;
    owners.judge(&stat, FileType::RegularFile).map_err(|what| FsError::Unsafe { path: path.to_owned(), what })?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}
