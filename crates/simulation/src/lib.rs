//! The whole engine on a seed: its vendors, its clock, and ports every operation of which can fail or crash before and
//! after it was carried out.
//!
//! Start with [`simulate`].

mod acts;
mod clock;
mod draw;
mod fate;
mod oracle;
mod ports;
mod process;
mod run;
mod stores;
mod upstream;
mod violation;
mod world;

pub use fate::{Blow, Plan};
pub use run::{Outcome, Request, simulate};
pub use stores::{BuildError, On};
pub use violation::Violation;
