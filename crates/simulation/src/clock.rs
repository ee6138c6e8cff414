//! Wall-clock time that the seed owns.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Clock, Timestamp};
use tokio::time::Instant;

/// When the simulated world begins.
const BEGINNING: i64 = 1_800_000_000_000_000;

/// Time goes on with the runtime's own paused clock, by a microsecond at each look, and by what the seed says. It
/// also jumps: then the wall clock moves and true time does not (S28).
#[derive(Debug)]
pub(crate) struct SimClock {
    begun: Instant,
    passed: AtomicU64,
    jumped: AtomicI64,
    /// When it jumped forward, in truth, and by how much.
    ahead: Mutex<Vec<(Duration, Duration)>>,
}

impl SimClock {
    /// A clock of this runtime, which is paused.
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), passed: AtomicU64::new(0), jumped: AtomicI64::new(0), ahead: Mutex::default() }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        self.passed.fetch_add(u64::try_from(time.as_micros()).unwrap_or(0), Ordering::Relaxed);
    }

    /// Moves the wall clock, and nothing else.
    pub(crate) fn jump(&self, micros: i64) {
        self.jumped.fetch_add(micros, Ordering::Relaxed);
        if let Ok(micros) = u64::try_from(micros) {
            self.leaps().push((self.truly(), Duration::from_micros(micros)));
        }
    }

    fn leaps(&self) -> MutexGuard<'_, Vec<(Duration, Duration)>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something that began at `since` has stayed for `age` by `truly`, both in truth. Nobody can tell a jump from time that
    /// passed while nothing ran, so each one may take as much as such a silence may: a quarter of the age.
    pub(crate) fn outlived(&self, (since, truly): (Duration, Duration), age: Duration) -> bool {
        let leaps = self.leaps();
        let taken = leaps.iter().filter(|(at, _)| *at >= since).map(|(_, leap)| (*leap).min(age / 4));
        truly.saturating_sub(since).saturating_add(taken.sum()) >= age
    }

    /// Moves the wall clock to a time.
    pub(crate) fn jump_to(&self, time: Timestamp) {
        self.jump(time.as_micros().saturating_sub(self.wall().as_micros()));
    }

    /// How much time has truly passed.
    pub(crate) fn truly(&self) -> Duration {
        self.begun.elapsed() + Duration::from_micros(self.passed.load(Ordering::Relaxed))
    }

    /// What the wall clock shows, without a tick.
    pub(crate) fn wall(&self) -> Timestamp {
        let shown = BEGINNING.saturating_add(self.jumped.load(Ordering::Relaxed));
        Timestamp::from_micros(shown).after(self.truly())
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.passed.fetch_add(1, Ordering::Relaxed);
        self.wall()
    }

    fn monotonic(&self) -> Duration {
        self.truly()
    }
}
