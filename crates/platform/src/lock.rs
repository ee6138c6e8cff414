//! Locks between processes: one holder each, let go when the holder ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use model::Timestamp;

use crate::fs::{Folder, FsError, Mode, Owners, same_file};

/// The most bytes of a holder's note that are read.
const NOTE_CAP: u64 = 512;

/// Between two looks of who blocks its thread until a lock is free, and how often it looks: about a minute.
const PAUSE: Duration = Duration::from_millis(10);
const LOOKS: u32 = 6_000;

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
        Ok(match try_lock(folder, name, IfMissing::Create)? {
            Attempt::Locked(file) => Some(Self { file }),
            Attempt::Busy | Attempt::Missing => None,
        })
    }

    /// Waits until the lock is free and takes it; blocks the thread, for about a minute at the most.
    ///
    /// # Errors
    /// [`FsError`] naming the file, with the reason `locked` when it was not free in time.
    pub fn acquire_blocking(path: &Path) -> Result<Self, FsError> {
        let (folder, name) = parts(path)?;
        Self::acquire_blocking_in(&folder, name)
    }

    /// As [`FileLock::acquire_blocking`], for a file of an open folder.
    ///
    /// # Errors
    /// [`FsError`] naming the file.
    pub fn acquire_blocking_in(folder: &Folder, name: &str) -> Result<Self, FsError> {
        Self::acquire_within(folder, name, LOOKS)
    }

    /// Looks so often. The system's own waiting would have no end, and nothing could be told while it lasts.
    fn acquire_within(folder: &Folder, name: &str, looks: u32) -> Result<Self, FsError> {
        for _ in 0..looks {
            match Self::try_acquire_in(folder, name)? {
                Some(lock) => return Ok(lock),
                None => std::thread::park_timeout(PAUSE),
            }
        }
        let held = match Self::holder_in(folder, name) {
            Some(holder) => format!("pid {} ({}) holds it", holder.pid, holder.verb),
            None => "another process holds it".to_owned(),
        };
        let late = std::io::Error::new(std::io::ErrorKind::WouldBlock, format!("{held}, and does not let it go"));
        Err(FsError::io("lock", folder.path().join(name), late))
    }

    /// Whether its file is the one that `name` stands for in a folder. Where it is not, this guards nothing there:
    /// another file, or none, stands in its place.
    ///
    /// # Errors
    /// [`FsError`] naming the file.
    pub fn is_at(&self, folder: &Folder, name: &str) -> Result<bool, FsError> {
        still_named(&self.file, folder, name)
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
        Self::holder_in(&folder, name)
    }

    /// As [`FileLock::holder`], for a file of an open folder.
    pub fn holder_in(folder: &Folder, name: &str) -> Option<Holder> {
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

/// What [`try_lock`] does when there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// Makes it, for us alone.
    Create,
    /// Says so.
    Say,
}

/// What [`try_lock`] came to.
#[derive(Debug)]
pub enum Attempt {
    /// The lock is ours until this file, open for reading and writing, is closed.
    Locked(File),
    /// Somebody else holds it.
    Busy,
    /// There is no file.
    Missing,
}

/// Locks a file that carries bytes of its own, such as an unfinished download. The file is ours, and is still
/// what the name stands for when this returns: a holder before us may have renamed it away.
///
/// # Errors
/// [`FsError`] naming the file.
pub fn try_lock(folder: &Folder, name: &str, if_missing: IfMissing) -> Result<Attempt, FsError> {
    loop {
        let opened = match if_missing {
            IfMissing::Create => folder.open_or_create(name, Mode::PRIVATE_FILE, Owners::us()),
            IfMissing::Say => folder.open_writable(name, Owners::us()).map(|(file, _)| file),
        };
        let file = match opened {
            Err(error) if error.is_missing() && if_missing == IfMissing::Say => return Ok(Attempt::Missing),
            other => other?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy),
            Err(TryLockError::Error(source)) => return Err(FsError::io("lock", folder.path().join(name), source)),
        }
        if still_named(&file, folder, name)? {
            return Ok(Attempt::Locked(file));
        }
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn one_holder_at_a_time_s23() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fetch");
        let mut held = FileLock::try_acquire(&path).unwrap().unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        assert_eq!(FileLock::holder(&path), None, "nothing was said yet");
        let since = Timestamp::from_micros(7);
        held.describe("sync\nnow", since);
        let said = FileLock::holder(&path).unwrap();
        assert_eq!(said, Holder { pid: crate::pid(), verb: "syncnow".to_owned(), since });
        drop(held);
        assert_eq!(FileLock::holder(&path), None);
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
    }

    #[test]
    fn a_lock_guards_its_own_file_alone_s42() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let held = FileLock::try_acquire_in(&folder, "alive").unwrap().unwrap();
        assert!(held.is_at(&folder, "alive").unwrap());
        std::fs::rename(dir.path().join("alive"), dir.path().join("away")).unwrap();
        assert!(!held.is_at(&folder, "alive").unwrap() && held.is_at(&folder, "away").unwrap());
        std::fs::write(dir.path().join("alive"), "").unwrap();
        assert!(!held.is_at(&folder, "alive").unwrap(), "another file of that name");
    }

    #[test]
    fn who_waits_gets_it_when_it_is_free_s23() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("publish");
        let held = FileLock::try_acquire(&path).unwrap().unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || FileLock::acquire_blocking(&path).map(drop)
        });
        drop(held);
        waiting.join().unwrap().unwrap();
    }

    #[test]
    fn a_lock_that_is_never_free_is_given_up_with_a_reason_s23() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let mut held = FileLock::try_acquire_in(&folder, ".lock").unwrap().unwrap();
        held.describe("gc", Timestamp::from_micros(7));
        let late = FileLock::acquire_within(&folder, ".lock", 2).unwrap_err();
        assert_eq!(late.reason(), model::Reason::Locked);
        let told = model::error_chain(&late);
        assert!(told.contains(".lock") && told.contains(&format!("pid {} (gc)", crate::pid())), "{told}");
        drop(held);
        assert!(FileLock::acquire_within(&folder, ".lock", 1).is_ok());
    }

    #[test]
    fn a_deleted_lock_file_is_made_again_s18() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("publish");
        drop(FileLock::try_acquire(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_link_planted_as_a_lock_is_refused_s20() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("victim"), "bytes").unwrap();
        symlink("victim", dir.path().join("fetch")).unwrap();
        let refused = FileLock::try_acquire(&dir.path().join("fetch")).unwrap_err();
        assert!(matches!(refused, FsError::Unsafe { .. }), "{refused}");
        assert_eq!(std::fs::read(dir.path().join("victim")).unwrap(), b"bytes");
    }

    #[test]
    fn a_note_of_rubbish_names_nobody_s41() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fetch");
        for rubbish in [&b"\xff\xfe"[..], b"pid x\nverb a\nsince 1", b"pid 1\nverb a", &[b'a'; 4096]] {
            std::fs::write(&path, rubbish).unwrap();
            assert_eq!(FileLock::holder(&path), None);
        }
    }
}
