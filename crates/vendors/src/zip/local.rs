//! Local headers and data descriptors: that they say what the directory says, and that the regions they open
//! tile the file from its first byte to the directory.

use super::directory::{Entry, FLAG_DESCRIPTOR};
use super::end::read_at;
use super::fields::{Fields, Narrow, resolve};
use super::{Member, Method, ZipError};
use crate::ReadSeek;

/// Where a member's packed bytes lie.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) start: u64,
    /// Whether a reader that sees the file as a stream looks for a descriptor in these bytes to find their end;
    /// some do even if the header in front names the size.
    pub(super) open_ended: bool,
}

const SIGNATURE: u32 = 0x0403_4b50;
const DESCRIPTOR_SIGNATURE: u32 = 0x0807_4b50;
const HEADER: u64 = 30;

/// Puts the entries into file order and proves that nothing lies before, between or behind them.
pub(super) fn tile(
    bytes: &mut dyn ReadSeek,
    mut entries: Vec<Entry>,
    directory_start: u64,
) -> Result<(Vec<Member>, Vec<Place>), ZipError> {
    entries.sort_by_key(|entry| entry.offset);
    // From here on no header is believed about a place outside of the file.
    if let Some(last) = entries.last().filter(|last| last.offset > directory_start) {
        return Err(ZipError::header(&last.member.name, "lies behind the directory"));
    }
    let mut ends: Vec<u64> = entries.iter().skip(1).map(|entry| entry.offset).collect();
    ends.push(directory_start);
    let mut expected = 0;
    let mut members = Vec::with_capacity(entries.len());
    let mut places = Vec::with_capacity(entries.len());
    for (entry, end) in entries.into_iter().zip(ends) {
        if entry.offset != expected {
            return Err(ZipError::header(&entry.member.name, "does not begin where what lies before it ends"));
        }
        let place = region(bytes, &entry, end)?;
        expected = end;
        members.push(entry.member);
        places.push(place);
    }
    if expected != directory_start {
        return Err(ZipError::Directory("is not where the members end"));
    }
    Ok((members, places))
}

/// One member's region: header, packed bytes, descriptor; it must end exactly at `end`.
fn region(bytes: &mut dyn ReadSeek, entry: &Entry, end: u64) -> Result<Place, ZipError> {
    let refuse = |what| ZipError::header(&entry.member.name, what);
    let room = end.saturating_sub(entry.offset);
    if room < HEADER {
        return Err(refuse("overlaps what follows it"));
    }
    let head = read_at(bytes, entry.offset, HEADER)?;
    let local = parse(&head).ok_or_else(|| refuse("has no header in front of it"))?;
    let variable = local.name_size + local.extra_size;
    let packed_end = HEADER.checked_add(variable).and_then(|head| head.checked_add(entry.member.compressed));
    let behind = packed_end.and_then(|packed_end| room.checked_sub(packed_end));
    let behind = behind.ok_or_else(|| refuse("overlaps what follows it"))?;
    let names = read_at(bytes, entry.offset + HEADER, variable)?;
    local.agrees(entry, &names).map_err(refuse)?;
    let start = entry.offset + HEADER + variable;
    let described = entry.flags & FLAG_DESCRIPTOR != 0;
    if !described {
        if behind != 0 {
            return Err(refuse("is followed by bytes that belong to nothing"));
        }
    } else {
        descriptor(bytes, &entry.member, start + entry.member.compressed, behind)?;
    }
    Ok(Place { start, open_ended: described && entry.member.method == Method::Stored })
}

struct Local {
    flags: u16,
    method: u16,
    crc32: u32,
    narrow: Narrow,
    name_size: u64,
    extra_size: u64,
}

fn parse(head: &[u8]) -> Option<Local> {
    let mut fields = Fields(head);
    if fields.u32()? != SIGNATURE {
        return None;
    }
    let _version = fields.u16()?;
    let (flags, method) = (fields.u16()?, fields.u16()?);
    let _time = fields.u32()?;
    let crc32 = fields.u32()?;
    let (compressed, size) = (fields.u32()?, fields.u32()?);
    let (name_size, extra_size) = (u64::from(fields.u16()?), u64::from(fields.u16()?));
    Some(Local { flags, method, crc32, narrow: Narrow { size, compressed, offset: None }, name_size, extra_size })
}

impl Local {
    /// Whether it says what the directory says; with a descriptor to come it may instead say zero.
    fn agrees(&self, entry: &Entry, names: &[u8]) -> Result<(), &'static str> {
        let member = &entry.member;
        let split = usize::try_from(self.name_size).unwrap_or(usize::MAX);
        let (name, extra) = names.split_at_checked(split).ok_or("has a cut name")?;
        if name != member.name.as_bytes() {
            return Err("has another name in its own header");
        }
        let method = match member.method {
            Method::Stored => 0,
            Method::Deflated => 8,
        };
        if self.flags != entry.flags || self.method != method {
            return Err("has other flags or another method in its own header");
        }
        let wide = resolve(extra, self.narrow, name)?;
        let open = entry.flags & FLAG_DESCRIPTOR != 0;
        let says = |said: u64, truth: u64| said == truth || (open && said == 0);
        // Some streaming writers saturate the sizes and put no zip64 field: refused by `resolve`.
        if !says(self.crc32.into(), member.crc32.into())
            || !says(wide.size, member.size)
            || !says(wide.compressed, member.compressed)
        {
            return Err("has other sizes or another CRC in its own header");
        }
        Ok(())
    }
}

/// A descriptor comes with and without a signature, with sizes of 4 and of 8 bytes; its length tells which.
fn descriptor(bytes: &mut dyn ReadSeek, member: &Member, start: u64, size: u64) -> Result<(), ZipError> {
    let refuse = || ZipError::header(&member.name, "has a data descriptor that is damaged or says something else");
    if !matches!(size, 12 | 16 | 20 | 24) {
        return Err(refuse());
    }
    let raw = read_at(bytes, start, size)?;
    let mut fields = Fields(&raw);
    let signed = size == 16 || size == 24;
    let fits = (!signed || fields.u32() == Some(DESCRIPTOR_SIGNATURE)) && fields.u32() == Some(member.crc32);
    let mut next = || if size >= 20 { fields.u64() } else { fields.u32().map(u64::from) };
    let fits = fits && next() == Some(member.compressed) && next() == Some(member.size);
    if fits { Ok(()) } else { Err(refuse()) }
}
