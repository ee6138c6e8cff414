//! The parser of what readers follow, for `fuzz-targets` alone: no part of the crate's face.

use model::Digest;

use crate::rings::Pointer;

/// What the bytes of a ring's `current` name, if they are a pointer: number and digest, and it as it is written.
pub fn pointer(bytes: &[u8]) -> Option<(u64, Digest, String)> {
    Pointer::read(bytes).map(|pointer| (pointer.number, pointer.digest, pointer.to_string()))
}
