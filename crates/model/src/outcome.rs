//! How a run ended for one feed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a run ended for one feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A release became reachable in a ring.
    Published,
    /// What the vendor offers is what is held.
    Current,
    /// Admitted and waiting: for its ring, or for the operator to settle a path conflict.
    Held,
    /// Kept, never served, until the operator admits or rejects it.
    Quarantined,
    /// Nothing new could be proven; the last good release is served on.
    Failed,
}

impl Outcome {
    /// The word used in reports, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Current => "current",
            Self::Held => "held",
            Self::Quarantined => "quarantined",
            Self::Failed => "failed",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Published, Self::Current, Self::Held, Self::Quarantined, Self::Failed]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
