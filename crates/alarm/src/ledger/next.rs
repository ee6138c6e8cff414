//! What a way is to be told next, and what came of it.

use model::{Level, Timestamp};

use super::{Alarm, Ledger, Told, WayMemory};
use crate::message::{Item, ItemKind};
use crate::{Damping, Quiet, Way};

/// From so many on, what is to be told is told as one message.
const DIGEST: usize = 4;
/// The most alarms that one message tells.
const MOST: usize = 50;

impl Ledger {
    /// What a way is to be told now; nothing when empty, one message when more than one. After attempts that failed it
    /// is another one's turn each time, so that what cannot be told does not keep the rest back.
    pub fn next(&mut self, way: &Way, quiet: &Quiet, damping: &Damping, now: Timestamp) -> Vec<Item> {
        let looked = self.looked();
        let Some(memory) = self.ways.get_mut(&way.name) else { return Vec::new() };
        let is_quiet = way.quiet && quiet.holds(now);
        let mut items: Vec<Item> = self
            .alarms
            .values()
            .filter_map(|alarm| {
                Some(Item { kind: pending(alarm, memory, way, (damping, now, looked))?, alarm: alarm.clone() })
            })
            .collect();
        items.sort_by_key(|item| (item.alarm.raised, item.alarm.number));
        if is_quiet {
            let before = items.len();
            items.retain(|item| quiet.except_fail && breaks(item));
            memory.held |= items.len() < before;
        }
        let together = items.len() >= DIGEST || (memory.held && !is_quiet && items.len() > 1);
        if together {
            items.truncate(MOST);
            return items;
        }
        if !is_quiet && items.is_empty() {
            memory.held = false;
        }
        let turn = usize::try_from(memory.attempts).unwrap_or(0).checked_rem(items.len()).unwrap_or(0);
        items.into_iter().skip(turn).take(1).collect()
    }

    /// A way was told these.
    pub fn told(&mut self, way: &str, items: &[Item], now: Timestamp) {
        let looked = self.looked();
        let Some(memory) = self.ways.get_mut(way) else { return };
        for item in items {
            memory.told.insert(item.alarm.key.clone(), Told::of(&item.alarm, now, looked));
        }
        memory.failing = None;
        memory.attempts = 0;
        memory.why = None;
        memory.held &= items.len() == 1;
        memory.last_told = Some(now);
    }

    /// A way could not be told.
    pub fn failed(&mut self, way: &str, why: &str, now: Timestamp) {
        let Some(memory) = self.ways.get_mut(way) else { return };
        memory.failing.get_or_insert(now);
        memory.attempts = memory.attempts.saturating_add(1);
        memory.why = Some(crate::text::line(why, 500));
    }
}

/// Whether an alarm is about this very way, which need not be told that it cannot be told.
fn concerns(alarm: &Alarm, way: &Way) -> bool {
    alarm.reason == model::Reason::AlarmFailed && alarm.key == crate::book::way_key(&way.name)
}

/// What is told in quiet hours: what failed, and how it went on; not that it still stands.
fn breaks(item: &Item) -> bool {
    item.alarm.peak == Level::Fail && !matches!(item.kind, ItemKind::Reminder | ItemKind::Better)
}

pub(super) fn pending(
    alarm: &Alarm,
    memory: &WayMemory,
    way: &Way,
    (damping, now, looked): (&Damping, Timestamp, u64),
) -> Option<ItemKind> {
    if concerns(alarm, way) {
        return None;
    }
    let told = memory.told.get(&alarm.key).filter(|told| !told.over);
    match (alarm.over, told) {
        (None, None) => way.wants(alarm.reason, alarm.level).then_some(ItemKind::Raised),
        (None, Some(told)) if alarm.level > told.level => Some(ItemKind::Worse),
        (None, Some(told)) if alarm.level < told.level => Some(ItemKind::Better),
        (None, Some(told)) if alarm.reasons.len() > told.reasons && way.wants(alarm.reason, alarm.level) => {
            Some(ItemKind::Changed)
        }
        (None, Some(told)) => {
            (looked.saturating_sub(told.looked) >= damping.remind.as_secs()).then_some(ItemKind::Reminder)
        }
        (Some(_), Some(_)) => Some(ItemKind::Recovered),
        (Some(over), None) => {
            let told = memory.told.get(&alarm.key).filter(|told| told.number == alarm.number);
            let concerns = over >= memory.known && way.wants(alarm.reason, alarm.peak);
            let is_due = match told {
                // It happened again since: the count is told, and not each time.
                Some(told) => alarm.times > told.times && now.since(told.at) >= Damping::SOON,
                None => concerns,
            };
            is_due.then_some(ItemKind::Passed)
        }
    }
}
