//! How often one kind of event may be logged.
//!
//! A kind is a place in the program. An endpoint that provokes the same line a million times gets a hundred of them, and
//! one that says how many there were.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Clock as _;
use platform::SystemClock;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Events of one kind that pass in one window; of debug and trace, which were asked for, many more.
const MOST: u64 = 100;
const MOST_OF_DETAIL: u64 = 10_000;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(10);

/// What was held back of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeldBack {
    /// How many.
    pub(super) events: u64,
    /// The part of the program that they come from.
    pub(super) target: &'static str,
    /// Their level.
    pub(super) level: Level,
    /// Where in it: the file and line.
    pub(super) place: String,
}

struct Window {
    kind: &'static Metadata<'static>,
    began: Duration,
    passed: u64,
    held: u64,
}

impl Window {
    fn held_back(&self) -> Option<HeldBack> {
        let place = format!("{}:{}", self.kind.file().unwrap_or("-"), self.kind.line().unwrap_or(0));
        let (target, level) = (self.kind.target(), *self.kind.level());
        (self.held > 0).then_some(HeldBack { events: self.held, target, level, place })
    }
}

/// The windows of all kinds. There are as many as there are places that log, and no more.
#[derive(Default)]
pub(super) struct Rates {
    windows: Mutex<HashMap<Identifier, Window>>,
}

impl Rates {
    /// Whether an event of this kind may pass now.
    fn pass(&self, kind: &'static Metadata<'static>, now: Duration) -> bool {
        let most = if *kind.level() <= Level::INFO { MOST } else { MOST_OF_DETAIL };
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(kind.callsite()).or_insert_with(|| Window { kind, began: now, passed: 0, held: 0 });
        // While something is held back, the window ends when that is told.
        if window.held == 0 && now.saturating_sub(window.began) >= WINDOW {
            (window.began, window.passed) = (now, 0);
        }
        if window.passed < most {
            window.passed += 1;
            return true;
        }
        window.held = window.held.saturating_add(1);
        false
    }

    /// Ends the windows that are over; what was held back in them.
    pub(super) fn end(&self, now: Duration) -> Vec<HeldBack> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = Vec::new();
        for window in windows.values_mut() {
            if now.saturating_sub(window.began) >= WINDOW {
                told.extend(window.held_back());
                (window.began, window.passed, window.held) = (now, 0, 0);
            }
        }
        told
    }
}

/// Time since some fixed moment.
pub(super) fn moment() -> Duration {
    SystemClock::new().monotonic()
}

/// Holds events back that come too often.
pub(super) struct Capped(pub(super) Arc<Rates>);

impl<S: Subscriber> Layer<S> for Capped {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.0.pass(event.metadata(), moment())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> &'static Metadata<'static> {
        use tracing::Callsite as _;
        tracing::callsite! {
            name: "x",
            kind: tracing::metadata::Kind::EVENT,
            level: Level::WARN,
            fields: a
        }
        .metadata()
    }

    #[test]
    fn what_repeats_is_held_back_and_told_i6() {
        let (rates, kind) = (Rates::default(), kind());
        let at = Duration::from_secs;
        assert_eq!((0..1000).filter(|_| rates.pass(kind, at(1))).count() as u64, MOST);
        assert_eq!(rates.end(at(5)), []);
        assert!(!rates.pass(kind, at(60)), "nothing passes before what was held back is told");
        let told = rates.end(at(60));
        assert_eq!((told.len(), told[0].events, told[0].level), (1, 1001 - MOST, Level::WARN));
        assert!(rates.pass(kind, at(60)) && rates.end(at(61)).is_empty());
    }

    #[test]
    fn what_comes_slowly_always_passes() {
        let (rates, kind) = (Rates::default(), kind());
        assert!((0..1000).all(|second| rates.pass(kind, Duration::from_secs(second))));
    }
}
