//! Second paths of manifests: one that is not published may have several, and the vendor may move it from one to another.

use mirror::Engine;
use model::{FeedId, Reason, RoutePath, error_chain};
use vendors::elastic::wanted;

use super::Desk;
use crate::{Landing, Why};

impl Desk {
    /// A feed's manifest is served: at this path, at another of which this one has the very same bytes, or from now on
    /// at this one, because the vendor has moved it here.
    pub(super) async fn at(
        &self,
        engine: &Engine,
        feed: &FeedId,
        (path, guess): (&RoutePath, Option<String>),
    ) -> Landing {
        let landing = match is_current(engine, path).await {
            Some(true) => Landing::Held,
            Some(false) => self.second(engine, feed, (path, guess)).await,
            None => Landing::Failed,
        };
        if landing == Landing::Held {
            self.claim_names(path);
        }
        landing
    }

    /// What the manifest at this path names is named by a feed.
    fn claim_names(&self, path: &RoutePath) {
        if let Err(error) = self.book.drop_stray(path) {
            tracing::warn!(%path, error = %error_chain(&error), "what it names still counts as named by no feed");
        }
    }

    /// Another manifest lies where a copy of a followed feed's is served: whether that goes on here from now on.
    pub(super) async fn moves_to_copy(&self, engine: &Engine, path: &RoutePath) -> bool {
        let found = wanted(path, &self.settings(engine)).filter(|found| engine.follows(&found.feed));
        let Some(found) = found else { return false };
        let moves = self.move_to(engine, &found.feed, (path, found.guess)).await;
        if moves {
            self.claim_names(path);
        }
        moves
    }

    async fn second(&self, engine: &Engine, feed: &FeedId, (path, guess): (&RoutePath, Option<String>)) -> Landing {
        // A mirror serves no copies: its feed lies here, or nothing does.
        let copies = self.rules.borrow().proxy;
        let refused = match if copies { Some(self.copy(engine, path).await) } else { None } {
            Some(Ok(landing)) => return landing,
            Some(Err(refused)) => Some(refused),
            None => None,
        };
        let differs = refused.as_ref().is_none_or(|refused| refused.why.reason == Reason::PathUnknown);
        if differs && self.move_to(engine, feed, (path, guess)).await {
            return Landing::Held;
        }
        refused.map_or(Landing::Absent, |refused| self.refuse(engine, path, refused))
    }

    /// A manifest lies here, with other bytes than the one that is served. Where that lies no longer at its own place, this
    /// is where its feed goes on.
    async fn move_to(&self, engine: &Engine, feed: &FeedId, (path, guess): (&RoutePath, Option<String>)) -> bool {
        let Some(_claim) = self.claim(engine, feed).await else { return false };
        self.take_guess(guess.as_deref());
        let report = self.sync_feed(engine, feed, Why::Operator).await;
        let moved = is_current(engine, path).await == Some(true);
        if moved {
            let outcome = report.map(|report| report.outcome.as_str());
            tracing::info!(%feed, %path, outcome, "its manifest lies here now");
            return true;
        }
        self.leave_guess(guess.as_deref());
        if let Some(report) = report {
            self.note(engine, report);
        }
        false
    }
}

/// Whether something is served at a path; none where that cannot be told.
pub(super) async fn is_routed(engine: &Engine, path: &RoutePath) -> Option<bool> {
    let current = engine.ports().rings.current(&engine.settings().ring).await.ok()?;
    Some(current.is_some_and(|current| current.generation.routes.contains_key(path)))
}

/// Whether something is served at a path that is not there for its grace alone; none where that cannot be told.
async fn is_current(engine: &Engine, path: &RoutePath) -> Option<bool> {
    let current = engine.ports().rings.current(&engine.settings().ring).await.ok()?;
    Some(current.is_some_and(|current| current.generation.routes.get(path).is_some_and(|route| route.until.is_none())))
}
