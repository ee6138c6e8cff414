//! Plays the whole engine on seeds, or stops one life at every operation.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use simulation::{On, Outcome, Request, Sweep};

/// How often the count is shown.
const SHOWN: u64 = 500;

/// What to simulate.
#[derive(Args)]
pub(crate) struct Simulate {
    /// Play one seed, as a violation names it; decimal, or hexadecimal with 0x.
    #[arg(long, value_parser = number, conflicts_with_all = ["seeds", "sweep"])]
    seed: Option<u64>,
    /// Play so many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_parser = number, default_value = "0")]
    from: u64,
    /// How many things happen in each before its quiet end.
    #[arg(long, default_value_t = Request::STEPS)]
    steps: u64,
    /// Where things are kept.
    #[arg(long, value_enum, default_value_t = Kept::Memory)]
    on: Kept,
    /// Stop one fixed life at each operation in each way instead.
    #[arg(long)]
    sweep: bool,
    /// In a sweep, strike what follows the fault as well.
    #[arg(long, requires = "sweep")]
    twice: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kept {
    Memory,
    Files,
}

fn number(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.strip_prefix("0x").map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16))
}

/// Simulates; true when everything held.
pub(crate) fn run(what: &Simulate) -> Result<bool> {
    let on = match what.on {
        Kept::Memory => On::Memory,
        Kept::Files => On::Files,
    };
    if what.sweep {
        return sweep(if what.twice { Strikes::Twice } else { Strikes::Once });
    }
    if let Some(seed) = what.seed {
        let outcome = simulation::simulate(Request { seed, steps: what.steps, on })?;
        println!("{}", outcome.account().unwrap_or_else(|| format!("seed {seed:#x} holds")));
        println!(
            "{} operations, {} struck, {} crashes, {} answers spoiled, {} generations; digest {}",
            outcome.operations, outcome.struck, outcome.crashes, outcome.tricks, outcome.generations, outcome.digest
        );
        return Ok(outcome.violation.is_none());
    }
    let seeds = what.from..what.from.saturating_add(what.seeds);
    many(seeds, |seed| Request { seed, steps: what.steps, on })
}

/// Plays seeds on every core; true when all of them held.
pub(crate) fn many(seeds: std::ops::Range<u64>, request: impl Fn(u64) -> Request + Sync) -> Result<bool> {
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let totals = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| work(&next, seeds.end, &request))).collect();
        workers.into_iter().map(|worker| worker.join().ok().context("a thread died")?).collect::<Result<Vec<_>>>()
    })?;
    let sum = totals.into_iter().fold(Totals::default(), Totals::and);
    println!(
        "{} seeds: {} operations, {} struck, {} crashes, {} answers spoiled, {} generations; {} violations",
        sum.seeds, sum.operations, sum.struck, sum.crashes, sum.tricks, sum.generations, sum.violations
    );
    Ok(sum.violations == 0)
}

#[derive(Default)]
struct Totals {
    seeds: u64,
    operations: u64,
    struck: u64,
    crashes: u64,
    tricks: u64,
    generations: u64,
    violations: u64,
}

impl Totals {
    fn of(outcome: &Outcome) -> Self {
        Self {
            seeds: 1,
            operations: outcome.operations,
            struck: outcome.struck,
            crashes: outcome.crashes,
            tricks: outcome.tricks,
            generations: outcome.generations,
            violations: u64::from(outcome.violation.is_some()),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            seeds: self.seeds + other.seeds,
            operations: self.operations + other.operations,
            struck: self.struck + other.struck,
            crashes: self.crashes + other.crashes,
            tricks: self.tricks + other.tricks,
            generations: self.generations + other.generations,
            violations: self.violations + other.violations,
        }
    }
}

fn work(next: &std::sync::atomic::AtomicU64, end: u64, request: &impl Fn(u64) -> Request) -> Result<Totals> {
    let mut sum = Totals::default();
    loop {
        let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if seed >= end {
            return Ok(sum);
        }
        let outcome = simulation::simulate(request(seed))?;
        if let Some(account) = outcome.account() {
            println!("{account}\n");
        }
        if seed.is_multiple_of(SHOWN) {
            eprintln!("seed {seed}");
        }
        sum = sum.and(Totals::of(&outcome));
    }
}

/// How often a life is struck before it may recover.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strikes {
    /// Once.
    Once,
    /// And again while it recovers.
    Twice,
}

/// Stops one life at every operation in every way; true when it always went on to the same end.
pub(crate) fn sweep(strikes: Strikes) -> Result<bool> {
    let swept = Sweep { twice: strikes == Strikes::Twice, ..Sweep::FULL }.run()?;
    for violation in &swept.violations {
        println!("{violation}\n");
    }
    println!(
        "{} acts of {} operations, {} faults; {} violations",
        swept.acts,
        swept.operations,
        swept.faults,
        swept.violations.len()
    );
    Ok(swept.violations.is_empty())
}
