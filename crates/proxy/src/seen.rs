//! What was asked for in vain, counted in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use model::{RingName, RoutePath, Timestamp};
use serde::{Deserialize, Serialize};

/// How many different paths are counted between two times of taking.
const DISTINCT: usize = 1024;
/// The longest path that is counted, in bytes; manifests' are far below.
const LONGEST: usize = 256;

/// What was asked for in vain, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// In which ring.
    pub ring: RingName,
    /// Where.
    pub path: RoutePath,
    /// How often.
    pub count: u64,
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
}

/// Counts what is asked for in vain. What does not fit is dropped and counted.
#[derive(Debug, Default)]
pub struct Sightings {
    held: Mutex<BTreeMap<(RingName, RoutePath), Seen>>,
    dropped: AtomicU64,
}

impl Sightings {
    /// A path was asked for and is not served.
    pub fn note(&self, ring: &RingName, path: &RoutePath, at: Timestamp) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (ring.clone(), path.clone());
        if let Some(known) = held.get_mut(&key) {
            known.count = known.count.saturating_add(1);
            known.last = known.last.max(at);
        } else if held.len() < DISTINCT && path.as_str().len() <= LONGEST {
            held.insert(key, Seen { ring: ring.clone(), path: path.clone(), count: 1, first: at, last: at });
        } else {
            drop(held);
            self.drop_some(1);
        }
    }

    /// What was seen since it was last taken.
    pub fn take(&self) -> Vec<Seen> {
        let taken = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        taken.into_values().collect()
    }

    /// So many sightings went nowhere.
    pub fn drop_some(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// How many sightings went nowhere.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Seen {
    /// Whether it can be what [`Sightings`] counted: the file that it was read from may be another's.
    pub(crate) fn is_plausible(&self, now: Timestamp) -> bool {
        self.path.as_str().len() <= LONGEST && self.count > 0 && self.first <= self.last && self.last <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> RingName {
        RingName::broad()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn the_same_path_is_counted_once_with_its_times() {
        let seen = Sightings::default();
        let path = "/downloads/a".parse().unwrap();
        for second in [5, 9, 7] {
            seen.note(&ring(), &path, at(second));
        }
        let taken = seen.take();
        assert_eq!(taken, [Seen { ring: ring(), path, count: 3, first: at(5), last: at(9) }]);
        assert_eq!(seen.take(), []);
    }

    #[test]
    fn a_million_paths_take_no_more_memory_than_a_thousand_v32() {
        let seen = Sightings::default();
        for number in 0..5000 {
            seen.note(&ring(), &format!("/downloads/{number}").parse().unwrap(), at(1));
        }
        assert_eq!(seen.take().len(), DISTINCT);
        assert_eq!(seen.dropped(), 5000 - DISTINCT as u64);
        seen.note(&ring(), &format!("/downloads/{}", "a".repeat(250)).parse().unwrap(), at(1));
        assert_eq!(seen.take(), []);
    }
}
