//! What somebody else found damaged, as who fills a folder: it is set aside, told, and fetched again.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Digest, FeedId};

use crate::stepped::LostBack;
use crate::{Engine, EngineError, Observer, SyncReport, SyncRequest, VerifyReport};

/// What became of blobs that somebody found damaged.
#[derive(Clone, Debug, Default)]
pub struct Healed {
    /// What was read again, and what of it was damaged or gone: that was set aside.
    pub found: VerifyReport,
    /// The run that fetched it again; none where nothing was wrong or nothing of it is followed.
    pub fetched: Option<SyncReport>,
    /// Where `_back` went on to an older release, or to none, because the bytes of the one before are lost.
    pub lost_back: Vec<LostBack>,
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
        let begun = self.ports.catalog.chain_head().await?.seq;
        let found = self.reread(digests).await?;
        let followed = self.feeds();
        let wrong: BTreeSet<Digest> = found.faults.iter().map(|fault| fault.digest).collect();
        let mut feeds = Vec::new();
        for (feed, served) in self.present().await?.into_iter().flat_map(|current| current.generation.feeds) {
            // What is in `_back` is the vendor's past: nobody is asked for it.
            let found = self.ports.catalog.release(&served.release).await?;
            let is_hit = found.is_some_and(|found| found.release.items.iter().any(|item| wrong.contains(&item.digest)));
            if is_hit && followed.contains(&feed) {
                feeds.push(feed);
            }
        }
        let fetched = if feeds.is_empty() {
            None
        } else {
            let request = SyncRequest { feeds, wait: true, repair: true, ..SyncRequest::default() };
            Some(self.sync(&request, observer).await?)
        };
        if !wrong.is_empty() {
            self.step_over_lost().await?;
        }
        Ok(Healed { found, fetched, lost_back: self.steps_since(begun).await? })
    }
}
