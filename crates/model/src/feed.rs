//! Feeds: the independently versioned streams that vendors publish.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::escaped;

/// Who publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// Elastic Defend's global artifacts.
    Elastic,
    /// Microsoft Defender's security intelligence.
    Defender,
}

impl Vendor {
    /// Every vendor, in the order reports show them.
    pub const ALL: [Self; 2] = [Self::Elastic, Self::Defender];

    /// The first segment of the vendor's feed names and the name of its configuration section.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Elastic => "elastic",
            Self::Defender => "defender",
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a feed: `elastic/<version>[/<track>][@<date>]` or `defender/<platform>/<track>/<arch>`.
///
/// Only the shape is known here; which platforms, tracks and architectures exist is the vendor module's
/// business. Segments hold ASCII letters, digits, `.`, `-` and `_`, start with a letter or digit, and are at
/// most 64 bytes, so a feed's name is safe in a path, a metric label and a terminal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId {
    vendor: Vendor,
    text: String,
}

/// A text is not a feed's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FeedError {
    /// The first segment names no vendor.
    #[error("'{0}' is no vendor; feeds start with elastic/ or defender/")]
    Vendor(String),
    /// The vendor's feeds have another number of segments.
    #[error("'{text}' is not of the form {expected}")]
    Shape {
        /// What was given.
        text: String,
        /// The form it should have.
        expected: &'static str,
    },
    /// A segment holds something else than letters, digits, `.`, `-`, `_`, or is too long or empty.
    #[error(
        "'{0}' holds a segment that is empty, over 64 bytes, or has other characters than letters, digits, '.', '-', '_'"
    )]
    Segment(String),
}

const ELASTIC_SHAPE: &str = "elastic/<version>[/<track>][@<date>]";
const DEFENDER_SHAPE: &str = "defender/<platform>/<track>/<arch>";

impl FeedId {
    /// The vendor that publishes it.
    pub fn vendor(&self) -> Vendor {
        self.vendor
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The segments after the vendor, without the date.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        let (path, _) = self.split_date();
        path.split('/').skip(1)
    }

    /// The date of a dated feed, `YYYY-MM-DD`.
    pub fn date(&self) -> Option<&str> {
        self.split_date().1
    }

    fn split_date(&self) -> (&str, Option<&str>) {
        match self.text.split_once('@') {
            Some((path, date)) => (path, Some(date)),
            None => (&self.text, None),
        }
    }
}

impl FromStr for FeedId {
    type Err = FeedError;

    fn from_str(text: &str) -> Result<Self, FeedError> {
        let (path, date) = match text.split_once('@') {
            Some((path, date)) => (path, Some(date)),
            None => (text, None),
        };
        let segments: Vec<&str> = path.split('/').collect();
        let vendor = Vendor::ALL
            .into_iter()
            .find(|vendor| segments.first() == Some(&vendor.as_str()))
            .ok_or_else(|| FeedError::Vendor(escaped(segments.first().unwrap_or(&""), 128)))?;
        let (fits, expected) = match vendor {
            Vendor::Elastic => ((2..=3).contains(&segments.len()), ELASTIC_SHAPE),
            Vendor::Defender => (segments.len() == 4 && date.is_none(), DEFENDER_SHAPE),
        };
        if !fits || date.is_some_and(|date| !is_date(date)) {
            return Err(FeedError::Shape { text: escaped(text, 128), expected });
        }
        if !segments.iter().all(|segment| is_segment(segment)) {
            return Err(FeedError::Segment(escaped(text, 128)));
        }
        Ok(Self { vendor, text: text.to_owned() })
    }
}

fn is_segment(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.contains("..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for FeedId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for FeedId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_feeds() {
        for text in [
            "elastic/9.0.0",
            "elastic/9.0.0-beta1",
            "elastic/9.0.0/candidate",
            "elastic/8.18.3@2026-01-15",
            "defender/linux/production/x86_64",
        ] {
            assert_eq!(text.parse::<FeedId>().unwrap().as_str(), text);
        }
        let dated: FeedId = "elastic/8.18.3@2026-01-15".parse().unwrap();
        assert_eq!(dated.date(), Some("2026-01-15"));
        assert_eq!(dated.segments().collect::<Vec<_>>(), ["8.18.3"]);
    }

    #[test]
    fn names_that_are_not() {
        for text in [
            "",
            "elastic",
            "elastic/",
            "elastic/9.0.0/a/b",
            "elastic/9.0.0@2026-13-01",
            "elastic/9.0.0@x",
            "elastic/../x",
            "elastic/.9",
            "defender/linux/production",
            "defender/linux/production/x86_64@2026-01-15",
            "sophos/1",
            "elastic/9 0",
            "elastic/9.0.0\n",
            "Elastic/9.0.0",
        ] {
            assert!(text.parse::<FeedId>().is_err(), "{text:?}");
        }
    }
}
