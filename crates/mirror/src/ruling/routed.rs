//! What a ring tells of a release that no catalog knows any more.

use std::collections::{BTreeMap, BTreeSet};

use model::{FeedId, Generation, ItemKind, ReleaseItem, Route, RoutePath};
use trust::Proposal;

/// What the ring serves of a feed whose releases are not on record: its own routes, and those that it shares with other
/// feeds of its vendor as far as the proposal names them still: no more than was there. Nothing where the ring serves
/// nothing of it.
pub(super) fn routed(generation: &Generation, feed: &FeedId, proposal: &Proposal) -> Option<Vec<ReleaseItem>> {
    generation.feeds.get(feed)?;
    let module = vendors::registry(feed.vendor());
    let named: BTreeMap<&RoutePath, ItemKind> = proposal.items().iter().map(|item| (&item.route, item.kind)).collect();
    let back: BTreeSet<RoutePath> = named.keys().filter_map(|path| module.back_route(feed, path)).collect();
    let is_its = |path: &RoutePath, route: &Route| {
        route.feed == *feed || (route.feed.vendor() == feed.vendor() && named.contains_key(path))
    };
    let routes = generation.routes.iter().filter(|(_, route)| route.until.is_none());
    let items = routes.filter(|(path, route)| is_its(path, route) && !back.contains(*path)).map(|(path, route)| {
        let kind = named.get(path).copied().unwrap_or(ItemKind::Artifact);
        ReleaseItem { route: path.clone(), digest: route.digest, size: route.size, kind }
    });
    Some(items.collect())
}
