//! The simulated vendors over raw TCP: honest behaviour first, then what they do wrong.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are not tests to the lints"
)]

mod client;
mod defender;
mod elastic;
mod faults;
mod line;
mod tree;
mod wire;
