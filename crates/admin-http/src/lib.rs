//! What operators reach: health, metrics and status.
//!
//! `/healthz` says that the process lives, `/readyz` that it serves content (never whether that content is
//! fresh: a mirror must not be taken out of service for being behind), `/metrics` is OpenMetrics, and
//! `/api/v1/status` is the same status that the command line shows, as JSON.
//!
//! # Deliberately absent
//! Acts. Nothing here changes anything; what needs no authentication names no path and no host.
//!
//! # Invariants
//! - Labels are bounded: feeds that are followed or recorded, rings, fixed sets of words.
//! - A catalog that cannot be read never makes health, readiness or the content's metrics fail.
//! - A client, however slow, holds one of a few connections for a bounded time: descriptors belong to content.
//!   [`Limits`] has every cap and deadline; further connections wait in the backlog.
//! - No request's body is ever read.

mod alarms;
mod connection;
mod demand;
mod limits;
mod metrics;
mod server;

pub use alarms::{AlarmFacts, AlarmSource, WayFacts};
pub use demand::{DemandFacts, DemandSource};
pub use limits::Limits;
pub use metrics::Facts;
pub use server::{AdminError, AdminServer, Serving, StatusSource, WHOSE};
