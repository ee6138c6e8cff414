//! Releases, feeds and the hash-chained history.
//!
//! One port, [`Catalog`], with an SQLite implementation ([`SqlCatalog`]) and a memory one
//! ([`MemoryCatalog`]); one conformance suite runs on both. The files that are served are the truth for
//! serving; this is the truth for what was decided, when and why.
//!
//! Nothing outside this crate knows SQL, and nothing here knows what is served or looks at a clock.
//!
//! # Invariants
//! - All that one act changes goes in by one [`Batch`]: all of it or nothing, durable when `apply` returns.
//! - History is only ever appended to, and each entry carries the digest of the one before it; old entries are let go
//!   from its front alone, behind an anchor that the chain itself holds.
//! - Ids are digests or numbers made here, never the database's own; times are microseconds.
//! - A row that does not say what it should is [`CatalogError::Damaged`], never a guess and never a panic.

mod aging;
mod batch;
mod chain;
mod entry;
mod heads;
mod memory;
mod paging;
mod port;
mod sql;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(test)]
mod tests;

pub use aging::{Lived, Span};
pub use chain::{ChainBreak, ChainFault, Proven, chain_digest, prove_chain, prove_end, verify_chain};
pub use entry::{Actor, Anchor, ChainHead, Entry, EntryFilter, EntryKind, EntryOrder, NewEntry, Prune};
pub use heads::{Compared, HeadsError, HeadsFault, KeptHeads, LEAST_KEPT};
pub use memory::MemoryCatalog;
pub use port::{
    Batch, Catalog, CatalogError, FeedRecord, NewRelease, Publication, ReleaseFilter, ReleaseRecord, Remover,
    StoredValidator, Sweep, Word,
};
pub use sql::SqlCatalog;
