//! The operator's acts on releases.

use catalog::{Batch, EntryKind, FeedRecord, ReleaseRecord};
use model::{FeedId, Outcome, Reason, Release, ReleaseId, ReleaseState};
use serde::Serialize;
use serde_json::json;
use trust::Admitted;

use crate::plan::Newcomer;
use crate::publish::Pending;
use crate::sync::Costs;
use crate::{Engine, EngineError};

/// What an act did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActReport {
    /// The release acted on.
    pub release: ReleaseId,
    /// Its feed.
    pub feed: FeedId,
    /// How the feed stands now.
    pub outcome: Outcome,
    /// The generation that the act published, if it did.
    pub generation: Option<u64>,
    /// What else is to be known.
    pub detail: Option<String>,
}

impl Engine {
    /// Finds the one release that a text names: its number, or the beginning of its id.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRelease`] when none or several fit.
    pub async fn find_release(&self, text: &str) -> Result<ReleaseRecord, EngineError> {
        let mut found = self.ports.catalog.find_releases(text).await?;
        match (found.pop(), found.len()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(EngineError::NoSuchRelease(format!(
                "no release '{}'; `waystation release list` shows them",
                text.escape_default()
            ))),
            (Some(_), more) => {
                Err(EngineError::NoSuchRelease(format!("{} releases begin with '{text}'; give more digits", more + 1)))
            }
        }
    }

    /// Ends a quarantine, a rejection or a path conflict in the release's favour: the mark is set to it, even
    /// backwards, and it is published.
    ///
    /// # Errors
    /// [`EngineError::NotNow`] when its bytes were let go or it is what is served.
    pub async fn admit(&self, text: &str, why: &str) -> Result<ActReport, EngineError> {
        let found = self.find_release(text).await?;
        let (release, state) = (found.release.clone(), found.state);
        let Some(admitted) = Admitted::by_operator(found.release, state) else {
            return Err(EngineError::NotNow(format!(
                "release {} has no bytes any more; sync fetches it anew",
                found.number
            )));
        };
        let current = self.ports.rings.current(&self.settings.ring).await?;
        let serving =
            current.and_then(|current| current.generation.feeds.get(&release.feed).map(|served| served.release));
        if serving == Some(release.id) {
            return Err(EngineError::NotNow(format!(
                "release {} is what ring {} serves",
                found.number, self.settings.ring
            )));
        }
        let mut record = self.record_of(&release).await?;
        record.reason = None;
        record.detail = None;
        if record.release != Some(release.id) {
            // The validator belongs to another release than the one that the record speaks of from now on.
            record.validator = None;
        }
        let now = self.ports.clock.now();
        let data =
            json!({ "act": "admit", "why": why, "was": state, "feed": release.feed, "mark": release.vendor_version });
        let batch = Batch {
            states: vec![(release.id, ReleaseState::Admitted, now)],
            history: vec![self.entry(EntryKind::Act, release.id.to_string(), data)],
            ..Batch::default()
        };
        let pending = Pending { newcomer: Newcomer { admitted, takes_paths: true }, record, costs: Costs::default() };
        let done = self.publish(vec![pending], batch).await?;
        let ended = done.records.into_iter().next().map(|(record, _)| record);
        Ok(ActReport {
            release: release.id,
            feed: release.feed,
            outcome: ended.as_ref().map_or(Outcome::Failed, |record| record.outcome),
            generation: done.published,
            detail: ended.and_then(|record| record.detail),
        })
    }

    /// Ends a quarantine against the release: it is never served, and the mark stays where it was.
    ///
    /// # Errors
    /// [`EngineError::NotNow`] when it is served.
    pub async fn reject(&self, text: &str, why: &str) -> Result<ActReport, EngineError> {
        let _lock = self.ports.locks.publish().await?;
        let found = self.find_release(text).await?;
        let release = found.release;
        if let Some(current) = self.ports.rings.current(&self.settings.ring).await? {
            let served = current.generation.feeds.get(&release.feed);
            if served.is_some_and(|served| served.release == release.id || served.back == Some(release.id)) {
                return Err(EngineError::NotNow(format!(
                    "release {} is served; admit another one first",
                    found.number
                )));
            }
        }
        let mut record = self.record_of(&release).await?;
        if record.release == Some(release.id) {
            record.outcome = Outcome::Current;
            record.reason = Some(Reason::RejectedBefore);
            record.detail = Some(format!("release {} was rejected: {why}", release.id.short()));
        }
        let data = json!({ "act": "reject", "why": why, "was": found.state, "feed": release.feed });
        let batch = Batch {
            feeds: vec![record.clone()],
            states: vec![(release.id, ReleaseState::Rejected, self.ports.clock.now())],
            history: vec![self.entry(EntryKind::Act, release.id.to_string(), data)],
            ..Batch::default()
        };
        self.ports.catalog.apply(batch).await?;
        Ok(ActReport {
            release: release.id,
            feed: release.feed,
            outcome: record.outcome,
            generation: None,
            detail: record.detail,
        })
    }

    /// Records that the configuration is another than before: its digest, and what changed, without secrets.
    ///
    /// # Errors
    /// [`EngineError`] when the catalog fails.
    pub async fn record_config_change(&self, digest: &model::Digest, lines: &[String]) -> Result<(), EngineError> {
        let entry = self.entry(EntryKind::ConfigChange, "configuration", json!({ "digest": digest, "changes": lines }));
        Ok(self.ports.catalog.apply(Batch { history: vec![entry], ..Batch::default() }).await?)
    }

    async fn record_of(&self, release: &Release) -> Result<FeedRecord, EngineError> {
        let known = self.ports.catalog.feed(&release.feed).await?;
        Ok(known.unwrap_or_else(|| FeedRecord::new(release.feed.clone(), self.ports.clock.now())))
    }
}
