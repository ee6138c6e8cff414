//! The real binary beside simulated vendors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../support/site.rs"]
mod site;

mod alarm;
mod broken;
mod configure;
mod daemon;
mod endpoint;
mod heads;
mod help;
mod history;
mod release;
mod status;
mod sync;
mod tree;
mod usage;
mod validate;
