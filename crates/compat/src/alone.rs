//! One run at a time in a shared folder, whatever its state is.
//!
//! The folder itself is locked, so that nothing is left in it. Whoever can read it can lock it as well: one who could not
//! fill it is told and passed by, or any local user could stop all updates.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use platform::fs::{FsError, Look, look_at_file};
use rustix::io::Errno;

use crate::run::CompatError;

/// What keeps other runs out of a folder.
pub(crate) enum Alone {
    /// Its lock, for as long as this lives.
    Held(#[expect(dead_code, reason = "held, never read")] File),
    /// Nothing: its file system locks no folders (an NFS client's mount wants a file that is open for writing).
    NoLocks,
    /// Nothing: somebody who cannot fill it holds its lock.
    Stranger {
        /// Its process.
        pid: u32,
        /// Its user.
        user: u32,
    },
}

/// Locks the folder.
pub(crate) fn alone(folder: &Path) -> Result<Alone, CompatError> {
    let failed = |act| move |source| FsError::Io { act, path: folder.to_owned(), source };
    let handle = File::open(folder).map_err(failed("open"))?;
    match handle.try_lock() {
        Ok(()) => Ok(Alone::Held(handle)),
        Err(std::fs::TryLockError::WouldBlock) => {
            let look = look_at_file(&handle).map_err(failed("look at"))?;
            let holders = holders(&look);
            match stranger(&holders, look.owner) {
                Some((pid, user)) => Ok(Alone::Stranger { pid, user }),
                None => {
                    let by = holders.first().map(|holder| holder.pid);
                    Err(CompatError::Busy { folder: folder.to_owned(), by })
                }
            }
        }
        Err(std::fs::TryLockError::Error(error)) if locks_no_folders(&error) => Ok(Alone::NoLocks),
        Err(std::fs::TryLockError::Error(source)) => Err(failed("lock")(source).into()),
    }
}

/// Somebody who has a folder locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    pid: u32,
    /// Whether the system shows it on that very file system: some have two numbers for one.
    sure: bool,
    /// Whose it is, where the system tells.
    user: Option<u32>,
}

/// The processes that have a folder locked, as far as the system shows them.
fn holders(look: &Look) -> Vec<Holder> {
    let device = (rustix::fs::major(look.device), rustix::fs::minor(look.device));
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let user = |pid: u32| Some(std::fs::metadata(format!("/proc/{pid}")).ok()?.uid());
    holders_in(&locks, device, look.inode, &user)
}

/// `1: FLOCK  ADVISORY  WRITE 4711 fe:01:262146 0 EOF`
fn holders_in(locks: &str, device: (u32, u32), inode: u64, user: &dyn Fn(u32) -> Option<u32>) -> Vec<Holder> {
    let exact = format!("{:02x}:{:02x}:{inode}", device.0, device.1);
    let suffix = format!(":{inode}");
    let of = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, place, ..] = words.as_slice() else { return None };
        // Of another container's process there is no number here.
        let pid = pid.parse().ok().filter(|pid| *pid != 0 && place.ends_with(&suffix))?;
        Some(Holder { pid, sure: *place == exact, user: user(pid) })
    };
    locks.lines().filter_map(of).collect()
}

/// One who holds the lock and could not fill the folder, where nobody else may hold it.
fn stranger(holders: &[Holder], owner: u32) -> Option<(u32, u32)> {
    let fills = |user: u32| user == 0 || user == owner || user == platform::uid() || platform::shared_group().is_some();
    let strange = |holder: &Holder| holder.user.filter(|user| holder.sure && !fills(*user));
    let first = holders.first()?;
    let all = holders.iter().all(|holder| strange(holder).is_some());
    strange(first).filter(|_| all).map(|user| (first.pid, user))
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
        assert!(matches!(first, Alone::Held(_)));
        assert!(matches!(alone(dir.path()), Err(CompatError::Busy { .. })));
        drop(first);
        assert!(matches!(alone(dir.path()), Ok(Alone::Held(_))));
        // What flock answers for a folder on an NFS client's mount, and what it answers where something is wrong.
        for (errno, locks_none) in
            [(Errno::BADF, true), (Errno::NOLCK, true), (Errno::IO, false), (Errno::STALE, false)]
        {
            assert_eq!(locks_no_folders(&errno.into()), locks_none, "{errno}");
        }
    }

    #[test]
    fn who_could_not_fill_the_folder_stops_no_run() {
        let (us, other, owner) = (platform::uid(), platform::uid() + 7, platform::uid() + 8);
        let line = |pid: u32, place: &str| format!("1: FLOCK  ADVISORY  WRITE {pid} {place} 0 EOF\n");
        let user = |pid: u32| match pid {
            1 => Some(0),
            2 => Some(us),
            3 => Some(owner),
            4 | 5 => Some(other),
            _ => None,
        };
        let judge = |locks: &str| stranger(&holders_in(locks, (0xfe, 1), 42, &user), owner);
        let here = |pid| line(pid, "fe:01:42");
        assert_eq!(judge(&here(4)), Some((4, other)));
        assert_eq!(judge(&(here(4) + &here(5))), Some((4, other)), "readers' locks may be several");
        for pid in [1, 2, 3, 9] {
            assert_eq!(judge(&here(pid)), None, "{pid}");
            assert_eq!(judge(&(here(4) + &here(pid))), None, "{pid}");
        }
        assert_eq!(judge(&line(4, "fe:02:42")), None, "another file system's, or one that has two numbers");
        assert_eq!(judge(""), None);
        let locks = format!("1: POSIX  ADVISORY  WRITE 7 fe:01:42 0 EOF\n{}", here(4711));
        assert_eq!(holders_in(&locks, (0xfe, 1), 42, &user).first().map(|holder| holder.pid), Some(4711));
        assert!(holders_in(&locks, (0xfe, 1), 2, &user).is_empty());
    }
}
