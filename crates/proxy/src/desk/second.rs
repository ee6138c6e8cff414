//! Second paths of manifests: one that is not published may have several, and the vendor may move it from one to another.

use mirror::Engine;
use model::{FeedId, Reason, RoutePath, error_chain};

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
        let landing = match is_routed(engine, path).await {
            Some(true) => Landing::Held,
            Some(false) => self.second(engine, feed, (path, guess)).await,
            None => Landing::Failed,
        };
        if landing == Landing::Held
            && let Err(error) = self.book.drop_stray(path)
        {
            tracing::warn!(%path, error = %error_chain(&error), "what it names still counts as named by no feed");
        }
        landing
    }

    async fn second(&self, engine: &Engine, feed: &FeedId, (path, guess): (&RoutePath, Option<String>)) -> Landing {
        let refused = match self.copy(engine, path).await {
            Ok(landing) => return landing,
            Err(refused) => refused,
        };
        if refused.why.reason == Reason::PathUnknown && self.move_to(engine, feed, (path, guess)).await {
            return Landing::Held;
        }
        self.refuse(engine, path, refused)
    }

    /// A manifest lies here, with other bytes than the one that is served. Where that lies no longer at its own place, this
    /// is where its feed goes on.
    async fn move_to(&self, engine: &Engine, feed: &FeedId, (path, guess): (&RoutePath, Option<String>)) -> bool {
        let Some(_claim) = self.claim(engine, feed).await else { return false };
        self.take_guess(guess.as_deref());
        let report = self.sync_feed(engine, feed, Why::Operator).await;
        let moved = is_routed(engine, path).await == Some(true);
        if !moved {
            self.leave_guess(guess.as_deref());
            return false;
        }
        tracing::info!(%feed, %path, outcome = report.map(|report| report.outcome.as_str()), "its manifest lies here now");
        true
    }
}

/// Whether something is served at a path; none where that cannot be told.
pub(super) async fn is_routed(engine: &Engine, path: &RoutePath) -> Option<bool> {
    let current = engine.ports().rings.current(&engine.settings().ring).await.ok()?;
    Some(current.is_some_and(|current| current.generation.routes.contains_key(path)))
}
