#![allow(clippy::unwrap_used)]

use model::VendorVersion;

use super::*;
use crate::elastic::response::Download;

const NOW: Timestamp = Timestamp::from_micros(1_768_478_400_000_000);

fn offers(since_days: u64) -> Offers {
    let bound = Bound { warn: Duration::from_secs(5 * DAY), fail: Duration::from_secs(7 * DAY) };
    let offer = |version: &str| Offer {
        version: VendorVersion::plain(version.parse().unwrap()),
        held: vec![(version.parse().unwrap(), NOW.before(Duration::from_secs(since_days * DAY)))],
        bound,
    };
    let feeds =
        [("elastic/9.0.0", "1.0.100"), ("elastic/9.0.0@2026-01-10", "1.0.90"), ("elastic/9.1.0/candidate", "1.0.101")];
    Offers {
        ring: None,
        feeds: feeds.iter().map(|(feed, version)| (feed.parse().unwrap(), offer(version))).collect(),
        unasked: ["elastic/9.0.0@2026-01-12", "elastic/9.0.0/candidate"].map(|feed| feed.parse().unwrap()).into(),
        ..Offers::default()
    }
}

fn endpoint(version: &str, applied: &str) -> PolicyResponse {
    PolicyResponse {
        agent: "a".to_owned(),
        host: Some("h".to_owned()),
        system: None,
        agent_version: version.parse().ok(),
        at: NOW.before(Duration::from_secs(3600)),
        applied: applied.parse().ok(),
        has_date: None,
        wants_date: None,
        wants_latest: false,
        update_age_days: Some(0),
        channel: None,
        manifest_type: None,
        built: None,
        download: Some(Download { status: "success".to_owned(), message: String::new() }),
        odd: Vec::new(),
    }
}

fn judged(endpoint: PolicyResponse, since_days: u64) -> (State, Level) {
    let fleet = Fleet { endpoints: vec![endpoint], unread: Vec::new(), pages: 1 };
    let row = compare(&fleet, &offers(since_days), Duration::from_secs(3 * DAY), NOW).remove(0);
    (row.state, row.level)
}

#[test]
fn who_gets_nothing_for_its_version_is_told_so_whatever_else_it_says() {
    let told = |endpoint| {
        let fleet = Fleet { endpoints: vec![endpoint], unread: Vec::new(), pages: 1 };
        let row = compare(&fleet, &offers(0), Duration::from_secs(3 * DAY), NOW).remove(0);
        (row.state, row.level, row.why)
    };
    let message = "Failed to download new global artifacts manifest".to_owned();
    let failing = PolicyResponse {
        download: Some(Download { status: "warning".to_owned(), message: message.clone() }),
        ..endpoint("9.9.9", "1.0.100")
    };
    let why = format!("the ring offers nothing for 9.9.9; warning: {message}");
    assert_eq!(told(failing), (State::Unmirrored, Level::Fail, why));
    let silent = PolicyResponse { at: NOW.before(Duration::from_secs(4 * DAY)), ..endpoint("9.9.9", "1.0.100") };
    let why = "the ring offers nothing for 9.9.9; last report 4 d ago".to_owned();
    assert_eq!(told(silent), (State::Unmirrored, Level::Fail, why));
    let candidate = PolicyResponse { manifest_type: Some("candidate".to_owned()), ..endpoint("9.0.0", "1.0.101") };
    assert!(told(candidate).2.contains("not known here"));
}

#[test]
fn every_state_is_told_apart() {
    let base = || endpoint("9.0.0", "1.0.100");
    let failing = |days| PolicyResponse {
        download: Some(Download { status: "failure".to_owned(), message: "404".to_owned() }),
        update_age_days: Some(days),
        ..base()
    };
    let old = |days| PolicyResponse { at: NOW.before(Duration::from_secs(days * DAY)), ..base() };
    let pinned = |date: &str, built: &str| PolicyResponse {
        has_date: Some(date.to_owned()),
        built: Some(built.to_owned()),
        ..endpoint("9.0.0", "1.0.90")
    };
    for (endpoint, since, state, level) in [
        (base(), 0, State::Equal, Level::Fine),
        (endpoint("9.0.0-SNAPSHOT", "1.0.100"), 0, State::Equal, Level::Fine),
        (endpoint("9.0.0+build1", "1.0.100"), 0, State::Equal, Level::Fine),
        (endpoint("9.0.0", "1.0.99"), 1, State::Behind, Level::Fine),
        (endpoint("9.0.0", "1.0.99"), 6, State::Behind, Level::Warn),
        (endpoint("9.0.0", "1.0.99"), 8, State::Behind, Level::Fail),
        (endpoint("9.0.0", "x"), 0, State::Behind, Level::Warn),
        (endpoint("9.0.0", "1.0.101"), 0, State::Ahead, Level::Warn),
        (endpoint("8.0.0", "1.0.100"), 0, State::Unmirrored, Level::Fail),
        (endpoint("x", "1.0.100"), 0, State::Unread, Level::Warn),
        (failing(0), 0, State::Failing, Level::Warn),
        (failing(8), 0, State::Failing, Level::Fail),
        (failing(u64::MAX), 0, State::Failing, Level::Fail),
        (old(4), 0, State::Silent, Level::Warn),
        (old(8), 0, State::Silent, Level::Fail),
        (pinned("2026-01-10", "2025-12-01"), 0, State::Dated, Level::Fine),
        (pinned("2026-01-10", "2026-01-10"), 0, State::Dated, Level::Fail),
        (pinned("2026-01-11", "2025-12-01"), 0, State::Dated, Level::Warn),
    ] {
        assert_eq!(judged(endpoint.clone(), since), (state, level), "{endpoint:?} {since}");
    }
    let candidate = PolicyResponse { manifest_type: Some("candidate".to_owned()), ..endpoint("9.1.0", "1.0.101") };
    assert_eq!(judged(candidate, 0), (State::Equal, Level::Fine));
    // A clock that runs ahead makes nobody silent.
    let ahead = PolicyResponse { at: NOW.after(Duration::from_secs(90 * DAY)), ..base() };
    assert_eq!(judged(ahead, 0), (State::Equal, Level::Fine));
}

#[test]
fn what_was_not_asked_is_not_said_to_be_missing() {
    let pinned =
        |version: &str, date: &str| PolicyResponse { has_date: Some(date.to_owned()), ..endpoint(version, "1.0.90") };
    for (endpoint, part) in [
        (pinned("9.0.0-SNAPSHOT", "2026-01-12"), "was not asked for"),
        (pinned("9.0.0", "2026-01-11"), "the ring has no manifest of 2026-01-11"),
        (pinned("x", "2026-01-12"), "no 'agent.version'"),
    ] {
        let fleet = Fleet { endpoints: vec![endpoint], unread: Vec::new(), pages: 1 };
        let row = compare(&fleet, &offers(0), Duration::from_secs(3 * DAY), NOW).remove(0);
        assert!(row.state == State::Dated && row.why.contains(part), "{row:?}");
    }
}

#[test]
fn versions_are_summed_up_and_the_worst_come_first() {
    let fleet = Fleet {
        endpoints: vec![endpoint("9.0.0", "1.0.100"), endpoint("9.0.0", "1.0.7"), endpoint("8.0.0", "1.0.1")],
        unread: vec![Unread { agent: "b".to_owned(), what: "odd".to_owned() }],
        pages: 1,
    };
    let rows = compare(&fleet, &offers(6), Duration::from_secs(3 * DAY), NOW);
    assert_eq!(
        rows.iter().map(|row| row.state).collect::<Vec<_>>(),
        [State::Unmirrored, State::Unread, State::Behind, State::Equal]
    );
    let sums = summary(&rows);
    assert_eq!(sums.iter().map(|sum| sum.endpoints).collect::<Vec<_>>(), [1, 1, 2]);
    let nine = &sums[2];
    assert_eq!((nine.level, nine.states[&State::Behind], nine.states[&State::Equal]), (Level::Warn, 1, 1));
    assert_eq!(nine.oldest.as_ref().map(Version::as_str), Some("1.0.7"));
    assert_eq!(nine.offered.as_ref().map(Version::as_str), Some("1.0.100"));
}

#[test]
fn what_was_gone_back_from_is_not_said_to_come_from_elsewhere() {
    let mut offers = offers(0);
    offers.rejected.insert("elastic/9.0.0".parse().unwrap(), ["1.0.101".parse().unwrap()].into());
    let fleet = |applied| Fleet { endpoints: vec![endpoint("9.0.0", applied)], unread: Vec::new(), pages: 1 };
    let judged = |applied| compare(&fleet(applied), &offers, Duration::from_secs(3 * DAY), NOW).remove(0).state;
    assert_eq!(["1.0.101", "1.0.102"].map(judged), [State::Rejected, State::Ahead]);
}
