//! The history and its chain.

use model::{Digest, Timestamp};
use serde_json::json;

use super::sample::{at, entry, tell};
use crate::{Actor, Batch, Catalog, ChainHead, EntryKind, NewEntry, chain_digest, verify_chain};

/// Nothing yet: the head is zero and the chain whole.
pub async fn an_empty_history_is_whole(catalog: &dyn Catalog) {
    let head = ChainHead { seq: 0, digest: Digest::from_bytes([0; 32]), at: None };
    assert_eq!(catalog.chain_head().await.unwrap(), head);
    assert_eq!(verify_chain(catalog).await.unwrap(), head);
    assert!(catalog.history(0, 10).await.unwrap().is_empty());
}

/// From 1 without a gap, each with the digest of the one before, over batches of any size.
pub async fn history_is_numbered_and_chained(catalog: &dyn Catalog) {
    tell(catalog, &["a", "b"]).await;
    let last = NewEntry { at: at(2), ..entry("c") };
    catalog.apply(Batch { history: vec![last], ..Batch::default() }).await.unwrap();
    let entries = catalog.history(1, 10).await.unwrap();
    let mut previous = Digest::from_bytes([0; 32]);
    for (index, (entry, subject)) in entries.iter().zip(["a", "b", "c"]).enumerate() {
        assert_eq!((entry.seq, entry.subject.as_str()), (index as u64 + 1, subject));
        assert_eq!((entry.previous, entry.digest), (previous, chain_digest(entry)));
        previous = entry.digest;
    }
    let head = ChainHead { seq: 3, digest: previous, at: Some(at(2)) };
    assert_eq!(catalog.chain_head().await.unwrap(), head);
    assert_eq!(verify_chain(catalog).await.unwrap(), head);
}

/// From a number on, at most so many.
pub async fn history_is_read_in_pages(catalog: &dyn Catalog) {
    // More than one page of the check.
    let subjects: Vec<String> = (1..=600).map(|number| format!("subject-{number}")).collect();
    tell(catalog, &subjects.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (from, limit, expected) in
        [(0, 2, 1..=2), (1, 2, 1..=2), (3, 4, 3..=6), (599, 10, 599..=600), (600, usize::MAX, 600..=600)]
    {
        let seqs: Vec<u64> = catalog.history(from, limit).await.unwrap().iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, expected.collect::<Vec<u64>>());
    }
    for (from, limit) in [(1, 0), (601, 10), (u64::MAX, usize::MAX)] {
        assert!(catalog.history(from, limit).await.unwrap().is_empty());
    }
    assert_eq!(verify_chain(catalog).await.unwrap().seq, 600);
}

/// The same particulars give the same text, whatever the order they were given in.
pub async fn data_is_recorded_as_canonical_text(catalog: &dyn Catalog) {
    for data in
        [json!({ "b": [1, { "d": 0, "c": null }], "a": "x" }), json!({ "a": "x", "b": [1, { "c": null, "d": 0 }] })]
    {
        let history = vec![NewEntry { data, ..entry("a") }];
        catalog.apply(Batch { history, ..Batch::default() }).await.unwrap();
    }
    for entry in catalog.history(1, 10).await.unwrap() {
        assert_eq!(entry.data, r#"{"a":"x","b":[1,{"c":null,"d":0}]}"#);
    }
}

/// Who, what, when and on what come back as they went in, whatever characters they hold.
pub async fn the_writing_of_an_actor_and_a_subject_is_kept(catalog: &dyn Catalog) {
    let kinds = EntryKind::ALL;
    let times = [at(0), Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX)];
    let new = |index: usize, kind| NewEntry {
        at: times[index % times.len()],
        actor: Actor { sudo_uid: Some(index as u32), ..Actor::new(u32::MAX, 0, "release admit \"ä\n'") },
        kind,
        subject: format!("{index} 'ring'\r\n\t\u{202e}\u{1f980}"),
        data: json!("-- ; '"),
    };
    let history: Vec<NewEntry> = kinds.into_iter().enumerate().map(|(index, kind)| new(index, kind)).collect();
    catalog.apply(Batch { history: history.clone(), ..Batch::default() }).await.unwrap();
    let entries = catalog.history(1, 100).await.unwrap();
    assert_eq!(entries.len(), history.len());
    for (entry, new) in entries.iter().zip(&history) {
        assert_eq!((entry.at, &entry.actor, entry.kind, &entry.subject), (new.at, &new.actor, new.kind, &new.subject));
    }
    assert_eq!(verify_chain(catalog).await.unwrap().seq, kinds.len() as u64);
}
