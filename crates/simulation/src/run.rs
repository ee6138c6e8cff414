//! One seed: a life full of releases, acts, faults and crashes, and a quiet end in which everything comes together.

mod disk;
mod end;
mod life;

use model::Digest;
use vendor_sim::ArtifactUrls;
use vendors::elastic::SignatureMode;

use crate::draw::Draw;
use crate::lie::Lie;
use crate::stores::{BuildError, On};
use crate::violation::Violation;
use crate::world::{Shape, World, runtime};

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What everything is drawn from.
    pub seed: u64,
    /// How many things happen before the quiet end.
    pub steps: u64,
    /// Where things are kept.
    pub on: On,
}

impl Request {
    /// The usual number of steps.
    pub const STEPS: u64 = 30;

    /// A seed of the usual length, in memory.
    pub const fn of(seed: u64) -> Self {
        Self { seed, steps: Self::STEPS, on: On::Memory }
    }

    /// The command that plays it again.
    pub fn command(&self) -> String {
        let on = match self.on {
            On::Memory => "",
            On::Files => " --on files",
        };
        format!("cargo xtask simulate --seed {:#x} --steps {}{on}", self.seed, self.steps)
    }
}

/// What a simulation came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was simulated.
    pub request: Request,
    /// What did not hold, if anything.
    pub violation: Option<Violation>,
    /// How many operations the ports carried out.
    pub operations: u64,
    /// How many of them were struck.
    pub struck: u64,
    /// How many processes crashed.
    pub crashes: u64,
    /// How many answers of vendors were spoiled.
    pub tricks: u64,
    /// How many generations were published.
    pub generations: u64,
    /// The digest of everything that happened.
    pub digest: Digest,
    /// The last things that happened.
    pub tail: Vec<String>,
}

impl Outcome {
    /// What a person needs to know when something did not hold; nothing if all did.
    pub fn account(&self) -> Option<String> {
        let violation = self.violation.as_ref()?;
        let mut lines =
            vec![format!("seed {:#x} violates {violation}", self.request.seed), "the last operations:".to_owned()];
        lines.extend(self.tail.iter().cloned());
        lines.push(format!("play it again: {}", self.request.command()));
        Some(lines.join("\n"))
    }
}

/// Simulates.
///
/// # Errors
/// [`BuildError`] when the simulated world cannot be had; what does not hold is in the outcome.
pub fn simulate(request: Request) -> Result<Outcome, BuildError> {
    simulate_with(request, None)
}

/// Simulates on ports that lie, to see that it shows.
///
/// # Errors
/// As [`simulate`].
pub fn simulate_with(request: Request, lie: Option<Lie>) -> Result<Outcome, BuildError> {
    runtime()?.block_on(async {
        let mut draw = Draw::new(request.seed ^ 0x5eed);
        let shape = Shape {
            on: request.on,
            seed: request.seed,
            // Work on files is done while everybody waits: only memory lets others go first.
            waits: draw.below(3),
            urls: if draw.chance(200) { ArtifactUrls::Fixed } else { ArtifactUrls::PerContent },
            lie,
            signature: if draw.chance(500) { SignatureMode::Require } else { SignatureMode::Warn },
        };
        let mut world = World::new(shape).await?;
        let mut life = life::Life::new(draw);
        let held = live(&mut world, &mut life, request.steps).await?;
        if let Err(violation) = held {
            world.fate.violated(violation);
        }
        let current = world.oracle.current().ok().flatten();
        Ok(Outcome {
            request,
            violation: world.fate.violation(),
            operations: world.fate.operations(),
            struck: world.fate.struck(),
            crashes: life.crashes,
            tricks: world.upstream.counts().0,
            generations: current.map_or(0, |current| current.generation.number),
            digest: world.fate.digest(),
            tail: world.fate.tail(),
        })
    })
}

async fn live(world: &mut World, life: &mut life::Life, steps: u64) -> Result<crate::violation::Holds, BuildError> {
    for _ in 0..steps {
        if let Err(violation) = life.step(world).await? {
            return Ok(Err(violation));
        }
        if let Some(violation) = world.fate.violation() {
            return Ok(Err(violation));
        }
    }
    end::come_together(world).await
}
