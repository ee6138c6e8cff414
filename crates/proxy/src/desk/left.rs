//! What is served and followed no longer, and asked for all the same: by the next gc it would be gone, and until then it
//! would stand still.

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

    /// The manifests that are served and followed no longer, and that somebody asked for since the last look.
    pub(crate) fn take_left(&self, engine: &Engine) -> Vec<Seen> {
        let (ring, now) = (&engine.settings().ring, engine.ports().clock.now());
        let settings = self.settings(engine);
        let followed = engine.feeds();
        let left = |feed: &FeedId| !followed.contains(feed) && engine.left(feed);
        let asked = self.faces.take_left(|path| wanted(path, &settings).is_some_and(|found| left(&found.feed)));
        asked.into_iter().map(|path| Seen { ring: ring.clone(), path, count: 1, first: now, last: now }).collect()
    }
}
