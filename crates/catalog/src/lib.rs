//! Releases, feeds and the hash-chained history.
//!
//! One port, [`Catalog`], with an SQLite implementation ([`SqlCatalog`]) and a memory one
//! ([`MemoryCatalog`]); one conformance suite runs on both. The files that are served are the truth for
//! serving; this is the truth for what was decided, when and why.
//!
//! # Invariants
//! - All that one act changes goes in by one [`Batch`]: all of it or nothing, durable when `apply` returns.
//! - History is only ever appended to, and each entry carries the digest of the one before it.
//! - Ids are digests or numbers made here, never the database's own; times are microseconds.

mod port;

pub use port::{
    Actor, Batch, Catalog, CatalogError, ChainHead, Entry, EntryKind, FeedRecord, NewEntry, NewRelease, Publication,
    ReleaseFilter, ReleaseRecord, Remover, StoredValidator, Sweep, chain_digest,
};
