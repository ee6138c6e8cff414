//! One fetch for each thing that is asked for, however many ask.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{FeedId, RoutePath};
use tokio::sync::watch;

/// How many fetches of manifests' sets may be under way.
const FLYING: usize = 64;
/// How many fetches of paths that no manifest names may be. Neither kind keeps the other from beginning.
const FLYING_PATHS: usize = 16;
/// How many fetches of a kind may begin within any [`WINDOW`]: whoever makes names up does not make the vendor be asked
/// without end.
const BEGUN: usize = 300;
const WINDOW: Duration = Duration::from_secs(60);
/// How many ends of fetches are remembered.
const REMEMBERED: usize = 2048;
/// How long a failed fetch keeps the next from beginning.
const FAILED: Duration = Duration::from_secs(10);

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// What was asked for is held and published.
    Held,
    /// The vendor does not have it.
    Absent,
    /// It could not be had now.
    Failed,
    /// The vendor refuses to give it. It may be had later, and is not asked for again before its time.
    Declined,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// A feed's release, at the path that was asked for; at any where none was.
    Feed(FeedId, Option<RoutePath>),
    /// A path that no manifest names.
    Path(RoutePath),
}

/// Where a fetch stands; none while it is under way.
pub type Progress = watch::Receiver<Option<Landing>>;

enum Flight {
    Flying(Progress),
    Landed(Landing, Duration),
}

/// What somebody finds who asks.
pub(crate) enum Boarding {
    /// It is under way, or ended a moment ago.
    Join(Progress),
    /// It ended so, too short a while ago to be tried again.
    Not(Landing),
    /// Nobody fetches it: the caller does, and tells the end here.
    Fly(watch::Sender<Option<Landing>>, Progress),
    /// Too much is under way.
    Full,
}

/// The fetches of this process.
#[derive(Default)]
pub(crate) struct Flights {
    map: Mutex<HashMap<Key, Flight>>,
    begun: Mutex<Begun>,
    begun_paths: Mutex<Begun>,
}

/// When the last fetches began, the oldest first; never more than may.
#[derive(Default)]
struct Begun(VecDeque<Duration>);

impl Begun {
    /// Whether one more may begin at `now`; then it counts.
    fn one_more(&mut self, now: Duration) -> bool {
        while self.0.front().is_some_and(|at| now.saturating_sub(*at) >= WINDOW) {
            self.0.pop_front();
        }
        let may = self.0.len() < BEGUN;
        if may {
            self.0.push_back(now);
        }
        may
    }
}

impl Key {
    const fn is_path(&self) -> bool {
        matches!(self, Self::Path(_))
    }
}

impl Flights {
    fn map(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self, key: &Key) -> MutexGuard<'_, Begun> {
        let begun = if key.is_path() { &self.begun_paths } else { &self.begun };
        begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for something at `now` (monotonic); what the vendor did not have is not asked for again for `absent`.
    pub(crate) fn board(&self, key: &Key, now: Duration, absent: Duration) -> Boarding {
        let mut map = self.map();
        // What was held a moment ago is served in a moment, unless it was let go meanwhile: whoever still asks has it looked
        // for, which asks nobody while it is there.
        let mut free = false;
        match map.get(key) {
            Some(Flight::Flying(progress)) => return Boarding::Join(progress.clone()),
            Some(Flight::Landed(landing, at)) => {
                let rest = if matches!(landing, Landing::Absent | Landing::Declined) { absent } else { FAILED };
                let rests = now.saturating_sub(*at) < rest;
                if rests && *landing != Landing::Held {
                    return Boarding::Not(*landing);
                }
                free = rests;
            }
            None => {}
        }
        let alike =
            |(other, flight): &(&Key, &Flight)| other.is_path() == key.is_path() && matches!(flight, Flight::Flying(_));
        let most = if key.is_path() { FLYING_PATHS } else { FLYING };
        if map.iter().filter(alike).count() >= most || !free && !self.begun(key).one_more(now) {
            return Boarding::Full;
        }
        let (told, progress) = watch::channel(None);
        map.insert(key.clone(), Flight::Flying(progress.clone()));
        Boarding::Fly(told, progress)
    }

    /// A fetch ended.
    pub(crate) fn land(&self, key: &Key, landing: Landing, now: Duration) {
        let mut map = self.map();
        if map.len() >= REMEMBERED {
            map.retain(|_, flight| matches!(flight, Flight::Flying(_)));
        }
        map.insert(key.clone(), Flight::Landed(landing, now));
    }

    /// What came of asking for a feed before counts no longer: it is asked for anew.
    pub(crate) fn forget(&self, feed: &FeedId) {
        let ended = |key: &Key, flight: &Flight| {
            matches!(key, Key::Feed(known, _) if known == feed) && matches!(flight, Flight::Landed(..))
        };
        self.map().retain(|key, flight| !ended(key, flight));
    }

    /// The fetches of manifests that are under way.
    pub(crate) fn of_feeds(&self) -> Vec<Progress> {
        let map = self.map();
        let flying = map.iter().filter_map(|(key, flight)| match (key, flight) {
            (Key::Feed(..), Flight::Flying(progress)) => Some(progress.clone()),
            _ => None,
        });
        flying.collect()
    }

    /// How many fetches are under way.
    pub(crate) fn flying(&self) -> usize {
        self.map().values().filter(|flight| matches!(flight, Flight::Flying(_))).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(version: &str) -> Key {
        Key::Feed(format!("elastic/{version}").parse().unwrap(), None)
    }

    #[test]
    fn a_thousand_ask_and_one_flies_v36() {
        let flights = Flights::default();
        let Boarding::Fly(..) = flights.board(&key("9.0.0"), MINUTE, MINUTE) else { panic!("the first flies") };
        for _ in 1..1000 {
            assert!(matches!(flights.board(&key("9.0.0"), MINUTE, MINUTE), Boarding::Join(_)));
        }
        assert_eq!((flights.flying(), flights.of_feeds().len()), (1, 1));
    }

    #[test]
    fn what_the_vendor_does_not_have_is_not_asked_for_again_before_its_time() {
        let flights = Flights::default();
        let hour = MINUTE * 60;
        flights.land(&key("9.9.9"), Landing::Absent, MINUTE);
        assert!(matches!(flights.board(&key("9.9.9"), MINUTE * 2, hour), Boarding::Not(Landing::Absent)));
        assert!(matches!(flights.board(&key("9.9.9"), MINUTE * 62, hour), Boarding::Fly(..)));
        flights.land(&key("9.9.8"), Landing::Failed, MINUTE);
        assert!(matches!(flights.board(&key("9.9.8"), MINUTE, hour), Boarding::Not(Landing::Failed)));
        assert!(matches!(flights.board(&key("9.9.8"), MINUTE * 2, hour), Boarding::Fly(..)));
    }

    #[test]
    fn what_was_held_is_looked_for_again_at_once_and_costs_no_beginning() {
        let flights = Flights::default();
        let mut begun = 0;
        for _ in 0..2 * BEGUN {
            let Boarding::Fly(..) = flights.board(&key("9.0.0"), MINUTE, MINUTE) else { panic!("it was let go") };
            flights.land(&key("9.0.0"), Landing::Held, MINUTE);
        }
        for patch in 0..2 * BEGUN {
            let key = key(&format!("9.9.{patch}"));
            if matches!(flights.board(&key, MINUTE, MINUTE), Boarding::Fly(..)) {
                flights.land(&key, Landing::Absent, MINUTE);
                begun += 1;
            }
        }
        assert_eq!(begun, BEGUN - 1, "the first of them alone counts");
    }

    #[test]
    fn what_the_operator_names_is_asked_for_whatever_was_answered_before() {
        let flights = Flights::default();
        let Key::Feed(feed, _) = key("9.9.9") else { panic!("it is a feed") };
        flights.land(&key("9.9.9"), Landing::Absent, MINUTE);
        flights.land(&key("9.9.8"), Landing::Absent, MINUTE);
        flights.forget(&feed);
        assert!(matches!(flights.board(&key("9.9.9"), MINUTE, MINUTE), Boarding::Fly(..)));
        assert!(matches!(flights.board(&key("9.9.8"), MINUTE, MINUTE), Boarding::Not(Landing::Absent)));
        flights.forget(&feed);
        assert!(matches!(flights.board(&key("9.9.9"), MINUTE, MINUTE), Boarding::Join(_)), "it is under way");
    }

    #[test]
    fn a_flood_of_names_is_few_fetches_and_little_memory_v32() {
        let flights = Flights::default();
        let mut full = 0;
        for patch in 0..1000 {
            full += usize::from(matches!(flights.board(&key(&format!("9.9.{patch}")), MINUTE, MINUTE), Boarding::Full));
        }
        assert_eq!((flights.flying(), full), (FLYING, 1000 - FLYING));
        for patch in 0..10_000 {
            flights.land(&key(&format!("9.9.{patch}")), Landing::Absent, MINUTE);
        }
        assert!(flights.map().len() <= REMEMBERED);
    }

    #[test]
    fn no_minute_sees_more_begin_than_may_wherever_it_begins_v32() {
        let (mut begun, second) = (Begun::default(), Duration::from_secs(1));
        let mut began = |at: Duration| (0..2 * BEGUN).filter(|_| begun.one_more(at)).count();
        let before = MINUTE * 2 - second;
        assert_eq!((began(before), began(MINUTE * 2), began(MINUTE * 3 - second * 2)), (BEGUN, 0, 0));
        assert_eq!(began(before + MINUTE), BEGUN);
    }

    #[test]
    fn paths_leave_room_for_manifests_and_made_up_names_for_the_vendor_v32() {
        let flights = Flights::default();
        let path = |number: u32| Key::Path(format!("/downloads/{number}").parse().unwrap());
        for number in 0..1000 {
            flights.board(&path(number), MINUTE, MINUTE);
        }
        assert_eq!(flights.flying(), FLYING_PATHS);
        assert!(matches!(flights.board(&key("9.0.0"), MINUTE, MINUTE), Boarding::Fly(..)));

        let flights = Flights::default();
        let mut begun = 0;
        for number in 0..1000 {
            if matches!(flights.board(&path(number), MINUTE, MINUTE), Boarding::Fly(..)) {
                flights.land(&path(number), Landing::Absent, MINUTE);
            }
        }
        for patch in 0..1000 {
            let key = key(&format!("9.9.{patch}"));
            if matches!(flights.board(&key, MINUTE, MINUTE), Boarding::Fly(..)) {
                begun += 1;
                flights.land(&key, Landing::Absent, MINUTE);
            }
        }
        assert_eq!(begun, BEGUN);
        assert!(matches!(flights.board(&key("9.9.999"), MINUTE * 2, MINUTE), Boarding::Fly(..)));
    }
}
