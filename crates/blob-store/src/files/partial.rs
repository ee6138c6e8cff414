//! Unfinished downloads: who may write which, and what is left of them after a restart. Everything here blocks.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use model::{Digest, Hasher, Timestamp};
use platform::fs::{EntryKind, Folder, FsError, Owners, flush, modified};
use platform::lock::{Attempt, IfMissing, try_lock};

use super::blobs::hash;
use crate::data::io_at;
use crate::{PartialKey, StoreError};

/// The longest tag that is read back; the bytes beside a longer one are not resumed.
const TAG_CAP: usize = 16 * 1024;

/// The folder of unfinished downloads.
#[derive(Debug)]
pub(super) struct Partials {
    folder: Folder,
}

/// A file being written, locked by us.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) folder: Folder,
    pub(super) file: File,
    pub(super) name: String,
    /// Set when its bytes are worth keeping for a resume.
    key: Option<PartialKey>,
}

/// What is left of an earlier download.
pub(super) enum Left {
    /// Nothing.
    Nothing,
    /// Somebody writes it right now.
    Busy,
    /// These bytes, hashed again, and their tag.
    Bytes(Box<Resumed>),
}

/// An earlier download, ready to go on.
pub(super) struct Resumed {
    pub(super) draft: Draft,
    pub(super) hasher: Hasher,
    pub(super) tag: String,
}

impl Partials {
    pub(super) fn new(folder: Folder) -> Self {
        Self { folder }
    }

    /// What is left of the download `key`.
    pub(super) fn left(self, key: PartialKey) -> Result<Left, StoreError> {
        let name = part_name(key);
        let file = match try_lock(&self.folder, &name, IfMissing::Say)? {
            Attempt::Missing => return Ok(Left::Nothing),
            Attempt::Busy => return Ok(Left::Busy),
            Attempt::Locked(file) => file,
        };
        let mut draft = Draft { folder: self.folder, file, name, key: Some(key) };
        // What cannot be read back, or belongs to no known validator, is fetched again rather than guessed at.
        match (draft.read_tag(key)?, hash(&mut draft.file)) {
            (Some(tag), Ok(hasher)) if hasher.bytes() > 0 => Ok(Left::Bytes(Box::new(Resumed { draft, hasher, tag }))),
            _ => {
                draft.discard()?;
                Ok(Left::Nothing)
            }
        }
    }

    /// A file for the bytes of `key`, empty; nothing if somebody else writes it.
    pub(super) fn claim(self, key: PartialKey, tag: &str) -> Result<Option<Draft>, StoreError> {
        let name = part_name(key);
        let Attempt::Locked(file) = try_lock(&self.folder, &name, IfMissing::Create)? else { return Ok(None) };
        let mut draft = Draft { folder: self.folder, file, name, key: Some(key) };
        draft.restart(tag)?;
        Ok(Some(draft))
    }

    /// A file that nobody resumes.
    pub(super) fn private(self) -> Result<Draft, StoreError> {
        loop {
            let name = platform::unique_name("tmp-");
            let file = match self.folder.create_new(&name) {
                Ok(file) => file,
                Err(error) if error.is_taken() => continue,
                Err(error) => return Err(error.into()),
            };
            // Locked so that tidying sees that it is in use.
            file.try_lock().map_err(|error| io_at("lock", self.path(&name))(error.into()))?;
            return Ok(Draft { folder: self.folder, file, name, key: None });
        }
    }

    /// Removes what nobody writes and nobody touched since `before`.
    pub(super) fn tidy(self, before: Timestamp) -> Result<u64, StoreError> {
        let mut freed = 0;
        for name in self.folder.names()? {
            let name = name?;
            freed += match name.rsplit_once('.') {
                Some((stem, "part")) if stem.parse::<Digest>().is_ok() => {
                    let size = self.tidy_one(&name, before)?;
                    if size.is_some() {
                        self.folder.remove(&format!("{stem}.tag"))?;
                    }
                    size.unwrap_or(0)
                }
                Some((stem, "tag")) if stem.parse::<Digest>().is_ok() => {
                    let part = self.folder.look(&format!("{stem}.part"), Owners::us())?;
                    if part.is_none() { self.tidy_one(&name, before)?.unwrap_or(0) } else { 0 }
                }
                None if name.starts_with("tmp-") => self.tidy_one(&name, before)?.unwrap_or(0),
                _ => 0,
            };
        }
        Ok(freed)
    }

    fn tidy_one(&self, name: &str, before: Timestamp) -> Result<Option<u64>, StoreError> {
        match self.folder.look(name, Owners::us())? {
            Some(entry) if entry.kind == EntryKind::File && entry.doubt.is_none() => {}
            _ => return Ok(None),
        }
        let Attempt::Locked(file) = try_lock(&self.folder, name, IfMissing::Say)? else { return Ok(None) };
        let touched = modified(&file).map_err(io_at("look at", self.path(name)))?;
        let size = file.metadata().map_err(io_at("look at", self.path(name)))?.len();
        if touched >= before {
            return Ok(None);
        }
        self.folder.remove(name)?;
        Ok(Some(size))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

impl Draft {
    pub(super) fn path(&self) -> String {
        self.folder.path().join(&self.name).display().to_string()
    }

    /// Empties the file and gives it another tag.
    ///
    /// Old bytes beside a new tag, or the other way round, would be resumed as what they are not. So the tag
    /// goes first, both are flushed where there was anything, and the new tag carries its own digest.
    pub(super) fn restart(&mut self, tag: &str) -> Result<(), StoreError> {
        let size = self.file.metadata().map_err(io_at("look at", self.path()))?.len();
        let had_tag = match self.key {
            Some(key) => self.folder.remove(&tag_name(key))?,
            None => false,
        };
        self.file.set_len(0).map_err(io_at("empty", self.path()))?;
        self.file.seek(SeekFrom::Start(0)).map_err(io_at("empty", self.path()))?;
        if size > 0 {
            flush(&self.file).map_err(io_at("flush", self.path()))?;
        }
        if had_tag {
            self.folder.sync()?;
        }
        match self.key {
            Some(key) => self.write_tag(key, tag),
            None => Ok(()),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(io_at("write", self.path()))
    }

    /// Removes the file and its tag.
    pub(super) fn discard(self) -> Result<(), StoreError> {
        self.folder.remove(&self.name)?;
        self.forget_tag()
    }

    /// Removes the tag of a file that was renamed away.
    pub(super) fn forget_tag(self) -> Result<(), StoreError> {
        if let Some(key) = self.key {
            self.folder.remove(&tag_name(key))?;
        }
        Ok(())
    }

    /// Ends the writing: what can be resumed stays, the rest goes.
    pub(super) fn leave(self) {
        if self.key.is_none() {
            let _tidied_later = self.folder.remove(&self.name);
        }
    }

    fn write_tag(&self, key: PartialKey, tag: &str) -> Result<(), StoreError> {
        let name = tag_name(key);
        let mut file = self.folder.create_new(&name)?;
        let text = format!("{} {tag}", Digest::of(tag.as_bytes()));
        file.write_all(text.as_bytes()).map_err(io_at("write", self.folder.path().join(name).display().to_string()))
    }

    /// The tag, if there is a whole one.
    fn read_tag(&self, key: PartialKey) -> Result<Option<String>, StoreError> {
        let file = match self.folder.open_plain(&tag_name(key), Owners::us()) {
            Ok((file, _)) => file,
            Err(FsError::Io { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut text = String::new();
        let cap = u64::try_from(TAG_CAP).unwrap_or(u64::MAX);
        if file.take(cap).read_to_string(&mut text).is_err() {
            return Ok(None);
        }
        let parsed = text.split_once(' ').and_then(|(digest, tag)| Some((digest.parse::<Digest>().ok()?, tag)));
        Ok(parsed.filter(|(digest, tag)| *digest == Digest::of(tag.as_bytes())).map(|(_, tag)| tag.to_owned()))
    }
}

fn part_name(PartialKey(digest): PartialKey) -> String {
    format!("{digest}.part")
}

fn tag_name(PartialKey(digest): PartialKey) -> String {
    format!("{digest}.tag")
}
