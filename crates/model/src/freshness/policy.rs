//! How long each silence may last: presets, and what a site sets for itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Bound, Measure};
use crate::{FeedId, RingName, Vendor};

/// The limits of one feed, for every measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FreshnessLimits {
    /// Since the last check that found things in order.
    pub check: Bound,
    /// The age of what is held.
    pub age: Bound,
    /// How far a ring is behind, beyond its soak.
    pub lag: Bound,
}

impl FreshnessLimits {
    /// The limits of one measure.
    pub const fn of(&self, measure: Measure) -> Bound {
        match measure {
            Measure::Check => self.check,
            Measure::Age => self.age,
            Measure::Lag => self.lag,
        }
    }
}

/// Limits with a name.
///
/// The figures are a judgement. `check` is shorter than `age`, so that a mirror that fell silent is told while there
/// is time to mend it. Defender publishes several times a day. Elastic published about once a day over the years, with
/// pauses of days: a day without anything new from it says nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// `1d`: content of a day.
    Day,
    /// `3-7d`: worth a look after three days, wrong after seven.
    ThreeToSeven,
    /// `stig-7d`: never older than the seven days that the DISA STIGs for antivirus allow.
    Stig,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 3] = [Self::Day, Self::ThreeToSeven, Self::Stig];

    /// The word in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "1d",
            Self::ThreeToSeven => "3-7d",
            Self::Stig => "stig-7d",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == word)
    }

    /// What it means for a vendor's feeds.
    pub const fn limits(self, vendor: Vendor) -> FreshnessLimits {
        let (check, lag) = match self {
            Self::Day => (hours(12, 24), hours(6, 12)),
            Self::ThreeToSeven => (hours(24, 72), hours(24, 72)),
            Self::Stig => (hours(48, 120), hours(24, 72)),
        };
        let age = match (self, vendor) {
            (Self::Day, Vendor::Defender) => hours(18, 24),
            (Self::Day | Self::ThreeToSeven, _) => hours(72, 168),
            (Self::Stig, _) => hours(120, 168),
        };
        FreshnessLimits { check, age, lag }
    }
}

const fn hours(warn: u64, fail: u64) -> Bound {
    Bound { warn: Duration::from_secs(warn * 3600), fail: Duration::from_secs(fail * 3600) }
}

/// What may pass, for every feed and ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshnessPolicy {
    /// For Elastic's feeds.
    pub elastic: FreshnessLimits,
    /// For Defender's feeds.
    pub defender: FreshnessLimits,
    /// For feeds with limits of their own.
    pub feeds: BTreeMap<FeedId, FreshnessLimits>,
    /// For rings with a limit of their own: it counts for every feed in them.
    pub rings: BTreeMap<RingName, Bound>,
}

impl FreshnessPolicy {
    /// A preset for every feed and ring.
    pub const fn preset(preset: Preset) -> Self {
        Self {
            elastic: preset.limits(Vendor::Elastic),
            defender: preset.limits(Vendor::Defender),
            feeds: BTreeMap::new(),
            rings: BTreeMap::new(),
        }
    }

    /// The limits of a feed.
    pub fn of(&self, feed: &FeedId) -> FreshnessLimits {
        let vendor = match feed.vendor() {
            Vendor::Elastic => self.elastic,
            Vendor::Defender => self.defender,
        };
        self.feeds.get(feed).copied().unwrap_or(vendor)
    }

    /// How far a ring may be behind with a feed.
    pub fn lag(&self, feed: &FeedId, ring: &RingName) -> Bound {
        self.rings.get(ring).copied().unwrap_or(self.of(feed).lag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_warns_before_it_fails_and_checks_before_content_ages() {
        for preset in Preset::ALL {
            assert_eq!(Preset::from_word(preset.as_str()), Some(preset));
            for limits in Vendor::ALL.map(|vendor| preset.limits(vendor)) {
                for measure in Measure::ALL {
                    assert!(limits.of(measure).warn < limits.of(measure).fail, "{preset:?} {measure}");
                }
                assert!(limits.check.warn < limits.age.warn && limits.check.fail <= limits.age.fail, "{preset:?}");
            }
        }
    }
}
