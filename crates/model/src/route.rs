//! Routes: the HTTP paths under which bytes are served.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::escaped;

/// A canonical HTTP path below a ring's root, such as `/downloads/endpoint/manifest/artifacts-9.0.0.zip`.
///
/// It starts with one `/`, its segments are plain (letters, digits, `.`, `-`, `_`, `~`, `+`, `=`, `@`, `,`,
/// `!`, `(`, `)`), none is `.` or `..`, none is empty, none is a name that Windows reserves or
/// that ends in a dot; nothing is percent-encoded. It is a key in a map and never a file name by itself, yet
/// it is safe as one on every system, because trees and bundles lay files out under it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutePath(String);

/// Why a text is not a route.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RouteError {
    /// It does not start with one slash and a segment.
    #[error("path must start with exactly one '/': '{0}'")]
    Start(String),
    /// It holds a character that is not plain.
    #[error("path holds a character that is not allowed: '{0}'")]
    Character(String),
    /// It has an empty, `.`, `..` or reserved segment.
    #[error("path holds an empty, relative or reserved segment: '{0}'")]
    Segment(String),
    /// It is over 1,024 bytes, has over 32 segments or a segment over 255 bytes.
    #[error("path is too long: '{0}…'")]
    Long(String),
}

const MAX_BYTES: usize = 1024;
const MAX_SEGMENTS: usize = 32;
const MAX_SEGMENT_BYTES: usize = 255;

impl RoutePath {
    /// The path, first slash included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies at or below `prefix`, segment by segment.
    pub fn is_under(&self, prefix: &str) -> bool {
        self.0.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for RoutePath {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        if text.len() > MAX_BYTES {
            return Err(RouteError::Long(escaped(text, 80)));
        }
        if !text.bytes().all(is_plain) {
            return Err(RouteError::Character(escaped(text, 80)));
        }
        let Some(rest) = text.strip_prefix('/') else { return Err(RouteError::Start(escaped(text, 80))) };
        if rest.is_empty() || rest.starts_with('/') {
            return Err(RouteError::Start(escaped(text, 80)));
        }
        if rest.split('/').count() > MAX_SEGMENTS || rest.split('/').any(|s| s.len() > MAX_SEGMENT_BYTES) {
            return Err(RouteError::Long(escaped(text, 80)));
        }
        if rest.split('/').any(is_bad_segment) {
            return Err(RouteError::Segment(escaped(text, 80)));
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/.-_~+=@,!()".contains(&byte)
}

fn is_bad_segment(segment: &str) -> bool {
    segment.is_empty() || segment.starts_with("..") || segment == "." || segment.ends_with('.') || is_reserved(segment)
}

/// Device names that Windows takes in any folder, with or without an extension.
fn is_reserved(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or_default().to_ascii_uppercase();
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.ends_with(|c: char| c.is_ascii_digit()))
}

impl fmt::Display for RoutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RoutePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RoutePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refused(texts: &[&str]) {
        for text in texts {
            assert!(text.parse::<RoutePath>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn plain_paths_are_routes() {
        for text in [
            "/downloads/endpoint/manifest/artifacts-9.0.0-beta1.zip",
            "/a",
            "/linux/production/arch_x86_64/updates.zip",
            "/.well-known/x",
        ] {
            assert_eq!(text.parse::<RoutePath>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn climbing_c01() {
        refused(&["/../../etc/cron.d/x", "/a/../b", "/..", "/a/..", "../a"]);
    }

    #[test]
    fn absolute_and_authority_c02_c03_c04() {
        refused(&[
            "https://evil.test/x",
            "http:evil",
            "//evil.test/x",
            "///x",
            "/\\evil.test",
            "@evil.test/x",
            ".evil.test/x",
            ":8443/x",
            "",
        ]);
    }

    #[test]
    fn other_spellings_c05() {
        refused(&["/%2e%2e/x", "/%252e/x", "/%c0%ae", "/..;/x", "/./x", "/a//b", "/a/", "/a?q", "/a#f", "/"]);
    }

    #[test]
    fn windows_names_c06() {
        refused(&["/a\\b", "/C:/x", "/CON", "/nul.txt", "/a./b", "/a /b", "/a:b", "/com1", "/LPT9.log"]);
    }

    #[test]
    fn control_and_bidi_c07() {
        refused(&[
            "/a\0b",
            "/a\rb",
            "/a\nb",
            "/a\tb",
            "/a\u{7f}b",
            "/a\u{202e}b",
            "/a\u{200b}b",
            "/a%00",
            "/%0d%0a",
            "/ä",
        ]);
    }

    #[test]
    fn caps_c08() {
        refused(&[&format!("/{}", "a".repeat(256)), &"/a".repeat(33), &format!("/{}", "a".repeat(1 << 20))]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_round_trips(text in "\\PC{0,64}") {
            if let Ok(path) = text.parse::<RoutePath>() {
                assert_eq!(path.as_str(), text);
                assert!(!text.contains(".."));
            }
        }
    }
}
