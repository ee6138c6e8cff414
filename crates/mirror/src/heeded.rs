//! The operator's newest words are the ring's where the catalog does not know what it serves: that one was lost, or is an
//! older one that was put in its place. What the ring serves, has in `_back`, or served in a generation whose file is kept,
//! and does not name as denied, was let in; what it names as denied was rejected or left.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Batch, EntryKind, FeedRecord, ReleaseRecord};
use model::{FeedId, Generation, Outcome, Reason, ReleaseId, ReleaseState, ServedFeed};
use serde_json::json;

use crate::gc::GENERATIONS;
use crate::remembered::whole;
use crate::ruling::Costs;
use crate::word::{ended, in_order};
use crate::{Engine, EngineError};

impl Engine {
    /// The newest generations of which the ring keeps a file, the present one first; no more than gc leaves, whether it ran
    /// or not.
    pub(crate) async fn kept_generations(&self, present: &Generation) -> Result<Vec<Generation>, EngineError> {
        let ring = &self.settings.ring;
        let mut kept = vec![present.clone()];
        for number in self.ports.rings.numbers(ring).await?.into_iter().rev().take(GENERATIONS) {
            if number != present.number {
                kept.extend(whole(self.ports.rings.generation(ring, number).await)?);
            }
        }
        Ok(kept)
    }

    /// Adds to a batch what the ring says otherwise than the catalog, for who takes its generation over. Of the `kept`
    /// generations only those speak that are newer than what the catalog knows: it knows the others, and what was said
    /// since.
    pub(crate) async fn heed(&self, kept: &[Generation], batch: &mut Batch) -> Result<(), EngineError> {
        let Some((present, earlier)) = kept.split_first() else { return Ok(()) };
        let [known, _] = self.numbers_on_record().await?;
        let newer = || std::iter::once(present).chain(earlier.iter().filter(|it| it.number > known));
        let denied = denied_in(newer());
        for (feed, releases) in &denied {
            for release in releases {
                let found = self.ports.catalog.release(release).await?;
                if let Some(found) = found.filter(|found| found.state != ReleaseState::Rejected) {
                    tracing::error!(%feed, release = found.number, "the ring remembers that it was rejected: it counts as rejected again");
                    self.set_again(&found, ("deny-again", ReleaseState::Rejected), batch);
                }
            }
        }
        let mut seen = BTreeSet::new();
        for (place, generation) in newer().enumerate() {
            for (feed, served) in &generation.feeds {
                for release in [Some(served.release), served.back].into_iter().flatten() {
                    let is_denied = denied.get(feed).is_some_and(|denied| denied.contains(&release));
                    if is_denied || !seen.insert(release) {
                        continue;
                    }
                    let Some(found) = self.ports.catalog.release(&release).await? else { continue };
                    // Of what is served no longer, only what one can go back to counts.
                    let counts =
                        place == 0 || found.state != ReleaseState::Expired && self.keeps_seat(&found.release).await?;
                    if counts && found.state != ReleaseState::Admitted {
                        tracing::error!(%feed, release = found.number, was = %found.state, "the ring served it since: it counts as admitted again");
                        self.set_again(&found, ("admit-again", ReleaseState::Admitted), batch);
                    }
                }
            }
        }
        for (feed, served) in &present.feeds {
            let Some(record) = self.ports.catalog.feed(feed).await? else { continue };
            let now = in_line(record.clone(), served, batch);
            if now != record {
                batch.history.push(self.check_entry(&now, Costs::default()));
                batch.feeds.push(now);
            }
        }
        Ok(())
    }

    fn set_again(&self, found: &ReleaseRecord, (act, state): (&str, ReleaseState), batch: &mut Batch) {
        let id = found.release.id;
        batch.states.push((id, state, self.ports.clock.now()));
        let data = json!({ "act": act, "feed": found.release.feed, "was": found.state, "state": state });
        batch.history.push(self.entry(EntryKind::Upkeep, id.to_string(), data));
    }
}

/// What is denied of each feed, as the newest generation says that serves it.
pub(crate) fn denied_in<'a>(kept: impl IntoIterator<Item = &'a Generation>) -> BTreeMap<FeedId, Vec<ReleaseId>> {
    let mut denied = BTreeMap::new();
    for (feed, served) in kept.into_iter().flat_map(|generation| &generation.feeds) {
        denied.entry(feed.clone()).or_insert_with(|| served.denied.clone());
    }
    denied
}

/// A feed's record, which is older than what the ring serves of it: what it says against that, or would have done, was
/// overtaken.
fn in_line(record: FeedRecord, served: &ServedFeed, batch: &Batch) -> FeedRecord {
    let mut record = match record.word {
        Some(word) => ended(record, &word, Some(served)),
        None => record,
    };
    // The operator went back behind it since.
    record.mark = record
        .mark
        .map(|mark| if mark.version > served.vendor_version.version { served.vendor_version.clone() } else { mark });
    let is_let_in = |id: &ReleaseId| {
        *id == served.release && !served.denied.contains(id)
            || batch.states.iter().any(|(again, state, _)| again == id && *state == ReleaseState::Admitted)
    };
    record.declined = record.declined.filter(|declined| !is_let_in(declined));
    let waits = matches!(record.outcome, Outcome::Quarantined | Outcome::Held);
    if !record.release.as_ref().is_some_and(is_let_in) || !(waits || record.reason == Some(Reason::RejectedBefore)) {
        return record;
    }
    if waits {
        in_order(&mut record);
    }
    FeedRecord {
        outcome: Outcome::Current,
        reason: None,
        detail: None,
        // What the vendor offers now is asked anew, but for what is served.
        validator: record.validator.filter(|_| record.release == Some(served.release)),
        ..record
    }
}
