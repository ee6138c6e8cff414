//! Where lines end up: a file that is rotated by us or by others, a pipe, a device, or standard output.

mod rotate;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

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
    /// None while what stands there is a pipe that nobody reads.
    open: Option<Open>,
    /// From which size on the next one is begun; 0 for never.
    rotate_bytes: u64,
    keep: usize,
    /// What went wrong and was said: said once, until it is well again.
    stuck: Option<&'static str>,
}

/// What was opened.
struct Open {
    file: File,
    /// How much stands in it.
    size: u64,
    torn: Torn,
    /// A pipe or a device has no size, no end and nothing that could be moved away.
    is_regular: bool,
    /// Where the file itself stands, past any links; none where it is not ours to move.
    place: Option<PathBuf>,
}

const MOVED: &str = "cannot open the access log anew: lines go on into the file that was there before, wherever it was \
    moved; mind the folder's rights";
const REMOVED: &str = "cannot open the access log anew, and the file that was there before was removed: its lines are \
    lost; make its folder again, and mind the rights there";
const UNREAD: &str = "nobody reads the pipe that the access log goes to: its lines are lost until somebody does";
const NOT_ROTATED: &str = "cannot rotate the access log: it goes on in the same file; mind the folder's rights, and what \
    stands where earlier files go";

impl Target {
    pub(super) fn open(target: &LogTarget) -> io::Result<Self> {
        Ok(match target {
            LogTarget::Stdout => Self::Stdout(io::stdout().as_fd().try_clone_to_owned()?.into(), Torn::default()),
            LogTarget::File { path, rotate_bytes, keep } => {
                let (path, open) = (path.clone(), Open::at(path)?);
                let mut file = LogFile { path, open, rotate_bytes: *rotate_bytes, keep: *keep, stuck: None };
                file.tell_what_it_is();
                Self::File(file)
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
        if !self.is_still_there() {
            self.open_anew();
        }
        let more = lines.len() as u64;
        if self.open.as_ref().is_some_and(|open| open.is_full(more, self.rotate_bytes)) {
            self.rotate();
        }
        let is_lost = self.stuck == Some(REMOVED);
        let Some(open) = self.open.as_mut().filter(|_| !is_lost) else { return count(lines) };
        let (lost, written) = open.torn.write(&mut open.file, lines);
        open.size = open.size.saturating_add(written);
        lost
    }

    fn reopen(&mut self) {
        // Whoever reads a pipe would take a new beginning for its end.
        let goes_on = self.open.as_ref().is_some_and(|open| !open.is_regular) && self.is_still_there();
        if !goes_on {
            self.open_anew();
        }
    }

    /// Whether the log was not rotated away under us.
    fn is_still_there(&self) -> bool {
        let found = |open: &Open| Some((open.file.metadata().ok()?, std::fs::metadata(&self.path).ok()?));
        let found = self.open.as_ref().and_then(found);
        found.is_some_and(|(ours, there)| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
    }

    /// A file that cannot be opened leaves the old one in use, as long as somebody can find it.
    fn open_anew(&mut self) {
        match Open::at(&self.path) {
            Ok(open) => {
                self.open = open;
                self.tell_what_it_is();
            }
            Err(error) => {
                let named = |open: &Open| open.file.metadata().is_ok_and(|found| found.nlink() > 0);
                let is_kept = self.open.as_ref().is_some_and(|open| !open.is_regular || named(open));
                self.complain(&error, if is_kept { MOVED } else { REMOVED });
            }
        }
    }

    fn rotate(&mut self) {
        let Some(open) = &mut self.open else { return };
        let Some(place) = &open.place else { return };
        match rotate::rotate(place, self.keep) {
            Ok(file) => {
                let place = Some(place.clone());
                *open = Open { file, size: 0, torn: Torn::default(), is_regular: true, place };
                self.is_well();
            }
            Err(error) => {
                // It grows by as much again before the next attempt.
                open.size = 0;
                self.complain(&error, NOT_ROTATED);
                if !self.is_still_there() {
                    self.open_anew();
                }
            }
        }
    }

    /// Says of what was opened just now what is not to be expected of it.
    fn tell_what_it_is(&mut self) {
        match &self.open {
            None => self.complain(&io::Error::from(rustix::io::Errno::NXIO), UNREAD),
            Some(open) => {
                if self.rotate_bytes > 0 && open.place.is_none() && self.stuck.is_none() {
                    let path = self.path.display();
                    tracing::info!(%path, "the access log goes to what is no file of its own: it is not rotated");
                }
                self.is_well();
            }
        }
    }

    fn complain(&mut self, error: &io::Error, what: &'static str) {
        if self.stuck != Some(what) {
            tracing::warn!(path = %self.path.display(), %error, "{what}");
        }
        self.stuck = Some(what);
    }

    fn is_well(&mut self) {
        if self.stuck.take().is_some() {
            tracing::info!(path = %self.path.display(), "the access log is written again as it should be");
        }
    }
}

impl Open {
    /// Opens what stands there, or begins a file; none for a pipe that nobody reads. Nothing here waits.
    fn at(path: &Path) -> io::Result<Option<Self>> {
        let (mut options, flags) = (OpenOptions::new(), OFlags::NONBLOCK | OFlags::NOCTTY);
        options.append(true).create(true).mode(0o640).custom_flags(flags.bits().cast_signed());
        let file = match options.open(path) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) && is_pipe(path) => {
                return Ok(None);
            }
            opened => opened?,
        };
        let found = file.metadata()?;
        if found.file_type().is_block_device() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a disk; name a file"));
        }
        // From here on a slow reader of a pipe is waited for, by the thread that does nothing else.
        let flags = rustix::fs::fcntl_getfl(&file)?;
        rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
        let is_regular = found.is_file();
        let place = if is_regular { rotate::place(path) } else { None };
        let torn = if is_regular { Torn::at_end(path, found.len()) } else { Torn::default() };
        Ok(Some(Self { file, size: found.len(), torn, is_regular, place }))
    }

    /// Whether the next file is to be begun before so many bytes more.
    fn is_full(&self, more: u64, most: u64) -> bool {
        most > 0 && self.place.is_some() && self.size > 0 && self.size.saturating_add(more) > most
    }
}

impl Torn {
    /// What an earlier process, or this one before it opened the file anew, left at the end of it.
    fn at_end(path: &Path, size: u64) -> Self {
        let mut last = *b"\n";
        let read = |at| File::open(path).and_then(|file| file.read_exact_at(&mut last, at));
        Self(size.checked_sub(1).map(read).is_some_and(|read| read.is_ok()) && last != *b"\n")
    }
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
