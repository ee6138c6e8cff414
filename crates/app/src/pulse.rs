//! Whether what should turn does turn: what each schedule is doing, and since when.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Vendor;

use crate::heads::HeadState;

/// How late a schedule may be.
const LATE: Duration = Duration::from_secs(60);
/// How long it is shown that a defect ended a task, which has begun anew since.
const SHOWN: Duration = Duration::from_secs(600);

/// What a schedule is doing, by a clock that never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It waits until then.
    Waits(Duration),
    /// A run goes on since then.
    Runs(Duration),
    /// A defect ended it then; it begins anew soon.
    Ended(Duration),
}

/// What every schedule is doing, and what stands in the way of the history's heads.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    turns: Mutex<BTreeMap<Vendor, Turn>>,
    /// The tasks that a defect ended, and when it last did.
    defects: Mutex<BTreeMap<&'static str, Duration>>,
    heads: HeadState,
}

impl Pulse {
    /// What stands in the way of the history's heads.
    pub(crate) fn heads(&self) -> &HeadState {
        &self.heads
    }

    /// A defect ended a task then.
    pub(crate) fn defect(&self, task: &'static str, at: Duration) {
        self.defects.lock().unwrap_or_else(PoisonError::into_inner).insert(task, at);
    }

    /// The tasks that a defect ended a short while ago, and for how long that is.
    pub(crate) fn defects(&self, now: Duration) -> Vec<(&'static str, Duration)> {
        let mut defects = self.defects.lock().unwrap_or_else(PoisonError::into_inner);
        defects.retain(|_, at| now.saturating_sub(*at) <= SHOWN);
        defects.iter().map(|(task, at)| (*task, now.saturating_sub(*at))).collect()
    }

    pub(crate) fn note(&self, vendor: Vendor, turn: Turn) {
        self.turns().insert(vendor, turn);
    }

    /// A schedule ended as it should.
    pub(crate) fn forget(&self, vendor: Vendor) {
        self.turns().remove(&vendor);
    }

    /// The schedules that do not turn: how long ago they should have, and why. A run may take `longest`.
    pub(crate) fn stalled(&self, now: Duration, longest: Duration) -> Vec<(Vendor, Duration, &'static str)> {
        let over = |since: Duration, allowed: Duration| {
            let over = now.saturating_sub(since.saturating_add(allowed));
            (!over.is_zero()).then_some(over)
        };
        let judge = |turn: &Turn| match turn {
            Turn::Waits(until) => Some((over(*until, LATE)?, "its time came, and it was not asked")),
            Turn::Runs(since) => Some((over(*since, longest)?, "a run does not end")),
            Turn::Ended(at) => Some((over(*at, Duration::ZERO)?, "a defect of this program ended it; it begins anew")),
        };
        let turns = self.turns();
        let stalled = turns.iter().filter_map(|(vendor, turn)| judge(turn).map(|(over, why)| (*vendor, over, why)));
        stalled.collect()
    }

    fn turns(&self) -> MutexGuard<'_, BTreeMap<Vendor, Turn>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_too_long_or_runs_too_long_is_stalled_p02() {
        let seconds = Duration::from_secs;
        let longest = seconds(3600);
        for (turn, fine, stalled) in [
            (Turn::Waits(seconds(100)), 160, 161),
            (Turn::Runs(seconds(100)), 3700, 3701),
            (Turn::Ended(seconds(100)), 100, 101),
        ] {
            let pulse = Pulse::default();
            assert!(pulse.stalled(seconds(1 << 30), longest).is_empty());
            pulse.note(Vendor::Elastic, turn);
            assert!(pulse.stalled(seconds(fine), longest).is_empty(), "{turn:?}");
            assert_eq!(pulse.stalled(seconds(stalled), longest)[0].0, Vendor::Elastic, "{turn:?}");
            pulse.forget(Vendor::Elastic);
            assert!(pulse.stalled(seconds(stalled), longest).is_empty());
        }
    }
}
