//! Where lines end up: a file that is rotated by us or by others, or standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::LogTarget;

/// A place for lines. It loses some rather than stop; whoever writes counts them.
pub(super) enum Target {
    /// A descriptor of our own: whoever writes through the process's keeps a lock while nobody reads, and the process
    /// could not end.
    Stdout(File, Torn),
    File(LogFile),
}

/// Whether what was written last ends in the middle of a line, because there was no room for the rest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Torn(bool);

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// How much stands in it.
    size: u64,
    /// From which size on the next one is begun; 0 for never.
    rotate_bytes: u64,
    keep: usize,
    torn: Torn,
    /// Whether the last rotation failed: said once.
    stuck: bool,
}

impl Target {
    pub(super) fn open(target: &LogTarget) -> io::Result<Self> {
        Ok(match target {
            LogTarget::Stdout => Self::Stdout(io::stdout().as_fd().try_clone_to_owned()?.into(), Torn::default()),
            LogTarget::File { path, rotate_bytes, keep } => {
                let (file, size) = open(path)?;
                Self::File(LogFile {
                    path: path.clone(),
                    file,
                    size,
                    rotate_bytes: *rotate_bytes,
                    keep: *keep,
                    torn: Torn::default(),
                    stuck: false,
                })
            }
        })
    }

    /// Writes whole lines; how many of them were lost.
    pub(super) fn write(&mut self, lines: &[u8]) -> u64 {
        match self {
            Self::Stdout(out, torn) => torn.write(out, lines).0,
            Self::File(file) => file.write(lines),
        }
    }

    /// Opens the file again: somebody moved it away, or is about to look at it.
    pub(super) fn reopen(&mut self) {
        if let Self::File(file) = self {
            file.reopen();
        }
    }
}

impl Torn {
    /// How many lines were lost, and how many bytes written.
    fn write(&mut self, out: &mut impl Write, lines: &[u8]) -> (u64, u64) {
        let mut written = 0;
        if self.0 && out.write_all(b"\n").is_err() {
            return (count(lines), 0);
        }
        self.0 = false;
        while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
            match out.write(rest) {
                Ok(0) => break,
                Ok(taken) => written += taken,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // What stays in a buffer of the system's is as lost to the reader as what never got there.
        let flushed = out.flush().is_ok();
        let (done, rest) = lines.split_at_checked(written).unwrap_or((lines, &[]));
        self.0 = !rest.is_empty() && !done.is_empty() && !done.ends_with(b"\n");
        (if flushed { count(rest) } else { count(lines) }, written as u64)
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

impl LogFile {
    fn write(&mut self, lines: &[u8]) -> u64 {
        if !is_still_at(&self.file, &self.path) {
            self.reopen();
        }
        if self.rotate_bytes > 0 && self.size > 0 && self.size.saturating_add(lines.len() as u64) > self.rotate_bytes {
            self.rotate();
        }
        let (lost, written) = self.torn.write(&mut self.file, lines);
        self.size = self.size.saturating_add(written);
        lost
    }

    /// A file that cannot be opened leaves the old one in use: better there than nowhere.
    fn reopen(&mut self) {
        match open(&self.path) {
            Ok((file, size)) => (self.file, self.size, self.torn, self.stuck) = (file, size, Torn::default(), false),
            Err(error) => self.complain(&error, "cannot open the access log anew: lines go on into the file that was there before, wherever it was moved; mind the folder's rights"),
        }
    }

    /// Moves every earlier file one number up and begins a new one.
    fn rotate(&mut self) {
        let numbered = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let mut moved = Ok(());
        for number in (1..self.keep).rev() {
            moved = moved.and(unless_missing(std::fs::rename(numbered(number), numbered(number + 1))));
        }
        moved = moved.and(match self.keep {
            0 => unless_missing(std::fs::remove_file(&self.path)),
            _ => unless_missing(std::fs::rename(&self.path, numbered(1))),
        });
        match moved {
            Ok(()) => self.reopen(),
            Err(error) => {
                self.complain(&error, "cannot rotate the access log: it goes on in the same file; mind the folder's rights, and what stands where earlier files go");
                // It grows by as much again before the next attempt.
                self.size = 0;
            }
        }
    }

    fn complain(&mut self, error: &io::Error, what: &'static str) {
        if !self.stuck {
            tracing::warn!(path = %self.path.display(), %error, "{what}");
        }
        self.stuck = true;
    }
}

fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Whether the log was not rotated away under us.
fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn target(path: &Path, rotate_bytes: u64, keep: usize) -> Target {
        Target::open(&LogTarget::File { path: path.to_owned(), rotate_bytes, keep }).unwrap()
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_log_that_was_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut target = target(&path, 0, 0);
        assert_eq!(target.write(b"1\n"), 0);
        std::fs::rename(&path, folder.path().join("away")).unwrap();
        assert_eq!(target.write(b"2\n"), 0);
        assert_eq!((read(&folder.path().join("away")), read(&path)), ("1\n".into(), "2\n".into()));
        std::fs::remove_file(&path).unwrap();
        target.reopen();
        assert!(path.exists(), "at the word, not only at the next line");
    }

    #[test]
    fn it_rotates_by_size_and_keeps_so_many() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut target = target(&path, 4, 2);
        for line in ["a\n", "b\n", "c\n", "d\n", "e\n", "f\n", "g\n"] {
            assert_eq!(target.write(line.as_bytes()), 0);
        }
        let kept = |end: &str| read(&folder.path().join(format!("access.log{end}")));
        assert_eq!([kept(""), kept(".1"), kept(".2"), kept(".3")], ["g\n", "e\nf\n", "c\nd\n", ""]);
    }

    #[test]
    fn without_a_place_for_earlier_ones_it_begins_anew_or_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut none = target(&path, 2, 0);
        assert_eq!((none.write(b"a\n"), none.write(b"b\n")), (0, 0));
        assert_eq!(read(&path), "b\n");
        // A folder in the way of the earlier one.
        std::fs::create_dir_all(folder.path().join("access.log.1/x")).unwrap();
        let mut stuck = target(&path, 2, 1);
        assert_eq!((stuck.write(b"c\n"), stuck.write(b"d\n")), (0, 0));
        assert_eq!(read(&path), "b\nc\nd\n");
    }

    /// Takes so many bytes in all.
    struct Full(usize, Vec<u8>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0 - self.1.len());
            self.1.extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_had_no_room_is_lost_alone_s32() {
        let mut torn = Torn::default();
        let mut full = Full(5, Vec::new());
        assert_eq!(torn.write(&mut full, b"one\ntwo\n"), (1, 5));
        assert_eq!(torn.write(&mut full, b"three\n"), (1, 0));
        full.0 = 100;
        assert_eq!(torn.write(&mut full, b"four\n"), (0, 5));
        assert_eq!(full.1, b"one\nt\nfour\n", "the torn line is ended, the next one whole");
    }
}
