//! Full load for a long time. What a server holds is looked at every second; a line through what was seen must not
//! rise.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;

use super::cpu::{Held, held};
use super::peer::{Peer, Running, Stage};
use super::rows::{Case, Line, line};
use super::{Clients, House, MIXED};
use crate::bench::programs::Programs;
use crate::bench::table::{goal, head, row};

/// How long, and how many.
#[derive(Args)]
pub(crate) struct Soak {
    /// For how long.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Clients at once.
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// Over TLS.
    #[arg(long)]
    tls: bool,
}

/// Clients come and go: so many seconds each.
const SEGMENT: u64 = 20;
/// Rows of the table.
const SHOWN: usize = 12;
/// By how much memory may rise from the first to the last, of what it was in the middle: noise of the allocator.
const MEMORY_MAY_RISE: f64 = 0.05;
/// By how many descriptors they may.
const DESCRIPTORS_MAY_RISE: f64 = 4.0;

/// What was held at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    seconds: f64,
    held: Held,
}

pub(crate) fn run(programs: &Programs, soak: &Soak) -> Result<bool> {
    let house = House::build(programs, MIXED)?;
    let (certificate, key) = &house.certificate;
    let tls = soak.tls.then_some((certificate.as_path(), key.as_path()));
    let server = Running::start(Peer::Waystation, &Stage { site: &house.site, tree: house.tree.path(), tls })?;
    let work = Line { tls: soak.tls.then_some(false), ..line("soak", Case::Mix, soak.connections, &[]) };
    let begun = Instant::now();
    let (mut samples, mut answers, mut bytes) = (Vec::new(), 0, 0);
    while begun.elapsed() < Duration::from_secs(soak.minutes * 60) {
        let arguments = house.arguments(&server, &work, soak.connections, SEGMENT);
        let mut clients = Clients::start(programs, arguments)?;
        clients.expect("ready")?;
        clients.go()?;
        let done = AtomicBool::new(false);
        let seen = std::thread::scope(|scope| {
            let watching = scope.spawn(|| watch(&server, begun, &done));
            let seen = clients.seen();
            done.store(true, Ordering::Relaxed);
            samples.extend(watching.join().map_err(|_| anyhow::anyhow!("the watch ended"))??);
            seen
        })?;
        ensure!(seen.errors == 0, "{} of {} answers were wrong: {:?}", seen.errors, seen.requests, seen.error);
        answers += seen.requests;
        bytes += seen.bytes;
        // It is opened anew, as after a rotation; else an hour would fill the disk.
        let _ = fs::remove_file(house.site.path().join("access.log"));
    }
    println!(
        "{} clients, {} min: {answers} answers, {:.1} GB, no error",
        soak.connections,
        soak.minutes,
        gigabytes(bytes)
    );
    Ok(told(&samples))
}

fn watch(server: &Running, begun: Instant, done: &AtomicBool) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_secs(1));
        samples.push(Sample { seconds: begun.elapsed().as_secs_f64(), held: held(server.id())? });
    }
    // In the last second the clients may be leaving.
    samples.pop();
    Ok(samples)
}

#[allow(clippy::cast_precision_loss, reason = "megabytes with two decimals")]
fn told(samples: &[Sample]) -> bool {
    // The first tenth warms caches.
    let settled = samples.get(samples.len() / 10..).unwrap_or_default();
    let of = |take: fn(&Held) -> u64| -> Vec<(f64, f64)> {
        settled.iter().map(|sample| (sample.seconds, take(&sample.held) as f64)).collect()
    };
    let resident = of(|held| held.resident);
    let proportional = of(|held| held.proportional);
    let descriptors = of(|held| held.descriptors);
    head(&["minute", "resident MB", "proportional MB", "descriptors"]);
    for sample in samples.iter().step_by(samples.len().div_ceil(SHOWN).max(1)) {
        let Held { resident, proportional, descriptors } = sample.held;
        row(&[
            format!("{:.1}", sample.seconds / 60.0),
            format!("{:.2}", resident as f64 / 1e6),
            format!("{:.2}", proportional as f64 / 1e6),
            descriptors.to_string(),
        ]);
    }
    println!();
    let mut flat = true;
    for (what, points) in [("resident", &resident), ("proportional", &proportional)] {
        let trend = Trend::of(points);
        println!("- {what}: {:+.3} MB an hour, of {:.2} MB", trend.slope * 3600.0 / 1e6, trend.mean / 1e6);
        let share = trend.rise / trend.mean.max(1.0);
        flat &= goal(&format!("{what} memory rises by at most {MEMORY_MAY_RISE}"), share, share <= MEMORY_MAY_RISE);
    }
    let trend = Trend::of(&descriptors);
    println!("- descriptors: {:+.2} an hour, of {:.0}", trend.slope * 3600.0, trend.mean);
    flat & goal("descriptors rise by at most 4", trend.rise, trend.rise <= DESCRIPTORS_MAY_RISE)
}

/// A line through points, by least squares.
#[derive(Debug)]
struct Trend {
    /// In a second.
    slope: f64,
    mean: f64,
    /// Along the line, from the first point to the last.
    rise: f64,
}

impl Trend {
    #[allow(clippy::cast_precision_loss, reason = "few points")]
    fn of(points: &[(f64, f64)]) -> Self {
        let count = points.len().max(1) as f64;
        let x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
        let y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
        let over = points.iter().map(|(a, b)| (a - x) * (b - y)).sum::<f64>();
        let under = points.iter().map(|(a, _)| (a - x).powi(2)).sum::<f64>();
        let slope = if under > 0.0 { over / under } else { 0.0 };
        let (first, last) = (points.first(), points.last());
        let span = first.zip(last).map_or(0.0, |((first, _), (last, _))| last - first);
        Self { slope, mean: y, rise: slope * span }
    }
}

#[allow(clippy::cast_precision_loss, reason = "gigabytes with one decimal")]
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope() {
        let trend = Trend::of(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]);
        assert!((trend.slope - 2.0).abs() < 1e-9 && (trend.rise - 4.0).abs() < 1e-9 && (trend.mean - 3.0).abs() < 1e-9);
        let flat = Trend::of(&[(0.0, 2.0), (5.0, 2.0)]);
        assert!(flat.slope.abs() < 1e-9 && Trend::of(&[]).rise.abs() < 1e-9);
    }
}
