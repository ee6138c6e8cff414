//! What is out of sight: folders that were replaced, and what a crash left unfinished.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use model::{Generation, Timestamp};
use platform::fs::{EntryKind, Folder};

use crate::act::{Hook, mark_of};
use crate::error::FolderError;
use crate::place::{self, NEW, WORK, is_new};
use crate::records::{Records, Retired};
use crate::survey::Asked;

impl Retired {
    /// Whether it may go: its time is over, or it holds what the ring went back from or serves no longer.
    pub(crate) fn is_over(&self, generation: &Generation, now: Timestamp) -> bool {
        self.until <= now
            || self.held.iter().any(|(feed, version)| {
                generation.feeds.get(feed).is_none_or(|served| served.vendor_version.version < *version)
            })
    }
}

/// Removes the replaced folders for which `is_over` says so, and forgets those that are gone.
pub(crate) fn let_go(
    root: &Folder,
    records: &mut Records,
    hook: &Hook,
    is_over: impl Fn(&Retired) -> bool,
) -> Result<u64, FolderError> {
    if records.retired.is_empty() {
        return Ok(0);
    }
    let work = match root.folder(WORK) {
        Ok(work) => work,
        Err(error) if error.is_missing() => {
            records.retired.clear();
            return Ok(0);
        }
        Err(error) => return Err(error.into()),
    };
    let mut gone = Vec::new();
    let mut removed = 0;
    for (name, retired) in &records.retired {
        let folder = match work.folder(name) {
            Ok(folder) => folder,
            Err(error) if error.is_missing() => {
                gone.push(name.clone());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        give_back(root, &folder, retired, hook)?;
        if !is_over(retired) {
            continue;
        }
        for file in &retired.names {
            if folder.look_at(file)?.is_some_and(|look| look.kind != EntryKind::Folder) {
                hook.act("remove")?;
                folder.remove(file)?;
                removed += 1;
            }
        }
        hook.act("remove")?;
        if work.remove_folder(name)? {
            gone.push(name.clone());
        }
    }
    records.retired.retain(|name, _| !gone.contains(name));
    hook.act("remove")?;
    // As long as something is kept there it stays.
    root.remove_folder(WORK)?;
    Ok(removed)
}

/// Records what lies out of sight and is in no record, because the records were lost: it goes with the rest, after the
/// longest grace. Its files are ours where they have a name that is; where it stood is not known.
pub(crate) fn adopt(
    root: &Folder,
    folders: &BTreeMap<String, Asked>,
    records: &mut Records,
    until: Timestamp,
) -> Result<(), FolderError> {
    let work = match root.folder(WORK) {
        Ok(work) => work,
        Err(error) if error.is_missing() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let ours: BTreeSet<String> =
        folders.values().flat_map(|asked| asked.want.keys().chain(asked.known.keys())).cloned().collect();
    for name in work.every_name()? {
        let is_folder = work.look_at(&name)?.is_some_and(|look| look.kind == EntryKind::Folder);
        let Some(name) = name.to_str().filter(|name| is_folder && !records.retired.contains_key(*name)) else {
            continue;
        };
        // It goes back to where it is, which is nowhere else.
        let folder = format!("{WORK}/{name}");
        let lost = Retired { folder, until, names: ours.clone(), held: BTreeMap::new() };
        records.retired.insert(name.to_owned(), lost);
    }
    Ok(())
}

/// What is somebody else's and was not handed over when its folder was replaced goes back to where it was.
fn give_back(root: &Folder, from: &Folder, retired: &Retired, hook: &Hook) -> Result<(), FolderError> {
    for name in from.every_name()? {
        if name.to_str().is_some_and(|name| retired.names.contains(name)) {
            continue;
        }
        let Ok(back) = place::at(root, &retired.folder) else { continue };
        if back.look_at(&name)?.is_none() {
            hook.act("rename to")?;
            from.move_entry(&name, &back, &name)?;
        }
    }
    Ok(())
}

/// Removes what a run that was stopped left half made. What is somebody else's in it goes back to where it was.
pub(crate) fn tidy(
    root: &Folder,
    folders: &BTreeMap<String, Asked>,
    below: &BTreeMap<String, BTreeSet<String>>,
    hook: &Hook,
) -> Result<(), FolderError> {
    let places: BTreeSet<&str> = folders.keys().chain(below.keys()).map(String::as_str).chain([""]).collect();
    for place in places {
        let at = match place::at(root, place) {
            Ok(at) => at,
            // The look at the folder itself tells what is wrong.
            Err(_) => continue,
        };
        for name in at.every_name()?.iter().filter(|name| is_new(name)) {
            match at.look_at(name)?.map(|look| look.kind) {
                Some(EntryKind::Folder) => {
                    let leaf = below.get(place).into_iter().flatten().find(|leaf| is_made_for(name, leaf));
                    clear(&at, name, leaf.map(|leaf| (leaf.as_str(), folders.get(&under(place, leaf)))), hook)?;
                }
                Some(_) => {
                    hook.act("remove")?;
                    if let Some(name) = name.to_str() {
                        at.remove(name)?;
                    }
                }
                None => {}
            }
        }
    }
    Ok(())
}

fn under(place: &str, leaf: &str) -> String {
    if place.is_empty() { leaf.to_owned() } else { format!("{place}/{leaf}") }
}

fn is_made_for(name: &OsStr, leaf: &str) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(&format!("{NEW}{}-", mark_of(leaf))))
}

/// Clears a folder that was made for `leaf`, or that stood there until a run was stopped.
fn clear(parent: &Folder, name: &OsStr, leaf: Option<(&str, Option<&Asked>)>, hook: &Hook) -> Result<(), FolderError> {
    let (Some(text), Some((leaf, Some(asked)))) = (name.to_str(), leaf) else {
        // Made for what is asked for no longer: with nothing in it, it was for nobody.
        hook.act("remove")?;
        parent.remove_folder(name)?;
        return Ok(());
    };
    let folder = parent.folder(text)?;
    for entry in folder.every_name()? {
        let ours = entry
            .to_str()
            .filter(|file| asked.want.contains_key(*file) || asked.known.contains_key(*file) || Folder::is_temp(file));
        let kind = folder.look_at(&entry)?.map(|look| look.kind);
        match (ours, kind) {
            (Some(file), Some(kind)) if kind != EntryKind::Folder => {
                hook.act("remove")?;
                folder.remove(file)?;
            }
            (_, Some(_)) => {
                let Ok(back) = parent.folder(leaf) else { continue };
                if back.look_at(&entry)?.is_none() {
                    hook.act("rename to")?;
                    folder.move_entry(&entry, &back, &entry)?;
                }
            }
            (_, None) => {}
        }
    }
    hook.act("remove")?;
    parent.remove_folder(text)?;
    Ok(())
}
