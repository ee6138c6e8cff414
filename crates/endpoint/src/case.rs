//! What tests of both vendors' endpoints stand on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::{Clock, Timestamp};

use crate::{Steps, Stopped};

/// A clock that goes when it is told.
#[derive(Debug)]
pub(crate) struct FakeClock(Mutex<Timestamp>);

impl FakeClock {
    pub(crate) fn at(text: &str) -> Self {
        Self(Mutex::new(Timestamp::parse(text).unwrap()))
    }

    pub(crate) fn go(&self, span: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.after(span);
    }

    pub(crate) fn back(&self, span: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.before(span);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Ends the process at the step with this number; nothing is written from then on.
#[derive(Debug)]
pub(crate) struct StopAt {
    at: usize,
    taken: AtomicUsize,
}

impl StopAt {
    pub(crate) fn at(at: usize) -> Self {
        Self { at, taken: AtomicUsize::new(0) }
    }
}

impl Steps for StopAt {
    fn step(&self, act: &'static str) -> Result<(), Stopped> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number < self.at { Ok(()) } else { Err(Stopped(act)) }
    }
}
