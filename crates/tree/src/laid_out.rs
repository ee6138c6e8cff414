//! What of a ring stands in a folder.

use std::collections::BTreeSet;

use model::{Digest, Generation, Route, RoutePath};

/// The routes that are laid out. What nothing but the way it came speaks for is not, for a file cannot say so; the copy of
/// what is proven is.
pub(crate) fn laid_out(generation: &Generation) -> impl Iterator<Item = (&RoutePath, &Route)> {
    let is_guest = |route: &Route| vendors::registry(route.feed.vendor()).makes_room(&route.feed);
    let proven: BTreeSet<Digest> =
        generation.routes.values().filter(|route| !is_guest(route)).map(|route| route.digest).collect();
    generation.routes.iter().filter(move |(_, route)| !is_guest(route) || proven.contains(&route.digest))
}

#[cfg(test)]
mod tests {
    use model::{RingName, Timestamp};

    use super::*;

    #[test]
    fn what_nothing_proves_is_laid_out_nowhere() {
        let at = Timestamp::from_micros(0);
        let mut made = Generation::empty(RingName::broad(), at);
        for (path, feed, bytes) in [
            ("/downloads/m/2026-01-15/artifacts-9.0.0.zip", "elastic/9.0.0@2026-01-15", "manifest"),
            ("/downloads/m/artifacts-9.0.0-2026-01-15.zip", "elastic/forwarded", "manifest"),
            ("/downloads/misc/f1", "elastic/forwarded", "whatever"),
        ] {
            let digest = Digest::of(bytes.as_bytes());
            let route = Route { digest, size: 8, feed: feed.parse().unwrap(), since: at, until: None };
            made.routes.insert(path.parse().unwrap(), route);
        }
        let paths: Vec<&str> = laid_out(&made).map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            ["/downloads/m/2026-01-15/artifacts-9.0.0.zip", "/downloads/m/artifacts-9.0.0-2026-01-15.zip"]
        );
    }
}
