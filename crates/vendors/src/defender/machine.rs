//! For which system and processor a library was built, by its first bytes: what tells the archives of two feeds
//! apart when a cache or a redirect has crossed them.

use std::fmt;

use super::place::{Arch, Platform};

/// How many first bytes tell it.
pub(super) const HEAD: usize = 20;

/// A library for Linux or macOS. Windows' own are not looked for: definitions look like them on every system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    platform: Platform,
    /// None for one that is built for several, or for one that no feed is for.
    arch: Option<Arch>,
    several: bool,
}

impl Code {
    /// What a member's first bytes say, if they say it.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let at = |from: usize, count: usize| head.get(from..from.checked_add(count)?);
        match at(0, 4)? {
            b"\x7fELF" => {
                let arch = match at(18, 2)? {
                    [0x3e, 0] => Some(Arch::X64),
                    [0xb7, 0] => Some(Arch::Arm64),
                    _ => None,
                };
                Some(Self { platform: Platform::Linux, arch, several: false })
            }
            [0xcf, 0xfa, 0xed, 0xfe] => {
                let arch = match at(4, 4)? {
                    [0x07, 0, 0, 1] => Some(Arch::X64),
                    [0x0c, 0, 0, 1] => Some(Arch::Arm64),
                    _ => None,
                };
                Some(Self { platform: Platform::Mac, arch, several: false })
            }
            [0xca, 0xfe, 0xba, 0xbe] => Some(Self { platform: Platform::Mac, arch: None, several: true }),
            _ => None,
        }
    }

    pub(super) fn runs_on(self, platform: Platform, arch: Arch) -> bool {
        self.platform == platform && (self.several || self.arch == Some(arch))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processor = match (self.arch, self.several) {
            (_, true) => "several processors",
            (Some(arch), _) => arch.as_str(),
            (None, _) => "another processor",
        };
        write!(f, "for {} on {processor}", self.platform.as_str())
    }
}
