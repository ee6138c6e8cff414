//! Who could put another folder in a tree's place.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use platform::fs::FsError;
use rustix::process::{getegid, getgroups};

use crate::TreeError;

const BY_OTHERS: u32 = 0o002;
const BY_ITS_GROUP: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// Whoever may rename in a folder on the way to a tree can put another in its place, and those who read it get that one:
/// on the way that is written, and on the real one.
pub(super) fn judge(path: &Path) -> Result<(), TreeError> {
    let named = |source| FsError::Io { act: "find", path: path.to_owned(), source };
    let written = std::path::absolute(path).map_err(named)?;
    let real = super::real(&written).unwrap_or_else(|| written.clone());
    let mut seen: Vec<PathBuf> = Vec::new();
    for above in real.ancestors().skip(1).chain(written.ancestors().skip(1)) {
        if seen.iter().any(|known| known == above) {
            continue;
        }
        seen.push(above.to_owned());
        let look = match above.metadata() {
            // We make it, and nobody else could put another there but in what lies above it.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other.map_err(|source| FsError::Io { act: "look at", path: above.to_owned(), source })?,
        };
        if let Some((what, mend)) = risk(&Above::of(&look), &Us::here()) {
            let (root, above) = (path.to_owned(), above.to_owned());
            return Err(TreeError::Replaceable { root, above, what, mend });
        }
    }
    Ok(())
}

/// What says who may rename in a folder.
#[derive(Clone, Copy)]
struct Above {
    owner: u32,
    group: u32,
    mode: u32,
}

impl Above {
    fn of(look: &Metadata) -> Self {
        Self { owner: look.uid(), group: look.gid(), mode: look.mode() }
    }
}

/// Who we are.
struct Us {
    user: u32,
    groups: Vec<u32>,
    /// The group that files are shared with, where one was declared.
    shared: Option<u32>,
}

impl Us {
    fn here() -> Self {
        let mut groups = vec![getegid().as_raw()];
        groups.extend(getgroups().unwrap_or_default().into_iter().map(rustix::fs::Gid::as_raw));
        Self { user: platform::uid(), groups, shared: platform::shared_group().map(platform::Group::gid) }
    }

    /// Whoever administers the system put this user into these groups, and gave them their folders: a volume that belongs
    /// to a group of the container's, a user's own group under a wide umask.
    fn knows(&self, group: u32) -> bool {
        group == 0 || self.groups.contains(&group) || self.shared == Some(group)
    }
}

/// Who could rename what lies in a folder, and what to do about it.
fn risk(above: &Above, us: &Us) -> Option<(String, &'static str)> {
    let believed = above.owner == us.user || above.owner == 0 || us.shared == Some(above.group);
    let sticky = above.mode & STICKY != 0;
    if !believed {
        let what = format!("belongs to user {}", above.owner);
        return Some((what, "give it to root or to the user that this runs as (chown)"));
    }
    if above.mode & BY_OTHERS != 0 && !sticky {
        return Some(("can be written by everybody".to_owned(), "take that right away (chmod o-w)"));
    }
    if above.mode & BY_ITS_GROUP != 0 && !sticky && !us.knows(above.group) {
        let what = format!("can be written by group {}", above.group);
        return Some((what, "take that right away (chmod g-w), or make the user that this runs as a member"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_this_user_and_its_groups_may_rename_on_the_way() {
        let us = Us { user: 1000, groups: vec![1000, 2000], shared: Some(3000) };
        for (owner, group, mode, told) in [
            (0, 0, 0o755, None),
            (1000, 1000, 0o775, None),
            (0, 2000, 0o2775, None),
            (0, 0, 0o1777, None),
            (0, 50, 0o1775, None),
            (7, 3000, 0o2775, None),
            (7, 7, 0o755, Some("belongs to user 7")),
            (7, 7, 0o1777, Some("belongs to user 7")),
            (0, 0, 0o777, Some("can be written by everybody")),
            (0, 50, 0o2775, Some("can be written by group 50")),
            (1000, 50, 0o775, Some("can be written by group 50")),
        ] {
            let found = risk(&Above { owner, group, mode }, &us).map(|(what, _)| what);
            assert_eq!(found.as_deref(), told, "{owner}:{group} {mode:o}");
        }
    }
}
