//! Which artifacts a host of a system takes.
//!
//! One manifest names those of all systems. Which a host uses is told by their names, as far as hosts' documents show:
//! sixteen names on Windows (8.3), sixteen on Linux (2024), one on macOS.

use std::fmt;
use std::str::FromStr;

/// An operating system, by the vendor's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Linux.
    Linux,
    /// macOS: `mac` in settings, `macos` in artifacts' names and documents.
    Mac,
    /// Windows.
    Windows,
}

/// A text names no system.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not linux, mac or windows")]
pub struct OsError(String);

/// Parts of names that tell the system, and whence they are known. A name with none of them is for every system.
const MARKS: [(&str, Os); 7] = [
    ("windows", Os::Windows),
    ("endpointpe", Os::Windows),
    ("linux", Os::Linux),
    ("endpointelf", Os::Linux),
    ("macos", Os::Mac),
    // By the pattern of the two above; never seen.
    ("endpointmacho", Os::Mac),
    // Seen on Windows alone, with the system in its name; without it, the protection exists on Windows alone.
    ("ransomware", Os::Windows),
];

impl Os {
    /// The word in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Mac => "mac",
            Self::Windows => "windows",
        }
    }

    /// The word in documents.
    pub const fn in_documents(self) -> &'static str {
        match self {
            Self::Mac => "macos",
            Self::Linux | Self::Windows => self.as_str(),
        }
    }

    /// Whether a host of this system takes an artifact of that name.
    pub fn takes(self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        MARKS.iter().find(|(mark, _)| name.contains(mark)).is_none_or(|(_, os)| *os == self)
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Os {
    type Err = OsError;

    fn from_str(text: &str) -> Result<Self, OsError> {
        match text {
            "linux" => Ok(Self::Linux),
            "mac" | "macos" => Ok(Self::Mac),
            "windows" => Ok(Self::Windows),
            other => Err(OsError(other.chars().take(40).collect())),
        }
    }
}
