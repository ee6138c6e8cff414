//! Feeds that are followed and that the ring does not serve.
//!
//! A feed that was left and is followed again begins where it stood: with the newest of its releases that is admitted and
//! held whole, whatever its vendor says meanwhile. Of one that has no such release nothing is served, and that is told.

use std::collections::BTreeSet;

use blob_store::Current;
use catalog::{FeedRecord, ReleaseFilter};
use model::{FeedId, Outcome, Reason, ReleaseState};
use trust::Admitted;

use crate::engine::restore;
use crate::plan::Newcomer;
use crate::proof::not_in_order;
use crate::{Engine, EngineError};

impl Engine {
    /// For each feed that is followed, that the ring does not serve and of which nothing is `coming`: the release that it
    /// comes back with.
    pub(crate) async fn returning(
        &self,
        present: Option<&Current>,
        coming: &BTreeSet<FeedId>,
    ) -> Result<Vec<Newcomer>, EngineError> {
        let mut found = Vec::new();
        for feed in self.feeds() {
            if is_served(present, &feed) || coming.contains(&feed) || vendors::registry(feed.vendor()).makes_room(&feed)
            {
                continue;
            }
            let standing = self.newest_standing(&feed).await?;
            found.extend(standing.map(|admitted| Newcomer { admitted, takes_paths: false }));
        }
        Ok(found)
    }

    /// The newest release of a feed that is admitted and held whole.
    async fn newest_standing(&self, feed: &FeedId) -> Result<Option<Admitted>, EngineError> {
        let state = Some(ReleaseState::Admitted);
        let filter = ReleaseFilter { feed: Some(feed.clone()), state, ..ReleaseFilter::default() };
        let mut releases = self.ports.catalog.releases(&filter).await?;
        releases.sort_by(|a, b| b.release.vendor_version.version.cmp(&a.release.vendor_version.version));
        for found in releases {
            if self.is_held(&found.release).await? {
                return Ok(restore(found));
            }
        }
        Ok(None)
    }

    /// A feed of which nothing is served, and nothing comes, is not in order, whatever its vendor was found to offer;
    /// `before` is its record as it was.
    pub(crate) async fn tell_unserved(
        &self,
        record: &mut FeedRecord,
        before: &FeedRecord,
        present: Option<&Current>,
    ) -> Result<(), EngineError> {
        let stands = is_served(present, &record.feed) || self.newest_standing(&record.feed).await?.is_some();
        if record.outcome != Outcome::Current || stands || !self.follows(&record.feed) {
            return Ok(());
        }
        let why = record.detail.take().map_or_else(String::new, |why| format!("{why}; "));
        record.detail =
            Some(format!("{why}nothing of this feed is served, and no other release of it is held: admit one"));
        record.reason = record.reason.or(Some(Reason::StoreFailed));
        not_in_order(record, before);
        Ok(())
    }
}

fn is_served(present: Option<&Current>, feed: &FeedId) -> bool {
    present.is_some_and(|current| current.generation.feeds.contains_key(feed))
}
