//! The data folder: where everything lies, and who may have written it.
//!
//! ```text
//! <data_dir>/                              0755, ours; nobody else may write it but the declared group, see below
//!   blobs/<2 digits>/<64 digits>           0755, 0755, 0644: a blob under its SHA-256, never written again
//!   partial/                               0700: nobody else sees or locks what is unfinished
//!     <64 digits>.part                     a download that can be resumed; whoever writes it holds a lock on it
//!     <64 digits>.tag                      `<digest of the text> <text>`: the validator of the .part beside it
//!     tmp-<unique>                         a download that cannot be resumed, locked likewise
//!   damaged/<64 digits>.<n>                0700: blobs whose bytes changed under us, set aside
//!   rings/<ring>/                          0755
//!     generation-<n>                       0644: immutable, ends in its own checksum
//!     current                              0644: `<n> <digest of generation-n's bytes>\n`, replaced atomically
//!     .lock                                0600: held while `current` moves
//!     .tmp-<unique>                        0600: about to be renamed; a crash leaves one, the next writer tidies
//! ```
//!
//! `catalog/` and `locks/` lie beside these and belong to others.
//!
//! Where `data_group` declares a group, folders have 2775 and private ones 2770, private files 0660, and all of them
//! that group; what belongs to it is believed whichever member wrote it. Blobs, generations and pointers stay 0644.

use std::io;
use std::path::Path;

use platform::fs::{Folder, FsError, Mode, Owners, create_folder};

use crate::StoreError;

/// What a data folder is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading and writing: the folder must be ours, and is made if only its last part is missing.
    ReadWrite,
    /// Reading alone: a read-only mount and another user than the writer are fine.
    ReadOnly,
}

/// The data folder, opened and judged.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: Folder,
    owners: Owners,
    access: Access,
}

impl DataFolder {
    pub(crate) fn open(path: &Path, access: Access) -> Result<Self, StoreError> {
        let (root, owners) = match access {
            Access::ReadWrite => (create_folder(path, Mode::FOLDER)?, Owners::us()),
            Access::ReadOnly => {
                let root = Folder::open(path)?;
                let owners = Owners::us_or_owner_of(&root)?;
                (root, owners)
            }
        };
        if access == Access::ReadWrite && !root.is_ours()? {
            let what = "belongs to another user: run as its owner, or give it to this one";
            return Err(StoreError::Unsafe { path: path.display().to_string(), what });
        }
        root.check(owners)?;
        Ok(Self { root: root.labelled(""), owners, access })
    }

    /// Whose files are believed.
    pub(crate) fn owners(&self) -> Owners {
        self.owners
    }

    pub(crate) fn root(&self) -> &Folder {
        &self.root
    }

    /// Opens a folder below, and checks at each level on the way that nobody else can change what stands in it: who can
    /// write a folder can put another in the place of any below.
    pub(crate) fn folder(&self, relative: &str) -> Result<Folder, StoreError> {
        Ok(self.below(relative)?)
    }

    fn below(&self, relative: &str) -> Result<Folder, FsError> {
        let (above, name) = match relative.rsplit_once('/') {
            Some((above, name)) => (Some(self.below(above)?), name),
            None => (None, relative),
        };
        let folder = above.as_ref().unwrap_or(&self.root).folder(name)?;
        folder.check(self.owners)?;
        Ok(folder)
    }

    /// As [`DataFolder::folder`]; nothing if it is not there.
    pub(crate) fn folder_if_there(&self, relative: &str) -> Result<Option<Folder>, StoreError> {
        match self.below(relative) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a folder right below, made durably if it is not there.
    pub(crate) fn ensure(&self, name: &str, mode: Mode) -> Result<Folder, StoreError> {
        let folder = self.root.ensure_folder(name, mode)?;
        folder.check(self.owners)?;
        Ok(folder)
    }

    /// Opens a folder right in one that was opened here; nothing if it is not there.
    pub(crate) fn inside(&self, above: &Folder, name: &str) -> Result<Option<Folder>, StoreError> {
        match above.folder(name) {
            Ok(folder) => {
                folder.check(self.owners)?;
                Ok(Some(folder))
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses when opened for reading alone.
    pub(crate) fn writable(&self, act: &'static str) -> Result<(), StoreError> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(StoreError::Io {
                act,
                path: "the data folder".to_owned(),
                source: io::Error::new(io::ErrorKind::PermissionDenied, "it was opened for reading alone"),
            }),
        }
    }
}

impl From<FsError> for StoreError {
    fn from(error: FsError) -> Self {
        match error {
            FsError::Io { act, path, source } => Self::Io { act, path: path.display().to_string(), source },
            FsError::Unsafe { path, what } => Self::Unsafe { path: path.display().to_string(), what },
        }
    }
}

/// Makes a folder's entries durable.
pub(crate) fn flush(folder: &Folder) -> Result<(), StoreError> {
    #[cfg(test)]
    flushed::note(folder);
    Ok(folder.sync()?)
}

/// Runs what blocks on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    flat(tokio::task::spawn_blocking(work).await)
}

/// What became of a blocking task; one that did not run to its end (the program is stopping) is an error.
pub(crate) fn flat<T>(ended: Result<Result<T, StoreError>, tokio::task::JoinError>) -> Result<T, StoreError> {
    ended.unwrap_or_else(|broken| {
        Err(StoreError::Io {
            act: "finish work on",
            path: "the data folder".to_owned(),
            source: io::Error::other(broken),
        })
    })
}

/// An IO error with the file's name.
pub(crate) fn io_at(act: &'static str, path: impl Into<String>) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.into();
    move |source| StoreError::Io { act, path, source }
}

/// The folders that were flushed by a thread, for tests: what is left out shows nowhere else before a power cut.
#[cfg(test)]
pub(crate) mod flushed {
    use std::cell::RefCell;
    use std::path::PathBuf;

    use platform::fs::Folder;

    thread_local!(static FLUSHED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) });

    pub(super) fn note(folder: &Folder) {
        FLUSHED.with_borrow_mut(|flushed| flushed.push(folder.path().to_owned()));
    }

    /// Those since the last time that somebody asked.
    pub(crate) fn take() -> Vec<PathBuf> {
        FLUSHED.take()
    }
}
