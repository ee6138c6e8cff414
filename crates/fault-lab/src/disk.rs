//! A block device in memory, and what could stand on it after the power went.

mod blocks;
mod player;
mod showing;

use std::path::Path;
use std::sync::{Arc, Mutex};

pub use player::{Cut, Kept, Player};
pub use showing::DiskFolder;

use blocks::Blocks;

/// What happened to a disk.
#[derive(Clone, Debug)]
pub enum Event {
    /// Bytes were written at an offset.
    Write(u64, Arc<[u8]>),
    /// All that was written before is durable.
    Flush,
    /// Somebody noted that something had come this far.
    Mark(u32),
}

/// A disk that remembers.
#[derive(Debug)]
pub struct Disk {
    size: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blocks: Blocks,
    log: Vec<Event>,
}

impl Disk {
    /// A disk of `size` bytes with the contents of a file, of which only what is not zero takes room.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_file(path: &Path) -> std::io::Result<Arc<Self>> {
        let size = std::fs::metadata(path)?.len();
        let blocks = Blocks::of_file(path)?;
        Ok(Self::of_blocks(size, blocks))
    }

    pub(crate) fn of_blocks(size: u64, blocks: Blocks) -> Arc<Self> {
        Arc::new(Self { size, state: Mutex::new(State { blocks, log: Vec::new() }) })
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Notes in its log that something has come this far.
    pub fn mark(&self, mark: u32) {
        self.state.lock().unwrap().log.push(Event::Mark(mark));
    }

    /// All that happened to it so far.
    pub fn log(&self) -> Vec<Event> {
        self.state.lock().unwrap().log.clone()
    }

    /// How many events its log has.
    pub fn events(&self) -> usize {
        self.state.lock().unwrap().log.len()
    }

    /// A new disk with what stands on this one now, and an empty log.
    #[must_use]
    pub fn copied(&self) -> Arc<Self> {
        Self::of_blocks(self.size, self.state.lock().unwrap().blocks.clone())
    }

    pub(crate) fn blocks(&self) -> Blocks {
        self.state.lock().unwrap().blocks.clone()
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) {
        self.state.lock().unwrap().blocks.read(offset, bytes);
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.blocks.write(offset, bytes);
        state.log.push(Event::Write(offset, bytes.into()));
    }

    fn flush(&self) {
        self.state.lock().unwrap().log.push(Event::Flush);
    }
}
