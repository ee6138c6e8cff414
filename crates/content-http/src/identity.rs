//! Whether a file is the one that was looked at before, and was left alone since.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

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
}

impl Identity {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self {
            file: [found.dev(), found.ino()],
            size: found.len(),
            written: [found.mtime(), found.mtime_nsec()],
            changed: [found.ctime(), found.ctime_nsec()],
            names: found.nlink(),
        })
    }

    /// Whether it is the same file with the bytes of then that got or lost a name, as a linked folder or a backup gives
    /// it one: that alone moves the change time, too.
    pub(crate) fn got_other_names_than(&self, then: &Self) -> bool {
        self.names != then.names && self.holds_the_bytes_of(then)
    }

    /// Whether it is the same file with the bytes of then. It may have lost its name meanwhile, which moves the
    /// change time: what is being sent is sent to its end.
    pub(crate) fn holds_the_bytes_of(&self, then: &Self) -> bool {
        (self.file, self.size, self.written) == (then.file, then.size, then.written)
    }
}
