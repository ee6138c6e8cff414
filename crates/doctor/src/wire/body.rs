//! Where bodies end.

use crate::wire::{Head, WireError};

/// The longest line of a chunked body.
pub(crate) const MAX_LINE: usize = 4096;

/// How much of a body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes, out of so many.
    Length { left: u64, all: u64 },
    /// Chunks: so many bytes of the present one, whose line end comes after them.
    Chunk { left: u64 },
    /// The line that begins a chunk.
    ChunkLine,
    /// Lines behind the last chunk, until an empty one.
    Trailer,
    /// Until the connection ends.
    Close,
    /// Nothing more.
    Done,
}

impl Framing {
    /// Of an answer to this method.
    pub(crate) fn of(method: &str, head: &Head) -> Result<Self, WireError> {
        if method == "HEAD" || matches!(head.status, 100..=199 | 204 | 304) {
            return Ok(Self::Done);
        }
        if head.is_chunked() {
            return Ok(Self::ChunkLine);
        }
        match (head.field("content-length"), head.length()) {
            (None, _) => Ok(Self::Close),
            (Some(_), Some(0)) => Ok(Self::Done),
            (Some(_), Some(all)) => Ok(Self::Length { left: all, all }),
            (Some(text), None) => Err(WireError::BadLength(text.to_owned())),
        }
    }
}

/// The size in the line that begins a chunk.
pub(crate) fn chunk_size(line: &[u8]) -> Result<u64, WireError> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let size = text.split(';').next().unwrap_or_default().trim();
    let hex = !size.is_empty() && size.len() <= 15 && size.bytes().all(|byte| byte.is_ascii_hexdigit());
    let read = hex.then(|| u64::from_str_radix(size, 16).ok()).flatten();
    read.ok_or_else(|| WireError::NotHttp("a chunk begins with something else than its size".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_plain_sizes_u28() {
        assert_eq!(chunk_size(b"1F;x=y").unwrap(), 31);
        for bad in ["", "-1", "g", "0x1", "ffffffffffffffff", " "] {
            assert!(chunk_size(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn some_answers_have_no_body() {
        let head = Head { status: 304, ..Head::default() };
        assert_eq!(Framing::of("GET", &head).unwrap(), Framing::Done);
        let head = Head { status: 200, ..Head::default() };
        assert_eq!(Framing::of("GET", &head).unwrap(), Framing::Close);
        assert_eq!(Framing::of("HEAD", &head).unwrap(), Framing::Done);
    }
}
