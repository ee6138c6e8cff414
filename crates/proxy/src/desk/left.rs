//! What is served and not renewed, and asked for all the same: with its grace it would be gone, and until then it would
//! stand still.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mirror::Engine;
use model::{FeedId, RoutePath};
use vendors::elastic::{DOWNLOADS, wanted};

use super::Desk;
use crate::Seen;

impl Desk {
    /// Where it is to be noted that somebody asks for what is served at a path; none where that is of no interest.
    pub fn asked_at(&self, path: &RoutePath) -> Option<Arc<AtomicBool>> {
        // A process listens before it can tell.
        let is_manifest = self.engine().is_none_or(|engine| wanted(path, &self.settings(&engine)).is_some());
        (is_manifest && path.is_under(DOWNLOADS)).then(|| self.faces.asked(path))
    }

    /// Where somebody asked since the last look for a manifest that is served and not renewed: it is followed no longer, or
    /// its feed goes on at another path, and here is what was before.
    pub(crate) async fn take_left(&self, engine: &Engine) -> Vec<Seen> {
        let (ring, now) = (&engine.settings().ring, engine.ports().clock.now());
        let settings = self.settings(engine);
        let followed = engine.feeds();
        let current = engine.ports().rings.current(ring).await.ok().flatten();
        let is_past = |path: &RoutePath| {
            let route = current.as_ref().and_then(|current| current.generation.routes.get(path));
            route.is_some_and(|route| route.until.is_some())
        };
        let left = |feed: &FeedId, path: &RoutePath| {
            if followed.contains(feed) { is_past(path) } else { engine.left(feed) }
        };
        let asked = self.faces.take_left(|path| wanted(path, &settings).is_some_and(|found| left(&found.feed, path)));
        asked.into_iter().map(|path| Seen { ring: ring.clone(), path, count: 1, first: now, last: now }).collect()
    }
}
