//! Where an endpoint is pointed at, as its report says it, and whether that is the mirror.

use std::collections::BTreeSet;

use model::{Bound, FeedId, RingName, Vendor, Version};
use settings::defender::Address;
use url::Url;

use super::Fault;
use crate::offers::{Offer, Offers};

/// The mirror that reports are held against.
#[derive(Clone, Copy, Debug)]
pub struct Mirror<'m> {
    /// What its rings offer; the last is the one at its root.
    pub rings: &'m [Offers],
    /// Where endpoints reach it. Where none is known no endpoint's address is called wrong.
    pub addresses: &'m [Url],
    /// The ring of endpoints whose report names no address; none where it may be any of them.
    pub otherwise: Option<&'m RingName>,
    /// The processor of all endpoints, such as `arm64`; none where it may be any, or each report is to say it.
    pub arch: Option<&'m str>,
    /// How long an endpoint may go without an update where nothing is known that it should have.
    pub bound: Bound,
}

/// What may be an endpoint's own.
pub(super) struct Candidates<'m> {
    /// The ring, where it is known which.
    pub(super) ring: Option<&'m RingName>,
    /// The offers of each feed that it may follow.
    pub(super) offers: Vec<(&'m FeedId, &'m Offer)>,
    /// What was rejected of some feed that it may follow.
    pub(super) rejected: BTreeSet<&'m Version>,
    /// What was rejected of every feed that it may follow: the vendor gives several the same versions, and a word is on one.
    pub(super) rejected_of_all: BTreeSet<&'m Version>,
}

impl<'m> Mirror<'m> {
    /// What is wrong with the configured address.
    pub(super) fn faults(&self, address: &Address) -> Vec<Fault> {
        let mut faults = Vec::new();
        let is_folder = address.is_folder();
        // Where a folder is mounted from, and on which part of the layout, nobody can say here.
        let is_whole = is_folder || address.is_web() && !address.is_doubled() && address.layout().is_some();
        if !is_whole || address.goes_on() || address.is_too_far() {
            faults.push(Fault::WrongAddress);
        }
        if address.layout().is_none() {
            return faults;
        }
        let ours = is_folder || self.addresses.is_empty() || self.addresses.iter().any(|one| address.is_below(one));
        if !ours {
            faults.push(Fault::WrongMirror);
        } else if !is_folder && address.ring().is_some_and(|ring| !self.rings.is_empty() && !self.serves(ring)) {
            faults.push(Fault::UnknownRing);
        } else if !self.rings.is_empty() && self.candidates(Some(address), self.arch).offers.is_empty() {
            faults.push(Fault::Unserved);
        }
        if is_back(address) {
            faults.push(Fault::OnBack);
        }
        faults
    }

    /// Whether a ring is there that offers anything of Defender.
    fn serves(&self, ring: &str) -> bool {
        self.named(ring).is_some_and(|offers| offers.of(Vendor::Defender).next().is_some())
    }

    fn named(&self, name: &str) -> Option<&'m Offers> {
        self.rings.iter().find(|offers| offers.ring.as_ref().is_some_and(|ring| ring.as_str() == name))
    }

    /// What an endpoint with this address may follow: its platform and track, in every architecture where nothing names the
    /// processor; and where no address is known, everything that may be meant.
    pub(super) fn candidates(&self, address: Option<&Address>, arch: Option<&str>) -> Candidates<'m> {
        let layout = address.and_then(Address::layout);
        let fits = |feed: &FeedId| {
            let place_fits = match layout {
                Some((platform, track)) => feed.segments().take(2).eq([platform, plain(track)]),
                // Neither the vendor's own address nor the general report says which system asks.
                None => feed.segments().nth(1) == Some("production"),
            };
            place_fits && arch.is_none_or(|arch| feed.segments().nth(2) == Some(arch))
        };
        let rings = self.rings_of(address);
        let ring = match rings.as_slice() {
            [only] => only.ring.as_ref(),
            _ => None,
        };
        // The release before is an offer of its own.
        let is_back = address.is_some_and(is_back);
        let offers = rings.iter().flat_map(|ring| if is_back { &ring.back } else { &ring.feeds });
        let rejected = rings.iter().flat_map(|ring| &ring.rejected).filter(|(feed, _)| fits(feed));
        let rejected: BTreeSet<&Version> = rejected.flat_map(|(_, versions)| versions).collect();
        let is_of = |feed: &FeedId| feed.vendor() == Vendor::Defender && fits(feed);
        let of_all = |version: &&Version| {
            let mut each =
                rings.iter().flat_map(|ring| ring.feeds.keys().map(move |feed| (feed, ring.rejected.get(feed))));
            each.all(|(feed, known)| !is_of(feed) || known.is_some_and(|known| known.contains(*version)))
        };
        Candidates {
            ring,
            offers: offers.filter(|(feed, _)| is_of(feed)).collect(),
            rejected_of_all: rejected.iter().copied().filter(of_all).collect(),
            rejected,
        }
    }

    /// The rings that an endpoint with this address may be on.
    fn rings_of(&self, address: Option<&Address>) -> Vec<&'m Offers> {
        let Some(address) = address.filter(|address| address.layout().is_some()) else {
            return match self.otherwise {
                Some(ring) => self.named(ring.as_str()).into_iter().collect(),
                None => self.rings.iter().collect(),
            };
        };
        // Another mirror's ring is none of ours, whatever its name.
        let is_folder = address.is_folder();
        if !is_folder && !self.addresses.is_empty() && !self.addresses.iter().any(|one| address.is_below(one)) {
            return Vec::new();
        }
        match address.ring() {
            None => self.rings.last().into_iter().collect(),
            Some(ring) => match self.named(ring) {
                Some(offers) => vec![offers],
                // A folder that has no ring's name is a mount point: any ring's folder may be behind it.
                None if is_folder => self.rings.iter().collect(),
                None => Vec::new(),
            },
        }
    }
}

/// Whether an address is that of the release before.
pub(super) fn is_back(address: &Address) -> bool {
    address.layout().is_some_and(|(_, track)| track != plain(track))
}

/// A track without `_back`.
fn plain(track: &str) -> &str {
    track.strip_suffix("_back").unwrap_or(track)
}

/// The ring that an address names below one of these addresses, if it does.
pub fn ring_below(address: &str, addresses: &[Url]) -> Option<RingName> {
    let address = Address::read(address);
    let ours = addresses.iter().any(|one| address.is_below(one));
    address.ring().filter(|_| ours)?.parse().ok()
}

/// The feeds that an address names, one for each processor.
pub fn feeds_of(address: &str) -> Vec<FeedId> {
    let address = Address::read(address);
    let Some((platform, track)) = address.layout() else { return Vec::new() };
    let feed = |arch: &str| format!("defender/{platform}/{}/{arch}", plain(track)).parse().ok();
    ["x86_64", "arm64"].into_iter().filter_map(feed).collect()
}
