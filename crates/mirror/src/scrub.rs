//! Reads what is held again, a little at a time, so that bytes that changed on the disk are found without a person.
//!
//! Which blobs are due follows from the clock alone: the digests are laid out over the period in order, so that a
//! process that is restarted often goes on where the time is, and needs to remember nothing.

use std::time::Duration;

use blob_store::Verification;
use model::{Digest, Timestamp};

use crate::{Engine, EngineError, VerifyReport};

/// How long a run may last: what it read ends where it began, and it is on record by when it ended.
const RUN: Duration = Duration::from_secs(3600);

/// A place among all digests: their first eight bytes.
pub type Place = u64;

/// Where reading stands at a moment, when all is read once in each `period`; none for a period of zero.
///
/// The period is stretched out of step with days: who is down each night misses other blobs each time.
pub fn place_at(now: Timestamp, period: Duration) -> Option<Place> {
    let period = period.as_micros().saturating_mul(97) / 100;
    let into = u128::try_from(now.as_micros().max(0)).unwrap_or(0).checked_rem(period)?;
    Some(u64::try_from(into.saturating_mul(1 << 64) / period).unwrap_or(u64::MAX))
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
    /// Reads what has come due since the last run, for a process that does not stay: what is read thus over all runs is
    /// all, once in each `period`.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store fail as such.
    pub async fn scrub_since_last_run(&self, period: Duration) -> Result<VerifyReport, EngineError> {
        let now = self.ports.clock.now();
        let last = self.ports.catalog.feeds().await?.iter().map(|record| record.checked_at).max();
        // Before the first run nothing is held, and what a clock that was set back makes of the rest is not known.
        let Some(last) = last.filter(|last| *last < now) else { return Ok(VerifyReport::default()) };
        let last = last.before(RUN);
        let (Some(from), Some(to)) = (place_at(last, period), place_at(now, period)) else {
            return Ok(VerifyReport::default());
        };
        let all = now.since(last) >= period.saturating_mul(97) / 100;
        let from = if all { to.wrapping_add(1) } else { from };
        Ok(self.scrub(from, to, u64::MAX).await?.report)
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
