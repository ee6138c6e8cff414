//! The smallest honest zip around some bytes.

/// An archive with one stored member.
pub fn zip_of_one(name: &str, data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes();
    let name_size = u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes();
    // Version 2.0, no flags, stored, no time, then CRC and sizes: the same in both headers.
    let common: Vec<u8> =
        [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &crc.sum().to_le_bytes(), &size, &size, &name_size, &[0, 0]].concat();
    let mut file = [b"PK\x03\x04", &common[..], name.as_bytes(), data].concat();
    let start = u32::try_from(file.len()).unwrap_or(u32::MAX).to_le_bytes();
    let directory = [b"PK\x01\x02\x14\0", &common[..], &[0; 14], name.as_bytes()].concat();
    let directory_size = u32::try_from(directory.len()).unwrap_or(u32::MAX).to_le_bytes();
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    file.extend(directory_size);
    file.extend(start);
    file.extend([0, 0]);
    file
}
