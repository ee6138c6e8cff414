//! What somebody else found damaged, as who fills a folder: it is set aside, told, and fetched again.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Digest, FeedId};

use crate::{Engine, EngineError, Observer, SyncReport, SyncRequest, VerifyReport};

/// What became of blobs that somebody found damaged.
#[derive(Clone, Debug, Default)]
pub struct Healed {
    /// What was read again, and what of it was damaged or gone: that was set aside.
    pub found: VerifyReport,
    /// The run that fetched it again; none where nothing was wrong or nothing of it is followed.
    pub fetched: Option<SyncReport>,
}

impl Engine {
    /// Reads these blobs again, with all others that the ring serves of the same feeds: where one rotted, more may have. What
    /// is damaged is set aside and recorded, as [`Engine::verify`] does.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store fail as such.
    pub async fn reread(&self, digests: &[Digest]) -> Result<VerifyReport, EngineError> {
        let mut all: BTreeSet<Digest> = digests.iter().copied().collect();
        let present = self.present().await?;
        let routes = || present.iter().flat_map(|current| current.generation.routes.values());
        let feeds: BTreeSet<&FeedId> =
            routes().filter(|route| all.contains(&route.digest)).map(|route| &route.feed).collect();
        let more: Vec<Digest> =
            routes().filter(|route| feeds.contains(&route.feed)).map(|route| route.digest).collect();
        all.extend(more);
        let all: Vec<Digest> = all.into_iter().collect();
        self.recheck(&all).await
    }

    /// The same, and fetches from the vendors what turned out to be wrong, as far as they still offer it: nothing newer is
    /// taken, which would be published. Waits for another fetch run to end.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store fail as such, or the run could not take place.
    pub async fn heal(&self, digests: &[Digest], observer: Arc<dyn Observer>) -> Result<Healed, EngineError> {
        let found = self.reread(digests).await?;
        let followed = self.feeds();
        let wrong: BTreeSet<Digest> = found.faults.iter().map(|fault| fault.digest).collect();
        let present = self.present().await?;
        let routes = present.iter().flat_map(|current| current.generation.routes.values());
        let feeds: BTreeSet<FeedId> =
            routes.filter(|route| wrong.contains(&route.digest)).map(|route| route.feed.clone()).collect();
        let feeds: Vec<FeedId> = feeds.into_iter().filter(|feed| followed.contains(feed)).collect();
        if feeds.is_empty() {
            return Ok(Healed { found, fetched: None });
        }
        let request = SyncRequest { feeds, wait: true, repair: true, ..SyncRequest::default() };
        Ok(Healed { fetched: Some(self.sync(&request, observer).await?), found })
    }
}
