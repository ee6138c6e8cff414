//! One module per vendor, without IO: what to ask for, how to read it, what it proves, where it is laid out.
//!
//! A [`Session`] is one run of one feed: the engine tells it what happened ([`Event`]) and does what it says
//! ([`Step`]) until it proposes a set, finds nothing new or refuses. Sessions never touch a file, a socket or
//! a clock, so every way a vendor can misbehave is a table in a test.
//!
//! A third vendor adds a module beside [`elastic`] and [`defender`] and a line in [`registry`]; nothing else.
//!
//! # Invariants
//! - No bytes from outside choose a path: a vendor's path becomes a [`model::RoutePath`] or the set is refused.
//! - Archives have one view: [`zip`] refuses what two readers could read differently.
//! - JSON objects have no key twice: [`json`] refuses what two readers could read differently.

pub mod defender;
pub mod elastic;
pub mod json;
mod session;
pub mod zip;

pub use session::{
    Answer, Ask, Event, FetchedItem, FolderView, Inspection, Memory, Offered, Place, ReadSeek, Refusal, Session,
    Settings, Source, SourceKind, Step, Target, Validator, VendorModule, Want, registry,
};
