//! Where an endpoint is pointed at, as its report says it, and whether that is the mirror.

use model::{FeedId, RingName, Vendor};
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
    /// The processor of all endpoints, such as `arm64`; none where it may be any: no report names it.
    pub arch: Option<&'m str>,
}

/// What may be an endpoint's own.
pub(super) struct Candidates<'m> {
    /// The ring, where it is known which.
    pub(super) ring: Option<&'m RingName>,
    /// The offers of each feed that it may follow.
    pub(super) offers: Vec<(&'m FeedId, &'m Offer)>,
}

/// The place that an address names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// What stands before ring and platform: `https://host:port/prefix`, or a folder.
    base: &'a str,
    /// The ring, where one is named.
    ring: Option<&'a str>,
    /// Platform and track, the track as it is written.
    layout: Option<(&'a str, &'a str)>,
    /// Whether anything stands behind the track.
    goes_on: bool,
}

impl<'a> Place<'a> {
    /// Reads a URL or a folder.
    pub(super) fn of(address: &'a str) -> Self {
        // The text is cut where the layout begins, so that what stands before it can be shown and compared as it is.
        let path = address.find("://").map_or(0, |at| at + 3);
        let mut parts = Vec::new();
        let mut at = path;
        for part in address.get(path..).unwrap_or_default().split('/') {
            parts.push((at, part));
            at += part.len() + 1;
        }
        parts.retain(|(_, part)| !part.is_empty());
        let is_track = |text: &str| matches!(plain(text), "production" | "preview");
        let layout = parts.windows(2).position(|pair| match pair {
            [(_, platform), (_, track)] => matches!(*platform, "linux" | "mac") && is_track(track),
            _ => false,
        });
        let Some(at) = layout else { return Self { base: address, ..Self::default() } };
        let part = |index: usize| parts.get(index).copied().unwrap_or_default();
        let before = |count: usize| at.checked_sub(count).and_then(|index| parts.get(index)).copied();
        let is_folder = address.starts_with('/');
        let (ring, start) = match (before(2), before(1)) {
            (Some((start, "rings")), Some((_, ring))) => (Some(ring), start),
            // A ring's plain folder has the ring's name.
            (_, Some((start, ring))) if is_folder => (Some(ring), start),
            _ => (None, part(at).0),
        };
        Self {
            base: address.get(..start).unwrap_or_default().trim_end_matches('/'),
            ring,
            layout: Some((part(at).1, part(at + 1).1)),
            goes_on: parts.len() > at + 2,
        }
    }

    /// Whether two addresses are of one mirror.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.layout.is_some() && other.layout.is_some() && same_base(self.base, other.base)
    }
}

/// A track without `_back`.
fn plain(track: &str) -> &str {
    track.strip_suffix("_back").unwrap_or(track)
}

fn same_base(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => same(&one, &other),
        _ => one == other,
    }
}

/// Scheme, host, port and path; nothing behind them.
fn same(one: &Url, other: &Url) -> bool {
    let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
    let host = |url: &Url| url.host_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase());
    one.scheme() == other.scheme()
        && host(one) == host(other)
        && one.port_or_known_default() == other.port_or_known_default()
        && path(one) == path(other)
}

impl<'m> Mirror<'m> {
    /// What is wrong with the configured address.
    pub(super) fn faults(&self, address: &str) -> Vec<Fault> {
        let place = Place::of(address);
        let mut faults = Vec::new();
        let is_folder = address.starts_with('/');
        if place.layout.is_none() || place.goes_on || !(is_folder || address.contains("://")) {
            faults.push(Fault::WrongAddress);
        }
        if place.layout.is_none() {
            return faults;
        }
        // Where a folder is mounted from, nobody can say here.
        let known = is_folder || self.addresses.is_empty();
        let ours = known || Url::parse(place.base).is_ok_and(|base| self.addresses.iter().any(|one| same(one, &base)));
        if !ours {
            faults.push(Fault::WrongMirror);
        } else if !is_folder && place.ring.is_some_and(|ring| !self.rings.is_empty() && !self.serves(ring)) {
            faults.push(Fault::UnknownRing);
        }
        if place.layout.is_some_and(|(_, track)| track != plain(track)) {
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

    /// What an endpoint with this address may follow: its platform and track in every architecture, because no report
    /// names the processor; and where no address is known, everything that may be meant.
    pub(super) fn candidates(&self, address: Option<&str>) -> Candidates<'m> {
        let place = address.map(Place::of).unwrap_or_default();
        let fits = |feed: &FeedId| {
            let place_fits = match place.layout {
                Some((platform, track)) => feed.segments().take(2).eq([platform, plain(track)]),
                // Neither the vendor's own address nor the general report says which system asks.
                None => feed.segments().nth(1) == Some("production"),
            };
            place_fits && self.arch.is_none_or(|arch| feed.segments().nth(2) == Some(arch))
        };
        let is_url = address.is_some_and(|address| !address.starts_with('/'));
        // Another mirror's ring is none of ours, whatever its name.
        let elsewhere = is_url && address.is_some_and(|text| self.faults(text).contains(&Fault::WrongMirror));
        let rings: Vec<&'m Offers> = match (place.layout, place.ring) {
            (Some(_), _) if elsewhere => Vec::new(),
            (Some(_), None) => self.rings.last().into_iter().collect(),
            (Some(_), Some(ring)) => match self.named(ring) {
                Some(offers) => vec![offers],
                // A folder that has no ring's name is a mount point: any ring's folder may be behind it.
                None if !is_url => self.rings.iter().collect(),
                None => Vec::new(),
            },
            (None, _) => match self.otherwise {
                Some(ring) => self.named(ring.as_str()).into_iter().collect(),
                None => self.rings.iter().collect(),
            },
        };
        let ring = match rings.as_slice() {
            [only] => only.ring.as_ref(),
            _ => None,
        };
        let offers = rings.into_iter().flat_map(|ring| ring.of(Vendor::Defender));
        Candidates { ring, offers: offers.filter(|(feed, _)| fits(feed)).collect() }
    }
}

/// The ring that an address names below one of these addresses, if it does.
pub fn ring_below(address: &str, addresses: &[Url]) -> Option<RingName> {
    let place = Place::of(address);
    let base = Url::parse(place.base).ok()?;
    let ours = addresses.iter().any(|one| same(one, &base));
    place.ring.filter(|_| ours)?.parse().ok()
}
