//! The whole engine on a seed: its vendors, its clock, and ports every operation of which can fail or crash before and
//! after it was carried out. A client walks what is served after every operation that can change it.
//!
//! Start with [`simulate`]: one seed is a life of releases, acts, faults, crashes, jumping clocks and processes side by
//! side, and a quiet end in which everything must come together. [`Sweep`] stops one fixed life at every operation in
//! every way. [`Lie`] plants a defect in a port, so that the oracle shows that it can fail.
//!
//! What is real: the engine, the vendors' modules, trust, the origin with its retries and resumes, the client's rules of
//! answers and redirects, and on files the product's own stores and database. What is not: sockets, threads, time. In
//! memory nothing runs on another thread and inspections run in place, so a seed means the same everywhere; on files
//! each operation is carried out while everything else waits. What stands on [`On::Files`] is killed like a process,
//! not like a machine: power cuts are `fault-lab`'s.
//!
//! A crash drops everything that the process had in memory: its future, its tasks, its locks. Blobs, rings, catalog and
//! reservations stay, and another process goes on from there.
//!
//! # Which invariants can break here
//!
//! | invariant | seen here | how |
//! |---|---|---|
//! | I1 closure | yes | after every write, removal and move of the pointer: every route's blob, every artifact that a served manifest names, archive and companion of one release |
//! | I2 switch | yes | each superseded artifact stays for the shortest grace since, by the time that truly passed |
//! | I3 monotonic | yes | a version goes back, or leaps, only to a release whose admission the operator recorded since; `_back` is older; nothing that was turned down comes back |
//! | I4 verbatim | yes | every routed blob is hashed once, and was published by the vendor whole |
//! | I5 last good | yes | no followed feed leaves the ring; nothing spoiled is ever routed; `_back` has the newest earlier release that was served, is admitted and held whole |
//! | I6 bounded | in part | no act takes longer than two hours of simulated time; memory, disk and files: not here |
//! | I7 confinement | no | no hostile paths reach a file system here: `vendors`, `platform` |
//! | I8 durable | in part | what was acknowledged is served after every crash of a process, and, where the disk damaged or lost files of the ring, from the next act that takes the publication lock on, under a number above all before; power cuts: `fault-lab` |
//! | I9 loud | yes | what a run says is what is served, offered and recorded; a run without one good answer fails every feed |
//! | I10 total | in part | a panic of the engine is a violation; hostile bytes: `fuzz-targets` |
//! | I11 isolation | no | one process serves nothing here: `e2e` |
//! | I12 authority | no | nothing here mutates over a network |
//! | I13 secrets | no | there are none here: `e2e` |
//! | I14 clock | yes | no grace and no retention ends before its time has truly passed, but for a quarter of it for each time the clock jumped ahead |
//! | I15 converge | yes | after the faults every feed serves what its vendor offers, a second run and a plan find nothing to do, gc leaves what is named, the store checks sound; a swept life comes to the same lines |
//! | I16 alone | yes | one publication lock at a time, and pointers move under it alone; fetch runs: a catalog that reserves nothing is found |
//!
//! Not told apart here, because the product cannot: a Defender host whose info lies the same way before and after the
//! archive, and one that publishes other bytes under the version that is held.
//!
//! A violation is told with its seed, the last operations and the command that plays it again:
//! `cargo xtask simulate --seed 0x… --steps N`.

mod acts;
mod clock;
mod draw;
mod fate;
mod lie;
mod oracle;
mod ports;
mod process;
mod run;
mod stores;
mod sweep;
mod upstream;
mod violation;
mod world;

pub use fate::{Blow, Plan};
pub use lie::Lie;
pub use run::{Outcome, Request, simulate, simulate_with};
pub use stores::{BuildError, On};
pub use sweep::{Sweep, Swept};
pub use violation::Violation;
