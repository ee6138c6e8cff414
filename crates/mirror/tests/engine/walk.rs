//! The oracle: reads everything that is served and asserts what must hold at every instant.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read as _};
use std::sync::PoisonError;

use catalog::{ReleaseFilter, ReleaseRecord};
use model::{
    Clock as _, Digest, FeedId, Generation, ReleaseId, ReleaseState, RoutePath, ServedFeed, Timestamp, Vendor, Version,
};
use serde_json::Value;
use vendors::zip::{Archive, Caps};

use crate::world::World;

/// What earlier walks saw.
#[derive(Default)]
pub(crate) struct Seen {
    versions: BTreeMap<FeedId, Version>,
    /// The releases that the ring served of each feed.
    served: BTreeMap<FeedId, BTreeSet<ReleaseId>>,
    /// Elastic's artifacts: their bytes, and when they were last current.
    artifacts: BTreeMap<RoutePath, (Digest, Timestamp)>,
    /// Paths may change their bytes: the simulated addresses are fixed.
    pub(crate) fixed: bool,
    /// The operator let one feed take another's path.
    pub(crate) taken: bool,
}

impl World {
    /// Walks all that is served (I1 to I4).
    pub(crate) async fn walk(&self) {
        let Some(generation) = self.generation().await else { return };
        let mut manifests = BTreeMap::new();
        for (path, route) in &generation.routes {
            let bytes = self.read(path, route.digest).await;
            assert_eq!(bytes.len() as u64, route.size, "I4: {path}");
            assert_eq!(Digest::of(&bytes), route.digest, "I4: {path}");
            if path.as_str().starts_with("/downloads/endpoint/manifest/") {
                manifests.insert(path.clone(), bytes);
            }
        }
        for feed in generation.feeds.keys().filter(|feed| feed.vendor() == Vendor::Elastic) {
            // At its own path, or, where the vendor publishes none, wherever it was found.
            let lies = |path: &RoutePath| {
                generation.routes.get(path).is_some_and(|route| route.feed == *feed && route.until.is_none())
            };
            let mut found = manifests.iter().filter(|(path, _)| lies(path)).map(|(_, zip)| zip).peekable();
            assert!(found.peek().is_some(), "I1: no manifest of {feed} is served");
            found.for_each(|zip| self.closed(&generation, feed, zip));
        }
        self.back_is_older(&generation).await;
        let denied = self.denied().await;
        self.goes_on(&generation, &denied);
    }

    /// The operator sent a feed back, or a version that was seen was lost on purpose.
    pub(crate) fn may_go_back(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).versions.clear();
    }

    /// What was served before is forgotten by the mirror, and so is its grace.
    pub(crate) fn forget(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }

    async fn read(&self, path: &RoutePath, digest: Digest) -> Vec<u8> {
        let reader = self.ports.blobs.open(digest).await.unwrap();
        let mut bytes = Vec::new();
        reader.unwrap_or_else(|| panic!("I4: {path} has no bytes")).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Every artifact that a served manifest names is served, with its bytes (I1).
    fn closed(&self, generation: &Generation, feed: &FeedId, zip: &[u8]) {
        let taken = self.seen.lock().unwrap_or_else(PoisonError::into_inner).taken;
        for (path, digest, size) in artifacts(zip) {
            let route = generation.routes.get(&path).unwrap_or_else(|| panic!("I1: {path} is not served"));
            if taken && route.feed != *feed {
                continue;
            }
            assert_eq!((route.digest, route.size), (digest, size), "I1: {path}");
        }
    }

    async fn back_is_older(&self, generation: &Generation) {
        for (feed, served) in &generation.feeds {
            let due = self.due_in_back(feed, served).await;
            let Some(back) = served.back else {
                assert!(due.is_none(), "I5: {feed} has no _back, and {due:?} was served and is held");
                let stray = generation
                    .routes
                    .iter()
                    .find(|(path, route)| route.feed == *feed && path.as_str().contains("_back/"));
                assert!(stray.is_none(), "I3: {stray:?} is nobody's");
                continue;
            };
            let record = self.ports.catalog.release(&back).await.unwrap();
            let Some(record) = record else { continue };
            assert!(record.release.vendor_version.version < served.vendor_version.version, "I3: _back of {feed}");
            let newest = due.is_none_or(|due| due <= record.release.vendor_version.version);
            assert!(newest, "I5: a newer one than _back of {feed} was served and is held");
        }
    }

    /// The newest release older than what is served that the ring served before, that is admitted and held whole.
    async fn due_in_back(&self, feed: &FeedId, served: &ServedFeed) -> Option<Version> {
        let before = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let known = seen.served.entry(feed.clone()).or_default();
            known.insert(served.release);
            known.extend(served.back);
            known.clone()
        };
        let mut due = None;
        for release in before.iter().filter(|_| feed.vendor() == Vendor::Defender) {
            let Some(found) = self.ports.catalog.release(release).await.unwrap() else { continue };
            let version = found.release.vendor_version.version.clone();
            let older = found.state == ReleaseState::Admitted && version < served.vendor_version.version;
            if older && self.is_whole(&found).await {
                due = due.max(Some(version));
            }
        }
        due
    }

    async fn is_whole(&self, found: &ReleaseRecord) -> bool {
        for item in &found.release.items {
            let held = self.ports.blobs.find(item.digest).await.ok().flatten();
            if held.is_none_or(|held| held.size() != item.size) {
                return false;
            }
        }
        true
    }

    /// What rejected releases name and no admitted one does: it leaves at once.
    async fn denied(&self) -> BTreeSet<Digest> {
        let named = async |state| {
            let filter = ReleaseFilter { state: Some(state), ..ReleaseFilter::default() };
            let found = self.ports.catalog.releases(&filter).await.unwrap();
            found.into_iter().flat_map(|found| found.release.items).map(|item| item.digest).collect::<BTreeSet<_>>()
        };
        let rejected = named(ReleaseState::Rejected).await;
        // Thousands are admitted in a long life, of which nobody rejected any.
        if rejected.is_empty() { rejected } else { &rejected - &named(ReleaseState::Admitted).await }
    }

    fn goes_on(&self, generation: &Generation, denied: &BTreeSet<Digest>) {
        let now = self.clock.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (feed, served) in &generation.feeds {
            let version = served.vendor_version.version.clone();
            if let Some(before) = seen.versions.insert(feed.clone(), version.clone()) {
                assert!(version >= before, "I3: {feed} went from {before} to {version}");
            }
        }
        if seen.fixed {
            return;
        }
        let current = generation.routes.iter().filter(|(path, route)| {
            let elastic = route.feed.vendor() == Vendor::Elastic && !path.as_str().contains("/manifest/");
            elastic && route.until.is_none()
        });
        for (path, route) in current {
            seen.artifacts.insert(path.clone(), (route.digest, now));
        }
        for (path, (digest, last)) in &seen.artifacts {
            if now.since(*last) < self.settings.grace.elastic && !denied.contains(digest) {
                let route = generation.routes.get(path).unwrap_or_else(|| panic!("I2: {path} left in its grace"));
                assert_eq!(route.digest, *digest, "I2: {path}");
            }
        }
    }
}

/// What a manifest names: path, digest and size on the wire.
fn artifacts(zip: &[u8]) -> Vec<(RoutePath, Digest, u64)> {
    let caps =
        Caps { entries: 10, name_bytes: 100, member_bytes: 1 << 24, total_bytes: 1 << 24, ratio: 1000, folders: false };
    let mut cursor = Cursor::new(zip);
    let mut archive = Archive::open(&mut cursor, &caps).unwrap();
    let index = archive.find("manifest.json").unwrap();
    let json: Value = serde_json::from_slice(&archive.read(index, 1 << 24).unwrap()).unwrap();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let entries = json["artifacts"].as_object().unwrap().values();
    entries
        .map(|entry| {
            let path = text(entry, "relative_url").parse().unwrap();
            (path, text(entry, "encoded_sha256").parse().unwrap(), entry["encoded_size"].as_u64().unwrap())
        })
        .collect()
}
