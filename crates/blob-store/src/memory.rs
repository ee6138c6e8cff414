//! Both ports in memory, for tests and simulations of what stands on them.

mod blobs;
mod rings;

pub use blobs::MemoryStore;
pub use rings::{MemoryRings, RingDamage};
