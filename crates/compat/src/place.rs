//! The two folders of a run: the one that is shared, and the state, which is not.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use config::Config;
use model::{RingName, RoutePath};
use platform::fs::{Folder, FsError, Mode, Owners, create_folder};
use platform::lock::FileLock;
use tree::Tree;

use crate::derive::{MADE, real};
use crate::run::{CONFIG, CompatError, DATA, VERB};

/// What every installation's data folder holds.
const OF_DATA: [&str; 3] = ["catalog", "rings", "blobs"];
/// Where in it the records of the shared folder lie.
pub(crate) const TREES: &str = "trees";
/// The file of the state that its one run has locked.
const LOCK: &str = "run.lock";
/// The longest first line that is read.
const LINE: u64 = 4096;

/// The shared folder, made with all above it, by its real path.
pub(crate) fn shared(path: &Path) -> Result<PathBuf, FsError> {
    let made = make(path)?;
    let real = path.canonicalize();
    drop(made);
    real.map_err(|source| FsError::Io { act: "find", path: path.to_owned(), source })
}

fn make(path: &Path) -> Result<Folder, FsError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
        && matches!(parent.try_exists(), Ok(false))
    {
        make(parent)?;
    }
    create_folder(path, Mode::FOLDER)
}

/// Sees that a state may be used for a folder; makes nothing.
pub(crate) fn judged(state: &Path, folder: &Path) -> Result<(), CompatError> {
    let (real, shared) = (real(state), real(folder));
    if real.starts_with(&shared) || shared.starts_with(&real) {
        return Err(CompatError::Nested { state: state.to_owned(), folder: folder.to_owned() });
    }
    // Nor in those of others.
    Tree::lies_apart(state)?;
    let is_state = |above: &&Path| {
        Folder::open(above).is_ok_and(|above| first_line(&above).is_ok_and(|line| line.as_deref() == Some(MADE)))
    };
    if let Some(other) = shared.ancestors().find(is_state) {
        return Err(CompatError::Nested { state: other.to_owned(), folder: folder.to_owned() });
    }
    match Folder::open(&real) {
        Ok(there) => ours(&there, state, &shared),
        Err(error) if error.is_missing() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether what is there was made by runs like this one, for this folder.
fn ours(there: &Folder, state: &Path, folder: &Path) -> Result<(), CompatError> {
    let filled = Tree::filled(&there.path().join(DATA).join(TREES), &RingName::broad())?.map(|standing| standing.root);
    let occupied = |name: &str| CompatError::Occupied { state: state.to_owned(), name: name.to_owned() };
    match first_line(there)? {
        Some(line) if line != MADE => return Err(occupied(CONFIG)),
        Some(_) => {}
        // Without the file the folder that was filled says whose it is.
        None if filled.as_deref() == Some(folder) => {}
        None => {
            for name in OF_DATA.into_iter().chain([DATA]) {
                if there.look_at(name)?.is_some() {
                    return Err(occupied(name));
                }
            }
        }
    }
    // One that is not there any more was moved, or given up.
    let is_another = |other: &PathBuf| other != folder && other.try_exists().unwrap_or(true);
    let moved = || Tree::moved_to(folder, &there.path().join(DATA).join(TREES), &RingName::broad());
    match filled.filter(is_another).filter(|_| !moved().unwrap_or_default()) {
        Some(other) => Err(CompatError::Filled { state: state.to_owned(), other, folder: folder.to_owned() }),
        None => Ok(()),
    }
}

/// The one among these states that filled a folder where it lay before, or what lies in it now.
pub(crate) fn moved_here(states: &Path, folder: &Path) -> Option<PathBuf> {
    let (folder, ring) = (real(folder), RingName::broad());
    let is_its = |state: &PathBuf| {
        let records = state.join(DATA).join(TREES);
        let root = Tree::filled(&records, &ring).ok().flatten().map(|standing| standing.root);
        root.as_ref() == Some(&folder) || root.is_some() && Tree::moved_to(&folder, &records, &ring).unwrap_or_default()
    };
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(states).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    found.into_iter().find(is_its)
}

/// The folder that a state filled where it lay before it was moved here.
pub(crate) fn moved_from(state: &Path, folder: &Path) -> Option<PathBuf> {
    let standing = Tree::filled(&state.join(DATA).join(TREES), &RingName::broad()).ok()??;
    Some(standing.root).filter(|root| root != folder)
}

/// The folder that runs like this one keep from what a configuration speaks of, and the generation that it shows; none of
/// any other configuration's.
pub fn kept_from(config: &Config) -> Option<(PathBuf, Option<u64>)> {
    let state = Folder::open(config.file.parent()?).ok()?;
    let is_ours = config.file.file_name() == Some(CONFIG.as_ref()) && first_line(&state).ok()?.as_deref() == Some(MADE);
    let standing = Tree::filled(&config.data_dir.join(TREES), &RingName::broad()).ok()??;
    is_ours.then_some((standing.root, standing.generation))
}

/// The paths that runs like this one wrote into that folder; none of any other configuration's.
pub fn written_from(config: &Config) -> Option<BTreeSet<RoutePath>> {
    kept_from(config)?;
    Tree::written_by(&config.data_dir.join(TREES), &RingName::broad()).ok()
}

fn first_line(there: &Folder) -> Result<Option<String>, FsError> {
    let (file, _) = match there.open_plain(CONFIG, Owners::us()) {
        Err(error) if error.is_missing() => return Ok(None),
        other => other?,
    };
    let mut line = Vec::new();
    let read = BufReader::new(file).take(LINE).read_until(b'\n', &mut line);
    read.map_err(|source| FsError::Io { act: "read", path: there.path().join(CONFIG), source })?;
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}

/// The state's folder, made where it is not there.
pub(crate) fn prepared(state: &Path) -> Result<Folder, FsError> {
    make(state)
}

/// Keeps other runs out of the state: whoever cannot write there cannot hold this against us.
pub(crate) fn alone_in(state: &Folder, folder: &Path, now: model::Timestamp) -> Result<FileLock, CompatError> {
    match FileLock::try_acquire_in(state, LOCK)? {
        Some(mut lock) => {
            lock.describe(VERB, now);
            Ok(lock)
        }
        None => {
            let by = FileLock::holder_in(state, LOCK).map(|holder| holder.pid);
            Err(CompatError::Busy { folder: folder.to_owned(), by })
        }
    }
}
