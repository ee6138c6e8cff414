//! Looks at a ring's folder whole, and writes a pointer again that names nothing. Everything here blocks.

use model::{Digest, GenerationError, RingName, error_chain};
use platform::fs::{Folder, FsError, Mode};

use super::folder::{CURRENT, FileState, GENERATION_CAP, LOCK, Rings, file_name, numbers_in};
use super::pointer::{Pointer, number_of};
use crate::StoreError;
use crate::survey::{Found, GenerationState, Leftover, LeftoverKind, PointerState, RingState};

impl Rings {
    pub(super) fn inspect(&self, ring: &RingName) -> Result<RingState, StoreError> {
        let Some(folder) = self.ring(ring)? else {
            return Ok(RingState { pointer: PointerState::Absent, generations: Vec::new(), others: Vec::new() });
        };
        let pointer = self.pointer_state(&folder, ring);
        let mut generations = Vec::new();
        for number in numbers_in(&folder)? {
            generations.extend(self.generation_state(&folder, ring, number));
        }
        Ok(RingState { pointer, generations, others: self.others(&folder)? })
    }

    pub(super) fn pointer(&self, ring: &RingName) -> Result<PointerState, StoreError> {
        let folder = self.ring(ring)?;
        Ok(folder.map_or(PointerState::Absent, |folder| self.pointer_state(&folder, ring)))
    }

    /// Writes the pointer again when it does not name a whole generation, so that it names what is served instead;
    /// gives that generation's number.
    pub(super) fn mend(&self, ring: &RingName) -> Result<Option<u64>, StoreError> {
        if self.ring(ring)?.is_none() {
            return Ok(None);
        }
        let (folder, _lock) = self.locked(ring)?;
        if matches!(self.pointer_state(&folder, ring), PointerState::Good { .. }) {
            return Ok(None);
        }
        let Some(current) = self.current_in(&folder, ring)? else { return Ok(None) };
        let pointer = Pointer { number: current.generation.number, digest: current.digest };
        folder.write_atomic(CURRENT, pointer.to_string().as_bytes(), Mode::FILE)?;
        Ok(Some(pointer.number))
    }

    /// See [`crate::RingStore::confirm`]. What stands there is written anew: after a flush that failed the system may
    /// have forgotten what never reached the disk, and a second flush of the same would lie.
    pub(super) fn confirm(&self, ring: &RingName, digest: Digest) -> Result<bool, StoreError> {
        if self.ring(ring)?.is_none() {
            return Ok(false);
        }
        let (folder, _lock) = self.locked(ring)?;
        let PointerState::Good { number, digest: there } = self.pointer_state(&folder, ring) else { return Ok(false) };
        if there != digest {
            return Ok(false);
        }
        let Some(bytes) = self.read(&folder, &file_name(number), GENERATION_CAP)? else { return Ok(false) };
        folder.write_atomic(&file_name(number), &bytes, Mode::FILE)?;
        folder.write_atomic(CURRENT, Pointer { number, digest }.to_string().as_bytes(), Mode::FILE)?;
        Ok(true)
    }

    fn pointer_state(&self, folder: &Folder, ring: &RingName) -> PointerState {
        let bad = |number, what: &str| PointerState::Bad { number, what: what.to_owned() };
        let pointer = match self.pointer_bytes_in(folder) {
            Err(error) => return bad(None, &format!("cannot be read: {}", error_chain(&error))),
            Ok(None) => return PointerState::Absent,
            Ok(Some(bytes)) => Pointer::read(&bytes),
        };
        let Some(Pointer { number, digest }) = pointer else { return bad(None, "does not name a generation") };
        match self.file(folder, ring, number) {
            Ok(FileState::Good(current)) if current.digest == digest => PointerState::Good { number, digest },
            Ok(FileState::Good(_)) => bad(Some(number), "names a generation with another digest than its file has"),
            Ok(FileState::Missing) => bad(Some(number), "names a generation that has no file"),
            Ok(FileState::Damaged(source)) => bad(Some(number), &format!("names a damaged generation: {source}")),
            Err(error) => bad(Some(number), &format!("names a generation that is refused: {}", error_chain(&error))),
        }
    }

    fn generation_state(&self, folder: &Folder, ring: &RingName, number: u64) -> Option<GenerationState> {
        let size = match folder.look(&file_name(number), self.owners()) {
            Ok(Some(entry)) => entry.size,
            Ok(None) => return None,
            Err(_) => 0,
        };
        let fault = match self.file(folder, ring, number) {
            // It went while we looked.
            Ok(FileState::Missing) => return None,
            Ok(FileState::Good(_)) => None,
            Ok(FileState::Damaged(GenerationError::Line(1))) => {
                Some("does not say that it is what its name says".into())
            }
            Ok(FileState::Damaged(source)) => Some(format!("does not decode: {source}")),
            Err(error) => Some(format!("is refused: {}", error_chain(&error))),
        };
        let fault = fault.or((size > GENERATION_CAP).then(|| "is longer than a generation can be".to_owned()));
        Some(GenerationState { number, size, fault })
    }

    fn others(&self, folder: &Folder) -> Result<Vec<Found>, StoreError> {
        let mut others = Vec::new();
        for name in folder.names()?.collect::<Result<Vec<_>, FsError>>()? {
            let Some(entry) = folder.look(&name, self.owners())? else { continue };
            let path = folder.path().join(&name).display().to_string();
            let generation = name.strip_prefix("generation-").and_then(number_of).is_some();
            if generation || name == CURRENT || name == LOCK {
                others.extend(entry.doubt.map(|what| Found::Unsafe { path, what: what.to_owned() }));
            } else {
                let kind = if Folder::is_temp(&name) { LeftoverKind::Temporary } else { LeftoverKind::Foreign };
                others.push(Found::Left(Leftover { kind, path, size: entry.size }));
            }
        }
        Ok(others)
    }
}
