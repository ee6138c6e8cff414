//! When to try again.

use std::time::Duration;

use model::Retry;
use rand::RngExt as _;

use crate::OriginError;

/// How often and how soon a failed request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first included; at least 1.
    pub attempts: u32,
    /// The pause before the second try; it doubles with each.
    pub base: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 4, base: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// The pause before try number `next` (2 is the first repetition), or none when there is to be no other.
    pub(crate) fn pause(&self, next: u32, error: &OriginError, jitter: f64) -> Option<Duration> {
        (error.reason.retry() == Retry::Now && next <= self.attempts).then(|| self.backoff(next, jitter))
    }

    /// The pause before try number `next` at a host that said itself when to come back.
    pub(crate) fn pause_after_wait(&self, next: u32, jitter: f64) -> Option<Duration> {
        (next <= self.attempts).then(|| self.backoff(next, jitter))
    }

    /// Doubles with each try, spread over half to one and a half of that.
    fn backoff(&self, next: u32, jitter: f64) -> Duration {
        let doubled = self.base.saturating_mul(1 << next.saturating_sub(2).min(16));
        doubled.min(self.longest).mul_f64(0.5 + jitter.clamp(0.0, 1.0))
    }
}

/// Randomness for jitter, out of a generator that the composition root seeds.
pub(crate) struct Jitter(std::sync::Mutex<rand::rngs::StdRng>);

impl Jitter {
    pub(crate) fn new(rng: rand::rngs::StdRng) -> Self {
        Self(std::sync::Mutex::new(rng))
    }

    /// Between 0 and 1.
    pub(crate) fn draw(&self) -> f64 {
        self.0.lock().map_or(0.5, |mut rng| rng.random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Reason;

    #[test]
    fn pauses_double_and_end_u10_u11() {
        let policy = RetryPolicy::default();
        let error = OriginError::new(Reason::ServerError, "x");
        let pauses: Vec<_> = (2..=6).map(|next| policy.pause(next, &error, 0.5).map(|p| p.as_millis())).collect();
        assert_eq!(pauses, [Some(500), Some(1000), Some(2000), None, None]);
        assert!(policy.backoff(60, 1.0) <= Duration::from_secs(45));
    }

    #[test]
    fn what_does_not_pass_is_not_repeated_u14() {
        for reason in [Reason::Refused, Reason::NotFound, Reason::HashMismatch, Reason::RateLimited] {
            assert_eq!(RetryPolicy::default().pause(2, &OriginError::new(reason, "x"), 0.5), None, "{reason}");
        }
    }
}
