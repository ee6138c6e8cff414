//! Looking into an archive.
//!
//! Whatever the policy, an archive without a file that has bytes is refused: publishing it over a good one would
//! take every endpoint's definitions away. Where the policy is to look, so is one in which nothing at all matches
//! the expected members: some absent may be the vendor's new layout, all absent is no definitions archive.

use model::{Digest, Note, Reason};

use super::machine::{self, Code};
use super::place::Place;
use super::{DefenderSettings, MemberPolicy};
use crate::zip::{Archive, Caps, Member, ZipError};
use crate::{Inspection, ReadSeek};

/// Proves that an archive is whole and holds what such archives hold.
#[derive(Debug)]
pub(super) struct Whole {
    place: Place,
    caps: Caps,
    policy: MemberPolicy,
    patterns: Vec<String>,
}

impl Whole {
    pub(super) fn new(place: Place, settings: &DefenderSettings) -> Self {
        let caps = Caps {
            entries: 10_000,
            name_bytes: 512,
            member_bytes: settings.archive_cap.saturating_mul(2),
            total_bytes: settings.archive_cap.saturating_mul(4),
            ratio: 200,
            folders: true,
        };
        Self { place, caps, policy: settings.expected_members, patterns: settings.member_patterns.clone() }
    }

    /// What is unlike such archives, in words; or an error that no policy takes.
    fn unlike(&self, members: &[Member], code: &[Code]) -> Result<Vec<String>, String> {
        // An empty file is no engine and no base, whatever its name.
        let names: Vec<&str> =
            members.iter().filter(|member| !member.is_folder && member.size > 0).map(base_name).collect();
        if names.is_empty() {
            return Err("updates.zip holds no file with bytes in it".to_owned());
        }
        if self.policy == MemberPolicy::Off {
            return Ok(Vec::new());
        }
        let absent = |pattern: &&String| !names.iter().any(|name| matches(pattern, name));
        let absent: Vec<&String> = self.patterns.iter().filter(absent).collect();
        if !absent.is_empty() && absent.len() == self.patterns.len() {
            let patterns: Vec<String> = absent.iter().map(|pattern| format!("'{pattern}'")).collect();
            return Err(format!("updates.zip is no definitions archive: no member matches {}", patterns.join(" or ")));
        }
        let absent = absent.iter().map(|pattern| format!("no member matches '{pattern}'"));
        Ok(absent.chain(self.foreign(code)).collect())
    }

    /// Libraries, and none of them for this system and processor.
    fn foreign(&self, code: &[Code]) -> Option<String> {
        let other = code.first()?;
        let fits = code.iter().any(|code| code.runs_on(self.place.platform, self.place.arch));
        let (platform, arch) = (self.place.platform.as_str(), self.place.arch.as_str());
        (!fits).then(|| format!("the libraries are {other}, the feed is for {platform} on {arch}"))
    }
}

impl Inspection for Whole {
    fn key(&self) -> String {
        let Self { place, caps, policy, patterns } = self;
        let (platform, arch) = (place.platform.as_str(), place.arch.as_str());
        let text = format!("{platform} {arch} {caps:?} {policy:?} {patterns:?}");
        format!("defender-archive-2 {}", Digest::of(text.as_bytes()))
    }

    fn inspect(&self, bytes: &mut dyn ReadSeek) -> Result<Vec<Note>, Note> {
        let refused = |error: ZipError| Note { reason: error.reason(), detail: format!("updates.zip: {error}") };
        let mut archive = Archive::open(bytes, &self.caps).map_err(refused)?;
        let mut code = Vec::new();
        for index in 0..archive.members().len() {
            code.extend(Code::of(&archive.head(index, machine::HEAD).map_err(refused)?));
        }
        let note = |detail: String| Note { reason: Reason::UnexpectedMembers, detail };
        let unlike = self.unlike(archive.members(), &code).map_err(note)?;
        match self.policy {
            MemberPolicy::Require if !unlike.is_empty() => Err(note(unlike.join("; "))),
            _ => Ok(unlike.into_iter().map(note).collect()),
        }
    }
}

fn base_name(member: &Member) -> &str {
    member.name.rsplit('/').next().unwrap_or(&member.name)
}

/// Whether a name matches one of a pattern's alternatives.
fn matches(pattern: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    pattern.to_lowercase().split('|').any(|one| glob(one.trim(), &name))
}

/// `*` is any run of characters, `?` any one; the last `*` met is the only one worth going back to.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(one) if *one == '?' || one == c => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}
