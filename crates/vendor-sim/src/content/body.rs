//! What an answer carries: segments that are held or computed, readable from anywhere.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use model::{Digest, Hasher};

use super::Seeded;

/// A stretch of a body.
#[derive(Clone, Debug)]
pub(crate) enum Segment {
    /// Bytes in memory.
    Held(Bytes),
    /// Bytes computed when read.
    Seeded(Seeded),
    /// A zlib stream of stored blocks around computed bytes.
    Stored {
        /// What it decodes to.
        data: Seeded,
        /// The Adler-32 of that.
        adler: u32,
    },
}

/// Data bytes in a stored block, and the bytes before them.
const BLOCK: u64 = 65_535;
const BLOCK_HEAD: u64 = 5;
const ZLIB_HEAD: [u8; 2] = [0x78, 0x01];

impl Segment {
    fn len(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Seeded(data) => data.len,
            Self::Stored { data, .. } => 6 + data.len + BLOCK_HEAD * blocks(data.len),
        }
    }

    /// Fills some of `buffer`; answers how much, zero only at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        match self {
            Self::Held(bytes) => copy_from(bytes, offset, buffer),
            Self::Seeded(data) => data.read_at(offset, buffer),
            Self::Stored { data, adler } => read_stored(data, *adler, offset, buffer),
        }
    }
}

fn blocks(len: u64) -> u64 {
    len.div_ceil(BLOCK).max(1)
}

fn read_stored(data: &Seeded, adler: u32, offset: u64, buffer: &mut [u8]) -> usize {
    let Some(position) = offset.checked_sub(ZLIB_HEAD.len() as u64) else {
        return copy_from(&ZLIB_HEAD, offset, buffer);
    };
    let count = blocks(data.len);
    let end = data.len + BLOCK_HEAD * count;
    if position >= end {
        return copy_from(&adler.to_be_bytes(), position - end, buffer);
    }
    let (number, within) = (position / (BLOCK + BLOCK_HEAD), position % (BLOCK + BLOCK_HEAD));
    let size = (data.len - number * BLOCK).min(BLOCK);
    if let Some(start) = within.checked_sub(BLOCK_HEAD) {
        let room = buffer.len().min(usize::try_from(size - start).unwrap_or(0));
        return buffer.get_mut(..room).map_or(0, |out| data.read_at(number * BLOCK + start, out));
    }
    let size = u16::try_from(size).unwrap_or(u16::MAX);
    let ([a, b], [c, d]) = (size.to_le_bytes(), (!size).to_le_bytes());
    copy_from(&[u8::from(number + 1 == count), a, b, c, d], within, buffer)
}

fn copy_from(bytes: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    let from = usize::try_from(offset).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
    let length = from.len().min(buffer.len());
    if let (Some(from), Some(to)) = (from.get(..length), buffer.get_mut(..length)) {
        to.copy_from_slice(from);
    }
    length
}

/// The bytes of a resource, however large, without holding them.
#[derive(Clone, Debug)]
pub struct Body {
    segments: Arc<[Segment]>,
    len: u64,
    flipped: Option<u64>,
    digest: Arc<OnceLock<Digest>>,
}

impl Body {
    pub(crate) fn new(segments: Vec<Segment>) -> Self {
        let len = segments.iter().map(Segment::len).sum();
        Self { segments: segments.into(), len, flipped: None, digest: Arc::default() }
    }

    pub(crate) fn held(bytes: impl Into<Bytes>) -> Self {
        Self::new(vec![Segment::Held(bytes.into())])
    }

    /// The same with one bit of the byte in the middle turned.
    pub(crate) fn with_flipped_bit(&self) -> Self {
        Self { flipped: Some(self.len / 2), digest: Arc::default(), ..self.clone() }
    }

    /// The same with more bytes behind.
    pub(crate) fn followed_by(&self, more: &'static [u8]) -> Self {
        let mut segments = self.segments.to_vec();
        segments.push(Segment::Held(Bytes::from_static(more)));
        Self { flipped: self.flipped, ..Self::new(segments) }
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `buffer` from `offset` on; answers how much there was.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        let mut start = 0;
        for segment in self.segments.iter() {
            let end = start + segment.len();
            while offset + (done as u64) < end && done < buffer.len() {
                let Some(rest) = buffer.get_mut(done..) else { break };
                let read = segment.read_at(offset + done as u64 - start, rest);
                if read == 0 {
                    break;
                }
                done += read;
            }
            start = end;
        }
        self.flip(offset, buffer);
        done
    }

    fn flip(&self, offset: u64, buffer: &mut [u8]) {
        let at = self.flipped.and_then(|at| at.checked_sub(offset)).and_then(|at| usize::try_from(at).ok());
        if let Some(byte) = at.and_then(|at| buffer.get_mut(at)) {
            *byte ^= 1;
        }
    }

    /// The SHA-256, computed at the first call.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut hasher = Hasher::new();
            self.for_each(|bytes| hasher.update(bytes));
            hasher.finish()
        })
    }

    /// All bytes; for bodies that are known to be small.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(usize::try_from(self.len).unwrap_or(0));
        self.for_each(|bytes| all.extend_from_slice(bytes));
        all
    }

    /// Shows the bytes in order, in pieces.
    pub fn for_each(&self, mut see: impl FnMut(&[u8])) {
        let mut buffer = vec![0; 128 * 1024];
        let mut offset = 0;
        loop {
            let read = self.read_at(offset, &mut buffer);
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { return };
            see(piece);
            offset += read as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_read_as_one_from_anywhere() {
        let body = Body::new(vec![
            Segment::Held(Bytes::from_static(b"head")),
            Segment::Seeded(Seeded { seed: 3, len: 70_000 }),
            Segment::Stored { data: Seeded { seed: 4, len: 140_000 }, adler: 9 },
            Segment::Held(Bytes::from_static(b"tail")),
        ]);
        let whole = body.to_vec();
        assert_eq!(whole.len() as u64, body.len());
        assert_eq!(body.digest(), Digest::of(&whole));
        for (offset, length) in [(0, 10), (3, 70_010), (70_000, 8), (70_004, 140_000), (whole.len() - 5, 50)] {
            let mut piece = vec![0; length];
            let read = body.read_at(offset as u64, &mut piece);
            assert_eq!(piece[..read], whole[offset..(offset + length).min(whole.len())], "{offset}");
        }
        let flipped = body.with_flipped_bit().to_vec();
        assert_eq!(flipped.iter().zip(&whole).filter(|(a, b)| a != b).count(), 1);
    }
}
