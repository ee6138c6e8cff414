//! When each vendor is asked next. Pure.

use std::time::Duration;

use model::{FeedId, Outcome, Vendor};

/// The soonest that what failed is tried again, and the latest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(15 * 60));

/// When each vendor is asked next, on a clock that never goes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    vendor: Vendor,
    every: Duration,
    next: Duration,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// These vendors are to be asked now.
    Now(Vec<Vendor>),
    /// Nothing before this moment.
    At(Duration),
    /// Nothing is ever due.
    Never,
}

impl Schedule {
    /// Every vendor is due at once, and then as often as said.
    pub fn new(intervals: impl IntoIterator<Item = (Vendor, Duration)>, now: Duration) -> Self {
        Self { entries: intervals.into_iter().map(|(vendor, every)| Entry { vendor, every, next: now }).collect() }
    }

    /// Takes over new intervals. A vendor keeps its turn unless the new interval ends sooner; a new vendor is
    /// due at once.
    pub fn change(&mut self, intervals: impl IntoIterator<Item = (Vendor, Duration)>, now: Duration) {
        let changed = Self::new(intervals, now);
        self.entries = changed
            .entries
            .into_iter()
            .map(|entry| match self.entries.iter().find(|old| old.vendor == entry.vendor) {
                Some(old) => Entry { next: old.next.min(now.saturating_add(entry.every)), ..entry },
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
        let vendors: Vec<Vendor> =
            self.entries.iter().filter(|entry| entry.next <= now).map(|entry| entry.vendor).collect();
        if !vendors.is_empty() {
            return Due::Now(vendors);
        }
        self.entries.iter().map(|entry| entry.next).min().map_or(Due::Never, Due::At)
    }

    /// A run ended at `now`: its vendors are due again after their interval, spread by `jitter` (0 to 1) over a
    /// tenth of it, or sooner where a feed failed.
    pub fn ran(&mut self, vendors: &[Vendor], failed: &[FeedId], now: Duration, jitter: f64) {
        for entry in self.entries.iter_mut().filter(|entry| vendors.contains(&entry.vendor)) {
            let spread = entry.every.mul_f64(0.95 + 0.1 * jitter.clamp(0.0, 1.0));
            let soon = (entry.every / 4).clamp(AGAIN.0, AGAIN.1).min(entry.every);
            let any = failed.iter().any(|feed| feed.vendor() == entry.vendor);
            entry.next = now.saturating_add(if any { soon } else { spread });
        }
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

    #[test]
    fn due_at_once_and_then_as_often_as_said() {
        let mut schedule = both();
        assert_eq!(schedule.due(Duration::ZERO), Due::Now(vec![Vendor::Elastic, Vendor::Defender]));
        schedule.ran(&Vendor::ALL, &[], Duration::ZERO, 0.5);
        assert_eq!(schedule.due(Duration::ZERO), Due::At(HOUR));
        assert_eq!(schedule.due(HOUR), Due::Now(vec![Vendor::Elastic]));
        assert_eq!(Schedule::default().due(HOUR), Due::Never);
    }

    #[test]
    fn what_failed_is_tried_sooner_and_alone_u11() {
        let mut schedule = both();
        schedule.ran(&Vendor::ALL, &["elastic/9.0.0".parse().unwrap()], Duration::ZERO, 0.5);
        assert_eq!(schedule.due(Duration::ZERO), Due::At(Duration::from_secs(900)));
        assert_eq!(schedule.due(HOUR), Due::Now(vec![Vendor::Elastic]));
    }

    #[test]
    fn damage_makes_everything_due_s16() {
        let mut schedule = both();
        schedule.ran(&Vendor::ALL, &[], Duration::ZERO, 0.5);
        schedule.hurry(HOUR / 8);
        assert_eq!(schedule.due(HOUR / 8), Due::Now(vec![Vendor::Elastic, Vendor::Defender]));
    }

    #[test]
    fn a_change_never_puts_a_turn_off() {
        let mut schedule = both();
        schedule.ran(&Vendor::ALL, &[], Duration::ZERO, 0.5);
        schedule.change([(Vendor::Elastic, HOUR * 24)], HOUR / 2);
        assert_eq!(schedule.due(HOUR / 2), Due::At(HOUR));
        schedule.change([(Vendor::Elastic, HOUR / 4), (Vendor::Defender, HOUR)], HOUR / 2);
        assert_eq!(schedule.due(HOUR / 2), Due::Now(vec![Vendor::Defender]));
    }
}
