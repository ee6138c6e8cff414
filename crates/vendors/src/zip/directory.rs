//! The central directory.

use model::Timestamp;

use super::end::{End, read_at};
use super::fields::{Fields, Narrow, resolve};
use super::name::{self, Names};
use super::{Caps, Member, Method, ZipError};
use crate::ReadSeek;

/// The most bytes of a directory that are read into memory.
const DIRECTORY_CAP: u64 = 16 << 20;
const SIGNATURE: u32 = 0x0201_4b50;
const HEADER: u64 = 46;
/// Members that unpack to no more than this may be packed as well as they like.
const RATIO_FLOOR: u64 = 64 << 10;

/// One header of the directory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) member: Member,
    pub(super) flags: u16,
    pub(super) offset: u64,
}

/// What the flags may say: how hard deflate tried, that a data descriptor follows, that the name is UTF-8.
const KNOWN_FLAGS: u16 = 0b0000_1000_0000_1110;
pub(super) const FLAG_DESCRIPTOR: u16 = 1 << 3;
const FLAG_UTF8: u16 = 1 << 11;

/// Reads the directory and proves what can be proven by it alone.
pub(super) fn read(bytes: &mut dyn ReadSeek, end: &End, caps: &Caps) -> Result<Vec<Entry>, ZipError> {
    if end.entries > caps.entries as u64 {
        return Err(ZipError::Directory("names more members than the cap"));
    }
    if end.directory_size > DIRECTORY_CAP {
        return Err(ZipError::Directory("is larger than 16 MiB"));
    }
    if end.entries.saturating_mul(HEADER) > end.directory_size {
        return Err(ZipError::Directory("is too small for its members"));
    }
    let raw = read_at(bytes, end.directory_start, end.directory_size)?;
    let mut fields = Fields(&raw);
    let mut names = Names::default();
    let mut entries = Vec::new();
    let mut total = 0u64;
    for _ in 0..end.entries {
        let entry = entry(&mut fields, caps)?;
        names.add(&entry.member).map_err(|what| ZipError::header(&entry.member.name, what))?;
        total = total.saturating_add(entry.member.size);
        entries.push(entry);
    }
    if !fields.0.is_empty() {
        return Err(ZipError::Directory("is followed by something else"));
    }
    names.finish()?;
    if total > caps.total_bytes {
        return Err(ZipError::TooLarge);
    }
    Ok(entries)
}

/// The fixed part of a header.
struct Fixed<'a> {
    flags: u16,
    method: u16,
    modified: u32,
    crc32: u32,
    narrow: Narrow,
    disk: u16,
    attributes: u32,
    name: &'a [u8],
    extra: &'a [u8],
}

fn fixed<'a>(fields: &mut Fields<'a>) -> Option<Fixed<'a>> {
    if fields.u32()? != SIGNATURE {
        return None;
    }
    let _versions = fields.u32()?;
    let (flags, method) = (fields.u16()?, fields.u16()?);
    let modified = fields.u32()?;
    let crc32 = fields.u32()?;
    let (compressed, size) = (fields.u32()?, fields.u32()?);
    let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
    let disk = fields.u16()?;
    let _internal = fields.u16()?;
    let attributes = fields.u32()?;
    let narrow = Narrow { size, compressed, offset: Some(fields.u32()?) };
    let name = fields.take(name.into())?;
    let extra = fields.take(extra.into())?;
    fields.take(comment.into())?;
    Some(Fixed { flags, method, modified, crc32, narrow, disk, attributes, name, extra })
}

fn entry(fields: &mut Fields<'_>, caps: &Caps) -> Result<Entry, ZipError> {
    let fixed = fixed(fields).ok_or(ZipError::Directory("is damaged"))?;
    let name = name::text(fixed.name, fixed.flags & FLAG_UTF8 != 0, caps.name_bytes)
        .map_err(|what| ZipError::header(&String::from_utf8_lossy(fixed.name), what))?;
    let refuse = |what| ZipError::header(name, what);
    if fixed.flags & 1 != 0 {
        return Err(refuse("is encrypted"));
    }
    if fixed.flags & !KNOWN_FLAGS != 0 {
        return Err(refuse("has flags that are not known"));
    }
    if fixed.disk != 0 {
        return Err(refuse("lies on another disk"));
    }
    let method = match fixed.method {
        0 => Method::Stored,
        8 => Method::Deflated,
        _ => return Err(refuse("is packed by a method other than 0 and 8")),
    };
    let wide = resolve(fixed.extra, fixed.narrow, fixed.name).map_err(refuse)?;
    let member = Member {
        name: name.to_owned(),
        size: wide.size,
        compressed: wide.compressed,
        crc32: fixed.crc32,
        method,
        is_folder: name.ends_with('/'),
        modified: date(fixed.modified),
    };
    kind(fixed.attributes, member.is_folder).and_then(|()| shape(&member, caps)).map_err(refuse)?;
    within(&member, caps)?;
    Ok(Entry { member, flags: fixed.flags, offset: wide.offset })
}

/// MS-DOS time in the lower half, date in the upper.
fn date(packed: u32) -> Option<Timestamp> {
    let part = |shift: u32, bits: u32| (packed >> shift) & ((1 << bits) - 1);
    let (year, month, day) = (1980 + part(25, 7), part(21, 4), part(16, 5));
    let (hour, minute, second) = (part(11, 5), part(5, 6), 2 * part(0, 5));
    Timestamp::parse(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// Readers learn a member's kind from its name, from DOS attributes or from a Unix mode, whoever made it.
fn kind(attributes: u32, is_folder: bool) -> Result<(), &'static str> {
    const VOLUME: u32 = 0x08;
    const DIRECTORY: u32 = 0x10;
    let plain = match (attributes >> 16) & 0xf000 {
        0 => true,
        0x4000 => is_folder,
        0x8000 => !is_folder,
        _ => false,
    };
    if !plain || attributes & VOLUME != 0 || (attributes & DIRECTORY != 0 && !is_folder) {
        return Err("is a link, a device, or of two kinds, by its attributes");
    }
    Ok(())
}

fn shape(member: &Member, caps: &Caps) -> Result<(), &'static str> {
    if member.is_folder && !caps.folders {
        return Err("is a folder, which has no place here");
    }
    if member.is_folder && (member.size != 0 || member.crc32 != 0) {
        return Err("is a folder with content");
    }
    if member.method == Method::Stored && member.size != member.compressed {
        return Err("is stored, yet its two sizes differ");
    }
    Ok(())
}

fn within(member: &Member, caps: &Caps) -> Result<(), ZipError> {
    if member.size > caps.member_bytes {
        return Err(ZipError::damaged(&member.name, "unpacks to more bytes than its cap"));
    }
    if member.size > RATIO_FLOOR && member.size / caps.ratio.max(1) > member.compressed {
        return Err(ZipError::damaged(&member.name, "unpacks to too many times its packed size"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_members() {
        for (packed, expected) in [
            (0x5d44_1996, Some("2026-10-04T03:12:44Z")),
            (0x0021_0000, Some("1980-01-01T00:00:00Z")),
            (0, None),
            (u32::MAX, None),
            // The thirtieth of February.
            (0x5c5e_0000, None),
        ] {
            assert_eq!(date(packed).map(|time| time.to_string()).as_deref(), expected, "{packed:x}");
        }
    }
}
