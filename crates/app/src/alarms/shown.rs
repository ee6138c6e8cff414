//! What only a process that lives knows, as status shows it: of the content side, of itself, of the history that it saw,
//! and of the ways to tell. What stands in the engine's status is told by that.

use alarm::{Alarm, Ledger, Source};
use mirror::SiteFault;
use model::Note;

/// What was seen at the last look and `said` does not have yet: the cause that is known already is said once.
pub fn seen_by_run(ledger: &Ledger, said: &[SiteFault]) -> Vec<SiteFault> {
    let is_new = |alarm: &&Alarm| {
        alarm.source != Source::Status && alarm.is_seen() && !said.iter().any(|fault| fault.note.reason == alarm.reason)
    };
    ledger.standing().into_iter().filter(is_new).map(fault).collect()
}

fn fault(alarm: &Alarm) -> SiteFault {
    SiteFault {
        subject: alarm.subject.clone(),
        key: alarm.key.clone(),
        since: alarm.since,
        level: alarm.level,
        note: Note { reason: alarm.reason, detail: alarm.detail.clone() },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use alarm::{Condition, Damping, Sight};
    use model::{Level, Reason, Timestamp};

    use super::*;

    #[test]
    fn status_says_what_only_the_process_sees_as_long_as_it_sees_it_and_nothing_twice_i9() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let damping = Damping { settle: Duration::from_secs(120), remind: Duration::MAX };
        let is = |source, reason: Reason| Condition::new(source, reason.code(), reason, now).on("it").because("why");
        let conditions = vec![
            is(Source::Status, Reason::ConnectFailed),
            is(Source::Content, Reason::RingWentBack).at_level(Level::Fail),
            is(Source::Process, Reason::ScheduleStalled),
            is(Source::History, Reason::HistoryBroken),
            is(Source::Ways, Reason::AlarmFailed),
        ];
        let mut ledger = Ledger::default();
        ledger.observe(Sight { conditions, ..Sight::clear(now) }, &damping);
        let reasons = |said: &[SiteFault], ledger: &Ledger| -> Vec<Reason> {
            seen_by_run(ledger, said).iter().map(|fault| fault.note.reason).collect()
        };
        let all = [Reason::RingWentBack, Reason::AlarmFailed, Reason::HistoryBroken, Reason::ScheduleStalled];
        assert_eq!(reasons(&[], &ledger), all);
        let said = seen_by_run(&ledger, &[]).remove(0);
        assert_eq!((said.level, said.subject.as_str(), said.note.detail.as_str()), (Level::Fail, "it", "why"));
        assert_eq!(reasons(&[said], &ledger), all[1..]);
        // What is over stands a while longer as an alarm, and is not wrong any more; what cannot be seen goes on.
        let blind = vec![Source::History];
        ledger.observe(Sight { blind, ..Sight::clear(now.after(Duration::from_secs(15))) }, &damping);
        assert_eq!(ledger.standing().len(), 5);
        assert_eq!(reasons(&[], &ledger), [Reason::HistoryBroken]);
    }
}
