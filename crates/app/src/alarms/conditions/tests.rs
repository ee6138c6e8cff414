//! From what is seen to what is wrong, by tables.

mod serving;

use std::time::Duration;

use alarm::Condition;
use mirror::{FeedStatus, ReleaseStatus, RingStatus, Status};
use model::{
    Attestation, Checked, Clocks, FeedId, Finding, Level, Measure, Note, Outcome, Provenance, Reason, ReleaseState,
    RingName, SourcedTime, TimeSource, Timestamp, Trust, Vendor,
};

use self::serving::{content_of, stats};
use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const GIB: u64 = 1 << 30;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T12:00:00Z").unwrap()
}

fn rules() -> Rules {
    Rules {
        failures: 2,
        schedules: vec![(Vendor::Elastic, HOUR), (Vendor::Defender, 4 * HOUR)],
        reserve: GIB,
        endpoints_silent_after: Some(24 * HOUR),
        certificate: (21 * 24 * HOUR, 7 * 24 * HOUR),
    }
}

fn feed(name: &str) -> FeedStatus {
    FeedStatus {
        feed: name.parse().unwrap(),
        followed: true,
        outcome: Some(Outcome::Current),
        reason: None,
        detail: None,
        besides: None,
        remedy: None,
        offered: None,
        mark: None,
        served: None,
        first_checked_at: Some(now().before(48 * HOUR)),
        checked_at: Some(now()),
        succeeded_at: Some(now()),
        changed_at: None,
        failures: 0,
        clocks: Clocks::default(),
        notes: Vec::new(),
    }
}

fn failed(name: &str, reason: Reason, failures: u32) -> FeedStatus {
    let succeeded_at = Some(now().before(HOUR));
    let detail = Some(format!("{name} went wrong"));
    FeedStatus { outcome: Some(Outcome::Failed), reason: Some(reason), failures, succeeded_at, detail, ..feed(name) }
}

fn status(feeds: Vec<FeedStatus>) -> Status {
    Status {
        at: now(),
        ring: RingStatus { ring: RingName::broad(), generation: 1, since: None, routes: 1, in_grace: 0, fault: None },
        feeds,
        quarantined: Vec::new(),
        host_waits: Vec::new(),
        free_bytes: Some(100 * GIB),
        reserve_bytes: GIB,
        freshness: Vec::new(),
        faults: Vec::new(),
        notices: Vec::new(),
    }
}

fn finding(name: &str, measure: Measure, level: Level, reason: Reason) -> Finding {
    Finding {
        feed: name.parse().unwrap(),
        ring: None,
        measure,
        level,
        since: SourcedTime { at: now().before(72 * HOUR), source: TimeSource::LastSuccess },
        age_seconds: 72 * 3600,
        warn_seconds: 48 * 3600,
        fail_seconds: 120 * 3600,
        reason: Some(reason),
    }
}

/// Key and level of each, and nothing else.
fn seen(conditions: &[Condition]) -> Vec<String> {
    let mut seen: Vec<String> = conditions
        .iter()
        .map(|condition| format!("{} {} {}", condition.level(), condition.reason(), condition.key()))
        .collect();
    seen.sort();
    seen
}

fn of(status: &Status) -> Vec<String> {
    seen(&of_status(status, &rules(), &Past::default()))
}

#[test]
fn all_is_well_and_nothing_is_said() {
    assert!(of(&status(vec![feed("elastic/9.0.0"), feed("defender/linux/production/x86_64")])).is_empty());
}

#[test]
fn a_vendor_that_cannot_be_reached_is_one_condition_for_all_its_feeds_i9() {
    let one = failed("elastic/9.0.0", Reason::ConnectFailed, 1);
    assert!(of(&status(vec![one])).is_empty(), "one run may fail");
    let feeds =
        ["9.0.0", "9.1.0", "8.18.3"].map(|version| failed(&format!("elastic/{version}"), Reason::ConnectFailed, 2));
    let mut feeds = feeds.to_vec();
    feeds[2].reason = Some(Reason::Timeout);
    let conditions = of_status(&status(feeds), &rules(), &Past::default());
    assert_eq!(seen(&conditions), ["warn connect_failed failing/elastic/network"]);
    assert_eq!(conditions[0].subject(), "elastic: 3 feeds");
    assert!(conditions[0].detail().contains(
        "elastic/8.18.3: elastic/8.18.3 went wrong (2 runs in a row; last in order at 2026-11-20T11:00:00Z)"
    ));
    assert_eq!(conditions[0].since(), now().before(HOUR));
}

#[test]
fn one_run_that_failed_is_told_once_it_lasts() {
    let mut one = failed("elastic/9.0.0", Reason::ConnectFailed, 1);
    one.succeeded_at = Some(now().before(3 * HOUR));
    assert_eq!(of(&status(vec![one])), ["warn connect_failed failing/elastic/network"]);
}

#[test]
fn each_feed_has_its_own_failures_u12() {
    let feeds = vec![failed("elastic/9.0.0", Reason::NotFound, 2), failed("elastic/9.1.0", Reason::BadZip, 5)];
    assert_eq!(of(&status(feeds)), ["warn bad_zip failing/elastic/9.1.0", "warn not_found failing/elastic/9.0.0"]);
    let mut left = failed("elastic/9.0.0", Reason::NotFound, 9);
    left.followed = false;
    assert!(of(&status(vec![left])).is_empty(), "what is not followed concerns nobody");
}

#[test]
fn what_is_lost_while_an_offer_waits_or_the_vendor_is_down_is_told_at_once_s16_i9() {
    let lost = Some(Note { reason: Reason::BlobMissing, detail: "it belongs to release 3".to_owned() });
    let waits = FeedStatus { outcome: Some(Outcome::Quarantined), besides: lost.clone(), ..feed("elastic/9.0.0") };
    let down = FeedStatus { besides: lost, ..failed("elastic/9.1.0", Reason::ConnectFailed, 1) };
    let conditions = of_status(&status(vec![waits, down]), &rules(), &Past::default());
    assert_eq!(seen(&conditions), ["warn blob_missing beside/elastic/9.0.0", "warn blob_missing beside/elastic/9.1.0"]);
    assert_eq!(conditions[0].detail(), "it belongs to release 3");
}

#[test]
fn what_is_stale_because_it_fails_is_told_once_and_as_bad_as_it_is_u41() {
    let mut status = status(vec![failed("elastic/9.0.0", Reason::ConnectFailed, 30)]);
    status.freshness = vec![
        finding("elastic/9.0.0", Measure::Check, Level::Fail, Reason::NotChecked),
        finding("elastic/9.0.0", Measure::Age, Level::Warn, Reason::ContentOld),
    ];
    assert_eq!(of(&status), ["fail connect_failed failing/elastic/network"]);
}

#[test]
fn a_vendor_that_is_silent_and_a_mirror_that_does_not_look_are_told_apart_u41() {
    let names = ["elastic/9.0.0", "elastic/9.1.0"];
    let mut status = status(names.map(feed).to_vec());
    status.freshness = names.map(|name| finding(name, Measure::Check, Level::Warn, Reason::NotChecked)).to_vec();
    let conditions = of_status(&status, &rules(), &Past::default());
    assert_eq!(seen(&conditions), ["warn not_checked check/elastic"]);
    assert_eq!(conditions[0].subject(), "elastic: 2 feeds");
    assert!(
        conditions[0]
            .detail()
            .contains("not checked with success for 3 d, limit 2 d; counted from 2026-11-17T12:00:00Z"),
        "{conditions:?}"
    );
    status.freshness = vec![finding("elastic/9.0.0", Measure::Age, Level::Warn, Reason::VendorSilent)];
    assert_eq!(of(&status), ["warn vendor_silent age/elastic/9.0.0"]);
}

#[test]
fn a_vendor_that_was_not_asked_counts_feeds_and_tells_when_it_was_asked_u41() {
    let names = ["elastic/9.0.0", "elastic/9.1.0"];
    let mut status = status(names.map(feed).to_vec());
    for name in names {
        let check = finding(name, Measure::Check, Level::Warn, Reason::NotChecked);
        let mut age = finding(name, Measure::Age, Level::Fail, Reason::NotChecked);
        age.since = SourcedTime { at: now().before(500 * HOUR), source: TimeSource::Held };
        age.age_seconds = 500 * 3600;
        status.freshness.extend([age, check]);
    }
    let conditions = of_status(&status, &rules(), &Past::default());
    assert_eq!(seen(&conditions), ["fail not_checked check/elastic"]);
    assert_eq!(conditions[0].subject(), "elastic: 2 feeds");
    assert_eq!(conditions[0].since(), now().before(72 * HOUR));
    assert!(conditions[0].detail().contains("not checked with success for 3 d, limit 2 d"), "{conditions:?}");
}

#[test]
fn another_reason_is_no_recovery_i9() {
    let keys = |status: &Status, past: &Past| -> Vec<String> {
        of_status(status, &rules(), past).iter().map(|condition| condition.key().to_owned()).collect()
    };
    let first = status(vec![failed("elastic/9.0.0", Reason::NotFound, 2)]);
    let then = status(vec![failed("elastic/9.0.0", Reason::BadZip, 3)]);
    assert_eq!(keys(&first, &Past::default()), keys(&then, &Past::default()));

    let mut stale = status(vec![feed("elastic/9.0.0")]);
    stale.freshness = vec![finding("elastic/9.0.0", Measure::Age, Level::Warn, Reason::ContentOld)];
    let told = keys(&stale, &Past::default());
    assert_eq!(told, ["age/elastic/9.0.0"]);
    let past = Past { standing: told.iter().cloned().collect(), ..Past::default() };
    for reason in [Reason::VendorSilent, Reason::NotChecked, Reason::ClockJumped] {
        stale.freshness[0].reason = Some(reason);
        assert_eq!(keys(&stale, &past), told, "{reason}");
    }
    // Nor when the feed fails by now.
    stale.feeds = vec![failed("elastic/9.0.0", Reason::ConnectFailed, 2)];
    assert_eq!(keys(&stale, &past), ["failing/elastic/network", "age/elastic/9.0.0"]);
}

#[test]
fn who_has_only_begun_is_about_to_ask() {
    let began = now().before(HOUR / 60);
    let mut known = feed("elastic/9.0.0");
    known.checked_at = Some(now().before(72 * HOUR));
    let mut status = status(vec![known]);
    status.freshness = vec![finding("elastic/9.0.0", Measure::Check, Level::Fail, Reason::NotChecked)];
    let of = |status: &Status, runs, standing: &[&str]| {
        let standing = standing.iter().map(|key| (*key).to_owned()).collect();
        seen(&of_status(status, &rules(), &Past { standing, began: Some((began, runs)), stepped: Vec::new() }))
    };
    let told = ["fail not_checked check/elastic"];
    assert!(of(&status, Duration::ZERO, &[]).is_empty());
    assert!(of(&status, HOUR / 6, &[]).is_empty());
    assert_eq!(of(&status, HOUR / 6 + Duration::from_secs(1), &[]), told, "a first run that hangs is told");
    assert_eq!(of(&status, Duration::ZERO, &["check/elastic"]), told, "what was told before has not recovered");
    status.feeds[0].checked_at = Some(now());
    assert_eq!(of(&status, Duration::ZERO, &[]), told, "it was asked, in vain");
    status.freshness = vec![finding("elastic/9.0.0", Measure::Age, Level::Fail, Reason::ContentOld)];
    status.feeds[0].checked_at = Some(now().before(72 * HOUR));
    assert_eq!(of(&status, Duration::ZERO, &[]), ["fail content_old age/elastic/9.0.0"]);
}

#[test]
fn a_clock_set_forward_is_waited_out_for_one_schedule_s28() {
    let mut known = feed("elastic/9.0.0");
    known.checked_at = Some(now().before(240 * HOUR));
    let mut status = status(vec![known]);
    status.freshness = vec![finding("elastic/9.0.0", Measure::Check, Level::Fail, Reason::NotChecked)];
    let of = |status: &Status, ago| {
        let step = Step::made(now().before(HOUR / 60), 200 * HOUR, true);
        let past = Past { stepped: vec![(step, ago)], ..Past::default() };
        seen(&of_status(status, &rules(), &past))
    };
    let told = ["fail not_checked check/elastic"];
    assert!(of(&status, HOUR).is_empty(), "its time has not come since");
    assert_eq!(of(&status, 2 * HOUR), told);
    status.feeds[0].checked_at = Some(now());
    assert_eq!(of(&status, HOUR), told, "it was asked since, in vain");
}

#[test]
fn what_a_step_of_the_clock_adds_to_an_age_is_told_as_the_step_s28_i9() {
    let mut status = status(vec![feed("elastic/9.0.0")]);
    let at_level = |level| finding("elastic/9.0.0", Measure::Age, level, Reason::VendorSilent);
    let of = |status: &Status, steps: &[(Duration, u64)], standing: &[&str]| {
        let step = |(ago, hours): &(Duration, u64)| {
            (Step::made(now().before(*ago), HOUR * u32::try_from(*hours).unwrap(), true), *ago)
        };
        let standing = standing.iter().map(|key| (*key).to_owned()).collect();
        seen(&of_status(status, &rules(), &Past { standing, stepped: steps.iter().map(step).collect(), began: None }))
    };
    let told = ["warn vendor_silent age/elastic/9.0.0"];
    // It is 72 hours old by the clock, the limit is 48.
    status.freshness = vec![at_level(Level::Warn)];
    assert_eq!(of(&status, &[], &[]), told);
    assert!(of(&status, &[(HOUR, 24)], &[]).is_empty());
    assert!(of(&status, &[(HOUR, 12), (HOUR / 2, 12)], &[]).is_empty());
    assert_eq!(of(&status, &[(2 * HOUR, 24)], &[]), told, "the clock stayed so for longer than a schedule");
    assert_eq!(of(&status, &[(HOUR, 23)], &[]), told, "it is old by itself");
    assert_eq!(of(&status, &[(80 * HOUR, 24)], &[]), told, "it came after the clock was set");
    // 130 hours by the clock, of which 24 are none: a warning and no failure.
    let aged = |level| {
        let mut finding = at_level(level);
        finding.since.at = now().before(130 * HOUR);
        finding.age_seconds = 130 * 3600;
        finding
    };
    status.freshness = vec![aged(Level::Fail)];
    assert_eq!(of(&status, &[(HOUR, 24)], &[]), told);
    assert_eq!(of(&status, &[(HOUR, 9)], &[]), ["fail vendor_silent age/elastic/9.0.0"]);
}

#[test]
fn times_ahead_of_the_clock_are_one_alarm_for_all_feeds_s28_i9() {
    let names = ["elastic/9.0.0", "elastic/9.1.0", "defender/linux/production/x86_64"];
    let mut status = status(names.map(feed).to_vec());
    for name in names {
        for (measure, level) in [(Measure::Check, Level::Warn), (Measure::Age, Level::Fail)] {
            status.freshness.push(finding(name, measure, level, Reason::ClockJumped));
        }
    }
    let conditions = of_status(&status, &rules(), &Past::default());
    assert_eq!(seen(&conditions), ["fail clock_jumped clock_jumped"]);
    assert!(conditions[0].detail().contains("of elastic/9.0.0 and of 2 more lie ahead"), "{conditions:?}");
    // The step is told with it, once: not beside it, and not again by a later one.
    let step = Step::made(now(), HOUR, false);
    let mut sight = alarm::Sight { conditions, ..alarm::Sight::clear(now()) };
    step.tell(&mut sight, &std::collections::BTreeSet::new());
    assert!(sight.events.is_empty());
    assert!(sight.conditions[0].detail().starts_with("it went back by 3600 s at 2026-11-20T12:00:00Z; times on "));
    step.tell(&mut sight, &["clock_jumped".to_owned()].into());
    assert_eq!(sight.events[0].condition.reason(), Reason::ClockStepped);
}

#[test]
fn one_cause_of_a_folder_or_a_route_is_one_alarm_i9() {
    let is = |reason, key: &str| Condition::new(alarm::Source::Content, key, reason, now()).at_level(Level::Fail);
    let kept = |reasons: &[Reason]| {
        let all = reasons.iter().map(|reason| is(*reason, reason.code())).collect();
        without_echoes(all).iter().map(Condition::reason).collect::<Vec<_>>()
    };
    let folder = [Reason::FolderGone, Reason::AlarmStateFailed, Reason::GenerationRefused, Reason::RoutesBroken];
    assert_eq!(kept(&folder), [Reason::FolderGone]);
    let another = [Reason::AnotherHistory, Reason::GenerationRefused, Reason::RoutesBroken];
    assert_eq!(kept(&another), [Reason::AnotherHistory]);
    assert_eq!(kept(&folder[1..3]), folder[1..3]);
    assert_eq!(kept(&[Reason::BlobDamaged, Reason::RoutesBroken]), [Reason::RoutesBroken]);
    assert_eq!(kept(&[Reason::BlobDamaged]), [Reason::BlobDamaged]);
}

#[test]
fn a_ring_whose_files_are_gone_is_told_as_lost_i9() {
    let mut status = status(vec![]);
    status.ring.fault = Some(Note { reason: Reason::RingLost, detail: "no generation of it is there".to_owned() });
    let mut conditions = of_status(&status, &rules(), &Past::default());
    let stats = stats(0, Some("its generations are gone from the data folder"));
    conditions.extend(of_content(&content_of(&stats), now(), &rules()));
    assert_eq!(seen(&without_echoes(conditions)), ["fail ring_lost ring/broad"]);
}

#[test]
fn an_older_copy_of_a_ring_is_told_as_that_and_not_as_damage_s40() {
    let mut stats = stats(0, None);
    let detail = "the folder went back to generation 3, 5 is served".to_owned();
    stats.rings[0].refused = Some(Note { reason: Reason::RingWentBack, detail });
    let conditions = of_content(&content_of(&stats), now(), &rules());
    assert_eq!(seen(&conditions), ["fail ring_went_back ring_went_back/broad"]);
    assert!(conditions[0].reason().remedy().starts_with("Nothing is damaged. "));
}

#[test]
fn what_waits_for_the_operator_u38_u39() {
    let feed_id: FeedId = "elastic/9.0.0".parse().unwrap();
    let held = model::Digest::of(b"x");
    let mut status = status(vec![FeedStatus { outcome: Some(Outcome::Quarantined), ..feed("elastic/9.0.0") }]);
    status.quarantined = vec![ReleaseStatus {
        number: 4,
        id: serde_json::from_value(serde_json::json!(held.to_string())).unwrap(),
        feed: feed_id,
        vendor_version: model::VendorVersion::plain("1.0.3".parse().unwrap()),
        vendor_time: None,
        state: ReleaseState::Quarantined,
        state_since: now().before(HOUR),
        held_since: now().before(HOUR),
        trust: Trust { checked: Checked::TransportOnly, attested_by: Attestation::Folder },
        reasons: vec![Note { reason: Reason::VersionRegression, detail: "1.0.3 after 1.0.9".to_owned() }],
        notes: Vec::new(),
        files: 1,
        bytes: 1,
        provenance: Provenance::default(),
    }];
    status.freshness = vec![finding("elastic/9.0.0", Measure::Age, Level::Fail, Reason::ContentOld)];
    let conditions = of_status(&status, &rules(), &Past::default());
    let key = format!("fail version_regression quarantined/elastic/9.0.0/{}", held.short());
    assert_eq!(seen(&conditions), [key.as_str()]);
    assert!(conditions[0].detail().contains("release 4, version 1.0.3: 1.0.3 after 1.0.9"), "{conditions:?}");
    // That the vendor is not asked has another cause, and is told beside it.
    status.freshness.push(finding("elastic/9.0.0", Measure::Check, Level::Fail, Reason::NotChecked));
    assert_eq!(of(&status), ["fail not_checked check/elastic", key.as_str()]);
    // What is followed no longer waits for nobody.
    status.freshness.clear();
    status.feeds[0].followed = false;
    assert!(of(&status).is_empty());
    status.feeds.clear();
    assert!(of(&status).is_empty());
}

#[test]
fn disk_ring_hosts_and_damage_s30_s16_u15() {
    for (free, expected) in
        [(3 * GIB, None), (2 * GIB - 1, Some("warn disk_low disk")), (GIB - 1, Some("fail disk_full disk"))]
    {
        let mut status = status(vec![]);
        status.free_bytes = Some(free);
        assert_eq!(of(&status).first().map(String::as_str), expected);
    }
    let mut full = status(vec![failed("elastic/9.0.0", Reason::DiskFull, 1)]);
    full.free_bytes = Some(GIB / 2);
    assert_eq!(
        without_echoes(of_status(&full, &rules(), &Past::default()))
            .iter()
            .map(Condition::key)
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        1
    );
    let mut ring = status(vec![]);
    ring.ring.fault = Some(Note { reason: Reason::StoreFailed, detail: "gone".to_owned() });
    assert_eq!(of(&ring), ["fail store_failed ring/broad"]);
    let mut waits = status(vec![]);
    waits.host_waits = vec![("a.test".to_owned(), now().after(HOUR / 2)), ("b.test".to_owned(), now().after(5 * HOUR))];
    assert_eq!(of(&waits), ["warn rate_limited waits/b.test"]);
    assert_eq!(
        of(&status(vec![failed("elastic/9.0.0", Reason::BlobDamaged, 1)])),
        ["fail blob_damaged failing/elastic/9.0.0"]
    );
    // The step that `_back` made for want of its bytes is told by one run alone.
    let defender = "defender/linux/production/x86_64";
    let lost = of(&status(vec![failed(defender, Reason::BlobMissing, 1)]));
    assert_eq!(lost, [format!("warn blob_missing failing/{defender}")]);
}

#[test]
fn what_only_follows_is_not_told() {
    let mut status = status(vec![failed("elastic/9.0.0", Reason::BlobDamaged, 1)]);
    status.ring.fault = Some(Note { reason: Reason::StoreFailed, detail: "gone".to_owned() });
    status.freshness =
        vec![finding("defender/linux/production/x86_64", Measure::Check, Level::Fail, Reason::NotChecked)];
    let mut conditions = of_status(&status, &rules(), &Past::default());
    let stats = stats(1, Some("gone"));
    conditions.extend(of_content(&content_of(&stats), now(), &rules()));
    let stalled =
        Condition::new(Source::Process, "schedule_stalled/defender", Reason::ScheduleStalled, now()).on("defender");
    conditions.push(stalled);
    assert_eq!(
        seen(&without_echoes(conditions)),
        [
            "fail generation_refused generation_refused/broad",
            "fail routes_broken routes_broken/broad",
            "fail schedule_stalled schedule_stalled/defender",
        ]
    );
}

/// Every reason that stands in the sources that make conditions; a feed's own reasons are in reason-codes.md.
#[test]
fn the_page_of_alarms_names_every_reason_i9() {
    let sources = [
        include_str!("../../alarms.rs"),
        include_str!("../conditions.rs"),
        include_str!("content.rs"),
        include_str!("../vitals.rs"),
        include_str!("../standing.rs"),
        include_str!("../mended.rs"),
        include_str!("../../place.rs"),
        include_str!("../kept.rs"),
        include_str!("../../heads.rs"),
        include_str!("../../heads/error.rs"),
        include_str!("../../trees.rs"),
        include_str!("../../learned.rs"),
        include_str!("../../../../content-http/src/watch.rs"),
        include_str!("../../../../mirror/src/lost.rs"),
        include_str!("../../../../mirror/src/broken.rs"),
        include_str!("../../../../mirror/src/freshness.rs"),
    ];
    let page = include_str!("../../../../../docs/alarms.md");
    let (_, table) = page.split_once("## What can be wrong").unwrap();
    let named: std::collections::BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.split("Reason::").skip(1))
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next())
        .collect();
    // Notes on a feed's date, and what waits on a host, are no alarms of their own.
    let own = [Reason::DateNotBelieved, Reason::RateLimited];
    let missing: Vec<&str> = Reason::ALL
        .iter()
        .filter(|reason| named.contains(format!("{reason:?}").as_str()) && !own.contains(reason))
        .map(|reason| reason.code())
        .filter(|code| !table.contains(&format!("`{code}`")))
        .collect();
    assert!(named.len() > 20 && missing.is_empty(), "docs/alarms.md lacks {missing:?}");
}
