//! The program beside itself: several processes on one data folder, signals, kills, folders instead of networks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "what fails here is a failed test, and tests look at real clocks"
)]

mod air_gap;
mod alone;
mod beside;
mod brought;
mod demand;
mod doctor;
mod endpoint;
mod folder;
mod killed;
mod learned;
mod left;
mod lifecycle;
mod moved;
mod second;
mod secrets;
mod shared;
mod signals;
mod unnamed;
mod vendor;
