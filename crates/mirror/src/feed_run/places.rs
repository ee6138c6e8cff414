//! Where a feed lies: at the vendor the first place that answers; in a folder every place, for all of them are at hand.

use model::Note;
use vendors::{Memory, Offered, Place};

use super::{FeedMeter, FeedRun, Found};
use crate::probe::{Nowhere, is_absence};

/// What a folder holds of a feed at one of its places.
struct Lying {
    offered: Offered,
    ended: Result<Found, Note>,
}

impl FeedRun {
    /// Talks to the vendor at each place where the feed may lie, until there is something at one.
    pub(super) async fn search(
        &self,
        memory: Memory,
        meter: &FeedMeter,
        offered: &mut Option<Offered>,
    ) -> Result<Found, Note> {
        if self.shared.folder.is_some() {
            return self.search_folder(meter, offered).await;
        }
        let mut nowhere = Nowhere::default();
        for place in self.places() {
            match self.converse(&place, memory.clone(), meter, offered).await {
                Ok(found) => {
                    self.proved(&place);
                    return Ok(found);
                }
                // Its manifest was read: it lies here, whatever is wrong with the rest.
                Err(failure) if offered.is_some() => return Err(failure),
                Err(failure) => nowhere.add(self, &place, failure)?,
            }
        }
        Err(nowhere.note(&self.feed))
    }

    /// Looks at every place in the folder. The newest counts, for a copy of a mirror also has what is there for its grace
    /// alone; and what lies at several places is served at each, so that endpoints find it where they ask.
    async fn search_folder(&self, meter: &FeedMeter, offered: &mut Option<Offered>) -> Result<Found, Note> {
        let mut nowhere = Nowhere::default();
        let mut newest: Option<Lying> = None;
        for place in self.places() {
            let mut seen = None;
            let ended = self.converse(&place, Memory::default(), meter, &mut seen).await;
            match (seen, ended) {
                (Some(seen), ended) => {
                    self.proved(&place);
                    newest = Some(self.weigh(newest, Lying { offered: seen, ended }, &place));
                }
                // What was found elsewhere is no worse for what lies here, nor for what cannot be read of it.
                (None, Err(failure)) if newest.is_some() => {
                    if !is_absence(failure.reason) {
                        let place = place.name.as_deref().unwrap_or_default();
                        tracing::warn!(feed = %self.feed, place, detail = %failure.detail, "what lies here is left out");
                    }
                }
                (None, Err(failure)) => nowhere.add(self, &place, failure)?,
                (None, Ok(found)) => return Ok(found),
            }
        }
        let Some(newest) = newest else { return Err(nowhere.note(&self.feed)) };
        *offered = Some(newest.offered);
        newest.ended
    }

    /// What counts of what lies at two places.
    fn weigh(&self, known: Option<Lying>, other: Lying, place: &Place) -> Lying {
        let Some(mut known) = known else { return other };
        if other.offered.vendor_version.version > known.offered.vendor_version.version {
            return other;
        }
        let place = place.name.as_deref().unwrap_or_default();
        let joined = match (&mut known.ended, &other.ended) {
            (Ok(Found::Proposed(one)), Ok(Found::Proposed(two))) => one.proposal.join(&two.proposal),
            _ => false,
        };
        if !joined {
            tracing::warn!(
                feed = %self.feed, place, version = %other.offered.vendor_version, taken = %known.offered.vendor_version,
                "another manifest of it lies here, which is not newer: left out"
            );
        }
        known
    }

    fn proved(&self, place: &Place) {
        if let Some(name) = &place.name {
            self.engine.learned.proved(name);
        }
    }
}
