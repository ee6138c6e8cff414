//! Plays the vendors' clients against any mirror, and probes the surroundings; every finding has a remedy.
//!
//! Two examinations: [`examine`] asks a mirror (ours, nginx, Apache, a relay) for everything an endpoint asks for,
//! [`surroundings`] looks at the machine, the network and the configuration that a site stands on. Both end in a
//! [`Report`] of [`Finding`]s; [`Check`] is the table of everything that is looked at.
//!
//! It is not the way content comes in: what is fetched here is looked at and forgotten.
//!
//! # Invariants
//! - Nothing is changed: mirrors are asked with GET and HEAD alone, and the data folder is only looked at.
//! - Every wait has a limit, and all of them together have one.
//! - No text from outside reaches a report with control characters in it.
//! - Vendors' formats are read by `vendors` alone; the doctor asks what a session says is to be asked.

mod anchor;
mod around;
mod certificate;
mod check;
mod finding;
pub mod fuzzing;
mod play;
mod tls;
mod wire;

pub use anchor::{Anchor, anchors};
pub use around::{Surroundings, surroundings};
pub use check::Check;
pub use finding::{FeedSeen, Finding, HostRow, Level, Report};
pub use play::{Depth, Examination, ExamineError, examine};
pub use tls::CaFileError;

/// Hears how far an examination is.
pub trait Watch: Send + Sync {
    /// What is being done now, in a few words.
    fn on(&self, what: &str);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug)]
pub struct Quietly;

impl Watch for Quietly {
    fn on(&self, _: &str) {}
}
