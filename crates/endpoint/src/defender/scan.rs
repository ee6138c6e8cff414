//! What comes before a scan: where nothing is pulled on a timer, definitions are updated before every scan (the vendor's
//! page on preferences, since March 2024); since 101.26032.0000 a scheduled scan can ask for it as well.
//!
//! Nothing is scanned here. What the vendor does not say is chosen: a scan goes on with the definitions in use when the
//! update fails, and what switches automatic updates off switches these off too.

use super::agent::Agent;
use super::managed::Managed;
use super::update::{Endpoint, Report};
use crate::disk::StateError;

/// A scan that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Somebody asked for it.
    OnDemand,
    /// It stands in the settings.
    Scheduled,
}

/// Why definitions are not updated before a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotBefore {
    /// `automaticDefinitionUpdateEnabled` is false.
    Automatic,
    /// In `real_time`, and on macOS, the timer updates.
    RealTime,
    /// Where the timer updates a scheduled scan updates only where `checkForDefinitionsUpdate` is true, which it is not.
    Unchecked,
    /// `checkForDefinitionsUpdate` is true, and this agent does not read it.
    OldAgent,
}

impl NotBefore {
    /// In words, for people.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Automatic => "cloudService.automaticDefinitionUpdateEnabled is false",
            Self::RealTime => "the agent updates on a timer (in real_time, on macOS always)",
            Self::Unchecked => "the agent updates on a timer, and scheduledScan.checkForDefinitionsUpdate is not true",
            Self::OldAgent => {
                "the agent updates on a timer, and agents before 101.26032.0000, and macOS, are not known to read \
                 scheduledScan.checkForDefinitionsUpdate"
            }
        }
    }
}

/// Whether definitions are updated before a scan; if not, why.
///
/// # Errors
/// [`NotBefore`] says why not.
pub fn before_scan(managed: &Managed, agent: &Agent, scan: Scan) -> Result<(), NotBefore> {
    if !managed.automatic.value {
        return Err(NotBefore::Automatic);
    }
    if !managed.is_timed() {
        return Ok(());
    }
    match scan {
        Scan::OnDemand => Err(NotBefore::RealTime),
        Scan::Scheduled if !managed.scan_checks.value => Err(NotBefore::Unchecked),
        Scan::Scheduled if !agent.checks_before_scheduled_scans() => Err(NotBefore::OldAgent),
        Scan::Scheduled => Ok(()),
    }
}

/// What came before a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prelude {
    /// Nothing: why.
    Nothing(NotBefore),
    /// An update.
    Update(Report),
}

impl Endpoint {
    /// Does what comes before a scan. A failed update stops no scan: the set in use stays.
    ///
    /// # Errors
    /// [`StateError`] when the state cannot be read or written.
    pub async fn prepare_scan(&self, managed: &Managed, scan: Scan) -> Result<Prelude, StateError> {
        match before_scan(managed, &self.agent, scan) {
            Ok(()) => Ok(Prelude::Update(self.update(managed).await?)),
            Err(why) => Ok(Prelude::Nothing(why)),
        }
    }
}
