//! A disk that damages or loses files of the ring now and then (S18, S40, S41), or the whole catalog (S18). Never both in
//! one life: each makes up for the loss of the other.

use blob_store::RingDamage;
use model::RingName;

use crate::draw::Draw;
use crate::stores::BuildError;
use crate::violation::Holds;
use crate::world::World;

/// So many steps out of a thousand, in every other life.
const RATE: u64 = 80;
/// So many steps out of a thousand lose the catalog, in half of the other lives.
const LOSES: u64 = 60;

pub(super) struct Disk {
    draw: Draw,
    rate: u64,
    loses: u64,
}

impl Disk {
    pub(super) fn new(mut draw: Draw) -> Self {
        let rate = if draw.chance(500) { RATE } else { 0 };
        let loses = if rate == 0 && draw.chance(500) { LOSES } else { 0 };
        Self { draw, rate, loses }
    }

    /// Perhaps the catalog is lost.
    pub(super) async fn lose(&mut self, world: &mut World) -> Result<(), BuildError> {
        if self.loses > 0 && self.draw.chance(self.loses) { world.lose_catalog().await } else { Ok(()) }
    }

    /// Perhaps something happens to the ring's files.
    pub(super) async fn wear(&mut self, world: &World) -> Result<Holds, BuildError> {
        if self.rate == 0 || !self.draw.chance(self.rate) {
            return Ok(Ok(()));
        }
        let ring = RingName::broad();
        let numbers = world.stores.generations(&ring).await?;
        for damage in self.damages(&numbers) {
            world.fate.tell(format!("------ the ring: {damage:?}"));
            world.stores.damage_ring(&ring, damage)?;
        }
        Ok(world.oracle.wore())
    }

    fn damages(&mut self, numbers: &[u64]) -> Vec<RingDamage> {
        let draw = &mut self.draw;
        let kind: fn(u64) -> RingDamage = if draw.chance(500) { RingDamage::Lost } else { RingDamage::Garbled };
        let count = match draw.below(10) {
            0 => return vec![RingDamage::PointerLost],
            1 => return vec![RingDamage::PointerGarbled],
            2 => return vec![RingDamage::AllLost],
            3 => return draw.pick(numbers).copied().map(kind).into_iter().collect(),
            4 => numbers.len(),
            _ => 1 + draw.index(3),
        };
        numbers.iter().rev().take(count).copied().map(kind).collect()
    }
}
