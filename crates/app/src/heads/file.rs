//! The file of heads: lines `<time> <seq> <digest> <site>`, which other sites and programs may append to as well.
//!
//! # Decided here
//! - A regular file is read and written, and nothing else: a pipe, a socket or a device would hold whoever opens it.
//! - A file that holds something and not one head is as good as one that cannot be read: what was told may have stood
//!   there. The beginning of a first line, as a crash leaves it, is none such.

use std::fs::{File, Metadata};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use catalog::{HeadsError, KeptHeads};
use model::{Digest, Timestamp};
use rustix::fs::{Mode, OFlags};

use super::others::Others;

/// How much is read at a time, from the end.
const BLOCK: u64 = 64 * 1024;
/// How much of the file's end is looked at for a head of this site.
const REACH: u64 = 16 * 1024 * 1024;
/// The longest line that can be a head.
pub(super) const LONGEST: usize = 4096;
/// A longer file is none that is read: it holds more heads than are ever compared.
const MOST: u64 = 512 * 1024 * 1024;

/// A head that was told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) at: Timestamp,
    pub(super) seq: u64,
    pub(super) digest: Digest,
}

/// What the end of the file says of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// Nothing was told yet, of anybody.
    Nobody,
    /// The site's last head.
    Site(Told),
    /// Heads of other sites, and none of this one.
    Others,
}

impl Last {
    /// The site's own head.
    pub(super) fn told(self) -> Option<Told> {
        match self {
            Self::Site(told) => Some(told),
            Self::Nobody | Self::Others => None,
        }
    }
}

/// What a file of heads knows of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing of anybody: there is no such file, or nothing was ever written to it.
    Nobody,
    /// Somebody began to tell a head: a crash cut the first line of all.
    Begun,
    /// The site's history.
    Site,
    /// Histories of other sites, and not this one's.
    Others(Others),
}

/// The last head of a site, looked for from the end, in the last 16 MiB.
pub(super) fn last_of(path: &Path, site: &str) -> io::Result<Last> {
    let (mut file, length) = match open(path, OFlags::RDONLY) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Last::Nobody),
        other => other?,
    };
    let (mut end, mut others) = (length, false);
    // The beginning of a line whose end was seen in the block behind.
    let mut rest = Vec::new();
    while end > length.saturating_sub(REACH) {
        let start = end.saturating_sub(BLOCK);
        let mut block = read(&mut file, start, end)?;
        block.append(&mut rest);
        end = start;
        let first = match block.iter().position(|byte| *byte == b'\n') {
            _ if start == 0 => 0,
            Some(first) => first,
            None => block.len(),
        };
        rest = block.split_off(first);
        std::mem::swap(&mut rest, &mut block);
        let text = String::from_utf8_lossy(&block);
        if let Some(told) = text.lines().rev().find_map(|line| told_in(line, site)) {
            return Ok(Last::Site(told));
        }
        others = others || text.lines().any(|line| head_in(line).is_some());
        if rest.len() > LONGEST {
            // No head is as long as this; what is in front of it may still be one.
            rest.clear();
        }
    }
    match others {
        true => Ok(Last::Others),
        false if length == 0 || is_begun(&mut file, length)? => Ok(Last::Nobody),
        false => Err(no_head()),
    }
}

/// Takes every head that `history.head_file` holds of a site, and says what it knows.
///
/// # Errors
/// [`HeadsError`] when it cannot be read, is no regular file, holds something that is no head, or contradicts itself.
pub fn read_kept(path: &Path, site: &str, heads: &mut KeptHeads) -> Result<Kept, HeadsError> {
    let (mut file, length) = match open(path, OFlags::RDONLY) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Kept::Nobody),
        other => other.map_err(HeadsError::Read)?,
    };
    if heads.read(&mut BufReader::new((&mut file).take(MOST)), &path.display().to_string(), site)? > 0 {
        return Ok(Kept::Site);
    }
    let others = others_in(&mut file).map_err(HeadsError::Read)?;
    match others.is_empty() {
        false => Ok(Kept::Others(others)),
        true if length == 0 => Ok(Kept::Nobody),
        true if is_begun(&mut file, length).map_err(HeadsError::Read)? => Ok(Kept::Begun),
        true => Err(HeadsError::Read(no_head())),
    }
}

/// Takes every head of a site that is read from somewhere else, be it a pipe; how many lines were.
///
/// # Errors
/// [`HeadsError`] when it cannot be read, or contradicts itself.
pub fn read_given(path: &Path, site: &str, heads: &mut KeptHeads) -> Result<usize, HeadsError> {
    let file = File::open(path).map_err(HeadsError::Read)?;
    heads.read(&mut BufReader::new(file), &path.display().to_string(), site)
}

/// The heads of other sites that the file holds.
pub(super) fn others_of(path: &Path) -> io::Result<Others> {
    others_in(&mut open(path, OFlags::RDONLY)?.0)
}

fn others_in(file: &mut File) -> io::Result<Others> {
    file.rewind()?;
    let mut others = Others::default();
    let mut reader = BufReader::new(file.take(MOST));
    let mut line = Vec::new();
    while next_piece(&mut reader, &mut line)? {
        if let Some((seq, digest, site)) = std::str::from_utf8(&line).ok().and_then(head_in) {
            others.add(site, seq, digest);
        }
    }
    Ok(others)
}

/// The next line, or as much of it as a head may have; false at the end.
fn next_piece(reader: &mut impl io::BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    Ok(reader.by_ref().take(most).read_until(b'\n', line)? > 0)
}

/// One line more, durable on return. What a crash left half-written is ended first, so that no line runs into it.
pub(super) fn append(path: &Path, line: &str) -> io::Result<()> {
    let unended = match open(path, OFlags::RDONLY) {
        Ok((mut file, length)) => {
            read(&mut file, length.saturating_sub(1), length)?.last().is_some_and(|last| *last != b'\n')
        }
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    let (mut file, _) = open(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)?;
    let whole = if unended { format!("\n{line}\n") } else { format!("{line}\n") };
    file.write_all(whole.as_bytes())?;
    file.sync_all()
}

/// Opens a regular file, and waits for nobody at the other end of anything else; with its length.
fn open(path: &Path, flags: OFlags) -> io::Result<(File, u64)> {
    // Before it is opened: to open a device may do something by itself.
    match std::fs::metadata(path) {
        Ok(found) => fits(&found)?,
        Err(error) if error.kind() == ErrorKind::NotFound && flags.contains(OFlags::CREATE) => {}
        Err(error) => return Err(error),
    }
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::from_raw_mode(0o640)))?;
    let file = File::from(opened);
    // Something else may have been put there in between.
    let found = file.metadata()?;
    fits(&found)?;
    Ok((file, found.len()))
}

fn fits(found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = match found.len() {
        length if kind.is_file() && length > MOST => {
            let text = format!("it has more than {} MiB: move it away, and telling begins anew", MOST >> 20);
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    let text = format!("it is {what}: name a regular file, or one that is not there yet");
    Err(io::Error::new(ErrorKind::InvalidInput, text))
}

fn no_head() -> io::Error {
    let text = "it holds something, and not one head: it was written over, or is another file; put the right one back, \
                or move it away";
    io::Error::new(ErrorKind::InvalidData, text)
}

fn read(file: &mut File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(end.saturating_sub(start)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether all that it holds is the beginning of a head.
fn is_begun(file: &mut File, length: u64) -> io::Result<bool> {
    if length > BLOCK {
        return Ok(false);
    }
    let bytes = read(file, 0, length)?;
    Ok(std::str::from_utf8(&bytes).is_ok_and(begins_a_head))
}

fn begins_a_head(text: &str) -> bool {
    let mut words = text.split(' ');
    let (time, seq, digest) = (words.next().unwrap_or_default(), words.next(), words.next().unwrap_or_default());
    let timely = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 'T' | 'Z');
    let is_time = match seq {
        Some(_) => Timestamp::parse(time).is_some(),
        None => time.starts_with(|c: char| c.is_ascii_digit()) && time.chars().all(timely),
    };
    let is_digest = digest.len() <= 64 && digest.chars().all(|c| c.is_ascii_hexdigit());
    is_time && is_digest && seq.unwrap_or_default().chars().all(|c| c.is_ascii_digit()) && !text.contains('\n')
}

fn told_in(line: &str, site: &str) -> Option<Told> {
    let mut words = line.split_ascii_whitespace();
    let (at, seq, digest, of) = (words.next()?, words.next()?, words.next()?, words.next()?);
    (of == site && words.next().is_none()).then_some(())?;
    Some(Told { at: Timestamp::parse(at)?, seq: seq.parse().ok()?, digest: digest.parse().ok()? })
}

/// The head in a line, of whatever site, also where a log server put more in front of it.
fn head_in(line: &str) -> Option<(u64, Digest, &str)> {
    let mut words = line.split_ascii_whitespace().rev();
    let (site, digest, seq) = (words.next()?, words.next()?, words.next()?);
    Some((seq.parse().ok()?, digest.parse().ok()?, site))
}
