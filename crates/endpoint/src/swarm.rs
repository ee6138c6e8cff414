//! Thousands of endpoints of both vendors at once, towards one mirror: what the fleet will do to it, before it does.
//!
//! Each endpoint is a task with an hour of its own: it wakes as its [`Arrival`] says, connects, asks as the vendor's
//! endpoint does (conditionally; a manifest, then what is new of its artifacts; or one archive), proves what comes by
//! size and digest, and sleeps. Time may be accelerated; lines are then as much faster, the mirror is not.
//!
//! What is proven once is proven for all: of each digest the first copy is looked into (signature, unpacking, archive),
//! the others are compared with it byte for byte by their digest.
//!
//! It is a load on whatever it is pointed at: [`Target::find`] takes loopback, and any other host only when that host is
//! named a second time; the vendors' own hosts never.

mod client;
mod defender;
mod elastic;
mod play;
mod proof;
mod report;
mod stats;
mod target;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

use trust::KeyRing;
use vendors::elastic::ElasticSettings;

pub use play::play;
pub use report::{Arrived, Feed, Report, Requests};
pub use target::{Target, TargetError};

/// How endpoints arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// At the full interval (the hour, say), within a minute of each other: clocks that agree, timers that are set to it.
    Hour,
    /// Each at a moment of its own, the same in every interval: what timers that began at boot come to.
    Spread,
    /// All in the same instant.
    Burst,
}

/// What is rehearsed.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// How many endpoints of Elastic, and which versions they have, in turns.
    pub elastic: u32,
    /// The versions of Elastic Endpoint, in turns.
    pub versions: Vec<String>,
    /// How many endpoints of Defender.
    pub defender: u32,
    /// The tracks below the mirror that they are pointed at, in turns, such as `linux/production`.
    pub tracks: Vec<String>,
    /// How they arrive.
    pub arrival: Arrival,
    /// Between two polls of one endpoint, in the rehearsal's own time.
    pub interval: Duration,
    /// How long it lasts, in its own time.
    pub length: Duration,
    /// How many seconds of its own time go by in a second.
    pub speed: u32,
    /// How many of a hundred have a slow line.
    pub slow_percent: u32,
    /// Bytes a second on a slow line.
    pub slow_rate: u64,
    /// How many of a hundred are restarted in each interval: their connection breaks, and they ask once more.
    pub restart_percent: u32,
    /// How many of a hundred hold what the mirror serves when it begins.
    pub warm_percent: u32,
    /// Whether connections are kept between polls.
    pub connections: Connections,
    /// Whether each endpoint has an address of its own; on loopback alone.
    pub addresses: Addresses,
    /// What chance is made from.
    pub seed: u64,
    /// Keys that manifests may be signed with; what none of them signed is taken and counted.
    pub keys: KeyRing,
}

/// What becomes of a connection between two polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// It is closed.
    Closed,
    /// It is kept for the next.
    Kept,
}

/// From where endpoints ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Each from one of its own, in 127.0.0.0/8, where the mirror is there.
    Own,
    /// All from one, as behind a router that hides them.
    One,
}

impl Default for Rehearsal {
    fn default() -> Self {
        Self {
            elastic: 0,
            versions: vec!["9.0.0".to_owned()],
            defender: 0,
            tracks: vec!["linux/production".to_owned()],
            arrival: Arrival::Spread,
            interval: Duration::from_secs(3600),
            length: Duration::from_secs(2 * 3600),
            speed: 60,
            slow_percent: 5,
            slow_rate: 256 << 10,
            restart_percent: 1,
            warm_percent: 90,
            connections: Connections::Closed,
            addresses: Addresses::Own,
            seed: 1,
            keys: KeyRing::built_in(),
        }
    }
}

impl Rehearsal {
    fn settings(&self) -> ElasticSettings {
        ElasticSettings {
            signature: vendors::elastic::SignatureMode::Warn,
            keys: std::sync::Arc::new(self.keys.clone()),
            ..ElasticSettings::default()
        }
    }
}
