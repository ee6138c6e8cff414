//! Brings the catalog in line with what is served, after a crash.

use catalog::{Batch, EntryKind, Publication};
use serde_json::json;

use crate::{Engine, EngineError};

impl Engine {
    /// Closes what a crash left open: a publication whose generation the ring serves, or has served since, was
    /// done; any other was not. Whoever holds the publication lock does it first. What the feeds' records missed
    /// needs no repair here: the mark counts no less than what the ring serves, and the next run settles the rest.
    pub(crate) async fn reconcile_locked(&self) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        for open in self.ports.catalog.open_publications().await? {
            let done = self.happened(&open).await?;
            let kind = if done { EntryKind::PublicationDone } else { EntryKind::PublicationAbandoned };
            let data =
                json!({ "number": open.number, "digest": open.digest, "why": "found open after an interruption" });
            batch.history.push(self.entry(kind, open.ring.as_str(), data));
            tracing::warn!(ring = %open.ring, generation = open.number, done, "closed an interrupted publication");
            batch.publications.push(Publication { closed_at: Some(self.ports.clock.now()), ..open });
        }
        if batch.publications.is_empty() {
            return Ok(());
        }
        Ok(self.ports.catalog.apply(batch).await?)
    }

    async fn happened(&self, open: &Publication) -> Result<bool, EngineError> {
        let Some(current) = self.ports.rings.current(&open.ring).await? else { return Ok(false) };
        if current.generation.number <= open.number {
            return Ok(current.digest == open.digest);
        }
        let then = self.ports.rings.generation(&open.ring, open.number).await?;
        Ok(then.is_some_and(|generation| model::Digest::of(&generation.encode()) == open.digest))
    }
}
