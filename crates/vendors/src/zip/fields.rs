//! Little-endian fields, read in order.

/// Reads fields off the front of some bytes; every read is none when too few are left.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
}

/// What a 32-bit field says when the truth is in the zip64 extra field.
pub(super) const SATURATED: u32 = u32::MAX;

/// The sizes and place of a header, as its 32-bit fields give them, before zip64 is looked at.
#[derive(Clone, Copy)]
pub(super) struct Narrow {
    pub(super) size: u32,
    pub(super) compressed: u32,
    /// None in a local header, which has no such field.
    pub(super) offset: Option<u32>,
}

/// The same with zip64 resolved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Wide {
    pub(super) size: u64,
    pub(super) compressed: u64,
    pub(super) offset: u64,
}

/// Resolves zip64 and refuses extra fields that give some readers another name, kind or content.
pub(super) fn resolve(extra: &[u8], narrow: Narrow, name: &[u8]) -> Result<Wide, &'static str> {
    let mut zip64 = None;
    let mut rest = Fields(extra);
    let mut seen_path = false;
    while !rest.0.is_empty() {
        let (id, body) = field(&mut rest).ok_or("has damaged extra fields")?;
        match id {
            ZIP64 if zip64.replace(body).is_some() => return Err("has two zip64 fields"),
            UNICODE_PATH if std::mem::replace(&mut seen_path, true) || !same_path(body, name) => {
                return Err("has another name in an extra field");
            }
            PKWARE_UNIX | ASI_UNIX => return Err("may be a link, by an extra field"),
            STRONG_ENCRYPTION | AES => return Err("is encrypted"),
            _ => {}
        }
    }
    widen(zip64, narrow).ok_or("has a zip64 field that does not fit its header")
}

const ZIP64: u16 = 0x0001;
const PKWARE_UNIX: u16 = 0x000d;
const STRONG_ENCRYPTION: u16 = 0x0017;
const UNICODE_PATH: u16 = 0x7075;
const ASI_UNIX: u16 = 0x756e;
const AES: u16 = 0x9901;

fn field<'a>(rest: &mut Fields<'a>) -> Option<(u16, &'a [u8])> {
    let id = rest.u16()?;
    let size = rest.u16()?;
    Some((id, rest.take(usize::from(size))?))
}

/// The field holds a version, the CRC of the header's name, and the name again.
fn same_path(body: &[u8], name: &[u8]) -> bool {
    body.get(5..) == Some(name)
}

/// A zip64 field holds, in this order, those of size, packed size and offset that are saturated. Some writers
/// add the others too: fine if they say the same and no reader can take one for another.
fn widen(zip64: Option<&[u8]>, narrow: Narrow) -> Option<Wide> {
    let fields = [Some(narrow.size), Some(narrow.compressed), narrow.offset];
    let saturated = fields.map(|field| field == Some(SATURATED));
    let Some(body) = zip64 else {
        let wide = fields.map(|field| u64::from(field.unwrap_or_default()));
        return (saturated == [false; 3]).then(|| from_array(wide));
    };
    let needed = saturated.iter().filter(|flag| **flag).count();
    let mut rest = Fields(body);
    let mut wide = [0u64; 3];
    let exact = body.len() == needed * 8;
    let in_front = saturated.is_sorted_by(|a, b| a >= b);
    for ((slot, field), saturated) in wide.iter_mut().zip(fields).zip(saturated) {
        let plain = u64::from(field.unwrap_or_default());
        *slot = match (saturated, exact || rest.0.is_empty()) {
            (true, _) => rest.u64()?,
            (false, true) => plain,
            (false, false) => {
                let said = if field.is_some() { rest.u64()? } else { 0 };
                (in_front && said == plain).then_some(plain)?
            }
        };
    }
    // Behind them may stand the number of a disk, of which there is one.
    (rest.0.is_empty() || (in_front && rest.0 == [0; 4])).then(|| from_array(wide))
}

fn from_array([size, compressed, offset]: [u64; 3]) -> Wide {
    Wide { size, compressed, offset }
}
