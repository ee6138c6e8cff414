//! Bytes by block; copies share what they have in common.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a block.
pub(super) const BLOCK: usize = 4096;

type Block = [u8; BLOCK];

/// The blocks of a disk that are not zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks(HashMap<u64, Arc<Block>>);

impl Blocks {
    pub(super) fn of_file(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let mut blocks = Self::default();
        let (mut offset, mut buffer) = (0, vec![0; 1 << 20]);
        loop {
            let read = file.read_at(&mut buffer, offset)?;
            if read == 0 {
                return Ok(blocks);
            }
            for (index, part) in buffer[..read].chunks(BLOCK).enumerate() {
                if part.iter().any(|byte| *byte != 0) {
                    blocks.write(offset + (index * BLOCK) as u64, part);
                }
            }
            offset += read as u64;
        }
    }

    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) {
        for_parts(offset, bytes.len(), |block, from, at, length| {
            let into = &mut bytes[at..at + length];
            match self.0.get(&block) {
                Some(block) => into.copy_from_slice(&block[from..from + length]),
                None => into.fill(0),
            }
        });
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        for_parts(offset, bytes.len(), |block, from, at, length| {
            let block = self.0.entry(block).or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(block)[from..from + length].copy_from_slice(&bytes[at..at + length]);
        });
    }
}

/// Cuts a range at the borders of blocks: block, offset in it, offset in the bytes, length.
fn for_parts(offset: u64, length: usize, mut each: impl FnMut(u64, usize, usize, usize)) {
    let mut done = 0;
    while done < length {
        let at = offset + done as u64;
        let from = usize::try_from(at % BLOCK as u64).expect("below a block");
        let part = (BLOCK - from).min(length - done);
        each(at / BLOCK as u64, from, done, part);
        done += part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_across_borders_and_the_rest_is_zero() {
        let mut blocks = Blocks::default();
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| n.to_le_bytes()[0] | 1).collect();
        blocks.write(4_000, &bytes);
        let copy = blocks.clone();
        blocks.write(5_000, &[0xff; 10]);
        let mut read = vec![7; 12_000];
        copy.read(3_500, &mut read);
        assert!(read[..500].iter().all(|byte| *byte == 0));
        assert_eq!(read[500..10_500], bytes[..]);
        assert!(read[10_500..].iter().all(|byte| *byte == 0));
        blocks.read(5_000, &mut read[..10]);
        assert_eq!(read[..10], [0xff; 10]);
    }
}
