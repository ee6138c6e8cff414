//! The ledger, shared: who looks writes what stands, who tells reads what is to be told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Clock, Level, Reason, Timestamp};
use tokio::sync::watch;

use crate::{Alarm, Change, Condition, Damping, Item, Ledger, Quiet, Sight, Source, Way};

/// From so many attempts in a row on, a way counts as failing: one alone may be a blink.
const FAILING_FROM: u32 = 2;

/// The key of the alarm that a way fails.
pub(crate) fn way_key(way: &str) -> String {
    format!("alarm_failed/{way}")
}

/// How one way fared since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WayFacts {
    /// Its name.
    pub name: String,
    /// Messages that were taken.
    pub told: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Whether it is failing now.
    pub failing: bool,
}

/// The ledger, shared by tasks. Its lock is held for moments only, never across a wait.
pub struct Book {
    clock: Arc<dyn Clock>,
    pages: Mutex<Pages>,
    /// Counts up when there may be something to tell or to keep.
    turned: watch::Sender<u64>,
}

struct Pages {
    ledger: Ledger,
    quiet: Quiet,
    damping: Damping,
    told: BTreeMap<String, (u64, u64)>,
}

impl Book {
    /// A book that goes on from a ledger.
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        let damping = Damping { settle: std::time::Duration::ZERO, remind: std::time::Duration::MAX };
        let pages = Pages { ledger, quiet: Quiet::never(), damping, told: BTreeMap::new() };
        Self { clock, pages: Mutex::new(pages), turned: watch::Sender::new(0) }
    }

    /// Takes over rules and ways; `attended` names what is told no alarm, and is told of when it fails.
    pub fn set(&self, ways: Vec<Way>, attended: &[&str], (quiet, damping): (Quiet, Damping)) {
        let now = self.clock.now();
        let mut pages = self.pages();
        let stays = |name: &str| attended.contains(&name) || ways.iter().any(|way| way.name == name);
        pages.told.retain(|name, _| stays(name));
        pages.ledger.meet(ways, attended, now);
        pages.quiet = quiet;
        pages.damping = damping;
        drop(pages);
        self.turn();
    }

    /// Takes in what is seen, adds what the ways themselves show, and says what changed.
    pub fn observe(&self, mut sight: Sight) -> Vec<Change> {
        sight.monotonic = self.clock.monotonic();
        let mut pages = self.pages();
        sight.conditions.extend(failing(&pages.ledger));
        let damping = pages.damping;
        let changes = pages.ledger.observe(sight, &damping);
        drop(pages);
        self.turn();
        changes
    }

    /// What stands and what was told, as it is now.
    pub fn ledger(&self) -> Ledger {
        self.pages().ledger.clone()
    }

    /// How many alarms stand, for each reason and level.
    pub fn standing(&self) -> BTreeMap<(Reason, Level), usize> {
        counted(self.pages().ledger.standing().into_iter())
    }

    /// How many alarms passed within the last hour before anybody could look, for each reason and the worst level.
    pub fn passed(&self) -> BTreeMap<(Reason, Level), usize> {
        let (now, pages) = (self.clock.now(), self.pages());
        let lately = |alarm: &&Alarm| alarm.over.is_some_and(|over| now.since(over) <= Damping::SOON);
        counted(pages.ledger.passed().filter(lately))
    }

    /// How each way fared.
    pub fn ways(&self) -> Vec<WayFacts> {
        let pages = self.pages();
        let fact = |(name, memory): (&String, &crate::WayMemory)| {
            let (told, failed) = pages.told.get(name).copied().unwrap_or_default();
            WayFacts { name: name.clone(), told, failed, failing: memory.attempts >= FAILING_FROM }
        };
        pages.ledger.ways().iter().map(fact).collect()
    }

    /// How many alarms some way was never told of.
    pub fn dropped(&self) -> u64 {
        self.pages().ledger.dropped()
    }

    /// What changes when there may be something to tell or to keep.
    pub(crate) fn turns(&self) -> watch::Receiver<u64> {
        self.turned.subscribe()
    }

    /// What a way is to be told now, and when that is.
    pub fn next(&self, way: &Way) -> (Vec<Item>, Timestamp) {
        let now = self.clock.now();
        let mut pages = self.pages();
        let Pages { ledger, quiet, damping, .. } = &mut *pages;
        (ledger.next(way, quiet, damping, now), now)
    }

    /// A way was told these.
    pub fn told(&self, way: &str, items: &[Item]) {
        let now = self.clock.now();
        let mut pages = self.pages();
        pages.ledger.told(way, items, now);
        pages.told.entry(way.to_owned()).or_default().0 += 1;
        drop(pages);
        self.turn();
    }

    /// A way could not be told.
    pub fn failed(&self, way: &str, why: &str) {
        let now = self.clock.now();
        let mut pages = self.pages();
        pages.ledger.failed(way, why, now);
        pages.told.entry(way.to_owned()).or_default().1 += 1;
    }

    fn turn(&self) {
        self.turned.send_modify(|turns| *turns = turns.wrapping_add(1));
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A panic under the lock leaves a ledger that is at worst a step behind; it is still the best there is.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counted<'a>(alarms: impl Iterator<Item = &'a Alarm>) -> BTreeMap<(Reason, Level), usize> {
    let mut counts = BTreeMap::new();
    for alarm in alarms {
        *counts.entry((alarm.reason, alarm.level)).or_default() += 1;
    }
    counts
}

/// The ways that cannot be told are wrong themselves, which the others tell.
fn failing(ledger: &Ledger) -> Vec<Condition> {
    let failing = ledger.ways().iter().filter(|(_, memory)| memory.attempts >= FAILING_FROM);
    failing
        .filter_map(|(name, memory)| {
            let condition = Condition::new(Source::Ways, &way_key(name), Reason::AlarmFailed, memory.failing?);
            Some(condition.on(name).because(memory.why.as_deref().unwrap_or_default()))
        })
        .collect()
}
