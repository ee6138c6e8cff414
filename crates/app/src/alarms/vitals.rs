//! Whether this process itself is well: its schedules, the content side's looking, its clock.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alarm::{Condition, Event, Sight, Source};
use content_http::ContentServer;
use model::{Clock, Reason, Timestamp};

use crate::pulse::{Pulse, Stalled};

/// Rings are looked at twice a second; a look at a large new generation takes a while.
const LOOKING: Duration = Duration::from_secs(120);
/// What is looked at for alarms must have been within this long.
const OBSERVING: Duration = Duration::from_secs(120);
/// A clock that is off by more than this between two looks was set, or the machine slept.
const STEP: Duration = Duration::from_secs(60);

/// What shows whether this process is well.
pub(crate) struct Vitals {
    clock: Arc<dyn Clock>,
    content: Arc<ContentServer>,
    pulse: Arc<Pulse>,
    /// How long a run may take, in seconds.
    longest_run: AtomicU64,
    seen: Mutex<Seen>,
}

struct Seen {
    /// The content side's looks, and when they last grew.
    looks: (u64, Duration),
    /// When alarms were last looked after.
    observed: Duration,
    /// Both clocks at the last look.
    clocks: (Timestamp, Duration),
}

impl Vitals {
    pub(crate) fn new(clock: Arc<dyn Clock>, content: Arc<ContentServer>, pulse: Arc<Pulse>) -> Self {
        let (now, monotonic) = (clock.now(), clock.monotonic());
        let seen = Seen { looks: (0, monotonic), observed: monotonic, clocks: (now, monotonic) };
        Self { clock, content, pulse, longest_run: AtomicU64::new(u64::MAX), seen: Mutex::new(seen) }
    }

    pub(crate) fn set_longest_run(&self, longest: Duration) {
        self.longest_run.store(longest.as_secs(), Ordering::Relaxed);
    }

    /// Since when rings are not looked at any more.
    pub(crate) fn stopped_looking(&self) -> Option<Timestamp> {
        let (now, looks) = (self.clock.monotonic(), self.content.watched().looks);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.looks.0 != looks {
            seen.looks = (looks, now);
        }
        let still = now.saturating_sub(seen.looks.1);
        (still > LOOKING).then(|| self.clock.now().before(still))
    }

    /// Alarms are looked after now; by how much the clock was set since the last time, where it was.
    pub(crate) fn observe(&self) -> Option<Step> {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, passed) = (seen.clocks.0, monotonic.saturating_sub(seen.clocks.1));
        seen.clocks = (now, monotonic);
        seen.observed = monotonic;
        let expected = before.after(passed);
        let (ahead, behind) = (now.since(expected), expected.since(now));
        let by = ahead.max(behind);
        (by > STEP).then_some(Step { now, by, forward: ahead > behind })
    }

    /// What is wrong with schedules and other tasks, and with the history's heads.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let now = self.clock.now();
        let stalled = |Stalled { vendor, over, why, reason, level }: Stalled| {
            let key = format!("schedule_stalled/{vendor}");
            let condition = Condition::new(Source::Process, &key, reason, now.before(over));
            condition.on(vendor.as_str()).because(&why).at_level(level)
        };
        let defect = |(task, ago): (&'static str, Duration)| {
            let condition =
                Condition::new(Source::Process, &format!("defect/{task}"), Reason::Internal, now.before(ago));
            condition.on(task).because("a defect of this program ended it; it began anew")
        };
        let defects = self.pulse.defects(self.clock.monotonic()).into_iter().map(defect);
        self.stalled().into_iter().map(stalled).chain(defects).chain(self.pulse.heads().conditions()).collect()
    }

    fn stalled(&self) -> Vec<Stalled> {
        let longest = Duration::from_secs(self.longest_run.load(Ordering::Relaxed));
        self.pulse.stalled(self.clock.monotonic(), longest)
    }

    /// Whether everything turns, for the heartbeat; else what does not.
    pub(crate) fn alive(&self) -> Result<(), String> {
        if let Some(Stalled { vendor, why, .. }) = self.stalled().first() {
            return Err(format!("the schedule of {vendor}: {why}"));
        }
        if self.stopped_looking().is_some() {
            return Err("the content side no longer looks at rings".to_owned());
        }
        let observed = self.seen.lock().unwrap_or_else(PoisonError::into_inner).observed;
        if self.clock.monotonic().saturating_sub(observed) > OBSERVING {
            return Err("alarms are no longer looked after".to_owned());
        }
        Ok(())
    }
}

/// A clock that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    now: Timestamp,
    by: Duration,
    forward: bool,
}

impl Step {
    /// A time by the clock as it was, as it would be by the clock as it is.
    pub(crate) fn shift(self, time: Timestamp) -> Timestamp {
        if self.forward { time.after(self.by) } else { time.before(self.by) }
    }

    /// Whether it was set forward.
    pub(crate) fn is_forward(self) -> bool {
        self.forward
    }

    /// What it shows since, in the moment in which it was set.
    pub(crate) fn to(self) -> Timestamp {
        self.now
    }

    /// By how much.
    pub(crate) fn by(self) -> Duration {
        self.by
    }

    /// Counts for less by this much; what of it is more than that.
    pub(crate) fn take_back(&mut self, back: Duration) -> Duration {
        let rest = back.saturating_sub(self.by);
        self.by = self.by.saturating_sub(back);
        rest
    }

    fn in_words(self) -> String {
        let direction = if self.forward { "forward" } else { "back" };
        format!("{direction} by {} s", self.by.as_secs())
    }

    /// That the clock was set is told once: with what stands because of it, where that begins now, else by itself.
    pub(crate) fn tell(self, sight: &mut Sight, standing: &BTreeSet<String>) {
        let follows = |condition: &&mut Condition| {
            condition.reason() == Reason::ClockJumped && !standing.contains(condition.key())
        };
        match sight.conditions.iter_mut().find(follows) {
            Some(condition) => {
                let detail = format!("it went {} at {}; {}", self.in_words(), self.now, condition.detail());
                *condition = condition.clone().because(&detail);
            }
            None => sight.events.push(self.event()),
        }
    }

    fn event(self) -> Event {
        let condition = Condition::new(Source::Process, "clock_stepped", Reason::ClockStepped, self.now);
        Event { condition: condition.on("this machine's clock").because(&self.in_words()), until: self.now }
    }
}

#[cfg(test)]
impl Step {
    /// One that was made up.
    pub(crate) fn made(to: Timestamp, by: Duration, forward: bool) -> Self {
        Self { now: to, by, forward }
    }
}
