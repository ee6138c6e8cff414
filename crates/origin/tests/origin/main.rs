//! Reading from vendors and folders, against scripts.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod folder;
mod hosts;
mod resume;
mod setup;
