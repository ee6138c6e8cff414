//! What rings serve, out of the data folder; what a mirror serves, out of its answers.

use std::collections::BTreeMap;

use catalog::ReleaseFilter;
use config::Config;
use doctor::Report;
use fleet::{Offer, Offers};
use mirror::Engine;
use model::{FeedId, FreshnessPolicy, Generation, Preset, ReleaseState, Timestamp, Vendor, VendorVersion, Version};

use crate::failure::Failure;

/// What every ring offers of a vendor, first to last.
pub(super) async fn offers(engine: &Engine, config: &Config, vendor: Vendor) -> Result<Vec<Offers>, Failure> {
    let mut held: BTreeMap<FeedId, Vec<(Version, Timestamp)>> = BTreeMap::new();
    let mut all = Vec::new();
    for ring in config.rings() {
        let current = engine.ports().rings.current(&ring.name).await;
        let current = current.map_err(|error| Failure::new(&format!("cannot read ring {}", ring.name), &error))?;
        let generation: Option<Generation> = current.map(|current| current.generation);
        let mut feeds = BTreeMap::new();
        for (feed, served) in generation.iter().flat_map(|generation| &generation.feeds) {
            if feed.vendor() != vendor {
                continue;
            }
            if !held.contains_key(feed) {
                held.insert(feed.clone(), history(engine, feed).await?);
            }
            let held = held.get(feed).cloned().unwrap_or_default();
            let bound = config.freshness.of(feed).age;
            feeds.insert(feed.clone(), Offer { version: served.vendor_version.clone(), held, bound });
        }
        all.push(Offers { ring: Some(ring.name.clone()), feeds, unasked: Default::default() });
    }
    Ok(all)
}

/// When each version of a feed was held; those that were never good to serve are left out.
async fn history(engine: &Engine, feed: &FeedId) -> Result<Vec<(Version, Timestamp)>, Failure> {
    let filter = ReleaseFilter { feed: Some(feed.clone()), ..ReleaseFilter::default() };
    let records = engine.ports().catalog.releases(&filter).await;
    let records = records.map_err(|error| Failure::new("cannot read the catalog", &error))?;
    let good = records.iter().filter(|record| matches!(record.state, ReleaseState::Admitted | ReleaseState::Expired));
    Ok(good.map(|record| (record.release.vendor_version.version.clone(), record.release.held_since)).collect())
}

/// What a mirror was seen to serve. Since when is not known of it.
pub(super) fn seen(report: &Report, config: Option<&Config>) -> Offers {
    let preset = FreshnessPolicy::preset(Preset::Stig);
    let policy = config.map_or(&preset, |config| &config.freshness);
    let offer = |feed: &FeedId, text: &str| {
        Some(Offer { version: vendor_version(text)?, held: Vec::new(), bound: policy.of(feed).age })
    };
    let feeds = report
        .feeds
        .iter()
        .filter_map(|seen| Some((seen.feed.clone(), offer(&seen.feed, seen.vendor_version.as_deref()?)?)));
    Offers { ring: None, feeds: feeds.collect(), unasked: Default::default() }
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
