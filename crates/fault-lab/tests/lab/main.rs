//! Disks that fail, fill and lose power under the real binary. `cargo xtask proof` runs these; its rows name the
//! programs.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "what fails here is a failed test; tests look at real clocks and tell what they saw"
)]

mod bench;
mod filling;
mod kills;
mod lean;
mod power;
mod scenario;
mod shutdown;
mod sweep;
mod tree;
