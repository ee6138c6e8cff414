//! What a look back rests on, so that it can be carried when old entries are let go.

use catalog::{Entry, EntryKind};
use model::{FeedId, ReleaseId, RingName};
use serde_json::{Value, json};

/// What an entry is the source of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// A feed's record: the entry replaces those before it.
    Feed(FeedId),
    /// What is known of a release; entries gather up.
    Release(ReleaseId),
    /// A release of which nothing more needs to be known: what gathered up for it may go.
    Gone(ReleaseId),
    /// A publication was intended: those of the ring that came to nothing may go.
    Intent(RingName),
    /// What a ring serves: its last intent and this entry replace those before.
    Ring(RingName),
    /// The configuration: the entry replaces those before it.
    Configuration,
}

/// Is shown each entry that a look back rests on.
pub(crate) trait Sources: Send {
    /// An entry is the source of a fact.
    fn on(&mut self, fact: Fact, entry: &Entry);
}

/// Keeps nothing.
pub(crate) struct Nothing;

impl Sources for Nothing {
    fn on(&mut self, _: Fact, _: &Entry) {}
}

/// The entry as the data of one that carries it.
pub(crate) fn wrapped(entry: &Entry) -> Value {
    json!({ "entry": entry })
}

/// The entry that another one carries.
pub(crate) fn unwrapped(carrier: &Entry) -> Option<Entry> {
    if carrier.kind != EntryKind::Carried {
        return None;
    }
    let mut data: Value = serde_json::from_str(&carrier.data).ok()?;
    serde_json::from_value(data.get_mut("entry")?.take()).ok()
}
