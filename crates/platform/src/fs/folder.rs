//! An open folder: files are reached through its handle, so a path that is swapped later changes nothing.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, fstat, fstatvfs, fsync, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::open::open_beneath;
use super::{FsError, Mode, Owners, check_plain};

/// The beginning of the names of files that [`Folder::write_atomic`] has not renamed yet.
const TEMP: &str = ".tmp-";

/// An open folder. Paths given to it are relative, their parts divided by `/`, and never from outside.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// What a name in a folder stands for; links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, a device, a pipe.
    Other,
}

/// A name in a folder and what a look at it, without opening it, shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// A file's size in bytes.
    pub size: u64,
    /// What makes it unsafe to believe, if anything.
    pub doubt: Option<&'static str>,
}

impl Folder {
    /// Opens a folder. Its last part must not be a link; the parts before it are the operator's.
    ///
    /// # Errors
    /// [`FsError`] naming the folder.
    pub fn open(path: &Path) -> Result<Self, FsError> {
        Self::open_with(path, OFlags::NOFOLLOW)
    }

    /// Opens a folder that may be reached through a link.
    pub(super) fn open_following(path: &Path) -> Result<Self, FsError> {
        Self::open_with(path, OFlags::empty())
    }

    fn open_with(path: &Path, more: OFlags) -> Result<Self, FsError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
        let fd = retry_on_intr(|| openat(rustix::fs::CWD, path, flags, rustix::fs::Mode::empty()))
            .map_err(|errno| refusal("open", path.to_owned(), errno))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// The same folder, with another name in the errors of everything reached through it.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<PathBuf>) -> Self {
        self.path = label.into();
        self
    }

    /// Its name in errors.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The user it belongs to.
    ///
    /// # Errors
    /// [`FsError`] naming the folder.
    pub fn owner(&self) -> Result<u32, FsError> {
        Ok(fstat(&self.fd).map_err(|errno| FsError::io("look at", &self.path, errno))?.st_uid)
    }

    /// Whether `path` still leads to this folder, and not to another or to none.
    ///
    /// # Errors
    /// [`FsError`] when the system does not say.
    pub fn is_at(&self, path: &Path) -> Result<bool, FsError> {
        let there = match Self::open(path) {
            Ok(there) => there,
            Err(error) if error.is_missing() || matches!(error, FsError::Unsafe { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let look = |folder: &Self| fstat(&folder.fd).map_err(|errno| FsError::io("look at", &folder.path, errno));
        let (ours, there) = (look(self)?, look(&there)?);
        Ok((ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino))
    }

    /// Whether we may keep our files in it: it belongs to us, or to the declared group, which may write it.
    ///
    /// # Errors
    /// [`FsError`] naming the folder.
    pub fn is_ours(&self) -> Result<bool, FsError> {
        let stat = fstat(&self.fd).map_err(|errno| FsError::io("look at", &self.path, errno))?;
        let shared = crate::shared_group().is_some_and(|group| group.gid() == stat.st_gid);
        Ok(stat.st_uid == crate::uid() || (shared && stat.st_mode & 0o020 != 0))
    }

    /// Checks that nobody but `owners` can change what names stand in it.
    ///
    /// # Errors
    /// [`FsError::Unsafe`] when somebody else can.
    pub fn check(&self, owners: Owners) -> Result<(), FsError> {
        let stat = fstat(&self.fd).map_err(|errno| FsError::io("look at", &self.path, errno))?;
        owners.judge(&stat, FileType::Directory).map_err(|what| FsError::Unsafe { path: self.path.clone(), what })
    }

    /// Opens a folder below.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn folder(&self, relative: &str) -> Result<Self, FsError> {
        let fd = self.open_fd("open", relative, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Self { fd, path: self.path.join(relative) })
    }

    /// Opens the folder `name`, made durably with `mode` if it is not there.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn ensure_folder(&self, name: &str, mode: Mode) -> Result<Self, FsError> {
        match self.folder(name) {
            Err(error) if error.is_missing() => {}
            other => return other,
        }
        let made = self.make_folder(name, mode)?;
        self.sync()?;
        Ok(made)
    }

    /// As [`Folder::ensure_folder`], for a caller that flushes this folder itself, once for many.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn make_folder(&self, name: &str, mode: Mode) -> Result<Self, FsError> {
        let path = self.path.join(name);
        match mkdirat(&self.fd, name, mode.at_first()) {
            Ok(()) => {
                let made = self.folder(name)?;
                let applied = mode.apply_to(&made.fd, crate::shared_group());
                applied.map_err(|errno| FsError::io("set the mode of", path, errno))?;
                Ok(made)
            }
            Err(Errno::EXIST) => self.folder(name),
            Err(errno) => Err(FsError::io("create", path, errno)),
        }
    }

    /// Opens a file below for reading and checks it as [`check_plain`] does; returns it with its size.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn open_plain(&self, relative: &str, owners: Owners) -> Result<(File, u64), FsError> {
        let file = File::from(self.open_fd("open", relative, OFlags::RDONLY)?);
        let size = check_plain(&file, owners, &self.path.join(relative))?;
        Ok((file, size))
    }

    /// Opens a regular file below for reading, whoever owns it: for trees that a person brought, whose bytes
    /// are proven by other means. Returns it with its size.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn open_regular(&self, relative: &str) -> Result<(File, u64), FsError> {
        let path = self.path.join(relative);
        // Not blocking: a pipe planted as a file must not hold us.
        let file = File::from(self.open_fd("open", relative, OFlags::RDONLY | OFlags::NONBLOCK)?);
        let stat = fstat(&file).map_err(|errno| FsError::io("look at", &path, errno))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            Ok((file, u64::try_from(stat.st_size).unwrap_or(0)))
        } else {
            Err(FsError::Unsafe { path, what: "is not a regular file" })
        }
    }

    /// Opens a file for reading and writing, made with `mode` if it is not there, and checks it.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn open_or_create(&self, name: &str, mode: Mode, owners: Owners) -> Result<File, FsError> {
        // Somebody may remove it between the two looks; that cannot go on for ever.
        for _ in 0..16 {
            // Made private and only then given its mode: the umask has no say, and nobody gets in early.
            match self.create_new(name) {
                Ok(file) => {
                    mode.apply(&file).map_err(|source| FsError::io("set the mode of", self.path.join(name), source))?;
                    return Ok(file);
                }
                Err(error) if error.is_taken() => {}
                Err(error) => return Err(error),
            }
            match self.open_writable(name, owners) {
                Ok((file, _)) => return Ok(file),
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error),
            }
        }
        Err(FsError::io("open", self.path.join(name), io::ErrorKind::NotFound))
    }

    /// Creates a file, for us (and the declared group) alone, that must not be there yet.
    ///
    /// # Errors
    /// [`FsError`] naming it; [`FsError::is_taken`] when the name is taken, be it by a link.
    pub fn create_new(&self, name: &str) -> Result<File, FsError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let made = open_beneath(self.fd.as_fd(), name, flags, Mode::PRIVATE_FILE.at_first());
        let made = File::from(made.map_err(|errno| refusal("create", self.path.join(name), errno))?);
        if crate::shared_group().is_some() {
            let applied = Mode::PRIVATE_FILE.apply(&made);
            applied.map_err(|source| FsError::io("set the mode of", self.path.join(name), source))?;
        }
        Ok(made)
    }

    /// Opens a file for reading and writing that must be there, and checks it.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn open_writable(&self, name: &str, owners: Owners) -> Result<(File, u64), FsError> {
        let file = File::from(self.open_fd("open", name, OFlags::RDWR)?);
        let size = check_plain(&file, owners, &self.path.join(name))?;
        Ok((file, size))
    }

    /// Looks at a name without following it.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn look(&self, name: &str, owners: Owners) -> Result<Option<Entry>, FsError> {
        let stat = match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(FsError::io("look at", self.path.join(name), errno)),
        };
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let kind = match file_type {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Folder,
            _ => EntryKind::Other,
        };
        let want = if kind == EntryKind::Folder { FileType::Directory } else { FileType::RegularFile };
        let doubt = owners.judge(&stat, want).err();
        Ok(Some(Entry { kind, size: u64::try_from(stat.st_size).unwrap_or(0), doubt }))
    }

    /// Renames a file of this folder into `to`, over whatever stands there; neither folder is flushed.
    ///
    /// # Errors
    /// [`FsError`] naming the file's new name.
    pub fn rename(&self, from: &str, to: &Self, name: &str) -> Result<(), FsError> {
        renameat(&self.fd, from, &to.fd, name).map_err(|errno| FsError::io("rename to", to.path.join(name), errno))
    }

    /// Removes a file or link; `false` if there is none.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn remove(&self, name: &str) -> Result<bool, FsError> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(FsError::io("remove", self.path.join(name), errno)),
        }
    }

    /// Makes its entries durable: what was created, renamed or removed in it.
    ///
    /// # Errors
    /// [`FsError`] naming the folder.
    pub fn sync(&self) -> Result<(), FsError> {
        retry_on_intr(|| fsync(&self.fd)).map_err(|errno| FsError::io("flush", &self.path, errno))
    }

    /// As [`super::write_atomic`].
    ///
    /// # Errors
    /// [`FsError`] naming the file.
    pub fn write_atomic(&self, name: &str, bytes: &[u8], mode: Mode) -> Result<(), FsError> {
        let temp = crate::unique_name(TEMP);
        let placed = self.write_temp(&temp, bytes, mode).and_then(|()| self.rename(&temp, self, name));
        if let Err(error) = placed {
            // What went wrong first is what is told; a temporary file left behind is tidied later.
            let _ = self.remove(&temp);
            return Err(error);
        }
        self.sync()
    }

    fn write_temp(&self, temp: &str, bytes: &[u8], mode: Mode) -> Result<(), FsError> {
        let named = |act| move |source: io::Error| FsError::io(act, self.path.join(temp), source);
        let mut file = self.create_new(temp)?;
        file.write_all(bytes).map_err(named("write"))?;
        mode.apply(&file).map_err(named("set the mode of"))?;
        super::flush(&file).map_err(named("flush"))
    }

    /// Removes what an interrupted [`Folder::write_atomic`] left. Only for a caller that knows that nobody
    /// writes here now.
    ///
    /// # Errors
    /// [`FsError`] naming the folder.
    pub fn tidy_temps(&self) -> Result<(), FsError> {
        for name in self.names()? {
            let name = name?;
            if Self::is_temp(&name) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Whether a name is one that [`Folder::write_atomic`] gives what it has not renamed yet.
    pub fn is_temp(name: &str) -> bool {
        name.starts_with(TEMP)
    }

    /// The names in it, in no order, read as they are asked for. Names that are not UTF-8 are not ours and are
    /// left out.
    ///
    /// # Errors
    /// [`FsError`] naming the folder.
    pub fn names(&self) -> Result<Names, FsError> {
        let dir = Dir::read_from(&self.fd).map_err(|errno| FsError::io("list", &self.path, errno))?;
        Ok(Names { dir, path: self.path.clone() })
    }

    /// Bytes free for us on its file system.
    ///
    /// # Errors
    /// [`FsError`] naming the folder.
    pub fn free_bytes(&self) -> Result<u64, FsError> {
        let state = fstatvfs(&self.fd).map_err(|errno| FsError::io("measure", &self.path, errno))?;
        Ok(state.f_bavail.saturating_mul(state.f_frsize))
    }

    fn open_fd(&self, act: &'static str, relative: &str, flags: OFlags) -> Result<OwnedFd, FsError> {
        open_beneath(self.fd.as_fd(), relative, flags, rustix::fs::Mode::empty())
            .map_err(|errno| refusal(act, self.path.join(relative), errno))
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The names in a folder.
pub struct Names {
    dir: Dir,
    path: PathBuf,
}

impl Iterator for Names {
    type Item = Result<String, FsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.dir.read()? {
                Ok(entry) => entry,
                Err(errno) => return Some(Err(FsError::io("list", &self.path, errno))),
            };
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => return Some(Ok(name.to_owned())),
            }
        }
    }
}

/// A link where a folder or file should be is not a failure of the system but somebody's doing.
fn refusal(act: &'static str, path: PathBuf, errno: Errno) -> FsError {
    match errno {
        Errno::LOOP | Errno::XDEV => FsError::Unsafe { path, what: "is, or is reached through, a symbolic link" },
        Errno::NOTDIR => FsError::Unsafe { path, what: "is not a folder, or is reached through what is not one" },
        Errno::NXIO => FsError::Unsafe { path, what: "is not a regular file" },
        errno => FsError::io(act, path, errno),
    }
}
