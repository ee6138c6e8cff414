//! What stands, what each way was told of it, and what it is to be told next. Pure, and plain data.

mod next;
mod past;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use model::{Level, Reason, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Condition, Damping, Sight, Source, Way};

/// The most alarms that stand at once; further conditions are counted, not told.
const MOST_STANDING: usize = 500;
/// One alarm: a condition over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its number, which no other has.
    pub number: u64,
    /// What makes it the same.
    pub key: String,
    /// Where it is seen.
    pub source: Source,
    /// Why.
    pub reason: Reason,
    /// How bad it is.
    pub level: Level,
    /// How bad it was at its worst.
    pub peak: Level,
    /// On what.
    pub subject: String,
    /// The particulars.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was raised here.
    pub raised: Timestamp,
    /// When it ended; none while it stands.
    pub over: Option<Timestamp>,
    /// Since when it was not seen, while it is not over yet.
    gone: Option<Timestamp>,
    /// Since when it was milder.
    milder: Option<Timestamp>,
    /// How often it came back soon after it was over.
    flaps: u32,
    /// How often it happened, where it is something that happens and passes.
    #[serde(default)]
    times: u32,
    /// Every reason that it had so far, the present one among them: one that is new is told at once, and one that
    /// comes and goes is not told again and again.
    #[serde(default)]
    reasons: BTreeSet<Reason>,
    /// How long it has been over while somebody looked, in seconds: a clock that jumps adds nothing.
    #[serde(default)]
    waited: u64,
}

impl Alarm {
    /// Whether it still stands.
    pub fn stands(&self) -> bool {
        self.over.is_none()
    }

    /// Whether it stands, and was seen at the last look where that was possible: what is gone stands a while longer.
    pub fn is_seen(&self) -> bool {
        self.stands() && self.gone.is_none()
    }

    /// The particulars as they are to be read now: what stood and is over is told as what was.
    pub fn particulars(&self) -> String {
        if self.is_past() { format!("it is over; it was: {}", self.detail) } else { self.detail.clone() }
    }

    /// Whether the particulars speak of how things stood, and stand no more; what happened once is told in the past anyway.
    pub(crate) fn is_past(&self) -> bool {
        self.over.is_some() && self.times == 0 && !self.detail.is_empty()
    }
}

/// What a way was last told of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The alarm's number then.
    pub number: u64,
    /// Its level then.
    pub level: Level,
    /// When.
    pub at: Timestamp,
    /// Whether that it is over was told.
    pub over: bool,
    /// How often it had happened then.
    #[serde(default)]
    pub times: u32,
    /// How many reasons it had had by then.
    #[serde(default)]
    pub reasons: usize,
    /// For how long somebody had looked by then, in seconds: what still stands is told again by this, for a clock that
    /// is set adds nothing to it.
    #[serde(default)]
    pub looked: u64,
}

impl Told {
    /// An alarm as it stands, told now; somebody has `looked` for so long by then.
    fn of(alarm: &Alarm, at: Timestamp, looked: u64) -> Self {
        let Alarm { number, level, times, .. } = *alarm;
        Self { number, level, at, over: alarm.over.is_some(), times, reasons: alarm.reasons.len(), looked }
    }
}

/// What is remembered of one way to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayMemory {
    /// Since when it is known: what was over before does not concern it.
    pub known: Timestamp,
    /// What it was told, by the alarm's key.
    pub told: BTreeMap<String, Told>,
    /// Since when it cannot be told anything.
    pub failing: Option<Timestamp>,
    /// Attempts in a row that failed.
    pub attempts: u32,
    /// Why the last one did.
    pub why: Option<String>,
    /// When it was last told something.
    pub last_told: Option<Timestamp>,
    /// Whether quiet hours kept something from it.
    pub(crate) held: bool,
}

impl WayMemory {
    /// Of a way that is known since `known`.
    fn new(told: BTreeMap<String, Told>, known: Timestamp) -> Self {
        Self { known, told, failing: None, attempts: 0, why: None, last_told: None, held: false }
    }
}

/// What happened to an alarm, for log and history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The alarm, as it stands then.
    pub alarm: Alarm,
}

/// What may happen to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It began.
    Raised,
    /// It became a failure.
    Worse,
    /// It became a warning again.
    Better,
    /// It has a reason that it did not have before.
    Changed,
    /// It ended.
    Recovered,
    /// It began and ended before anybody could look.
    Passed,
}

impl ChangeKind {
    /// The word in log and history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Changed => "changed",
            Self::Recovered => "recovered",
            Self::Passed => "passed",
        }
    }
}

/// Every alarm, and what each way was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    next: u64,
    alarms: BTreeMap<String, Alarm>,
    ways: BTreeMap<String, WayMemory>,
    /// Alarms that were over and forgotten before everybody was told, and conditions beyond the cap.
    dropped: u64,
    /// For how long somebody looked while there were alarms, in seconds, as far as it is written down.
    #[serde(default)]
    looked: u64,
    /// Who wants to be told what: from the configuration, so not kept.
    #[serde(skip)]
    wanted: Vec<Way>,
    #[serde(skip)]
    pace: past::Pace,
    /// What each way was told of these is not known, so it counts as told.
    #[serde(skip)]
    salvaged: bool,
}

impl Ledger {
    /// The alarms that stand, the worst and oldest first.
    pub fn standing(&self) -> Vec<&Alarm> {
        let mut standing: Vec<&Alarm> = self.alarms.values().filter(|alarm| alarm.stands()).collect();
        standing.sort_by_key(|alarm| (std::cmp::Reverse(alarm.level), alarm.since, alarm.number));
        standing
    }

    /// The alarms that passed before anybody could look, for as long as what happens again is counted with them.
    pub fn passed(&self) -> impl Iterator<Item = &Alarm> {
        self.alarms.values().filter(|alarm| alarm.times > 0 && alarm.waited <= Damping::SOON.as_secs())
    }

    /// What is remembered of each way.
    pub fn ways(&self) -> &BTreeMap<String, WayMemory> {
        &self.ways
    }

    /// How many were never told because too many stood, or were over for too long.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes over which ways there are: one that is gone is forgotten, a new one is told what stands. `attended` names
    /// what is told no alarm, and yet may fail like a way to tell: how it fares is remembered as well.
    pub fn meet(&mut self, ways: Vec<Way>, attended: &[&str], now: Timestamp) {
        let stays = |name: &str| attended.contains(&name) || ways.iter().any(|way| way.name == name);
        self.ways.retain(|name, _| stays(name));
        for way in &ways {
            let told = if self.salvaged { self.assumed_told(way, now) } else { BTreeMap::new() };
            self.ways.entry(way.name.clone()).or_insert_with(|| WayMemory::new(told, now));
        }
        for name in attended {
            self.ways.entry((*name).to_owned()).or_insert_with(|| WayMemory::new(BTreeMap::new(), now));
        }
        self.wanted = ways;
        self.salvaged = false;
    }

    /// Takes in what is seen now, and says what changed.
    pub fn observe(&mut self, sight: Sight, damping: &Damping) -> Vec<Change> {
        let (now, monotonic) = (sight.at, sight.monotonic);
        self.hold_back_the_clock(now);
        let mut changes = Vec::new();
        let seen = worst_of_each(sight.conditions);
        for condition in seen.values() {
            self.see(condition, now, damping, &mut changes);
        }
        for event in sight.events {
            self.pass(&event, (now, damping), &mut changes);
        }
        let unseen = self
            .alarms
            .values_mut()
            .filter(|alarm| alarm.stands() && !seen.contains_key(&alarm.key) && !sight.blind.contains(&alarm.source));
        for alarm in unseen {
            let gone = *alarm.gone.get_or_insert(now);
            if now.since(gone) >= damping.settle_after(alarm.flaps) {
                alarm.over = Some(gone.max(alarm.since));
                changes.push(Change { kind: ChangeKind::Recovered, alarm: alarm.clone() });
            }
        }
        self.age(monotonic);
        self.forget(now, damping);
        changes
    }

    fn see(&mut self, condition: &Condition, now: Timestamp, damping: &Damping, changes: &mut Vec<Change>) {
        let kind = match self.alarms.get_mut(&condition.key) {
            Some(alarm) if alarm.stands() => alarm.go_on(condition, now, damping),
            known => {
                let flaps = known.and_then(|alarm| alarm.over.map(|over| (alarm.flaps, over)));
                let soon = flaps.filter(|(_, over)| now.since(*over) <= Damping::SOON);
                if self.alarms.values().filter(|alarm| alarm.stands()).count() >= MOST_STANDING {
                    self.dropped = self.dropped.saturating_add(1);
                    return;
                }
                let mut alarm = self.begin(condition, now);
                alarm.flaps = soon.map_or(0, |(flaps, _)| flaps.saturating_add(1));
                self.alarms.insert(alarm.key.clone(), alarm);
                Some(ChangeKind::Raised)
            }
        };
        if let (Some(kind), Some(alarm)) = (kind, self.alarms.get(&condition.key)) {
            changes.push(Change { kind, alarm: alarm.clone() });
        }
    }

    fn begin(&mut self, condition: &Condition, now: Timestamp) -> Alarm {
        self.next = self.next.saturating_add(1);
        Alarm {
            number: self.next,
            key: condition.key.clone(),
            source: condition.source,
            reason: condition.reason,
            reasons: BTreeSet::from([condition.reason]),
            level: condition.level,
            peak: condition.level,
            subject: condition.subject.clone(),
            detail: condition.detail.clone(),
            since: condition.since.min(now),
            raised: now,
            over: None,
            gone: None,
            milder: None,
            flaps: 0,
            times: 0,
            waited: 0,
        }
    }

    /// A clock that was set back leaves times ahead of now, which would never come to pass.
    fn hold_back_the_clock(&mut self, now: Timestamp) {
        let hold = |time: &mut Timestamp| *time = (*time).min(now);
        for alarm in self.alarms.values_mut() {
            hold(&mut alarm.since);
            hold(&mut alarm.raised);
            [&mut alarm.over, &mut alarm.gone, &mut alarm.milder].into_iter().flatten().for_each(hold);
        }
        for way in self.ways.values_mut() {
            hold(&mut way.known);
            way.failing.iter_mut().for_each(hold);
            way.told.values_mut().for_each(|told| hold(&mut told.at));
        }
    }
}

impl Alarm {
    /// It is seen again; what changed by that.
    fn go_on(&mut self, condition: &Condition, now: Timestamp, damping: &Damping) -> Option<ChangeKind> {
        self.gone = None;
        self.reasons.insert(self.reason);
        self.reason = condition.reason;
        let is_news = self.reasons.insert(condition.reason);
        self.source = condition.source;
        self.subject.clone_from(&condition.subject);
        self.detail.clone_from(&condition.detail);
        self.since = self.since.min(condition.since);
        if condition.level >= self.level {
            self.milder = None;
        }
        if condition.level > self.level {
            self.level = condition.level;
            self.peak = self.peak.max(condition.level);
            return Some(ChangeKind::Worse);
        }
        if condition.level < self.level {
            let milder = *self.milder.get_or_insert(now);
            if now.since(milder) >= damping.settle_after(self.flaps) {
                self.level = condition.level;
                self.milder = None;
                return Some(ChangeKind::Better);
            }
        }
        is_news.then_some(ChangeKind::Changed)
    }
}

/// One condition a key: the worst, and of equals the oldest.
fn worst_of_each(conditions: Vec<Condition>) -> BTreeMap<String, Condition> {
    let mut seen: BTreeMap<String, Condition> = BTreeMap::new();
    for condition in conditions {
        match seen.get_mut(&condition.key) {
            Some(known) if (known.level, condition.since) >= (condition.level, known.since) => {}
            Some(known) => *known = condition,
            None => {
                seen.insert(condition.key.clone(), condition);
            }
        }
    }
    seen
}
