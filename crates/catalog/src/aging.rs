//! How much time has surely passed since an entry.

use std::time::Duration;

use model::Timestamp;

/// Counts time from the newest entry back, step by step, and believes no step that a jumping clock could have made.
#[derive(Debug)]
pub(crate) struct Aging {
    age: Duration,
    silence: Duration,
    passed: Duration,
    newest: Option<Timestamp>,
    /// When the entry after the one that comes next happened.
    later: Option<Timestamp>,
}

impl Aging {
    /// Looks for `age`; a step counts for `silence` at the most.
    pub(crate) fn new(age: Duration, silence: Duration) -> Self {
        Self { age, silence, passed: Duration::ZERO, newest: None, later: None }
    }

    /// Goes one entry back: whether the age has surely passed since it.
    pub(crate) fn is_past(&mut self, at: Timestamp) -> bool {
        if let Some(later) = self.later {
            self.passed = self.passed.saturating_add(later.since(at).min(self.silence));
        }
        self.later = Some(at);
        let newest = *self.newest.get_or_insert(at);
        self.passed >= self.age && newest.since(at) >= self.age
    }
}
