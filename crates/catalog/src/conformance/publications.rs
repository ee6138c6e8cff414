//! Feeds, publications, waits, and batches as a whole.

use model::{Note, Outcome, Reason, ReleaseState, RingName};

use super::sample::{at, blob, entry, feed, record, release, releases};
use crate::{Batch, Catalog, ChainHead, FeedRecord, Publication, ReleaseFilter, StoredValidator, Word};

/// What was recorded last is what is read, to the last member.
pub async fn a_feed_is_as_last_recorded(catalog: &dyn Catalog) {
    let name = feed("elastic/8.18.3@2026-01-15");
    assert_eq!(catalog.feed(&name).await.unwrap(), None);
    let first = FeedRecord::new(name.clone(), at(1));
    let second = FeedRecord {
        mark: Some(model::VendorVersion { version: "1.0.9".parse().unwrap(), engine: Some("1.1.2".parse().unwrap()) }),
        validator: Some(StoredValidator {
            url: "https://vendor.test/a?b='c'".to_owned(),
            etag: Some("W/\"ä\u{1f980}\"".to_owned()),
            last_modified: None,
            policy: "warn".to_owned(),
        }),
        outcome: Outcome::Quarantined,
        reason: Some(Reason::VersionRegression),
        detail: Some("'; DROP TABLE feeds; --".to_owned()),
        release: Some(release("elastic/9.0.0", &["a"]).id),
        succeeded_at: Some(at(2)),
        failures: 7,
        set_back_from: Some(at(3)),
        word: Some(Word {
            release: release("elastic/9.0.0", &["a"]).id,
            was: ReleaseState::Quarantined,
            over: Some(release("elastic/9.0.0", &["b"]).id),
        }),
        declined: Some(release("elastic/9.0.0", &["c"]).id),
        besides: Some(Note { reason: Reason::BlobMissing, detail: "a \"file\" is gone".to_owned() }),
        ..first.clone()
    };
    for record in [first, second] {
        catalog.apply(Batch { feeds: vec![record.clone()], ..Batch::default() }).await.unwrap();
        assert_eq!(catalog.feed(&name).await.unwrap(), Some(record.clone()));
        assert_eq!(catalog.feeds().await.unwrap(), [record]);
    }
}

/// Whatever the order they were recorded in.
pub async fn feeds_come_in_name_order(catalog: &dyn Catalog) {
    let names = ["elastic/9.0.0", "defender/linux/production/x86_64", "elastic/8.0.0", "elastic/10.0.0"];
    let feeds = names.map(|name| record(name, Outcome::Current)).to_vec();
    catalog.apply(Batch { feeds, ..Batch::default() }).await.unwrap();
    let listed: Vec<String> = catalog.feeds().await.unwrap().iter().map(|record| record.feed.to_string()).collect();
    let mut sorted = names.map(str::to_owned);
    sorted.sort();
    assert_eq!(listed, sorted);
}

/// Opened, then closed by the same publication with the time; two rings and two tries do not mix.
pub async fn publications_are_open_until_closed(catalog: &dyn Catalog) {
    let publication = |ring: &str, number, content: &str, opened| Publication {
        ring: ring.parse::<RingName>().unwrap(),
        number,
        digest: blob(content),
        opened_at: at(opened),
        closed_at: None,
    };
    let broad = publication("broad", 1, "first", 30);
    let canary = publication("canary", 1, "first", 20);
    let retry = publication("broad", 1, "second", 10);
    let publications = vec![broad.clone(), canary.clone(), retry.clone()];
    catalog.apply(Batch { publications, ..Batch::default() }).await.unwrap();
    assert_eq!(catalog.open_publications().await.unwrap(), [retry.clone(), canary.clone(), broad.clone()]);

    for (closing, left) in [(canary, vec![retry.clone(), broad.clone()]), (retry, vec![broad.clone()]), (broad, vec![])]
    {
        let closed = Publication { closed_at: Some(at(99)), ..closing };
        catalog.apply(Batch { publications: vec![closed], ..Batch::default() }).await.unwrap();
        assert_eq!(catalog.open_publications().await.unwrap(), left);
    }
}

/// A time replaces the one before, be it later or earlier; those that are over are still told.
pub async fn a_host_wait_is_as_last_recorded(catalog: &dyn Catalog) {
    for (until, expected) in [(50, 50), (80, 80), (60, 60)] {
        let host_waits = vec![("vendor.test".to_owned(), at(until))];
        catalog.apply(Batch { host_waits, ..Batch::default() }).await.unwrap();
        assert_eq!(catalog.host_waits().await.unwrap(), [("vendor.test".to_owned(), at(expected))]);
    }
    let long_over = model::Timestamp::from_micros(1);
    let host_waits =
        vec![("a.test".to_owned(), at(70)), ("a.test".to_owned(), at(3)), ("b.test".to_owned(), long_over)];
    catalog.apply(Batch { host_waits, ..Batch::default() }).await.unwrap();
    let expected = [("a.test", at(3)), ("b.test", long_over), ("vendor.test", at(60))];
    assert_eq!(catalog.host_waits().await.unwrap(), expected.map(|(host, until)| (host.to_owned(), until)));
}

/// A batch that fails in its middle leaves nothing behind, and the next one goes in.
pub async fn a_batch_is_all_or_nothing(catalog: &dyn Catalog) {
    let good = release("elastic/9.0.0", &["a"]);
    let unknown = release("elastic/9.0.0", &["nobody recorded this"]);
    let batch = Batch {
        feeds: vec![record("elastic/9.0.0", Outcome::Published)],
        publications: vec![Publication {
            ring: RingName::broad(),
            number: 1,
            digest: blob("generation"),
            opened_at: at(1),
            closed_at: None,
        }],
        host_waits: vec![("vendor.test".to_owned(), at(9))],
        history: vec![entry("elastic/9.0.0")],
        ..releases(vec![(good.clone(), ReleaseState::Admitted)])
    };
    let bad = Batch { states: vec![(unknown.id, ReleaseState::Expired, at(1))], ..batch.clone() };
    assert!(catalog.apply(bad).await.is_err());
    assert!(catalog.feeds().await.unwrap().is_empty());
    assert!(catalog.releases(&ReleaseFilter::default()).await.unwrap().is_empty());
    assert!(catalog.open_publications().await.unwrap().is_empty());
    assert!(catalog.host_waits().await.unwrap().is_empty());
    assert_eq!(
        catalog.chain_head().await.unwrap(),
        ChainHead { seq: 0, digest: model::Digest::from_bytes([0; 32]), at: None }
    );

    catalog.apply(batch).await.unwrap();
    assert_eq!(catalog.release(&good.id).await.unwrap().unwrap().number, 1);
    assert_eq!(catalog.open_publications().await.unwrap().len(), 1);
    assert_eq!(catalog.chain_head().await.unwrap().seq, 1);
    catalog.apply(Batch::default()).await.unwrap();
    assert_eq!(catalog.chain_head().await.unwrap().seq, 1, "an empty batch is nothing");
}
