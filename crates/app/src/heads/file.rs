//! The file of heads: lines `<time> <seq> <digest> <site>`, which other sites and programs may append to as well.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use catalog::{HeadsError, KeptHeads};
use model::{Digest, Timestamp};

/// How much is read at a time, from the end.
const BLOCK: u64 = 64 * 1024;
/// How much of the file's end is looked at for a head of this site.
const REACH: u64 = 16 * 1024 * 1024;
/// The longest line that can be a head.
const LONGEST: usize = 4096;

/// A head that was told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) at: Timestamp,
    pub(super) seq: u64,
    pub(super) digest: Digest,
}

/// The last head of a site, looked for from the end; none where there is none in the last 16 MiB, or no file.
pub(super) fn last_of(path: &Path, site: &str) -> io::Result<Option<Told>> {
    let Some((mut file, length)) = open(path)? else { return Ok(None) };
    let mut end = length;
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
        let told = String::from_utf8_lossy(&block).lines().rev().find_map(|line| told_in(line, site));
        if told.is_some() {
            return Ok(told);
        }
        if rest.len() > LONGEST {
            // No head is as long as this; what is in front of it may still be one.
            rest.clear();
        }
    }
    Ok(None)
}

/// Takes every head that a file holds of a site; how many lines were.
///
/// # Errors
/// [`HeadsError`] when it cannot be read, or contradicts itself.
pub fn read_kept(path: &Path, site: &str, heads: &mut KeptHeads) -> Result<usize, HeadsError> {
    let file = File::open(path).map_err(HeadsError::Read)?;
    heads.read(&mut BufReader::new(file), &path.display().to_string(), site)
}

/// One line more, durable on return. What a crash left half-written is ended first, so that no line runs into it.
pub(super) fn append(path: &Path, line: &str) -> io::Result<()> {
    let unended = match open(path)? {
        Some((mut file, length)) => {
            read(&mut file, length.saturating_sub(1), length)?.last().is_some_and(|last| *last != b'\n')
        }
        None => false,
    };
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let mut file = options.open(path)?;
    let whole = if unended { format!("\n{line}\n") } else { format!("{line}\n") };
    file.write_all(whole.as_bytes())?;
    file.sync_all()
}

fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    match File::open(path) {
        Ok(file) => {
            let length = file.metadata()?.len();
            Ok(Some((file, length)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(file: &mut File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(end.saturating_sub(start)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn told_in(line: &str, site: &str) -> Option<Told> {
    let mut words = line.split_ascii_whitespace();
    let (at, seq, digest, of) = (words.next()?, words.next()?, words.next()?, words.next()?);
    (of == site && words.next().is_none()).then_some(())?;
    Some(Told { at: Timestamp::parse(at)?, seq: seq.parse().ok()?, digest: digest.parse().ok()? })
}
