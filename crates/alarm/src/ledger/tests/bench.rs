//! What the tests of the core stand on.

use super::*;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAMPING: Damping = Damping { settle: Duration::from_secs(120), remind: Duration::from_secs(86_400) };

pub(super) fn start() -> Timestamp {
    Timestamp::parse("2026-11-20T12:00:00Z").unwrap()
}

pub(super) fn is(key: &str, level: Level) -> Condition {
    let reason = if key.starts_with("disk") { Reason::DiskFull } else { Reason::NotChecked };
    Condition::new(Source::Status, key, reason, start()).on(key).at_level(level)
}

/// A ledger, a clock that only tests move, and one way.
pub(super) struct Bench {
    pub(super) ledger: Ledger,
    pub(super) now: Timestamp,
    pub(super) way: Way,
    pub(super) quiet: Quiet,
    pub(super) blind: Vec<Source>,
}

impl Bench {
    pub(super) fn new(way: Way) -> Self {
        let mut ledger = Ledger::default();
        ledger.meet(vec![way.clone()], &[], start());
        Self { ledger, now: start(), way, quiet: Quiet::never(), blind: Vec::new() }
    }

    pub(super) fn quiet(mut self, hours: &str, except_fail: bool) -> Self {
        let zone = "Europe/Berlin".parse().unwrap();
        self.quiet = Quiet { windows: vec![hours.parse().unwrap()], zone, except_fail };
        self
    }

    pub(super) fn look(&mut self, conditions: &[Condition]) -> Vec<ChangeKind> {
        let blind = self.blind.clone();
        let sight = Sight { conditions: conditions.to_vec(), blind, ..Sight::clear(self.now) };
        self.ledger.observe(sight, &DAMPING).into_iter().map(|change| change.kind).collect()
    }

    /// Looks each quarter of a minute for so long.
    pub(super) fn look_for(&mut self, span: Duration, conditions: &[Condition]) -> Vec<ChangeKind> {
        let mut changes = Vec::new();
        let until = self.now.after(span);
        while self.now < until {
            self.now = self.now.after(Duration::from_secs(15));
            changes.extend(self.look(conditions));
        }
        changes
    }

    pub(super) fn next(&mut self) -> Vec<Item> {
        self.ledger.next(&self.way, &self.quiet, &DAMPING, self.now)
    }

    /// Tells all there is; each message as its kinds and keys.
    pub(super) fn tell(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..100 {
            let items = self.next();
            if items.is_empty() {
                return told;
            }
            let words: Vec<String> =
                items.iter().map(|item| format!("{} {}", item.kind.as_str(), item.alarm.key)).collect();
            told.push(words.join(", "));
            self.ledger.told(&self.way.name, &items, self.now);
        }
        panic!("it never ends: {told:?}");
    }

    pub(super) fn at(&mut self, text: &str) {
        self.now = Timestamp::parse(text).unwrap();
    }
}

pub(super) fn bench() -> Bench {
    Bench::new(Way::new("pager"))
}
