//! The real binary, started on a folder of its own and asked over loopback.
//!
//! Start with [`Site`]: a configuration and a data folder. [`Site::sync`] runs one command to its end,
//! [`Site::start`] a daemon; [`get`] asks it as an endpoint would, [`whole`] walks everything that a manifest names.
//!
//! # Invariants
//! - Nothing here leans on the program's own crates but `model`: what is tested is what was built.
//! - Nothing waits for a time; [`until`] asks again until a deadline.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    reason = "what fails here is a failed test, and tests look at real clocks"
)]

mod binary;
mod client;
mod daemon;
mod held;
mod site;
mod until;
pub mod whole;

pub use binary::waystation;
pub use client::{Answer, Download, get, get_with};
pub use daemon::Daemon;
pub use held::definitions_in_use;
pub use site::{Finished, Site, closed_address, defender, elastic};
pub use until::until;
