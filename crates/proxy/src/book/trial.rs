//! Feeds that are being tried: not written down until the vendor turns out to have them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use model::{FeedId, Note, Reason, Timestamp, error_chain};

use super::{Book, BookError};
use crate::Why;

/// Under what a feed is followed once the vendor turns out to have it.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) why: Why,
    /// The most feeds that are learned.
    pub(crate) most: usize,
    /// When it was asked for.
    pub(crate) at: Timestamp,
}

/// One feed that is being tried, by however many.
#[derive(Debug, Default)]
pub(super) struct Tried {
    count: usize,
    terms: Option<Terms>,
    learned: Arc<AtomicBool>,
}

pub(super) type AllTried = BTreeMap<FeedId, Tried>;

impl Book {
    /// Counts as followed for as long as the guard lives, so that it can be asked for at all; and from then on, if there
    /// are terms and the vendor has it. Where there is no room by then, nothing of it is fetched.
    pub(crate) fn try_out(&self, feed: &FeedId, terms: Option<Terms>) -> Trial<'_> {
        let mut trying = self.trying();
        let tried = trying.entry(feed.clone()).or_default();
        tried.count += 1;
        tried.terms = tried.terms.take().or(terms);
        Trial { book: self, feed: feed.clone(), learned: Arc::clone(&tried.learned) }
    }

    pub(super) fn trying(&self) -> MutexGuard<'_, AllTried> {
        self.trying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The vendor has a feed: if it is being tried to be followed, it is followed from now on.
    pub(super) fn settle(&self, feed: &FeedId) -> Result<(), Note> {
        let tried = self.trying().get(feed).map(|tried| (tried.terms.clone(), Arc::clone(&tried.learned)));
        let Some((Some(Terms { why, most, at }), learned)) = tried else { return Ok(()) };
        match self.learn(feed, why, at, most) {
            Ok(true) => {
                tracing::info!(%feed, why = why.as_str(), "followed from now on");
                learned.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(BookError::Full { .. }) => Err(crate::discover::full(None, most)),
            Err(error) => {
                tracing::error!(%feed, error = %error_chain(&error), "could not be learned");
                Err(Note { reason: Reason::StoreFailed, detail: error_chain(&error) })
            }
        }
    }
}

/// A feed that is being tried.
pub(crate) struct Trial<'a> {
    book: &'a Book,
    feed: FeedId,
    learned: Arc<AtomicBool>,
}

impl Trial<'_> {
    /// Whether it is followed because of this.
    pub(crate) fn was_learned(&self) -> bool {
        self.learned.load(Ordering::Relaxed)
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let mut trying = self.book.trying();
        let Some(tried) = trying.get_mut(&self.feed) else { return };
        tried.count = tried.count.saturating_sub(1);
        if tried.count == 0 {
            trying.remove(&self.feed);
        }
    }
}
