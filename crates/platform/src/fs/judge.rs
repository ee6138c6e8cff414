//! Whose files are believed.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FileType, Stat, fstat};

use super::{Folder, FsError};
use crate::Group;

/// The users whose files are believed: root always, those named here, and the members of the declared group
/// ([`crate::share_with`]) for what belongs to that group. Anybody else who could write a file could change what is
/// served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    us: u32,
    owner: u32,
    group: Option<Group>,
}

impl Owners {
    /// Ourselves (and root): for whoever writes.
    pub fn us() -> Self {
        let us = crate::uid();
        Self { us, owner: us, group: crate::shared_group() }
    }

    /// Ourselves and the owner of `folder` (and root): for a reader that runs as another user than the writer.
    ///
    /// # Errors
    /// [`FsError`] when the folder does not answer.
    pub fn us_or_owner_of(folder: &Folder) -> Result<Self, FsError> {
        Ok(Self { owner: folder.owner()?, ..Self::us() })
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
        let shared = self.group.is_some_and(|group| group.gid() == stat.st_gid);
        if !self.believes(stat.st_uid) && !shared {
            return Err("belongs to another user: give it to the one who runs Waystation (chown), or take it away");
        }
        if stat.st_mode & 0o002 != 0 {
            return Err("can be written by others: take that right away (chmod o-w)");
        }
        if stat.st_mode & 0o020 != 0 && !shared {
            return Err(
                "can be written by its group, which data_group does not declare: take that right away (chmod g-w)",
            );
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(uid: u32, gid: u32, mode: u32) -> Stat {
        let mut stat = fstat(std::fs::File::open("/").unwrap()).unwrap();
        (stat.st_uid, stat.st_gid, stat.st_mode) = (uid, gid, mode | 0o040_000);
        stat
    }

    /// Whether a folder of this state is believed by user 10, whose data folder belongs to user 20.
    fn believed(group: Option<u32>, uid: u32, gid: u32, mode: u32) -> bool {
        let owners = Owners { us: 10, owner: 20, group: group.map(Group::new) };
        owners.judge(&stat(uid, gid, mode), FileType::Directory).is_ok()
    }

    #[test]
    fn only_the_declared_group_may_write_s22() {
        for (group, uid, gid, mode, good) in [
            (None, 10, 10, 0o755, true),
            (None, 20, 20, 0o700, true),
            (None, 0, 0, 0o755, true),
            (None, 30, 10, 0o755, false),
            (None, 10, 10, 0o775, false),
            (None, 0, 2000, 0o2775, false),
            // A Kubernetes volume with fsGroup 2000.
            (Some(2000), 0, 2000, 0o2775, true),
            (Some(2000), 0, 2000, 0o2770, true),
            (Some(2000), 30, 2000, 0o775, true),
            (Some(2000), 10, 10, 0o755, true),
            // Another group, whoever owns it, and everybody.
            (Some(2000), 0, 2001, 0o775, false),
            (Some(2000), 10, 10, 0o775, false),
            (Some(2000), 30, 30, 0o755, false),
            (Some(2000), 0, 2000, 0o2777, false),
            (Some(2000), 10, 2000, 0o757, false),
        ] {
            assert_eq!(believed(group, uid, gid, mode), good, "{group:?} {uid}:{gid} {mode:o}");
        }
    }
}
