//! How much time has surely passed since an entry: a jumping clock makes nothing old.
//!
//! The walk goes from now back, entry by entry. A step forward counts for so much and no more: what is beyond that may
//! be a clock that jumped. A step back gives up what an earlier step forward had too much, and never more than that. So
//! a jump adds one step's worth to an age, whatever its size, however often it is looked at and whatever was written
//! first; and a clock that went ahead and came back, as often as you like, adds nothing.

use std::time::Duration;

use model::Timestamp;

/// What is always believed of a step: no clock that is off by less than this does harm.
const MINUTE: Duration = Duration::from_secs(60);

/// A time that something stays, and how it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How long it stays.
    pub age: Duration,
    /// For how much the time between one entry and the next counts, at the most.
    pub step: Duration,
}

impl Span {
    /// The usual way to count: a step is a quarter of the age, but no less than a minute.
    pub fn of(age: Duration) -> Self {
        Self { age, step: (age / 4).max(MINUTE) }
    }
}

/// The newest entry that a span has surely passed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lived {
    /// Its number.
    pub seq: u64,
    /// The earliest time that the clock can have shown from that entry on. What carries a time up to this one has
    /// outlived the span; of what carries a later one that is not sure.
    pub earliest: Timestamp,
}

/// Looks for the end of one span.
#[derive(Clone, Debug)]
pub(crate) struct Aging {
    age: i128,
    step: i128,
    now: i128,
    /// What the steps so far had too much, less what the steps back took.
    excess: i128,
    /// The most that this has been: what a walk forward from here would have too much in the end.
    most: i128,
    later: i128,
    earliest: i128,
    found: Option<Lived>,
}

fn micros(duration: Duration) -> i128 {
    i128::try_from(duration.as_micros()).unwrap_or(i128::MAX)
}

impl Aging {
    pub(crate) fn new(span: Span, now: Timestamp) -> Self {
        let at = i128::from(now.as_micros());
        let (age, step) = (micros(span.age), micros(span.step));
        Self { age, step, now: at, excess: 0, most: 0, later: at, earliest: at, found: None }
    }

    /// Several spans, for one walk.
    pub(crate) fn all(spans: &[Span], now: Timestamp) -> Vec<Self> {
        spans.iter().map(|span| Self::new(*span, now)).collect()
    }

    /// Goes one entry back: whether this walk is over.
    pub(crate) fn back(&mut self, seq: u64, at: Timestamp) -> bool {
        if self.found.is_some() {
            return true;
        }
        let at = i128::from(at.as_micros());
        let forward = self.later - at;
        if forward < 0 {
            // It may have been set back for a while before anything was written.
            self.earliest = self.earliest.min(self.later - self.step.min(-forward));
            self.excess += forward;
        } else {
            self.excess += (forward - self.step).max(0);
        }
        self.most = self.most.max(self.excess);
        self.earliest = self.earliest.min(at);
        self.later = at;
        if (self.now - at).max(0) - self.most >= self.age {
            let earliest = i64::try_from(self.earliest).unwrap_or(i64::MIN);
            self.found = Some(Lived { seq, earliest: Timestamp::from_micros(earliest) });
        }
        self.found.is_some()
    }

    /// What was found.
    pub(crate) fn found(self) -> Option<Lived> {
        self.found
    }
}

/// Goes one entry back in every walk: whether all are over.
pub(crate) fn step_back(walks: &mut [Aging], seq: u64, at: Timestamp) -> bool {
    let mut over = true;
    for walk in walks {
        over &= walk.back(seq, at);
    }
    over
}

#[cfg(test)]
mod tests;
