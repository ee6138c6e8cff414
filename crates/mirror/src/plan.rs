//! Makes a ring's next generation out of its present one and admitted releases. Pure.
//!
//! The next generation is closed: every file of every feed's current release is in it. What was reachable
//! before and is no longer named stays through the grace period. Planning again after a plan was carried out
//! changes nothing.

mod seats;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{
    Digest, FeedId, Generation, ItemKind, Note, Release, ReleaseId, ReleaseItem, Remembered, Route, RoutePath,
    ServedFeed, Timestamp, Vendor,
};
use trust::Admitted;

use crate::{Ends, Graces};

use seats::Seats;

/// A release that wants to be served.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// The release.
    pub admitted: Admitted,
    /// Whether its bytes take paths that another feed holds with other bytes: only by the operator's word.
    pub takes_paths: bool,
}

/// What a plan is made from.
#[derive(Debug)]
pub struct Input<'a> {
    /// What the ring serves now.
    pub present: &'a Generation,
    /// The releases that it serves now, by feed. A served feed that is absent here has lost its record: its
    /// routes are kept as they stand.
    pub incumbents: &'a BTreeMap<FeedId, Admitted>,
    /// Releases that want to be served.
    pub newcomers: &'a [Newcomer],
    /// For each feed whose layout has it, the earlier releases that `_back` may serve, newest version first.
    pub earlier: &'a BTreeMap<FeedId, Vec<Admitted>>,
    /// For each feed, the releases that the operator rejected or rolled back from, in order of id.
    pub denied: &'a BTreeMap<FeedId, Vec<ReleaseId>>,
    /// Feeds to be served no longer.
    pub retire: &'a BTreeSet<FeedId>,
    /// Superseded bytes that are not to stay reachable: they are held no longer, or only what was denied names them.
    pub gone: &'a BTreeSet<Digest>,
    /// How long superseded routes stay.
    pub grace: Graces,
    /// When the plan is made.
    pub now: Timestamp,
    /// Until when time has surely passed; behind `now` while the clock may have jumped. No grace ends beyond it.
    pub calm: Ends,
}

/// The next generation and what it took to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The next generation; the present one if nothing changes.
    pub generation: Generation,
    /// Whether it differs from the present one in anything but its number and time.
    pub changed: bool,
    /// Newcomers that must wait, and why.
    pub held: Vec<(FeedId, Note)>,
    /// Paths whose superseded bytes cannot stay reachable because newer bytes took the path.
    pub lost_grace: Vec<RoutePath>,
}

/// Plans the next generation.
pub fn plan(input: &Input<'_>) -> Plan {
    let (seats, held) = Seats::fill(input);
    let newest = input.present.routes.values().map(|route| route.since).fold(input.present.at, Timestamp::max);
    let layout = Layout { input, seats, newest };
    let (feeds, mut routes) = layout.lay_out();
    let mut lost_grace = layout.keep_grace(&mut routes);
    lost_grace.retain(|path| layout.should_keep_its_address(path));
    let changed = feeds != input.present.feeds || routes != input.present.routes;
    let generation = if changed {
        let number = input.present.number.saturating_add(1);
        Generation { ring: input.present.ring.clone(), number, at: input.now, feeds, routes }
    } else {
        input.present.clone()
    };
    Plan { generation, changed, held, lost_grace }
}

/// From one date as HTTP writes it to the next.
const ONE_DATE: Duration = Duration::from_secs(1);

/// Filled seats on their way to routes.
struct Layout<'a> {
    input: &'a Input<'a>,
    seats: Seats<'a>,
    /// The latest date that the present generation gives.
    newest: Timestamp,
}

impl Layout<'_> {
    /// A manifest, and every file of a vendor with fixed addresses, is superseded in place by design.
    fn should_keep_its_address(&self, path: &RoutePath) -> bool {
        self.seats.owners.get(path).is_some_and(|(feed, item)| {
            item.kind == ItemKind::Artifact && !vendors::registry(feed.vendor()).fixed_addresses()
        })
    }

    fn lay_out(&self) -> (BTreeMap<FeedId, ServedFeed>, BTreeMap<RoutePath, Route>) {
        let mut feeds = BTreeMap::new();
        let mut routes = BTreeMap::new();
        for (path, (feed, item)) in &self.seats.owners {
            routes.insert((*path).clone(), self.route(path, feed, item));
        }
        for (feed, admitted) in &self.seats.taken {
            let back = self.back_release(admitted);
            let served = self.served(admitted, back);
            if let Some(back) = back {
                self.lay_out_back(feed, back, &mut routes);
            }
            feeds.insert((*feed).clone(), served);
        }
        keep_unrecorded(self.input, &mut feeds, &mut routes);
        self.drop_forsaken(&mut routes);
        (feeds, routes)
    }

    /// A manifest that a guest has is a copy of one that is served: it moves with that, and leaves with it at once.
    fn drop_forsaken(&self, routes: &mut BTreeMap<RoutePath, Route>) {
        let hosts = routes.values().filter(|route| !is_guest(&route.feed));
        let theirs: BTreeSet<Digest> = hosts.map(|route| route.digest).collect();
        let is_copy =
            |path: &RoutePath| self.seats.owners.get(path).is_some_and(|(_, item)| item.kind == ItemKind::Manifest);
        routes.retain(|path, route| !is_guest(&route.feed) || theirs.contains(&route.digest) || !is_copy(path));
    }

    fn lay_out_back(&self, feed: &FeedId, back: &Admitted, routes: &mut BTreeMap<RoutePath, Route>) {
        let module = vendors::registry(feed.vendor());
        for item in &back.release().items {
            if let Some(path) = module.back_route(feed, &item.route) {
                let route = self.route(&path, feed, item);
                routes.entry(path).or_insert(route);
            }
        }
    }

    fn route(&self, path: &RoutePath, feed: &FeedId, item: &ReleaseItem) -> Route {
        let since = self.since(path, item);
        Route { digest: item.digest, size: item.size, feed: feed.clone(), since, until: None }
    }

    /// A route keeps the moment since when the same bytes stood there. Other bytes get a later one, by a second at
    /// least, however fast publications follow and wherever the clock was set: a date that a client was given for the
    /// ones before must not hold for these (RFC 9110, 13.1.3).
    fn since(&self, path: &RoutePath, item: &ReleaseItem) -> Timestamp {
        let now = self.input.now;
        match self.input.present.routes.get(path) {
            Some(route) if route.digest == item.digest => route.since,
            Some(route) => now.max(route.since.after(ONE_DATE)),
            // What stood there before, if anything did, is no longer known.
            None if now < self.newest => self.newest.after(ONE_DATE),
            None => now,
        }
    }

    fn served(&self, admitted: &Admitted, back: Option<&Admitted>) -> ServedFeed {
        let release = admitted.release();
        let back_bases = vendors::registry(release.feed.vendor()).back_bases(&release.feed);
        let present = self.input.present.feeds.get(&release.feed);
        let before = present.filter(|served| served.release == release.id);
        let named = [Some(admitted), back].into_iter().flatten();
        ServedFeed {
            release: release.id,
            vendor_version: release.vendor_version.clone(),
            since: before.map_or(self.input.now, |served| served.since),
            // Endpoints knock at the bases of `_back` before there is anything in it.
            bases: release.bases.iter().cloned().chain(back_bases).collect(),
            back: back.map(|back| back.release().id),
            denied: self.input.denied.get(&release.feed).cloned().unwrap_or_default(),
            remembers: named.map(|admitted| remembered(admitted.release(), present)).collect(),
        }
    }

    /// The newest earlier release, older in version by definition.
    fn back_release(&self, current: &Admitted) -> Option<&Admitted> {
        let version = &current.release().vendor_version.version;
        let earlier = self.input.earlier.get(&current.release().feed)?;
        earlier.iter().find(|admitted| admitted.release().vendor_version.version < *version)
    }

    /// Keeps what was reachable and is no longer named until its grace ends.
    fn keep_grace(&self, routes: &mut BTreeMap<RoutePath, Route>) -> Vec<RoutePath> {
        let input = self.input;
        let mut lost = Vec::new();
        for (path, route) in &input.present.routes {
            // Never longer than a grace from now: the clock may have been set back since it was begun.
            let end = input.now.after(input.grace.of(route.feed.vendor()));
            let until = route.until.unwrap_or(end).min(end);
            let past = until <= input.now.min(input.calm.of(route.feed.vendor())) || input.gone.contains(&route.digest);
            if past || is_guest(&route.feed) || self.is_past_back(&route.feed, path) {
                continue;
            }
            match routes.get(path) {
                None => {
                    // A feed without a record may name it, too: nobody can tell until the record is found again.
                    let may_be_named = route.until.is_none() && self.has_unrecorded(route.feed.vendor());
                    let until = if may_be_named { None } else { Some(until) };
                    routes.insert(path.clone(), Route { until, ..route.clone() });
                }
                Some(newer) if newer.digest != route.digest => lost.push(path.clone()),
                Some(_) => {}
            }
        }
        lost
    }

    /// Whether a feed of a vendor whose feeds share paths keeps its seat without a record.
    fn has_unrecorded(&self, vendor: Vendor) -> bool {
        let mut feeds = self.input.present.feeds.keys().filter(|feed| feed.vendor() == vendor);
        !vendors::registry(vendor).fixed_addresses()
            && feeds.any(|feed| !self.seats.taken.contains_key(feed) && !self.input.retire.contains(feed))
    }

    /// What nobody names any more of `_back` would not be older than what is served.
    fn is_past_back(&self, feed: &FeedId, path: &RoutePath) -> bool {
        let module = vendors::registry(feed.vendor());
        let items = self.seats.taken.get(feed).map(|admitted| &admitted.release().items);
        items.into_iter().flatten().any(|item| module.back_route(feed, &item.route).as_ref() == Some(path))
    }
}

/// What the next generation remembers of a release: what the `present` one does, however often it was met since.
fn remembered(release: &Release, present: Option<&ServedFeed>) -> Remembered {
    let known = present.and_then(|served| served.remembers.iter().find(|known| known.release == release.id));
    known.map_or_else(|| release.into(), Clone::clone)
}

/// Nobody is in the middle of what no manifest names: it needs no grace, and may have to leave at once.
fn is_guest(feed: &FeedId) -> bool {
    vendors::registry(feed.vendor()).makes_room(feed)
}

/// A served feed without a record keeps its seat and its routes.
fn keep_unrecorded(
    input: &Input<'_>,
    feeds: &mut BTreeMap<FeedId, ServedFeed>,
    routes: &mut BTreeMap<RoutePath, Route>,
) {
    let mut lost = BTreeSet::new();
    for (feed, served) in &input.present.feeds {
        if !feeds.contains_key(feed) && !input.retire.contains(feed) {
            let denied = input.denied.get(feed).unwrap_or(&served.denied).clone();
            feeds.insert(feed.clone(), ServedFeed { denied, ..served.clone() });
            lost.insert(feed);
        }
    }
    // A path that it shares may carry another feed's name: `keep_grace` keeps that.
    let theirs = |route: &Route| route.until.is_none() && lost.contains(&route.feed);
    for (path, route) in input.present.routes.iter().filter(|(_, route)| theirs(route)) {
        routes.entry(path.clone()).or_insert_with(|| route.clone());
    }
}

#[cfg(test)]
mod tests;
