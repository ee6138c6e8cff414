//! What is shown of alarms.

use mirror::SiteFault;
use model::{Level, Reason};

/// What is shown of alarms. Labels are bounded: reason codes, levels, and the names of ways in the configuration.
#[derive(Clone, Debug, Default)]
pub struct AlarmFacts {
    /// How many alarms stand, for each reason and level.
    pub standing: Vec<(Reason, Level, usize)>,
    /// How many alarms passed within the last hour before anybody could look, for each reason and level.
    pub passed: Vec<(Reason, Level, usize)>,
    /// How each way to tell fared since the process began.
    pub ways: Vec<WayFacts>,
    /// How many alarms some way was never told of.
    pub dropped: u64,
    /// How heartbeats fared, by outcome; none where there is no heartbeat.
    pub heartbeats: Vec<(&'static str, u64)>,
}

/// How one way to tell fared.
#[derive(Clone, Debug)]
pub struct WayFacts {
    /// Its name.
    pub name: String,
    /// Messages that were taken.
    pub told: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Whether it fails now.
    pub failing: bool,
}

/// Tells how alarms stand.
pub trait AlarmSource: Send + Sync {
    /// How alarms stand; must not wait for anything.
    fn alarms(&self) -> AlarmFacts;
    /// What is wrong that status does not see, beside what it said: of the content side, of this process, of the history.
    fn seen(&self, _said: &[SiteFault]) -> Vec<SiteFault> {
        Vec::new()
    }
}
