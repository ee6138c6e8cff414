//! Random single faults, one after the other (U60).

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use vendor_sim::{Fault, FaultRule, Pattern, Times, named_faults};

use crate::world::{DAY, World};

/// As many as fit a daily run; the proofs play more. `WAYSTATION_ROUNDS` and `WAYSTATION_SEED` say otherwise.
const ROUNDS: u64 = 150;
const SEED: u64 = 60;

#[allow(clippy::disallowed_methods, reason = "how many rounds is the caller's to say")]
fn told(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Faults of the network and the vendor, but for two that only cost time: a bomb that takes minutes to make, and
/// waits that a run sits out.
fn faults() -> Vec<(&'static str, Fault)> {
    let skipped = ["gzip-bomb", "retry-after-seconds", "retry-after-date"];
    named_faults()
        .filter(|(name, ids, _)| ids.contains('U') && !skipped.contains(name))
        .map(|(name, _, fault)| (name, fault))
        .collect()
}

#[tokio::test]
async fn whatever_goes_wrong_what_is_served_is_whole_u60() {
    let (rounds, seed) = (told("WAYSTATION_ROUNDS", ROUNDS), told("WAYSTATION_SEED", SEED));
    println!("{rounds} rounds of seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let faults = faults();
    let patterns: Vec<Pattern> =
        ["any", "manifest", "artifact", "artifact#0", "artifact#7", "info", "archive", "fwlink", "packages"]
            .map(|text| text.parse().unwrap())
            .to_vec();
    let mut world = World::new().await;
    world.sync().await;
    let patient = (world.limits, world.retry);
    world.limits.head = Duration::from_millis(150);
    world.limits.pause = Duration::from_millis(150);
    world.limits.total = Duration::from_millis(600);
    world.retry.attempts = 2;
    for round in 0..rounds {
        let (name, fault) = faults[random.random_range(0..faults.len())].clone();
        let pattern = patterns[random.random_range(0..patterns.len())].clone();
        let times = [Times::Once, Times::Always][random.random_range(0..2)];
        println!("round {round}: {name} on {pattern:?} {times:?}");
        if random.random_bool(0.7) {
            world.publish();
        }
        world.inject(FaultRule { pattern, fault, times });
        // The walk after each run asserts I1 to I4.
        world.sync().await;
        world.sim.clear_faults();
        // A host may have asked for a day.
        world.clock.advance(if name.starts_with("retry") { DAY * 2 } else { Duration::from_secs(3600) });
    }
    (world.limits, world.retry) = patient;
    // What a fault made of a version may have been taken for it; a new one settles that.
    world.publish();
    world.converges().await;
}
