//! The end of the archive: where every reader begins, and where two of them may part.

use std::io::{Read as _, SeekFrom};

use super::ZipError;
use super::fields::{Fields, SATURATED};
use crate::ReadSeek;

/// What the end records say, proven to be the only ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) entries: u64,
    pub(super) directory_start: u64,
    pub(super) directory_size: u64,
}

const SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const SIZE: usize = 22;
const COMMENT_CAP: usize = u16::MAX as usize;
const WIDE_SIGNATURE: u32 = 0x0606_4b50;
const WIDE_SIZE: u64 = 56;
const LOCATOR_SIGNATURE: u32 = 0x0706_4b50;
const LOCATOR_SIZE: u64 = 20;

/// Finds the one end record.
pub(super) fn find(bytes: &mut dyn ReadSeek) -> Result<End, ZipError> {
    let length = bytes.seek(SeekFrom::End(0))?;
    let window = length.min((SIZE + COMMENT_CAP) as u64);
    let tail_start = length - window;
    let tail = read_at(bytes, tail_start, window)?;
    let at = only_record(&tail)?;
    let position = tail_start + at as u64;
    let record = parse(tail.get(at..).unwrap_or_default()).ok_or(ZipError::NoEnd)?;
    let end = match wide_record(bytes, position)? {
        Some((wide, starts)) => agree(record, wide, starts)?,
        None => plain(record, position)?,
    };
    if end.directory_start.checked_add(end.directory_size) != Some(end.until) {
        return Err(ZipError::End("leaves or takes bytes between the directory and itself"));
    }
    Ok(End { entries: end.entries, directory_start: end.directory_start, directory_size: end.directory_size })
}

/// Exactly `size` bytes at a place.
pub(super) fn read_at(bytes: &mut dyn ReadSeek, start: u64, size: u64) -> Result<Vec<u8>, ZipError> {
    bytes.seek(SeekFrom::Start(start))?;
    let mut read = Vec::with_capacity(usize::try_from(size).unwrap_or(0).min(1 << 20));
    bytes.take(size).read_to_end(&mut read)?;
    if read.len() as u64 == size { Ok(read) } else { Err(ZipError::Io(std::io::ErrorKind::UnexpectedEof.into())) }
}

/// Readers look for the signature from the end, from the front, with and without regard to the comment's length.
/// All find the same record if the last signature is a record that ends the file and no earlier one is.
fn only_record(tail: &[u8]) -> Result<usize, ZipError> {
    let mut candidates = tail.windows(4).enumerate().rev().filter(|(_, four)| **four == SIGNATURE).map(|(at, _)| at);
    let last = candidates.next().ok_or(ZipError::NoEnd)?;
    if !ends_file(tail, last) {
        return Err(ZipError::End("is cut, or bytes follow it, or its comment holds another"));
    }
    if candidates.any(|at| ends_file(tail, at)) {
        return Err(ZipError::End("is not the only one"));
    }
    Ok(last)
}

fn ends_file(tail: &[u8], at: usize) -> bool {
    let comment = tail.get(at + SIZE - 2..at + SIZE).and_then(|two| two.try_into().ok()).map(u16::from_le_bytes);
    comment.is_some_and(|comment| at + SIZE + usize::from(comment) == tail.len())
}

/// The 22 bytes, as they stand.
#[derive(Clone, Copy)]
struct Record {
    one_disk: bool,
    entries: u16,
    directory_size: u32,
    directory_start: u32,
}

fn parse(record: &[u8]) -> Option<Record> {
    let mut fields = Fields(record);
    fields.u32()?;
    let disks = (fields.u16()?, fields.u16()?);
    let (entries_here, entries) = (fields.u16()?, fields.u16()?);
    let one_disk = disks == (0, 0) && entries_here == entries;
    Some(Record { one_disk, entries, directory_size: fields.u32()?, directory_start: fields.u32()? })
}

struct Found {
    entries: u64,
    directory_start: u64,
    directory_size: u64,
    /// Where the directory must end.
    until: u64,
}

fn plain(record: Record, position: u64) -> Result<Found, ZipError> {
    if !record.one_disk {
        return Err(ZipError::End("speaks of several disks"));
    }
    if record.entries == u16::MAX || record.directory_size == SATURATED || record.directory_start == SATURATED {
        return Err(ZipError::End("points to a zip64 record that is not there"));
    }
    Ok(Found {
        entries: record.entries.into(),
        directory_start: record.directory_start.into(),
        directory_size: record.directory_size.into(),
        until: position,
    })
}

/// Some readers take the zip64 record only if a field is saturated, others whenever it is there: so each field
/// that is not saturated must say the same.
fn agree(record: Record, wide: Found, starts: u64) -> Result<Found, ZipError> {
    let same = (record.entries == u16::MAX || u64::from(record.entries) == wide.entries)
        && (record.directory_size == SATURATED || u64::from(record.directory_size) == wide.directory_size)
        && (record.directory_start == SATURATED || u64::from(record.directory_start) == wide.directory_start);
    if !record.one_disk || !same {
        return Err(ZipError::End("disagrees with the zip64 record before it"));
    }
    Ok(Found { until: starts, ..wide })
}

/// The zip64 record and its place, if a locator lies right before the end record.
fn wide_record(bytes: &mut dyn ReadSeek, end: u64) -> Result<Option<(Found, u64)>, ZipError> {
    let Some(locator_start) = end.checked_sub(LOCATOR_SIZE) else { return Ok(None) };
    let locator = read_at(bytes, locator_start, LOCATOR_SIZE)?;
    let mut fields = Fields(&locator);
    if fields.u32() != Some(LOCATOR_SIGNATURE) {
        return Ok(None);
    }
    let bad = || ZipError::End("has a damaged zip64 record before it");
    let (disk, start, disks) = (fields.u32(), fields.u64().ok_or_else(bad)?, fields.u32());
    if disk != Some(0) || disks != Some(1) || start.checked_add(WIDE_SIZE) != Some(locator_start) {
        return Err(bad());
    }
    let record = read_at(bytes, start, WIDE_SIZE)?;
    parse_wide(&record).map(|found| Some((found, start))).ok_or_else(bad)
}

fn parse_wide(record: &[u8]) -> Option<Found> {
    let mut fields = Fields(record);
    let framed = fields.u32()? == WIDE_SIGNATURE && fields.u64()? == WIDE_SIZE - 12;
    let _versions = fields.u32()?;
    let one_disk = fields.u32()? == 0 && fields.u32()? == 0;
    let (entries_here, entries) = (fields.u64()?, fields.u64()?);
    let (directory_size, directory_start) = (fields.u64()?, fields.u64()?);
    (framed && one_disk && entries_here == entries).then_some(Found {
        entries,
        directory_start,
        directory_size,
        until: 0,
    })
}
