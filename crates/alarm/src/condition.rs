//! What stands now, as the root sees it.

use std::time::Duration;

use model::{Level, Reason, Timestamp};
use serde::{Deserialize, Serialize};

use crate::text;

/// The longest key, subject and detail, in characters.
const LONGEST: (usize, usize, usize) = (200, 200, 1000);

/// Where a condition is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The engine's status and its findings.
    Status,
    /// The content side.
    Content,
    /// This process: schedules, the clock, its own beginning.
    Process,
    /// The history: its chain, and its heads.
    History,
    /// The ways to tell.
    Ways,
}

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What makes it the same as one before: one alarm at a time per key.
    pub(crate) key: String,
    pub(crate) source: Source,
    pub(crate) reason: Reason,
    pub(crate) level: Level,
    pub(crate) subject: String,
    pub(crate) detail: String,
    pub(crate) since: Timestamp,
}

impl Condition {
    /// A condition; its texts may come from anywhere.
    pub fn new(source: Source, key: &str, reason: Reason, since: Timestamp) -> Self {
        let key = text::line(key, LONGEST.0);
        Self { key, source, reason, level: Level::Warn, subject: String::new(), detail: String::new(), since }
    }

    /// On what, in a few words.
    #[must_use]
    pub fn on(mut self, subject: &str) -> Self {
        self.subject = text::line(subject, LONGEST.1);
        self
    }

    /// The particulars.
    #[must_use]
    pub fn because(mut self, detail: &str) -> Self {
        self.detail = text::line(detail, LONGEST.2);
        self
    }

    /// How bad it is; what is fine is no condition and counts as a warning.
    #[must_use]
    pub fn at_level(mut self, level: Level) -> Self {
        self.level = level.max(Level::Warn);
        self
    }

    /// What makes it the same as one before.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// How bad it is.
    pub fn level(&self) -> Level {
        self.level
    }

    /// On what.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The particulars.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Since when.
    pub fn since(&self) -> Timestamp {
        self.since
    }
}

/// Something that was wrong and has passed before anybody could look: told once, beginning and end together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What was wrong, and since when.
    pub condition: Condition,
    /// When it ended.
    pub until: Timestamp,
}

/// All that is seen at one moment.
#[derive(Clone, Debug)]
pub struct Sight {
    /// When.
    pub at: Timestamp,
    /// The same by a clock that nobody sets, from whatever beginning: how long somebody looked is measured by it.
    pub monotonic: Duration,
    /// What stands.
    pub conditions: Vec<Condition>,
    /// What has passed.
    pub events: Vec<Event>,
    /// Where nothing can be seen now: what was seen there before neither stands nor ends by that.
    pub blind: Vec<Source>,
}

impl Sight {
    /// Nothing is wrong, and everything is seen; [`crate::Book`] knows the clock that nobody sets.
    pub fn clear(at: Timestamp) -> Self {
        let monotonic = Duration::from_micros(u64::try_from(at.as_micros()).unwrap_or(0));
        Self { at, monotonic, conditions: Vec::new(), events: Vec::new(), blind: Vec::new() }
    }
}
