//! What is followed because it was asked for: known outside the configuration, and changed while the engine lives.

use model::{Digest, Exchange, FeedId, Note, RoutePath, Vendor};

use crate::Engine;

/// What was learned from what endpoints ask for and the vendor answers.
pub trait Learned: Send + Sync {
    /// The feeds that are followed beside the configured ones; none when that cannot be told now: then nothing that is
    /// served counts as followed no longer.
    fn feeds(&self) -> Option<Vec<FeedId>>;
    /// Of what is followed beside the configured feeds, what is sure where [`feeds`](Self::feeds) cannot be told.
    fn covered(&self) -> Vec<FeedId> {
        Vec::new()
    }
    /// Adds what was learned to the vendors' settings: paths of manifests, files that no manifest names.
    fn furnish(&self, settings: &mut vendors::Settings);
    /// Whether the vendor has answered with a manifest at a place that [`vendors::VendorModule::places`] named.
    fn is_proven(&self, place: &str) -> bool;
    /// The vendor has answered with a manifest there.
    fn proved(&self, place: &str);
    /// The vendor has the feed; told before anything of what it offers is fetched.
    ///
    /// # Errors
    /// Why the feed is not to be had all the same: then its run ends with this.
    fn offered(&self, _feed: &FeedId) -> Result<(), Note> {
        Ok(())
    }
    /// A feed's manifest was just read, and names these files; told before any of them is fetched.
    fn named(&self, _feed: &FeedId, _files: &[(RoutePath, Digest)]) {}
    /// These files came over HTTP, each with the head of the answer that brought it; told before anything of them is
    /// published.
    fn came(&self, _files: &[(Digest, &Exchange)]) {}
}

/// Where nothing is learned.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingLearned;

impl Learned for NothingLearned {
    fn feeds(&self) -> Option<Vec<FeedId>> {
        Some(Vec::new())
    }

    fn furnish(&self, _: &mut vendors::Settings) {}

    fn is_proven(&self, _: &str) -> bool {
        true
    }

    fn proved(&self, _: &str) {}
}

impl Engine {
    /// Follows what is learned, too.
    #[must_use]
    pub fn with_learned(mut self, learned: std::sync::Arc<dyn Learned>) -> Self {
        self.learned = learned;
        self
    }

    /// The feeds that are followed: those of the configuration, and those that were learned.
    pub fn feeds(&self) -> Vec<FeedId> {
        let mut feeds = self.settings.feeds.clone();
        let learned = self.learned.feeds().unwrap_or_else(|| self.learned.covered());
        feeds.extend(learned.into_iter().filter(|feed| !self.settings.feeds.contains(feed)));
        feeds
    }

    /// Whether a feed is followed.
    pub fn follows(&self, feed: &FeedId) -> bool {
        let learned = || self.learned.feeds().unwrap_or_else(|| self.learned.covered());
        self.settings.feeds.contains(feed) || learned().contains(feed)
    }

    /// Whether a feed is surely followed no longer.
    pub fn left(&self, feed: &FeedId) -> bool {
        !self.settings.feeds.contains(feed) && self.learned.feeds().is_some_and(|learned| !learned.contains(feed))
    }

    /// What vendors' modules depend on, with what was learned.
    pub fn vendor_settings(&self) -> vendors::Settings {
        let mut settings = self.settings.vendors.clone();
        self.learned.furnish(&mut settings);
        settings
    }

    /// The vendors that are followed.
    pub fn vendors(&self) -> Vec<Vendor> {
        let mut vendors: Vec<Vendor> = self.feeds().iter().map(FeedId::vendor).collect();
        vendors.sort();
        vendors.dedup();
        vendors
    }
}
