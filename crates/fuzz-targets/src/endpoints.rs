//! What endpoints and those who manage them write: health reports, policy responses, managed settings.

use std::time::Duration;

use fleet::elastic::{PolicyResponse, compare, summary};
use fleet::health::{Health, Mirror, judge};
use fleet::{Fleet, Offer, Offers};
use model::{Bound, Timestamp, VendorVersion};
use serde_json::Value;
use settings::defender::{Context, Fallback, Platform, Track, Wanted, lint};
use settings::{Document, Format, MirrorUrl, OverPlainHttp};

use crate::fit_to_show;

/// 2026-10-05, in microseconds.
const NOW: Timestamp = Timestamp::from_micros(1_791_158_400_000_000);

fn offers(feed: &str, version: &str) -> Offers {
    let version: model::Version = version.parse().expect("a version");
    let bound = Bound { warn: Duration::from_secs(86_400), fail: Duration::from_secs(2 * 86_400) };
    let held = vec![(version.clone(), NOW.before(Duration::from_secs(86_400)))];
    let offer = Offer { version: VendorVersion::plain(version), held, bound };
    let feed: model::FeedId = feed.parse().expect("a feed");
    Offers {
        ring: Some("broad".parse().expect("a ring")),
        feeds: [(feed.clone(), offer.clone())].into(),
        back: [(feed, offer)].into(),
        ..Offers::default()
    }
}

/// What `mdatp health` printed: what is read is fit to show, is read the same with other line ends, and is judged
/// without end or fall whatever it claims.
pub fn health_report(bytes: &[u8]) {
    let health = match Health::read(bytes) {
        Ok(health) => health,
        Err(error) => return fit_to_show(&error.to_string()),
    };
    for (key, setting) in &health.values {
        fit_to_show(key);
        fit_to_show(&setting.text);
    }
    health.odd.iter().for_each(|odd| fit_to_show(odd));
    assert_eq!(Health::read(bytes).as_ref(), Ok(&health));
    let rings = [offers("defender/linux/production/x86_64", "1.459.553.0")];
    let bound = Bound { warn: Duration::from_secs(86_400), fail: Duration::from_secs(2 * 86_400) };
    let addresses = ["http://mirror.example".parse().expect("an address")];
    let row = judge(
        "host",
        &health,
        &Mirror { rings: &rings, addresses: &addresses, otherwise: None, arch: None, bound },
        NOW,
    );
    let told = serde_json::to_string(&row).expect("rows are written as JSON");
    fit_to_show(&told);
    assert!(row.faults.len() <= fleet::health::Fault::ALL.len(), "a fault twice: {:?}", row.faults);
}

/// A document of Elasticsearch's: whatever is in it, it becomes one row, and a fleet of it one summary.
pub fn policy_response(bytes: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return };
    let mut fleet = Fleet::default();
    match PolicyResponse::read(&document) {
        Ok(endpoint) => fleet.endpoints.push(endpoint),
        Err(unread) => {
            fit_to_show(&unread.to_string());
            fleet.unread.push(unread);
        }
    }
    let rows = compare(&fleet, &offers("elastic/9.0.0", "1.0.100"), Duration::from_secs(3 * 86_400), NOW);
    assert_eq!(rows.len(), 1);
    for row in &rows {
        fit_to_show(&row.why);
        fit_to_show(&serde_json::to_string(row).expect("rows are written as JSON"));
    }
    assert_eq!(summary(&rows).iter().map(|summary| summary.endpoints).sum::<usize>(), 1);
}

fn wanted(platform: Platform) -> Wanted {
    Wanted {
        platform,
        track: Track::Production,
        mirror: MirrorUrl::parse("https://mirror.example", OverPlainHttp::Refused).expect("an address"),
        interval: 14_400,
        fallback: Fallback::Never,
        enforcement: None,
        agent: None,
    }
}

/// Managed settings, as JSON or as a property list: findings are fit to show, a merge reads back, merging again changes
/// nothing, and what was there otherwise is still there.
pub fn managed_settings(bytes: &[u8]) {
    let document = match Document::read(bytes) {
        Ok(document) => document,
        Err(error) => return fit_to_show(&error.to_string()),
    };
    let platform = if document.format() == Format::Json { Platform::Linux } else { Platform::Mac };
    for agent in [None, "101.26062.0005".parse().ok()] {
        for finding in lint(&document, &Context { platform, agent, url: Some("https://mirror.example/".to_owned()) }) {
            fit_to_show(&finding.at);
            fit_to_show(&finding.seen);
        }
    }
    let before = document.write();
    let wanted = wanted(platform);
    let merged = match wanted.merge(document) {
        Ok(merged) => merged,
        Err(error) => return fit_to_show(&error.to_string()),
    };
    let after = merged.document.write();
    let again = Document::read(after.as_bytes()).expect("what was written reads back");
    assert_eq!(wanted.merge(again).expect("and takes the same again").changes, [], "a merge that is not done");
    let (Ok(before), Ok(mut after)) = (serde_json::from_str::<Value>(&before), serde_json::from_str::<Value>(&after))
    else {
        return;
    };
    for (section, name, _) in wanted.keys() {
        let Some(old) = before.get(section) else {
            after.as_object_mut().expect("an object").shift_remove(section);
            continue;
        };
        let members = after.get_mut(section).and_then(Value::as_object_mut).expect("a section is an object");
        match old.get(name) {
            Some(old) => drop(members.insert(name.to_owned(), old.clone())),
            None => drop(members.shift_remove(name)),
        }
    }
    assert_eq!(after, before, "something else changed");
}
