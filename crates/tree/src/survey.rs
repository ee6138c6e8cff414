//! What stands in a folder of the tree, beside what should.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;

use model::{Digest, FeedId, Generation, Hasher, Route, RoutePath};
use platform::fs::{EntryKind, Folder, Look, look_at_file};

use crate::error::FolderError;
use crate::keep::Depth;
use crate::laid_out::laid_out;
use crate::make::{Files, Source, is_the_stores};
use crate::place::{self, Claim, is_own, parted};
use crate::records::Wrote;

/// How much of a file is read at once.
pub(crate) const READ: usize = 256 * 1024;
/// The permission bits of a file that others may read.
pub(crate) const READABLE: u32 = 0o644;

/// What should stand in one folder.
pub(crate) type Names<T> = BTreeMap<String, T>;

/// One folder of the tree: what should stand in it, and what we know to have written there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) want: Names<Route>,
    pub(crate) known: Names<Wrote>,
}

/// What a look into one folder showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Whether the folder is there.
    pub(crate) is_there: bool,
    /// What is as it should be; true where only its mode is not.
    pub(crate) right: Names<(Wrote, bool)>,
    /// What is right and was not known to be ours.
    pub(crate) taken_over: u64,
    /// What is not there.
    pub(crate) put: Names<Route>,
    /// What is there with other bytes; true where the bytes that should be there had been.
    pub(crate) replace: Names<(Route, bool)>,
    /// What is ours and no longer wanted.
    pub(crate) drop: BTreeSet<String>,
    /// What is not ours.
    pub(crate) foreign: Vec<OsString>,
    /// What stands where we wrote, is no longer wanted, and is neither the file that we made nor has its bytes: endpoints
    /// may still ask for it.
    pub(crate) strange: BTreeSet<String>,
    /// What nobody touched since it was written, wanted or not: it can lend its bytes.
    pub(crate) lends: Names<Digest>,
}

/// How bytes are judged.
pub(crate) struct Judge<'a> {
    pub(crate) depth: Depth,
    pub(crate) claim: Claim,
    pub(crate) files: Files,
    pub(crate) source: &'a dyn Source,
}

/// The folders of a generation and of what is known, by their path below the root.
pub(crate) fn asked(generation: &Generation, known: &BTreeMap<RoutePath, Wrote>) -> BTreeMap<String, Asked> {
    let mut folders: BTreeMap<String, Asked> = BTreeMap::new();
    for (path, route) in laid_out(generation) {
        let (folder, name) = split(path);
        folders.entry(folder.to_owned()).or_default().want.insert(name.to_owned(), route.clone());
    }
    for (path, wrote) in known {
        let (folder, name) = split(path);
        folders.entry(folder.to_owned()).or_default().known.insert(name.to_owned(), wrote.clone());
    }
    folders
}

fn split(path: &RoutePath) -> (&str, &str) {
    parted(path.as_str().trim_start_matches('/'))
}

/// A file of a folder as a route.
pub(crate) fn joined(folder: &str, name: &str) -> Option<RoutePath> {
    let path = if folder.is_empty() { format!("/{name}") } else { format!("/{folder}/{name}") };
    path.parse().ok()
}

impl Asked {
    /// The feeds whose files should stand here.
    pub(crate) fn feeds(&self) -> BTreeSet<FeedId> {
        self.want.values().map(|route| route.feed.clone()).collect()
    }
}

impl Judge<'_> {
    /// Looks into a folder; `below` are the folders of the tree right below it.
    pub(crate) fn look(
        &self,
        root: &Folder,
        folder: &str,
        asked: &Asked,
        below: &BTreeSet<String>,
    ) -> Result<Seen, FolderError> {
        if folder.split('/').chain(asked.want.keys().map(String::as_str)).any(|part| part.starts_with(place::WORK)) {
            return Err(in_the_way(folder, "has the name of something that this program keeps for itself"));
        }
        let mut seen = Seen::default();
        let at = match place::at(root, folder) {
            Ok(at) => at,
            Err(error) if error.is_missing() => {
                seen.put = asked.want.clone();
                return Ok(seen);
            }
            Err(platform::fs::FsError::Unsafe { what, .. }) => return Err(in_the_way(folder, what)),
            Err(error) => return Err(error.into()),
        };
        if let Some(what) = place::doubt(&at.look_here()?) {
            return Err(in_the_way(folder, what));
        }
        seen.is_there = true;
        let mut there = BTreeSet::new();
        for name in at.every_name()? {
            let Some(text) = name.to_str().filter(|_| !is_own(&name)) else {
                if !is_own(&name) {
                    seen.foreign.push(name);
                }
                continue;
            };
            let Some(look) = at.look_at(text)? else { continue };
            let wanted = asked.want.get(text);
            if wanted.is_none() && look.kind == EntryKind::Folder && below.contains(text) {
                continue;
            }
            there.insert(text.to_owned());
            match wanted {
                Some(_) if look.kind == EntryKind::Folder => {
                    return Err(in_the_way(text, "is a folder, and a file belongs there"));
                }
                Some(route) => self.wanted(&at, (text, route, asked.known.get(text)), &look, &mut seen)?,
                None => self.unwanted(&at, (text, asked.known.get(text)), &look, &mut seen)?,
            }
        }
        seen.put =
            asked.want.iter().filter(|(name, _)| !there.contains(*name)).map(|(n, r)| (n.clone(), r.clone())).collect();
        Ok(seen)
    }

    fn wanted(
        &self,
        at: &Folder,
        (name, route, known): (&str, &Route, Option<&Wrote>),
        look: &Look,
        seen: &mut Seen,
    ) -> Result<(), FolderError> {
        let had = known.is_some_and(|known| known.digest == route.digest && known.print.is_some());
        let safe = look.kind == EntryKind::File
            && look.size == route.size
            && (look.owner == platform::uid() || look.owner == 0 || platform::shared_group().is_some());
        let right = match known {
            _ if !safe => None,
            Some(known) if self.depth == Depth::Look && known.is_untouched(look) => {
                (known.digest == route.digest).then(|| known.clone())
            }
            _ => self.proven(at, name, route)?,
        };
        if let Some(known) = known.filter(|known| safe_to_lend(known, look)) {
            seen.lends.insert(name.to_owned(), known.digest);
        }
        match right {
            Some(wrote) => {
                seen.taken_over += u64::from(known.is_none());
                let off = look.mode & 0o7777 != READABLE;
                seen.right.insert(name.to_owned(), (wrote, off));
            }
            None => {
                seen.replace.insert(name.to_owned(), (route.clone(), had));
            }
        }
        Ok(())
    }

    /// The file's record, if its bytes are the route's and it is a file of the kind that we make.
    fn proven(&self, at: &Folder, name: &str, route: &Route) -> Result<Option<Wrote>, FolderError> {
        let (mut file, _) = at.open_regular(name)?;
        let look = look_at_file(&file).map_err(FolderError::io("look at", name))?;
        if !platform::fs::has_label_of(&file, at).map_err(FolderError::io("look at", name))? {
            return Ok(None);
        }
        // A file that was linked once, and is to be one of its own now.
        if self.files == Files::Copy && look.names > 1 && is_the_stores(self.source, route, &look) {
            return Ok(None);
        }
        let digest = hash(&mut file).map_err(FolderError::io("read", name))?;
        Ok((digest == route.digest).then(|| Wrote::seen(digest, &look)))
    }

    fn unwanted(
        &self,
        at: &Folder,
        (name, known): (&str, Option<&Wrote>),
        look: &Look,
        seen: &mut Seen,
    ) -> Result<(), FolderError> {
        let ours = match known {
            Some(_) if look.kind != EntryKind::File => false,
            // What rotted is no less ours, and nobody is to be given it.
            Some(known) if known.is_that_file(look) => true,
            // Somebody may have put a file of his own there; what we wrote has our bytes.
            Some(known) => {
                let (mut file, _) = at.open_regular(name)?;
                known.is_ours(hash(&mut file).map_err(FolderError::io("read", name))?)
            }
            None => false,
        };
        if ours {
            seen.drop.insert(name.to_owned());
        } else if known.is_some() && self.claim == Claim::Mark {
            // Nobody else has anything to put there. What was taken over has other users.
            seen.strange.insert(name.to_owned());
        } else {
            seen.foreign.push(name.into());
        }
        Ok(())
    }
}

fn safe_to_lend(known: &Wrote, look: &Look) -> bool {
    look.kind == EntryKind::File && known.is_untouched(look)
}

fn in_the_way(name: &str, what: &'static str) -> FolderError {
    FolderError::InTheWay { name: name.to_owned(), what }
}

/// Hashes a file from where it stands to its end.
pub(crate) fn hash(file: &mut File) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; READ];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The names of the folders right below each folder of the tree.
pub(crate) fn below<'a>(folders: impl Iterator<Item = &'a String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for folder in folders {
        let mut path = folder.as_str();
        while !path.is_empty() {
            let (parent, name) = parted(path);
            found.entry(parent.to_owned()).or_default().insert(name.to_owned());
            path = parent;
        }
    }
    found
}
