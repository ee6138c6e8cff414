//! Makes a ring's next generation out of its present one and admitted releases. Pure.
//!
//! The next generation is closed: every file of every feed's current release is in it. What was reachable
//! before and is no longer named stays through the grace period. Planning again after a plan was carried out
//! changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{FeedId, Generation, ItemKind, Note, Reason, ReleaseItem, Route, RoutePath, ServedFeed, Timestamp};
use trust::Admitted;

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
    /// Feeds to be served no longer.
    pub retire: &'a BTreeSet<FeedId>,
    /// How long superseded routes stay.
    pub grace: Duration,
    /// When the plan is made.
    pub now: Timestamp,
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
    let mut draft = Draft::of_incumbents(input);
    let mut held = Vec::new();
    for newcomer in input.newcomers {
        match draft.conflict(newcomer) {
            Some(note) => held.push((newcomer.admitted.release().feed.clone(), note)),
            None => draft.seat(newcomer),
        }
    }
    let (feeds, mut routes) = draft.lay_out(input);
    let mut lost_grace = keep_grace(input, &mut routes);
    lost_grace.retain(|path| draft.should_keep_its_address(path));
    let changed = feeds != input.present.feeds || routes != input.present.routes;
    let generation = if changed {
        let number = input.present.number.saturating_add(1);
        Generation { ring: input.present.ring.clone(), number, at: input.now, feeds, routes }
    } else {
        input.present.clone()
    };
    Plan { generation, changed, held, lost_grace }
}

/// The seats as they are being filled: one release a feed.
struct Draft<'a> {
    seats: BTreeMap<FeedId, &'a Admitted>,
    /// Who serves which bytes under a path, and who owns the path where two disagree.
    paths: BTreeMap<&'a RoutePath, (&'a FeedId, &'a ReleaseItem)>,
    present: &'a Generation,
}

impl<'a> Draft<'a> {
    fn of_incumbents(input: &'a Input<'a>) -> Self {
        let seats = input
            .incumbents
            .iter()
            .filter(|(feed, _)| !input.retire.contains(*feed))
            .map(|(feed, admitted)| (feed.clone(), admitted))
            .collect();
        let mut draft = Self { seats, paths: BTreeMap::new(), present: input.present };
        draft.index();
        draft
    }

    fn index(&mut self) {
        self.paths.clear();
        for admitted in self.seats.values().copied() {
            let release = admitted.release();
            for item in &release.items {
                let owns = self.present.routes.get(&item.route).is_some_and(|route| route.feed == release.feed);
                let entry = self.paths.entry(&item.route).or_insert((&release.feed, item));
                if owns {
                    *entry = (&release.feed, item);
                }
            }
        }
    }

    fn conflict(&self, newcomer: &Newcomer) -> Option<Note> {
        let release = newcomer.admitted.release();
        if newcomer.takes_paths {
            return None;
        }
        release.items.iter().find_map(|item| {
            let (feed, other) = self.paths.get(&item.route)?;
            (**feed != release.feed && other.digest != item.digest).then(|| Note {
                reason: Reason::PathConflict,
                detail: format!("{} serves other bytes at {}", feed, item.route),
            })
        })
    }

    fn seat(&mut self, newcomer: &'a Newcomer) {
        let release = newcomer.admitted.release();
        self.seats.insert(release.feed.clone(), &newcomer.admitted);
        self.index();
        for item in &release.items {
            self.paths.insert(&item.route, (&release.feed, item));
        }
    }

    /// A manifest, and every file of a vendor with fixed addresses, is superseded in place by design.
    fn should_keep_its_address(&self, path: &RoutePath) -> bool {
        self.paths.get(path).is_some_and(|(feed, item)| {
            item.kind == ItemKind::Artifact && !vendors::registry(feed.vendor()).fixed_addresses()
        })
    }

    fn lay_out(&self, input: &Input<'_>) -> (BTreeMap<FeedId, ServedFeed>, BTreeMap<RoutePath, Route>) {
        let mut feeds = BTreeMap::new();
        let mut routes = BTreeMap::new();
        for (path, (feed, item)) in &self.paths {
            routes.insert((*path).clone(), self.route(path, feed, item, input.now));
        }
        for (feed, admitted) in &self.seats {
            let back = back_release(input, admitted);
            let mut bases = admitted.release().bases.clone();
            if let Some(back) = back {
                self.lay_out_back(feed, back, &mut routes, &mut bases, input.now);
            }
            feeds.insert(feed.clone(), self.served(feed, admitted, back, bases, input.now));
        }
        keep_unrecorded(input, &mut feeds, &mut routes);
        (feeds, routes)
    }

    fn lay_out_back(
        &self,
        feed: &FeedId,
        back: &Admitted,
        routes: &mut BTreeMap<RoutePath, Route>,
        bases: &mut Vec<RoutePath>,
        now: Timestamp,
    ) {
        let module = vendors::registry(feed.vendor());
        for item in &back.release().items {
            if let Some(path) = module.back_route(feed, &item.route) {
                let route = self.route(&path, feed, item, now);
                routes.entry(path).or_insert(route);
            }
        }
        bases.extend(module.back_bases(feed));
    }

    /// A route keeps the moment since when the same bytes stood there.
    fn route(&self, path: &RoutePath, feed: &FeedId, item: &ReleaseItem, now: Timestamp) -> Route {
        let before = self.present.routes.get(path).filter(|route| route.digest == item.digest);
        let since = before.map_or(now, |route| route.since);
        Route { digest: item.digest, size: item.size, feed: feed.clone(), since, until: None }
    }

    fn served(
        &self,
        feed: &FeedId,
        admitted: &Admitted,
        back: Option<&Admitted>,
        bases: Vec<RoutePath>,
        now: Timestamp,
    ) -> ServedFeed {
        let release = admitted.release();
        let before = self.present.feeds.get(feed).filter(|served| served.release == release.id);
        ServedFeed {
            release: release.id,
            vendor_version: release.vendor_version.clone(),
            since: before.map_or(now, |served| served.since),
            bases,
            back: back.map(|back| back.release().id),
        }
    }
}

/// The newest earlier release, older in version by definition.
fn back_release<'a>(input: &'a Input<'_>, current: &Admitted) -> Option<&'a Admitted> {
    let version = &current.release().vendor_version.version;
    let earlier = input.earlier.get(&current.release().feed)?;
    earlier.iter().find(|admitted| admitted.release().vendor_version.version < *version)
}

/// A served feed without a record keeps its seat and its routes.
fn keep_unrecorded(
    input: &Input<'_>,
    feeds: &mut BTreeMap<FeedId, ServedFeed>,
    routes: &mut BTreeMap<RoutePath, Route>,
) {
    let mut lost = false;
    for (feed, served) in &input.present.feeds {
        if !feeds.contains_key(feed) && !input.retire.contains(feed) {
            feeds.insert(feed.clone(), served.clone());
            lost = true;
        }
    }
    // Shared paths carry one feed's name alone, so all that is not superseded stays.
    for (path, route) in input.present.routes.iter().filter(|(_, route)| lost && route.until.is_none()) {
        routes.entry(path.clone()).or_insert_with(|| route.clone());
    }
}

/// Keeps what was reachable and is no longer named until its grace ends.
fn keep_grace(input: &Input<'_>, routes: &mut BTreeMap<RoutePath, Route>) -> Vec<RoutePath> {
    let mut lost = Vec::new();
    for (path, route) in &input.present.routes {
        let until = route.until.unwrap_or_else(|| input.now.after(input.grace));
        if until <= input.now {
            continue;
        }
        match routes.get(path) {
            None => {
                routes.insert(path.clone(), Route { until: Some(until), ..route.clone() });
            }
            Some(newer) if newer.digest != route.digest => lost.push(path.clone()),
            Some(_) => {}
        }
    }
    lost
}
