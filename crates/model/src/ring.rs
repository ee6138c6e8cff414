//! Rings: the named views that groups of endpoints are served.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a ring: 1 to 32 lower-case letters, digits or `-`, starting with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingName(String);

/// A text is not a ring's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a ring's name is 1 to 32 lower-case letters, digits or '-', starting with a letter")]
pub struct RingError;

impl RingName {
    /// The ring that exists when none is configured.
    pub fn broad() -> Self {
        Self("broad".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RingName {
    type Err = RingError;

    fn from_str(text: &str) -> Result<Self, RingError> {
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
        if plain && starts && text.len() <= 32 { Ok(Self(text.to_owned())) } else { Err(RingError) }
    }
}

impl fmt::Display for RingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RingName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RingName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, good) in [
            ("broad", true),
            ("canary-1", true),
            ("", false),
            ("-a", false),
            ("A", false),
            ("a/b", false),
            ("1a", false),
        ] {
            assert_eq!(text.parse::<RingName>().is_ok(), good, "{text}");
        }
    }
}
