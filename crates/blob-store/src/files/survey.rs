//! Looks at everything in the data folder but the rings' own folders. Everything here blocks.

use model::{Digest, RingName, error_chain};
use platform::fs::{Entry, EntryKind, Folder, FsError};

use super::blobs::{BLOBS, Blobs, DAMAGED, PARTIAL, shard_of};
use crate::survey::{Found, Leftover, LeftoverKind};

/// What stands at the top of a data folder. The last is what mkfs makes at the root of a file system.
const TOP: [&str; 11] =
    [BLOBS, PARTIAL, DAMAGED, RINGS, "catalog", "locks", "alarms", "trees", "wanted", SPOOL, "lost+found"];
/// Folders of others, of which only owner and mode are looked at.
const OTHERS: [&str; 5] = ["catalog", "locks", "alarms", "trees", "wanted"];
/// Where the content side leaves word. It may be another user's, and nothing in it is believed.
const SPOOL: &str = "spool";
/// Where rings lie.
const RINGS: &str = "rings";

/// Takes what was found; says no when nobody asks any more.
type Each<'a> = dyn FnMut(Found) -> bool + 'a;

/// Somebody does not want to hear more.
struct Enough;

impl Blobs {
    /// Shows `each` everything, until it says no. What cannot be looked at is shown as such.
    pub(super) fn survey(&self, each: &mut Each<'_>) {
        let _enough = self.walk(each);
    }

    fn walk(&self, each: &mut Each<'_>) -> Result<(), Enough> {
        let root = self.data().root();
        if let Err(error) = root.check(self.data().owners()) {
            show(each, refused("the data folder", &error))?;
        }
        self.list(root, "", each, &mut |_, name, entry, each| match name {
            SPOOL if entry.kind == EntryKind::Folder => Ok(()),
            name if TOP.contains(&name) => doubt(name.to_owned(), entry, each),
            name => foreign(name.to_owned(), entry, each),
        })?;
        for name in OTHERS {
            self.inside(name, each, &mut |path, _, entry, each| doubt(path, entry, each))?;
        }
        self.inside(RINGS, each, &mut |path, name, entry, each| {
            let ring = entry.kind == EntryKind::Folder && name.parse::<RingName>().is_ok();
            if ring { Ok(()) } else { foreign(path, entry, each) }
        })?;
        self.inside(PARTIAL, each, &mut |path, _, entry, each| left(LeftoverKind::Partial, path, entry, each))?;
        self.inside(DAMAGED, each, &mut |path, _, entry, each| left(LeftoverKind::Damaged, path, entry, each))?;
        let mut shards = Vec::new();
        self.inside(BLOBS, each, &mut |path, name, entry, each| {
            let shard = entry.kind == EntryKind::Folder && is_shard(name);
            if !shard {
                return foreign(path, entry, each);
            }
            shards.push(name.to_owned());
            Ok(())
        })?;
        shards.sort_unstable();
        for shard in shards {
            self.inside(
                &format!("{BLOBS}/{shard}"),
                each,
                &mut |path, name, entry, each| match name.parse::<Digest>() {
                    Ok(digest) if shard_of(digest) == shard => show(each, blob(digest, entry)),
                    _ => foreign(path, entry, each),
                },
            )?;
        }
        Ok(())
    }

    /// Looks at all that stands in a folder below, if it is there.
    fn inside(&self, relative: &str, each: &mut Each<'_>, one: &mut One<'_>) -> Result<(), Enough> {
        match self.data().folder_if_there(relative) {
            Ok(None) => Ok(()),
            Ok(Some(folder)) => self.list(&folder, relative, each, one),
            Err(error) => show(
                each,
                Found::Unsafe { path: relative.to_owned(), what: format!("is refused: {}", error_chain(&error)) },
            ),
        }
    }

    fn list(&self, folder: &Folder, relative: &str, each: &mut Each<'_>, one: &mut One<'_>) -> Result<(), Enough> {
        let names = match folder.names() {
            Ok(names) => names,
            Err(error) => return show(each, refused(relative, &error)),
        };
        for name in names {
            let name = match name {
                Ok(name) => name,
                // The rest of the folder stays unseen, and that is what is told.
                Err(error) => return show(each, refused(relative, &error)),
            };
            let path = if relative.is_empty() { name.clone() } else { format!("{relative}/{name}") };
            match folder.look(&name, self.data().owners()) {
                // What goes while we walk is as good as what went before.
                Ok(None) => {}
                Ok(Some(entry)) => one(path, &name, entry, each)?,
                Err(error) => show(each, refused(&path, &error))?,
            }
        }
        Ok(())
    }
}

/// Judges one name: its path below the data folder, its name, what a look shows.
type One<'a> = dyn FnMut(String, &str, Entry, &mut Each<'_>) -> Result<(), Enough> + 'a;

fn show(each: &mut Each<'_>, found: Found) -> Result<(), Enough> {
    if each(found) { Ok(()) } else { Err(Enough) }
}

fn refused(path: &str, error: &FsError) -> Found {
    let what = match error {
        FsError::Unsafe { what, .. } => (*what).to_owned(),
        FsError::Io { .. } => format!("cannot be looked at: {}", error_chain(error)),
    };
    Found::Unsafe { path: path.to_owned(), what }
}

fn doubt(path: String, entry: Entry, each: &mut Each<'_>) -> Result<(), Enough> {
    match entry.doubt {
        Some(what) => show(each, Found::Unsafe { path, what: what.to_owned() }),
        None => Ok(()),
    }
}

fn foreign(path: String, entry: Entry, each: &mut Each<'_>) -> Result<(), Enough> {
    left(LeftoverKind::Foreign, path, entry, each)
}

fn left(kind: LeftoverKind, path: String, entry: Entry, each: &mut Each<'_>) -> Result<(), Enough> {
    show(each, Found::Left(Leftover { kind, path, size: entry.size }))
}

fn blob(digest: Digest, entry: Entry) -> Found {
    let doubt = match entry.kind {
        EntryKind::File => entry.doubt,
        EntryKind::Folder | EntryKind::Other => Some("is not a regular file"),
    };
    Found::Blob { digest, size: entry.size, doubt }
}

fn is_shard(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
