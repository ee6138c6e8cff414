//! Makes one file of a tree, and proves it before it has its name.

use std::fs::File;
use std::io::{Read, Seek, Write};

use blob_store::StoreError;
use blob_store::reader::BlobFiles;
use model::{Digest, Hasher, Route, Timestamp};
use platform::fs::{Folder, Look, Mode, flush, has_label_of, look_at_file, set_modified, share_bytes};

use crate::act::Hook;
use crate::error::FolderError;
use crate::records::Wrote;
use crate::survey::{READ, READABLE, hash};

/// Where bytes come from.
pub trait Source: Send + Sync {
    /// Opens the bytes of a digest, of which there are so many.
    ///
    /// # Errors
    /// [`StoreError`] when they are not there as they should be.
    fn open(&self, digest: Digest, size: u64) -> Result<File, StoreError>;
}

impl Source for BlobFiles {
    fn open(&self, digest: Digest, size: u64) -> Result<File, StoreError> {
        self.open_blob(digest, size)
    }
}

/// How a file gets into a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// As a file of its own, sharing bytes with the store's where the file system can.
    Copy,
    /// As another name of the store's file where that is allowed: on one file system, owned by us, 0644, and with the
    /// label that a file made there would have. A copy otherwise.
    Link,
}

/// A file of the tree that already has the bytes of a route.
pub(crate) struct Donor<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) name: &'a str,
}

/// A file that is to be made.
pub(crate) struct Put<'a> {
    pub(crate) name: &'a str,
    pub(crate) route: &'a Route,
    /// When what stands at the path now was last written, if anything does: in nanoseconds.
    pub(crate) stood: Option<i128>,
}

impl Put<'_> {
    /// Whether a file may stand at the path with the time that it has. Other bytes have a later one than those before, as
    /// HTTP writes it: who asks for what is newer than those must be given these (RFC 9110, 13.1.3).
    fn takes(&self, look: &Look) -> bool {
        self.stood.is_none_or(|stood| look.modified.div_euclid(SECOND) > stood.div_euclid(SECOND))
    }

    /// The time of a file of its own.
    fn time(&self) -> Timestamp {
        let after =
            self.stood.and_then(|stood| i64::try_from((stood + SECOND) / 1000).ok()).map(Timestamp::from_micros);
        after.map_or(self.route.since, |after| after.max(self.route.since))
    }
}

/// Nanoseconds in a second.
const SECOND: i128 = 1_000_000_000;

/// Makes files.
pub(crate) struct Maker<'a> {
    pub(crate) files: Files,
    pub(crate) source: &'a dyn Source,
    /// Left free on the disk.
    pub(crate) reserve: u64,
    pub(crate) hook: &'a Hook,
}

impl Maker<'_> {
    /// Makes a file under a name that is not taken, proven and durable but for its folder's entry. Answers how it looks,
    /// and how many bytes were written for it.
    pub(crate) fn make(&self, into: &Folder, put: &Put<'_>, donors: &[Donor<'_>]) -> Result<(Wrote, u64), FolderError> {
        let Put { name, route, .. } = *put;
        for donor in donors {
            if let Some(wrote) = self.lent(into, put, donor)? {
                return Ok((wrote, 0));
            }
        }
        let opened = self.source.open(route.digest, route.size);
        let mut blob =
            opened.map_err(|source| FolderError::Store { digest: route.digest, source: Box::new(source) })?;
        if self.files == Files::Link
            && let Some(wrote) = self.linked(into, put, &mut blob)?
        {
            return Ok((wrote, 0));
        }
        // It may have been read to its end to be proven.
        blob.rewind().map_err(FolderError::io("read", name))?;
        self.copied(into, put, &mut blob)
    }

    /// Another name of a file of the tree's own.
    fn lent(&self, into: &Folder, put: &Put<'_>, donor: &Donor<'_>) -> Result<Option<Wrote>, FolderError> {
        let Put { name, route, .. } = *put;
        // A donor is a help: where it cannot be had, the bytes are written.
        let Ok((mut file, size)) = donor.folder.open_regular(donor.name) else { return Ok(None) };
        if size != route.size || !may_link(&file, into).unwrap_or(false) {
            return Ok(None);
        }
        let look = look_at_file(&file).map_err(FolderError::io("look at", donor.name))?;
        if !put.takes(&look) || self.files == Files::Copy && look.names > 1 && is_the_stores(self.source, route, &look)
        {
            return Ok(None);
        }
        if hash(&mut file).map_err(FolderError::io("read", donor.name))? != route.digest {
            return Ok(None);
        }
        self.hook.act("link")?;
        Ok(if into.link_file(&file, name)? { Some(seen(&file, name, route.digest)?) } else { None })
    }

    fn linked(&self, into: &Folder, put: &Put<'_>, blob: &mut File) -> Result<Option<Wrote>, FolderError> {
        let Put { name, route, .. } = *put;
        let look = look_at_file(blob).map_err(FolderError::io("look at", name))?;
        if !put.takes(&look) || !may_link(blob, into).map_err(FolderError::io("look at", name))? {
            return Ok(None);
        }
        prove(blob, route.digest)?;
        self.hook.act("link")?;
        Ok(if into.link_file(blob, name)? { Some(seen(blob, name, route.digest)?) } else { None })
    }

    fn copied(&self, into: &Folder, put: &Put<'_>, blob: &mut File) -> Result<(Wrote, u64), FolderError> {
        let Put { name, route, .. } = *put;
        self.hook.act("create")?;
        let mut file = into.create_new(name)?;
        let filled = self.fill(into, put, (blob, &mut file));
        if filled.is_err() && self.hook.goes_on() {
            // What went wrong is what is told; a file left behind is tidied by the next run.
            let _ = into.remove(name);
        }
        let written = filled?;
        Ok((seen(&file, name, route.digest)?, written))
    }

    fn fill(&self, into: &Folder, put: &Put<'_>, (blob, file): (&mut File, &mut File)) -> Result<u64, FolderError> {
        let Put { name, route, .. } = *put;
        let written = if share_bytes(blob, file).map_err(FolderError::io("write", name))? {
            prove(file, route.digest)?;
            0
        } else {
            let free = into.free_bytes()?;
            if free < route.size.saturating_add(self.reserve) {
                let name = name.to_owned();
                return Err(FolderError::NoRoom { name, bytes: route.size, free, reserve: self.reserve });
            }
            same(copy((blob, route.digest), (file, name))?, route.digest)?;
            route.size
        };
        self.hook.act("write")?;
        set_modified(file, put.time()).map_err(FolderError::io("set the time of", name))?;
        Mode::FILE.apply(file).map_err(FolderError::io("set the mode of", name))?;
        flush(file).map_err(FolderError::io("flush", name))?;
        Ok(written)
    }
}

/// Whether a file of the tree is the store's own, under a second name.
pub(crate) fn is_the_stores(source: &dyn Source, route: &Route, look: &Look) -> bool {
    let blob = source.open(route.digest, route.size).ok().and_then(|blob| look_at_file(&blob).ok());
    blob.is_some_and(|blob| (blob.device, blob.inode) == (look.device, look.inode))
}

/// Whether a file may have another name in a folder: what others see of it there is what a file made there would show.
fn may_link(file: &File, into: &Folder) -> std::io::Result<bool> {
    let look = look_at_file(file)?;
    Ok(look.owner == platform::uid() && look.mode & 0o7777 == READABLE && has_label_of(file, into)?)
}

fn seen(file: &File, name: &str, digest: Digest) -> Result<Wrote, FolderError> {
    Ok(Wrote::seen(digest, &look_at_file(file).map_err(FolderError::io("look at", name))?))
}

fn prove(file: &mut File, digest: Digest) -> Result<(), FolderError> {
    same(hash(file).map_err(|source| FolderError::Unread { digest, source })?, digest)
}

fn same(actual: Digest, digest: Digest) -> Result<(), FolderError> {
    if actual == digest { Ok(()) } else { Err(FolderError::Damaged { digest, actual }) }
}

/// Copies, and hashes what it writes.
fn copy((from, digest): (&mut File, Digest), (to, name): (&mut File, &str)) -> Result<Digest, FolderError> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; READ];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(FolderError::Unread { digest, source }),
        };
        let chunk = buffer.get(..read).unwrap_or_default();
        hasher.update(chunk);
        to.write_all(chunk).map_err(FolderError::io("write", name))?;
    }
}
