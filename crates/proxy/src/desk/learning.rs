//! What was tried becomes what is followed.

use std::sync::{Arc, Mutex, PoisonError};

use mirror::{Observer, Progress as Step};
use model::error_chain;

use super::Desk;
use crate::Why;

/// Writes down that a feed is followed as soon as its manifest was read: before anything of it is published.
pub(super) struct Learning {
    pub(super) desk: Arc<Desk>,
    pub(super) why: Why,
    pub(super) follows: bool,
    pub(super) begun: Mutex<Option<tokio::task::JoinHandle<bool>>>,
}

impl Learning {
    /// Whether the feed was learned.
    pub(super) async fn finish(&self) -> bool {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        match begun {
            // A defect in there was told where it happened.
            Some(begun) => begun.await.unwrap_or(false),
            None => false,
        }
    }
}

impl Observer for Learning {
    fn on(&self, step: Step) {
        let Step::Offered(feed, _) = step else { return };
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(engine) = self.desk.engine().filter(|_| !self.follows && begun.is_none()) else { return };
        let (book, why, most) = (Arc::clone(&self.desk.book), self.why, self.desk.rules.borrow().learned_feeds);
        *begun = Some(self.desk.runtime.spawn_blocking(move || {
            match book.learn(&feed, why, engine.ports().clock.now(), most) {
                Ok(true) => {
                    tracing::info!(%feed, why = why.as_str(), "followed from now on");
                    true
                }
                Ok(false) => false,
                Err(error) => {
                    tracing::error!(%feed, error = %error_chain(&error), "could not be learned");
                    false
                }
            }
        }));
    }
}
