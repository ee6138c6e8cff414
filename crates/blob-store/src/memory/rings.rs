//! Rings in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use model::{Digest, Generation, GenerationError, RingName};

use crate::survey::{GenerationState, PointerState, RingState};
use crate::{Current, Published, RingStore, StoreError};

/// Keeps rings in memory. Clones share what they keep, as two processes share a folder.
#[derive(Clone, Debug, Default)]
pub struct MemoryRings {
    rings: Arc<Mutex<HashMap<RingName, Ring>>>,
}

/// What a disk does to a ring's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingDamage {
    /// The pointer is gone.
    PointerLost,
    /// The pointer names nothing any more.
    PointerGarbled,
    /// The file of this generation is gone.
    Lost(u64),
    /// The file of this generation does not decode any more.
    Garbled(u64),
    /// Everything of the ring is gone.
    AllLost,
}

#[derive(Clone, Debug, Default)]
struct Ring {
    generations: BTreeMap<u64, Kept>,
    pointer: Pointer,
}

/// A generation's file.
#[derive(Clone, Debug)]
struct Kept {
    current: Current,
    whole: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Pointer {
    #[default]
    Absent,
    Garbled,
    At(u64, Digest),
}

impl Pointer {
    fn number(self) -> Option<u64> {
        match self {
            Self::At(number, _) => Some(number),
            Self::Absent | Self::Garbled => None,
        }
    }
}

impl Ring {
    /// What the pointer names, if that is whole.
    fn pointed(&self) -> Option<&Current> {
        let Pointer::At(number, digest) = self.pointer else { return None };
        let kept = self.generations.get(&number)?;
        (kept.whole && kept.current.digest == digest).then_some(&kept.current)
    }

    /// What is served, passing over a generation that is prepared and about to be published.
    fn served(&self, except: Option<u64>) -> Result<Option<&Current>, StoreError> {
        if let Some(current) = self.pointed() {
            return Ok(Some(current));
        }
        let others = || self.generations.iter().rev().filter(|(number, _)| Some(**number) != except);
        match (others().find(|(_, kept)| kept.whole), others().next()) {
            (Some((_, kept)), _) => Ok(Some(&kept.current)),
            (None, Some((number, _))) => Err(damaged(*number)),
            (None, None) => Ok(None),
        }
    }

    fn prepare(&mut self, generation: &Generation) -> Result<Digest, StoreError> {
        let digest = Digest::of(&generation.encode());
        let number = generation.number;
        let there = self.generations.get(&number);
        if there.is_some_and(|kept| !kept.whole || kept.current.digest != digest) {
            let free = match self.pointer {
                Pointer::At(pointed, wanted) if pointed == number => wanted == digest,
                _ => self.served(None)?.is_none_or(|current| current.generation.number != number),
            };
            if !free {
                return Err(StoreError::Conflict { ring: generation.ring.clone(), found: number });
            }
        }
        let current = Current { generation: generation.clone(), digest };
        self.generations.insert(number, Kept { current, whole: true });
        Ok(digest)
    }

    fn state(&self) -> PointerState {
        let bad = |number, what: &str| PointerState::Bad { number, what: what.to_owned() };
        match (self.pointer, self.pointed()) {
            (Pointer::Absent, _) => PointerState::Absent,
            (Pointer::Garbled, _) => bad(None, "does not name a generation"),
            (Pointer::At(number, digest), Some(_)) => PointerState::Good { number, digest },
            (Pointer::At(number, _), None) => bad(Some(number), "names no whole generation"),
        }
    }
}

fn damaged(number: u64) -> StoreError {
    StoreError::Damaged { path: format!("generation-{number}"), source: GenerationError::Checksum }
}

impl MemoryRings {
    /// No rings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy that goes its own way from here on.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { rings: Arc::new(Mutex::new(self.rings().clone())) }
    }

    /// Does to a ring what a disk can do to it; nothing to what is not there.
    pub fn damage(&self, ring: &RingName, damage: RingDamage) {
        let mut rings = self.rings();
        let Some(there) = rings.get_mut(ring) else { return };
        match damage {
            RingDamage::PointerLost => there.pointer = Pointer::Absent,
            RingDamage::PointerGarbled => there.pointer = Pointer::Garbled,
            RingDamage::Lost(number) => drop(there.generations.remove(&number)),
            RingDamage::Garbled(number) => {
                if let Some(kept) = there.generations.get_mut(&number) {
                    kept.whole = false;
                }
            }
            RingDamage::AllLost => drop(rings.remove(ring)),
        }
    }

    fn rings(&self) -> MutexGuard<'_, HashMap<RingName, Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RingStore for MemoryRings {
    async fn current(&self, ring: &RingName) -> Result<Option<Current>, StoreError> {
        match self.rings().get(ring) {
            Some(ring) => Ok(ring.served(None)?.cloned()),
            None => Ok(None),
        }
    }

    async fn prepare(&self, generation: &Generation) -> Result<Digest, StoreError> {
        self.rings().entry(generation.ring.clone()).or_default().prepare(generation)
    }

    async fn publish(&self, generation: &Generation, expected: Option<Digest>) -> Result<Published, StoreError> {
        let mut rings = self.rings();
        let ring = rings.entry(generation.ring.clone()).or_default();
        let there = match ring.served(Some(generation.number)) {
            // Who expects nothing knows that nothing is whole, and makes the ring anew.
            Err(StoreError::Damaged { .. }) if expected.is_none() => None,
            there => there?,
        };
        let found = there.map_or(0, |current| current.generation.number);
        let stale = there.is_some() && generation.number <= found;
        if there.map(|current| current.digest) != expected || stale {
            return Err(StoreError::Conflict { ring: generation.ring.clone(), found });
        }
        let digest = ring.prepare(generation)?;
        ring.pointer = Pointer::At(generation.number, digest);
        Ok(Published { number: generation.number, digest })
    }

    async fn generation(&self, ring: &RingName, number: u64) -> Result<Option<Generation>, StoreError> {
        match self.rings().get(ring).and_then(|ring| ring.generations.get(&number)) {
            None => Ok(None),
            Some(kept) if kept.whole => Ok(Some(kept.current.generation.clone())),
            Some(_) => Err(damaged(number)),
        }
    }

    async fn numbers(&self, ring: &RingName) -> Result<Vec<u64>, StoreError> {
        Ok(self.rings().get(ring).map(|ring| ring.generations.keys().copied().collect()).unwrap_or_default())
    }

    async fn rings(&self) -> Result<Vec<RingName>, StoreError> {
        let mut names: Vec<RingName> = self.rings().keys().cloned().collect();
        names.sort();
        Ok(names)
    }

    async fn inspect(&self, ring: &RingName) -> Result<RingState, StoreError> {
        let rings = self.rings();
        let Some(ring) = rings.get(ring) else {
            return Ok(RingState { pointer: PointerState::Absent, generations: Vec::new(), others: Vec::new() });
        };
        let fault = |kept: &Kept| (!kept.whole).then(|| "does not decode".to_owned());
        let states = ring.generations.iter();
        let generations =
            states.map(|(number, kept)| GenerationState { number: *number, size: 0, fault: fault(kept) }).collect();
        Ok(RingState { pointer: ring.state(), generations, others: Vec::new() })
    }

    async fn mend(&self, ring: &RingName) -> Result<Option<u64>, StoreError> {
        let mut rings = self.rings();
        let Some(ring) = rings.get_mut(ring).filter(|ring| ring.pointed().is_none()) else { return Ok(None) };
        let Some(current) = ring.served(None)? else { return Ok(None) };
        let (number, digest) = (current.generation.number, current.digest);
        ring.pointer = Pointer::At(number, digest);
        Ok(Some(number))
    }

    async fn confirm(&self, ring: &RingName, digest: Digest) -> Result<bool, StoreError> {
        let rings = self.rings();
        Ok(rings.get(ring).and_then(Ring::pointed).is_some_and(|current| current.digest == digest))
    }

    async fn remove(&self, ring: &RingName, number: u64) -> Result<(), StoreError> {
        let mut rings = self.rings();
        let Some(ring) = rings.get_mut(ring) else { return Ok(()) };
        let served = ring.served(None)?.map(|current| current.generation.number);
        if ring.pointer.number() == Some(number) || served == Some(number) {
            let path = format!("generation-{number}");
            return Err(StoreError::Unsafe { path, what: "is what the ring serves, and stays" });
        }
        ring.generations.remove(&number);
        Ok(())
    }
}
