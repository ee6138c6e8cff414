//! Reads what is held again, a little at a time, so that bytes that changed on the disk are found without a person.
//!
//! Which blobs are due follows from the clock alone: the digests are laid out over the period in order, so that a
//! process that is restarted often goes on where the time is, and needs to remember nothing.

use std::time::Duration;

use blob_store::Verification;
use catalog::{Batch, EntryFilter, EntryKind, EntryOrder};
use model::{Digest, Timestamp};
use serde_json::json;

use crate::history::particulars;
use crate::{Engine, EngineError, VerifyReport};

/// How long a run may last: what it read ends where it began, and it is on record by when it ended.
const RUN: Duration = Duration::from_secs(3600);

/// What the entries are on that say what was left unread, and what they say was done.
const SUBJECT: &str = "scrub";
const READ_AGAIN: &str = "read-again";

/// A place among all digests: their first eight bytes.
pub type Place = u64;

/// Where reading stands at a moment, when all is read once in each `period`; none for a period of zero.
///
/// The period is stretched out of step with days: who is down each night misses other blobs each time.
pub fn place_at(now: Timestamp, period: Duration) -> Option<Place> {
    let period = whole(period).as_micros();
    let into = u128::try_from(now.as_micros().max(0)).unwrap_or(0).checked_rem(period)?;
    Some(u64::try_from(into.saturating_mul(1 << 64) / period).unwrap_or(u64::MAX))
}

/// How long it takes to read all once.
fn whole(period: Duration) -> Duration {
    period / 100 * 97
}

/// What is due to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// From here on, up to where it ends.
    from: Place,
    to: Place,
    /// A run left something unread before, and says so in the history.
    owed: bool,
}

impl Due {
    /// Whether all of it was read.
    pub fn is_read(self) -> bool {
        self.from == self.to
    }

    /// How much of all that is held is left, in hundredths; at least one where any is.
    pub fn percent(self) -> u64 {
        match self.to.wrapping_sub(self.from) {
            0 => 0,
            left => (left / (Place::MAX / 100)).max(1),
        }
    }
}

/// What one step of reading came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Up to where all was read; the next step begins here.
    pub reached: Place,
    /// What was read, and what was wrong with it: set aside, recorded, and fetched again by the next run.
    pub report: VerifyReport,
}

impl Engine {
    /// Reads blobs again from `from` up to `to`, around the end where `to` is less, but no more once `bytes` were read.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store fail as such.
    pub async fn scrub(&self, from: Place, to: Place, bytes: u64) -> Result<Scrubbed, EngineError> {
        let mut done = Scrubbed { reached: from, ..Scrubbed::default() };
        while done.reached != to && done.report.bytes < bytes {
            let shard = first_byte(done.reached);
            let mut due = self.ports.blobs.shard(shard).await?;
            due.retain(|digest| !passed(place_of(*digest), done.reached, to));
            due.sort_unstable();
            for digest in due {
                if done.report.bytes >= bytes {
                    done.reached = place_of(digest);
                    return Ok(done);
                }
                self.scrub_one(digest, &mut done.report).await?;
            }
            done.reached = end_of(shard, done.reached, to);
        }
        Ok(done)
    }
}

impl Engine {
    /// What has come due since the last run, for a process that does not stay: what is read thus over all runs is all, once
    /// in each `period`. Asked before the run, which counts as the last one from then on.
    ///
    /// # Errors
    /// [`EngineError`] when the catalog cannot be read.
    pub async fn due_since_last_run(&self, period: Duration) -> Result<Option<Due>, EngineError> {
        let now = self.ports.clock.now();
        let Some(to) = place_at(now, period) else { return Ok(None) };
        // What a clock that was ahead left on a feed says nothing, and before the first run nothing is held.
        let checked = self.ports.catalog.feeds().await?.into_iter().map(|record| record.checked_at);
        let Some(last) = checked.filter(|last| *last < now).max().map(|last| last.before(RUN)) else { return Ok(None) };
        let from = place_at(last, period).filter(|_| now.since(last) < whole(period));
        let (left, owed) = self.left_unread().await?;
        let news = from.map(|from| to.wrapping_sub(from));
        let is_all = news.and_then(|news| news.checked_add(left.1.wrapping_sub(left.0))).is_none();
        Ok(Some(match (owed, from.filter(|_| !is_all)) {
            (true, Some(_)) => Due { from: left.0, to, owed },
            (true, None) => Due { from: left.0, to: left.0.wrapping_sub(1), owed },
            (false, Some(from)) => Due { from, to, owed },
            (false, None) => Due { from: to.wrapping_add(1), to, owed },
        }))
    }

    /// Reads of what is due, but no more once `bytes` were read; what is left is due still.
    ///
    /// # Errors
    /// As [`Engine::scrub`].
    pub async fn scrub_due(&self, due: &mut Due, bytes: u64) -> Result<VerifyReport, EngineError> {
        let done = self.scrub(due.from, due.to, bytes).await?;
        due.from = done.reached;
        Ok(done.report)
    }

    /// Records what a run leaves unread, so that the next one goes on there; and, once, that nothing is left any more.
    ///
    /// # Errors
    /// [`EngineError`] when it cannot be recorded.
    pub async fn leave_unread(&self, due: Due) -> Result<(), EngineError> {
        if due.is_read() && !due.owed {
            return Ok(());
        }
        let data = json!({ "act": READ_AGAIN, "reached": due.from, "due": due.to });
        let history = vec![self.entry(EntryKind::Upkeep, SUBJECT, data)];
        Ok(self.ports.catalog.apply(Batch { history, ..Batch::default() }).await?)
    }

    /// From where to where the run before left unread, and whether it left anything.
    async fn left_unread(&self) -> Result<((Place, Place), bool), EngineError> {
        let (kinds, subject) = (vec![EntryKind::Upkeep], Some(SUBJECT.to_owned()));
        let filter = EntryFilter { kinds, subject, ..EntryFilter::default() };
        let told = self.ports.catalog.entries(&filter, EntryOrder::NewestFirst, 1).await?.pop();
        let told =
            told.map(|entry| particulars(&entry)).filter(|data| data.get("act").is_some_and(|act| act == READ_AGAIN));
        let place = |name: &str| told.as_ref()?.get(name)?.as_u64();
        let left = place("reached").zip(place("due")).unwrap_or_default();
        Ok((left, left.0 != left.1))
    }

    async fn scrub_one(&self, digest: Digest, report: &mut VerifyReport) -> Result<(), EngineError> {
        match self.ports.blobs.verify(digest).await {
            // Gone since it was listed: gc let it go.
            Ok(Verification::Absent) => return Ok(()),
            Ok(Verification::Good(held)) => report.bytes = report.bytes.saturating_add(held.size()),
            Ok(Verification::Damaged { .. }) | Err(_) => {
                let looked = self.recheck(&[digest]).await?;
                report.faults.extend(looked.faults);
                report.unread.extend(looked.unread);
            }
        }
        report.blobs += 1;
        Ok(())
    }
}

fn first_byte(place: Place) -> u8 {
    let [first, ..] = place.to_be_bytes();
    first
}

fn place_of(digest: Digest) -> Place {
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Whether a place lies outside of what is due, which may run around the end.
fn passed(place: Place, from: Place, to: Place) -> bool {
    if from < to { place < from || place >= to } else { place < from && place >= to }
}

/// Where reading goes on after a shard: at the next one, or at the end of what is due if that lies in this one.
fn end_of(shard: u8, from: Place, to: Place) -> Place {
    let next = u64::from(shard.wrapping_add(1)) << 56;
    if first_byte(to) == shard && to > from { to } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_once_around_in_a_period_s16() {
        let day = Duration::from_secs(86_400);
        assert_eq!(place_at(Timestamp::from_micros(5), Duration::ZERO), None);
        let at = |share: i64| place_at(Timestamp::from_micros(share * 86_400_000_000 * 97 / 100 / 4), day).unwrap();
        assert_eq!((at(0), at(1), at(2), at(4)), (0, 1 << 62, 1 << 63, 0));
        for odd in [i64::MIN, -1, i64::MAX] {
            assert!(place_at(Timestamp::from_micros(odd), Duration::MAX).is_some());
        }
    }

    #[test]
    fn steps_end_where_the_due_part_ends_s16() {
        assert!(!passed(5, 1, 9) && passed(9, 1, 9) && passed(0, 1, 9));
        assert!(!passed(u64::MAX, 9, 1) && !passed(0, 9, 1) && passed(5, 9, 1));
        assert_eq!(end_of(0, 1, 9), 9);
        assert_eq!(end_of(0, 9, 1), 1 << 56);
        assert_eq!(end_of(255, u64::MAX - 3, 7), 0);
        assert_eq!(end_of(255, u64::MAX - 3, u64::MAX), u64::MAX);
    }
}
