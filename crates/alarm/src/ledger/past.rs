//! What is over: what happened and passed, what is still owed to somebody, and what is let go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Timestamp;

use super::{Alarm, Change, ChangeKind, Ledger, Told, next};
use crate::{Damping, Event, Way, text};

/// The most alarms that are over and that somebody has yet to be told of, or that may come back.
pub(super) const MOST_OVER: usize = 256;
/// How long an alarm that is over is kept for a way that cannot be told, in seconds of looking.
pub(super) const KEPT: u64 = 7 * 86_400;
/// What passes between two looks counts up to this: more is a process that was not there.
const LOOK: Duration = Duration::from_secs(60);
/// Time is gathered up to this before it is written down.
const GATHER: Duration = Duration::from_secs(600);
/// The longest detail, in characters.
const LONGEST: usize = 1000;

/// Time that passed while somebody looked and that is not written down yet. It is no part of what is kept: two ledgers
/// that differ in it are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    looked: Option<Duration>,
    gathered: Duration,
}

impl PartialEq for Pace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Pace {}

impl Ledger {
    /// Something that has passed is an alarm that is over from its beginning on. What happens again soon is the same
    /// alarm, counted: a process that crashes every second is one alarm and not thousands.
    pub(super) fn pass(&mut self, event: &Event, (now, damping): (Timestamp, &Damping), changes: &mut Vec<Change>) {
        let known = self.alarms.get(&event.condition.key).filter(|known| known.times > 0);
        let known = known.filter(|known| self.goes_on(known, (now, damping))).cloned();
        let mut alarm = match known {
            Some(known) => Alarm { times: known.times.saturating_add(1), waited: 0, ..known },
            None => Alarm { times: 1, ..self.begin(&event.condition, event.until) },
        };
        alarm.level = alarm.level.max(event.condition.level);
        alarm.peak = alarm.peak.max(alarm.level);
        alarm.detail.clone_from(&event.condition.detail);
        if alarm.times > 1 {
            let counted = format!("{} times since {}, at last: {}", alarm.times, alarm.since, alarm.detail);
            alarm.detail = text::line(&counted, LONGEST);
        }
        alarm.over = Some(event.until.max(alarm.since));
        changes.push(Change { kind: ChangeKind::Passed, alarm: alarm.clone() });
        self.alarms.insert(alarm.key.clone(), alarm);
    }

    /// Whether what happens now is counted with what happened before.
    fn goes_on(&self, known: &Alarm, at: (Timestamp, &Damping)) -> bool {
        let ago = known.over.map_or(Duration::ZERO, |over| at.0.since(over));
        ago <= Damping::SOON || known.waited <= Damping::SOON.as_secs() || self.owes(known, at)
    }

    /// Whether some way is still to be told of an alarm, be it later.
    fn owes(&self, alarm: &Alarm, (now, damping): (Timestamp, &Damping)) -> bool {
        self.wanted.iter().filter_map(|way| Some((way, self.ways.get(&way.name)?))).any(|(way, memory)| {
            let told = memory.told.get(&alarm.key).filter(|told| told.number == alarm.number);
            told.is_some_and(|told| alarm.times > told.times)
                || next::pending(alarm, memory, way, (damping, now, self.looked())).is_some()
        })
    }

    /// For how long somebody looked while there were alarms, in seconds.
    pub(super) fn looked(&self) -> u64 {
        self.looked.saturating_add(self.pace.gathered.as_secs())
    }

    /// Writes down how long somebody looked, and how long what is over has been so, by what passed between looks and not
    /// by the clock's word.
    pub(super) fn age(&mut self, now: Duration) {
        let passed = self.pace.looked.map_or(Duration::ZERO, |looked| now.saturating_sub(looked).min(LOOK));
        self.pace.looked = Some(now);
        if self.alarms.is_empty() {
            // Nothing is measured by it.
            self.pace.gathered = Duration::ZERO;
            return;
        }
        self.pace.gathered = self.pace.gathered.saturating_add(passed);
        if self.pace.gathered < GATHER {
            return;
        }
        let gathered = std::mem::take(&mut self.pace.gathered).as_secs();
        self.looked = self.looked.saturating_add(gathered);
        for alarm in self.alarms.values_mut().filter(|alarm| !alarm.stands()) {
            alarm.waited = alarm.waited.saturating_add(gathered);
        }
    }

    /// Lets go of what is over: what everybody was told of, once it cannot come back soon; the rest when it has waited
    /// for too long or is too much.
    pub(super) fn forget(&mut self, now: Timestamp, damping: &Damping) {
        let mut over: Vec<(Timestamp, String, u64, bool)> = self
            .alarms
            .values()
            .filter_map(|alarm| Some((alarm.over?, alarm.key.clone(), alarm.waited, self.owes(alarm, (now, damping)))))
            .filter(|(over, .., owed)| *owed || now.since(*over) <= Damping::SOON)
            .collect();
        over.sort();
        let too_many = over.len().saturating_sub(MOST_OVER);
        let (old, kept): (Vec<_>, Vec<_>) =
            over.into_iter().enumerate().partition(|(at, (_, _, waited, _))| *at < too_many || *waited > KEPT);
        let lost = old.iter().filter(|(_, (.., owed))| *owed).count();
        self.dropped = self.dropped.saturating_add(u64::try_from(lost).unwrap_or(u64::MAX));
        let kept: BTreeSet<String> = kept.into_iter().map(|(_, (_, key, ..))| key).collect();
        self.alarms.retain(|key, alarm| alarm.stands() || kept.contains(key));
        for way in self.ways.values_mut() {
            way.told.retain(|key, _| self.alarms.contains_key(key));
        }
    }

    /// What can be read of a ledger that as a whole cannot: each alarm that is whole by itself and stood, and the
    /// highest number. Ways count as told of these, so that they hear of their ends.
    pub(crate) fn salvage(bytes: &[u8]) -> Self {
        let mut ledger = Self { salvaged: true, ..Self::default() };
        for at in places(bytes, b"{\"number\":") {
            let rest = bytes.get(at..).unwrap_or_default();
            let alarm = serde_json::Deserializer::from_slice(rest).into_iter::<Alarm>().next();
            let Some(Ok(alarm)) = alarm else { continue };
            ledger.next = ledger.next.max(alarm.number);
            if alarm.stands() && ledger.alarms.len() < super::MOST_STANDING {
                ledger.alarms.insert(alarm.key.clone(), alarm);
            }
        }
        for name in [&b"\"next\":"[..], b"\"number\":"] {
            let numbers = places(bytes, name).filter_map(|at| number(bytes.get(at.saturating_add(name.len())..)?));
            ledger.next = numbers.fold(ledger.next, u64::max);
        }
        ledger
    }

    /// The number that was given last.
    pub(crate) fn last_number(&self) -> u64 {
        self.next
    }

    pub(super) fn assumed_told(&self, way: &Way, at: Timestamp) -> BTreeMap<String, Told> {
        let wanted = self.alarms.values().filter(|alarm| way.wants(alarm.reason, alarm.level));
        let told = |alarm: &Alarm| Told { over: false, ..Told::of(alarm, at, self.looked()) };
        wanted.map(|alarm| (alarm.key.clone(), told(alarm))).collect()
    }
}

fn places<'a>(bytes: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    bytes.windows(word.len()).enumerate().filter(move |(_, window)| *window == word).map(|(at, _)| at)
}

/// A number as far as it can be one of ours: what a flipped bit made huge would leave no room for another.
fn number(bytes: &[u8]) -> Option<u64> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit())?;
    let digits = std::str::from_utf8(bytes.get(..end)?).ok()?;
    digits.parse().ok().filter(|number| *number < 1 << 48)
}
