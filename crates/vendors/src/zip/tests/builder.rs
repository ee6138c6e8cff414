//! Writes archives by hand, so that every field can lie.

use std::io::Write as _;

/// What stands both in a member's own header and in the directory.
#[derive(Clone, Default)]
pub(super) struct Head {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc32: u32,
    pub(super) compressed: u32,
    pub(super) size: u32,
    pub(super) name: Vec<u8>,
    pub(super) extra: Vec<u8>,
}

#[derive(Clone, Default)]
pub(super) struct Part {
    pub(super) gap: Vec<u8>,
    pub(super) local: Head,
    pub(super) packed: Vec<u8>,
    pub(super) descriptor: Vec<u8>,
    pub(super) central: Head,
    pub(super) attributes: u32,
    pub(super) disk: u16,
    pub(super) comment: Vec<u8>,
    pub(super) offset: Option<u32>,
}

#[derive(Clone, Default)]
pub(super) struct Build {
    pub(super) parts: Vec<Part>,
    /// The directory's order, if not the file's.
    pub(super) order: Option<Vec<usize>>,
    pub(super) before_directory: Vec<u8>,
    pub(super) after_directory: Vec<u8>,
    /// Whether a zip64 record and locator come, and what is done to their bytes.
    pub(super) wide: Option<fn(&mut [u8])>,
    /// What is done to the end record's bytes before its comment.
    pub(super) end: Option<fn(&mut [u8])>,
    pub(super) comment: Vec<u8>,
    pub(super) trailing: Vec<u8>,
}

pub(super) fn crc(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

pub(super) fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn extra(id: u16, body: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes(), &u16::try_from(body.len()).unwrap().to_le_bytes(), body].concat()
}

impl Build {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn stored(self, name: &str, data: &[u8]) -> Self {
        self.member(name, 0, data.to_vec(), data)
    }

    pub(super) fn deflated(self, name: &str, data: &[u8]) -> Self {
        self.member(name, 8, deflate(data), data)
    }

    pub(super) fn member(mut self, name: &str, method: u16, packed: Vec<u8>, data: &[u8]) -> Self {
        let head = Head {
            flags: 0,
            method,
            crc32: crc(data),
            compressed: packed.len() as u32,
            size: data.len() as u32,
            name: name.as_bytes().to_vec(),
            extra: Vec::new(),
        };
        self.parts.push(Part { local: head.clone(), central: head, packed, ..Part::default() });
        self
    }

    /// The last member streamed: nothing known in front, a descriptor of four or eight byte sizes behind.
    pub(super) fn streamed(mut self, signed: bool, wide: bool) -> Self {
        let part = self.parts.last_mut().unwrap();
        part.local.flags |= 8;
        part.central.flags |= 8;
        (part.local.crc32, part.local.compressed, part.local.size) = (0, 0, 0);
        let head = &part.central;
        if signed {
            part.descriptor.extend(0x0807_4b50u32.to_le_bytes());
        }
        part.descriptor.extend(head.crc32.to_le_bytes());
        for size in [head.compressed, head.size] {
            match wide {
                true => part.descriptor.extend(u64::from(size).to_le_bytes()),
                false => part.descriptor.extend(size.to_le_bytes()),
            }
        }
        self
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut offsets = Vec::new();
        for part in &self.parts {
            file.extend(&part.gap);
            offsets.push(file.len() as u32);
            file.extend(0x0403_4b50u32.to_le_bytes());
            file.extend(20u16.to_le_bytes());
            head(&mut file, &part.local);
            file.extend(&part.local.name);
            file.extend(&part.local.extra);
            file.extend(&part.packed);
            file.extend(&part.descriptor);
        }
        file.extend(&self.before_directory);
        let start = file.len();
        for &index in self.order.as_ref().unwrap_or(&(0..self.parts.len()).collect()) {
            central(&mut file, &self.parts[index], offsets[index]);
        }
        let size = file.len() - start;
        file.extend(&self.after_directory);
        self.finish(file, start, size)
    }

    fn finish(&self, mut file: Vec<u8>, start: usize, size: usize) -> Vec<u8> {
        let count = self.order.as_ref().map_or(self.parts.len(), Vec::len) as u16;
        if let Some(change) = self.wide {
            let at = file.len() as u64;
            let mut wide = Vec::new();
            wide.extend(0x0606_4b50u32.to_le_bytes());
            wide.extend(44u64.to_le_bytes());
            wide.extend([45, 0, 45, 0]);
            wide.extend([0; 8]);
            for field in [count.into(), count.into(), size as u64, start as u64] {
                wide.extend(field.to_le_bytes());
            }
            wide.extend(0x0706_4b50u32.to_le_bytes());
            wide.extend(0u32.to_le_bytes());
            wide.extend(at.to_le_bytes());
            wide.extend(1u32.to_le_bytes());
            change(&mut wide);
            file.extend(wide);
        }
        let mut end = Vec::new();
        end.extend(0x0605_4b50u32.to_le_bytes());
        end.extend([0; 4]);
        end.extend(count.to_le_bytes());
        end.extend(count.to_le_bytes());
        end.extend((size as u32).to_le_bytes());
        end.extend((start as u32).to_le_bytes());
        end.extend((self.comment.len() as u16).to_le_bytes());
        if let Some(change) = self.end {
            change(&mut end);
        }
        file.extend(end);
        file.extend(&self.comment);
        file.extend(&self.trailing);
        file
    }
}

fn head(file: &mut Vec<u8>, head: &Head) {
    file.extend(head.flags.to_le_bytes());
    file.extend(head.method.to_le_bytes());
    file.extend([0x21, 0x43, 0x65, 0x5b]);
    file.extend(head.crc32.to_le_bytes());
    file.extend(head.compressed.to_le_bytes());
    file.extend(head.size.to_le_bytes());
    file.extend((head.name.len() as u16).to_le_bytes());
    file.extend((head.extra.len() as u16).to_le_bytes());
}

fn central(file: &mut Vec<u8>, part: &Part, offset: u32) {
    file.extend(0x0201_4b50u32.to_le_bytes());
    file.extend([20, 3, 20, 0]);
    head(file, &part.central);
    file.extend((part.comment.len() as u16).to_le_bytes());
    file.extend(part.disk.to_le_bytes());
    file.extend([0; 2]);
    file.extend(part.attributes.to_le_bytes());
    file.extend(part.offset.unwrap_or(offset).to_le_bytes());
    file.extend(&part.central.name);
    file.extend(&part.central.extra);
    file.extend(&part.comment);
}

/// Makes an end record point to its zip64 record for everything.
pub(super) fn saturate(end: &mut [u8]) {
    end[8..20].fill(0xff);
}
