//! What is believed, and on what grounds: bytes, keys, records and `now` in, verdicts and proofs out.
//!
//! A vendor module builds a [`Proposal`]: a complete set whose every byte is held and was proven as far as the
//! vendor makes it provable. [`decide`] weighs it against what was held before and gives an [`Admitted`] or a
//! quarantined release. Only an [`Admitted`] can be put into a generation, and nothing but this crate makes one.
//!
//! Pure: no files, no network, no clock.

mod admission;
mod signature;

pub use admission::{Admitted, Bounds, Context, Decision, Proposal, decide};
pub use signature::{KeyError, KeyRing, SignatureCheck};
