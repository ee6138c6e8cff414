//! Content made from a seed: small bodies held, large ones computed as they are read.

mod body;
mod encode;
mod seeded;
mod zip;

pub use body::Body;
pub(crate) use body::Segment;
pub(crate) use encode::{Encoded, encode, gzip, gzip_of_zeros};
pub(crate) use seeded::{Seeded, number_of};
pub(crate) use zip::{Member, archive, zeros};
