//! When something is to be done again.

use std::time::Duration;

use model::Timestamp;

/// Whether what was done at `at` is to be done again, once in `every`. What was done at a time that is still to come was done
/// by a clock that was ahead: nobody knows how long ago that is.
pub(crate) fn is_due(at: Timestamp, now: Timestamp, every: Duration) -> bool {
    at > now || now.since(at) >= every
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_by_a_clock_that_was_ahead_is_due_s28() {
        let (at, day) = (|day: i64| Timestamp::from_micros(day * 86_400_000_000), Duration::from_secs(86_400));
        for (done, now, expected) in [(1, 1, false), (1, 2, true), (400, 1, true), (400, 399, true), (400, 400, false)]
        {
            assert_eq!(is_due(at(done), at(now), day), expected, "{done} at {now}");
        }
    }
}
