//! A stand-in for `mdatp` towards a mirror.
//!
//! ```text
//! managed settings ─→ Plan: a mirror, a folder or the cloud, and whether the cloud stands behind it
//!                      │
//!   manifest.json → updates.zip → manifest.json   (the same versions twice, or again)
//!                      │
//!   strict zip, expected members, engine signature
//!                      │
//!   unpack beside the set in use → rename → current.json → remove the old set
//! ```
//!
//! The state:
//!
//! ```text
//! <state>/lock
//! <state>/state.json                       what was tried last, and what came of it
//! <state>/current.json                     names the set in use; replaced atomically
//! <state>/definitions.noindex/<guid>/      one set: the archive's members, and `set.json` about them
//! <state>/download/updates.zip             what is being looked at
//! ```

mod agent;
mod archive;
mod connectivity;
mod due;
mod health;
mod managed;
mod plan;
mod run;
mod scan;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod update;

pub use agent::{
    Agent, AgentError, Architecture, Asking, AssumptionError, Assumptions, Fallback, MirrorProxy, OddArchive, Platform,
    Schemeless,
};
pub use connectivity::{Probe, connectivity};
pub use due::{Due, Idle, due};
pub use health::{Facts, Field, Health, Shown, UnknownField};
pub use managed::{Enforcement, Managed, ManagedError, Setting, system_of};
pub use plan::{Plan, Site};
pub use run::{Tick, Waiting, run};
pub use scan::{NotBefore, Prelude, Scan, before_scan};
pub use store::{Installed, Member, Record, Store};
pub use update::{Attempt, ClockRef, Endpoint, Outcome, Report};
