//! Bytes by digest, and the pointer that readers follow.
//!
//! Two ports: [`BlobStore`] keeps bytes under the digest they were proven to have, [`RingStore`] keeps each
//! ring's generation files and moves its `current` pointer with compare-and-swap. Both have a file-system
//! implementation ([`FsStore`], [`FsRings`]) and a memory one, and one conformance suite runs on each. The
//! content side reads through [`reader`] alone.
//!
//! # Invariants
//! - A blob is visible under its digest only after its bytes were hashed while written, flushed, renamed and
//!   its folder flushed. A blob's file is never written again.
//! - A generation that `current` names was durable before `current` was replaced.
//! - Nothing outside chooses a file name: blobs are named by digest, rings by [`model::RingName`].
//! - No symlink is followed below the data folder.

mod port;

mod data;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod memory;
pub mod reader;
mod rings;
mod survey;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use data::Access;
pub use files::FsStore;
pub use memory::{MemoryRings, MemoryStore, RingDamage};
pub use port::{
    BlobReader, BlobStore, BlobWriter, Current, Expected, PartialKey, Published, RingStore, StoreError, Verification,
};
pub use rings::FsRings;
pub use survey::{Found, GenerationState, Leftover, LeftoverKind, PointerState, RingState};
