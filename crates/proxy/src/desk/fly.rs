//! One fetch of one feed.

use std::sync::Arc;
use std::time::Duration;

use mirror::{Engine, FeedReport, SyncRequest};
use model::{FeedId, Note, Outcome, Reason, error_chain};

use super::Desk;
use crate::book::Terms;
use crate::{Landing, Why};

/// How often a fetch that another run has claimed is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// How often that is done: ten minutes.
const LOOKS: u32 = 12_000;

impl Desk {
    /// Syncs one feed, and follows it from then on if the vendor has it and there is room.
    pub(super) async fn fly(self: &Arc<Self>, feed: &FeedId, guess: Option<String>, why: Why) -> Landing {
        let Some(engine) = self.engine() else { return Landing::Failed };
        let Some(_claim) = self.claim(&engine, feed).await else {
            let detail = "another run fetches it for too long".to_owned();
            self.note_feed(&engine, feed, Note { reason: Reason::NotNow, detail });
            return Landing::Failed;
        };
        // Another run may have brought it meanwhile.
        if is_served(&engine, feed).await && !engine.left(feed) {
            return Landing::Held;
        }
        self.take_guess(guess.as_deref());
        self.book.forget_named(feed);
        let report = self.sync_feed(&engine, feed, why).await;
        let landing = landing_of(report.as_ref(), self.book.has_read(feed));
        if landing == Landing::Absent {
            self.leave_guess(guess.as_deref());
        }
        match report {
            Some(report) => {
                tracing::info!(%feed, outcome = report.outcome.as_str(), reason = report.reason.map(Reason::code), "asked for");
                self.note(&engine, report);
            }
            None => {
                let detail = "it could not be fetched".to_owned();
                self.note_feed(&engine, feed, Note { reason: Reason::NotNow, detail });
            }
        }
        self.look_up(&engine).await;
        landing
    }

    /// What the operator named is followed already, and what comes of it is recorded; anything else is tried.
    pub(super) async fn sync_feed(&self, engine: &Engine, feed: &FeedId, why: Why) -> Option<FeedReport> {
        let follows = why == Why::Operator || engine.settings().feeds.contains(feed);
        let most = self.rules.borrow().learned_feeds;
        let terms = (!follows).then(|| Terms { why, most, at: engine.ports().clock.now() });
        let trial = self.book.try_out(feed, terms);
        let request =
            SyncRequest { feeds: vec![feed.clone()], wait: true, tentative: !follows, ..SyncRequest::default() };
        let ended = engine.sync(&request, Arc::new(mirror::Silent)).await;
        if trial.was_learned()
            && let Err(error) = engine.record_learning(feed, "learn", why.as_str()).await
        {
            tracing::error!(%feed, error = %error_chain(&error), "that it was learned could not be recorded");
        }
        match ended {
            Ok(report) => report.feeds.into_iter().find(|report| report.feed == *feed),
            Err(error) => {
                tracing::warn!(%feed, error = %error_chain(&error), "asked for, and could not be fetched");
                None
            }
        }
    }

    pub(super) fn take_guess(&self, guess: Option<&str>) {
        if let Some(Err(error)) = guess.map(|guess| self.book.guess(guess)) {
            tracing::error!(error = %error_chain(&error), "a guess at a path could not be kept");
        }
    }

    pub(super) fn leave_guess(&self, guess: Option<&str>) {
        if let Some(Err(error)) = guess.map(|guess| self.book.drop_guess(guess)) {
            tracing::error!(error = %error_chain(&error), "a guess at a path could not be dropped");
        }
    }

    /// Claims a feed; waits while another run has claimed it.
    pub(super) async fn claim(&self, engine: &Engine, feed: &FeedId) -> Option<mirror::Claim> {
        for _ in 0..LOOKS {
            if let Some(claim) = engine.claim(feed) {
                return Some(claim);
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }
}

pub(super) async fn is_served(engine: &Engine, feed: &FeedId) -> bool {
    let current = engine.ports().rings.current(&engine.settings().ring).await;
    current.is_ok_and(|current| current.is_some_and(|current| current.generation.feeds.contains_key(feed)))
}

/// How a fetch ended; `is_read` says that the manifest itself was there, so that whatever is missing belongs to its set.
pub(super) fn landing_of(report: Option<&FeedReport>, is_read: bool) -> Landing {
    let Some(report) = report else { return Landing::Failed };
    match (report.outcome, report.reason) {
        (Outcome::Published | Outcome::Current, _) => Landing::Held,
        (Outcome::Failed, Some(Reason::NotFound | Reason::DatedPathUnknown | Reason::PathUnknown)) if !is_read => {
            Landing::Absent
        }
        (Outcome::Failed, Some(Reason::Refused)) if !is_read => Landing::Declined,
        _ => Landing::Failed,
    }
}
