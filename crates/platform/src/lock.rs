//! Locks between processes: one holder each, let go when the holder ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use model::Timestamp;

use crate::fs::{Folder, FsError, Mode, Owners, same_file};

/// The most bytes of a holder's note that are read.
const NOTE_CAP: u64 = 512;

/// A held lock. The file stays when it is dropped: removing it would let two hold "the" lock.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

/// Who holds a lock, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// What it does: `sync`, `gc`, …
    pub verb: String,
    /// Since when.
    pub since: Timestamp,
}

impl FileLock {
    /// Takes the lock if nobody holds it. The folder must be there; the file is made, for us alone, so that
    /// no other user can hold it against us.
    ///
    /// # Errors
    /// [`FsError`] naming the file.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>, FsError> {
        let (folder, name) = parts(path)?;
        Self::try_acquire_in(&folder, name)
    }

    /// As [`FileLock::try_acquire`], for a file of an open folder.
    ///
    /// # Errors
    /// [`FsError`] naming the file.
    pub fn try_acquire_in(folder: &Folder, name: &str) -> Result<Option<Self>, FsError> {
        loop {
            let file = folder.open_or_create(name, Mode::PRIVATE_FILE, Owners::us())?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => return Err(FsError::io("lock", folder.path().join(name), source)),
            }
            if still_named(&file, folder, name)? {
                return Ok(Some(Self { file }));
            }
        }
    }

    /// Waits until the lock is free and takes it; blocks the thread.
    ///
    /// # Errors
    /// [`FsError`] naming the file.
    pub fn acquire_blocking(path: &Path) -> Result<Self, FsError> {
        let (folder, name) = parts(path)?;
        Self::acquire_blocking_in(&folder, name)
    }

    /// As [`FileLock::acquire_blocking`], for a file of an open folder.
    ///
    /// # Errors
    /// [`FsError`] naming the file.
    pub fn acquire_blocking_in(folder: &Folder, name: &str) -> Result<Self, FsError> {
        loop {
            let file = folder.open_or_create(name, Mode::PRIVATE_FILE, Owners::us())?;
            rustix::io::retry_on_intr(|| rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive))
                .map_err(|errno| FsError::io("lock", folder.path().join(name), errno))?;
            if still_named(&file, folder, name)? {
                return Ok(Self { file });
            }
        }
    }

    /// Writes into the lock's file who holds it and what for. It is a help for people: a disk that takes no
    /// note does not keep anybody from holding the lock.
    pub fn describe(&mut self, verb: &str, since: Timestamp) {
        let verb: String = verb.chars().filter(|c| !c.is_control()).take(64).collect();
        let note = format!("pid {}\nverb {verb}\nsince {}\n", crate::pid(), since.as_micros());
        let _only_a_help = self.file.set_len(0).and_then(|()| {
            self.file.rewind()?;
            self.file.write_all(note.as_bytes())
        });
    }

    /// What the last holder wrote about itself. Ask after [`FileLock::try_acquire`] gave nothing: a holder that
    /// was killed leaves its note behind.
    pub fn holder(path: &Path) -> Option<Holder> {
        let (folder, name) = parts(path).ok()?;
        let (file, _) = folder.open_plain(name, Owners::us()).ok()?;
        let mut note = String::new();
        file.take(NOTE_CAP).read_to_string(&mut note).ok()?;
        let field = |key: &str| note.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        Some(Holder {
            pid: field("pid")?.parse().ok()?,
            verb: field("verb")?.to_owned(),
            since: Timestamp::from_micros(field("since")?.parse().ok()?),
        })
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file lets the lock go; the note goes first, while it is still ours.
        let _only_a_help = self.file.set_len(0);
    }
}

fn parts(path: &Path) -> Result<(Folder, &str), FsError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = name.ok_or_else(|| FsError::io("lock", path, std::io::ErrorKind::InvalidInput))?;
    Ok((Folder::open(parent)?, name))
}

/// Somebody may have removed the file between opening and locking it; a lock on a file without a name guards
/// nothing.
fn still_named(file: &File, folder: &Folder, name: &str) -> Result<bool, FsError> {
    let (there, _) = match folder.open_plain(name, Owners::us()) {
        Ok(there) => there,
        Err(error) if error.is_missing() => return Ok(false),
        Err(error) => return Err(error),
    };
    same_file(file, &there).map_err(|source| FsError::io("look at", folder.path().join(name), source))
}
