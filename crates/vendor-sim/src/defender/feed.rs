//! The eight feeds.

use std::fmt;
use std::str::FromStr;

/// An operating system with a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// `linux`, linkid 2144709.
    Linux,
    /// `mac`, linkid 2120136.
    Mac,
}

/// The vendor's own early or late flavour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// The one for everybody.
    Production,
    /// The early one: `engRing=3&sigRing=1`.
    Preview,
}

/// A processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Architecture {
    /// `x86_64`; asked for by saying nothing.
    X86_64,
    /// `arm64`.
    Arm64,
}

/// One feed; reads and prints `linux/production/x86_64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefenderFeed {
    /// Operating system.
    pub platform: Platform,
    /// Flavour.
    pub track: Track,
    /// Processor.
    pub architecture: Architecture,
}

/// Which feeds are meant; reads `all` or a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefenderTarget {
    /// Every one there is.
    All,
    /// One.
    Feed(DefenderFeed),
}

impl From<DefenderFeed> for DefenderTarget {
    fn from(feed: DefenderFeed) -> Self {
        Self::Feed(feed)
    }
}

/// A text names no feed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no Defender feed, such as linux/production/x86_64")]
pub struct FeedTextError(String);

impl Platform {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Linux, Self::Mac];

    /// As paths and the `ostype` argument have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Mac => "mac",
        }
    }

    /// The number of its forward link.
    pub const fn linkid(self) -> &'static str {
        match self {
            Self::Linux => "2144709",
            Self::Mac => "2120136",
        }
    }
}

impl Track {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Production, Self::Preview];

    /// As paths have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Preview => "preview",
        }
    }
}

impl Architecture {
    /// Both.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// As paths and the `arch` argument have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

impl DefenderFeed {
    /// Every feed.
    pub const ALL: [Self; 8] = [
        Self::new(Platform::Linux, Track::Production, Architecture::X86_64),
        Self::new(Platform::Linux, Track::Production, Architecture::Arm64),
        Self::new(Platform::Linux, Track::Preview, Architecture::X86_64),
        Self::new(Platform::Linux, Track::Preview, Architecture::Arm64),
        Self::new(Platform::Mac, Track::Production, Architecture::X86_64),
        Self::new(Platform::Mac, Track::Production, Architecture::Arm64),
        Self::new(Platform::Mac, Track::Preview, Architecture::X86_64),
        Self::new(Platform::Mac, Track::Preview, Architecture::Arm64),
    ];

    /// The feed of these three.
    pub const fn new(platform: Platform, track: Track, architecture: Architecture) -> Self {
        Self { platform, track, architecture }
    }

    /// The query that the vendor's script sends to the forward link, without `action=info`.
    pub fn query(&self) -> String {
        let arch = if self.architecture == Architecture::Arm64 { "&arch=arm64" } else { "" };
        let rings = if self.track == Track::Preview { "&engRing=3&sigRing=1" } else { "" };
        format!("linkid={}{arch}{rings}", self.platform.linkid())
    }

    /// The feed that such a query asks for, by `linkid` or `ostype`.
    pub(crate) fn from_query(query: &Query<'_>) -> Option<Self> {
        let platform = Platform::ALL.into_iter().find(|platform| {
            query.get("linkid") == Some(platform.linkid()) || query.get("ostype") == Some(platform.as_str())
        })?;
        let architecture = match query.get("arch") {
            None | Some("x86_64" | "x64" | "amd64") => Architecture::X86_64,
            Some("arm64") => Architecture::Arm64,
            Some(_) => return None,
        };
        let track = match (query.get("engRing"), query.get("sigRing")) {
            (None, None) => Track::Production,
            (Some("3"), Some("1")) => Track::Preview,
            _ => return None,
        };
        Some(Self::new(platform, track, architecture))
    }
}

/// The arguments of a request target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a>(pub(crate) &'a str);

impl<'a> Query<'a> {
    /// The first argument of that name, whatever its case.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// All arguments in one order, for comparison.
    pub(crate) fn sorted(&self) -> Vec<&'a str> {
        let mut pairs: Vec<_> = self.0.split('&').collect();
        pairs.sort_unstable();
        pairs
    }
}

impl FromStr for DefenderFeed {
    type Err = FeedTextError;

    fn from_str(text: &str) -> Result<Self, FeedTextError> {
        let short = text.strip_prefix("defender/").unwrap_or(text);
        Self::ALL.into_iter().find(|feed| feed.to_string() == short).ok_or_else(|| FeedTextError(text.to_owned()))
    }
}

impl FromStr for DefenderTarget {
    type Err = FeedTextError;

    fn from_str(text: &str) -> Result<Self, FeedTextError> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::Feed) }
    }
}

impl fmt::Display for DefenderFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.platform, self.track, self.architecture)
    }
}

macro_rules! display_as_str {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
display_as_str!(Platform, Track, Architecture);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feed_round_trips_through_its_name_and_its_query() {
        for feed in DefenderFeed::ALL {
            assert_eq!(feed.to_string().parse(), Ok(feed));
            assert_eq!(format!("defender/{feed}").parse(), Ok(feed));
            assert_eq!(DefenderFeed::from_query(&Query(&feed.query())), Some(feed));
        }
        for query in ["", "linkid=1", "linkid=2144709&arch=mips", "linkid=2144709&engRing=3", "linkid"] {
            assert_eq!(DefenderFeed::from_query(&Query(query)), None, "{query}");
        }
        let windows_style = Query("LinkID=2144709&arch=x64");
        assert!(DefenderFeed::from_query(&windows_style).is_some());
    }
}
