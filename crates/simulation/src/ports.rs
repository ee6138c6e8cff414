//! The engine's ports, each operation of which is counted, may be struck, and is looked at.

mod blobs;
mod catalog;
mod locks;
mod rings;

pub(crate) use blobs::Blobs;
pub(crate) use catalog::Records;
pub(crate) use locks::Locks;
pub(crate) use rings::Rings;
