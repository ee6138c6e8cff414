//! Members' bytes: unpacked as a stream, never beyond what their headers say.

use std::io::SeekFrom;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::local::Place;
use super::{Member, Method, ZipError};
use crate::ReadSeek;

const CHUNK: usize = 64 << 10;

/// Hands a member's bytes over in chunks; what was handed over counts only if the result is good.
pub(super) fn unpack(
    bytes: &mut dyn ReadSeek,
    member: &Member,
    place: &Place,
    mut each: impl FnMut(&[u8]),
) -> Result<(), ZipError> {
    bytes.seek(SeekFrom::Start(place.start))?;
    let mut crc = Crc::new();
    let mut size = 0u64;
    let mut take = |chunk: &[u8]| {
        size = size.saturating_add(chunk.len() as u64);
        if size > member.size {
            return Err(ZipError::damaged(&member.name, "unpacks to more bytes than its headers say"));
        }
        crc.update(chunk);
        each(chunk);
        Ok(())
    };
    match member.method {
        Method::Stored => stored(bytes, member, place.open_ended, &mut take)?,
        Method::Deflated => deflated(bytes, member, &mut take)?,
    }
    if size != member.size {
        return Err(ZipError::damaged(&member.name, "unpacks to fewer bytes than its headers say"));
    }
    if crc.sum() != member.crc32 {
        return Err(ZipError::damaged(&member.name, "fails its CRC"));
    }
    Ok(())
}

type Take<'t> = &'t mut dyn FnMut(&[u8]) -> Result<(), ZipError>;

fn stored(bytes: &mut dyn ReadSeek, member: &Member, open_ended: bool, take: Take<'_>) -> Result<(), ZipError> {
    let mut chunk = vec![0; CHUNK];
    let mut left = member.compressed;
    let mut ends = FalseEnds::default();
    while left > 0 {
        let read = some(bytes, &mut chunk, left)?;
        if open_ended && ends.seen_in(read) {
            return Err(ZipError::header(&member.name, "holds what a streaming reader takes for its end"));
        }
        take(read)?;
        left = left.saturating_sub(read.len() as u64);
    }
    Ok(())
}

/// Looks for data descriptors inside stored bytes: four bytes of signature and, eight bytes on, the number of
/// bytes before it. Readers that cannot seek would end the member there.
#[derive(Default)]
struct FalseEnds {
    carried: Vec<u8>,
    /// Bytes before `carried`.
    before: u64,
}

impl FalseEnds {
    const SPAN: usize = 12;

    fn seen_in(&mut self, chunk: &[u8]) -> bool {
        self.carried.extend_from_slice(chunk);
        let before = self.before;
        let seen = self.carried.windows(Self::SPAN).enumerate().any(|(at, window)| {
            window.starts_with(b"PK\x07\x08") && {
                // The low half is enough for descriptors of either width.
                let here = before.wrapping_add(at as u64) as u32;
                window.ends_with(&here.to_le_bytes())
            }
        });
        let done = self.carried.len().saturating_sub(Self::SPAN - 1);
        self.carried.drain(..done);
        self.before = self.before.saturating_add(done as u64);
        seen
    }
}

fn deflated(bytes: &mut dyn ReadSeek, member: &Member, take: Take<'_>) -> Result<(), ZipError> {
    let broken = |what| ZipError::damaged(&member.name, what);
    let mut inflate = Decompress::new(false);
    let (mut chunk, mut out) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut left = member.compressed;
    while left > 0 {
        let mut input: &[u8] = some(bytes, &mut chunk, left)?;
        left = left.saturating_sub(input.len() as u64);
        loop {
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(input, &mut out, FlushDecompress::None);
            let status = status.map_err(|_| broken("cannot be unpacked"))?;
            let used = usize::try_from(inflate.total_in() - before_in).unwrap_or(usize::MAX);
            let made = usize::try_from(inflate.total_out() - before_out).unwrap_or(usize::MAX);
            input = input.get(used..).unwrap_or_default();
            take(out.get(..made).unwrap_or_default())?;
            if status == Status::StreamEnd {
                let whole = left == 0 && input.is_empty();
                return if whole { Ok(()) } else { Err(broken("ends before its packed bytes do")) };
            }
            // Without progress it waits for more input.
            if used == 0 && made == 0 {
                break;
            }
        }
        if !input.is_empty() {
            return Err(broken("cannot be unpacked"));
        }
    }
    Err(broken("is cut"))
}

/// At least one byte, at most a chunk and at most `left`.
fn some<'c>(bytes: &mut dyn ReadSeek, chunk: &'c mut [u8], left: u64) -> Result<&'c [u8], ZipError> {
    let want = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
    loop {
        match bytes.read(chunk.get_mut(..want).unwrap_or_default()) {
            Ok(0) => return Err(ZipError::Io(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => return Ok(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
