//! Whether the vendor offers something, found out by reading its manifest and nothing else; and what to say of a feed
//! that is at none of the places where it may lie.

use std::sync::Arc;

use model::{FeedId, Note, Reason, VendorVersion};
use vendors::{Event, Memory, Place, Step};

use crate::feed_run::{FeedRun, note};
use crate::sync::NEVER;
use crate::{Engine, Silent, SyncRequest};

impl Engine {
    /// What the vendor offers of a feed, followed or not. Reads its manifest; fetches, records and publishes nothing,
    /// but a place that turns out right is remembered.
    ///
    /// # Errors
    /// Why that cannot be told, or that the vendor has no such feed.
    pub async fn probe(&self, feed: &FeedId) -> Result<VendorVersion, Note> {
        let request = SyncRequest { feeds: vec![feed.clone()], ..SyncRequest::default() };
        let run = self.open_run(&request, Arc::new(Silent), NEVER).await;
        let run = run.map_err(|error| note(error.reason(), model::error_chain(&error)))?;
        let Some((feed, origin)) = run.feeds.first() else {
            return Err(note(Reason::NotFollowed, format!("nobody publishes {feed}")));
        };
        let job = run.job(feed, origin);
        let mut nowhere = Nowhere::default();
        for place in job.places() {
            match read(&job, &place).await {
                Ok(version) => {
                    if let Some(name) = &place.name {
                        self.learned.proved(name);
                    }
                    return Ok(version);
                }
                Err(failure) => nowhere.add(&job, &place, failure)?,
            }
        }
        Err(nowhere.note(feed))
    }
}

/// Talks to the vendor until it is known what it offers.
async fn read(job: &FeedRun, place: &Place) -> Result<VendorVersion, Note> {
    let mut session = job.session(place, Memory::default());
    let mut event = Event::Start;
    loop {
        let step = session.next(event);
        if let Some(offered) = session.offered() {
            return Ok(offered.vendor_version);
        }
        event = match step {
            Step::Ask(ask) => job.read_for_plan(&ask).await?,
            Step::Refuse(refusal) => return Err(refusal.note),
            Step::Fetch(_) | Step::Inspect(_) | Step::Propose(_) | Step::Unchanged => {
                return Err(note(Reason::Internal, format!("{}: what is offered is not told", job.feed)));
            }
        };
    }
}

/// The places where a feed was looked for and is not.
#[derive(Default)]
pub(crate) struct Nowhere {
    tried: Vec<String>,
    /// The answer at a place that is known to be right.
    plain: Option<Note>,
}

impl Nowhere {
    /// Takes a failure in, if it says that the feed does not lie there.
    ///
    /// # Errors
    /// The failure, if it says something else: then other places are no use.
    pub(crate) fn add(&mut self, job: &FeedRun, place: &Place, failure: Note) -> Result<(), Note> {
        let Some(name) = place.name.as_ref().filter(|_| is_absence(failure.reason)) else { return Err(failure) };
        if job.engine.learned.is_proven(name) {
            self.plain.get_or_insert(failure);
        }
        self.tried.push(name.clone());
        Ok(())
    }

    pub(crate) fn note(self, feed: &FeedId) -> Note {
        if let Some(plain) = self.plain {
            return plain;
        }
        let reason = if feed.date().is_some() { Reason::DatedPathUnknown } else { Reason::PathUnknown };
        note(reason, format!("{feed} is at none of the places tried: {}", self.tried.join(", ")))
    }
}

/// Whether an answer says that there is no such manifest, or nowhere that it could be looked for.
pub(crate) fn is_absence(reason: Reason) -> bool {
    use Reason::{BadZip, DatedPathUnknown, NotFound, NotInFolder, NotManifest, PathUnknown, Refused};
    matches!(reason, NotFound | Refused | NotManifest | BadZip | NotInFolder | DatedPathUnknown | PathUnknown)
}
