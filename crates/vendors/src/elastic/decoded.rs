//! Whether an artifact unpacks to what its manifest says, without keeping what it unpacks to.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use model::{Hasher, Note, Reason};

use super::manifest::Pair;
use crate::{Inspection, ReadSeek};

const CHUNK: usize = 64 << 10;

/// An artifact that is one zlib stream (RFC 1950) and nothing else, and unpacks to this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zlib(pub(super) Pair);

impl Inspection for Zlib {
    fn key(&self) -> String {
        format!("zlib:{}:{}", self.0.size, self.0.digest)
    }

    fn inspect(&self, bytes: &mut dyn ReadSeek) -> Result<Vec<Note>, Note> {
        let refused = |reason, detail| Err(Note { reason, detail });
        match inflate(bytes, self.0.size) {
            Ok(decoded) if decoded == self.0 => Ok(Vec::new()),
            Ok(decoded) => {
                refused(Reason::DecodedMismatch, format!("it unpacks to {decoded}, its manifest says {}", self.0))
            }
            Err(Fault::Io(error)) => refused(Reason::StoreFailed, format!("the artifact could not be read: {error}")),
            Err(Fault::Stream(what)) => refused(Reason::DecodedMismatch, format!("the artifact {what}")),
        }
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes {}", self.size, self.digest)
    }
}

enum Fault {
    Io(io::Error),
    Stream(&'static str),
}

/// Unpacks to nowhere, counting and hashing; stops at the first byte past `limit`.
fn inflate(bytes: &mut dyn ReadSeek, limit: u64) -> Result<Pair, Fault> {
    bytes.rewind().map_err(Fault::Io)?;
    let (mut input, mut output) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut zlib = Decompress::new(true);
    let mut hasher = Hasher::new();
    loop {
        let got = read(bytes, &mut input)?;
        let chunk = input.get(..got).unwrap_or_default();
        if chunk.is_empty() {
            return Err(Fault::Stream("ends before its zlib stream does"));
        }
        let Some(rest) = unpack(&mut zlib, chunk, &mut output, |made| {
            hasher.update(made);
            hasher.bytes() <= limit
        })?
        else {
            continue;
        };
        if !rest.is_empty() || read(bytes, &mut input)? != 0 {
            return Err(Fault::Stream("goes on after its zlib stream"));
        }
        let size = hasher.bytes();
        return Ok(Pair { digest: hasher.finish(), size });
    }
}

/// Unpacks a chunk; if the stream ends in it, what follows. `take` says whether it may go on.
fn unpack<'a>(
    zlib: &mut Decompress,
    mut chunk: &'a [u8],
    output: &mut [u8],
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<Option<&'a [u8]>, Fault> {
    const DAMAGED: Fault = Fault::Stream("is not a zlib stream, or a damaged one");
    loop {
        let (taken, made) = (zlib.total_in(), zlib.total_out());
        let status = zlib.decompress(chunk, output, FlushDecompress::None).map_err(|_| DAMAGED)?;
        let (taken, made) = (count(zlib.total_in() - taken), count(zlib.total_out() - made));
        chunk = chunk.get(taken..).unwrap_or_default();
        if !take(output.get(..made).unwrap_or_default()) {
            return Err(Fault::Stream("unpacks to more bytes than its manifest says"));
        }
        match status {
            Status::StreamEnd => return Ok(Some(chunk)),
            // All is taken and there was room left: more input is needed.
            _ if chunk.is_empty() && made < output.len() => return Ok(None),
            _ if taken == 0 && made == 0 => return Err(DAMAGED),
            _ => {}
        }
    }
}

fn count(bytes: u64) -> usize {
    // Never more than one buffer.
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn read(bytes: &mut dyn ReadSeek, buffer: &mut [u8]) -> Result<usize, Fault> {
    loop {
        match bytes.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(Fault::Io),
        }
    }
}
