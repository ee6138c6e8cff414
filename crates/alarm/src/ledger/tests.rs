//! The core by tables and by chance.

mod bench;
mod chance;

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Level, Reason, Timestamp};

use self::bench::{Bench, DAMPING, HOUR, MINUTE, bench, is, start};
use super::past::MOST_OVER;
use super::*;
use crate::message::{Item, ItemKind};
use crate::{Event, Quiet};

#[test]
fn one_alarm_from_its_beginning_to_its_end_i9() {
    let mut bench = bench();
    assert_eq!(bench.look(&[is("a", Level::Warn)]), [ChangeKind::Raised]);
    assert_eq!(bench.tell(), ["raised a"]);
    assert!(bench.look_for(HOUR, &[is("a", Level::Warn)]).is_empty());
    assert!(bench.tell().is_empty());
    assert_eq!(bench.look(&[is("a", Level::Fail)]), [ChangeKind::Worse]);
    assert_eq!(bench.tell(), ["worse a"]);
    assert!(bench.look_for(MINUTE, &[is("a", Level::Warn)]).is_empty());
    assert_eq!(bench.look_for(2 * MINUTE, &[is("a", Level::Warn)]), [ChangeKind::Better]);
    assert_eq!(bench.tell(), ["better a"]);
    assert_eq!(bench.look_for(3 * MINUTE, &[]), [ChangeKind::Recovered]);
    assert_eq!(bench.tell(), ["recovered a"]);
    bench.look_for(2 * HOUR, &[]);
    assert!(bench.tell().is_empty() && bench.ledger.alarms.is_empty());
}

#[test]
fn what_still_stands_is_told_again_each_day() {
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn)]);
    bench.tell();
    bench.look_for(24 * HOUR - MINUTE, &[is("a", Level::Warn)]);
    assert!(bench.tell().is_empty());
    // Over a restart, too, but for what was not written down yet.
    bench.ledger = serde_json::from_str(&serde_json::to_string(&bench.ledger).unwrap()).unwrap();
    bench.ledger.meet(vec![bench.way.clone()], &[], bench.now);
    bench.look_for(11 * MINUTE, &[is("a", Level::Warn)]);
    assert_eq!(bench.tell(), ["reminder a"]);
    assert!(bench.tell().is_empty());
}

#[test]
fn a_clock_that_is_set_reminds_nobody_s28_i14() {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn)]);
    assert_eq!(bench.tell(), ["raised a"]);
    for (back, by) in [(true, days(400)), (false, days(400)), (false, days(2)), (true, days(2))] {
        bench.now = if back { bench.now.before(by) } else { bench.now.after(by) };
        // Who tells asks as soon as anything turns, also before the next look.
        assert!(bench.tell().is_empty());
        bench.look_for(5 * MINUTE, &[is("a", Level::Warn)]);
        assert!(bench.tell().is_empty(), "back {back} by {by:?}");
    }
}

#[test]
fn a_reason_that_is_new_is_told_at_once_and_one_that_comes_and_goes_is_not_i9() {
    let because = |reason| Condition { reason, ..is("a", Level::Warn) };
    let (first, second, third) = (Reason::Timeout, Reason::HashMismatch, Reason::TlsFailed);
    let mut bench = bench();
    bench.look(&[because(first)]);
    assert_eq!(bench.tell(), ["raised a"]);
    assert_eq!(bench.look(&[because(second)]), [ChangeKind::Changed]);
    assert_eq!(bench.tell(), ["changed a"]);
    for reason in [first, second, first, second] {
        assert!(bench.look_for(MINUTE, &[because(reason)]).is_empty());
        assert!(bench.tell().is_empty());
    }
    // Worse and another reason at once is one message.
    let worse = Condition { level: Level::Fail, ..because(third) };
    assert_eq!(bench.look(&[worse]), [ChangeKind::Worse]);
    assert_eq!(bench.tell(), ["worse a"]);
    assert!(bench.tell().is_empty());
    // The next time it begins, everything is new again.
    bench.look_for(2 * HOUR, &[]);
    assert_eq!(bench.tell(), ["recovered a"]);
    bench.look_for(2 * HOUR, &[]);
    assert_eq!(bench.look(&[because(first)]), [ChangeKind::Raised]);
    assert_eq!(bench.look(&[because(second)]), [ChangeKind::Changed]);
}

#[test]
fn a_blink_is_no_end_and_coming_and_going_is_told_less() {
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn)]);
    bench.tell();
    assert!(bench.look_for(MINUTE, &[]).is_empty());
    assert!(bench.look_for(MINUTE, &[is("a", Level::Warn)]).is_empty());
    // Five minutes there, five minutes gone, for four hours: 24 rounds.
    let mut told = Vec::new();
    for _ in 0..24 {
        bench.look_for(5 * MINUTE, &[]);
        told.extend(bench.tell());
        bench.look_for(5 * MINUTE, &[is("a", Level::Warn)]);
        told.extend(bench.tell());
    }
    assert_eq!(told, ["recovered a", "raised a", "recovered a", "raised a"], "{told:?}");
    assert_eq!(bench.look_for(HOUR, &[]), [ChangeKind::Recovered]);
}

#[test]
fn what_cannot_be_seen_neither_begins_nor_ends_i9() {
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn)]);
    bench.tell();
    bench.blind = vec![Source::Status];
    assert!(bench.look_for(24 * HOUR - 2 * MINUTE, &[]).is_empty());
    bench.blind = Vec::new();
    assert_eq!(bench.look_for(3 * MINUTE, &[]), [ChangeKind::Recovered]);
}

#[test]
fn one_alarm_a_key_and_the_worst_counts() {
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn), is("a", Level::Fail), is("a", Level::Warn)]);
    assert_eq!(bench.tell(), ["raised a"]);
    assert_eq!(bench.ledger.standing()[0].level, Level::Fail);
}

#[test]
fn a_way_that_was_down_learns_how_things_stand_r24() {
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn), is("b", Level::Warn)]);
    for _ in 0..3 {
        let items = bench.next();
        assert_eq!(items.len(), 1);
        bench.ledger.failed("pager", "gone", bench.now);
    }
    // a ends unheard, b becomes a failure, c begins.
    bench.look_for(5 * MINUTE, &[is("b", Level::Fail), is("c", Level::Warn)]);
    let mut told = bench.tell();
    told.sort();
    assert_eq!(told, ["passed a", "raised b", "raised c"]);
}

#[test]
fn what_cannot_be_told_keeps_nothing_else_back() {
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn), is("b", Level::Warn)]);
    let mut tried = Vec::new();
    for _ in 0..4 {
        tried.push(bench.next()[0].alarm.key.clone());
        bench.ledger.failed("pager", "400", bench.now);
    }
    assert_eq!(tried, ["a", "b", "a", "b"]);
}

#[test]
fn many_at_once_are_one_message() {
    let mut bench = bench();
    let many: Vec<Condition> = (0..60).map(|number| is(&format!("k{number:02}"), Level::Warn)).collect();
    bench.look(&many);
    let told = bench.tell();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0].split(", ").count(), 50);
}

#[test]
fn quiet_hours_keep_what_can_wait() {
    let mut bench = bench().quiet("22:00-06:00", true);
    bench.way.quiet = true;
    bench.at("2026-11-20T22:30:00Z"); // 23:30 in Berlin
    bench.look(&[is("a", Level::Warn), is("disk", Level::Fail), is("c", Level::Warn)]);
    assert_eq!(bench.tell(), ["raised disk"]);
    bench.look_for(10 * MINUTE, &[is("a", Level::Warn)]);
    // The end of what broke through is told; c began and ended in the night.
    assert_eq!(bench.tell(), ["recovered disk"]);
    bench.at("2026-11-21T04:59:00Z");
    bench.look(&[is("a", Level::Warn)]);
    assert!(bench.tell().is_empty());
    bench.at("2026-11-21T05:00:00Z");
    bench.look(&[is("a", Level::Warn)]);
    assert_eq!(bench.tell(), ["raised a, passed c"]);
    assert!(bench.tell().is_empty());
}

#[test]
fn quiet_hours_without_exception_and_a_way_that_has_none() {
    for (way_quiet, expected) in [(true, 0), (false, 1)] {
        let mut bench = bench().quiet("22:00-06:00", false);
        bench.way.quiet = way_quiet;
        bench.at("2026-11-20T22:30:00Z");
        bench.look(&[is("disk", Level::Fail)]);
        assert_eq!(bench.tell().len(), expected);
    }
}

#[test]
fn a_night_in_which_clocks_change_r10() {
    // 2026-03-29 in Berlin: 06:00 is at 04:00 UTC; the day before it was at 05:00 UTC.
    let mut bench = bench().quiet("22:00-06:00", true);
    bench.way.quiet = true;
    bench.at("2026-03-28T21:00:00Z");
    bench.look(&[is("a", Level::Warn)]);
    assert!(bench.tell().is_empty());
    bench.at("2026-03-29T03:59:59Z");
    assert!(bench.tell().is_empty());
    bench.at("2026-03-29T04:00:00Z");
    assert_eq!(bench.tell(), ["raised a"]);
}

#[test]
fn a_way_is_told_what_it_wants() {
    let mut bench = bench();
    bench.way.level = Level::Fail;
    bench.way.reasons = vec![Reason::DiskFull];
    bench.ledger.meet(vec![bench.way.clone()], &[], start());
    bench.look(&[is("disk", Level::Warn), is("a", Level::Fail)]);
    assert!(bench.tell().is_empty());
    bench.look(&[is("disk", Level::Fail), is("a", Level::Fail)]);
    assert_eq!(bench.tell(), ["raised disk"]);
    // What it was told of goes on for it, though it is milder now.
    bench.look_for(3 * MINUTE, &[is("disk", Level::Warn)]);
    assert_eq!(bench.tell(), ["better disk"]);
    bench.look_for(3 * MINUTE, &[]);
    assert_eq!(bench.tell(), ["recovered disk"]);
    bench.look_for(2 * HOUR, &[]);
    assert_eq!((bench.ledger.alarms.len(), bench.ledger.dropped()), (0, 0));
}

#[test]
fn what_has_passed_is_told_once() {
    let mut bench = bench();
    let condition = Condition::new(Source::Process, "was_down", Reason::WasDown, start().before(HOUR));
    let events = vec![Event { condition, until: start() }];
    let changes = bench.ledger.observe(Sight { events, ..Sight::clear(bench.now) }, &DAMPING);
    assert_eq!(changes[0].kind, ChangeKind::Passed);
    assert_eq!(bench.tell(), ["passed was_down"]);
    bench.look_for(2 * HOUR, &[]);
    assert!(bench.tell().is_empty() && bench.ledger.alarms.is_empty());
}

#[test]
fn what_happens_again_and_again_is_counted_and_told_each_hour() {
    let mut bench = bench();
    let happen = |bench: &mut Bench| {
        let condition = Condition::new(Source::Process, "was_down", Reason::WasDown, bench.now).because("it died");
        let events = vec![Event { condition, until: bench.now }];
        bench.ledger.observe(Sight { events, ..Sight::clear(bench.now) }, &DAMPING);
    };
    // A process that dies every ten seconds, for three hours; each begins with what the one before kept.
    let mut told = Vec::new();
    for _ in 0..3 * 360 {
        happen(&mut bench);
        bench.ledger = serde_json::from_str(&serde_json::to_string(&bench.ledger).unwrap()).unwrap();
        bench.ledger.meet(vec![bench.way.clone()], &[], bench.now);
        if let Some(item) = bench.next().first() {
            told.push(item.alarm.detail.clone());
        }
        bench.tell();
        bench.now = bench.now.after(Duration::from_secs(10));
    }
    assert_eq!(told[..2], ["it died", "361 times since 2026-11-20T12:00:00Z, at last: it died"]);
    assert_eq!((told.len(), bench.ledger.alarms.len()), (3, 1), "{told:?}");
    // What was not told yet is, though nothing more happens; then it is forgotten, and the next one is news.
    bench.look_for(HOUR, &[]);
    assert_eq!(bench.tell(), ["passed was_down"]);
    bench.look_for(3 * HOUR, &[]);
    assert!(bench.tell().is_empty() && bench.ledger.alarms.is_empty());
    happen(&mut bench);
    assert_eq!(bench.next()[0].alarm.detail, "it died");
    assert_eq!(bench.tell(), ["passed was_down"]);
}

#[test]
fn a_clock_that_jumps_a_month_forgets_nothing_that_was_not_told_s28_i14() {
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn)]);
    bench.tell();
    bench.look_for(5 * MINUTE, &[]);
    bench.now = bench.now.after(30 * 24 * HOUR);
    bench.look(&[]);
    assert_eq!((bench.ledger.dropped(), bench.tell()), (0, vec!["recovered a".to_owned()]));
    // A way that cannot be told for a week of looking is told no more.
    bench.look(&[is("b", Level::Warn)]);
    bench.tell();
    bench.look_for(7 * 24 * HOUR, &[]);
    assert_eq!(bench.ledger.dropped(), 0);
    bench.look_for(HOUR, &[]);
    assert_eq!((bench.ledger.dropped(), bench.tell().len()), (1, 0));
}

#[test]
fn what_is_left_of_a_damaged_ledger_ends_what_was_told_s41() {
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn), is("b", Level::Fail)]);
    bench.tell();
    let whole = serde_json::to_vec(&bench.ledger).unwrap();
    for end in 0..=whole.len() {
        bench.ledger = Ledger::salvage(&whole[..end]);
        bench.ledger.meet(vec![bench.way.clone()], &[], bench.now);
        assert!(bench.tell().is_empty(), "nothing is told twice: {end}");
    }
    assert_eq!(bench.ledger.last_number(), 2);
    bench.look_for(3 * MINUTE, &[is("b", Level::Fail)]);
    assert_eq!(bench.tell(), ["recovered a"]);
    bench.look(&[is("b", Level::Fail), is("c", Level::Warn)]);
    assert_eq!(bench.ledger.alarms["c"].number, 3);
}

#[test]
fn a_new_way_is_told_what_stands_and_not_what_is_over() {
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn), is("b", Level::Warn)]);
    bench.tell();
    bench.look_for(3 * MINUTE, &[is("a", Level::Warn)]);
    bench.way = Way::new("mail");
    bench.ledger.meet(vec![bench.way.clone()], &[], bench.now);
    assert_eq!(bench.tell(), ["raised a"]);
    assert!(!bench.ledger.ways().contains_key("pager"));
}

#[test]
fn a_way_is_not_told_of_itself() {
    let mut bench = bench();
    bench.ledger.meet(vec![Way::new("pager"), Way::new("mail")], &[], start());
    let key = crate::book::way_key("pager");
    let condition = Condition::new(Source::Ways, &key, Reason::AlarmFailed, start());
    bench.look(&[condition]);
    assert!(bench.tell().is_empty());
    bench.way = Way::new("mail");
    assert_eq!(bench.tell(), ["raised alarm_failed/pager"]);
}

#[test]
fn a_clock_that_jumps_keeps_nothing_from_being_told_s28_i14() {
    for jump in [-365 * 24, -1, 1, 365 * 24] {
        let mut bench = bench();
        bench.look(&[is("a", Level::Warn), is("b", Level::Warn)]);
        bench.tell();
        let hours = Duration::from_secs(3600 * u64::try_from(i64::abs(jump)).unwrap());
        bench.now = if jump < 0 { bench.now.before(hours) } else { bench.now.after(hours) };
        let changes = bench.look_for(10 * MINUTE, &[is("b", Level::Warn)]);
        assert_eq!(changes, [ChangeKind::Recovered], "{jump}");
        let told = bench.tell();
        assert!(told.contains(&"recovered a".to_owned()), "{jump}: {told:?}");
        bench.look_for(25 * HOUR, &[is("b", Level::Warn)]);
        assert_eq!(bench.tell(), ["reminder b"], "{jump}");
    }
}

#[test]
fn it_reads_back_and_a_restart_repeats_nothing() {
    let mut bench = bench();
    bench.look(&[is("a", Level::Warn), is("b", Level::Fail)]);
    bench.tell();
    let text = serde_json::to_string(&bench.ledger).unwrap();
    bench.ledger = serde_json::from_str(&text).unwrap();
    bench.ledger.meet(vec![bench.way.clone()], &[], bench.now);
    bench.look_for(MINUTE, &[is("a", Level::Warn), is("b", Level::Fail)]);
    assert!(bench.tell().is_empty());
    bench.look_for(3 * MINUTE, &[is("a", Level::Warn)]);
    assert_eq!(bench.tell(), ["recovered b"]);
}

#[test]
fn nothing_grows_without_end_i6() {
    let mut bench = bench();
    for round in 0..20 {
        let many: Vec<Condition> = (0..100).map(|number| is(&format!("{round}/{number}"), Level::Warn)).collect();
        bench.look(&many);
        bench.look_for(3 * MINUTE, &[]);
    }
    assert!(bench.ledger.alarms.len() <= MOST_STANDING + MOST_OVER);
    assert!(bench.ledger.dropped() > 0);
    let crowd: Vec<Condition> = (0..2000).map(|number| is(&format!("x/{number}"), Level::Warn)).collect();
    bench.look(&crowd);
    assert_eq!(bench.ledger.standing().len(), MOST_STANDING);
    bench.tell();
    bench.look_for(2 * HOUR, &[]);
    bench.tell();
    bench.look_for(2 * HOUR, &[]);
    assert!(bench.ledger.alarms.is_empty() && bench.ledger.ways()["pager"].told.is_empty());
}
