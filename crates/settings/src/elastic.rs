//! The advanced settings of an Elastic Defend policy that decide where global artifacts come from.
//!
//! [`Wanted`] makes them for a mirror: as lines, as nested JSON, as a call of Fleet's API. [`change`] puts them into
//! a policy that Kibana gave out, and [`look`] tells what else in it keeps a mirror from working.

mod ca;
mod make;
mod policy;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use ca::{CaCertificate, CaError, CaFile};
pub use make::Wanted;
pub use policy::{PolicyError, change, look, strip};

/// The system that an endpoint runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Windows.
    Windows,
    /// macOS: `mac` in settings.
    Mac,
    /// Linux.
    Linux,
}

impl System {
    /// Every system, in the order of Kibana's page.
    pub const ALL: [Self; 3] = [Self::Windows, Self::Mac, Self::Linux];

    /// As settings spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Mac => "mac",
            Self::Linux => "linux",
        }
    }

    /// The word in documents and in artifacts' names.
    pub const fn in_documents(self) -> &'static str {
        match self {
            Self::Mac => "macos",
            Self::Linux | Self::Windows => self.as_str(),
        }
    }
}

/// A text names no system.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not linux, mac or windows")]
pub struct SystemError(String);

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for System {
    type Err = SystemError;

    fn from_str(text: &str) -> Result<Self, SystemError> {
        match text {
            "linux" => Ok(Self::Linux),
            "mac" | "macos" => Ok(Self::Mac),
            "windows" => Ok(Self::Windows),
            other => Err(SystemError(other.chars().take(40).collect())),
        }
    }
}

/// Which manifests hosts ask for, from 8.18 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Elastic's staged rollout.
    Default,
    /// Candidates at once.
    Rapid,
    /// What has been rolled out to all.
    Stable,
}

impl Channel {
    /// As settings spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Rapid => "rapid",
            Self::Stable => "stable",
        }
    }
}
