//! Where a feed is asked for and where it is laid out.

use model::{FeedId, RoutePath};

use super::DefenderSettings;
use crate::Target;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    Linux,
    Mac,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Track {
    Production,
    Preview,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arch {
    X64,
    Arm64,
}

impl Platform {
    const ALL: [Self; 2] = [Self::Linux, Self::Mac];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Mac => "mac",
        }
    }
}

impl Track {
    const ALL: [Self; 2] = [Self::Production, Self::Preview];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Preview => "preview",
        }
    }
}

impl Arch {
    const ALL: [Self; 2] = [Self::X64, Self::Arm64];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::X64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

/// What a Defender feed's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) platform: Platform,
    track: Track,
    pub(super) arch: Arch,
}

impl Place {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Platform::ALL.into_iter().flat_map(|platform| {
            Track::ALL
                .into_iter()
                .flat_map(move |track| Arch::ALL.into_iter().map(move |arch| Self { platform, track, arch }))
        })
    }

    pub(super) fn of(feed: &FeedId) -> Result<Self, String> {
        Self::all().find(|place| place.feed().as_ref() == Some(feed)).ok_or_else(|| {
            format!(
                "'{feed}' is no feed of Defender: platforms are linux and mac, tracks production and preview, \
                 architectures x86_64 and arm64"
            )
        })
    }

    pub(super) fn feed(&self) -> Option<FeedId> {
        format!("defender/{}/{}/{}", self.platform.as_str(), self.track.as_str(), self.arch.as_str()).parse().ok()
    }

    /// Arguments in the order of Microsoft's script: the link, the architecture unless it is x86_64, the rings.
    pub(super) fn upstream_archive(&self, settings: &DefenderSettings) -> Target {
        let link = match self.platform {
            Platform::Linux => settings.linux_link,
            Platform::Mac => settings.mac_link,
        };
        let arch = match self.arch {
            Arch::X64 => "",
            Arch::Arm64 => "&arch=arm64",
        };
        let rings = match self.track {
            Track::Production => "",
            Track::Preview => "&engRing=3&sigRing=1",
        };
        Target(format!("?linkid={link}{arch}{rings}"))
    }

    pub(super) fn upstream_info(&self, settings: &DefenderSettings) -> Target {
        let Target(archive) = self.upstream_archive(settings);
        Target(format!("{archive}&action=info"))
    }

    pub(super) fn archive(&self) -> Option<RoutePath> {
        format!("{}/updates.zip", self.arch_base("")).parse().ok()
    }

    pub(super) fn companion(&self) -> Option<RoutePath> {
        format!("{}/manifest.json", self.arch_base("")).parse().ok()
    }

    pub(super) fn bases(&self) -> Vec<RoutePath> {
        self.bases_of("")
    }

    pub(super) fn back_bases(&self) -> Vec<RoutePath> {
        self.bases_of(BACK)
    }

    /// A route of this feed as it is for the release before.
    pub(super) fn back(&self, route: &RoutePath) -> Option<RoutePath> {
        let name = route.as_str().strip_prefix(&self.arch_base(""))?.strip_prefix('/')?;
        format!("{}/{name}", self.arch_base(BACK)).parse().ok()
    }

    fn bases_of(&self, suffix: &str) -> Vec<RoutePath> {
        [self.track_base(suffix), self.arch_base(suffix)].iter().filter_map(|base| base.parse().ok()).collect()
    }

    fn track_base(&self, suffix: &str) -> String {
        format!("/{}/{}{suffix}", self.platform.as_str(), self.track.as_str())
    }

    fn arch_base(&self, suffix: &str) -> String {
        format!("{}/arch_{}", self.track_base(suffix), self.arch.as_str())
    }
}

/// What Microsoft's script appends to a track for its one older copy.
const BACK: &str = "_back";
