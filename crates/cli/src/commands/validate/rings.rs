//! What rings serve, out of the data folder; what a mirror serves, out of its answers.

use std::collections::{BTreeMap, BTreeSet};

use catalog::ReleaseFilter;
use config::Config;
use doctor::Report;
use fleet::{Offer, Offers};
use mirror::Engine;
use model::{
    FeedId, FreshnessPolicy, Generation, Preset, ReleaseId, ReleaseState, RingName, Route, RoutePath, Timestamp,
    Vendor, VendorVersion, Version,
};

use crate::failure::Failure;

/// What every ring offers of a vendor, first to last.
pub(super) async fn offers(engine: &Engine, config: &Config, vendor: Vendor) -> Result<Vec<Offers>, Failure> {
    let mut known: BTreeMap<FeedId, Known> = BTreeMap::new();
    let mut all = Vec::new();
    for ring in config.rings() {
        let current = engine.ports().rings.current(&ring.name).await;
        let current = current.map_err(|error| Failure::new(&format!("cannot read ring {}", ring.name), &error))?;
        let generation: Option<Generation> = current.map(|current| current.generation);
        let mut offers = Offers { ring: Some(ring.name.clone()), ..Offers::default() };
        for (feed, served) in generation.iter().flat_map(|generation| &generation.feeds) {
            if feed.vendor() != vendor {
                continue;
            }
            if !known.contains_key(feed) {
                known.insert(feed.clone(), history(engine, feed).await?);
            }
            let Some(known) = known.get(feed) else { continue };
            let bound = config.freshness.of(feed).age;
            let offer = |version: &VendorVersion| Offer { version: version.clone(), held: known.held.clone(), bound };
            offers.feeds.insert(feed.clone(), offer(&served.vendor_version));
            let back = served.back.and_then(|id| known.versions.get(&id));
            offers.back.extend(back.map(|version| (feed.clone(), offer(version))));
            offers.rejected.insert(feed.clone(), known.rejected.clone());
        }
        all.push(offers);
    }
    Ok(all)
}

/// What a ring serves under which path.
pub(super) type Held = BTreeMap<RoutePath, Route>;

/// What a ring serves under which path; nothing while it serves nothing.
pub(super) async fn held(engine: &Engine, ring: &RingName) -> Result<Held, Failure> {
    let current = engine.ports().rings.current(ring).await;
    let current = current.map_err(|error| Failure::new(&format!("cannot read ring {ring}"), &error))?;
    Ok(current.map(|current| current.generation.routes).unwrap_or_default())
}

/// What the catalog knows of a feed.
#[derive(Default)]
struct Known {
    /// When each version was held; those that were never good to serve are left out.
    held: Vec<(Version, Timestamp)>,
    /// What was rejected or gone back from, and is in no good release.
    rejected: BTreeSet<Version>,
    versions: BTreeMap<ReleaseId, VendorVersion>,
}

async fn history(engine: &Engine, feed: &FeedId) -> Result<Known, Failure> {
    let filter = ReleaseFilter { feed: Some(feed.clone()), ..ReleaseFilter::default() };
    let records = engine.ports().catalog.releases(&filter).await;
    let records = records.map_err(|error| Failure::new("cannot read the catalog", &error))?;
    let mut known = Known::default();
    for record in &records {
        let (release, version) = (&record.release, &record.release.vendor_version);
        known.versions.insert(release.id, version.clone());
        match record.state {
            ReleaseState::Admitted | ReleaseState::Expired => {
                known.held.push((version.version.clone(), release.held_since));
            }
            ReleaseState::Rejected => known.rejected.extend([version.version.clone()]),
            ReleaseState::Quarantined => {}
        }
    }
    let Known { held, rejected, .. } = &mut known;
    rejected.retain(|version| held.iter().all(|(good, _)| good != version));
    Ok(known)
}

/// What a mirror was seen to serve. Since when is not known of it.
pub(super) fn seen(report: &Report, config: Option<&Config>) -> Offers {
    let preset = FreshnessPolicy::preset(Preset::Stig);
    let policy = config.map_or(&preset, |config| &config.freshness);
    let offer = |feed: &FeedId, text: &Option<String>| {
        let version = vendor_version(text.as_deref()?)?;
        Some((feed.clone(), Offer { version, held: Vec::new(), bound: policy.of(feed).age }))
    };
    Offers {
        feeds: report.feeds.iter().filter_map(|seen| offer(&seen.feed, &seen.vendor_version)).collect(),
        back: report.feeds.iter().filter_map(|seen| offer(&seen.feed, &seen.back)).collect(),
        ..Offers::default()
    }
}

/// `1.0.100`, or `1.459.553.0 (engine 1.1.26080.3)`.
pub(super) fn vendor_version(text: &str) -> Option<VendorVersion> {
    match text.split_once(" (engine ") {
        None => text.parse().ok().map(VendorVersion::plain),
        Some((version, engine)) => Some(VendorVersion {
            version: version.parse().ok()?,
            engine: Some(engine.strip_suffix(')')?.parse().ok()?),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_back_as_they_are_shown() {
        for text in ["1.0.100", "1.459.553.0 (engine 1.1.26080.3)"] {
            assert_eq!(vendor_version(text).unwrap().to_string(), text);
        }
        assert_eq!(vendor_version("1.0 (engine x"), None);
    }
}
