//! How what is asked for stands, for one turn of learning.

use std::collections::HashSet;

use mirror::Engine;
use model::FeedId;

use crate::{WantedEntry, WantedList};

/// How what is asked for stands, for one turn of learning.
#[derive(Default)]
pub(super) struct Turn {
    /// What is served and followed: asked for at another path, say, it would take a place at each turn for nothing.
    renewed: HashSet<FeedId>,
    /// What is served and followed no longer.
    left: HashSet<FeedId>,
    /// Whether anything finds no room.
    shut_out: bool,
}

impl Turn {
    pub(super) async fn of(engine: &Engine, list: Option<&WantedList>) -> Self {
        let current = engine.ports().rings.current(&engine.settings().ring).await.ok().flatten();
        let served = current.into_iter().flat_map(|current| current.generation.feeds.into_keys());
        let (left, renewed) = served.partition(|feed| engine.left(feed));
        Self { renewed, left, shut_out: list.is_some_and(WantedList::is_any_shut_out) }
    }

    pub(super) fn is_renewed(&self, feed: &FeedId) -> bool {
        self.renewed.contains(feed)
    }

    /// Whether it gives way: what is served still, and was forgotten maybe to make room, comes after what finds none.
    pub(super) fn waits(&self, entry: &WantedEntry, feed: &FeedId) -> bool {
        self.shut_out && !entry.is_shut_out() && self.left.contains(feed)
    }
}

#[cfg(test)]
mod tests {
    use model::{Reason, RingName, Timestamp};

    use super::*;
    use crate::Tried;

    #[test]
    fn what_is_renewed_takes_no_turn_and_what_was_forgotten_comes_after_what_finds_no_room() {
        let feed = |version: &str| -> FeedId { format!("elastic/{version}").parse().unwrap() };
        let at = Timestamp::from_micros(0);
        let entry = |version: &str, reason: Option<Reason>| WantedEntry {
            feed: Some(feed(version)),
            path: format!("/downloads/endpoint/manifest/artifacts-{version}.zip").parse().unwrap(),
            ring: RingName::broad(),
            count: 1,
            first: at,
            last: at,
            guess: None,
            tried: reason.map(|reason| Tried { at, reason, detail: String::new() }),
        };
        let turn = |shut_out| Turn { renewed: [feed("9.0.0")].into(), left: [feed("9.1.0")].into(), shut_out };
        assert_eq!(["9.0.0", "9.1.0", "9.2.0"].map(|it| turn(true).is_renewed(&feed(it))), [true, false, false]);
        let waits = |shut_out, version, reason| turn(shut_out).waits(&entry(version, reason), &feed(version));
        assert!(waits(true, "9.1.0", None) && !waits(false, "9.1.0", None), "forgotten, and asked for still");
        assert!(!waits(true, "9.1.0", Some(Reason::LearnedFull)), "it is what finds none");
        assert!(!waits(true, "9.2.0", None), "it is not served");
    }
}
