//! Whose a folder is.

mod above;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use platform::fs::{EntryKind, Folder, FsError, Look, Mode};

use crate::records::Records;
use crate::{Depth, TreeError};

/// The file that says whose folder it is.
pub(crate) const MARK: &str = ".waystation-tree";
/// The folder of what is kept out of sight.
pub(crate) const WORK: &str = ".waystation";
/// The beginning of the names of what is being made.
pub(crate) const NEW: &str = ".waystation-new-";
/// The most of a mark that is read.
const MARK_BYTES: u64 = 4096;

/// What every installation's data folder holds.
const OF_DATA: [&str; 3] = ["catalog", "rings", "blobs"];
/// What a data folder is called in a folder of all that an installation has.
const DATA: &str = "data";
/// The beginning of the name of what a probe makes; nothing is ever put into it.
pub(crate) const PROBE: &str = ".waystation-new-probe-";

/// How a folder becomes ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is empty or not there at first, and gets a mark that says whose it is.
    Mark,
    /// It is taken over as it stands, and gets no mark: what is right in it counts as ours, all else stays somebody
    /// else's.
    TakeOver,
}

/// Opens a tree's root and sees that it is ours to change.
pub(crate) fn open(path: &Path, claim: Claim, records: Option<&Records>, depth: Depth) -> Result<Folder, TreeError> {
    let known = is_known(records);
    // Nothing is made where nothing may be kept.
    fits(path, claim)?;
    let root = match Folder::open(path) {
        Err(error) if error.is_missing() => {
            if known && claim == Claim::Mark && depth != Depth::Rebuild {
                return Err(TreeError::Emptied { root: path.to_owned() });
            }
            make(path, claim)?
        }
        other => other?,
    };
    judge(&root, path)?;
    if claim == Claim::TakeOver {
        return Ok(root);
    }
    match (mark(&root)?, records) {
        (Some(mark), Some(records)) if mark == records.token => Ok(root),
        (Some(_), _) if depth == Depth::Rebuild => Ok(root),
        (Some(_), _) => Err(TreeError::Strange { root: path.to_owned() }),
        (None, _) if known && depth != Depth::Rebuild => Err(TreeError::Emptied { root: path.to_owned() }),
        (None, _) if known => Ok(root),
        (None, _) => match root.every_name()?.first() {
            Some(name) => Err(TreeError::Foreign { root: path.to_owned(), name: shown(name) }),
            None => Ok(root),
        },
    }
}

/// Sees that a folder is safe and nobody else's, as far as it is there; makes nothing.
pub(crate) fn fits(path: &Path, claim: Claim) -> Result<(), TreeError> {
    match Folder::open(path) {
        Err(error) if error.is_missing() => {}
        other => judge(&other?, path)?,
    }
    above::judge(path)?;
    if claim == Claim::TakeOver { not_kept(path) } else { Ok(()) }
}

/// Whether something was written into it.
pub(crate) fn is_known(records: Option<&Records>) -> bool {
    records.is_some_and(|records| records.shows.is_some() || !records.files.is_empty())
}

/// Refuses a root that the records lie in, and with them all of the data folder, and one that lies in the data folder: by
/// their real paths, which say more than how either is written.
pub(crate) fn apart(root: &Path, records: &Path, data: Option<&Path>) -> Result<(), TreeError> {
    let (Some(real), Ok(records)) = (real(root), records.canonicalize()) else { return Ok(()) };
    if records.starts_with(&real) {
        return Err(TreeError::HoldsData { root: root.to_owned() });
    }
    match data.and_then(|data| data.canonicalize().ok()) {
        Some(data) if real.starts_with(&data) => Err(TreeError::InData { root: root.to_owned(), data }),
        _ => Ok(()),
    }
}

/// The real path, as far as it is there.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let (above, rest) =
        path.ancestors().find_map(|above| Some((above.canonicalize().ok()?, path.strip_prefix(above).ok()?)))?;
    // An empty rest would leave a slash at the end.
    Some(rest.components().fold(above, |path, part| path.join(part)))
}

/// Makes the root; for a folder that is taken over, what is above it, too.
fn make(path: &Path, claim: Claim) -> Result<Folder, FsError> {
    if claim == Claim::TakeOver
        && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
        && matches!(parent.try_exists(), Ok(false))
    {
        make(parent, claim)?;
    }
    platform::fs::create_folder(path, Mode::FOLDER)
}

/// What lies where others can write is not ours to vouch for.
fn judge(root: &Folder, path: &Path) -> Result<(), TreeError> {
    match doubt(&root.look_here()?) {
        Some(what) => Err(TreeError::Unsafe { root: path.to_owned(), what }),
        None => Ok(()),
    }
}

/// A ring's folder is its keeper's, and so is all that lies in it, and the folder that all rings' lie in: two who fill one
/// folder undo each other's work. So is a data folder, whoever's it is: what lies there counts as this program's.
fn not_kept(path: &Path) -> Result<(), TreeError> {
    not_within(path)?;
    let real = real(path).unwrap_or_else(|| path.to_owned());
    for entry in std::fs::read_dir(&real).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()) {
        if is_kept(&entry) {
            return Err(TreeError::Kept { root: entry });
        }
        // A folder of all that an installation has holds its data folder.
        if is_data(&entry) || is_data(&entry.join(DATA)) {
            return Err(TreeError::HoldsData { root: path.to_owned() });
        }
    }
    Ok(())
}

/// Refuses what is, or lies in, a ring's folder or a data folder.
pub(crate) fn not_within(path: &Path) -> Result<(), TreeError> {
    let real = real(path).unwrap_or_else(|| path.to_owned());
    if let Some(root) = real.ancestors().find(|above| is_kept(above)) {
        return Err(TreeError::Kept { root: root.to_owned() });
    }
    match real.ancestors().find(|above| is_data(above)) {
        Some(data) => Err(TreeError::InData { root: path.to_owned(), data: data.to_owned() }),
        None => Ok(()),
    }
}

fn is_kept(folder: &Path) -> bool {
    folder.join(MARK).symlink_metadata().is_ok()
}

fn is_data(folder: &Path) -> bool {
    OF_DATA.iter().all(|name| folder.join(name).is_dir())
}

/// What is wrong with a folder of the tree, if anything.
pub(crate) fn doubt(look: &Look) -> Option<&'static str> {
    let shared = platform::shared_group().is_some();
    if look.owner != platform::uid() && look.owner != 0 && !shared {
        return Some("belongs to another user: run as its owner, or give it to this one");
    }
    (look.mode & 0o002 != 0).then_some("can be written by everybody: take that right away (chmod o-w)")
}

/// Writes the mark that says whose folder it is.
pub(crate) fn write_mark(root: &Folder, records: &Records) -> Result<(), FsError> {
    let text = format!(
        "This folder is kept by Waystation: it shows what ring {} serves.\n\
         Change nothing in it: files that differ are replaced, files that are not Waystation's are left alone.\n\
         token {}\n",
        records.ring, records.token
    );
    root.write_atomic(MARK, text.as_bytes(), Mode::FILE)
}

/// The token of the mark; none where there is no mark.
pub(crate) fn mark(root: &Folder) -> Result<Option<String>, FsError> {
    use std::io::Read as _;
    let (file, _) = match root.open_regular(MARK) {
        Ok(opened) => opened,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    let read = file.take(MARK_BYTES).read_to_string(&mut text);
    read.map_err(|source| FsError::Io { act: "read", path: root.path().join(MARK), source })?;
    let token = text.lines().find_map(|line| line.strip_prefix("token "));
    Ok(Some(token.unwrap_or_default().to_owned()))
}

/// Whether a name in a folder of the tree is one of our own: no file of a vendor's, and nobody else's.
pub(crate) fn is_own(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name == MARK || name == WORK || name.starts_with(NEW) || Folder::is_temp(name))
}

pub(crate) fn is_of_a_probe(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PROBE))
}

pub(crate) fn is_new(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(NEW) || Folder::is_temp(name))
}

pub(crate) fn shown(name: &OsStr) -> String {
    name.to_string_lossy()
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// A folder below the root, or the root itself for the empty path.
pub(crate) enum At<'a> {
    Root(&'a Folder),
    Below(Folder),
}

impl std::ops::Deref for At<'_> {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        match self {
            Self::Root(root) => root,
            Self::Below(folder) => folder,
        }
    }
}

/// Opens a folder of the tree.
pub(crate) fn at<'a>(root: &'a Folder, folder: &str) -> Result<At<'a>, FsError> {
    Ok(if folder.is_empty() { At::Root(root) } else { At::Below(root.folder(folder)?) })
}

/// Opens a folder of the tree, with all above it made where they are not there.
pub(crate) fn ensure<'a>(root: &'a Folder, folder: &str) -> Result<At<'a>, FsError> {
    let mut at = At::Root(root);
    for part in folder.split('/').filter(|part| !part.is_empty()) {
        let next = at.ensure_folder(part, Mode::FOLDER)?;
        settle(&next)?;
        at = At::Below(next);
    }
    Ok(at)
}

/// Gives a folder of ours the mode it should have.
pub(crate) fn settle(folder: &Folder) -> Result<(), FsError> {
    let look = folder.look_here()?;
    if !is_settled(&look) && look.kind == EntryKind::Folder && look.owner == platform::uid() {
        folder.set_mode(Mode::FOLDER)?;
    }
    Ok(())
}

/// Whether a folder has the mode it should have.
pub(crate) fn is_settled(look: &Look) -> bool {
    look.mode & 0o777 == if platform::shared_group().is_some() { 0o775 } else { 0o755 }
}

/// Whether everybody can go into a folder and see what is in it.
pub(crate) fn is_open(look: &Look) -> bool {
    look.mode & 0o005 == 0o005
}

/// `a/b/c` as `a/b` and `c`; a name alone lies in the empty path.
pub(crate) fn parted(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
