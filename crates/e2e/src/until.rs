//! Asking again.

use std::time::{Duration, Instant};

/// Asks until there is an answer, and panics with `what` when there is none in time.
pub fn until<T>(what: &str, limit: Duration, ask: impl FnMut() -> Option<T>) -> T {
    until_or(limit, ask, || what.to_owned())
}

/// The same; what was waited for is told once it did not come.
pub(crate) fn until_or<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>, what: impl FnOnce() -> String) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        if begun.elapsed() >= limit {
            panic!("not within {limit:?}: {}", what());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
