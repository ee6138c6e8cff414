//! How fast bytes come: the least rate of one transfer, and the most of all together.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The stretch over which the least rate is measured.
const WINDOW: Duration = Duration::from_secs(30);
/// Arrivals this close together count as one, so that the window holds few of them.
const GRAIN: Duration = Duration::from_secs(1);
/// How far ahead of its rate the limiter lets a burst run.
const BURST: Duration = Duration::from_millis(100);

/// The arrivals of the last 30 seconds that were spent waiting for the sender. Time in which the receiver was busy
/// or throttled itself is not the sender's fault and does not count.
#[derive(Debug)]
pub(crate) struct LeastRate {
    needed: u64,
    waited: Duration,
    arrivals: VecDeque<(Duration, u64)>,
}

impl LeastRate {
    /// Demands `rate` bytes a second; 0 demands nothing.
    pub(crate) fn new(rate: u64) -> Self {
        Self { needed: rate.saturating_mul(WINDOW.as_secs()), waited: Duration::ZERO, arrivals: VecDeque::new() }
    }

    /// Takes note of `bytes` that came after waiting for `wait`.
    pub(crate) fn arrived(&mut self, wait: Duration, bytes: u64) {
        self.waited = self.waited.saturating_add(wait);
        match self.arrivals.back_mut() {
            Some((at, sum)) if self.waited.saturating_sub(*at) < GRAIN => *sum = sum.saturating_add(bytes),
            _ => self.arrivals.push_back((self.waited, bytes)),
        }
        let waited = self.waited;
        while self.arrivals.front().is_some_and(|(at, _)| at.saturating_add(WINDOW) < waited) {
            self.arrivals.pop_front();
        }
    }

    /// How much longer the sender may stay silent before some 30 seconds held too few bytes; none without a least rate.
    pub(crate) fn patience(&self) -> Option<Duration> {
        if self.needed == 0 {
            return None;
        }
        let mut sum = 0_u64;
        for (at, bytes) in self.arrivals.iter().rev() {
            sum = sum.saturating_add(*bytes);
            if sum >= self.needed {
                return Some(at.saturating_add(WINDOW).saturating_sub(self.waited));
            }
        }
        Some(WINDOW.saturating_sub(self.waited))
    }
}

/// Spreads bytes over time, over all transfers together.
#[derive(Debug)]
pub(crate) struct Limiter {
    rate: u64,
    free_at: Mutex<Option<Instant>>,
}

impl Limiter {
    /// Lets `rate` bytes a second pass.
    pub(crate) fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), free_at: Mutex::new(None) }
    }

    /// Books `bytes` at `now` and tells when they have passed.
    pub(crate) fn book(&self, now: Instant, bytes: u64) -> Instant {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let start = free_at.map_or(earliest, |at| at.max(earliest));
        // What overflows is beyond every deadline; the transfer ends there and the booking with it.
        let end = start.checked_add(cost).unwrap_or(start);
        *free_at = Some(end);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_drip_starves_after_one_window_u24() {
        let mut rate = LeastRate::new(1024);
        let mut waited = Duration::ZERO;
        loop {
            let patience = rate.patience().unwrap_or(Duration::MAX);
            if patience < S(10) {
                assert_eq!(waited + patience, WINDOW);
                break;
            }
            rate.arrived(S(10), 1);
            waited += S(10);
        }
    }

    #[test]
    fn a_fast_start_does_not_pay_for_a_later_stall_u24() {
        let mut rate = LeastRate::new(1024);
        rate.arrived(S(1), 1 << 30);
        assert_eq!(rate.patience(), Some(S(30)));
        rate.arrived(S(20), 1);
        assert_eq!(rate.patience(), Some(S(10)));
        rate.arrived(S(10), 1);
        assert_eq!(rate.patience(), Some(S(0)));
    }

    #[test]
    fn a_steady_stream_at_the_rate_lives_and_no_rate_demands_nothing() {
        let mut rate = LeastRate::new(1000);
        for _ in 0..1000 {
            rate.arrived(S(2), 2000);
            assert!(rate.patience() >= Some(S(2)), "{:?}", rate.patience());
        }
        assert!(rate.arrivals.len() < 64);
        assert_eq!(LeastRate::new(0).patience(), None);
    }

    #[test]
    fn a_receiver_that_takes_its_time_is_not_counted() {
        let mut rate = LeastRate::new(1024);
        for _ in 0..100 {
            rate.arrived(Duration::ZERO, 1);
        }
        assert_eq!(rate.patience(), Some(WINDOW));
    }

    #[tokio::test]
    async fn the_limiter_spreads_bytes() {
        let limiter = Limiter::new(1000);
        let now = Instant::now();
        let first = limiter.book(now, 1000);
        assert!(first <= now + S(1) && first > now);
        assert_eq!(limiter.book(now, 2000), first + S(2));
        assert_eq!(limiter.book(now + S(100), 100), now + S(100));
        limiter.book(now, u64::MAX);
    }

    proptest! {
        #[test]
        fn memory_stays_small_u24(steps in proptest::collection::vec((0u64..2_000_000, 0u64..5000), 0..300)) {
            let mut rate = LeastRate::new(1024);
            for (micros, bytes) in steps {
                rate.arrived(Duration::from_micros(micros), bytes);
                prop_assert!(rate.arrivals.len() <= 40);
                prop_assert!(rate.patience() <= Some(WINDOW));
            }
        }
    }
}
