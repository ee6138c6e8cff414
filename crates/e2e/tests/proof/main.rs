//! Other people's programs against the mirror. `cargo xtask proof` runs these; its rows name the programs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "what fails here is a failed test; tests look at real clocks and tell what they saw"
)]

mod alarms;
mod ansible;
mod clients;
mod clock;
mod demand;
mod doctor;
mod downloader;
mod group;
mod layout;
mod memory;
mod pipeline;
mod proxy;
mod readonly;
mod script;
mod shell;
mod tree;
mod wire;
