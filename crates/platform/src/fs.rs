//! Folders and files: opened without following links, judged by owner and mode, made durable, replaced whole.

mod folder;
mod judge;
mod named;
mod open;
mod place;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use model::{Reason, Timestamp};

use crate::Group;

pub use folder::{Entry, EntryKind, Folder, Names};
pub use judge::{Owners, check_plain};
pub use named::{open_named, read_named};
pub use place::{Look, has_label_of, look_at_file, set_modified, share_bytes};

/// Why something on a file or folder failed.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// The system refused.
    #[error("cannot {act} {}", path.display())]
    Io {
        /// What was tried: `open`, `write`, `flush`, `rename`, …
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A link or special file stands there, or somebody else could change it.
    #[error("{} {what}", path.display())]
    Unsafe {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong with it, as the end of a sentence.
        what: &'static str,
    },
}

impl FsError {
    pub(crate) fn io(act: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Io { act, path: path.into(), source: source.into() }
    }

    /// Whether the disk could not give the bytes back, see [`says_bad_medium`].
    pub fn says_bad_medium(&self) -> bool {
        matches!(self, Self::Io { source, .. } if says_bad_medium(source))
    }

    /// Whether there is simply no such file or folder.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// The reason code that reports carry.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Io { source, .. } => reason_of(source),
            Self::Unsafe { .. } => Reason::UnsafeFile,
        }
    }

    /// Whether something of that name already stands there.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
    }
}

/// The reason code of what the system answered about a file or folder of ours.
pub fn reason_of(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::DiskFull,
        // Of a file, only a lock says so.
        io::ErrorKind::WouldBlock => Reason::Locked,
        _ => Reason::StoreFailed,
    }
}

/// Whether the system's answer to reading a file says that what lies on the disk is bad: what holds it failed to give it
/// back, or gave back what its own checksums refuse. Any other error says nothing about the bytes: a lack of memory,
/// descriptors or permission passes, and they are as good as before.
pub fn says_bad_medium(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // An I/O error, a checksum that does not fit, structures that do not, and what block devices say of a bad sector.
    let bad = [Errno::IO, Errno::BADMSG, Errno::UCLEAN, Errno::NODATA, Errno::ILSEQ, Errno::REMOTEIO];
    error.raw_os_error().is_some_and(|code| bad.map(Errno::raw_os_error).contains(&code))
}

/// The mode of something new, whatever the umask says. Where a group was declared ([`crate::share_with`]), its members
/// may also do what a folder or a private file lets its owner do; a file that others may read stays its owner's to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(rustix::fs::Mode);

impl Mode {
    /// A folder that others may look into: 0755.
    pub const FOLDER: Self = Self(rustix::fs::Mode::from_bits_truncate(0o755));
    /// A file that others may read: 0644.
    pub const FILE: Self = Self(rustix::fs::Mode::from_bits_truncate(0o644));
    /// A folder for us alone: 0700.
    pub const PRIVATE_FOLDER: Self = Self(rustix::fs::Mode::from_bits_truncate(0o700));
    /// A file for us alone: 0600.
    pub const PRIVATE_FILE: Self = Self(rustix::fs::Mode::from_bits_truncate(0o600));

    /// Gives an open file this mode, and the declared group.
    ///
    /// # Errors
    /// The system's answer.
    pub fn apply(self, file: &File) -> io::Result<()> {
        Ok(self.apply_to(file, crate::shared_group())?)
    }

    /// With which it is made: nobody gets in before it has its own.
    const fn at_first(self) -> rustix::fs::Mode {
        match self {
            Self::FOLDER | Self::PRIVATE_FOLDER => Self::PRIVATE_FOLDER.0,
            _ => Self::PRIVATE_FILE.0,
        }
    }

    fn apply_to(self, file: impl AsFd, group: Option<Group>) -> rustix::io::Result<()> {
        let Some(group) = group else { return rustix::fs::fchmod(file, self.0) };
        // First the group: giving a file to one takes the bit away that hands it on.
        if rustix::fs::fstat(&file)?.st_gid != group.gid() {
            rustix::fs::fchown(&file, None, Some(rustix::fs::Gid::from_raw(group.gid())))?;
        }
        rustix::fs::fchmod(file, self.shared())
    }

    /// What the members of the declared group may do as well; what is made in a folder belongs to the group, too.
    fn shared(self) -> rustix::fs::Mode {
        let more = match self {
            Self::FOLDER | Self::PRIVATE_FOLDER => 0o2070,
            Self::PRIVATE_FILE => 0o060,
            _ => 0,
        };
        self.0 | rustix::fs::Mode::from_bits_truncate(more)
    }
}

/// Makes a folder's entries durable: what was created, renamed or removed in it.
///
/// # Errors
/// [`FsError`] naming the folder.
pub fn sync_folder(path: &Path) -> Result<(), FsError> {
    Folder::open(path)?.sync()
}

/// Replaces `name` in the folder `dir` by a file with these bytes, durably: readers see the old file or the
/// new one, whole, whatever crashes when.
///
/// # Errors
/// [`FsError`] naming the file; the old one then still stands.
pub fn write_atomic(dir: &Path, name: &str, bytes: &[u8], mode: Mode) -> Result<(), FsError> {
    Folder::open(dir)?.write_atomic(name, bytes, mode)
}

/// Makes sure that a folder is there. Only its last part is made, durably and with `mode`; one that is there
/// keeps the mode it has.
///
/// # Errors
/// [`FsError`] when a part before the last is missing, or something else has that name.
pub fn create_folder(path: &Path, mode: Mode) -> Result<Folder, FsError> {
    match Folder::open(path) {
        Err(error) if error.is_missing() => {}
        other => return other,
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| FsError::io("create", path, io::ErrorKind::InvalidInput))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Folder::open_following(parent)?.ensure_folder(name, mode)
}

/// Bytes free for us on the file system that holds `path`.
///
/// # Errors
/// [`FsError`] naming the path.
pub fn free_bytes(path: &Path) -> Result<u64, FsError> {
    Folder::open_following(path)?.free_bytes()
}

/// When a file was last written.
///
/// # Errors
/// The system's answer.
pub fn modified(file: &File) -> io::Result<Timestamp> {
    Ok(crate::clock::timestamp(file.metadata()?.modified()?))
}

/// Makes a file's bytes durable. After an error the file must be abandoned: the system may have forgotten
/// which of its pages never reached the disk, and a second flush would lie.
///
/// # Errors
/// The system's answer.
pub fn flush(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Whether two open files are one and the same.
///
/// # Errors
/// The system's answer.
pub fn same_file(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok(one.st_dev == other.st_dev && one.st_ino == other.st_ino)
}
