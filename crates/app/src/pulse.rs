//! Whether what should turn does turn: what each schedule is doing, and since when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Level, Reason, Vendor};

use crate::heads::HeadState;
use crate::lineage::Lineage;
use crate::place::Place;

/// How late a schedule may be.
const LATE: Duration = Duration::from_secs(60);
/// How long it is shown that a defect ended a task, which has begun anew since.
const SHOWN: Duration = Duration::from_secs(600);

/// What a schedule is doing, by a clock that never goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It waits until then.
    Waits(Duration),
    /// A run goes on since then.
    Runs(Duration),
    /// A run waits, since then, for the fetch lock that another process holds.
    Blocked {
        /// Since when.
        since: Duration,
        /// How long it may: for the schedule's own interval, after which a turn is missed.
        allowed: Duration,
        /// Who holds the lock, in words.
        holder: String,
    },
    /// A defect ended it then; it begins anew soon.
    Ended(Duration),
}

/// A schedule that does not turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stalled {
    /// Whose.
    pub(crate) vendor: Vendor,
    /// How long ago it should have turned.
    pub(crate) over: Duration,
    /// Why it does not.
    pub(crate) why: String,
    /// The reason code.
    pub(crate) reason: Reason,
    /// How bad it is.
    pub(crate) level: Level,
}

/// The runs of a vendor that could not take place at all, in a row.
#[derive(Clone, Debug)]
struct Failing {
    since: Duration,
    reason: Reason,
    why: String,
}

/// What every schedule is doing, what stands in the way of the history's heads, and where the data folder is.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    turns: Mutex<BTreeMap<Vendor, Turn>>,
    /// Whose runs cannot take place: nothing is written down anywhere of a run that never began.
    failing: Mutex<BTreeMap<Vendor, Failing>>,
    /// The tasks that a defect ended, and when it last did.
    defects: Mutex<BTreeMap<&'static str, Duration>>,
    heads: HeadState,
    lineage: Arc<Lineage>,
    place: Place,
}

impl Pulse {
    /// What stands in the way of the history's heads.
    pub(crate) fn heads(&self) -> &HeadState {
        &self.heads
    }

    /// Which history is worked on.
    pub(crate) fn lineage(&self) -> &Arc<Lineage> {
        &self.lineage
    }

    /// Where the data folder is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
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

    /// A run that waited for the fetch lock has it.
    pub(crate) fn unblock(&self, vendor: Vendor, at: Duration) {
        if let Some(turn) = self.turns().get_mut(&vendor).filter(|turn| matches!(turn, Turn::Blocked { .. })) {
            *turn = Turn::Runs(at);
        }
    }

    /// A schedule ended as it should.
    pub(crate) fn forget(&self, vendor: Vendor) {
        self.turns().remove(&vendor);
        self.took_place(vendor);
    }

    /// A run could not take place at all.
    pub(crate) fn failed(&self, vendor: Vendor, at: Duration, (reason, why): (Reason, &str)) {
        let mut failing = self.failing();
        let since = failing.get(&vendor).map_or(at, |before| before.since);
        failing.insert(vendor, Failing { since, reason, why: format!("no run can take place: {why}") });
    }

    /// A run took place, whatever became of its feeds; or there is nothing left to run for.
    pub(crate) fn took_place(&self, vendor: Vendor) {
        self.failing().remove(&vendor);
    }

    /// The schedules that do not turn, or turn for nothing. A run may take `longest`.
    pub(crate) fn stalled(&self, now: Duration, longest: Duration) -> Vec<Stalled> {
        let failing = self.failing().clone();
        let judge = |turn: &Turn| match turn {
            Turn::Waits(until) => (*until, LATE, "its time came, and it was not asked".to_owned()),
            Turn::Runs(since) => (*since, longest, "a run does not end".to_owned()),
            Turn::Blocked { since, allowed, holder } => {
                let why = format!("a run waits for the fetch lock (locks/fetch), which is held by {holder}");
                (*since, (*allowed).max(LATE), why)
            }
            Turn::Ended(at) => (*at, Duration::ZERO, "a defect of this program ended it; it begins anew".to_owned()),
        };
        let turns = self.turns();
        // A run that goes on for longer takes place, however those before it ended; so does one that waits its turn.
        let is_hopeless = |vendor: &Vendor| match turns.get(vendor) {
            Some(Turn::Runs(since)) => now.saturating_sub(*since) <= LATE,
            Some(Turn::Blocked { .. }) => false,
            _ => true,
        };
        let stalled = turns.iter().filter_map(|(vendor, turn)| {
            let (since, allowed, why) = judge(turn);
            let over = now.saturating_sub(since.saturating_add(allowed));
            // A long run that somebody began by hand ends; what is not checked for too long makes it worse.
            let level = if matches!(turn, Turn::Blocked { .. }) { Level::Warn } else { Level::Fail };
            let stalled = Stalled { vendor: *vendor, over, why, reason: Reason::ScheduleStalled, level };
            let is_told = failing.contains_key(vendor) && is_hopeless(vendor);
            (!over.is_zero() && !is_told).then_some(stalled)
        });
        let failed = failing.iter().filter(|(vendor, _)| is_hopeless(vendor));
        let failed = failed.map(|(vendor, Failing { since, reason, why })| {
            let (over, why) = (now.saturating_sub(*since), why.clone());
            Stalled { vendor: *vendor, over, why, reason: *reason, level: Level::Fail }
        });
        stalled.chain(failed).collect()
    }

    fn failing(&self) -> MutexGuard<'_, BTreeMap<Vendor, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
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
        let blocked = |every| {
            let holder = "pid 7 (sync), since then".to_owned();
            Turn::Blocked { since: seconds(100), allowed: seconds(every), holder }
        };
        for (turn, fine, stalled) in [
            (Turn::Waits(seconds(100)), 160, 161),
            (Turn::Runs(seconds(100)), 3700, 3701),
            (Turn::Ended(seconds(100)), 100, 101),
            (blocked(10), 160, 161),
            (blocked(300), 400, 401),
        ] {
            let pulse = Pulse::default();
            assert!(pulse.stalled(seconds(1 << 30), longest).is_empty());
            pulse.note(Vendor::Elastic, turn.clone());
            assert!(pulse.stalled(seconds(fine), longest).is_empty(), "{turn:?}");
            let found = pulse.stalled(seconds(stalled), longest);
            assert_eq!(found[0].vendor, Vendor::Elastic, "{turn:?}");
            let is_blocked = found[0].level == Level::Warn;
            assert_eq!(is_blocked, found[0].why.contains("held by pid 7 (sync)"), "{found:?}");
            pulse.unblock(Vendor::Elastic, seconds(stalled));
            assert_eq!(pulse.stalled(seconds(stalled), longest).is_empty(), is_blocked, "{turn:?}");
            pulse.forget(Vendor::Elastic);
            assert!(pulse.stalled(seconds(stalled), longest).is_empty());
        }
    }

    #[test]
    fn a_long_run_is_one_that_takes_place_after_all_whatever_failed_before() {
        let seconds = Duration::from_secs;
        let pulse = Pulse::default();
        let stalled = |at| pulse.stalled(seconds(at), seconds(3600));
        pulse.failed(Vendor::Elastic, seconds(100), (Reason::FolderGone, "the folder is away"));
        pulse.note(Vendor::Elastic, Turn::Waits(seconds(130)));
        assert_eq!(stalled(120)[0].reason, Reason::FolderGone);
        // Each try of those that fail is a short run.
        pulse.note(Vendor::Elastic, Turn::Runs(seconds(130)));
        assert_eq!(stalled(131)[0].reason, Reason::FolderGone);
        assert!(stalled(191).is_empty());
        // One that does not end is told as that.
        assert_eq!(stalled(3731)[0].reason, Reason::ScheduleStalled);
        pulse.note(Vendor::Elastic, Turn::Waits(seconds(4000)));
        assert_eq!(stalled(3732)[0].reason, Reason::FolderGone);
        pulse.took_place(Vendor::Elastic);
        assert!(stalled(3733).is_empty());
    }
}
