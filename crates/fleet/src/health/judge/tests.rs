#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use model::{Bound, VendorVersion};

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_791_100_000_000_000);
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
    };
    vec![ring("canary", "1.459.600.0", "1.1.26090.1", 1), ring("broad", "1.459.553.0", "1.1.26080.3", 60)]
}

#[track_caller]
fn check(from: &str, to: &str, state: State, faults: &[Fault]) -> Row {
    let text = BASE.replace(from, to);
    assert!(from.is_empty() || text != BASE, "nothing was replaced");
    let row = judge("h1", &Health::read(text.as_bytes()).unwrap(), &rings(), NOW);
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
    check("1.459.553.0", "1.459.600.0", State::Ahead, &[]);
    check("definitions_version", "x", State::Unknown, &[]);
}

#[test]
fn a_silent_fall_back_to_the_cloud_is_called_out() {
    let own = "source_uri : \"https://m.example/linux/production/\"";
    let cloud = "source_uri : \"https://go.microsoft.com/fwlink/?linkid=2144709\"";
    assert_eq!(check(own, cloud, State::Equal, &[Fault::CloudFallback]).level, Level::Fail);
    let geo = "source_uri : \"https://mdav.eu.endpoint.security.microsoft.com/packages/?ostype=linux\"";
    check(own, geo, State::Equal, &[Fault::CloudFallback]);
    check(own, "source_uri : \"https://other.example/linux/production\"", State::Equal, &[Fault::OtherSource]);
    check(own, "source_uri : \"https://microsoft.com.evil.example/\"", State::Equal, &[Fault::OtherSource]);
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
