//! Beginning the next file of a log: whatever fails, what is there stays where it is.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The most links that are followed, as the system has it.
const LINKS: usize = 40;

/// Where the file at a path stands, past any links to it: what is moved away is the file, never a link. None where that
/// leads through the process's own descriptors (`/dev/stdout`): the file is somebody else's.
pub(super) fn place(path: &Path) -> Option<PathBuf> {
    let mut place = path.to_owned();
    for _ in 0..LINKS {
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().ok().filter(|folder| !folder.starts_with("/proc"))?;
        place = folder.join(place.file_name()?);
        match std::fs::read_link(&place) {
            Ok(target) => place = folder.join(target),
            Err(_) => return Some(place),
        }
    }
    None
}

/// Begins a new file, moves every earlier one a number up, the oldest over the edge, and puts the new one there. The new
/// one is opened first and the oldest moved first: where one of these fails, none after it is tried, and no file is lost
/// but the one whose time had come.
pub(super) fn rotate(place: &Path, keep: usize) -> io::Result<File> {
    let new = numbered(place, "new");
    let file = begin(&new)?;
    let moved = make_room(place, keep).and_then(|()| std::fs::rename(&new, place));
    moved.inspect_err(|_| drop(std::fs::remove_file(&new)))?;
    Ok(file)
}

fn begin(new: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().append(true).create_new(true).mode(0o640).open(new);
    match open() {
        // A process that ended in the middle of this left it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(new)?;
            open()
        }
        opened => opened,
    }
}

/// Moves files up as far as the first number that is free, or the last.
fn make_room(place: &Path, keep: usize) -> io::Result<()> {
    if keep == 0 {
        return Ok(());
    }
    let is_free = |number: &usize| numbered(place, number.to_string()).symlink_metadata().is_err();
    let last = (1..keep).find(is_free).unwrap_or(keep);
    for number in (1..last).rev() {
        std::fs::rename(numbered(place, number.to_string()), numbered(place, (number + 1).to_string()))?;
    }
    std::fs::rename(place, numbered(place, "1"))
}

fn numbered(place: &Path, end: impl AsRef<OsStr>) -> PathBuf {
    let mut name = place.to_owned().into_os_string();
    name.push(".");
    name.push(end);
    PathBuf::from(name)
}
