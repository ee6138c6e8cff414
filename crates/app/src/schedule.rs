//! When each vendor is asked next. Pure.

use std::time::Duration;

use model::{FeedId, Outcome, Vendor};

/// The soonest that what failed is tried again, and the latest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(15 * 60));

/// How often a vendor is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Which vendor.
    pub vendor: Vendor,
    /// How often.
    pub every: Duration,
    /// How soon after a failure a feed may be asked for again; as it fits, where nothing is said.
    pub again: Option<Duration>,
}

impl From<(Vendor, Duration)> for Interval {
    fn from((vendor, every): (Vendor, Duration)) -> Self {
        Self { vendor, every, again: None }
    }
}

impl Interval {
    fn soon(&self) -> Duration {
        self.again.unwrap_or_else(|| (self.every / 4).clamp(AGAIN.0, AGAIN.1)).min(self.every)
    }
}

/// When each vendor is asked next, on a clock that never goes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    interval: Interval,
    next: Duration,
    /// Feeds that failed, and when they are tried again by themselves.
    retry: Option<(Duration, Vec<FeedId>)>,
}

/// A vendor that is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub vendor: Vendor,
    /// For these feeds alone; for all of them, where none is named.
    pub only: Vec<FeedId>,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// These are to be asked now.
    Now(Vec<Call>),
    /// Nothing before this moment.
    At(Duration),
    /// Nothing is ever due.
    Never,
}

impl Schedule {
    /// Every vendor is due at once, and then as often as said.
    pub fn new(intervals: impl IntoIterator<Item = impl Into<Interval>>, now: Duration) -> Self {
        let entry = |interval: Interval| Entry { interval, next: now, retry: None };
        Self { entries: intervals.into_iter().map(|interval| entry(interval.into())).collect() }
    }

    /// Takes over new intervals. A vendor keeps its turn unless the new interval ends sooner; a new vendor is
    /// due at once.
    pub fn change(&mut self, intervals: impl IntoIterator<Item = impl Into<Interval>>, now: Duration) {
        let changed = Self::new(intervals, now);
        self.entries = changed
            .entries
            .into_iter()
            .map(|entry| match self.entries.iter().find(|old| old.interval.vendor == entry.interval.vendor) {
                Some(old) => {
                    let next = old.next.min(now.saturating_add(entry.interval.every));
                    Entry { next, retry: old.retry.clone(), ..entry }
                }
                None => entry,
            })
            .collect();
    }

    /// Every vendor is due at `now`, whatever its interval.
    pub fn hurry(&mut self, now: Duration) {
        for entry in &mut self.entries {
            entry.next = entry.next.min(now);
        }
    }

    /// What is due at `now`.
    pub fn due(&self, now: Duration) -> Due {
        let calls: Vec<Call> = self.entries.iter().filter_map(|entry| entry.due(now)).collect();
        if !calls.is_empty() {
            return Due::Now(calls);
        }
        self.entries.iter().map(Entry::soonest).min().map_or(Due::Never, Due::At)
    }

    /// A run of these calls ended at `now`. A vendor that was asked for everything is due again after its interval, spread
    /// by `jitter` (0 to 1) over a tenth of it; the feeds that failed are tried again sooner, and alone.
    pub fn ran(&mut self, calls: &[Call], failed: &[FeedId], now: Duration, jitter: f64) {
        for entry in &mut self.entries {
            let vendor = entry.interval.vendor;
            let Some(call) = calls.iter().find(|call| call.vendor == vendor) else { continue };
            if call.only.is_empty() {
                let spread = entry.interval.every.mul_f64(0.95 + 0.1 * jitter.clamp(0.0, 1.0));
                entry.next = now.saturating_add(spread);
            }
            let again: Vec<FeedId> = failed.iter().filter(|feed| feed.vendor() == vendor).cloned().collect();
            let at = now.saturating_add(entry.interval.soon());
            // What is asked for with all others anyway needs no turn of its own.
            entry.retry = (!again.is_empty() && at < entry.next).then_some((at, again));
        }
    }

    /// A run of these calls could not take place at all: it is tried again soon.
    pub fn put_off(&mut self, calls: &[Call], now: Duration) {
        for entry in &mut self.entries {
            let Some(call) = calls.iter().find(|call| call.vendor == entry.interval.vendor) else { continue };
            let at = now.saturating_add(entry.interval.soon());
            if call.only.is_empty() {
                entry.next = at;
            } else {
                entry.retry = Some((at, call.only.clone()));
            }
        }
    }
}

impl Entry {
    fn due(&self, now: Duration) -> Option<Call> {
        let vendor = self.interval.vendor;
        if self.next <= now {
            return Some(Call { vendor, only: Vec::new() });
        }
        let (_, feeds) = self.retry.as_ref().filter(|(at, _)| *at <= now)?;
        Some(Call { vendor, only: feeds.clone() })
    }

    fn soonest(&self) -> Duration {
        self.retry.as_ref().map_or(self.next, |(at, _)| self.next.min(*at))
    }
}

/// The feeds of a report that failed.
pub(crate) fn failed(report: &mirror::SyncReport) -> Vec<FeedId> {
    let failed = report.feeds.iter().filter(|feed| feed.outcome == Outcome::Failed);
    failed.map(|feed| feed.feed.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn both() -> Schedule {
        Schedule::new([(Vendor::Elastic, HOUR), (Vendor::Defender, HOUR * 4)], Duration::ZERO)
    }

    fn whole(vendors: &[Vendor]) -> Vec<Call> {
        vendors.iter().map(|vendor| Call { vendor: *vendor, only: Vec::new() }).collect()
    }

    fn feed() -> FeedId {
        "elastic/9.0.0".parse().unwrap()
    }

    #[test]
    fn due_at_once_and_then_as_often_as_said() {
        let mut schedule = both();
        assert_eq!(schedule.due(Duration::ZERO), Due::Now(whole(&[Vendor::Elastic, Vendor::Defender])));
        schedule.ran(&whole(&Vendor::ALL), &[], Duration::ZERO, 0.5);
        assert_eq!(schedule.due(Duration::ZERO), Due::At(HOUR));
        assert_eq!(schedule.due(HOUR), Due::Now(whole(&[Vendor::Elastic])));
        assert_eq!(Schedule::default().due(HOUR), Due::Never);
    }

    #[test]
    fn what_failed_is_tried_sooner_and_alone_u11() {
        let mut schedule = both();
        let quarter = HOUR / 4;
        schedule.ran(&whole(&Vendor::ALL), &[feed()], Duration::ZERO, 0.5);
        assert_eq!(schedule.due(Duration::ZERO), Due::At(quarter));
        let alone = vec![Call { vendor: Vendor::Elastic, only: vec![feed()] }];
        assert_eq!(schedule.due(quarter), Due::Now(alone.clone()), "the others keep their hour");
        schedule.ran(&alone, &[feed()], quarter, 0.5);
        assert_eq!(schedule.due(quarter), Due::At(quarter * 2));
        schedule.ran(&alone, &[], quarter * 2, 0.5);
        assert_eq!(schedule.due(quarter * 2), Due::At(HOUR));
        assert_eq!(schedule.due(HOUR), Due::Now(whole(&[Vendor::Elastic])));
    }

    #[test]
    fn nobody_is_asked_more_often_for_a_failure_than_was_said() {
        let minutes = Duration::from_secs(300);
        let patient = Interval { vendor: Vendor::Elastic, every: minutes, again: Some(minutes) };
        let mut schedule = Schedule::new([patient], Duration::ZERO);
        schedule.ran(&whole(&[Vendor::Elastic]), &[feed()], Duration::ZERO, 0.5);
        assert_eq!(schedule.due(Duration::ZERO), Due::At(minutes));
        assert_eq!(schedule.due(minutes), Due::Now(whole(&[Vendor::Elastic])), "with all others");
    }

    #[test]
    fn a_run_that_could_not_take_place_is_tried_again_soon() {
        let mut schedule = both();
        schedule.put_off(&whole(&[Vendor::Elastic]), Duration::ZERO);
        schedule.ran(&whole(&[Vendor::Defender]), &[], Duration::ZERO, 0.5);
        assert_eq!(schedule.due(HOUR / 4), Due::Now(whole(&[Vendor::Elastic])));
    }

    #[test]
    fn damage_makes_everything_due_s16() {
        let mut schedule = both();
        schedule.ran(&whole(&Vendor::ALL), &[], Duration::ZERO, 0.5);
        schedule.hurry(HOUR / 8);
        assert_eq!(schedule.due(HOUR / 8), Due::Now(whole(&[Vendor::Elastic, Vendor::Defender])));
    }

    #[test]
    fn a_change_never_puts_a_turn_off() {
        let mut schedule = both();
        schedule.ran(&whole(&Vendor::ALL), &[], Duration::ZERO, 0.5);
        schedule.change([(Vendor::Elastic, HOUR * 24)], HOUR / 2);
        assert_eq!(schedule.due(HOUR / 2), Due::At(HOUR));
        schedule.change([(Vendor::Elastic, HOUR / 4), (Vendor::Defender, HOUR)], HOUR / 2);
        assert_eq!(schedule.due(HOUR / 2), Due::Now(whole(&[Vendor::Defender])));
    }
}
