//! What is forwarded and should not be, and what is and nobody knows of.

use mirror::Engine;
use model::{Digest, RoutePath, error_chain};
use vendors::elastic::is_forwarded;

use super::Desk;
use crate::forwarded::{UnforwardError, all_served, change_forwarded};
use crate::state::ForwardedFile;

impl Desk {
    /// Lets go of what is forwarded and should not be: what a manifest names by now, in a set that is served or with
    /// other bytes in one that was refused; copies of manifests that are served no longer; and everything else where
    /// nothing is to be forwarded any more.
    pub(crate) async fn weed_forwarded(&self, engine: &Engine) {
        let knows = self.book.knows_forwarded();
        if knows && self.book.forwarded().is_empty() {
            return;
        }
        let _turn = self.forwarding.lock().await;
        let Ok(current) = engine.ports().rings.current(&engine.settings().ring).await else { return };
        let routes = current.as_ref().map(|current| &current.generation.routes);
        if !knows && let Err(error) = self.take_up(engine).await {
            tracing::error!(error = %error_chain(&error), "what is served of what was forwarded could not be written down");
        }
        let theirs = |path: &RoutePath| {
            let route = routes.and_then(|routes| routes.get(path));
            route.is_some_and(|route| route.until.is_none() && !is_forwarded(&route.feed))
        };
        let is_served = |digest: Digest| {
            let mut all = routes.into_iter().flat_map(|routes| routes.values());
            all.any(|route| route.digest == digest && route.until.is_none() && !is_forwarded(&route.feed))
        };
        let weeds = |file: &ForwardedFile| {
            let stale = file.is_copy && !file.digest.is_some_and(is_served);
            stale || !self.may_forward(file) || theirs(&file.route) || self.is_contradicted(file)
        };
        let paths: Vec<RoutePath> = self.book.forwarded().into_iter().filter(weeds).map(|file| file.route).collect();
        if !paths.is_empty() {
            self.let_go(engine, &paths).await;
        }
    }

    /// Where what was learned is lost, what is served of what was forwarded is known anew: it would stand still else.
    async fn take_up(&self, engine: &Engine) -> Result<(), UnforwardError> {
        if all_served(engine).await?.is_empty() {
            return Ok(());
        }
        change_forwarded(engine, &self.book, |_| ()).await
    }
}
