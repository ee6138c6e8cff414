//! A zip writer that can also write what no zip should hold.

use bytes::Bytes;
use flate2::{Compression, Crc, write::DeflateEncoder};
use std::io::Write as _;

use super::encode::deflated_zeros;
use super::{Body, Seeded, Segment};

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// 2026-10-04 03:12:44 in MS-DOS time, date.
const DOS_TIME: [u16; 2] = [0x1996, 0x5d44];

/// One member of an archive, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// What its headers say of encryption and the like.
    pub(crate) flags: u16,
    /// Turns bits of the checksum that its headers state.
    pub(crate) crc_error: u32,
    method: u16,
    crc: u32,
    size: u64,
    data: Segment,
    data_len: u64,
}

impl Member {
    /// A member whose bytes are stored as they are.
    pub(crate) fn stored(name: &str, bytes: Vec<u8>) -> Self {
        Self::from_segment(name, Segment::Held(bytes.into()))
    }

    /// A stored member whose bytes are computed when read.
    pub(crate) fn computed(name: &str, data: Seeded) -> Self {
        Self::from_segment(name, Segment::Seeded(data))
    }

    /// A member whose bytes are deflated.
    pub(crate) fn deflated(name: &str, bytes: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(bytes.len()), Compression::fast());
        let _ = encoder.write_all(bytes);
        let data: Bytes = encoder.finish().unwrap_or_default().into();
        let plain = Self::from_segment(name, Segment::Held(Bytes::copy_from_slice(bytes)));
        Self { method: DEFLATED, data_len: data.len() as u64, data: Segment::Held(data), ..plain }
    }

    fn from_segment(name: &str, data: Segment) -> Self {
        let body = Body::new(vec![data.clone()]);
        let mut crc = Crc::new();
        body.for_each(|bytes| crc.update(bytes));
        let (size, crc) = (body.len(), crc.sum());
        Self { name: name.to_owned(), flags: 0, crc_error: 0, method: STORED, crc, size, data, data_len: size }
    }

    /// The fields that both of its headers share.
    fn common(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(26);
        for word in [20, self.flags, self.method].into_iter().chain(DOS_TIME) {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for word in [u64::from(self.crc ^ self.crc_error), self.data_len, self.size] {
            out.extend_from_slice(&u32::try_from(word).unwrap_or(u32::MAX).to_le_bytes());
        }
        out.extend_from_slice(&u16::try_from(self.name.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out
    }

    fn local_header(&self) -> Vec<u8> {
        [b"PK\x03\x04", self.common().as_slice(), self.name.as_bytes()].concat()
    }

    fn central_header(&self, offset: u64) -> Vec<u8> {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes();
        // Made by version 2.0; then comment length, disk, internal and external attributes, all zero.
        [b"PK\x01\x02\x14\x00", self.common().as_slice(), &[0; 10], &offset, self.name.as_bytes()].concat()
    }
}

/// An archive of these members, in this order, without data descriptors, comments or gaps.
pub(crate) fn archive(members: &[Member]) -> Body {
    let (mut segments, mut directory, mut offset) = (Vec::new(), Vec::new(), 0);
    for member in members {
        directory.extend_from_slice(&member.central_header(offset));
        let header = member.local_header();
        offset += header.len() as u64 + member.data_len;
        segments.push(Segment::Held(header.into()));
        segments.push(member.data.clone());
    }
    let count = u16::try_from(members.len()).unwrap_or(u16::MAX).to_le_bytes();
    let size = u32::try_from(directory.len()).unwrap_or(u32::MAX).to_le_bytes();
    let start = u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes();
    directory.extend_from_slice(&[b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &size, &start, &[0; 2]].concat());
    segments.push(Segment::Held(directory.into()));
    Body::new(segments)
}

/// A member that inflates to that many megabytes of zeros.
pub(crate) fn zeros(name: &str, megabytes: usize) -> Member {
    let mut crc = Crc::new();
    let piece = vec![0; 1 << 20];
    (0..megabytes).for_each(|_| crc.update(&piece));
    let data: Bytes = deflated_zeros(megabytes).into();
    Member {
        name: name.to_owned(),
        flags: 0,
        crc_error: 0,
        method: DEFLATED,
        crc: crc.sum(),
        size: (megabytes as u64) << 20,
        data_len: data.len() as u64,
        data: Segment::Held(data),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use super::*;

    #[test]
    fn another_reader_agrees() {
        let members = [
            Member::deflated("manifest.json", &b"{\"a\":1}".repeat(50)),
            Member::stored("manifest.sig", vec![7; 256]),
            Member::computed("large", Seeded { seed: 5, len: 150_000 }),
            zeros("zeros", 2),
        ];
        let bytes = archive(&members).to_vec();
        let mut reader = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let expected =
            [b"{\"a\":1}".repeat(50), vec![7; 256], Seeded { seed: 5, len: 150_000 }.to_vec(), vec![0; 2 << 20]];
        assert_eq!(reader.len(), expected.len());
        for (index, expected) in expected.iter().enumerate() {
            let mut content = Vec::new();
            reader.by_index(index).unwrap().read_to_end(&mut content).unwrap();
            assert!(content == *expected, "member {index}");
        }
    }
}
