//! What could stand on a disk after the power went.

use std::sync::Arc;

use super::blocks::{BLOCK, Blocks};
use super::{Disk, Event};
use crate::Dice;

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Which of the writes since the last flush reached the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All of them.
    All,
    /// None.
    None,
    /// Some, chosen by this seed: each whole or not at all.
    Some(u64),
    /// Some of their blocks of 4 KiB.
    Blocks(u64),
    /// Some of their sectors of 512 bytes.
    Sectors(u64),
}

/// A moment at which the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// So many events of the log have happened.
    pub at: usize,
    /// What reached the disk.
    pub kept: Kept,
}

/// Goes through a log, and makes the disks that a cut could leave. Cuts must come in order.
#[derive(Debug)]
pub struct Player<'a> {
    log: &'a [Event],
    size: u64,
    /// What stands on the disk for certain.
    durable: Blocks,
    /// How much of the log that is.
    flushed: usize,
}

impl<'a> Player<'a> {
    /// Begins with what stood on `base` when its log was empty: a copy made then.
    pub fn new(base: &Disk, log: &'a [Event]) -> Self {
        Self { log, size: base.size(), durable: base.blocks(), flushed: 0 }
    }

    /// The disk after a cut.
    pub fn cut(&mut self, cut: Cut) -> Arc<Disk> {
        let events = &self.log[..cut.at];
        let flush = events.iter().rposition(|event| matches!(event, Event::Flush)).map_or(0, |index| index + 1);
        assert!(flush >= self.flushed, "cuts come in order");
        for event in &events[self.flushed..flush] {
            if let Event::Write(offset, bytes) = event {
                self.durable.write(*offset, bytes);
            }
        }
        self.flushed = flush;
        let mut blocks = self.durable.clone();
        keep(&mut blocks, &events[flush..], cut.kept);
        Disk::of_blocks(self.size, blocks)
    }
}

fn keep(blocks: &mut Blocks, pending: &[Event], kept: Kept) {
    let (mut dice, grain) = match kept {
        Kept::All => (None, usize::MAX),
        Kept::None => return,
        Kept::Some(seed) => (Some(Dice::new(seed)), usize::MAX),
        Kept::Blocks(seed) => (Some(Dice::new(seed)), BLOCK),
        Kept::Sectors(seed) => (Some(Dice::new(seed)), SECTOR),
    };
    for event in pending {
        let Event::Write(offset, bytes) = event else { continue };
        for (index, part) in bytes.chunks(grain.min(bytes.len().max(1))).enumerate() {
            if dice.as_mut().is_none_or(|dice| dice.below(2) == 0) {
                blocks.write(*offset + (index * grain.min(bytes.len())) as u64, part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(offset: u64, byte: u8, length: usize) -> Event {
        Event::Write(offset, vec![byte; length].into())
    }

    fn first_of(disk: &Disk, blocks: usize) -> Vec<u8> {
        let mut bytes = vec![0; blocks * BLOCK];
        disk.read(0, &mut bytes);
        bytes.chunks(BLOCK).map(|block| block[0]).collect()
    }

    #[test]
    fn what_was_flushed_stays_and_the_rest_is_any_part_of_it_s12() {
        let base = Disk::of_blocks(1 << 20, Blocks::default());
        let log = [
            write(0, 1, BLOCK),
            Event::Flush,
            write(4096, 2, BLOCK),
            Event::Mark(1),
            write(8192, 3, BLOCK),
            Event::Flush,
        ];
        let mut player = Player::new(&base, &log);
        let mut at = |at, kept| first_of(&player.cut(Cut { at, kept }), 3);
        assert_eq!(at(1, Kept::None), [0, 0, 0]);
        assert_eq!(at(1, Kept::All), [1, 0, 0]);
        assert_eq!(at(5, Kept::None), [1, 0, 0]);
        assert_eq!(at(5, Kept::All), [1, 2, 3]);
        let mut seen: Vec<Vec<u8>> = (0..50).map(|seed| at(5, Kept::Some(seed))).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, [[1, 0, 0], [1, 0, 3], [1, 2, 0], [1, 2, 3]]);
        assert_eq!(at(6, Kept::None), [1, 2, 3]);
    }

    #[test]
    fn a_torn_write_leaves_some_of_its_sectors_s12() {
        let base = Disk::of_blocks(1 << 20, Blocks::default());
        let log = [write(0, 9, BLOCK)];
        let mut bytes = vec![0; BLOCK];
        Player::new(&base, &log).cut(Cut { at: 1, kept: Kept::Sectors(3) }).read(0, &mut bytes);
        let whole = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
        assert!(bytes.chunks(SECTOR).all(whole));
        let there = bytes.chunks(SECTOR).filter(|sector| sector[0] == 9).count();
        assert!((1..8).contains(&there), "{there}");
    }
}
