//! Which agent is played, and what is chosen where the vendor says nothing.

use std::fmt;
use std::str::FromStr;

use model::{FeedId, Version};

/// The first agents that take offline updates (Linux: the vendor's page of 2024-03; macOS: the page of 2026-07).
const FIRST_ON_LINUX: &str = "101.24012.0001";
const FIRST_ON_MAC: &str = "101.25012.0003";
/// The agents that read `offlineDefinitionUpdate` below `antivirusEngine`; earlier ones below `features`
/// (the vendor's page of 2024-03 against its rewrite of mid 2024).
const MOVED: &str = "101.24022.0001";
/// From here on Linux agents check the engine's signature always (the vendor's page of 2026-09).
const ALWAYS_SIGNED: &str = "101.26062.0005";
/// From here on Linux agents are passive unless they are told otherwise (the vendor's page on preferences).
const PASSIVE: &str = "101.23062.0001";
/// From here on Linux agents read `scheduledScan.checkForDefinitionsUpdate` (the vendor's page of 2026-09).
const CHECKS_BEFORE_SCANS: &str = "101.26032.0000";

/// A system that Defender's offline updates exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux.
    Linux,
    /// macOS.
    Mac,
}

/// A processor that Defender's offline updates exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// x86_64.
    X86_64,
    /// arm64.
    Arm64,
}

impl Platform {
    /// As the mirror's layout has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Mac => "mac",
        }
    }
}

impl Architecture {
    /// As the mirror's layout has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

/// The agent that is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its system.
    pub platform: Platform,
    /// Its processor.
    pub architecture: Architecture,
    /// Its own version, such as `101.26062.0007`.
    pub version: Version,
}

impl Agent {
    /// The feed whose archive it takes; the track is in the URL it is given, so `production` stands for any.
    pub fn feed(&self) -> Option<FeedId> {
        format!("defender/{}/production/{}", self.platform.as_str(), self.architecture.as_str()).parse().ok()
    }

    /// The folder below the URL that it is given.
    pub fn folder(&self) -> String {
        format!("arch_{}", self.architecture.as_str())
    }

    /// What its archives are for, in one word: an archive for another agent is none for this one.
    pub(crate) fn kind(&self) -> String {
        format!("{}/{}", self.platform.as_str(), self.architecture.as_str())
    }

    /// Whether it checks the engine's signature whatever its settings say.
    pub fn always_checks_engine(&self) -> bool {
        self.platform == Platform::Linux && self.is_from(ALWAYS_SIGNED)
    }

    /// Whether it knows of offline updates at all.
    pub(crate) fn takes_offline_updates(&self) -> bool {
        self.is_from(match self.platform {
            Platform::Linux => FIRST_ON_LINUX,
            Platform::Mac => FIRST_ON_MAC,
        })
    }

    pub(crate) fn reads_antivirus_engine(&self) -> bool {
        self.platform == Platform::Mac || self.is_from(MOVED)
    }

    pub(crate) fn checks_before_scheduled_scans(&self) -> bool {
        self.platform == Platform::Linux && self.is_from(CHECKS_BEFORE_SCANS)
    }

    pub(crate) fn is_passive_by_default(&self) -> bool {
        self.platform == Platform::Linux && self.is_from(PASSIVE)
    }

    fn is_from(&self, first: &str) -> bool {
        first.parse::<Version>().is_ok_and(|first| self.version >= first)
    }
}

/// What to do with a URL without `http://`, as the vendor's older pages print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemeless {
    /// It is no URL.
    Refuse,
    /// It is taken for plain HTTP.
    Http,
}

/// What the vendor does not say, and what is played in its place. None of these is a fact about the vendor's agent;
/// `docs/reference-endpoint.md` lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumptions {
    /// A URL without a scheme.
    pub schemeless: Schemeless,
    /// Whether Linux agents fall back to the cloud where nothing says so. The schema says yes for macOS alone.
    pub linux_falls_back: Fallback,
    /// How it asks for an archive that it may hold already.
    pub asking: Asking,
    /// Whether the proxy of the settings is used towards the mirror too.
    pub mirror_proxy: MirrorProxy,
    /// An archive that lacks what such archives hold, or whose engine is another processor's.
    pub odd_archive: OddArchive,
}

/// What becomes of an archive that reads whole and is not as such archives are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OddArchive {
    /// The update fails, and the set in use stays.
    Refuse,
    /// It is taken and told, unless nothing in it is as expected.
    Take,
}

/// What a Linux agent does without `offlineDefinitionUpdateFallbackToCloud`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It asks the cloud.
    Cloud,
    /// It does not.
    None,
}

/// How an archive is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// With what the last answer was tagged with.
    Conditional,
    /// As if it were the first time.
    Plain,
}

/// Which way to a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorProxy {
    /// Straight.
    Never,
    /// Through the proxy of the settings.
    Always,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            schemeless: Schemeless::Refuse,
            linux_falls_back: Fallback::None,
            asking: Asking::Conditional,
            mirror_proxy: MirrorProxy::Never,
            odd_archive: OddArchive::Refuse,
        }
    }
}

/// A text is no assumption.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is no assumption; there are scheme=refuse|http, fallback=none|cloud, asking=conditional|plain, mirror-proxy=never|always, \
     odd-archive=refuse|take"
)]
pub struct AssumptionError(String);

impl Assumptions {
    /// Changes one of them, by its text.
    ///
    /// # Errors
    /// The text names none.
    pub fn assume(&mut self, text: &str) -> Result<(), AssumptionError> {
        match text {
            "scheme=refuse" => self.schemeless = Schemeless::Refuse,
            "scheme=http" => self.schemeless = Schemeless::Http,
            "fallback=none" => self.linux_falls_back = Fallback::None,
            "fallback=cloud" => self.linux_falls_back = Fallback::Cloud,
            "asking=conditional" => self.asking = Asking::Conditional,
            "asking=plain" => self.asking = Asking::Plain,
            "mirror-proxy=never" => self.mirror_proxy = MirrorProxy::Never,
            "mirror-proxy=always" => self.mirror_proxy = MirrorProxy::Always,
            "odd-archive=refuse" => self.odd_archive = OddArchive::Refuse,
            "odd-archive=take" => self.odd_archive = OddArchive::Take,
            _ => return Err(AssumptionError(text.chars().take(80).collect())),
        }
        Ok(())
    }
}

/// A text names no system or processor.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not {1}")]
pub struct AgentError(String, &'static str);

impl FromStr for Platform {
    type Err = AgentError;

    fn from_str(text: &str) -> Result<Self, AgentError> {
        match text {
            "linux" => Ok(Self::Linux),
            "mac" => Ok(Self::Mac),
            other => Err(AgentError(other.chars().take(40).collect(), "linux or mac")),
        }
    }
}

impl FromStr for Architecture {
    type Err = AgentError;

    fn from_str(text: &str) -> Result<Self, AgentError> {
        match text {
            "x86_64" => Ok(Self::X86_64),
            "arm64" => Ok(Self::Arm64),
            other => Err(AgentError(other.chars().take(40).collect(), "x86_64 or arm64")),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
