//! A run that takes its feeds from a folder: which of them lie in it, and where.

use std::path::Path;
use std::sync::Arc;

use model::{FeedId, Vendor};
use origin::{FolderOrigin, Origin};
use serde::Serialize;

use crate::sync::list;
use crate::{Engine, EngineError};

/// What a folder holds beside what a run takes from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FolderReport {
    /// Feeds that are followed and that it does not hold, of vendors of which it holds something; empty where the run
    /// was for named feeds.
    pub lacks: Vec<FeedId>,
    /// Feeds that it holds and that are not followed.
    pub strangers: Vec<FeedId>,
}

/// What a run takes from a folder.
pub(crate) struct InFolder {
    pub(crate) feeds: Vec<(FeedId, Arc<dyn Origin>)>,
    /// The vendors' settings, with the places where feeds lie in the folder.
    pub(crate) settings: vendors::Settings,
    pub(crate) report: FolderReport,
}

impl Engine {
    /// The feeds that lie in a folder, followed or not.
    ///
    /// # Errors
    /// [`EngineError::Folder`] when it cannot be read.
    pub async fn feeds_in_folder(&self, folder: &Path) -> Result<Vec<FeedId>, EngineError> {
        Ok(self.look_through(&self.open_folder(folder)?).await?.0)
    }

    /// What a run takes from a folder: the feeds that are asked for, or all that are followed and lie in it.
    pub(crate) async fn in_folder(&self, folder: &Path, asked: &[FeedId]) -> Result<InFolder, EngineError> {
        let origin = self.open_folder(folder)?;
        let (found, settings) = self.look_through(&origin).await?;
        let all = self.feeds();
        let vendors: Vec<Vendor> = found.iter().map(FeedId::vendor).collect();
        let (followed, strangers): (Vec<FeedId>, Vec<FeedId>) = found.into_iter().partition(|feed| all.contains(feed));
        let lacks = |feed: &&FeedId| {
            // What was forwarded is made of nothing that is carried.
            let carried = asked.is_empty() && vendors.contains(&feed.vendor());
            carried && !followed.contains(feed) && !vendors::registry(feed.vendor()).makes_room(feed)
        };
        let lacks: Vec<FeedId> = all.iter().filter(lacks).cloned().collect();
        let chosen = if asked.is_empty() { followed } else { asked.to_vec() };
        if chosen.is_empty() {
            let what = if strangers.is_empty() {
                "no feed that is known here".to_owned()
            } else {
                format!("{}, and nothing that is followed", list(&strangers))
            };
            let folder = folder.display();
            return Err(EngineError::Folder(format!("{folder} holds {what}; followed are: {}", list(&all))));
        }
        let feeds = chosen.into_iter().map(|feed| (feed, Arc::clone(&origin) as Arc<dyn Origin>)).collect();
        Ok(InFolder { feeds, settings, report: FolderReport { lacks, strangers } })
    }

    fn open_folder(&self, folder: &Path) -> Result<Arc<FolderOrigin>, EngineError> {
        let opened = FolderOrigin::open(folder, Arc::clone(&self.ports.blobs), self.ports.origins.reserve());
        opened.map(Arc::new).map_err(|error| EngineError::Folder(error.to_string()))
    }

    async fn look_through(&self, origin: &Arc<FolderOrigin>) -> Result<(Vec<FeedId>, vendors::Settings), EngineError> {
        let (view, followed, mut settings) = (Arc::clone(origin), self.feeds(), self.vendor_settings());
        let looking = tokio::task::spawn_blocking(move || {
            let find = |vendor| vendors::registry(vendor).find_in_folder(view.as_ref(), &followed, &mut settings);
            let found = Vendor::ALL.into_iter().flat_map(find).collect();
            (found, settings)
        });
        looking.await.map_err(EngineError::task)
    }
}
