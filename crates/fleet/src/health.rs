//! What `mdatp health` prints, as text or as JSON, and how that stands against what a ring offers.
//!
//! The key names of the text are those of the vendor's page; in JSON they are the same in camel case, of which only the
//! general report has a public sample. Whatever is not known is kept out of verdicts.

mod fault;
mod judge;
mod place;
mod read;

pub use fault::Fault;
pub use judge::{Row, State, judge};
pub use place::{Mirror, feeds_of, ring_below};
pub use read::{Health, HealthError, Setting};
