//! The two folders of a run: the one that is shared, and the state, which is not.

use std::fs::File;
use std::path::{Path, PathBuf};

use platform::fs::{Folder, FsError, Mode, create_folder};
use rustix::io::Errno;

use crate::run::CompatError;

/// The shared folder, made with all above it, by its real path.
pub(crate) fn shared(path: &Path) -> Result<PathBuf, FsError> {
    let made = make(path)?;
    let real = path.canonicalize();
    drop(made);
    real.map_err(|source| FsError::Io { act: "find", path: path.to_owned(), source })
}

fn make(path: &Path) -> Result<Folder, FsError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
        && matches!(parent.try_exists(), Ok(false))
    {
        make(parent)?;
    }
    create_folder(path, Mode::FOLDER)
}

/// The state's folder, which must not be shared.
pub(crate) fn prepared(state: &Path, folder: &Path) -> Result<Folder, CompatError> {
    let nested = || CompatError::Nested { state: state.to_owned(), folder: folder.to_owned() };
    if state.starts_with(folder) || folder.starts_with(state) {
        return Err(nested());
    }
    let made = make(state)?;
    let real = state.canonicalize().map_err(|source| FsError::Io { act: "find", path: state.to_owned(), source })?;
    if real.starts_with(folder) || folder.starts_with(&real) { Err(nested()) } else { Ok(made) }
}

/// Keeps other runs out of the folder, whatever their state is, with nothing left in it. Where the file system locks no
/// folders (an NFS client's mount wants a file that is open for writing), the locks of the state are what holds: one run
/// of this state at a time.
pub(crate) fn alone(folder: &Path) -> Result<Option<File>, CompatError> {
    let failed = |act| move |source| FsError::Io { act, path: folder.to_owned(), source };
    let handle = File::open(folder).map_err(failed("open"))?;
    match handle.try_lock() {
        Ok(()) => Ok(Some(handle)),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(CompatError::Busy { folder: folder.to_owned(), by: holder(&handle) })
        }
        Err(std::fs::TryLockError::Error(error)) if locks_no_folders(&error) => Ok(None),
        Err(std::fs::TryLockError::Error(source)) => Err(failed("lock")(source).into()),
    }
}

/// The process that has a folder locked, as far as the system shows one.
fn holder(handle: &File) -> Option<u32> {
    let inode = format!(":{}", platform::fs::look_at_file(handle).ok()?.inode);
    holder_in(&std::fs::read_to_string("/proc/locks").ok()?, &inode)
}

/// `1: FLOCK  ADVISORY  WRITE 4711 fe:01:262146 0 EOF`
fn holder_in(locks: &str, inode: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, place, ..] = words.as_slice() else { return None };
        // Of another container's process there is no number here.
        place.ends_with(inode).then(|| pid.parse().ok()).flatten().filter(|pid| *pid != 0)
    })
}

/// Whether this is how a file system says that it locks no folders.
fn locks_no_folders(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::BADF | Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_run_and_a_mount_that_locks_no_folders_is_told_apart_from_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let first = alone(dir.path()).unwrap();
        assert!(first.is_some());
        assert!(matches!(alone(dir.path()), Err(CompatError::Busy { .. })));
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:01:42 0 EOF\n2: FLOCK  ADVISORY  WRITE 4711 fe:01:42 0 EOF\n";
        assert_eq!((holder_in(locks, ":42"), holder_in(locks, ":2")), (Some(4711), None));
        drop(first);
        assert!(alone(dir.path()).unwrap().is_some());
        // What flock answers for a folder on an NFS client's mount, and what it answers where something is wrong.
        for (errno, locks_none) in
            [(Errno::BADF, true), (Errno::NOLCK, true), (Errno::IO, false), (Errno::STALE, false)]
        {
            assert_eq!(locks_no_folders(&errno.into()), locks_none, "{errno}");
        }
    }
}
