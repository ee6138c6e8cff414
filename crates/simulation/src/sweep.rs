//! One fixed life, stopped at every operation in every way.
//!
//! Each beat of the life is an act. What the world was before it is kept; for each operation of the act and each
//! [`Blow`] the act is done again from there with the fault at that operation. The oracle walks what is served at every
//! operation, and again once everything was opened anew. Then the act is repeated without a fault, and the world must be
//! what it is without any: the same paths and bytes, marks, records, states and blobs. Only times, the numbers of
//! generations and the history may differ. A word of the operator's is not repeated where it was recorded: the next run
//! alone must lead there, or to where the world is without the word if it was not.

mod score;
mod state;

use crate::acts::Act;
use crate::draw::Draw;
use crate::fate::{Blow, Plan};
use crate::stores::{BuildError, On};
use crate::violation::{Holds, Violation};
use crate::world::{Ended, Shape, World, runtime};
use score::{Beat, SCORE, play};

/// What follows every act: the next run settles what is left.
const NEXT: Act = Act::Sync(Vec::new());

/// How thorough a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Every operation with 1, every third with 3.
    pub stride: u64,
    /// Whether what follows the fault is struck as well (S14).
    pub twice: bool,
    /// What is drawn: where the second fault strikes.
    pub seed: u64,
}

/// What a sweep came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many acts the life has.
    pub acts: u64,
    /// How many operations they take without faults.
    pub operations: u64,
    /// How often an act was done with a fault.
    pub faults: u64,
    /// What did not hold: where, and what.
    pub violations: Vec<String>,
}

/// Where one fault strikes.
struct Point {
    beat: usize,
    operation: u64,
    blow: Blow,
}

impl Sweep {
    /// Every operation, each followed by a quiet recovery.
    pub const FULL: Self = Self { stride: 1, twice: false, seed: 1 };

    /// Sweeps; stops after ten violations.
    ///
    /// # Errors
    /// [`BuildError`] when the simulated world cannot be had.
    pub fn run(self) -> Result<Swept, BuildError> {
        runtime()?.block_on(self.play())
    }

    async fn play(self) -> Result<Swept, BuildError> {
        let shape = Shape { on: On::Memory, seed: self.seed, waits: 0, ..Shape::default() };
        let mut world = World::new(shape).await?;
        let mut draw = Draw::new(self.seed);
        let mut swept = Swept::default();
        for (number, beat) in SCORE.iter().enumerate() {
            if let Err(violation) = beat.prepare(&mut world).await? {
                swept.violations.push(violation.to_string());
                return Ok(swept);
            }
            let Some(act) = beat.act(&world).await? else { continue };
            swept.acts += 1;
            let operations = self.beat(&world, (number, beat, &act), &mut draw, &mut swept).await?;
            swept.operations += operations;
            let ended = play(&mut world, &act).await;
            let violation = world.fate.violation().or_else(|| failure(&ended));
            if let Some(violation) = violation {
                swept.violations.push(format!("beat {number} {beat:?}, without a fault: {violation}"));
                return Ok(swept);
            }
            if swept.violations.len() >= 10 {
                return Ok(swept);
            }
        }
        Ok(swept)
    }

    /// One beat with a fault at each of its operations.
    async fn beat(
        self,
        before: &World,
        (number, beat, act): (usize, &Beat, &Act),
        draw: &mut Draw,
        swept: &mut Swept,
    ) -> Result<u64, BuildError> {
        let mut clean = fork(before).await?;
        play(&mut clean, act).await;
        let operations = clean.fate.operations();
        play(&mut clean, act).await;
        play(&mut clean, &NEXT).await;
        let expected = clean.state().await?;
        let mut unsaid = fork(before).await?;
        play(&mut unsaid, &NEXT).await;
        play(&mut unsaid, &NEXT).await;
        let unsaid = unsaid.state().await?;
        let mut operation = 1;
        while operation <= operations {
            for blow in Blow::ALL {
                swept.faults += 1;
                let point = Point { beat: number, operation, blow };
                let mut world = fork(before).await?;
                let second = self.twice.then(|| (1 + draw.below(operations), *draw.pick(&Blow::ALL).unwrap_or(&blow)));
                let held = strike(&mut world, (beat, act), (operation, blow), second).await?;
                let held = match held {
                    Ok(()) => compare(&expected, &world.state().await?),
                    held => held,
                };
                if let Err(violation) = held {
                    swept.violations.push(told(&point, beat, &violation, &world));
                }
                if second.is_none() && act.is_word() {
                    let mut world = fork(before).await?;
                    let held = match leave(&mut world, act, (operation, blow)).await? {
                        Ok(()) => {
                            let expected = if act.was_said(&world).await? { &expected } else { &unsaid };
                            compare(expected, &world.state().await?)
                        }
                        held => held,
                    };
                    if let Err(violation) = held {
                        swept.violations.push(told(&point, beat, &violation, &world));
                    }
                }
            }
            operation += self.stride.max(1);
        }
        Ok(operations)
    }
}

fn told(point: &Point, beat: &Beat, violation: &Violation, world: &World) -> String {
    let Point { beat: number, operation, blow } = point;
    let tail = world.fate.tail();
    let last = tail.get(tail.len().saturating_sub(25)..).unwrap_or_default().join("\n");
    format!("beat {number} {beat:?}, operation {operation}, {blow:?}: {violation}\n{last}")
}

fn failure<T>(ended: &Ended<Result<T, mirror::EngineError>>) -> Option<Violation> {
    match ended {
        Ended::Done(Ok(_)) => None,
        Ended::Done(Err(error)) => Some(Violation::new("I15", model::error_chain(error))),
        Ended::Crashed => Some(Violation::new("I10", "it crashed by itself")),
    }
}

async fn fork(world: &World) -> Result<World, BuildError> {
    world.fork().await.ok_or(BuildError::Constant("memory"))
}

/// Does the act with a fault in it, opens everything anew, and does it again.
async fn strike(
    world: &mut World,
    (beat, act): (&Beat, &Act),
    (operation, blow): (u64, Blow),
    second: Option<(u64, Blow)>,
) -> Result<Holds, BuildError> {
    world.fate.plan(Plan::At(operation, blow));
    play(world, act).await;
    world.restart().await?;
    if let Err(violation) = seen(world) {
        return Ok(Err(violation));
    }
    if let Some((operation, blow)) = second {
        world.fate.plan(Plan::At(operation, blow));
        play(world, act).await;
        world.restart().await?;
    }
    world.fate.plan(Plan::Calm);
    play(world, act).await;
    if beat.needs_a_second_run() {
        play(world, act).await;
    }
    play(world, &NEXT).await;
    Ok(seen(world))
}

/// Does the act with a fault in it, and then only what comes by itself.
async fn leave(world: &mut World, act: &Act, (operation, blow): (u64, Blow)) -> Result<Holds, BuildError> {
    world.fate.plan(Plan::At(operation, blow));
    play(world, act).await;
    world.restart().await?;
    world.fate.plan(Plan::Calm);
    play(world, &NEXT).await;
    play(world, &NEXT).await;
    Ok(seen(world))
}

fn seen(world: &World) -> Holds {
    world.fate.violation().map_or(Ok(()), Err)?;
    world.oracle.look_at_all()
}

fn compare(expected: &[String], found: &[String]) -> Holds {
    let missing = expected.iter().find(|line| !found.contains(line));
    let extra = found.iter().find(|line| !expected.contains(line));
    if missing.is_none() && extra.is_none() {
        return Ok(());
    }
    Err(Violation::new("I15", format!("without a fault there is {missing:?}, now there is {extra:?}")))
}
