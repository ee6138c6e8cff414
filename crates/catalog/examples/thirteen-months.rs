//! Fills a data folder with the history of 13 months, for the figures: 20 feeds checked every hour, most of it
//! nothing new, four of them with a release a day.
//!
//! ```text
//! cargo run --release -p catalog --example thirteen-months -- DATA_DIR
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a chore")]

use std::path::Path;
use std::time::Duration;

use catalog::{Actor, Batch, Catalog as _, EntryKind, NewEntry, NewRelease, SqlCatalog};
use model::{
    Attestation, Checked, Clock as _, Digest, FeedId, ItemKind, Provenance, Release, ReleaseId, ReleaseItem,
    ReleaseState, Timestamp, Trust, VendorVersion, Verdict,
};
use serde_json::json;

const HOURS: u64 = 400 * 24;
const FEEDS: u64 = 20;
const HOUR: Duration = Duration::from_secs(3600);

fn entry(at: Timestamp, kind: EntryKind, subject: &str, data: serde_json::Value) -> NewEntry {
    let actor = Actor { login: Some("waystation".to_owned()), ..Actor::new(990, 1234, "run") };
    NewEntry { at, actor, kind, subject: subject.to_owned(), data }
}

fn release(feed: &FeedId, day: u64, at: Timestamp) -> Release {
    let item = |number: u64| ReleaseItem {
        route: format!("/downloads/{feed}/{day}/{number}").parse().expect("a route"),
        digest: Digest::of(format!("{feed} {day} {number}").as_bytes()),
        size: 4096,
        kind: ItemKind::Artifact,
    };
    let items: Vec<ReleaseItem> = (0..10).map(item).collect();
    Release {
        id: ReleaseId::of(feed, &items),
        feed: feed.clone(),
        vendor_version: version(day),
        vendor_time: None,
        items,
        bases: Vec::new(),
        verdict: Verdict {
            reasons: Vec::new(),
            notes: Vec::new(),
            trust: Trust {
                checked: Checked::VendorSigned("0123456789abcdef".to_owned()),
                attested_by: Attestation::PublicTls,
            },
        },
        provenance: Provenance::default(),
        held_since: at,
    }
}

fn version(day: u64) -> VendorVersion {
    VendorVersion::plain(format!("1.0.{day}").parse().expect("a version"))
}

fn check(feed: &FeedId, day: u64, (at, first, changed): (Timestamp, Timestamp, Timestamp)) -> NewEntry {
    let data = json!({
        "outcome": "current", "offered": version(day), "release": release(feed, day, changed).id,
        "first_checked_at": first, "checked_at": at, "changed_at": changed, "requests": 1,
        "validator": "\"0123456789abcdef0123456789abcdef\"",
    });
    entry(at, EntryKind::Check, feed.as_str(), data)
}

#[tokio::main]
async fn main() {
    let folder = std::env::args().nth(1).expect("a folder to fill");
    let path = Path::new(&folder).join("catalog/catalog.sqlite3");
    let catalog = SqlCatalog::open(&path).await.unwrap();
    let feeds: Vec<FeedId> = (0..FEEDS).map(|number| format!("elastic/9.{number}.0").parse().unwrap()).collect();
    let first = platform::SystemClock::new().now().before(HOUR * u32::try_from(HOURS).unwrap());
    let mut generation = 0_u64;
    for hour in 0..HOURS {
        let at = first.after(HOUR * u32::try_from(hour).unwrap());
        let day = hour / 24;
        let changed = first.after(HOUR * u32::try_from(day * 24).unwrap());
        let mut batch = Batch::default();
        if hour % 24 == 0 {
            for feed in feeds.iter().take(4) {
                let made = release(feed, day, at);
                let data = json!({
                    "feed": feed, "vendor_version": made.vendor_version, "verdict": "admitted", "reasons": [],
                    "notes": 0, "trust": made.verdict.trust, "held_since": at, "files": 10, "bytes": 40960,
                    "state": "admitted",
                });
                batch.history.push(entry(at, EntryKind::Verdict, &made.id.to_string(), data));
                batch.releases.push(NewRelease { release: made, state: ReleaseState::Admitted });
                if let Some(old) = day.checked_sub(35) {
                    let gone = release(feed, old, at).id;
                    batch.states.push((gone, ReleaseState::Expired, at));
                    let data = json!({ "act": "expire", "releases": [{ "id": gone }] });
                    batch.history.push(entry(at, EntryKind::Upkeep, "retention", data));
                }
            }
            generation += 1;
            let served = |feed: &FeedId| {
                let made = release(feed, day, at);
                json!({ "release": made.id, "vendor_version": made.vendor_version, "since": at, "bases": [] })
            };
            let served: serde_json::Map<_, _> =
                feeds.iter().take(4).map(|feed| (feed.to_string(), served(feed))).collect();
            let digest = Digest::of(&generation.to_be_bytes());
            let data = json!({ "number": generation, "digest": digest, "feeds": served });
            batch.history.push(entry(at, EntryKind::PublicationIntended, "broad", data));
            let data = json!({ "number": generation, "digest": digest, "lost_grace": 0 });
            batch.history.push(entry(at, EntryKind::PublicationDone, "broad", data));
        }
        let times = (at, first, changed);
        batch.history.extend(feeds.iter().map(|feed| check(feed, day, times)));
        catalog.apply(batch).await.unwrap();
    }
    let head = catalog.chain_head().await.unwrap();
    println!("{} entries", head.seq);
}
