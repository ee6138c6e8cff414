//! Artifacts as the vendor encodes them, and content codings that nobody asked for.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use model::{Digest, Hasher};

use super::{Body, Seeded, Segment};

/// Above this, the encoded form is computed while it is read.
const HELD: u64 = 1 << 20;

/// An artifact in its encoded form, and what a manifest says of it.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) body: Body,
    pub(crate) decoded_size: u64,
    pub(crate) decoded_sha256: Digest,
}

/// Encodes about `size` bytes made from `seed` as zlib (RFC 1950).
pub(crate) fn encode(seed: u64, size: u64) -> Encoded {
    if size > HELD { encode_streamed(Seeded { seed, len: size }) } else { encode_held(seed, size) }
}

/// Noise, then a tail that compresses, so that both sizes differ.
fn encode_held(seed: u64, size: u64) -> Encoded {
    let mut decoded = Seeded { seed, len: size }.to_vec();
    for line in 0..64 + seed % 32 {
        decoded.extend_from_slice(format!("{{\"entry\":{line},\"kind\":\"simulated\"}}\n").as_bytes());
    }
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(decoded.len()), Compression::fast());
    // Writing to a Vec does not fail; if it ever did, the manifest would name the digest of what there is.
    let _ = encoder.write_all(&decoded);
    let encoded = encoder.finish().unwrap_or_default();
    let body = Body::held(encoded);
    Encoded { body, decoded_size: decoded.len() as u64, decoded_sha256: Digest::of(&decoded) }
}

fn encode_streamed(data: Seeded) -> Encoded {
    let (mut hasher, mut adler) = (Hasher::new(), Adler::default());
    Body::new(vec![Segment::Seeded(data)]).for_each(|bytes| {
        hasher.update(bytes);
        adler.update(bytes);
    });
    let body = Body::new(vec![Segment::Stored { data, adler: adler.finish() }]);
    Encoded { body, decoded_size: data.len, decoded_sha256: hasher.finish() }
}

/// Adler-32 (RFC 1950, 8.2).
#[derive(Clone, Copy)]
struct Adler {
    low: u32,
    high: u32,
}

impl Default for Adler {
    fn default() -> Self {
        Self { low: 1, high: 0 }
    }
}

impl Adler {
    fn update(&mut self, bytes: &[u8]) {
        // 5,552 is the most bytes whose sums fit before they must be reduced.
        for piece in bytes.chunks(5552) {
            for byte in piece {
                self.low += u32::from(*byte);
                self.high += self.low;
            }
            self.low %= 65_521;
            self.high %= 65_521;
        }
    }

    fn finish(self) -> u32 {
        self.high << 16 | self.low
    }
}

/// `bytes` in gzip.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// A gzip stream of that many megabytes of zeros (its checksum is wrong: nobody should get there).
pub(crate) fn gzip_of_zeros(megabytes: usize) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    out.extend_from_slice(&deflated_zeros(megabytes));
    out.extend_from_slice(&[0; 8]);
    out
}

/// A raw deflate stream of that many megabytes of zeros.
pub(crate) fn deflated_zeros(megabytes: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // After a flush a block ends on a byte's edge, and blocks without a reference backwards can be repeated.
    let _ = encoder.write_all(&vec![0; 1 << 20]);
    let _ = encoder.flush();
    let block = encoder.get_ref().clone();
    let mut out = block.repeat(megabytes);
    out.extend_from_slice(&[0x03, 0x00]);
    out
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

    use super::*;

    fn check(encoded: &Encoded) {
        let mut decoded = Vec::new();
        ZlibDecoder::new(encoded.body.to_vec().as_slice()).read_to_end(&mut decoded).unwrap();
        assert_eq!(decoded.len() as u64, encoded.decoded_size);
        assert_eq!(Digest::of(&decoded), encoded.decoded_sha256);
    }

    #[test]
    fn small_and_streamed_artifacts_decode() {
        check(&encode(1, 0));
        check(&encode(1, 65_536));
        check(&encode(2, HELD + 1));
        check(&encode(3, 65_535 * 20));
    }

    #[test]
    fn codings_decode() {
        let mut text = String::new();
        GzDecoder::new(gzip(b"text").as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        let mut zeros = Vec::new();
        DeflateDecoder::new(deflated_zeros(3).as_slice()).read_to_end(&mut zeros).unwrap();
        assert_eq!(zeros.len(), 3 << 20);
        assert!(gzip_of_zeros(100).len() < 200_000);
    }
}
