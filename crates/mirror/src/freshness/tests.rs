#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use model::{Preset, Version};
use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const ELASTIC: &str = "elastic/9.0.0";
const DEFENDER: &str = "defender/linux/production/x86_64";

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
}

fn ago(span: Duration) -> Timestamp {
    now().before(span)
}

fn version(text: &str) -> VendorVersion {
    VendorVersion::plain(text.parse::<Version>().unwrap())
}

fn content(number: &str, held: Duration, dated: Option<Timestamp>) -> Content {
    Content { vendor_version: version(number), vendor_time: dated, held_since: ago(held), state_since: ago(held) }
}

/// A feed that stands as it should: checked an hour ago, holding and serving what the vendor offers since yesterday.
fn well(feed: &str) -> FeedFacts {
    let dated = (feed == DEFENDER).then(|| ago(DAY + HOUR));
    let held = content("1.0.5", DAY, dated);
    FeedFacts {
        record: FeedRecord {
            outcome: Outcome::Current,
            mark: Some(version("1.0.5")),
            offered: Some(version("1.0.5")),
            first_checked_at: ago(DAY * 30),
            checked_at: ago(HOUR),
            succeeded_at: Some(ago(HOUR)),
            changed_at: Some(ago(DAY)),
            ..FeedRecord::new(feed.parse().unwrap(), now())
        },
        offered: Some(held.clone()),
        newest: Some(held.clone()),
        rings: vec![InRing { ring: RingName::broad(), soak: Duration::ZERO, served: Some(held) }],
    }
}

fn look(facts: &FeedFacts) -> Vec<Finding> {
    evaluate([facts], &FreshnessPolicy::preset(Preset::Stig), now())
}

fn of(facts: &FeedFacts, measure: Measure) -> Finding {
    look(facts).into_iter().find(|finding| finding.measure == measure).unwrap()
}

/// What a change to a feed that stood well makes of one measure.
fn check(feed: &str, change: impl FnOnce(&mut FeedFacts), measure: Measure) -> (Level, TimeSource, Option<Reason>) {
    let mut facts = well(feed);
    change(&mut facts);
    let found = of(&facts, measure);
    (found.level, found.since.source, found.reason)
}

#[test]
fn a_feed_that_stands_well_is_fine_in_every_measure() {
    for feed in [ELASTIC, DEFENDER] {
        let found = look(&well(feed));
        let measures: Vec<Measure> = found.iter().map(|finding| finding.measure).collect();
        assert_eq!(measures, Measure::ALL);
        assert!(found.iter().all(|finding| finding.level == Level::Fine && finding.reason.is_none()), "{found:?}");
        assert_eq!((found[0].age_seconds, found[2].age_seconds), (3600, 0));
        assert_eq!(found[2].ring, Some(RingName::broad()));
    }
    assert_eq!(of(&well(DEFENDER), Measure::Age).age_seconds, 25 * 3600, "by the vendor's date");
    assert_eq!(of(&well(ELASTIC), Measure::Age).age_seconds, 24 * 3600, "by the first offer");
}

#[test]
fn a_limit_is_passed_when_it_is_over() {
    for (age, level) in
        [(DAY * 2, Level::Fine), (DAY * 2 + HOUR, Level::Warn), (DAY * 5, Level::Warn), (DAY * 5 + HOUR, Level::Fail)]
    {
        let found = check(ELASTIC, |facts| facts.record.succeeded_at = Some(ago(age)), Measure::Check);
        assert_eq!(found.0, level, "{age:?}");
    }
}

/// The mirror that did not look, the vendor that published nothing, and the offer that was not taken.
#[test]
fn three_silences_have_three_reasons() {
    use Measure::{Age, Check};
    let silent = |facts: &mut FeedFacts| facts.record.succeeded_at = Some(ago(DAY * 6));
    let old = |facts: &mut FeedFacts| {
        for content in [&mut facts.offered, &mut facts.newest].into_iter().flatten() {
            content.held_since = ago(DAY * 9);
        }
        facts.record.changed_at = Some(ago(DAY * 9));
    };
    let fail = |source, reason| (Level::Fail, source, Some(reason));
    assert_eq!(check(ELASTIC, silent, Check), fail(TimeSource::LastSuccess, Reason::NotChecked));
    assert_eq!(check(ELASTIC, old, Age), fail(TimeSource::FirstOffered, Reason::VendorSilent));
    assert_eq!(check(ELASTIC, old, Check), (Level::Fine, TimeSource::LastSuccess, None), "it did look");
    // Who was not asked may have published: nothing is said of the vendor.
    let both = |facts: &mut FeedFacts| {
        silent(facts);
        old(facts);
    };
    assert_eq!(check(ELASTIC, both, Age).2, Some(Reason::NotChecked));
    let newer = |facts: &mut FeedFacts| {
        old(facts);
        facts.record.offered = Some(version("1.0.6"));
        facts.record.changed_at = Some(ago(HOUR));
        facts.offered = None;
    };
    assert_eq!(check(ELASTIC, newer, Age), fail(TimeSource::FirstOffered, Reason::ContentOld));
}

#[test]
fn a_quarantine_is_no_silence_of_the_mirror() {
    let waits = |facts: &mut FeedFacts| {
        facts.record.outcome = Outcome::Quarantined;
        facts.record.succeeded_at = Some(ago(DAY * 6));
        facts.record.offered = Some(version("1.0.6"));
    };
    assert_eq!(check(ELASTIC, waits, Measure::Check), (Level::Fail, TimeSource::LastSuccess, Some(Reason::ContentOld)));
    // Asked no more, it is one again.
    let unasked = |facts: &mut FeedFacts| {
        waits(facts);
        facts.record.checked_at = ago(DAY * 3);
    };
    assert_eq!(check(ELASTIC, unasked, Measure::Check).2, Some(Reason::NotChecked));
    // A regression that is offered for days: the vendor, or something in between, shows old content.
    let back = |facts: &mut FeedFacts| {
        waits(facts);
        facts.record.offered = Some(version("1.0.4"));
    };
    assert_eq!(check(ELASTIC, back, Measure::Check).2, Some(Reason::VendorSilent));
}

#[test]
fn a_feed_that_never_succeeded_ages_from_its_first_check() {
    let never = |facts: &mut FeedFacts| {
        facts.record.succeeded_at = None;
        facts.record.outcome = Outcome::Failed;
        (facts.offered, facts.newest) = (None, None);
        facts.rings[0].served = None;
    };
    let expected = (Level::Fail, TimeSource::FirstCheck, Some(Reason::NotChecked));
    assert_eq!(check(ELASTIC, never, Measure::Check), expected);
    assert_eq!(check(ELASTIC, never, Measure::Age), expected);
    let mut facts = well(ELASTIC);
    never(&mut facts);
    assert!(look(&facts).iter().all(|finding| finding.measure != Measure::Lag), "nothing was admitted that could lack");
}

#[test]
fn a_dated_feed_has_no_age_but_is_checked() {
    let mut facts = well("elastic/8.18.3@2026-01-15");
    facts.newest.as_mut().unwrap().held_since = ago(DAY * 300);
    facts.record.succeeded_at = Some(ago(DAY * 6));
    let measures: Vec<_> = look(&facts).into_iter().map(|finding| (finding.measure, finding.level)).collect();
    assert_eq!(measures, [(Measure::Check, Level::Fail), (Measure::Lag, Level::Fine)]);
}

#[test]
fn a_ring_is_behind_from_the_admission_on_beyond_its_soak() {
    let newer = |soak: Duration, since: Duration| {
        move |facts: &mut FeedFacts| {
            facts.newest = Some(content("1.0.6", since, None));
            facts.rings[0].soak = soak;
        }
    };
    let behind = |level, reason| (level, TimeSource::Admitted, reason);
    for (soak, since, expected) in [
        (Duration::ZERO, HOUR * 24, behind(Level::Fine, None)),
        (Duration::ZERO, HOUR * 25, behind(Level::Warn, Some(Reason::RingBehind))),
        (Duration::ZERO, HOUR * 73, behind(Level::Fail, Some(Reason::RingBehind))),
        (DAY * 2, HOUR * 73, behind(Level::Warn, Some(Reason::RingBehind))),
        (DAY * 3, HOUR * 73, behind(Level::Fine, None)),
        (DAY * 30, HOUR * 73, behind(Level::Fine, None)),
    ] {
        assert_eq!(check(ELASTIC, newer(soak, since), Measure::Lag), expected, "{soak:?} {since:?}");
    }
    let mut facts = well(ELASTIC);
    facts.rings[0].served = None;
    assert_eq!(of(&facts, Measure::Lag).age_seconds, 86_400, "serving nothing is behind, too");
    facts.rings.push(InRing { ring: "canary".parse().unwrap(), ..well(ELASTIC).rings[0].clone() });
    let lags: Vec<_> = look(&facts).into_iter().filter(|finding| finding.measure == Measure::Lag).collect();
    assert_eq!(lags.iter().map(|lag| lag.age_seconds).collect::<Vec<_>>(), [86_400, 0], "each ring by itself");
    let mut policy = FreshnessPolicy::preset(Preset::Stig);
    policy.rings.insert(RingName::broad(), Bound { warn: HOUR, fail: HOUR * 2 });
    let found = evaluate([&facts], &policy, now());
    let levels: Vec<Level> = found.iter().filter(|f| f.measure == Measure::Lag).map(|f| f.level).collect();
    assert_eq!(levels, [Level::Fail, Level::Fine]);
}

#[test]
fn a_vendors_date_is_believed_within_reason() {
    let parse = |text: &str| Timestamp::parse(text).unwrap();
    for (date, believed) in [
        (ago(DAY * 6), true),
        (ago(DAY), true),
        // Its clock or ours may be off by hours, and a zone may have been left out.
        (now().after(HOUR * 20), true),
        (now().after(DAY + HOUR), false),
        (now().after(DAY * 400), false),
        (parse("2009-12-31T23:59:59Z"), false),
        (parse("1970-01-01T00:00:00Z"), false),
        (Timestamp::from_micros(i64::MAX), false),
        (Timestamp::from_micros(i64::MIN), false),
    ] {
        let mut facts = well(DEFENDER);
        for content in [&mut facts.offered, &mut facts.newest].into_iter().flatten() {
            content.vendor_time = Some(date);
        }
        let found = of(&facts, Measure::Age);
        let (clocks, notes) = clocks(&facts, now());
        let source = if believed { TimeSource::VendorDate } else { TimeSource::FirstOffered };
        assert_eq!(clocks.vendor.unwrap().source, source, "{date}");
        assert_eq!(
            notes.iter().map(|note| note.reason).collect::<Vec<_>>(),
            vec![Reason::DateNotBelieved; usize::from(!believed)]
        );
        assert!(found.since.at <= ago(DAY), "nothing counts as younger than its first offer: {date}");
    }
}

/// A date that was absurd when it came does not become good because time passes.
#[test]
fn an_absurd_date_stays_absurd() {
    let mut facts = well(DEFENDER);
    for content in [&mut facts.offered, &mut facts.newest].into_iter().flatten() {
        content.vendor_time = Some(now().after(DAY * 30));
    }
    let later = now().after(DAY * 40);
    facts.record.checked_at = later;
    facts.record.succeeded_at = Some(later);
    let found = evaluate([&facts], &FreshnessPolicy::preset(Preset::Stig), later);
    assert_eq!((found[1].level, found[1].age_seconds / 86_400), (Level::Fail, 41), "{:?}", found[1]);
}

#[test]
fn clocks_name_their_sources() {
    let (elastic, notes) = clocks(&well(ELASTIC), now());
    assert_eq!(elastic.vendor, Some(sourced(ago(DAY), TimeSource::FirstOffered)));
    assert_eq!(elastic.mirror, Some(sourced(ago(DAY), TimeSource::Held)));
    assert_eq!((elastic.endpoint, elastic.inside, notes.len()), (None, None, 0));
    let mut facts = well(ELASTIC);
    facts.offered.as_mut().unwrap().vendor_time = Some(ago(DAY * 9));
    facts.newest.as_mut().unwrap().vendor_time = Some(ago(DAY * 9));
    let (inside, _) = clocks(&facts, now());
    assert_eq!(inside.inside, Some(sourced(ago(DAY * 9), TimeSource::InsideDate)));
    assert_eq!(of(&facts, Measure::Age).age_seconds, 86_400, "nothing ages by a date inside");
    // Offered and refused: nothing is held of it, but when it came is known.
    facts.offered = None;
    facts.record.changed_at = Some(ago(HOUR));
    assert_eq!(clocks(&facts, now()).0.vendor, Some(sourced(ago(HOUR), TimeSource::FirstOffered)));
}

/// The clock was ahead when a check succeeded, or is behind now: an age cannot be told, and none is no age.
#[test]
fn s28_times_ahead_never_look_fresh() {
    for jump in [HOUR, DAY * 365, DAY * 365 * 80] {
        let ahead = now().after(jump);
        let success = |facts: &mut FeedFacts| facts.record.succeeded_at = Some(ahead);
        let jumped = (Level::Warn, TimeSource::Held, Some(Reason::ClockJumped));
        assert_eq!(check(ELASTIC, success, Measure::Check), jumped, "{jump:?}");
        // A failed check that lies ahead hides how old the success before it is.
        assert_eq!(check(ELASTIC, |facts| facts.record.checked_at = ahead, Measure::Check).0, Level::Warn);
        let all = |facts: &mut FeedFacts| {
            success(facts);
            (facts.record.checked_at, facts.record.first_checked_at) = (ahead, ahead);
            facts.record.changed_at = Some(ahead);
            for content in [&mut facts.offered, &mut facts.newest].into_iter().flatten() {
                (content.held_since, content.state_since) = (ahead, ahead);
            }
            facts.rings[0].served = None;
        };
        for measure in Measure::ALL {
            let (level, _, reason) = check(ELASTIC, all, measure);
            assert_eq!((level, reason), (Level::Warn, Some(Reason::ClockJumped)), "{measure} {jump:?}");
        }
    }
    // What a time server sets right is no jump.
    let drift = |facts: &mut FeedFacts| facts.record.succeeded_at = Some(now().after(Duration::from_secs(60)));
    assert_eq!(check(ELASTIC, drift, Measure::Check).0, Level::Fine);
}

/// Old by what is surely known stays old, whatever a success that lies ahead says.
#[test]
fn s28_a_success_ahead_does_not_hide_what_is_known() {
    let stale = |facts: &mut FeedFacts| {
        facts.record.succeeded_at = Some(now().after(DAY * 365));
        facts.newest.as_mut().unwrap().held_since = ago(DAY * 20);
    };
    let expected = (Level::Fail, TimeSource::Held, Some(Reason::ClockJumped));
    assert_eq!(check(ELASTIC, stale, Measure::Check), expected);
}

/// The clock runs a year ahead: everything is old, until a check says otherwise.
#[test]
fn s28_a_clock_a_year_ahead_makes_all_old() {
    let later = now().after(DAY * 365);
    let found = evaluate([&well(ELASTIC)], &FreshnessPolicy::preset(Preset::Stig), later);
    assert_eq!((found[0].level, found[0].reason), (Level::Fail, Some(Reason::NotChecked)));
    let mut checked = well(ELASTIC);
    (checked.record.checked_at, checked.record.succeeded_at) = (later, Some(later));
    let found = evaluate([&checked], &FreshnessPolicy::preset(Preset::Stig), later);
    assert_eq!(found[0].level, Level::Fine);
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    let near = (-40 * 86_400_i64..40 * 86_400).prop_map(|seconds| now().as_micros() + seconds * 1_000_000);
    prop_oneof![6 => near, 1 => any::<i64>()].prop_map(Timestamp::from_micros)
}

fn any_content() -> impl Strategy<Value = Option<Content>> {
    let number = prop_oneof![Just("1.0.4"), Just("1.0.5"), Just("1.0.6")];
    let content = (number, proptest::option::of(any_time()), any_time(), any_time());
    proptest::option::of(content.prop_map(|(number, vendor_time, held_since, state_since)| Content {
        vendor_version: version(number),
        vendor_time,
        held_since,
        state_since,
    }))
}

prop_compose! {
    fn any_facts()(
        feed in prop_oneof![Just(ELASTIC), Just(DEFENDER), Just("elastic/8.18.3@2026-01-15")],
        (first, checked, succeeded, changed) in
            (any_time(), any_time(), proptest::option::of(any_time()), proptest::option::of(any_time())),
        outcome in prop_oneof![Just(Outcome::Current), Just(Outcome::Quarantined), Just(Outcome::Failed)],
        (offered, newest, served) in (any_content(), any_content(), any_content()),
    ) -> FeedFacts {
        let mut facts = well(feed);
        facts.record.first_checked_at = first;
        facts.record.checked_at = checked;
        facts.record.succeeded_at = succeeded;
        facts.record.changed_at = changed;
        facts.record.outcome = outcome;
        facts.rings[0].served = served;
        FeedFacts { offered, newest, ..facts }
    }
}

proptest! {
    /// Whatever the records say: level and reason agree, and nothing that lies ahead is fine.
    #[test]
    fn findings_hold_together(facts in any_facts()) {
        let found = look(&facts);
        clocks(&facts, now());
        prop_assert_eq!(found[0].measure, Measure::Check);
        for finding in &found {
            prop_assert_eq!(finding.level == Level::Fine, finding.reason.is_none());
            let by_age = Bound {
                warn: Duration::from_secs(finding.warn_seconds),
                fail: Duration::from_secs(finding.fail_seconds),
            }
            .level(Duration::from_secs(finding.age_seconds));
            prop_assert!(finding.level >= by_age || finding.measure == Measure::Lag);
            let ahead = finding.since.at > now().after(TOLERANCE) && finding.since.source != TimeSource::VendorDate;
            prop_assert!(!ahead || finding.level > Level::Fine || finding.measure == Measure::Lag);
        }
    }

    /// Time passing alone never makes anything fresher.
    #[test]
    fn time_alone_makes_nothing_fresher_i14(facts in any_facts(), hours in 0_u32..2000) {
        let before = look(&facts);
        let later = evaluate([&facts], &FreshnessPolicy::preset(Preset::Stig), now().after(HOUR * hours));
        for (before, later) in before.iter().zip(&later) {
            let doubted = before.reason == Some(Reason::ClockJumped);
            prop_assert!(doubted || later.level >= before.level, "{before:?} {later:?}");
        }
    }
}
