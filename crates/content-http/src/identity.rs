//! Whether a file is the one that was looked at before, and was left alone since.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use model::Timestamp;

/// What changes when a file is another one or was touched. Writing in place and renaming both move the change
/// time, which nobody but the system can set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    file: [u64; 2],
    size: u64,
    written: [i64; 2],
    changed: [i64; 2],
    /// How many names it has.
    names: u64,
    /// Whose it is and who may do what with it.
    rights: [u32; 3],
}

impl Identity {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|found| Self::from(&found))
    }

    /// That of whatever a path leads to now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|found| Self::from(&found))
    }

    /// Whether whatever changes the file from `now` on shows in this: the system's clock for files ticks slowly.
    pub(crate) fn is_settled(&self, now: Timestamp) -> bool {
        const TICKS: Duration = Duration::from_secs(10);
        let [seconds, _] = self.changed;
        let changed = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
        changed.after(TICKS) <= now
    }

    /// Whether it is the same file with the bytes of then that got or lost a name, as a linked folder or a backup gives
    /// it one, or another owner or other rights: that alone moves the change time, too. A change time that moved without
    /// any of these is explained by nothing but a write whose time was set back.
    pub(crate) fn is_explained_by_what_is_around(&self, then: &Self) -> bool {
        (self.names, self.rights) != (then.names, then.rights) && self.holds_the_bytes_of(then)
    }

    /// Whether it is the same file with the bytes of then. It may have lost its name meanwhile, which moves the
    /// change time: what is being sent is sent to its end.
    pub(crate) fn holds_the_bytes_of(&self, then: &Self) -> bool {
        (self.file, self.size, self.written) == (then.file, then.size, then.written)
    }
}

impl From<&Metadata> for Identity {
    fn from(found: &Metadata) -> Self {
        Self {
            file: [found.dev(), found.ino()],
            size: found.len(),
            written: [found.mtime(), found.mtime_nsec()],
            changed: [found.ctime(), found.ctime_nsec()],
            names: found.nlink(),
            rights: [found.mode(), found.uid(), found.gid()],
        }
    }
}
