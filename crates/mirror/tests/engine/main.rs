//! The whole engine against simulated vendors: what is served is always one whole admitted release, whatever the
//! vendors do, and the next run without a fault serves what a mirror serves that never met one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking"
)]

mod back;
mod costs;
mod damage;
mod decisions;
mod exposed;
mod folder;
mod freshness;
mod history;
mod hooked;
mod hosts;
mod identity;
mod keeping;
mod killed;
mod learned;
mod lost;
mod newest;
mod random;
mod rebuilt;
mod returning;
mod rotted;
mod runs;
mod store;
mod tending;
mod upstream;
mod walk;
mod wire;
mod word;
mod world;
