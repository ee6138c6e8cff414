//! What a folder that others read is kept with: files and folders looked at, linked, exchanged and labelled in place.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime};

use model::Timestamp;
use rustix::fs::{AtFlags, Dir, FileType, Stat, fstat, linkat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::{EntryKind, Folder, FsError, Mode};

/// Where SELinux keeps a file's label.
const LABEL: &str = "security.selinux";
/// The longest label that is read.
const LABEL_BYTES: usize = 4096;

/// What a look at a name shows, without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it is; links are not followed.
    pub kind: EntryKind,
    /// A file's size in bytes.
    pub size: u64,
    /// The file system's own number for it.
    pub inode: u64,
    /// The file system that it lies on.
    pub device: u64,
    /// The user it belongs to.
    pub owner: u32,
    /// Its permission bits.
    pub mode: u32,
    /// How many names it has.
    pub names: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified: i128,
}

impl Look {
    // The fields of `Stat` have other types on other systems.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    fn of(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Folder,
            _ => EntryKind::Other,
        };
        Self {
            kind,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            inode: stat.st_ino as u64,
            device: stat.st_dev as u64,
            owner: stat.st_uid,
            mode: u32::from(stat.st_mode) & 0o7777,
            names: stat.st_nlink as u64,
            modified: i128::from(stat.st_mtime as i64) * 1_000_000_000 + stat.st_mtime_nsec as i128,
        }
    }
}

impl Folder {
    /// Looks at a name without following or opening it; none where there is none.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn look_at(&self, name: impl AsRef<OsStr>) -> Result<Option<Look>, FsError> {
        let name = name.as_ref();
        match statat(self.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Look::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(FsError::io("look at", self.path().join(name), errno)),
        }
    }

    /// Looks at the folder itself.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn look_here(&self) -> Result<Look, FsError> {
        Ok(Look::of(&fstat(self.as_fd()).map_err(|errno| FsError::io("look at", self.path(), errno))?))
    }

    /// Every name in it, also those that are no text, in no order.
    ///
    /// # Errors
    /// [`FsError`] naming the folder.
    pub fn every_name(&self) -> Result<Vec<OsString>, FsError> {
        let failed = |errno| FsError::io("list", self.path(), errno);
        let mut dir = Dir::read_from(self.as_fd()).map_err(failed)?;
        let mut names = Vec::new();
        while let Some(entry) = dir.read() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// Renames whatever stands under a name, file or folder; neither folder is flushed.
    ///
    /// # Errors
    /// [`FsError`] naming its new name.
    pub fn move_entry(&self, from: &OsStr, to: &Self, name: &OsStr) -> Result<(), FsError> {
        renameat(self.as_fd(), from, to.as_fd(), name)
            .map_err(|errno| FsError::io("rename to", to.path().join(name), errno))
    }

    /// Exchanges what two names stand for, at one stroke. `false` where the file system or the system cannot.
    ///
    /// # Errors
    /// [`FsError`] naming the second name.
    pub fn exchange(&self, one: &str, to: &Self, other: &str) -> Result<bool, FsError> {
        match exchange(self, one, to, other) {
            Ok(()) => Ok(true),
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(FsError::io("exchange", to.path().join(other), errno)),
        }
    }

    /// Gives a file of this folder another name in `to`. `false` where the file systems do not allow it.
    ///
    /// # Errors
    /// [`FsError`] naming the new name.
    pub fn link(&self, from: &str, to: &Self, name: &str) -> Result<bool, FsError> {
        linked(linkat(self.as_fd(), from, to.as_fd(), name, AtFlags::empty()), to, name)
    }

    /// Gives an open file another name in this folder. `false` where the file systems or the system do not allow it.
    ///
    /// # Errors
    /// [`FsError`] naming the new name.
    pub fn link_file(&self, file: &File, name: &str) -> Result<bool, FsError> {
        use std::os::fd::AsRawFd;
        let handle = format!("/proc/self/fd/{}", file.as_raw_fd());
        let made = linkat(rustix::fs::CWD, handle, self.as_fd(), name, AtFlags::SYMLINK_FOLLOW);
        linked(if made == Err(Errno::NOENT) { Err(Errno::OPNOTSUPP) } else { made }, self, name)
    }

    /// Removes an empty folder; `false` where there is none, or something is in it.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn remove_folder(&self, name: impl AsRef<OsStr>) -> Result<bool, FsError> {
        let name = name.as_ref();
        match unlinkat(self.as_fd(), name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(FsError::io("remove", self.path().join(name), errno)),
        }
    }

    /// Gives the folder itself a mode.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn set_mode(&self, mode: Mode) -> Result<(), FsError> {
        mode.apply_to(self.as_fd(), crate::shared_group())
            .map_err(|errno| FsError::io("set the mode of", self.path(), errno))
    }

    /// Gives the folder the SELinux label that `like` has, where it has one and this one's differs. What is made in
    /// a folder takes the folder's label on. `false` where the system does not let us.
    ///
    /// # Errors
    /// [`FsError`] naming the folder, where the label cannot be read.
    pub fn label_like(&self, like: &Self) -> Result<bool, FsError> {
        let failed = |errno| FsError::io("read the label of", self.path(), errno);
        let want = label(like.as_fd(), LABEL).map_err(failed)?;
        if want.is_none() || label(self.as_fd(), LABEL).map_err(failed)? == want {
            return Ok(true);
        }
        let want = want.unwrap_or_default();
        Ok(rustix::fs::fsetxattr(self.as_fd(), LABEL, &want, rustix::fs::XattrFlags::empty()).is_ok())
    }
}

/// Whether a file has the SELinux label that what is made in `folder` takes on; so it is where there are no labels.
///
/// # Errors
/// The system's answer.
pub fn has_label_of(file: &File, folder: &Folder) -> io::Result<bool> {
    Ok(label(file.as_fd(), LABEL)? == label(folder.as_fd(), LABEL)?)
}

/// Lets `to`, which is empty, share the bytes of `from` until either is written. `false` where the file system cannot.
///
/// # Errors
/// The system's answer.
pub fn share_bytes(from: &File, to: &File) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(
            Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::NOSYS | Errno::PERM | Errno::TXTBSY,
        ) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (from, to);
        Ok(false)
    }
}

/// Says when a file was last written.
///
/// # Errors
/// The system's answer.
pub fn set_modified(file: &File, at: Timestamp) -> io::Result<()> {
    let micros = u64::try_from(at.as_micros()).unwrap_or(0);
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_micros(micros))
}

/// What a look at an open file shows.
///
/// # Errors
/// The system's answer.
pub fn look_at_file(file: &File) -> io::Result<Look> {
    Ok(Look::of(&fstat(file)?))
}

#[cfg(target_os = "linux")]
fn exchange(from: &Folder, one: &str, to: &Folder, other: &str) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(from.as_fd(), one, to.as_fd(), other, rustix::fs::RenameFlags::EXCHANGE)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Folder, _: &str, _: &Folder, _: &str) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

fn linked(made: rustix::io::Result<()>, folder: &Folder, name: &str) -> Result<bool, FsError> {
    match made {
        Ok(()) => Ok(true),
        Err(Errno::XDEV | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::MLINK | Errno::NOSYS) => Ok(false),
        Err(errno) => Err(FsError::io("link", folder.path().join(name), errno)),
    }
}

/// A label, none where the file system or the system has none.
fn label(file: impl AsFd, name: &str) -> rustix::io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; LABEL_BYTES];
    match rustix::fs::fgetxattr(file, name, bytes.as_mut_slice()) {
        Ok(length) => {
            bytes.truncate(length);
            Ok(Some(bytes))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        (dir, folder)
    }

    #[test]
    fn two_folders_are_exchanged_at_one_stroke_or_not_at_all() {
        let (dir, folder) = folder();
        for name in ["a", "b"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("file"), name).unwrap();
        }
        let can = folder.exchange("a", &folder, "b").unwrap();
        let now = std::fs::read_to_string(dir.path().join("a/file")).unwrap();
        assert_eq!(now, if can { "b" } else { "a" });
        assert!(folder.exchange("a", &folder, "absent").is_err());
    }

    #[test]
    fn an_open_file_is_linked_and_not_what_took_its_name_s20() {
        let (dir, folder) = folder();
        std::fs::write(dir.path().join("blob"), "ours").unwrap();
        let file = File::open(dir.path().join("blob")).unwrap();
        std::fs::rename(dir.path().join("blob"), dir.path().join("moved")).unwrap();
        std::fs::write(dir.path().join("blob"), "another's").unwrap();
        if folder.link_file(&file, "linked").unwrap() {
            assert_eq!(std::fs::read_to_string(dir.path().join("linked")).unwrap(), "ours");
            assert_eq!(folder.look_at("linked").unwrap().unwrap().names, 2);
            assert!(folder.link_file(&file, "linked").is_err(), "a name that is taken stays");
        }
        assert!(folder.link("moved", &folder, "second").unwrap());
    }

    #[test]
    fn only_an_empty_folder_is_removed() {
        let (dir, folder) = folder();
        std::fs::create_dir_all(dir.path().join("full/inside")).unwrap();
        assert!(!folder.remove_folder("full").unwrap() && !folder.remove_folder("absent").unwrap());
        assert!(folder.folder("full").unwrap().remove_folder("inside").unwrap());
        assert!(folder.remove_folder("full").unwrap());
    }

    #[test]
    fn times_names_and_labels_are_told() {
        let (dir, folder) = folder();
        std::fs::write(dir.path().join("file"), "12").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let file = File::open(dir.path().join("file")).unwrap();
        set_modified(&file, Timestamp::from_micros(1_790_000_000_000_001)).unwrap();
        let look = folder.look_at("file").unwrap().unwrap();
        assert_eq!((look.kind, look.size, look.modified), (EntryKind::File, 2, 1_790_000_000_000_001_000));
        assert_eq!(folder.look_at("link").unwrap().unwrap().kind, EntryKind::Other);
        assert_eq!(folder.look_at("absent").unwrap(), None);
        assert_eq!(look_at_file(&file).unwrap(), look);
        assert_eq!(folder.every_name().unwrap().len(), 2);
        assert_eq!(label(&file, "user.no-such-label").unwrap(), None);
        assert!(has_label_of(&file, &folder).unwrap(), "what is made in a folder takes its label on");
        let made = folder.make_folder("made", Mode::FOLDER).unwrap();
        assert!(made.label_like(&folder).unwrap());
    }
}
