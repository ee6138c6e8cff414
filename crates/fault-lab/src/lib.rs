//! Disks that fail and power that goes, under programs that know nothing of it.
//!
//! [`FailingFolder`] passes everything through to another folder until its [`Plan`] says otherwise: an error, a short
//! write, a flush that loses what it should have kept, a kill at exactly this operation. [`Disk`] is a block device in
//! memory that remembers every write and flush; [`Player`] makes from that what could stand on it after the power
//! went at any point, and [`DiskFolder`] shows disks as files, for loop devices.
//!
//! # Invariants
//! - Nothing here leans on the product: what is tested is a binary, on a file system.
//! - Nothing stays mounted or attached when its owner is dropped, be it by a panic.
//! - Counting is over all threads and processes that use a folder, in the order in which the kernel asks.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    reason = "what fails here is a failed test"
)]

mod dice;
mod disk;
mod failing;
mod mount;

pub use dice::Dice;
pub use disk::{Cut, Disk, DiskFolder, Event, Kept, Player};
pub use failing::{FailingFolder, Fault, Hit, Op, Plan, Times};
pub use mount::{Mounted, available, sh};
