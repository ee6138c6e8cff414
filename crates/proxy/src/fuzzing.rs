//! How what was left in the spool is read, for `fuzz-targets` alone: no part of the crate's face.

use model::Timestamp;

use crate::Seen;
use crate::spool::Gathered;

/// What a file of the spool says, read at this time, and how many of its lines are refused.
pub fn sightings(text: &str, now: Timestamp) -> (Vec<Seen>, u64) {
    let mut gathered = Gathered::empty();
    gathered.take(text, now);
    (gathered.seen, gathered.refused)
}
