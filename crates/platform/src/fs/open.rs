//! Opening below a folder without following links.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, Result, retry_on_intr};

/// Flags that every open has: a FIFO planted as a file must not block us, a terminal must not adopt us.
const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Opens `relative`, parts divided by `/`, below `folder`. A symbolic link in any part ends in `ELOOP` or
/// `ENOTDIR`, and no part climbs.
pub(super) fn open_beneath(folder: BorrowedFd<'_>, relative: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    if relative.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Errno::INVAL);
    }
    let flags = flags | ALWAYS;
    #[cfg(target_os = "linux")]
    match kernel(folder, relative, flags, mode) {
        // Old kernels do not have the call; old sandboxes refuse what they do not know.
        Err(Errno::NOSYS | Errno::PERM) => {}
        other => return other,
    }
    by_parts(folder, relative, flags, mode)
}

#[cfg(target_os = "linux")]
fn kernel(folder: BorrowedFd<'_>, relative: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // The kernel answers AGAIN when a rename elsewhere keeps it from being sure; it says to try again.
    let mut tries = 0;
    loop {
        match retry_on_intr(|| openat2(folder, relative, flags, mode, resolve)) {
            Err(Errno::AGAIN) if tries < 32 => tries += 1,
            other => return other,
        }
    }
}

/// Part by part, each opened as a folder that is not a link: what systems without the kernel's help do.
fn by_parts(folder: BorrowedFd<'_>, relative: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let Some((first, rest)) = relative.split_once('/') else {
        return retry_on_intr(|| openat(folder, relative, flags, mode));
    };
    let step = OFlags::RDONLY | OFlags::DIRECTORY | ALWAYS;
    let next = retry_on_intr(|| openat(folder, first, step, Mode::empty()))?;
    by_parts(std::os::fd::AsFd::as_fd(&next), rest, flags, mode)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;

    type Opener = fn(BorrowedFd<'_>, &str, OFlags, Mode) -> Result<OwnedFd>;

    #[test]
    fn links_are_refused_at_every_part_with_and_without_the_kernels_help_s20() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir(outside.path().join("b")).unwrap();
        std::fs::write(outside.path().join("b/c"), "secret").unwrap();
        let inside = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(inside.path().join("a/b")).unwrap();
        std::fs::write(inside.path().join("a/b/c"), "ours").unwrap();
        symlink(outside.path(), inside.path().join("link")).unwrap();
        symlink(outside.path().join("b"), inside.path().join("a/link")).unwrap();
        symlink(outside.path().join("b/c"), inside.path().join("a/b/link")).unwrap();
        let root = std::fs::File::open(inside.path()).unwrap();
        for opener in [kernel as Opener, by_parts as Opener] {
            let open = |path: &str| opener(root.as_fd(), path, OFlags::RDONLY | ALWAYS, Mode::empty());
            assert!(open("a/b/c").is_ok());
            assert_eq!(open("a/b/absent").unwrap_err(), Errno::NOENT);
            for path in ["link/b/c", "a/link/c", "a/b/link"] {
                let refused = open(path).unwrap_err();
                assert!(matches!(refused, Errno::LOOP | Errno::NOTDIR), "{path}: {refused}");
            }
        }
    }

    #[test]
    fn paths_that_climb_or_are_not_plain_are_refused_s20() {
        let inside = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(inside.path()).unwrap();
        for path in ["", "..", "a/../b", "/etc/passwd", "a//b", "a/", "."] {
            let refused = open_beneath(root.as_fd(), path, OFlags::RDONLY, Mode::empty());
            assert_eq!(refused.unwrap_err(), Errno::INVAL, "{path:?}");
        }
    }
}
