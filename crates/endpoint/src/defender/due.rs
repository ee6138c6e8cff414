//! When the next automatic update is due.

use std::time::Duration;

use model::Timestamp;

use super::managed::{Enforcement, Managed};
use super::store::Record;

/// Why nothing happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The enforcement level is not `real_time`: such agents update before a scan, not on a timer.
    Enforcement(Enforcement),
    /// `automaticDefinitionUpdateEnabled` is false.
    Automatic,
}

/// When the next automatic update is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Never, as long as the settings are these.
    Never(Idle),
    /// At once.
    Now,
    /// After so long.
    In(Duration),
}

/// When the next automatic update is due: an interval after the last attempt, whether that went well or not. The
/// vendor names neither jitter nor a sooner retry.
pub fn due(managed: &Managed, record: &Record, now: Timestamp) -> Due {
    if !managed.is_timed() {
        return Due::Never(Idle::Enforcement(managed.enforcement.value));
    }
    if !managed.automatic.value {
        return Due::Never(Idle::Automatic);
    }
    let Some(last) = record.tried else { return Due::Now };
    // A clock that was put back must not keep the endpoint from updating.
    if last > now {
        return Due::Now;
    }
    match managed.interval.value.saturating_sub(now.since(last)) {
        Duration::ZERO => Due::Now,
        left => Due::In(left),
    }
}
