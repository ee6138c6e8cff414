//! The folder that holds an endpoint's state, written so that it can be ended anywhere.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Clock, Digest, Hasher, Reason};
use platform::fs::{Folder, FsError, Mode, Owners, create_folder, flush};
use platform::lock::FileLock;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most bytes of a document of ours.
const DOCUMENT: u64 = 16 << 20;
const LOCK: &str = "lock";

/// The process was ended here; only tests end it so.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("stopped at '{0}'")]
pub struct Stopped(pub &'static str);

/// Told of every step on the disk, before it is taken and once it is done.
pub trait Steps: Send + Sync + std::fmt::Debug {
    /// Whether to go on.
    ///
    /// # Errors
    /// Not to: nothing more is written then, as if the process had ended.
    fn step(&self, act: &'static str) -> Result<(), Stopped>;
}

/// Goes on, always.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Steps for Unwatched {
    fn step(&self, _: &'static str) -> Result<(), Stopped> {
        Ok(())
    }
}

/// Why an endpoint's state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk refused.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A file was not written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A document of ours cannot be read: somebody else wrote it.
    #[error("{} is not what this program writes; remove it, and the next update makes it anew", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What the reader says.
        #[source]
        source: serde_json::Error,
    },
    /// Another process works on this state.
    #[error("{} is in use{holder}; wait for it, or name another folder", path.display())]
    Busy {
        /// Which folder.
        path: PathBuf,
        /// Who, as the end of a sentence.
        holder: String,
    },
    /// A test ended it here.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl StateError {
    /// The code that reports carry.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Fs(error) => error.reason(),
            Self::Write { source, .. } => platform::fs::reason_of(source),
            Self::Damaged { .. } => Reason::StoreFailed,
            Self::Busy { .. } => Reason::Locked,
            Self::Stopped(_) => Reason::Interrupted,
        }
    }
}

/// The folder that holds an endpoint's state.
#[derive(Debug)]
pub struct Disk {
    root: Folder,
    path: PathBuf,
    steps: Arc<dyn Steps>,
}

impl Disk {
    /// Opens the folder, made for us alone if it is not there; the one around it must be.
    ///
    /// # Errors
    /// [`StateError`] naming it.
    pub fn open(path: &Path, steps: Arc<dyn Steps>) -> Result<Self, StateError> {
        let root = create_folder(path, Mode::PRIVATE_FOLDER)?;
        Ok(Self { root, path: path.to_owned(), steps })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps every other process out until it is dropped.
    pub(crate) fn lock(&self, verb: &str, clock: &dyn Clock) -> Result<FileLock, StateError> {
        match FileLock::try_acquire_in(&self.root, LOCK)? {
            Some(mut lock) => {
                lock.describe(verb, clock.now());
                Ok(lock)
            }
            None => {
                let holder = FileLock::holder_in(&self.root, LOCK);
                let holder = holder.map(|holder| format!(" by pid {} ({})", holder.pid, holder.verb));
                Err(StateError::Busy { path: self.path.clone(), holder: holder.unwrap_or_default() })
            }
        }
    }

    /// Whether another process works on it now.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(FileLock::try_acquire_in(&self.root, LOCK), Ok(None))
    }

    /// Reads a document; none if there is none.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let Some(bytes) = self.bytes(name, DOCUMENT)? else { return Ok(None) };
        let damaged = |source| StateError::Damaged { path: self.path.join(name), source };
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Reads a file of ours; none if there is none.
    pub(crate) fn bytes(&self, name: &str, cap: u64) -> Result<Option<Vec<u8>>, StateError> {
        let (file, _) = match self.root.open_plain(name, Owners::us()) {
            Ok(opened) => opened,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        let read = file.take(cap).read_to_end(&mut bytes);
        read.map_err(|source| StateError::Write { path: self.path.join(name), source })?;
        Ok(Some(bytes))
    }

    /// Opens a file of ours for reading; none if there is none.
    pub(crate) fn open_file(&self, name: &str) -> Result<Option<(File, u64)>, StateError> {
        match self.root.open_plain(name, Owners::us()) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces a document, whole and durably.
    pub(crate) fn write(&self, name: &str, document: &impl Serialize) -> Result<(), StateError> {
        let damaged = |source| StateError::Damaged { path: self.path.join(name), source };
        let mut bytes = serde_json::to_vec_pretty(document).map_err(damaged)?;
        bytes.push(b'\n');
        self.watched("replace", || Ok(self.root.write_atomic(name, &bytes, Mode::PRIVATE_FILE)?))
    }

    /// Makes a folder, if it is not there.
    pub(crate) fn make_folder(&self, relative: &str) -> Result<(), StateError> {
        self.watched("make a folder", || {
            self.root.make_folder(relative, Mode::PRIVATE_FOLDER)?;
            Ok(())
        })
    }

    /// Begins a file; whatever stood there is gone.
    pub(crate) fn create(&self, relative: &str) -> Result<Growing<'_>, StateError> {
        self.watched("create", || {
            self.root.remove(relative)?;
            let file = self.root.create_new(relative)?;
            Ok(Growing { disk: self, file, path: self.path.join(relative) })
        })
    }

    /// Renames a file or folder, durably; both lie in the folder `within` (none: the root).
    pub(crate) fn rename(&self, within: &str, from: &str, to: &str) -> Result<(), StateError> {
        let folder = self.root.folder(within)?;
        self.watched("rename", || Ok(folder.rename(from, &folder, to)?))?;
        self.watched("flush a folder", || Ok(folder.sync()?))
    }

    /// Makes a folder's entries durable.
    pub(crate) fn sync(&self, relative: &str) -> Result<(), StateError> {
        self.watched("flush a folder", || Ok(self.root.folder(relative)?.sync()?))
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, relative: &str) -> Result<(), StateError> {
        self.watched("remove", || {
            self.root.remove(relative)?;
            Ok(())
        })
    }

    /// Removes a folder and all in it, if it is there. Links in it are not followed.
    pub(crate) fn remove_tree(&self, relative: &str) -> Result<(), StateError> {
        let path = self.path.join(relative);
        self.watched("remove a folder", || match std::fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(StateError::Write { path, source }),
            _ => Ok(()),
        })
    }

    /// The names in a folder; none if it is not there.
    pub(crate) fn names(&self, relative: &str) -> Result<Vec<String>, StateError> {
        let folder = match self.root.folder(relative) {
            Ok(folder) => folder,
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names = folder.names()?.collect::<Result<Vec<_>, _>>()?;
        names.sort();
        Ok(names)
    }

    /// Removes what an interrupted replacement left. Only while the lock is held.
    pub(crate) fn tidy(&self) -> Result<(), StateError> {
        Ok(self.root.tidy_temps()?)
    }

    fn watched<T>(&self, act: &'static str, work: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError> {
        self.steps.step(act)?;
        let done = work()?;
        self.steps.step(act)?;
        Ok(done)
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Growing<'d> {
    disk: &'d Disk,
    file: File,
    path: PathBuf,
}

impl Growing<'_> {
    /// Appends.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (file, path) = (&mut self.file, &self.path);
        self.disk.watched("write", || {
            file.write_all(bytes).map_err(|source| StateError::Write { path: path.clone(), source })
        })
    }

    /// Makes it durable, and gives it back for reading from its beginning.
    pub(crate) fn finish(self) -> Result<File, StateError> {
        let failed = |source| StateError::Write { path: self.path.clone(), source };
        self.disk.watched("flush", || flush(&self.file).map_err(failed))?;
        let mut file = self.file;
        std::io::Seek::rewind(&mut file).map_err(|source| StateError::Write { path: self.path, source })?;
        Ok(file)
    }
}

/// A digest's first half, in the form of the vendor's folder names.
pub(crate) fn guid(digest: Digest) -> String {
    let hex = digest.to_string();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// A file's digest and size.
pub(crate) fn digest(mut file: File) -> std::io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    let size = hasher.bytes();
    Ok((hasher.finish(), size))
}
