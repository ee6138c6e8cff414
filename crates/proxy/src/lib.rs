//! What endpoints ask for and is not held: seen, kept as the wanted list, learned as feeds, and in proxy mode fetched
//! while the endpoint waits.
//!
//! # Who does what
//! - [`Sightings`] and [`Spool`] belong to the content side: what is asked for in vain is counted in memory and left
//!   in a folder, bounded at every step, for whoever gathers it.
//! - [`Book`] is what was learned, in the data folder: the wanted list, learned feeds, places of manifests that turned
//!   out right, forwarded paths. Every process reads it; the engine takes it as [`mirror::Learned`].
//! - [`Desk`] fetches: one flight for each thing asked for, however many ask. [`Gatherer`] reads the spool and decides
//!   what is learned; [`discover`] does so for a process that does not stay.
//!
//! # Deliberately absent
//! Requests and answers (the content side reads and writes them), and any say in what may be served: whatever is
//! fetched here goes through the engine's sync, under its rules of admission and publication.
//!
//! # Invariants
//! - What an endpoint says is a key, never an order: it is a path of a fixed form below `/downloads`, bounded in length
//!   and number, and becomes a feed only if the vendor answers for it, and only up to the cap.
//! - One fetch at a time for each thing, and none again before its time: a flood of requests is one request.
//! - What was learned outlives a restart; what is learned is never more than the cap, whoever asks.
//!
//! ```text
//! <data_dir>/wanted/wanted.json    the wanted list (mode 0700, as the catalog)
//! <data_dir>/wanted/learned.json   feeds, places and forwarded paths that were learned
//! <data_dir>/wanted/heads.json     what came with the vendor's files beside their bytes, as far as it is passed on
//! <data_dir>/wanted/dates.json     which dates were passed on, so that none stands still while the bytes change
//! <data_dir>/wanted/strays.json    what manifests name that belong to no feed
//! <data_dir>/spool/seen-<pid>-<n>  what one process saw within a few seconds, one JSON line each
//! ```

mod book;
mod bring;
mod desk;
mod discover;
mod due;
mod export;
mod faces;
mod flight;
mod forwarded;
pub mod fuzzing;
mod gatherer;
mod list;
mod marked;
mod pattern;
mod placed;
mod seen;
mod spool;
mod state;

pub use book::{Book, BookError, Keeping, PASSABLE, collect, pending};
pub use bring::{Brought, Elsewhere, bring};
pub use desk::{Asked, Desk, Facts, Rules};
pub use discover::{Discovery, discover, follow_found};
pub use export::{ExportError, Exported, read_export, write_export};
pub use faces::{Face, Faces};
pub use flight::{Landing, Progress};
pub use forwarded::{Stays, UnforwardError, stop_forwarding};
pub use gatherer::{Gatherer, drop_held};
pub use list::{Tried, WantedEntry, WantedList};
pub use marked::{Marked, asked_for_still, marked};
pub use pattern::{Named, Pattern};
pub use placed::{note_ring, read_ring};
pub use seen::{Seen, Sightings};
pub use spool::{Spool, SpoolError};
pub use state::{LearnedFeed, Why};
