//! Who is served: one release a feed, and one owner a path.

use std::collections::BTreeMap;

use model::{Digest, FeedId, ItemKind, Note, Reason, ReleaseItem, Route, RoutePath};
use trust::Admitted;

use super::{Input, Newcomer};

/// The releases that are to be served.
pub(super) struct Seats<'a> {
    /// One release a feed.
    pub(super) taken: BTreeMap<&'a FeedId, &'a Admitted>,
    /// Whose bytes stand behind each path.
    pub(super) owners: BTreeMap<&'a RoutePath, (&'a FeedId, &'a ReleaseItem)>,
}

/// Somebody who wants certain bytes behind a path.
struct Claim<'a> {
    feed: &'a FeedId,
    digest: Digest,
    /// The place among the newcomers; none for what is served already.
    rank: Option<usize>,
}

impl<'a> Seats<'a> {
    /// Seats as many newcomers as can be served together. All are tried at once, because feeds that share a path
    /// change its bytes together; one whose bytes collide with what stays waits, and so does the later of two that
    /// collide with each other.
    pub(super) fn fill(input: &'a Input<'a>) -> (Self, Vec<(FeedId, Note)>) {
        let mut seated: Vec<&Newcomer> = input.newcomers.iter().collect();
        // What the operator let in is never in question, and makes room for those that agree with it.
        seated.sort_by_key(|newcomer| !newcomer.takes_paths);
        let mut held = Vec::new();
        while let Some((at, note)) = collision(input, &seated) {
            let waits = seated.remove(at);
            held.push((waits.admitted.release().feed.clone(), note));
        }
        held.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut taken = staying(input, &seated);
        taken.extend(seated.iter().map(|newcomer| (feed_of(newcomer), &newcomer.admitted)));
        let owners = owners(input, &taken, &seated);
        (Self { taken, owners }, held)
    }
}

fn feed_of(newcomer: &Newcomer) -> &FeedId {
    &newcomer.admitted.release().feed
}

/// Incumbents that no newcomer supersedes.
fn staying<'a>(input: &'a Input<'a>, seated: &[&Newcomer]) -> BTreeMap<&'a FeedId, &'a Admitted> {
    let superseded = |feed: &FeedId| seated.iter().any(|newcomer| feed_of(newcomer) == feed);
    input.incumbents.iter().filter(|(feed, _)| !input.retire.contains(*feed) && !superseded(feed)).collect()
}

/// What stays as it is served now. A release whose path was taken from it has no claim to that path any more;
/// a feed without a record claims what carries its name, and what others of its vendor may share with it.
fn standing<'a>(input: &'a Input<'a>, seated: &[&Newcomer]) -> BTreeMap<&'a RoutePath, Claim<'a>> {
    let honoured =
        |item: &ReleaseItem| input.present.routes.get(&item.route).is_none_or(|route| route.digest == item.digest);
    let firm = staying(input, seated).into_values().filter(|admitted| !makes_room(&admitted.release().feed));
    let recorded = firm.flat_map(|admitted| {
        let release = admitted.release();
        let items = release.items.iter().filter(|item| honoured(item));
        items.map(|item| (&item.route, &release.feed, item.digest))
    });
    let lost = |feed: &FeedId| {
        let known = input.incumbents.contains_key(feed) || input.retire.contains(feed);
        input.present.feeds.contains_key(feed)
            && !known
            && !makes_room(feed)
            && !seated.iter().any(|newcomer| feed_of(newcomer) == feed)
    };
    let routes = input.present.routes.iter().filter(|(_, route)| route.until.is_none());
    let unrecorded = routes.filter_map(|(path, route)| {
        // What carries another feed's name may be its, too, but for a manifest.
        let shares = || input.present.feeds.keys().find(|feed| may_share(feed, route) && lost(feed));
        let whose = if lost(&route.feed) { Some(&route.feed) } else { shares().filter(|_| !is_manifest(seated, path)) };
        whose.map(|feed| (path, feed, route.digest))
    });
    recorded.chain(unrecorded).map(|(path, feed, digest)| (path, Claim { feed, digest, rank: None })).collect()
}

/// Whether a path may be named by another feed than the one whose name it carries.
fn may_share(feed: &FeedId, route: &Route) -> bool {
    feed.vendor() == route.feed.vendor() && !vendors::registry(feed.vendor()).fixed_addresses()
}

fn is_manifest(seated: &[&Newcomer], path: &RoutePath) -> bool {
    let mut items = seated.iter().flat_map(|newcomer| &newcomer.admitted.release().items);
    items.any(|item| item.route == *path && item.kind == ItemKind::Manifest)
}

/// The first newcomer that cannot be served beside the others, by its place, and why.
fn collision(input: &Input<'_>, seated: &[&Newcomer]) -> Option<(usize, Note)> {
    let mut claims = standing(input, seated);
    let mut between = None;
    for (rank, newcomer) in seated.iter().enumerate() {
        let release = newcomer.admitted.release();
        if makes_room(&release.feed) {
            continue;
        }
        for item in &release.items {
            let mine = Claim { feed: &release.feed, digest: item.digest, rank: Some(rank) };
            let Some(other) = claims.get(&item.route).filter(|other| other.digest != item.digest) else {
                claims.entry(&item.route).or_insert(mine);
                continue;
            };
            match other.rank {
                _ if newcomer.takes_paths => drop(claims.insert(&item.route, mine)),
                None => return Some((rank, note(other.feed, item))),
                // What collides with something that stays goes first: it may make room for this one.
                Some(_) => between = between.or_else(|| Some((rank, note(other.feed, item)))),
            }
        }
    }
    between
}

fn makes_room(feed: &FeedId) -> bool {
    vendors::registry(feed.vendor()).makes_room(feed)
}

fn note(feed: &FeedId, item: &ReleaseItem) -> Note {
    Note { reason: Reason::PathConflict, detail: format!("{feed} serves other bytes at {}", item.route) }
}

/// Where releases name the same path, a newcomer with the operator's word takes it, then it keeps its owner, then it
/// falls to one that was not told before that it has lost it.
fn owners<'a>(
    input: &Input<'_>,
    taken: &BTreeMap<&'a FeedId, &'a Admitted>,
    seated: &[&Newcomer],
) -> BTreeMap<&'a RoutePath, (&'a FeedId, &'a ReleaseItem)> {
    let right = |feed: &FeedId, item: &ReleaseItem| {
        let newcomer = seated.iter().find(|newcomer| feed_of(newcomer) == feed);
        let route = input.present.routes.get(&item.route);
        if makes_room(feed) {
            Right::Guest
        } else if newcomer.is_some_and(|newcomer| newcomer.takes_paths) {
            Right::Taker
        } else if route.is_some_and(|route| route.feed == *feed) {
            Right::Owner
        } else if newcomer.is_some() || route.is_none_or(|route| route.digest == item.digest) {
            Right::Equal
        } else {
            Right::Lost
        }
    };
    let mut owners: BTreeMap<&RoutePath, (Right, (&FeedId, &ReleaseItem))> = BTreeMap::new();
    for admitted in taken.values() {
        let release = admitted.release();
        for item in &release.items {
            let (mine, claim) = (right(&release.feed, item), (&release.feed, item));
            let entry = owners.entry(&item.route).or_insert((mine, claim));
            if mine > entry.0 {
                *entry = (mine, claim);
            }
        }
    }
    owners.into_iter().map(|(path, (_, claim))| (path, claim)).collect()
}

/// What a release may say about a path that others name, too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    /// Whoever else names the path has it.
    Guest,
    Lost,
    Equal,
    Owner,
    Taker,
}
