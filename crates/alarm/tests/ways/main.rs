//! Every way to tell against a real peer on this machine, and what holds them together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bench;
mod command;
mod email;
mod heart;
mod message;
mod outlet;
mod shelf;
mod syslog;
mod webhook;
