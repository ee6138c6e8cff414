//! Records to put in.

use model::{
    Attestation, Checked, Digest, FeedId, ItemKind, Outcome, Provenance, Release, ReleaseId, ReleaseItem, ReleaseState,
    Timestamp, Trust, VendorVersion, Verdict,
};
use serde_json::json;

use crate::{Actor, Batch, Catalog, EntryKind, FeedRecord, NewEntry, NewRelease};

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + micros)
}

pub(crate) fn feed(name: &str) -> FeedId {
    name.parse().unwrap()
}

pub(crate) fn blob(content: &str) -> Digest {
    Digest::of(content.as_bytes())
}

/// A release of `feed` with an item for each of `contents`.
pub(crate) fn release(name: &str, contents: &[&str]) -> Release {
    let item = |content: &&str| ReleaseItem {
        route: format!("/{name}/{}", content.replace(' ', "-")).parse().unwrap(),
        digest: blob(content),
        size: content.len() as u64,
        kind: ItemKind::Artifact,
    };
    let feed = feed(name);
    let items: Vec<ReleaseItem> = contents.iter().map(item).collect();
    Release {
        id: ReleaseId::of(&feed, &items),
        feed,
        vendor_version: VendorVersion::plain("1.0.7".parse().unwrap()),
        vendor_time: None,
        items,
        bases: Vec::new(),
        verdict: Verdict {
            reasons: Vec::new(),
            notes: Vec::new(),
            trust: Trust { checked: Checked::VendorHashed, attested_by: Attestation::PublicTls },
        },
        provenance: Provenance::default(),
        held_since: at(0),
    }
}

pub(crate) fn record(name: &str, outcome: Outcome) -> FeedRecord {
    FeedRecord { outcome, ..FeedRecord::new(feed(name), at(0)) }
}

pub(crate) fn entry(subject: &str) -> NewEntry {
    NewEntry {
        at: at(5),
        actor: Actor::new(1000, 42, "sync"),
        kind: EntryKind::Check,
        subject: subject.to_owned(),
        data: json!({ "status": 304, "note": "nothing new" }),
    }
}

pub(crate) fn releases(states: Vec<(Release, ReleaseState)>) -> Batch {
    let releases = states.into_iter().map(|(release, state)| NewRelease { release, state }).collect();
    Batch { releases, ..Batch::default() }
}

/// Records one release.
pub(crate) async fn put(catalog: &dyn Catalog, release: &Release, state: ReleaseState) {
    catalog.apply(releases(vec![(release.clone(), state)])).await.unwrap();
}

/// Records one history entry for each subject.
pub(crate) async fn tell(catalog: &dyn Catalog, subjects: &[&str]) {
    let history = subjects.iter().map(|subject| entry(subject)).collect();
    catalog.apply(Batch { history, ..Batch::default() }).await.unwrap();
}
