//! What a mirror's ring offers, as somebody who knows told us.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{Bound, FeedId, Level, RingName, Timestamp, Vendor, VendorVersion, Version};

/// What is offered of one feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What the vendor calls it.
    pub version: VendorVersion,
    /// When the mirror held each version that it knows of, this one among them; empty where only an address is known.
    pub held: Vec<(Version, Timestamp)>,
    /// How long an endpoint may be behind.
    pub bound: Bound,
}

impl Offer {
    /// Since when an endpoint with this version could have had a newer one. What was held before the mirror's records
    /// begin is not known: it may be longer.
    pub(crate) fn lacking_since(&self, own: &Version) -> Option<Timestamp> {
        let newer = self.held.iter().filter(|(version, _)| version > own && *version <= self.version.version);
        newer.map(|(_, at)| *at).min()
    }

    /// How bad it is to have this version now, and for how long that has been so: since the mirror had a newer one, or
    /// since the endpoint was current in its own words, whichever is longer. A mirror that is newer than the lag knows
    /// nothing of the days before it.
    pub(crate) fn lacking(
        &self,
        own: &Version,
        now: Timestamp,
        own_age: Option<Duration>,
    ) -> (Level, Option<Duration>) {
        let lag = self.lacking_since(own).map(|since| now.since(since)).max(own_age);
        (lag.map_or(Level::Warn, |lag| self.bound.level(lag)), lag)
    }
}

/// What a mirror's ring offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// The ring; none where only an address is known.
    pub ring: Option<RingName>,
    /// By feed.
    pub feeds: BTreeMap<FeedId, Offer>,
    /// Of which it is not known whether it offers them: where they lie is not known.
    pub unasked: BTreeSet<FeedId>,
    /// What is offered beside it as the release before, of the feeds that have one.
    pub back: BTreeMap<FeedId, Offer>,
    /// Versions that the operator rejected or went back from, as far as that is known; none that is good as well.
    pub rejected: BTreeMap<FeedId, BTreeSet<Version>>,
}

impl Offers {
    /// The feeds of one vendor.
    pub(crate) fn of(&self, vendor: Vendor) -> impl Iterator<Item = (&FeedId, &Offer)> {
        self.feeds.iter().filter(move |(feed, _)| feed.vendor() == vendor)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_is_far_behind_is_behind_for_long_however_new_the_newest_is() {
        let at = |hours: i64| Timestamp::from_micros(hours * 3_600_000_000);
        let version = |text: &str| text.parse::<Version>().unwrap();
        let held = [("1.0.1", 0), ("1.0.3", 50), ("1.0.2", 20), ("1.0.9", 60)];
        let offer = Offer {
            version: VendorVersion::plain(version("1.0.3")),
            held: held.iter().map(|(text, hours)| (version(text), at(*hours))).collect(),
            bound: Bound { warn: Duration::from_secs(36_000), fail: Duration::from_secs(72_000) },
        };
        assert_eq!(offer.lacking_since(&version("1.0.2")), Some(at(50)));
        assert_eq!(offer.lacking_since(&version("1.0.1")), Some(at(20)));
        assert_eq!(offer.lacking_since(&version("1.0.0")), Some(at(0)));
        assert_eq!(offer.lacking_since(&version("1.0.3")), None);
        let level = |text: &str| offer.lacking(&version(text), at(55), None).0;
        assert_eq!((level("1.0.2"), level("1.0.1")), (Level::Fine, Level::Fail));
        let unknown = Offer { held: Vec::new(), ..offer };
        assert_eq!(unknown.lacking(&version("1.0.1"), at(55), None), (Level::Warn, None));
        let old = Duration::from_secs(100 * 3600);
        assert_eq!(unknown.lacking(&version("1.0.1"), at(55), Some(old)), (Level::Fail, Some(old)));
    }

    #[test]
    fn a_mirror_that_is_new_does_not_excuse_a_fleet_that_is_old() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let version = |text: &str| text.parse::<Version>().unwrap();
        let at = |hours: i64| Timestamp::from_micros(hours * 3_600_000_000);
        let offer = Offer {
            version: VendorVersion::plain(version("1.0.5")),
            held: vec![(version("1.0.5"), at(1000))],
            bound: Bound { warn: hours(120), fail: hours(168) },
        };
        let lacking = |own_age| offer.lacking(&version("1.0.2"), at(1001), own_age);
        assert_eq!(lacking(Some(hours(720))), (Level::Fail, Some(hours(720))));
        assert_eq!(lacking(Some(hours(0))), (Level::Fine, Some(hours(1))));
        assert_eq!(lacking(None), (Level::Fine, Some(hours(1))));
    }
}
