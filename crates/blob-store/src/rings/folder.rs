//! One ring's folder: reading and moving its pointer. Everything here blocks.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt as _;

use model::{Digest, Generation, GenerationError, RingName};
use platform::fs::{Folder, FsError, Mode, Owners};
use platform::lock::FileLock;

use super::pointer::{HIGHEST, Pointer, number_of};
use crate::data::{DataFolder, flush, io_at};
use crate::{Current, Published, StoreError};

/// Where rings lie.
const RINGS: &str = "rings";
/// The pointer's file.
pub(super) const CURRENT: &str = "current";
/// Held while the pointer moves.
pub(super) const LOCK: &str = ".lock";
/// The most bytes of a pointer that are read: the longest whole one has 86.
const POINTER_CAP: u64 = 128;
/// The most bytes that a generation's file may have: room for its million routes.
pub(super) const GENERATION_CAP: u64 = 512 * 1024 * 1024;

/// A longer file is looked at before it is read.
const LARGE: u64 = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Rings {
    data: DataFolder,
}

/// What a generation's file turned out to be.
pub(super) enum FileState {
    Missing,
    Damaged(GenerationError),
    Good(Current),
}

impl Rings {
    pub(crate) fn new(data: DataFolder) -> Self {
        Self { data }
    }

    /// The rings that have a folder, in order of name.
    pub(crate) fn names(&self) -> Result<Vec<RingName>, StoreError> {
        let Some(folder) = self.data.folder_if_there(RINGS)? else { return Ok(Vec::new()) };
        let names = folder.names()?.collect::<Result<Vec<_>, _>>()?;
        let mut rings: Vec<RingName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        rings.sort();
        Ok(rings)
    }

    /// The pointer's bytes as they are, to see whether it moved.
    pub(crate) fn pointer_bytes(&self, ring: &RingName) -> Result<Option<Vec<u8>>, StoreError> {
        match self.ring(ring)? {
            Some(folder) => self.pointer_bytes_in(&folder),
            None => Ok(None),
        }
    }

    pub(super) fn pointer_bytes_in(&self, folder: &Folder) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(folder, CURRENT, POINTER_CAP)
    }

    pub(super) fn owners(&self) -> Owners {
        self.data.owners()
    }

    pub(crate) fn current(&self, ring: &RingName) -> Result<Option<Current>, StoreError> {
        match self.ring(ring)? {
            Some(folder) => self.current_in(&folder, ring),
            None => Ok(None),
        }
    }

    pub(super) fn prepare(&self, generation: &Generation) -> Result<Digest, StoreError> {
        let (folder, _lock) = self.locked(&generation.ring)?;
        self.prepare_in(&folder, generation)
    }

    pub(super) fn publish(&self, generation: &Generation, expected: Option<Digest>) -> Result<Published, StoreError> {
        let (folder, _lock) = self.locked(&generation.ring)?;
        let there = match self.served(&folder, &generation.ring, Some(generation.number)) {
            // Who expects nothing knows that no file is whole, and makes the ring anew; a newer program's file is whole.
            Err(StoreError::Damaged { source, .. }) if expected.is_none() && !source.is_newer() => None,
            there => there?,
        };
        let found = there.as_ref().map_or(0, |current| current.generation.number);
        // Numbers only go up, so that the newest file is what a lost pointer falls back to.
        let stale = there.is_some() && generation.number <= found;
        if there.map(|current| current.digest) != expected || stale {
            return Err(StoreError::Conflict { ring: generation.ring.clone(), found });
        }
        let digest = self.prepare_in(&folder, generation)?;
        let pointer = Pointer { number: generation.number, digest };
        folder.write_atomic(CURRENT, pointer.to_string().as_bytes(), Mode::FILE)?;
        Ok(Published { number: generation.number, digest })
    }

    pub(super) fn generation(&self, ring: &RingName, number: u64) -> Result<Option<Generation>, StoreError> {
        let Some(folder) = self.ring(ring)? else { return Ok(None) };
        match self.file(&folder, ring, number)? {
            FileState::Missing => Ok(None),
            FileState::Good(found) => Ok(Some(found.generation)),
            FileState::Damaged(source) => Err(damaged(&folder, number, source)),
        }
    }

    pub(super) fn numbers(&self, ring: &RingName) -> Result<Vec<u64>, StoreError> {
        match self.ring(ring)? {
            Some(folder) => numbers_in(&folder),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn remove(&self, ring: &RingName, number: u64) -> Result<(), StoreError> {
        self.data.writable("remove a generation from")?;
        if self.ring(ring)?.is_none() {
            return Ok(());
        }
        let (folder, _lock) = self.locked(ring)?;
        let pointed = self.pointer_in(&folder)?.map(|pointer| pointer.number);
        let served = self.current_in(&folder, ring)?.map(|current| current.generation.number);
        if pointed == Some(number) || served == Some(number) {
            let path = folder.path().join(file_name(number)).display().to_string();
            return Err(StoreError::Unsafe { path, what: "is what the ring serves, and stays" });
        }
        // Not flushed: a file that a power cut brings back is removed by the next gc.
        folder.remove(&file_name(number))?;
        Ok(())
    }

    pub(super) fn ring(&self, ring: &RingName) -> Result<Option<Folder>, StoreError> {
        self.data.folder_if_there(&format!("{RINGS}/{ring}"))
    }

    /// The ring's folder, made if it is not there, and the lock on its pointer.
    pub(super) fn locked(&self, ring: &RingName) -> Result<(Folder, FileLock), StoreError> {
        self.data.writable("publish to")?;
        self.data.ensure(RINGS, Mode::FOLDER)?.ensure_folder(ring.as_str(), Mode::FOLDER)?;
        let folder = self.data.folder(&format!("{RINGS}/{ring}"))?;
        let lock = FileLock::acquire_blocking_in(&folder, LOCK)?;
        folder.tidy_temps()?;
        Ok((folder, lock))
    }

    pub(super) fn current_in(&self, folder: &Folder, ring: &RingName) -> Result<Option<Current>, StoreError> {
        self.served(folder, ring, None)
    }

    /// What the pointer names, or else the newest whole generation but for `except`: one that is prepared and
    /// about to be published must not stand in its own way.
    fn served(&self, folder: &Folder, ring: &RingName, except: Option<u64>) -> Result<Option<Current>, StoreError> {
        let pointer = self.pointer_in(folder)?;
        if let Some(pointer) = pointer {
            match self.file(folder, ring, pointer.number)? {
                FileState::Good(current) if current.digest == pointer.digest => return Ok(Some(current)),
                // Not damage: a newer program wrote it, and going back behind its back would be wrong.
                FileState::Damaged(source @ GenerationError::Format(_)) => {
                    return Err(damaged(folder, pointer.number, source));
                }
                FileState::Good(_) | FileState::Damaged(_) | FileState::Missing => {}
            }
        }
        let newest = self.newest(folder, ring, except)?;
        if let Some(current) = &newest {
            let number = current.generation.number;
            tracing::warn!(%ring, number, "the ring's pointer does not name a whole generation: the newest whole one is served");
        }
        Ok(newest)
    }

    /// The newest generation that decodes. Files of which none does are damage, not an empty ring.
    fn newest(&self, folder: &Folder, ring: &RingName, except: Option<u64>) -> Result<Option<Current>, StoreError> {
        let mut first_damage = None;
        for number in numbers_in(folder)?.into_iter().rev().filter(|number| Some(*number) != except) {
            match self.file(folder, ring, number)? {
                FileState::Good(current) => return Ok(Some(current)),
                FileState::Damaged(source @ GenerationError::Format(_)) => return Err(damaged(folder, number, source)),
                FileState::Damaged(source) => first_damage = first_damage.or(Some((number, source))),
                FileState::Missing => {}
            }
        }
        match first_damage {
            None => Ok(None),
            Some((number, source)) => Err(damaged(folder, number, source)),
        }
    }

    fn pointer_in(&self, folder: &Folder) -> Result<Option<Pointer>, StoreError> {
        let bytes = self.pointer_bytes_in(folder)?.unwrap_or_default();
        Ok(Pointer::read(&bytes))
    }

    pub(super) fn file(&self, folder: &Folder, ring: &RingName, number: u64) -> Result<FileState, StoreError> {
        if number > HIGHEST {
            return Ok(FileState::Missing);
        }
        let Some(bytes) = self.read(folder, &file_name(number), GENERATION_CAP)? else { return Ok(FileState::Missing) };
        Ok(match Generation::decode(&bytes) {
            Err(source) => FileState::Damaged(source),
            // A whole file under another's name is as wrong as a broken one.
            Ok(other) if other.ring != *ring || other.number != number => FileState::Damaged(GenerationError::Line(1)),
            Ok(generation) => FileState::Good(Current { generation, digest: Digest::of(&bytes) }),
        })
    }

    /// A small file's bytes, `cap` of them at most: what is longer than it can be does not decode.
    ///
    /// What the disk cannot give back is damaged like any other: it comes back empty, which never decodes either, so
    /// that readers pass it by and writers replace it.
    pub(super) fn read(&self, folder: &Folder, name: &str, cap: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = || folder.path().join(name).display().to_string();
        let lost = |error: &dyn std::error::Error| {
            tracing::error!(path = path(), error = %error, "the disk cannot read this: it counts as damaged");
            Ok(Some(Vec::new()))
        };
        let (file, length) = match folder.open_plain(name, self.data.owners()) {
            Ok(opened) => opened,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) if error.says_bad_medium() => return lost(&error),
            Err(error) => return Err(error.into()),
        };
        if length > cap || !ends_in_a_line(&file, length) {
            // No file of ours, however large it claims to be: nothing of it is taken into memory.
            return Ok(Some(Vec::new()));
        }
        let mut bytes = Vec::new();
        match file.take(cap).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if platform::fs::says_bad_medium(&error) => lost(&error),
            Err(source) => Err(io_at("read", path())(source)),
        }
    }

    /// Makes the generation's file durable, under the lock.
    fn prepare_in(&self, folder: &Folder, generation: &Generation) -> Result<Digest, StoreError> {
        let (number, name) = (generation.number, file_name(generation.number));
        if number > HIGHEST {
            let path = folder.path().join(&name).display().to_string();
            return Err(StoreError::Unsafe { path, what: "would have a number that is no generation's" });
        }
        let bytes = generation.encode();
        let digest = Digest::of(&bytes);
        // Nothing is written that a reader would refuse.
        if let Err(source) = Generation::decode(&bytes) {
            return Err(damaged(folder, number, source));
        }
        match self.read(folder, &name, GENERATION_CAP)? {
            Some(there) if there == bytes => {
                // It was flushed before it got its name, but who named it may not have flushed the folder.
                flush(folder)?;
                return Ok(digest);
            }
            Some(_) => self.replaceable(folder, &generation.ring, Pointer { number, digest })?,
            None => {}
        }
        folder.write_atomic(&name, &bytes, Mode::FILE)?;
        Ok(digest)
    }

    /// Whether a file whose bytes differ may give way: it is the leftover of a publication that did not
    /// happen, or `by` is what it should have been.
    fn replaceable(&self, folder: &Folder, ring: &RingName, by: Pointer) -> Result<(), StoreError> {
        let pointed = self.pointer_in(folder)?.filter(|pointer| pointer.number == by.number);
        let free = match pointed {
            Some(pointer) => pointer.digest == by.digest,
            None => self.current_in(folder, ring)?.is_none_or(|current| current.generation.number != by.number),
        };
        if free { Ok(()) } else { Err(StoreError::Conflict { ring: ring.clone(), found: by.number }) }
    }
}

pub(super) fn file_name(number: u64) -> String {
    format!("generation-{number}")
}

pub(super) fn numbers_in(folder: &Folder) -> Result<Vec<u64>, StoreError> {
    let names = folder.names()?.collect::<Result<Vec<_>, FsError>>()?;
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| name.strip_prefix("generation-").and_then(number_of)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Whether what is large ends as every file of ours does; what is small is read to see. A hole that claims to be hundreds
/// of megabytes ends in a zero.
fn ends_in_a_line(file: &File, length: u64) -> bool {
    let mut last = [0];
    // What the disk cannot give back is told by whoever reads it whole.
    length <= LARGE || file.read_exact_at(&mut last, length - 1).is_err() || last == *b"\n"
}

fn damaged(folder: &Folder, number: u64, source: GenerationError) -> StoreError {
    StoreError::Damaged { path: folder.path().join(file_name(number)).display().to_string(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // tests

    use super::*;
    use crate::data::{Access, flushed};

    /// Who named the file may have died before flushing the folder: whoever finds it there flushes for both.
    #[test]
    fn a_generation_that_is_there_already_is_made_durable_again_s12() {
        let dir = tempfile::tempdir().unwrap();
        let rings = Rings::new(DataFolder::open(&dir.path().join("data"), Access::ReadWrite).unwrap());
        let made = Generation { number: 1, ..Generation::empty(RingName::broad(), model::Timestamp::from_micros(7)) };
        rings.prepare(&made).unwrap();
        flushed::take();
        rings.prepare(&made).unwrap();
        assert!(flushed::take().iter().any(|folder| folder.ends_with("rings/broad")), "the same bytes: flushed");
    }
}
