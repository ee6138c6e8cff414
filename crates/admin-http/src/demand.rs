//! What is shown of what endpoints ask for and is not held.

use std::time::Duration;

use async_trait::async_trait;
use model::FeedId;

/// What is shown of what endpoints ask for and is not held. Labels are bounded: outcomes, and feeds that are served.
#[derive(Clone, Debug, Default)]
pub struct DemandFacts {
    /// Requests for what is not held that could not be kept in mind.
    pub dropped: u64,
    /// How many different things are wanted; none where nobody gathers.
    pub wanted: Option<usize>,
    /// How many feeds were learned; none where nobody learns.
    pub learned: Option<usize>,
    /// Fetches under way because something was asked for.
    pub flying: usize,
    /// How such fetches ended since the start, by outcome.
    pub fetches: Vec<(&'static str, u64)>,
    /// What is served although the vendor does not confirm it when it should, and how long ago it last did.
    pub unconfirmed: Vec<(FeedId, Duration)>,
}

/// Tells what endpoints ask for and is not held.
#[async_trait]
pub trait DemandSource: Send + Sync {
    /// How that stands; must not wait for anything but a small file.
    fn facts(&self) -> DemandFacts;
    /// The wanted list, as the API shows it; in the error, why it cannot be told.
    async fn wanted(&self) -> Result<serde_json::Value, String>;
}
