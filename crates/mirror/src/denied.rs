//! The operator's words against releases, kept beside what the ring serves: a catalog that is lost, or an older one that
//! is put in its place, does not bring back what was rejected or rolled back from.

use std::collections::{BTreeMap, BTreeSet};

use blob_store::Current;
use catalog::{Batch, EntryKind, ReleaseFilter};
use model::{Digest, FeedId, Generation, ReleaseId, ReleaseState, ServedFeed};
use serde_json::json;
use trust::Admitted;

use crate::plan::Newcomer;
use crate::word::goes_back;
use crate::{Engine, EngineError};

impl Engine {
    /// For each feed that is or will be served, what the next generation is to remember: what the catalog holds as
    /// rejected, the newest first, and what the ring remembers and the catalog knows nothing of.
    pub(crate) async fn denied(
        &self,
        present: &Generation,
        newcomers: &[Newcomer],
    ) -> Result<BTreeMap<FeedId, Vec<ReleaseId>>, EngineError> {
        let feeds: BTreeSet<&FeedId> =
            present.feeds.keys().chain(newcomers.iter().map(|newcomer| &newcomer.admitted.release().feed)).collect();
        let mut denied = BTreeMap::new();
        for feed in feeds {
            let rejected = ReleaseFilter {
                feed: Some(feed.clone()),
                state: Some(ReleaseState::Rejected),
                limit: ServedFeed::MAX_DENIED,
                ..ReleaseFilter::default()
            };
            let mut ids: Vec<ReleaseId> = Vec::new();
            for id in present.feeds.get(feed).into_iter().flat_map(|served| &served.denied) {
                if self.ports.catalog.release(id).await?.is_none() {
                    ids.push(*id);
                }
            }
            // Only a word goes back: what it leaves is denied, also where no catalog knows it.
            if let Some(served) = present.feeds.get(feed)
                && newcomers
                    .iter()
                    .any(|it| it.admitted.release().feed == *feed && goes_back(it.admitted.release(), Some(served)))
                && self.ports.catalog.release(&served.release).await?.is_none()
            {
                ids.push(served.release);
            }
            ids.extend(self.ports.catalog.releases(&rejected).await?.into_iter().map(|found| found.release.id));
            ids.truncate(ServedFeed::MAX_DENIED);
            ids.sort_unstable();
            denied.insert(feed.clone(), ids);
        }
        Ok(denied)
    }

    /// The bytes that are served and that of all releases only denied ones name: they leave at once, grace or not. Where
    /// releases are not on record nobody can tell, and nothing does.
    pub(crate) async fn barred(
        &self,
        present: &Generation,
        denied: &BTreeMap<FeedId, Vec<ReleaseId>>,
        incumbents: &BTreeMap<FeedId, Admitted>,
    ) -> Result<BTreeSet<Digest>, EngineError> {
        let mut barred = BTreeSet::new();
        if present.feeds.keys().any(|feed| !incumbents.contains_key(feed)) {
            return Ok(barred);
        }
        for id in denied.values().flatten() {
            let named = self.ports.catalog.release(id).await?.map_or_else(Vec::new, |found| found.release.items);
            barred.extend(named.into_iter().map(|item| item.digest));
        }
        let served: BTreeSet<Digest> = present.routes.values().map(|route| route.digest).collect();
        barred.retain(|digest| served.contains(digest));
        if !barred.is_empty() {
            let admitted = ReleaseFilter { state: Some(ReleaseState::Admitted), ..ReleaseFilter::default() };
            for found in self.ports.catalog.releases(&admitted).await? {
                for item in &found.release.items {
                    barred.remove(&item.digest);
                }
            }
        }
        Ok(barred)
    }

    /// Whether the ring remembers all that it is to remember as denied, but for one feed.
    pub(crate) async fn is_remembered(
        &self,
        present: Option<&Current>,
        spared: Option<&FeedId>,
    ) -> Result<bool, EngineError> {
        let Some(Current { generation, .. }) = present else { return Ok(true) };
        let denied = self.denied(generation, &[]).await?;
        let mut feeds = generation.feeds.iter().filter(|(feed, _)| spared != Some(*feed));
        Ok(feeds.all(|(feed, served)| denied.get(feed).is_none_or(|ids| *ids == served.denied)))
    }

    /// Adds to a batch what the ring remembers as denied and the catalog holds otherwise: it is an older one, or was
    /// copied from one.
    pub(crate) async fn deny_again(&self, present: &Generation, batch: &mut Batch) -> Result<(), EngineError> {
        let now = self.ports.clock.now();
        for (feed, served) in &present.feeds {
            for id in &served.denied {
                let Some(found) = self.ports.catalog.release(id).await? else { continue };
                if found.state == ReleaseState::Rejected {
                    continue;
                }
                tracing::error!(%feed, release = found.number, "the ring remembers that it was rejected: it counts as rejected again");
                batch.states.push((*id, ReleaseState::Rejected, now));
                let state = ReleaseState::Rejected;
                let data = json!({ "act": "deny-again", "feed": feed, "was": found.state, "state": state });
                batch.history.push(self.entry(EntryKind::Upkeep, id.to_string(), data));
            }
        }
        Ok(())
    }
}
