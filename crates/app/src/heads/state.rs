//! What stands in the way of heads, for alarms.

use std::sync::{Mutex, PoisonError};

use alarm::{Condition, Event, Source};
use catalog::ChainHead;
use model::{Level, Reason, Timestamp, error_chain};

use super::HeadError;

/// What stands in the way of heads now.
#[derive(Debug, Default)]
pub(crate) struct HeadState(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    faults: Vec<Fault>,
    /// The history was looked at, and what was seen of it last could be told.
    is_seen: bool,
    /// What happened, and is to be told once.
    news: Vec<(Timestamp, String)>,
    /// The head that what is worked on must have: an older copy was taken, or what it lacked is back.
    lost: Option<ChainHead>,
}

#[derive(Clone, Debug)]
struct Fault {
    key: &'static str,
    reason: Reason,
    detail: String,
    since: Timestamp,
}

impl HeadState {
    /// Takes over how it stands at `now`. A catalog that fails is seen, and told, elsewhere. What could not be looked at
    /// ends nothing that was seen before.
    pub(super) fn set(&self, errors: &[HeadError], now: Timestamp) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = errors.iter().filter(|error| error.is_news()).map(|error| (now, error_chain(error)));
        seen.news.extend(news);
        let fault = |error: &HeadError| {
            let (key, reason) = (error.key()?, error.reason());
            let since = seen.faults.iter().find(|fault| fault.key == key).map_or(now, |fault| fault.since);
            Some(Fault { key, reason, detail: error_chain(error), since })
        };
        let mut newer: Vec<Fault> = errors.iter().filter_map(fault).collect();
        seen.is_seen = !errors.iter().any(HeadError::is_blind);
        if !seen.is_seen {
            let known: Vec<&str> = newer.iter().map(|fault| fault.key).collect();
            newer.extend(seen.faults.iter().filter(|fault| !known.contains(&fault.key)).cloned().collect::<Vec<_>>());
        }
        seen.faults = newer;
    }

    /// What is worked on must have this head: an older copy that lacks it was taken, or it is back.
    pub(crate) fn expect(&self, head: ChainHead) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lost = Some(head);
    }

    /// The head that what is worked on must have, where another history was taken since this was asked last.
    pub(super) fn take_lost(&self) -> Option<ChainHead> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lost.take()
    }

    /// What happened since this was asked last.
    pub(crate) fn take_news(&self) -> Vec<Event> {
        let news = std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).news);
        let event = |(at, detail): (Timestamp, String)| {
            let condition = Condition::new(Source::History, "heads/renamed", Reason::HeadFailed, at);
            Event { condition: condition.on("the history").because(&detail), until: at }
        };
        news.into_iter().map(event).collect()
    }

    /// Nothing can be looked at now.
    pub(super) fn blind(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_seen = false;
    }

    /// Whether nothing can be said of the history at this moment: what was seen before neither stands nor ends by that.
    pub(crate) fn is_blind(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).is_seen
    }

    /// What is wrong.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let condition = |fault: &Fault| {
            let level = if fault.reason == Reason::HistoryBroken { Level::Fail } else { Level::Warn };
            let condition = Condition::new(Source::History, fault.key, fault.reason, fault.since);
            condition.on("the history").because(&fault.detail).at_level(level)
        };
        seen.faults.iter().map(condition).collect()
    }
}
