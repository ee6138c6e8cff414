//! What artifacts unpack to.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write as _};

use flate2::Compression;
use model::{Digest, Reason};

use super::world::zlib;
use crate::Inspection as _;
use crate::elastic::decoded::Zlib;
use crate::elastic::manifest::Pair;

fn pair(bytes: &[u8]) -> Pair {
    Pair { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

#[track_caller]
fn check(encoded: &[u8], decoded: Pair, expected: Option<&str>) {
    let result = Zlib(decoded).inspect(&mut Cursor::new(encoded));
    match (result, expected) {
        (Ok(notes), None) => assert_eq!(notes, []),
        (Err(note), Some(words)) => {
            assert_eq!(note.reason, Reason::DecodedMismatch);
            assert!(note.detail.contains(words), "{}", note.detail);
        }
        (result, _) => panic!("{result:?}"),
    }
}

#[test]
fn the_vendors_own_example_unpacks() {
    let decoded =
        Pair { digest: "d801aa1fb7ddcc330a5e3173372ea6af4a3d08ec58074478e85aa5603e926658".parse().unwrap(), size: 14 };
    assert_eq!(pair(b"{\"entries\":[]}"), decoded);
    let encoded = b"\x78\x9c\xab\x56\x4a\xcd\x2b\x29\xca\x4c\x2d\x56\xb2\x8a\x8e\xad\x05\x00\x27\x19\x05\x29".to_vec();
    let stored = "f8e6afa1d5662f5b37f83337af774b5785b5b7f1daee08b7b00c2d6813874cda";
    assert_eq!((Digest::of(&encoded).to_string().as_str(), encoded.len()), (stored, 22));
    check(&encoded, decoded, None);
}

#[test]
fn sizes_around_the_buffers_unpack() {
    for size in [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_003] {
        let noise: Vec<u8> = (0..size).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        check(&zlib(&noise), pair(&noise), None);
        let zeros = vec![0; size as usize];
        check(&zlib(&zeros), pair(&zeros), None);
    }
}

#[test]
fn other_codings_are_not_zlib_c34() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Compression::new(6));
    gzip.write_all(b"rules").unwrap();
    check(&gzip.finish().unwrap(), pair(b"rules"), Some("not a zlib stream"));
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), Compression::new(6));
    raw.write_all(b"rules").unwrap();
    check(&raw.finish().unwrap(), pair(b"rules"), Some("zlib stream"));
    check(b"rules", pair(b"rules"), Some("zlib stream"));
    check(b"", pair(b""), Some("ends before"));
}

#[test]
fn cut_lengthened_or_flipped_c34() {
    let good = zlib(b"rules and more rules");
    let decoded = pair(b"rules and more rules");
    for length in 0..good.len() {
        check(&good[..length], decoded, Some("ends before"));
    }
    check(&[&good[..], b"\0"].concat(), decoded, Some("goes on after"));
    check(&[&good[..], &good[..]].concat(), decoded, Some("goes on after"));
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1;
        let refused = Zlib(decoded).inspect(&mut Cursor::new(bad));
        assert_eq!(refused.unwrap_err().reason, Reason::DecodedMismatch, "byte {byte}");
    }
}

#[test]
fn trailing_bytes_after_a_full_buffer_c34() {
    // Stored blocks, so that the stream ends exactly where a buffer does.
    let mut padding = 65_000;
    let encoded = loop {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&vec![7; padding]).unwrap();
        let encoded = encoder.finish().unwrap();
        match encoded.len() {
            65_536 => break encoded,
            length => padding = padding + 65_536 - length,
        }
    };
    check(&encoded, pair(&vec![7; padding]), None);
    check(&[&encoded[..], b"x"].concat(), pair(&vec![7; padding]), Some("goes on after"));
}

#[test]
fn a_bomb_stops_at_the_first_byte_too_many_c34() {
    let bomb = zlib(&vec![0; 64 << 20]);
    let small = vec![0; 1000];
    let mut reader = Counting { inner: Cursor::new(bomb), read: 0 };
    let note = Zlib(pair(&small)).inspect(&mut reader).unwrap_err();
    assert_eq!(note.reason, Reason::DecodedMismatch);
    assert!(note.detail.contains("more bytes"), "{}", note.detail);
    assert!(reader.read <= 64 << 10);
    check(&zlib(&[0; 1001]), pair(&small), Some("more bytes"));
    check(&zlib(&[0; 999]), pair(&small), Some("unpacks to 999 bytes"));
}

#[test]
fn a_failing_disk_is_not_the_vendors_fault() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("medium error"))
        }
    }
    impl Seek for Broken {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }
    assert_eq!(Zlib(pair(b"x")).inspect(&mut Broken).unwrap_err().reason, Reason::StoreFailed);
}

#[test]
fn it_reads_from_the_start_wherever_the_reader_stood() {
    let mut reader = Cursor::new(zlib(b"rules"));
    for _ in 0..2 {
        Zlib(pair(b"rules")).inspect(&mut reader).unwrap();
    }
}

struct Counting {
    inner: Cursor<Vec<u8>>,
    read: usize,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.read += got;
        Ok(got)
    }
}

impl Seek for Counting {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
