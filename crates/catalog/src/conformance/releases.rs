//! Releases: numbers, states, filters.

use model::{ReleaseState, Vendor};

use super::sample::{at, blob, feed, put, release, releases};
use crate::{Batch, Catalog, ReleaseFilter, ReleaseRecord};

fn numbers(records: &[ReleaseRecord]) -> Vec<u64> {
    records.iter().map(|record| record.number).collect()
}

/// Numbers count from 1, in one batch and over several, and lists begin with the newest.
pub async fn releases_are_numbered_from_one(catalog: &dyn Catalog) {
    let (one, two, three) =
        (release("elastic/9.0.0", &["a"]), release("elastic/9.0.0", &["b"]), release("elastic/8.0.0", &["a"]));
    let admitted = ReleaseState::Admitted;
    catalog.apply(releases(vec![(one.clone(), admitted), (two.clone(), admitted)])).await.unwrap();
    put(catalog, &three, ReleaseState::Quarantined).await;

    let all = catalog.releases(&ReleaseFilter::default()).await.unwrap();
    assert_eq!(numbers(&all), [3, 2, 1]);
    assert_eq!(all[0].release, three);
    let expected = ReleaseRecord { number: 1, state_since: one.held_since, state: admitted, release: one.clone() };
    assert_eq!(catalog.release(&one.id).await.unwrap(), Some(expected));
    assert_eq!(catalog.release(&release("elastic/7.0.0", &["a"]).id).await.unwrap(), None);
}

/// Recording a release again keeps its number and its record.
pub async fn a_known_release_only_changes_its_state(catalog: &dyn Catalog) {
    let first = release("elastic/9.0.0", &["a", "b"]);
    put(catalog, &first, ReleaseState::Quarantined).await;
    put(catalog, &release("elastic/9.0.0", &["c"]), ReleaseState::Admitted).await;

    let mut again = first.clone();
    again.held_since = at(70);
    put(catalog, &again, ReleaseState::Quarantined).await;
    let record = catalog.release(&first.id).await.unwrap().unwrap();
    assert_eq!((record.number, record.state_since), (1, at(0)), "the state stayed");

    put(catalog, &again, ReleaseState::Admitted).await;
    let record = catalog.release(&first.id).await.unwrap().unwrap();
    assert_eq!((record.number, record.state, record.state_since), (1, ReleaseState::Admitted, at(70)));
    assert_eq!(record.release, first, "the record is that of the first time");
    assert_eq!(catalog.releases(&ReleaseFilter::default()).await.unwrap().len(), 2);
}

/// A new state begins when it is said to; the same state again begins nothing.
pub async fn states_say_since_when(catalog: &dyn Catalog) {
    let release = release("elastic/9.0.0", &["a"]);
    put(catalog, &release, ReleaseState::Admitted).await;
    for (state, when, since) in [
        (ReleaseState::Admitted, 10, 0),
        (ReleaseState::Expired, 20, 20),
        (ReleaseState::Expired, 30, 20),
        (ReleaseState::Rejected, 40, 40),
    ] {
        let states = vec![(release.id, state, at(when))];
        catalog.apply(Batch { states, ..Batch::default() }).await.unwrap();
        let record = catalog.release(&release.id).await.unwrap().unwrap();
        assert_eq!((record.state, record.state_since), (state, at(since)));
    }
}

/// A state for a release that nobody recorded is an error.
pub async fn an_unknown_release_has_no_state(catalog: &dyn Catalog) {
    let release = release("elastic/9.0.0", &["a"]);
    let states = vec![(release.id, ReleaseState::Admitted, at(1))];
    assert!(catalog.apply(Batch { states: states.clone(), ..Batch::default() }).await.is_err());
    // Recorded by the same batch, it is known.
    let batch = Batch { states, ..releases(vec![(release.clone(), ReleaseState::Quarantined)]) };
    catalog.apply(batch).await.unwrap();
    assert_eq!(catalog.release(&release.id).await.unwrap().unwrap().state, ReleaseState::Admitted);
}

/// A release whose id is not made from its content is refused.
pub async fn a_release_is_its_content(catalog: &dyn Catalog) {
    let mut other = release("elastic/9.0.0", &["a"]);
    other.items[0].digest = blob("b");
    assert!(catalog.apply(releases(vec![(other, ReleaseState::Admitted)])).await.is_err());
    assert!(catalog.releases(&ReleaseFilter::default()).await.unwrap().is_empty());
}

/// By feed, by vendor, by state, and cut at a limit.
pub async fn releases_are_filtered(catalog: &dyn Catalog) {
    let defender = "defender/linux/production/x86_64";
    for (name, content, state) in [
        ("elastic/9.0.0", "a", ReleaseState::Admitted),
        ("elastic/9.0.0", "b", ReleaseState::Quarantined),
        ("elastic/8.0.0", "c", ReleaseState::Admitted),
        (defender, "d", ReleaseState::Admitted),
        (defender, "e", ReleaseState::Expired),
    ] {
        put(catalog, &release(name, &[content]), state).await;
    }
    let any = ReleaseFilter::default;
    let admitted = Some(ReleaseState::Admitted);
    for (filter, expected) in [
        (any(), vec![5, 4, 3, 2, 1]),
        (ReleaseFilter { limit: 2, ..any() }, vec![5, 4]),
        (ReleaseFilter { feed: Some(feed("elastic/9.0.0")), ..any() }, vec![2, 1]),
        (ReleaseFilter { feed: Some(feed("elastic/9.0.0")), state: admitted, ..any() }, vec![1]),
        (ReleaseFilter { vendor: Some(Vendor::Defender), ..any() }, vec![5, 4]),
        (ReleaseFilter { vendor: Some(Vendor::Elastic), state: admitted, ..any() }, vec![3, 1]),
        (ReleaseFilter { state: admitted, limit: 1, ..any() }, vec![4]),
        (ReleaseFilter { state: Some(ReleaseState::Rejected), ..any() }, vec![]),
        (ReleaseFilter { feed: Some(feed(defender)), vendor: Some(Vendor::Elastic), ..any() }, vec![]),
        (ReleaseFilter { feed: Some(feed("elastic/7.0.0")), ..any() }, vec![]),
    ] {
        assert_eq!(numbers(&catalog.releases(&filter).await.unwrap()), expected, "{filter:?}");
    }
}

/// A number, or at least eight digits that the id begins with.
pub async fn releases_are_found_by_number_or_prefix(catalog: &dyn Catalog) {
    let mut ids = Vec::new();
    for number in 0..12 {
        let release = release("elastic/9.0.0", &[&format!("content-{number}")]);
        put(catalog, &release, ReleaseState::Admitted).await;
        ids.push(release.id.to_string());
    }
    assert_eq!(numbers(&catalog.find_releases("11").await.unwrap()), [11]);
    for (index, id) in ids.iter().enumerate() {
        let number = index as u64 + 1;
        for text in [&id[..8], &id[..12], id, &id.to_uppercase()[..9]] {
            assert_eq!(numbers(&catalog.find_releases(text).await.unwrap()), [number], "{text}");
        }
        // A prefix of digits alone is also a number, though of no release here.
        assert!(catalog.find_releases(&id[..7]).await.unwrap().is_empty());
    }
    for text in ["", "0", "13", "-1", "+1", "1.0", "18446744073709551616", "nothing!", "%", "________", "g0000000"] {
        assert!(catalog.find_releases(text).await.unwrap().is_empty(), "{text}");
    }
    assert!(catalog.find_releases(&"a".repeat(1 << 20)).await.unwrap().is_empty());
}
