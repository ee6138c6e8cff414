//! What came of it.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Digest;
use serde::Serialize;

use super::client::Shared;
use super::stats::{Line, Tally};

/// What a rehearsal came to. Times of requests are real ones, in milliseconds; times of releases are the rehearsal's own,
/// in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The mirror.
    pub target: String,
    /// How many endpoints.
    pub endpoints: u32,
    /// Real seconds that it lasted.
    pub lasted: f64,
    /// Seconds of its own time that it was to last.
    pub length: u64,
    /// How many seconds of its own time went by in a second.
    pub speed: u32,
    /// Answers in a real second, in the mean.
    pub answers_per_second: f64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Connections made.
    pub connections: u64,
    /// The most at once.
    pub most_connections: u64,
    /// Until a connection stood, its TLS handshake included, in milliseconds; the times of requests that needed a new one
    /// have this in them.
    pub connect: Arrived,
    /// How often an endpoint was restarted, in the middle of a download or between two polls.
    pub restarts: u64,
    /// How long endpoints waited for one of the swarm's own sockets, in milliseconds: no request's time has this in it,
    /// and where there is any, fewer were at the mirror at once than would have been.
    pub waited: Arrived,
    /// How late endpoints woke for want of this machine's time, in milliseconds: where this is long, the swarm was the
    /// limit and not the mirror.
    pub late: Arrived,
    /// By what was asked for.
    pub requests: Vec<Requests>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// What went wrong, and how often.
    pub errors: BTreeMap<String, u64>,
    /// The path that each of these was first seen at, where it was one path's.
    pub first_at: BTreeMap<String, String>,
    /// By feed.
    pub feeds: Vec<Feed>,
}

/// A distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Arrived {
    /// How many.
    pub count: u64,
    /// Half are no more than this.
    pub p50: f64,
    /// 99 of 100 are no more than this.
    pub p99: f64,
    /// None is more.
    pub max: f64,
}

/// One kind of request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Requests {
    /// Which.
    pub kind: &'static str,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// To the head of the answer, connecting included, in milliseconds.
    pub head: Arrived,
    /// To its end, in milliseconds.
    pub end: Arrived,
}

/// One feed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Feed {
    /// Its name.
    pub feed: String,
    /// How many endpoints follow it.
    pub endpoints: u32,
    /// How many of those that asked hold the newest that any of them has seen.
    pub newest: u32,
    /// How many of those that asked hold an older one.
    pub behind: u32,
    /// How many of those that asked hold nothing.
    pub empty: u32,
    /// How many never asked: whatever they hold, the mirror had no part in it.
    pub silent: u32,
    /// How many releases were seen.
    pub releases: usize,
    /// Of all releases but the first: seconds from its first sight until each endpoint had it.
    pub caught_up: Arrived,
}

impl Report {
    pub(super) fn of(shared: &Shared, lasted: Duration) -> Self {
        let counts = shared.stats.lock();
        let answers: u64 = counts.statuses.values().sum();
        let seconds = lasted.as_secs_f64().max(f64::EPSILON);
        let requests = counts.kinds.iter().map(|(kind, Tally { bytes, heads, ends })| Requests {
            kind: kind.word(),
            bytes: *bytes,
            head: milliseconds(heads),
            end: milliseconds(ends),
        });
        let answers = u32::try_from(answers).unwrap_or(u32::MAX);
        Self {
            target: shared.target.shown.clone(),
            endpoints: shared.rehearsal.elastic.saturating_add(shared.rehearsal.defender),
            lasted: round(seconds),
            length: shared.rehearsal.length.as_secs(),
            speed: shared.rehearsal.speed,
            answers_per_second: round(f64::from(answers) / seconds),
            bytes: counts.kinds.values().map(|tally| tally.bytes).sum(),
            connections: counts.connections,
            most_connections: counts.most_open,
            connect: milliseconds(&counts.connects),
            restarts: counts.restarts,
            waited: milliseconds(&counts.waited),
            late: milliseconds(&counts.late),
            requests: requests.collect(),
            statuses: counts.statuses.clone(),
            errors: counts.errors.clone(),
            first_at: counts.first_at.clone(),
            feeds: counts.lines.iter().map(|(name, line)| feed(name, line)).collect(),
        }
    }

    /// Whether nothing went wrong, and every endpoint asked and holds something.
    pub fn is_good(&self) -> bool {
        let taken = |what: &String| what.ends_with("(taken)");
        self.errors.keys().all(taken) && self.feeds.iter().all(|feed| feed.empty == 0 && feed.silent == 0)
    }
}

fn feed(name: &str, line: &Line) -> Feed {
    let last = line.releases.last().map(|seen| seen.digest);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let has_asked = |held: &(&u32, &Digest)| line.asked.contains(held.0);
    let newest = count(line.held.iter().filter(has_asked).filter(|(_, digest)| Some(**digest) == last).count());
    let held = count(line.held.iter().filter(has_asked).count());
    let asked = count(line.asked.len());
    let mut after: Vec<f64> =
        line.releases.iter().skip(1).flat_map(|seen| &seen.after).map(Duration::as_secs_f64).collect();
    Feed {
        feed: name.to_owned(),
        endpoints: line.endpoints,
        newest,
        behind: held.saturating_sub(newest),
        empty: asked.saturating_sub(held),
        silent: line.endpoints.saturating_sub(asked),
        releases: line.releases.len(),
        caught_up: distribution(&mut after),
    }
}

fn milliseconds(micros: &[u32]) -> Arrived {
    let mut values: Vec<f64> = micros.iter().map(|micros| f64::from(*micros) / 1000.0).collect();
    distribution(&mut values)
}

/// Nearest rank.
fn distribution(values: &mut [f64]) -> Arrived {
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let rank = (values.len() * percent).div_ceil(100).saturating_sub(1);
        round(values.get(rank).copied().unwrap_or(0.0))
    };
    Arrived { count: values.len() as u64, p50: at(50), p99: at(99), max: round(values.last().copied().unwrap_or(0.0)) }
}

/// To a thousandth.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
