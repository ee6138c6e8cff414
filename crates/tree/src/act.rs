//! Does to a folder what is to be done to it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use model::Digest;
use platform::fs::{Folder, Mode};
use platform::unique_name;

use crate::error::FolderError;
use crate::make::{Donor, Maker, Put};
use crate::place::{self, At, NEW, WORK, parted};
use crate::records::Wrote;
use crate::survey::{Asked, Names, Seen};

/// Lets a test stop a run before any operation, as a crash would.
#[derive(Debug, Default)]
pub(crate) struct Hook {
    #[cfg(test)]
    pub(crate) left: std::sync::Mutex<Option<u32>>,
    /// As on a file system that cannot exchange two names.
    #[cfg(test)]
    pub(crate) never_exchanges: std::sync::atomic::AtomicBool,
}

impl Hook {
    /// Says that something is about to be changed.
    #[cfg_attr(not(test), allow(clippy::unused_self, clippy::unnecessary_wraps))]
    pub(crate) fn act(&self, _what: &'static str) -> Result<(), FolderError> {
        #[cfg(test)]
        if let Some(left) = self.left.lock().unwrap().as_mut() {
            if *left == 0 {
                return Err(FolderError::Stopped);
            }
            *left -= 1;
        }
        Ok(())
    }

    #[cfg_attr(not(test), allow(clippy::unused_self))]
    fn exchanges(&self) -> bool {
        #[cfg(test)]
        return !self.never_exchanges.load(std::sync::atomic::Ordering::SeqCst);
        #[cfg(not(test))]
        true
    }

    /// Whether the run still lives, and may clear up behind itself.
    #[cfg_attr(not(test), allow(clippy::unused_self))]
    pub(crate) fn goes_on(&self) -> bool {
        #[cfg(test)]
        return self.left.lock().unwrap().is_none_or(|left| left > 0);
        #[cfg(not(test))]
        true
    }
}

/// Files that can lend their bytes: where they are.
pub(crate) type Lenders = BTreeMap<Digest, Vec<(String, String)>>;

/// Changes folders.
pub(crate) struct Worker<'a> {
    pub(crate) root: &'a Folder,
    pub(crate) maker: Maker<'a>,
    pub(crate) lenders: Lenders,
    /// Bytes written so far.
    pub(crate) written: u64,
}

impl Worker<'_> {
    fn hook(&self, what: &'static str) -> Result<(), FolderError> {
        self.maker.hook.act(what)
    }

    /// Gives what is right the mode that it should have.
    pub(crate) fn keep(&self, folder: &str, seen: &Seen) -> Result<(), FolderError> {
        if !seen.is_there {
            return Ok(());
        }
        let at = place::at(self.root, folder)?;
        if !folder.is_empty() {
            place::settle(&at)?;
        }
        for name in seen.right.iter().filter(|(_, (_, off))| *off).map(|(name, _)| name) {
            let (file, _) = at.open_regular(name)?;
            self.hook("set the mode of")?;
            Mode::FILE.apply(&file).map_err(FolderError::io("set the mode of", name))?;
        }
        Ok(())
    }

    /// Makes a folder that is not there.
    pub(crate) fn build(&mut self, folder: &str, asked: &Asked) -> Result<Names<Wrote>, FolderError> {
        let (above, leaf) = parted(folder);
        self.hook("create")?;
        let parent = place::ensure(self.root, above)?;
        let (stage, made) = self.staged(&parent, leaf, asked, None)?;
        self.hook("rename to")?;
        parent.move_entry(OsStr::new(&stage), &parent, OsStr::new(leaf))?;
        parent.sync()?;
        Ok(made)
    }

    /// Adds files, and replaces files, one by one; each is whole before it has its name.
    pub(crate) fn add(&mut self, folder: &str, seen: &Seen) -> Result<Names<Wrote>, FolderError> {
        self.hook("create")?;
        let at = place::ensure(self.root, folder)?;
        let mut made = Names::new();
        let replaced = seen.replace.iter().map(|(name, (route, _))| (name, route));
        for (name, route) in seen.put.iter().chain(replaced) {
            let temp = unique_name(NEW);
            let stood = at.look_at(name)?.map(|look| look.modified);
            let wrote = self.made(&at, &Put { name: &temp, route, stood })?;
            self.hook("rename to")?;
            at.rename(&temp, &at, name)?;
            made.insert(name.clone(), wrote);
        }
        at.sync()?;
        Ok(made)
    }

    /// Makes a folder anew beside the old one and exchanges the two. The old one is then kept out of sight as `retired`.
    pub(crate) fn swap(
        &mut self,
        folder: &str,
        (asked, seen): (&Asked, &Seen),
        retired: &str,
    ) -> Result<Names<Wrote>, FolderError> {
        let (above, leaf) = parted(folder);
        let parent = place::at(self.root, above)?;
        let old = place::at(self.root, folder)?;
        let (stage, made) = self.staged(&parent, leaf, asked, Some((&old, seen)))?;
        let work = self.work()?;
        self.hook("exchange")?;
        if self.maker.hook.exchanges() && parent.exchange(&stage, &parent, leaf)? {
            parent.sync()?;
            self.hook("rename to")?;
            parent.move_entry(OsStr::new(&stage), &work, OsStr::new(retired))?;
        } else {
            // For a moment there is none. That is better than one of two releases.
            parent.move_entry(OsStr::new(leaf), &work, OsStr::new(retired))?;
            self.hook("rename to")?;
            parent.move_entry(OsStr::new(&stage), &parent, OsStr::new(leaf))?;
        }
        parent.sync()?;
        work.sync()?;
        self.hand_over(&old, folder, seen)?;
        Ok(made)
    }

    /// What is somebody else's goes along into the new folder.
    fn hand_over(&self, old: &Folder, folder: &str, seen: &Seen) -> Result<(), FolderError> {
        if seen.foreign.is_empty() && seen.strange.is_empty() {
            return Ok(());
        }
        let new = place::at(self.root, folder)?;
        for name in seen.foreign.iter().map(OsString::as_os_str).chain(seen.strange.iter().map(OsStr::new)) {
            if new.look_at(name)?.is_none() && old.look_at(name)?.is_some() {
                self.hook("rename to")?;
                old.move_entry(name, &new, name)?;
            }
        }
        Ok(new.sync()?)
    }

    /// Takes a folder away, all at once.
    pub(crate) fn retire(&self, folder: &str, retired: &str) -> Result<(), FolderError> {
        let (above, leaf) = parted(folder);
        let parent = place::at(self.root, above)?;
        let work = self.work()?;
        self.hook("rename to")?;
        parent.move_entry(OsStr::new(leaf), &work, OsStr::new(retired))?;
        parent.sync()?;
        work.sync()?;
        self.prune(above)
    }

    /// Removes files one by one, and the folders above that are empty then.
    pub(crate) fn remove(&self, folder: &str, seen: &Seen) -> Result<(), FolderError> {
        let at = place::at(self.root, folder)?;
        for name in &seen.drop {
            self.hook("remove")?;
            at.remove(name)?;
        }
        at.sync()?;
        self.prune(folder)
    }

    /// Removes a folder and those above it as far as they are empty; never the root.
    fn prune(&self, folder: &str) -> Result<(), FolderError> {
        let mut path = folder;
        while !path.is_empty() {
            let (above, leaf) = parted(path);
            self.hook("remove")?;
            if !place::at(self.root, above)?.remove_folder(leaf)? {
                break;
            }
            path = above;
        }
        Ok(())
    }

    /// A folder beside `leaf` with all that should stand in it: closed while it is made, durable, then open to others.
    fn staged(
        &mut self,
        parent: &Folder,
        leaf: &str,
        asked: &Asked,
        old: Option<(&Folder, &Seen)>,
    ) -> Result<(String, Names<Wrote>), FolderError> {
        let name = unique_name(&format!("{NEW}{}-", mark_of(leaf)));
        self.hook("create")?;
        let stage = parent.make_folder(&name, Mode::PRIVATE_FOLDER)?;
        let filled = self.fill(&stage, old.map_or(parent, |(folder, _)| folder), asked, old);
        if filled.is_err() && self.maker.hook.goes_on() {
            // What went wrong is what is told; what cannot be removed now is removed by the next run.
            for file in asked.want.keys().chain(asked.known.keys()) {
                let _ = stage.remove(file);
            }
            let _ = parent.remove_folder(&name);
        }
        Ok((name, filled?))
    }

    fn fill(
        &mut self,
        stage: &Folder,
        like: &Folder,
        asked: &Asked,
        old: Option<(&Folder, &Seen)>,
    ) -> Result<Names<Wrote>, FolderError> {
        if !stage.label_like(like)? {
            tracing::warn!(folder = %like.path().display(), "its SELinux label cannot be given to what replaces it");
        }
        let mut made = Names::new();
        for (name, route) in &asked.want {
            let kept = old.and_then(|(folder, seen)| Some((folder, seen.right.get(name)?)));
            if let Some((folder, (wrote, false))) = kept {
                self.hook("link")?;
                if folder.link(name, stage, name)? {
                    made.insert(name.clone(), wrote.clone());
                    continue;
                }
            }
            let there = old.map(|(folder, _)| folder.look_at(name)).transpose()?.flatten();
            let wrote = self.made(stage, &Put { name, route, stood: there.map(|look| look.modified) })?;
            made.insert(name.clone(), wrote);
        }
        // What is to go stays until all that may still name it has moved on.
        for name in old.into_iter().flat_map(|(_, seen)| &seen.drop) {
            if let Some((folder, _)) = old {
                self.hook("link")?;
                folder.link(name, stage, name)?;
            }
        }
        self.hook("set the mode of")?;
        stage.set_mode(Mode::FOLDER)?;
        stage.sync()?;
        Ok(made)
    }

    fn made(&mut self, into: &Folder, put: &Put<'_>) -> Result<Wrote, FolderError> {
        let lenders = self.lenders.get(&put.route.digest).into_iter().flatten();
        let opened: Vec<(At<'_>, &str)> =
            lenders.filter_map(|(folder, name)| Some((place::at(self.root, folder).ok()?, name.as_str()))).collect();
        let donors: Vec<Donor<'_>> = opened.iter().map(|(folder, name)| Donor { folder, name }).collect();
        let (wrote, written) = self.maker.make(into, put, &donors)?;
        self.written = self.written.saturating_add(written);
        Ok(wrote)
    }

    fn work(&self) -> Result<Folder, FolderError> {
        self.hook("create")?;
        Ok(self.root.ensure_folder(WORK, Mode::PRIVATE_FOLDER)?)
    }
}

/// What says in a staged folder's name for which folder it is made.
pub(crate) fn mark_of(leaf: &str) -> String {
    Digest::of(leaf.as_bytes()).to_string().chars().take(8).collect()
}
