//! What a mirror's ring offers, as somebody who knows told us.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Bound, FeedId, Level, RingName, Timestamp, Vendor, VendorVersion};

/// What is offered of one feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What the vendor calls it.
    pub version: VendorVersion,
    /// Since when the mirror has it, where that is known.
    pub since: Option<Timestamp>,
    /// How long an endpoint may be behind it.
    pub bound: Bound,
}

impl Offer {
    /// How bad it is that an endpoint lacks it now. Without a time since when it is offered the vendor's word on the
    /// endpoint's own age counts.
    pub(crate) fn level_of_lacking(&self, now: Timestamp, own_age: Option<Duration>) -> (Level, Option<Duration>) {
        let lag = self.since.map(|since| now.since(since)).or(own_age);
        (lag.map_or(Level::Warn, |lag| self.bound.level(lag)), lag)
    }
}

/// What a mirror's ring offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers {
    /// The ring; none where only an address is known.
    pub ring: Option<RingName>,
    /// By feed.
    pub feeds: BTreeMap<FeedId, Offer>,
}

impl Offers {
    /// The feeds of one vendor.
    pub(crate) fn of(&self, vendor: Vendor) -> impl Iterator<Item = (&FeedId, &Offer)> {
        self.feeds.iter().filter(move |(feed, _)| feed.vendor() == vendor)
    }
}
