//! Several writers at the same time.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Outcome, ReleaseState};

use super::sample::{entry, put, record, release};
use crate::{Batch, Catalog, ReleaseFilter, verify_chain};

const ACTS: usize = 200;

/// Two hundred acts at once through two catalogs over the same data: each is there, once, and the chain holds.
pub async fn concurrent_writers_lose_nothing(one: Arc<dyn Catalog>, other: Arc<dyn Catalog>) {
    let act = |number: usize| {
        let catalog = Arc::clone(if number.is_multiple_of(2) { &one } else { &other });
        tokio::spawn(async move {
            let batch = Batch {
                feeds: vec![record(&format!("elastic/9.0.{number}"), Outcome::Current)],
                history: vec![entry(&format!("first of {number}")), entry(&format!("second of {number}"))],
                ..Batch::default()
            };
            catalog.apply(batch).await
        })
    };
    for task in (0..ACTS).map(act).collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(one.feeds().await.unwrap().len(), ACTS);
    assert_eq!(verify_chain(other.as_ref()).await.unwrap().seq, 2 * ACTS as u64);
    let entries = one.history(1, 2 * ACTS).await.unwrap();
    let subjects: BTreeSet<&str> = entries.iter().map(|entry| entry.subject.as_str()).collect();
    assert_eq!(subjects.len(), 2 * ACTS);
    // What goes in by one batch stays together.
    for pair in entries.chunks(2) {
        assert_eq!(pair[0].subject.replace("first", "second"), pair[1].subject);
    }
}

/// Releases recorded at the same time get numbers of their own, without a gap.
pub async fn release_numbers_are_given_once(one: Arc<dyn Catalog>, other: Arc<dyn Catalog>) {
    let act = |number: usize| {
        let catalog = Arc::clone(if number.is_multiple_of(2) { &one } else { &other });
        tokio::spawn(async move {
            // Each release is recorded by two tasks.
            let release = release("elastic/9.0.0", &[&format!("content-{}", number / 2)]);
            put(catalog.as_ref(), &release, ReleaseState::Admitted).await;
        })
    };
    for task in (0..40).map(act).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let numbers: Vec<u64> =
        one.releases(&ReleaseFilter::default()).await.unwrap().iter().map(|record| record.number).collect();
    assert_eq!(numbers, (1..=20).rev().collect::<Vec<u64>>());
}
