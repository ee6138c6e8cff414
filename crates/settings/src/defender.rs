//! Microsoft Defender's managed settings: `mdatp_managed.json` on Linux, the domain `com.microsoft.wdav` on macOS.
//!
//! [`Wanted`] says what a ring's endpoints are to have; [`Wanted::merge`] puts it into a file, and [`lint`] looks for
//! what is known to break. [`KEYS`] is the table of keys, with their history and source.

mod address;
mod keys;
mod lint;
mod make;
mod proxy;
mod tell;

use model::Version;
use serde::{Deserialize, Serialize};

pub use address::Address;
pub use keys::{KEYS, Key, Kind};
pub use lint::{Context, lint, passed_over};
pub use make::{Fallback, Merged, Wanted};
pub use proxy::proxy;
pub use tell::{ansible, portal};

/// The system that an agent runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Linux.
    Linux,
    /// macOS.
    Mac,
}

impl Platform {
    /// As Microsoft's layout spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Mac => "mac",
        }
    }

    /// The agent that first took offline updates (Linux: the pages of 2024-03 and mid 2024; macOS: the page of 2026-07).
    const fn first_agent(self) -> &'static str {
        match self {
            Self::Linux => "101.24012.0001",
            Self::Mac => "101.25012.0003",
        }
    }

    /// The section that `offlineDefinitionUpdate` is read from: `features` by Linux agents before 101.24022.0001.
    fn offline_section(self, agent: Option<&Version>) -> &'static str {
        let moved: Option<Version> = "101.24022.0001".parse().ok();
        let is_early = self == Self::Linux && agent.zip(moved.as_ref()).is_some_and(|(agent, moved)| agent < moved);
        if is_early { keys::FEATURES } else { keys::ENGINE }
    }

    fn takes_offline_updates(self, agent: &Version) -> bool {
        self.first_agent().parse::<Version>().is_ok_and(|first| *agent >= first)
    }

    /// Whether the agent reads `offlineDefinitionUpdateVerifySig`: Linux does not since 101.26062.0005; unknown
    /// without a version there. The macOS page still documents it.
    fn reads_verify_sig(self, agent: Option<&Version>) -> Option<bool> {
        match (self, agent) {
            (Self::Mac, _) => Some(true),
            (Self::Linux, None) => None,
            (Self::Linux, Some(agent)) => "101.26062.0005".parse::<Version>().map(|always| *agent < always).ok(),
        }
    }
}

/// Microsoft's own early or late flavour of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// For everyone.
    Production,
    /// Earlier.
    Preview,
}

impl Track {
    /// As Microsoft's layout spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Preview => "preview",
        }
    }
}

/// Where the managed file lies on Linux.
pub const MANAGED_FILE: &str = "/etc/opt/microsoft/mdatp/managed/mdatp_managed.json";
/// The folder that it lies in; an agent that was never managed has none.
pub const MANAGED_FOLDER: &str = "/etc/opt/microsoft/mdatp/managed";
