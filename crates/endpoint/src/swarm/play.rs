//! The rehearsal: endpoints are set up, each goes its way, and all is added up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::{Clock, Digest};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::{Client, Shared};
use super::defender::Defender;
use super::elastic::{Elastic, Polled};
use super::proof::Proofs;
use super::report::Report;
use super::stats::Stats;
use super::target::Target;
use super::{Arrival, Rehearsal};
use crate::fetch::Validator;
use settings::elastic::System;

/// Descriptors left to everything else in this process.
const SPARE: u64 = 256;
/// Clocks that agree on the hour do so within this.
const AGREE: u64 = 60_000;
/// So often an endpoint comes back at once after a restart or when it was asked to.
const TRIES: usize = 3;
/// What one endpoint's systems are, by its number: what fleets are made of, roughly.
const SYSTEMS: [System; 4] = [System::Windows, System::Windows, System::Linux, System::Mac];
const ARCHITECTURES: [&str; 4] = ["x86_64", "x86_64", "x86_64", "arm64"];

/// Plays a rehearsal against a mirror. `told` hears once a second how far it is.
pub async fn play(
    rehearsal: Rehearsal,
    target: Target,
    clock: Arc<dyn Clock>,
    told: impl FnMut(&str) + Send,
) -> Report {
    let sockets = usize::try_from(platform::raise_nofile().saturating_sub(SPARE)).unwrap_or(usize::MAX).max(64);
    play_with(sockets, (rehearsal, target), clock, told).await
}

/// Plays it with so many sockets at once.
pub(super) async fn play_with(
    sockets: usize,
    (rehearsal, target): (Rehearsal, Target),
    clock: Arc<dyn Clock>,
    mut told: impl FnMut(&str) + Send,
) -> Report {
    let shared = Arc::new(Shared {
        rehearsal,
        target,
        stats: Stats::default(),
        proofs: Proofs::default(),
        begun: clock.monotonic(),
        clock,
        sockets: Arc::new(Semaphore::new(sockets.min(Semaphore::MAX_PERMITS))),
    });
    let warm = warm_up(&shared).await;
    // Warming up took its time, and counts for nothing.
    let begun = shared.clock.monotonic();
    let shared = Arc::new(Shared {
        rehearsal: shared.rehearsal.clone(),
        target: shared.target.clone(),
        stats: Stats::default(),
        proofs: Proofs::default(),
        begun,
        clock: Arc::clone(&shared.clock),
        sockets: Arc::clone(&shared.sockets),
    });
    let mut tasks = JoinSet::new();
    for number in 0..shared.rehearsal.elastic.saturating_add(shared.rehearsal.defender) {
        tasks.spawn(live(Arc::clone(&shared), number, warm.clone()));
    }
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    while !tasks.is_empty() {
        tokio::select! {
            _ = tasks.join_next() => {}
            _ = seconds.tick() => told(&progress(&shared, tasks.len())),
        }
    }
    let lasted = shared.clock.monotonic().saturating_sub(begun);
    Report::of(&shared, lasted)
}

fn progress(shared: &Shared, left: usize) -> String {
    let counts = shared.stats.lock();
    let asked: u64 = counts.statuses.values().sum();
    let errors: u64 = counts.errors.values().sum();
    format!(
        "{} s of {} s, {asked} answers, {errors} errors, {} connections open, {left} endpoints under way",
        shared.now().as_secs(),
        shared.rehearsal.length.as_secs(),
        counts.open
    )
}

/// What endpoints hold that are warm, by what they follow.
#[derive(Debug, Default)]
struct Warm {
    elastic: Vec<(Elastic, Digest)>,
    defender: Vec<(Defender, Digest)>,
}

/// One endpoint of each kind polls, so that the others know what they would hold.
async fn warm_up(shared: &Arc<Shared>) -> Arc<Warm> {
    let mut warm = Warm::default();
    if shared.rehearsal.warm_percent == 0 {
        return Arc::new(warm);
    }
    let fast = |number| {
        let mut of = shared.rehearsal.clone();
        (of.slow_percent, of.restart_percent) = (0, 0);
        let quiet = Shared {
            rehearsal: of,
            target: shared.target.clone(),
            stats: Stats::default(),
            proofs: Proofs::default(),
            clock: Arc::clone(&shared.clock),
            begun: shared.begun,
            sockets: Arc::clone(&shared.sockets),
        };
        Client::new(Arc::new(quiet), number, StdRng::seed_from_u64(shared.rehearsal.seed))
    };
    let held = |client: &Client| {
        let counts = client.shared.stats.lock();
        counts.lines.values().find_map(|line| line.held.values().next().copied())
    };
    if shared.rehearsal.elastic > 0 {
        for version in &shared.rehearsal.versions {
            for os in [System::Windows, System::Linux, System::Mac] {
                let mut one = elastic(version.clone(), os);
                let mut client = fast(0);
                if let (Polled::Good, Some(digest)) = (one.poll(&mut client).await, held(&client)) {
                    warm.elastic.push((one, digest));
                }
            }
        }
    }
    if shared.rehearsal.defender > 0 {
        for track in &shared.rehearsal.tracks {
            for arch in ["x86_64", "arm64"] {
                let mut one = Defender { track: track.clone(), arch, validator: Validator::default() };
                let mut client = fast(0);
                if let (Polled::Good, Some(digest)) = (one.poll(&mut client).await, held(&client)) {
                    warm.defender.push((one, digest));
                }
            }
        }
    }
    Arc::new(warm)
}

fn elastic(version: String, os: System) -> Elastic {
    Elastic { os, version, validator: Validator::default(), held: HashSet::new() }
}

/// One endpoint of either vendor.
enum Kind {
    Elastic(Elastic),
    Defender(Defender),
}

impl Kind {
    fn feed(&self) -> String {
        match self {
            Self::Elastic(one) => format!("elastic/{}", one.version),
            Self::Defender(one) => format!("defender/{}/{}", one.track, one.arch),
        }
    }

    async fn poll(&mut self, client: &mut Client) -> Polled {
        match self {
            Self::Elastic(one) => one.poll(client).await,
            Self::Defender(one) => one.poll(client).await,
        }
    }
}

/// An endpoint as its number makes it, and what it holds at the beginning.
fn born(shared: &Shared, number: u32, is_warm: bool, warm: &Warm) -> Kind {
    let of = &shared.rehearsal;
    let turn = |count: usize, number: u32| usize::try_from(number).unwrap_or(0) % count.max(1);
    if number < of.elastic {
        let version = of.versions.get(turn(of.versions.len(), number)).cloned().unwrap_or_default();
        let os = SYSTEMS.get(turn(SYSTEMS.len(), number / 3)).copied().unwrap_or(System::Linux);
        let mut one = elastic(version, os);
        let alike = |(known, _): &&(Elastic, Digest)| known.version == one.version && known.os == one.os;
        if let Some((known, digest)) = warm.elastic.iter().find(alike).filter(|_| is_warm) {
            one.validator = known.validator.clone();
            one.held = known.held.clone();
            shared.stats.holds(&format!("elastic/{}", one.version), number, *digest, Duration::ZERO);
        }
        shared.stats.lock().lines.entry(format!("elastic/{}", one.version)).or_default().endpoints += 1;
        return Kind::Elastic(one);
    }
    let number_of = number - of.elastic;
    let track = of.tracks.get(turn(of.tracks.len(), number_of)).cloned().unwrap_or_default();
    let arch = ARCHITECTURES.get(turn(ARCHITECTURES.len(), number_of / 3)).copied().unwrap_or("x86_64");
    let mut one = Defender { track, arch, validator: Validator::default() };
    let feed = format!("defender/{}/{arch}", one.track);
    let alike = |(known, _): &&(Defender, Digest)| known.track == one.track && known.arch == arch;
    if let Some((known, digest)) = warm.defender.iter().find(alike).filter(|_| is_warm) {
        one.validator = known.validator.clone();
        shared.stats.holds(&feed, number, *digest, Duration::ZERO);
    }
    shared.stats.lock().lines.entry(feed).or_default().endpoints += 1;
    Kind::Defender(one)
}

/// One endpoint's life.
async fn live(shared: Arc<Shared>, number: u32, warm: Arc<Warm>) {
    let mut rng =
        StdRng::seed_from_u64(shared.rehearsal.seed.wrapping_mul(0x9e37_79b9).wrapping_add(u64::from(number)));
    let is_warm = rng.random_range(0..100) < shared.rehearsal.warm_percent;
    let mut one = born(&shared, number, is_warm, &warm);
    let interval = millis(shared.rehearsal.interval).max(1);
    let own = rng.random_range(0..interval);
    let mut client = Client::new(Arc::clone(&shared), number, rng);
    let mut moments = Vec::new();
    for round in 0.. {
        let start = interval.saturating_mul(round);
        let within = match shared.rehearsal.arrival {
            Arrival::Hour => client.rng.random_range(0..AGREE.min(interval)),
            Arrival::Spread => own,
            Arrival::Burst => 0,
        };
        moments.push((start + within, false));
        if client.befalls(shared.rehearsal.restart_percent) {
            moments.push((start + client.rng.random_range(0..interval), true));
        }
        if start + interval >= millis(shared.rehearsal.length) {
            break;
        }
    }
    moments.sort_unstable();
    for (moment, is_restart) in moments {
        let moment = Duration::from_millis(moment);
        if moment >= shared.rehearsal.length {
            break;
        }
        shared.sleep_until(moment).await;
        if is_restart {
            client.restart();
        }
        poll(&mut one, &mut client).await;
    }
}

/// One poll, tried again where the endpoint was restarted or asked to come back.
async fn poll(one: &mut Kind, client: &mut Client) {
    client.wake();
    client.shared.stats.asks(one.feed(), client.number);
    for _ in 0..TRIES {
        match one.poll(client).await {
            Polled::Good | Polled::Bad => break,
            Polled::Restarted => client.restart(),
            Polled::Later(seconds) => {
                let speed = f64::from(client.shared.rehearsal.speed.max(1));
                let wait = Duration::from_secs(seconds.min(3600)).div_f64(speed);
                client.rest();
                tokio::time::sleep(wait).await;
            }
        }
    }
    client.rest();
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
