//! The doctor against mirrors that are right, and wrong in one way each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "what fails here is a failed test"
)]

mod around;
mod content;
mod files;
mod manners;
mod mirror;
mod tls;
