//! Who is told what.

use std::time::Duration;

use model::{Level, Reason, Timestamp, Window, Zone};

/// One way to tell, as far as deciding goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// What it is called; unique.
    pub name: String,
    /// The mildest that it is told.
    pub level: Level,
    /// The only reasons that it is told; all when empty.
    pub reasons: Vec<Reason>,
    /// Whether quiet hours hold for it.
    pub quiet: bool,
}

impl Way {
    /// Told everything, whatever the hour.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), level: Level::Warn, reasons: Vec::new(), quiet: false }
    }

    pub(crate) fn wants(&self, reason: Reason, level: Level) -> bool {
        level >= self.level && (self.reasons.is_empty() || self.reasons.contains(&reason))
    }
}

/// Hours in which little is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// When.
    pub windows: Vec<Window>,
    /// By whose clocks.
    pub zone: Zone,
    /// Whether what fails is told all the same.
    pub except_fail: bool,
}

impl Quiet {
    /// No hour is quiet.
    pub fn never() -> Self {
        Self { windows: Vec::new(), zone: Zone::utc(), except_fail: true }
    }

    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        self.windows.iter().any(|window| window.contains(at, &self.zone))
    }
}

/// What keeps alarms from coming too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damping {
    /// How long something must be gone, or milder, until that counts. It doubles each time that it comes back soon.
    pub settle: Duration,
    /// How often what still stands is told again.
    pub remind: Duration,
}

impl Damping {
    /// Coming back within this long is coming and going; nothing needs to be gone for longer.
    pub(crate) const SOON: Duration = Duration::from_secs(3600);

    /// How long something must be gone that has come back `flaps` times.
    pub(crate) fn settle_after(&self, flaps: u32) -> Duration {
        let doubled = self.settle.saturating_mul(1 << flaps.min(10));
        doubled.min(Self::SOON.max(self.settle))
    }
}
