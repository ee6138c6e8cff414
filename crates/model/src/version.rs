//! Vendors' version numbers and their order.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A dotted version with a total order: `1.0.1049`, `1.459.553.0`, `9.0.0-beta1`.
///
/// Numbers compare as numbers of any length, a missing part counts as zero, a pre-release comes before its
/// release, and pre-releases compare part by part (numbers before words). Two texts that differ only in
/// spelling (`1.0` and `1.0.0`, `01` and `1`) are ordered by their text, so that the order stays total.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Version(String);

/// A text is not a version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a dotted version of at most 64 ASCII letters, digits, '.', '-' and '+', starting with a digit")]
pub struct VersionError;

impl Version {
    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is numbers and dots alone with `count` parts, none empty.
    pub fn is_dotted(&self, count: usize) -> bool {
        self.0.split('.').count() == count
            && self.0.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    }

    fn split(&self) -> (&str, Option<&str>) {
        let text = self.0.split('+').next().unwrap_or_default();
        match text.split_once('-') {
            Some((core, pre)) => (core, Some(pre)),
            None => (text, None),
        }
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'));
        let starts = text.starts_with(|c: char| c.is_ascii_digit());
        if plain && starts && text.len() <= 64 { Ok(Self(text.to_owned())) } else { Err(VersionError) }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (core, pre) = self.split();
        let (other_core, other_pre) = other.split();
        compare_parts(core, other_core)
            .then_with(|| match (pre, other_pre) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(a), Some(b)) => compare_parts(a, b),
            })
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn compare_parts(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => match compare_part(x.unwrap_or("0"), y.unwrap_or("0")) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

fn compare_part(a: &str, b: &str) -> Ordering {
    let numeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match (numeric(a), numeric(b)) {
        (true, true) => {
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a vendor calls a release: the version that orders releases of one feed and, for vendors that carry
/// one, the engine that travels with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VendorVersion {
    /// Orders the releases of one feed: Elastic's `manifest_version`, Defender's definitions.
    pub version: Version,
    /// Defender's engine; never compared, and differs between platforms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Version>,
}

impl VendorVersion {
    /// A version without an engine.
    pub fn plain(version: Version) -> Self {
        Self { version, engine: None }
    }
}

impl fmt::Display for VendorVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.engine {
            Some(engine) => write!(f, "{} (engine {engine})", self.version),
            None => write!(f, "{}", self.version),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn order_c19() {
        for (less, more) in [
            ("1.0.9", "1.0.10"),
            ("1.0.9-rc1", "1.0.9"),
            ("1.0.9-rc.2", "1.0.9-rc.10"),
            ("1.459.553.0", "1.459.554.0"),
            ("1.0.261", "1.0.1049"),
            ("0.9", "1"),
        ] {
            assert!(v(less) < v(more), "{less} < {more}");
        }
        let long = format!("1.{}", "9".repeat(60));
        assert!(v("1.9") < v(&long));
        assert_ne!(v("01.0.9").cmp(&v("1.0.9")), Ordering::Equal);
    }

    #[test]
    fn not_versions_c19_c36() {
        for text in ["", "v1", "1.0 ", "1.0\n", "１.0", "$(id)", "1;ls", "<img>", "\u{1b}[0m", &"1".repeat(65)] {
            assert_eq!(text.parse::<Version>(), Err(VersionError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn order_is_total_c19(a in "[0-9][0-9a-c.+-]{0,8}", b in "[0-9][0-9a-c.+-]{0,8}", c in "[0-9][0-9a-c.+-]{0,8}") {
            let (a, b, c) = (v(&a), v(&b), v(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}
