//! Looking into an archive.

use model::{Digest, Note, Reason};

use super::place::{Place, Platform};
use super::{DefenderSettings, MemberPolicy};
use crate::zip::{Archive, Caps, Member};
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

    /// What is unlike such archives.
    fn unlike(&self, members: &[Member]) -> Vec<Note> {
        let names: Vec<&str> = members.iter().filter(|member| !member.is_folder).map(base_name).collect();
        let absent = self.patterns.iter().filter(|pattern| !names.iter().any(|name| matches(pattern, name)));
        let absent = absent.map(|pattern| format!("no member matches '{pattern}'"));
        absent.chain(self.foreign(&names)).map(|detail| Note { reason: Reason::UnexpectedMembers, detail }).collect()
    }

    /// Libraries of other systems, and none of this one.
    fn foreign(&self, names: &[&str]) -> Option<String> {
        let own = match self.place.platform {
            Platform::Linux => ".so",
            Platform::Mac => ".dylib",
        };
        let any = |ending: &str| names.iter().find(|name| name.to_ascii_lowercase().ends_with(ending));
        if any(own).is_some() {
            return None;
        }
        let other = [".so", ".dylib", ".dll"].into_iter().find_map(any)?;
        Some(format!(
            "'{}' is a library of another system than {}",
            other.escape_default(),
            self.place.platform.as_str()
        ))
    }
}

impl Inspection for Whole {
    fn key(&self) -> String {
        let Self { place, caps, policy, patterns } = self;
        let text = format!("{} {caps:?} {policy:?} {patterns:?}", place.platform.as_str());
        format!("defender-archive-1 {}", Digest::of(text.as_bytes()))
    }

    fn inspect(&self, bytes: &mut dyn ReadSeek) -> Result<Vec<Note>, Note> {
        let mut archive = Archive::open(bytes, &self.caps)
            .map_err(|error| Note { reason: error.reason(), detail: format!("updates.zip: {error}") })?;
        archive
            .check_all()
            .map_err(|error| Note { reason: error.reason(), detail: format!("updates.zip: {error}") })?;
        let mut unlike = match self.policy {
            MemberPolicy::Off => Vec::new(),
            MemberPolicy::Warn | MemberPolicy::Require => self.unlike(archive.members()),
        };
        match (self.policy, unlike.pop()) {
            (MemberPolicy::Require, Some(note)) => {
                unlike.push(note);
                let details: Vec<&str> = unlike.iter().map(|note| note.detail.as_str()).collect();
                Err(Note { reason: Reason::UnexpectedMembers, detail: details.join("; ") })
            }
            (_, last) => Ok(unlike.into_iter().chain(last).collect()),
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
