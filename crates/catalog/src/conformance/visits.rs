//! Releases of one version, and releases page by page.

use std::sync::Arc;

use model::{Release, ReleaseState, Vendor, VendorVersion};

use super::sample::{feed, put, release, releases};
use crate::paging::PAGE;
use crate::{Catalog, ReleaseFilter, ReleaseRecord};

fn version(text: &str) -> Option<model::Version> {
    Some(text.parse().unwrap())
}

fn of_version(name: &str, content: &str, vendor_version: &str, engine: Option<&str>) -> Release {
    let engine = engine.map(|engine| engine.parse().unwrap());
    let vendor_version = VendorVersion { version: vendor_version.parse().unwrap(), engine };
    Release { vendor_version, ..release(name, &[content]) }
}

/// By version alone, and with feed, state and limit; what merely compares alike is another version.
pub async fn releases_of_one_version_are_found(catalog: &dyn Catalog) {
    let (elastic, defender) = ("elastic/9.0.0", "defender/linux/production/x86_64");
    let (admitted, quarantined) = (ReleaseState::Admitted, ReleaseState::Quarantined);
    for (name, content, vendor_version, engine, state) in [
        (elastic, "a", "1.0.7", None, admitted),
        (elastic, "b", "1.0.8", None, admitted),
        (elastic, "c", "1.0.7", None, quarantined),
        ("elastic/8.0.0", "d", "1.0.7", None, admitted),
        (defender, "e", "1.0.7", Some("1.0.8"), admitted),
        (elastic, "f", "1.0.07", None, admitted),
        (elastic, "g", "1.0.7", None, admitted),
    ] {
        put(catalog, &of_version(name, content, vendor_version, engine), state).await;
    }
    let any = || ReleaseFilter { version: version("1.0.7"), ..ReleaseFilter::default() };
    let one_feed = || ReleaseFilter { feed: Some(feed(elastic)), ..any() };
    for (filter, expected) in [
        (any(), vec![7, 5, 4, 3, 1]),
        (one_feed(), vec![7, 3, 1]),
        (ReleaseFilter { state: Some(admitted), ..one_feed() }, vec![7, 1]),
        (ReleaseFilter { state: Some(admitted), limit: 1, ..one_feed() }, vec![7]),
        (ReleaseFilter { state: Some(quarantined), limit: 1, ..one_feed() }, vec![3]),
        (ReleaseFilter { state: Some(ReleaseState::Rejected), ..one_feed() }, vec![]),
        (ReleaseFilter { vendor: Some(Vendor::Defender), ..any() }, vec![5]),
        (ReleaseFilter { version: version("1.0.8"), ..any() }, vec![2]),
        (ReleaseFilter { version: version("1.0"), ..any() }, vec![]),
    ] {
        let listed: Vec<u64> = catalog.releases(&filter).await.unwrap().iter().map(|record| record.number).collect();
        assert_eq!(listed, expected, "{filter:?}");
        assert_eq!(visited(catalog, &filter).await, catalog.releases(&filter).await.unwrap(), "{filter:?}");
    }
}

async fn visited(catalog: &dyn Catalog, filter: &ReleaseFilter) -> Vec<ReleaseRecord> {
    let mut all = Vec::new();
    catalog.visit_releases(filter, &mut |record| all.push(record)).await.unwrap();
    all
}

async fn fill(catalog: &dyn Catalog, count: usize) {
    let state = |number| if number % 3 == 0 { ReleaseState::Quarantined } else { ReleaseState::Admitted };
    let new = |number: usize| (release("elastic/9.0.0", &[&format!("content-{number}")]), state(number));
    catalog.apply(releases((0..count).map(new).collect())).await.unwrap();
}

/// What a visit shows is what a list holds, whether it ends within a page, with one, or behind one.
pub async fn releases_are_visited_page_by_page(catalog: &dyn Catalog) {
    let none = ReleaseFilter::default();
    assert!(visited(catalog, &none).await.is_empty());
    let mut count = 0;
    for total in [PAGE, PAGE + 1, 2 * PAGE, 2 * PAGE + 7] {
        let more = (count..total).map(|number| release("elastic/8.0.0", &[&format!("earlier-{number}")]));
        let more = more.map(|release| (release, ReleaseState::Admitted)).collect();
        catalog.apply(releases(more)).await.unwrap();
        count = total;
        let numbers: Vec<u64> = visited(catalog, &none).await.iter().map(|record| record.number).collect();
        assert_eq!(numbers, (1..=total as u64).rev().collect::<Vec<u64>>());
    }
    fill(catalog, 3 * PAGE).await;
    let filter = |state, limit| ReleaseFilter { state, limit, ..ReleaseFilter::default() };
    for state in [None, Some(ReleaseState::Quarantined), Some(ReleaseState::Expired)] {
        for limit in [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, usize::MAX] {
            let filter = filter(state, limit);
            assert_eq!(visited(catalog, &filter).await, catalog.releases(&filter).await.unwrap(), "{filter:?}");
        }
    }
}

/// Between two pages others write: nobody waits for the visit's end, and what they record is not shown.
pub async fn a_visit_lets_writers_through(visiting: Arc<dyn Catalog>, writing: Arc<dyn Catalog>) {
    fill(visiting.as_ref(), 2 * PAGE).await;
    let runtime = tokio::runtime::Handle::current();
    let mut numbers = Vec::new();
    let mut each = |record: ReleaseRecord| {
        if numbers.len() % (PAGE / 2) == 0 {
            let new = release("elastic/9.0.0", &[&format!("meanwhile-{}", record.number)]);
            let writing = Arc::clone(&writing);
            // The visit is kept waiting until the writer is done.
            tokio::task::block_in_place(|| {
                runtime.block_on(async { put(writing.as_ref(), &new, ReleaseState::Admitted).await });
            });
        }
        numbers.push(record.number);
    };
    visiting.visit_releases(&ReleaseFilter::default(), &mut each).await.unwrap();
    assert_eq!(numbers, (1..=2 * PAGE as u64).rev().collect::<Vec<u64>>());
    assert_eq!(visiting.releases(&ReleaseFilter::default()).await.unwrap().len(), 2 * PAGE + 4);
}
