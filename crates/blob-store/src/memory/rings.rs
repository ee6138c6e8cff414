//! Rings in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use model::{Digest, Generation, RingName};

use crate::survey::{GenerationState, PointerState, RingState};
use crate::{Current, Published, RingStore, StoreError};

/// Keeps rings in memory. Clones share what they keep, as two processes share a folder.
#[derive(Clone, Debug, Default)]
pub struct MemoryRings {
    rings: Arc<Mutex<HashMap<RingName, Ring>>>,
}

#[derive(Clone, Debug, Default)]
struct Ring {
    generations: BTreeMap<u64, Current>,
    current: Option<u64>,
}

impl Ring {
    fn served(&self) -> Option<&Current> {
        self.served_but(None)
    }

    /// What is served, passing over a generation that is prepared and about to be published.
    fn served_but(&self, except: Option<u64>) -> Option<&Current> {
        match self.current.and_then(|number| self.generations.get(&number)) {
            Some(current) => Some(current),
            None => self.generations.values().rfind(|found| Some(found.generation.number) != except),
        }
    }

    fn prepare(&mut self, generation: &Generation) -> Result<Digest, StoreError> {
        let digest = Digest::of(&generation.encode());
        let number = generation.number;
        let served = self.served().filter(|current| current.generation.number == number);
        if served.is_some_and(|current| current.digest != digest) {
            return Err(StoreError::Conflict { ring: generation.ring.clone(), found: number });
        }
        self.generations.insert(number, Current { generation: generation.clone(), digest });
        Ok(digest)
    }
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

    fn rings(&self) -> MutexGuard<'_, HashMap<RingName, Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RingStore for MemoryRings {
    async fn current(&self, ring: &RingName) -> Result<Option<Current>, StoreError> {
        Ok(self.rings().get(ring).and_then(|ring| ring.served().cloned()))
    }

    async fn prepare(&self, generation: &Generation) -> Result<Digest, StoreError> {
        self.rings().entry(generation.ring.clone()).or_default().prepare(generation)
    }

    async fn publish(&self, generation: &Generation, expected: Option<Digest>) -> Result<Published, StoreError> {
        let mut rings = self.rings();
        let ring = rings.entry(generation.ring.clone()).or_default();
        let (found, there) = match ring.served_but(Some(generation.number)) {
            Some(current) => (current.generation.number, Some(current.digest)),
            None => (0, None),
        };
        if there != expected || (there.is_some() && generation.number <= found) {
            return Err(StoreError::Conflict { ring: generation.ring.clone(), found });
        }
        let digest = ring.prepare(generation)?;
        ring.current = Some(generation.number);
        Ok(Published { number: generation.number, digest })
    }

    async fn generation(&self, ring: &RingName, number: u64) -> Result<Option<Generation>, StoreError> {
        let rings = self.rings();
        Ok(rings.get(ring).and_then(|ring| ring.generations.get(&number)).map(|found| found.generation.clone()))
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
        let ring = rings.get(ring);
        let current = ring.and_then(|ring| ring.generations.get(&ring.current?));
        let pointer = current.map_or(PointerState::Absent, |current| PointerState::Good {
            number: current.generation.number,
            digest: current.digest,
        });
        let numbers = ring.into_iter().flat_map(|ring| ring.generations.keys());
        let generations = numbers.map(|number| GenerationState { number: *number, size: 0, fault: None }).collect();
        Ok(RingState { pointer, generations, others: Vec::new() })
    }

    async fn mend(&self, ring: &RingName) -> Result<Option<u64>, StoreError> {
        let mut rings = self.rings();
        let Some(ring) = rings.get_mut(ring).filter(|ring| ring.current.is_none()) else { return Ok(None) };
        ring.current = ring.served().map(|current| current.generation.number);
        Ok(ring.current)
    }

    async fn confirm(&self, ring: &RingName, digest: Digest) -> Result<bool, StoreError> {
        Ok(self.rings().get(ring).and_then(|ring| ring.served()).is_some_and(|current| current.digest == digest))
    }

    async fn remove(&self, ring: &RingName, number: u64) -> Result<(), StoreError> {
        let mut rings = self.rings();
        let Some(ring) = rings.get_mut(ring) else { return Ok(()) };
        if ring.served().is_some_and(|current| current.generation.number == number) {
            let path = format!("generation-{number}");
            return Err(StoreError::Unsafe { path, what: "is what the ring serves, and stays" });
        }
        ring.generations.remove(&number);
        Ok(())
    }
}
