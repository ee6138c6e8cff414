//! Entries found again.

use std::time::Duration;

use model::{ReleaseState, Timestamp};
use serde_json::json;

use super::sample::{at, entry, put, release};
use crate::{Batch, Catalog, Entry, EntryFilter, EntryKind, EntryOrder, Lived, NewEntry, Span};

const KINDS: [EntryKind; 3] = [EntryKind::Check, EntryKind::Act, EntryKind::Process];

async fn fill(catalog: &dyn Catalog) -> Vec<Entry> {
    let new = |number: i64| NewEntry {
        // The clock goes back now and then.
        at: at(number * 10 - if number % 7 == 0 { 35 } else { 0 }),
        kind: KINDS[usize::try_from(number).unwrap() % KINDS.len()],
        ..entry(&format!("subject-{}", number % 4))
    };
    let history = (0..40).map(new).collect();
    catalog.apply(Batch { history, ..Batch::default() }).await.unwrap();
    catalog.history(1, 100).await.unwrap()
}

/// What a filter lets through is found, all of it, from either end.
pub async fn entries_are_found_by_filter(catalog: &dyn Catalog) {
    let all = fill(catalog).await;
    let any = EntryFilter::default;
    let filters = [
        any(),
        EntryFilter { from: 7, to: Some(31), ..any() },
        EntryFilter { kinds: vec![EntryKind::Act], ..any() },
        EntryFilter { kinds: vec![EntryKind::Act, EntryKind::Process], subject: Some("subject-2".to_owned()), ..any() },
        EntryFilter { since: Some(at(100)), until: Some(at(200)), ..any() },
        EntryFilter { until: Some(at(-1)), kinds: KINDS.to_vec(), ..any() },
        EntryFilter { subject: Some("'; --".to_owned()), ..any() },
        EntryFilter { from: u64::MAX, ..any() },
        EntryFilter { to: Some(u64::MAX), since: Some(Timestamp::from_micros(i64::MAX)), ..any() },
    ];
    for filter in filters {
        let expected: Vec<&Entry> = all.iter().filter(|entry| filter.fits(entry)).collect();
        for limit in [0, 1, 3, usize::MAX] {
            let oldest = catalog.entries(&filter, EntryOrder::OldestFirst, limit).await.unwrap();
            assert!(oldest.iter().eq(expected.iter().copied().take(limit)), "{filter:?}, {limit}");
            let newest = catalog.entries(&filter, EntryOrder::NewestFirst, limit).await.unwrap();
            assert!(newest.iter().eq(expected.iter().rev().copied().take(limit)), "{filter:?}, {limit}");
        }
    }
}

/// Of a kind, up to a number, in order.
pub async fn the_last_entry_on_each_subject_is_found(catalog: &dyn Catalog) {
    let all = fill(catalog).await;
    for until in [0, 1, 5, 17, 40, u64::MAX] {
        for kind in KINDS {
            let mut expected: Vec<&Entry> = Vec::new();
            for entry in all.iter().filter(|entry| entry.kind == kind && entry.seq <= until) {
                expected.retain(|known| known.subject != entry.subject);
                expected.push(entry);
            }
            let found = catalog.latest(kind, until).await.unwrap();
            assert!(found.iter().eq(expected.iter().copied()), "{kind:?} up to {until}");
        }
    }
}

/// A clock that jumps, either way, makes nothing old; time that passes from entry to entry does.
pub async fn time_is_counted_from_entry_to_entry_s28(catalog: &dyn Catalog) {
    let day = Duration::from_secs(86_400);
    let span = |age| Span { age, step: day * 7 };
    assert_eq!(catalog.lived(at(0), &[span(Duration::ZERO)]).await.unwrap(), [None], "nothing is older than nothing");
    let start = at(0);
    // Ten days, a clock a year ahead for a day, and back; then ten more days.
    let year = day * 365;
    let times = (0..10).map(|number| start.after(day * number));
    let ahead = (10..12).map(|number| start.after(year + day * number));
    let back = (12..22).map(|number| start.after(day * number));
    for time in times.chain(ahead).chain(back) {
        let history = vec![NewEntry { at: time, ..entry("tick") }];
        catalog.apply(Batch { history, ..Batch::default() }).await.unwrap();
    }
    let now = start.after(day * 21);
    let mut asked = Vec::new();
    for (age, expected) in [
        (Duration::ZERO, Some((22, now))),
        (day, Some((21, start.after(day * 20)))),
        (day * 9, Some((13, start.after(day * 12)))),
        // The jump counts for a week and no more, and the way back for nothing; the days from the first entry on bound it.
        (day * 12, Some((10, start.after(day * 5)))),
        (day * 21, Some((1, start))),
        (day * 22, None),
        (year, None),
    ] {
        let expected = expected.map(|(seq, earliest)| Lived { seq, earliest });
        assert_eq!(catalog.lived(now, &[span(age)]).await.unwrap(), [expected], "{} days", age.as_secs() / 86_400);
        asked.push((span(age), expected));
    }
    let (spans, expected): (Vec<Span>, Vec<_>) = asked.into_iter().unzip();
    assert_eq!(catalog.lived(now, &spans).await.unwrap(), expected, "one walk finds them all");
    assert_eq!(catalog.lived(now, &[]).await.unwrap(), []);
}

/// Only the catalog knows it.
pub async fn entries_on_a_release_carry_its_number(catalog: &dyn Catalog) {
    put(catalog, &release("elastic/9.0.0", &["a"]), ReleaseState::Admitted).await;
    let second = release("elastic/9.0.0", &["b"]);
    let verdict = |id: String| NewEntry { kind: EntryKind::Verdict, data: json!({ "verdict": "x" }), ..entry(&id) };
    let batch = Batch {
        releases: vec![crate::NewRelease { release: second.clone(), state: ReleaseState::Admitted }],
        history: vec![
            verdict(second.id.to_string()),
            verdict(release("elastic/9.0.0", &["nobodys"]).id.to_string()),
            verdict("no id".to_owned()),
            NewEntry { kind: EntryKind::Check, ..verdict(second.id.to_string()) },
        ],
        ..Batch::default()
    };
    catalog.apply(batch).await.unwrap();
    let data: Vec<String> = catalog.history(1, 9).await.unwrap().into_iter().map(|entry| entry.data).collect();
    let without = r#"{"verdict":"x"}"#;
    assert_eq!(data, [r#"{"number":2,"verdict":"x"}"#, without, without, without]);
    crate::verify_chain(catalog).await.unwrap();
}

/// Nothing is found in what is as it was written.
pub async fn a_sound_catalog_is_found_sound(catalog: &dyn Catalog) {
    fill(catalog).await;
    for number in 0..120 {
        let contents = [format!("{number}"), "shared".to_owned(), format!("{number}")];
        let contents: Vec<&str> = contents.iter().take(2).map(String::as_str).collect();
        put(catalog, &release("elastic/9.0.0", &contents), ReleaseState::Admitted).await;
    }
    let states = vec![(release("elastic/9.0.0", &["7", "shared"]).id, ReleaseState::Expired, at(9))];
    let host_waits = vec![("a.test".to_owned(), at(1))];
    catalog.apply(Batch { states, host_waits, ..Batch::default() }).await.unwrap();
    let mut faults = Vec::new();
    catalog.examine(&mut |fault| faults.push(fault.to_string())).await.unwrap();
    assert!(faults.is_empty(), "{faults:?}");
}
