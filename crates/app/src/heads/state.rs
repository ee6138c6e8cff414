//! What stands in the way of heads, for alarms.

use std::sync::{Mutex, PoisonError};

use alarm::{Condition, Source};
use model::{Level, Reason, Timestamp, error_chain};

use super::HeadError;

/// What stands in the way of heads now.
#[derive(Debug, Default)]
pub(crate) struct HeadState(Mutex<Vec<Fault>>);

#[derive(Clone, Debug)]
struct Fault {
    key: &'static str,
    reason: Reason,
    detail: String,
    since: Timestamp,
}

impl HeadState {
    /// Takes over how it stands at `now`. A catalog that fails is seen, and told, elsewhere.
    pub(super) fn set(&self, errors: &[HeadError], now: Timestamp) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = |error: &HeadError| {
            let (key, reason) = (error.key()?, error.reason());
            let since = faults.iter().find(|fault| fault.key == key).map_or(now, |fault| fault.since);
            Some(Fault { key, reason, detail: error_chain(error), since })
        };
        let newer = errors.iter().filter_map(fault).collect();
        *faults = newer;
    }

    /// What is wrong.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let condition = |fault: &Fault| {
            let level = if fault.reason == Reason::HistoryBroken { Level::Fail } else { Level::Warn };
            let condition = Condition::new(Source::Process, fault.key, fault.reason, fault.since);
            condition.on("the history").because(&fault.detail).at_level(level)
        };
        faults.iter().map(condition).collect()
    }
}
