#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use model::{Bound, VendorVersion};
use url::Url;

use super::*;
use crate::Offers;

const NOW: Timestamp = Timestamp::from_micros(1_791_100_000_000_000);
const WEEK: Bound = Bound { warn: Duration::from_secs(5 * 86_400), fail: Duration::from_secs(7 * 86_400) };
const BASE: &str = "definitions_version : \"1.459.553.0\"\ndefinitions_status : \"up_to_date\"\n\
    definitions_updated_minutes_ago : 2\ndefinitions_update_source_uri : \"https://m.example/linux/production/\"\n\
    offline_definition_url_configured : \"https://m.example/linux/production/\" [managed]\n\
    offline_definition_update : \"enabled\" [managed]\n";

fn rings() -> Vec<Offers> {
    let ring = |name: &str, version: &str, engine: &str, hours: u64| Offers {
        ring: Some(name.parse::<RingName>().unwrap()),
        feeds: ["x86_64", "arm64"]
            .iter()
            .map(|arch| {
                let offer = Offer {
                    version: VendorVersion { version: version.parse().unwrap(), engine: Some(engine.parse().unwrap()) },
                    held: vec![(version.parse().unwrap(), NOW.before(Duration::from_secs(hours * 3600)))],
                    bound: Bound { warn: Duration::from_secs(86_400), fail: Duration::from_secs(2 * 86_400) },
                };
                (format!("defender/linux/production/{arch}").parse().unwrap(), offer)
            })
            .collect::<BTreeMap<FeedId, Offer>>(),
        ..Offers::default()
    };
    vec![ring("canary", "1.459.600.0", "1.1.26090.1", 1), ring("broad", "1.459.553.0", "1.1.26080.3", 60)]
}

#[track_caller]
fn judged(text: &str, rings: &[Offers], addresses: &[&str]) -> Row {
    let addresses: Vec<Url> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let mirror = Mirror { rings, addresses: &addresses, otherwise: None, arch: None, bound: WEEK };
    judge("h1", &Health::read(text.as_bytes()).unwrap(), &mirror, NOW)
}

#[track_caller]
fn check(from: &str, to: &str, state: State, faults: &[Fault]) -> Row {
    let text = BASE.replace(from, to);
    assert!(from.is_empty() || text != BASE, "nothing was replaced");
    let row = judged(&text, &rings(), &[]);
    assert_eq!((row.state, row.faults.as_slice()), (state, faults), "{text}");
    row
}

#[test]
fn endpoints_are_held_against_their_own_ring() {
    assert_eq!(check("", "", State::Equal, &[]).level, Level::Fine);
    let row = check("https://m.example/", "https://m.example/rings/canary/", State::Behind, &[]);
    assert_eq!((row.offered.unwrap().as_str(), row.beyond_policy), ("1.459.600.0", false));
    // A ring's plain folder has the ring's name.
    let row = check("https://m.example/", "/srv/waystation/canary/", State::Behind, &[]);
    assert_eq!(row.offered.unwrap().as_str(), "1.459.600.0");
    check("https://m.example/", "/srv/waystation/", State::Equal, &[]);
    let row = check("1.459.553.0", "1.459.1.0", State::Behind, &[]);
    assert_eq!((row.level, row.beyond_policy), (Level::Fail, true));
    assert_eq!(row.why.unwrap(), "the mirror has held newer definitions for 2 days (policy: 2 days)");
    // A mirror that is new does not excuse who has had no update for weeks, and the row says that it is so.
    let canary = BASE.replace("https://m.example/", "https://m.example/rings/canary/").replace(" : 2\n", " : 56000\n");
    let row = judged(&canary, &rings(), &[]);
    assert_eq!((row.state, row.beyond_policy), (State::Behind, true));
    assert_eq!(row.why.unwrap(), "without an update for 38 days in its own words (policy: 2 days)");
    check("1.459.553.0", "1.459.600.0", State::Ahead, &[]);
    check("definitions_version", "app_version", State::Unknown, &[Fault::NoDefinitions]);
}

#[test]
fn a_silent_fall_back_to_the_cloud_is_called_out() {
    let own = "source_uri : \"https://m.example/linux/production/\"";
    let cloud = "source_uri : \"https://go.microsoft.com/fwlink/?linkid=2144709\"";
    assert_eq!(check(own, cloud, State::Equal, &[Fault::CloudFallback]).level, Level::Fail);
    let geo = "source_uri : \"https://mdav.eu.endpoint.security.microsoft.com/packages/?ostype=linux\"";
    check(own, geo, State::Equal, &[Fault::CloudFallback]);
    let row =
        check(own, "source_uri : \"https://other.example/linux/production\"", State::Equal, &[Fault::OtherSource]);
    assert_eq!(row.level, Level::Fail);
    check(own, "source_uri : \"https://microsoft.com.evil.example/\"", State::Equal, &[Fault::OtherSource]);
    // After a change of rings the next update is still to come.
    let canary = "source_uri : \"https://m.example/rings/canary/linux/production\"";
    assert_eq!(check(own, canary, State::Equal, &[Fault::OtherRing]).level, Level::Warn);
}

#[test]
fn an_endpoint_of_another_mirror_is_not_called_equal() {
    let row = |to: &str, addresses: &[&str]| {
        let row = judged(&BASE.replace("https://m.example/", to), &rings(), addresses);
        (row.state, row.level, row.faults)
    };
    let fine = (State::Equal, Level::Fine, vec![]);
    let elsewhere = (State::Unknown, Level::Fail, vec![Fault::WrongMirror]);
    assert_eq!(row("https://m.example/", &["https://m.example"]), fine);
    assert_eq!(row("https://M.example:443/", &["https://m.example/"]), fine, "the same, written otherwise");
    assert_eq!(row("https://other.example/", &["https://m.example"]), elsewhere);
    assert_eq!(row("https://m.example:8443/", &["https://m.example"]), elsewhere);
    assert_eq!(row("http://m.example/", &["https://m.example"]), elsewhere);
    assert_eq!(row("https://m.example/", &["https://m.example/prefix"]), elsewhere);
    assert_eq!(row("https://m.example/prefix/", &["https://m.example/prefix/"]), fine);
    assert_eq!(row("https://m.example:8443/", &["https://m.example", "https://m.example:8443"]), fine);
    // Nobody said where the mirror is: nothing is called another one.
    assert_eq!(row("https://other.example/", &[]), fine);
    assert_eq!(row("https://other.example/rings/canary/", &["https://m.example"]), elsewhere);
}

#[test]
fn a_ring_that_is_not_there_and_the_release_before_are_told() {
    let row = check("https://m.example/", "https://m.example/rings/nightly/", State::Unknown, &[Fault::UnknownRing]);
    assert_eq!((row.level, row.offered, row.ring), (Level::Fail, None, None));
    let configured = |address: &str, faults: &[Fault]| {
        let to = format!("configured : \"{address}\"");
        check("configured : \"https://m.example/linux/production/\"", &to, State::Equal, faults);
    };
    configured("https://m.example/linux/production/arch_arm64/", &[Fault::OtherRing, Fault::WrongAddress]);
    for wrong in ["https://m.example/", "https://m.example/linux/", "m.example/linux/production/"] {
        configured(wrong, &[Fault::OtherSource, Fault::WrongAddress]);
    }
}

#[test]
fn who_is_pointed_at_the_release_before_is_held_against_that() {
    let back = BASE.replace("linux/production/", "linux/production_back/");
    let row = |own: &str, rings: &[Offers]| judged(&back.replace("1.459.553.0", own), rings, &[]);
    let mut rings = rings();
    let offer = |feeds: &BTreeMap<FeedId, Offer>, arch: &str| {
        let feed = format!("defender/linux/production/{arch}").parse().unwrap();
        let held = ["1.459.541.0", "1.459.553.0"]
            .map(|text| (text.parse().unwrap(), NOW.before(Duration::from_secs(60 * 3600))));
        let version = VendorVersion { version: "1.459.541.0".parse().unwrap(), engine: None };
        (feed, Offer { version, held: held.into(), ..feeds.values().next().unwrap().clone() })
    };
    rings[1].back = ["x86_64", "arm64"].map(|arch| offer(&rings[1].feeds, arch)).into();
    let told = |row: Row| (row.state, row.level, row.faults);
    assert_eq!(told(row("1.459.541.0", &rings)), (State::Equal, Level::Warn, vec![Fault::OnBack]), "it went back");
    let stays = row("1.459.553.0", &rings);
    assert!(stays.why.as_ref().unwrap().contains("has not gone back"), "{stays:?}");
    assert_eq!(told(stays), (State::Ahead, Level::Warn, vec![Fault::OnBack]));
    assert_eq!(row("1.459.1.0", &rings).state, State::Behind);
    // Of one processor alone.
    rings[1].back.remove(&"defender/linux/production/arm64".parse().unwrap());
    assert_eq!(row("1.459.541.0", &rings).feed.unwrap().as_str(), "defender/linux/production/x86_64");
    rings[1].back.clear();
    let nothing = row("1.459.553.0", &rings);
    assert!(nothing.beyond_policy);
    assert_eq!(told(nothing), (State::Unknown, Level::Fail, vec![Fault::Unserved, Fault::OnBack]), "it gets 404");
}

#[test]
fn definitions_that_were_rejected_here_are_called_that_wherever_they_came_from() {
    let mut rings = rings();
    let row = |rings: &[Offers]| judged(&BASE.replace("1.459.553.0", "1.459.588.0"), rings, &[]);
    assert_eq!((row(&rings).state, row(&rings).faults), (State::Ahead, vec![]));
    let feed: FeedId = "defender/linux/production/arm64".parse().unwrap();
    let rejected = ["1.459.588.0".parse().unwrap(), "1.459.553.0".parse().unwrap()];
    rings[1].rejected.insert(feed, rejected.clone().into());
    // Of the other processor that very version may be good: nothing is guessed.
    let told = row(&rings);
    assert_eq!((told.state, told.level, told.faults), (State::Ahead, Level::Warn, vec![]));
    assert!(told.why.unwrap().contains("rejected for one processor"));
    let of = |arch| {
        let mirror = Mirror { rings: &rings, addresses: &[], otherwise: None, arch: Some(arch), bound: WEEK };
        let text = BASE.replace("1.459.553.0", "1.459.588.0");
        judge("h1", &Health::read(text.as_bytes()).unwrap(), &mirror, NOW).faults
    };
    assert_eq!((of("arm64"), of("x86_64")), (vec![Fault::RejectedDefinitions], vec![]));
    let other: FeedId = "defender/linux/production/x86_64".parse().unwrap();
    rings[1].rejected.insert(other, rejected[..1].iter().cloned().collect());
    let told = row(&rings);
    assert_eq!((told.state, told.level, told.faults), (State::Ahead, Level::Fail, vec![Fault::RejectedDefinitions]));
    // What is served on another processor is what it may well be; or it is not, unless its source says which it has.
    let source = |arch: &str| {
        let from = "source_uri : \"https://m.example/linux/production/";
        let text = BASE.replace(from, &format!("{from}arch_{arch}/updates.zip"));
        assert_ne!(text, BASE);
        let row = judged(&text, &rings, &[]);
        (row.feed.map(|feed| feed.to_string()), row.level, row.faults)
    };
    let open = judged(BASE, &rings, &[]);
    assert_eq!((open.state, open.level, open.faults), (State::Equal, Level::Warn, vec![]));
    assert!(open.why.unwrap().contains("rejected for one processor"));
    let feed = |arch: &str| Some(format!("defender/linux/production/{arch}"));
    assert_eq!(source("x86_64"), (feed("x86_64"), Level::Fine, vec![]));
    assert_eq!(source("arm64"), (feed("arm64"), Level::Fail, vec![Fault::RejectedDefinitions]));
}

#[test]
fn an_endpoint_that_cannot_be_judged_is_not_in_order_and_says_why() {
    let row = |to: &str| judged(&BASE.replace("linux/production/", to), &rings(), &["https://m.example"]);
    let told = |row: &Row| (row.state, row.level, row.beyond_policy, row.faults.clone());
    for address in ["linux/preview/", "mac/production/"] {
        let row = row(address);
        assert_eq!(told(&row), (State::Unknown, Level::Fail, true, vec![Fault::Unserved]), "{address}");
        assert!(row.why.unwrap().contains("cannot update"));
    }
    // It has none, or does not say.
    for to in ["definitions_version : \"\"", "app_version : \"101.1.1.1\""] {
        let text = BASE.replace("definitions_version : \"1.459.553.0\"", to);
        let row = judged(&text, &rings(), &[]);
        assert_eq!(told(&row), (State::Unknown, Level::Fail, false, vec![Fault::NoDefinitions]), "{to}");
    }
    let row = check("\"up_to_date\"", "\"unavailable\"", State::Equal, &[Fault::NoDefinitions]);
    assert_eq!(row.level, Level::Fail);
    // Nothing to hold it against: its own words count.
    let lone = |minutes: &str| judged(&BASE.replace(" : 2\n", minutes), &[], &[]);
    let fresh = lone(" : 2\n");
    assert_eq!(told(&fresh), (State::Unknown, Level::Warn, false, vec![]));
    assert!(fresh.why.unwrap().contains("nothing is offered"));
    let old = lone(" : 28800\n");
    assert_eq!(told(&old), (State::Unknown, Level::Fail, true, vec![]));
    assert!(old.why.unwrap().ends_with("without an update for 20 days in its own words (policy: 7 days)"));
}

#[test]
fn one_place_written_in_two_ways_is_one_place() {
    let configured = "configured : \"https://m.example/linux/production/\"";
    let faults = |configured_as: &str, source: &str| {
        let text = BASE.replace(configured, &format!("configured : \"{configured_as}\""));
        let text =
            text.replace("source_uri : \"https://m.example/linux/production/\"", &format!("source_uri : \"{source}\""));
        judged(&text, &rings(), &[]).faults
    };
    for (one, other) in [
        ("https://m.example:443/linux/production", "https://M.Example/linux/production/"),
        ("http://h:8000/linux/production/", "http://H:8000/linux/production"),
        ("https://m.example/linux/production/", "https://m.example/linux/production/arch_x86_64/updates.zip"),
        ("/mnt/defender", "/mnt/defender/"),
        ("/mnt/broad/linux/production", "/mnt/broad/linux/production/arch_arm64/updates.zip"),
    ] {
        assert_eq!(faults(one, other), [], "{one} {other}");
    }
    assert_eq!(faults("https://m.example/linux/production/", "https://m.example/linux/preview/"), [Fault::OtherRing]);
    assert_eq!(
        faults("https://m.example/linux/production/", "http://m.example/linux/production/"),
        [Fault::OtherSource]
    );
    for doubled in ["https://m.example/linux/production//", "https://m.example/linux//production/"] {
        assert_eq!(faults(doubled, doubled), [Fault::WrongAddress], "{doubled}");
    }
}

#[test]
fn who_was_updated_just_now_and_is_behind_is_not_told_of_its_age() {
    let mut rings = rings();
    rings[1].feeds.values_mut().for_each(|offer| offer.held = Vec::new());
    let row = judged(&BASE.replace("1.459.553.0", "1.459.1.0").replace(" : 2\n", " : 0\n"), &rings, &[]);
    assert_eq!((row.state, row.level), (State::Behind, Level::Fine));
    assert!(row.why.unwrap().starts_with("updated 0 min ago in its own words, to less than the mirror has now"));
}

/// Two processors with releases of their own, and two systems.
fn mixed() -> Vec<Offers> {
    let offer = |version: &str| Offer {
        version: VendorVersion { version: version.parse().unwrap(), engine: Some("1.1.26080.3".parse().unwrap()) },
        held: vec![(version.parse().unwrap(), NOW.before(Duration::from_secs(60 * 3600)))],
        bound: Bound { warn: Duration::from_secs(3600), fail: Duration::from_secs(7200) },
    };
    let feeds = [
        ("defender/linux/production/arm64", "1.459.500.0"),
        ("defender/linux/production/x86_64", "1.459.510.0"),
        ("defender/mac/production/x86_64", "1.459.590.0"),
    ];
    let feeds = feeds.map(|(feed, version)| (feed.parse().unwrap(), offer(version)));
    vec![Offers { ring: Some("broad".parse().unwrap()), feeds: feeds.into(), ..Offers::default() }]
}

#[test]
fn no_feed_is_guessed_where_the_report_leaves_it_open() {
    let row = |version: &str| judged(&BASE.replace("1.459.553.0", version), &mixed(), &[]);
    let feed = |row: &Row| row.feed.as_ref().map(ToString::to_string);
    let x64 = row("1.459.510.0");
    assert_eq!((x64.state, feed(&x64).as_deref()), (State::Equal, Some("defender/linux/production/x86_64")));
    // Behind as x86_64, ahead as arm64: which of them it is stands nowhere.
    let between = row("1.459.505.0");
    assert_eq!((between.state, feed(&between), between.beyond_policy), (State::Between, None, false));
    let why = between.why.unwrap();
    assert!(why.contains("older than 1.459.510.0 of defender/linux/production/x86_64"), "{why}");
    assert!(why.contains("newer than 1.459.500.0 of defender/linux/production/arm64"), "{why}");
    // Whoever knows the processor says it.
    let text = BASE.replace("1.459.553.0", "1.459.505.0");
    let state = |arch| {
        let rings = mixed();
        let mirror = Mirror { rings: &rings, addresses: &[], otherwise: None, arch: Some(arch), bound: WEEK };
        judge("h1", &Health::read(text.as_bytes()).unwrap(), &mirror, NOW).state
    };
    assert_eq!((state("x86_64"), state("arm64")), (State::Behind, State::Ahead));
    let old = row("1.459.400.0");
    assert_eq!((old.state, feed(&old), old.beyond_policy), (State::Behind, None, true));
    assert_eq!(old.offered.unwrap().as_str(), "1.459.500.0", "no less than this");
    assert_eq!(row("1.459.511.0").state, State::Ahead);
}

#[test]
fn a_report_without_an_address_is_behind_only_if_it_is_so_on_every_system() {
    let general = |version: &str| {
        judged(&format!("{{\"definitionsVersion\":\"{version}\",\"engineVersion\":\"1.1.26080.3\"}}"), &mixed(), &[])
    };
    let linux = general("1.459.510.0");
    assert_eq!((linux.state, linux.feed, linux.beyond_policy), (State::Equal, None, false));
    assert_eq!(general("1.459.505.0").state, State::Between);
    assert!(general("1.459.1.0").beyond_policy);
    // Nor is the ring known, unless the operator says it.
    let text = b"{\"definitionsVersion\":\"1.459.553.0\"}";
    let canary: RingName = "canary".parse().unwrap();
    let state = |otherwise| {
        let rings = rings();
        let mirror = Mirror { rings: &rings, addresses: &[], otherwise, arch: None, bound: WEEK };
        judge("h1", &Health::read(text).unwrap(), &mirror, NOW).state
    };
    assert_eq!((state(None), state(Some(&canary))), (State::Equal, State::Behind));
}

#[test]
fn an_engine_that_stays_behind_is_called_out() {
    let version = "definitions_version";
    check(version, "engine_version : \"1.1.26080.3\"\ndefinitions_version", State::Equal, &[]);
    check(version, "engine_version : \"1.1.26070.1\"\ndefinitions_version", State::Equal, &[Fault::EngineDrift]);
    check(
        version,
        "engine_load_status : \"Engine not loaded\"\ndefinitions_version",
        State::Equal,
        &[Fault::EngineDown],
    );
}

#[test]
fn settings_that_were_not_delivered_are_told() {
    let offline = "offline_definition_update : \"enabled\" [managed]";
    check(offline, "offline_definition_update : \"disabled\"", State::Equal, &[Fault::NotOffline]);
    check("production/\" [managed]", "production/\"", State::Equal, &[Fault::NotManaged]);
    check(
        "configured : \"https://m.example/linux/production/\"",
        "configured : \"\"",
        State::Equal,
        &[Fault::NoAddress],
    );
    let status = "definitions_status : \"up_to_date\"";
    check(status, "definitions_status : \"out_of_date\"", State::Equal, &[Fault::OutOfDate]);
    check(status, "definitions_update_fail_reason : \"timeout\"", State::Equal, &[Fault::UpdateFailed]);
    check(status, "passive_mode_enabled : true", State::Equal, &[Fault::NotAutomatic]);
    check(status, "offline_definition_update_verify_sig : \"disabled\"", State::Equal, &[Fault::SignatureOff]);
    check(status, "offline_definition_update_verify_sig : \"DEPRECATED\"", State::Equal, &[]);
    check(status, "ATTENTION: No license found.", State::Equal, &[Fault::Unlicensed]);
    let two = format!("app_version : \"101.1.1.1\"\napp_version : \"101.1.1.2\"\n{status}");
    assert_eq!(check(status, &two, State::Equal, &[Fault::SeveralReports]).level, Level::Fail);
    let allowed =
        check(status, "offline_definition_update_fallback_to_cloud : true", State::Equal, &[Fault::FallbackAllowed]);
    assert_eq!(allowed.level, Level::Fine);
}

#[test]
fn codes_are_unique_and_the_page_lists_them() {
    let page = include_str!("../../../../../docs/validate.md");
    let row = |fault: &Fault| format!("| `{}` | {} | {} |", fault.code(), fault.what(), fault.remedy());
    let missing: Vec<String> = Fault::ALL.iter().map(row).filter(|row| !page.contains(row)).collect();
    assert!(missing.is_empty(), "docs/validate.md lacks these rows:\n{}\n", missing.join("\n"));
    for fault in Fault::ALL {
        assert_eq!(serde_json::to_value(fault).unwrap(), fault.code());
    }
}
