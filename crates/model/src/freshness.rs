//! Freshness: what is measured, from when, against which limits, and what was found.
//!
//! Three silences are measured apart, because each has its own cause and its own remedy: nobody asked the vendor
//! ([`Measure::Check`]), what is held is old although the vendor was asked ([`Measure::Age`]), and a ring is behind
//! what was admitted ([`Measure::Lag`]).

mod policy;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use policy::{FreshnessLimits, FreshnessPolicy, Preset};

use crate::{FeedId, Reason, RingName, Timestamp};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The time since the vendor was last asked and things were found in order.
    Check,
    /// The age of what is held.
    Age,
    /// How far a ring is behind what was admitted, beyond its soak.
    Lag,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 3] = [Self::Check, Self::Age, Self::Lag];

    /// The word in configuration, reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Age => "age",
            Self::Lag => "lag",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Within the limits.
    #[default]
    Fine,
    /// Beyond the first limit.
    Warn,
    /// Beyond the second: exit code 4.
    Fail,
}

impl Level {
    /// The word in reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Two limits of one measure; a limit is passed when it is over, not when it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// Beyond this is worth a warning.
    pub warn: Duration,
    /// Beyond this is a failure; never less than `warn`.
    pub fail: Duration,
}

impl Bound {
    /// How bad an age is.
    pub fn level(&self, age: Duration) -> Level {
        if age > self.fail {
            Level::Fail
        } else if age > self.warn {
            Level::Warn
        } else {
            Level::Fine
        }
    }
}

/// Where a time comes from: it is only worth as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeSource {
    /// The vendor's own date for this content (Defender: `date` in the version information).
    VendorDate,
    /// A date that lies inside what the vendor sent (Elastic: that of `manifest.json` in its zip). Whatever packed it
    /// set it, in a zone that it does not name: it is shown, and nothing ages by it.
    InsideDate,
    /// When this site was first offered this content: the vendor gives no date that can be used, so it may be older.
    FirstOffered,
    /// When this site held it whole.
    Held,
    /// The last check that found things in order.
    LastSuccess,
    /// The first check, where none ever found things in order.
    FirstCheck,
    /// When the release that the ring lacks was admitted.
    Admitted,
    /// An endpoint's own report.
    CheckIn,
}

impl TimeSource {
    /// The word in reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VendorDate => "vendor-date",
            Self::InsideDate => "inside-date",
            Self::FirstOffered => "first-offered",
            Self::Held => "held",
            Self::LastSuccess => "last-success",
            Self::FirstCheck => "first-check",
            Self::Admitted => "admitted",
            Self::CheckIn => "check-in",
        }
    }

    /// In words, as the end of "according to …".
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::VendorDate => "the vendor's own date",
            Self::InsideDate => "a date inside what the vendor sent, which whatever packed it set",
            Self::FirstOffered => "when it was first offered here (the vendor gives no usable date)",
            Self::Held => "when it was held here",
            Self::LastSuccess => "the last check that found things in order",
            Self::FirstCheck => "when the feed was first known here (no check was ever in order)",
            Self::Admitted => "when the newer release was admitted",
            Self::CheckIn => "the endpoint's own report",
        }
    }
}

/// A time and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcedTime {
    /// When.
    pub at: Timestamp,
    /// According to what.
    pub source: TimeSource,
}

/// The three clocks of a feed, each with its source; a clock that nothing is known of is none, never a guess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// When the vendor published what it offers.
    pub vendor: Option<SourcedTime>,
    /// A date inside what it offers, which may mean the same or nothing: shown, never counted from.
    pub inside: Option<SourcedTime>,
    /// When what the default ring serves was held here.
    pub mirror: Option<SourcedTime>,
    /// When endpoints last reported what they run.
    pub endpoint: Option<SourcedTime>,
}

/// What one measure of one feed (and, for [`Measure::Lag`], one ring) came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whose.
    pub feed: FeedId,
    /// In which ring; none where it is not about a ring.
    pub ring: Option<RingName>,
    /// What was measured.
    pub measure: Measure,
    /// How bad it is.
    pub level: Level,
    /// What the age is counted from.
    pub since: SourcedTime,
    /// The age, in seconds.
    pub age_seconds: u64,
    /// Beyond this many seconds is a warning.
    pub warn_seconds: u64,
    /// Beyond this many seconds is a failure.
    pub fail_seconds: u64,
    /// Why it is so, where it is not fine.
    pub reason: Option<Reason>,
}
