//! What is looked after every few seconds, whatever the vendor does: nothing here waits for it.

use std::sync::{Arc, PoisonError};

use mirror::Engine;
use model::error_chain;

use super::{Begun, Desk};
use crate::faces::Late;
use crate::{Book, LearnedFeed, Why, read_ring};

impl Desk {
    /// Lets go of what should not be served beside manifests any more, sees that what is served has a place, begins to fetch what the operator named since the
    /// last look, and looks up since when the vendor has not confirmed what is served, where that is told at all.
    pub async fn tend(self: &Arc<Self>) {
        let Some(engine) = self.engine() else { return };
        self.weed_forwarded(&engine).await;
        read_ring(&engine, &self.book).await;
        self.begin_told();
        if self.rules.borrow().proxy {
            self.look_up(&engine).await;
        }
    }

    /// What a command of the operator's learned is fetched now, not with the next run alone, and whatever came of asking
    /// for it before. It is news until it was tried.
    fn begin_told(self: &Arc<Self>) {
        // What cannot be read was told when the feeds were asked for.
        let Some(told) = operators(&self.book) else { return };
        let before = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tried = |known: &LearnedFeed| {
            if before.contains(known) {
                return true;
            }
            self.flights.forget(&known.feed);
            self.begin((&known.feed, None), None, Why::Operator) != Begun::Not
        };
        let tried: Vec<LearnedFeed> = told.into_iter().filter(tried).collect();
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = tried;
    }

    pub(super) async fn look_up(&self, engine: &Engine) {
        // Two turns of the schedule, and what a run may take.
        let late = {
            let rules = self.rules.borrow();
            Late { feeds: rules.revalidate.saturating_mul(3), forwarded: rules.refresh.saturating_mul(3) }
        };
        if let Err(error) = self.faces.tend(engine, late).await {
            tracing::warn!(error = %error_chain(&error), "what the vendor says of what is served could not be looked up");
        }
    }
}

/// The feeds that the operator named; none where they cannot be read.
pub(super) fn operators(book: &Book) -> Option<Vec<LearnedFeed>> {
    let learned = book.learned().ok()?;
    Some(learned.into_iter().filter(|known| known.why == Why::Operator).collect())
}
