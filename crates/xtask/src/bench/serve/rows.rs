//! The rows of the table: what is done, its goals, and its figures.

use std::time::Duration;

use super::generator::Seen;
use super::peer::Peer;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// They ask whether something is new, each on one connection.
    Poll,
    /// The same, on a new connection each time.
    Connect,
    /// They download a small file over and over.
    Small,
    /// They download a large one.
    Bulk,
    /// Nine polls, then a file.
    Mix,
    /// They poll beside downloads of others.
    Beside,
    /// They are connected, and say nothing.
    Idle,
}

impl Case {
    /// The generator's word.
    pub(super) const fn work(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Connect => "connect",
            Self::Small | Self::Bulk => "file",
            Self::Mix => "mix",
            Self::Beside => "beside",
            Self::Idle => "idle",
        }
    }

    /// Whether every answer should be a 304.
    pub(super) const fn polls(self) -> bool {
        matches!(self, Self::Poll | Self::Connect | Self::Beside)
    }

    /// Whether a file is among those asked for.
    pub(super) fn wants(self, path: &str) -> bool {
        let archive = path.ends_with("/updates.zip") && !path.contains("_back/");
        let artifact = path.starts_with("/downloads/") && !path.starts_with("/downloads/endpoint/manifest/");
        match self {
            Self::Small => artifact,
            Self::Bulk => archive,
            Self::Mix => archive || artifact,
            Self::Poll | Self::Connect | Self::Beside | Self::Idle => false,
        }
    }
}

/// How many times cheaper than a peer.
pub(super) struct Goal {
    pub(super) against: Peer,
    pub(super) least: f64,
}

/// A row of the table.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) case: Case,
    pub(super) connections: usize,
    /// Over TLS, and whether sessions are resumed.
    pub(super) tls: Option<bool>,
    pub(super) goals: &'static [Goal],
    /// For what is not measured against a peer.
    pub(super) at_most: Option<f64>,
}

const TUNED: Peer = Peer::NginxTuned;

/// Every row.
pub(super) const ROWS: &[Line] = &[
    line("poll, 64 connections", Case::Poll, 64, &[goal(TUNED, 1.25), goal(Peer::NginxDoc, 3.3)]),
    line("poll, 1,000 connections", Case::Poll, 1000, &[goal(TUNED, 1.3)]),
    line("a new connection for each poll", Case::Connect, 64, &[]),
    line("4 KB file", Case::Small, 64, &[goal(TUNED, 1.5)]),
    line("250 MB file, 8 at once", Case::Bulk, 8, &[goal(TUNED, 0.95)]),
    line("fleet mix: 90 % polls, 10 % files of 1 and 40 MB", Case::Mix, 64, &[goal(TUNED, 1.0)]),
    line("latency of polls beside 8 bulk downloads", Case::Beside, 64, &[goal(TUNED, 1.0)]),
    tls("TLS: full handshake and a poll", Case::Connect, 32, (false, &[goal(TUNED, 2.0)])),
    tls("TLS: resumed handshake and a poll", Case::Connect, 32, (true, &[goal(TUNED, 1.85)])),
    tls("TLS: poll, 64 connections", Case::Poll, 64, (false, &[goal(TUNED, 1.5)])),
    tls("TLS: 250 MB file, 8 at once", Case::Bulk, 8, (false, &[goal(TUNED, 3.0)])),
    Line { at_most: Some(1.3), ..line("idle connection", Case::Idle, 2000, &[]) },
    Line { at_most: Some(10.0), ..tls("TLS: idle connection", Case::Idle, 2000, (false, &[])) },
];

const fn goal(against: Peer, least: f64) -> Goal {
    Goal { against, least }
}

pub(super) const fn line(name: &'static str, case: Case, connections: usize, goals: &'static [Goal]) -> Line {
    Line { name, case, connections, tls: None, goals, at_most: None }
}

const fn tls(name: &'static str, case: Case, connections: usize, (resume, goals): (bool, &'static [Goal])) -> Line {
    Line { name, case, connections, tls: Some(resume), goals, at_most: None }
}

impl Line {
    pub(super) const fn unit(&self) -> &'static str {
        match self.case {
            Case::Bulk => "CPU ms per GB",
            Case::Idle => "KB each",
            _ => "CPU µs per answer",
        }
    }
}

/// What one round came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    value: f64,
    p50: u64,
    p99: u64,
    /// Of a hundred answers, how many were 304.
    not_modified: f64,
    /// Bytes a second of the downloads beside, where there are any.
    beside: Option<u64>,
}

#[allow(clippy::cast_precision_loss, reason = "figures with three digits")]
impl Cost {
    pub(super) fn of(line: &Line, cpu: Duration, seen: &Seen) -> Self {
        let value = match line.case {
            Case::Bulk => cpu.as_secs_f64() * 1e3 / (seen.bytes as f64 / 1e9),
            _ => cpu.as_secs_f64() * 1e6 / seen.requests.max(1) as f64,
        };
        let not_modified = seen.not_modified as f64 * 100.0 / seen.requests.max(1) as f64;
        Self { value, p50: seen.p50, p99: seen.p99, not_modified, beside: None }
    }

    pub(super) fn memory(bytes: u64, connections: usize) -> Self {
        Self { value: bytes as f64 / 1e3 / connections.max(1) as f64, p50: 0, p99: 0, not_modified: 0.0, beside: None }
    }

    /// The same, with what others downloaded meanwhile.
    pub(super) fn beside(self, beside: Option<u64>) -> Self {
        Self { beside, ..self }
    }
}

/// What several rounds came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Row(Vec<Cost>);

impl Row {
    pub(super) fn add(&mut self, cost: Cost) {
        self.0.push(cost);
    }

    fn middle<T: Copy + PartialOrd + Default>(&self, of: impl Fn(&Cost) -> T) -> (T, T, T) {
        let mut all: Vec<T> = self.0.iter().map(of).collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let at = |index: usize| all.get(index).copied().unwrap_or_default();
        (at(0), at(all.len() / 2), at(all.len().saturating_sub(1)))
    }

    pub(super) fn median(&self) -> f64 {
        self.middle(|cost| cost.value).1
    }

    #[allow(clippy::cast_precision_loss, reason = "microseconds")]
    pub(super) fn p99(&self) -> f64 {
        self.middle(|cost| cost.p99).1 as f64
    }

    #[allow(clippy::cast_precision_loss, reason = "figures with three digits")]
    pub(super) fn cells(&self, name: &str, ours: f64) -> [String; 7] {
        let (least, median, most) = self.middle(|cost| cost.value);
        let (p50, p99) = (self.middle(|cost| cost.p50).1, self.middle(|cost| cost.p99).1);
        let not_modified = self.middle(|cost| cost.not_modified).1;
        let beside = self.middle(|cost| cost.beside.unwrap_or_default()).1;
        [
            name.to_owned(),
            format!("{median:.2}"),
            format!("{least:.2} to {most:.2}"),
            if p99 == 0 { "·".to_owned() } else { format!("{p50} / {p99} µs") },
            format!("{not_modified:.0} %"),
            if beside == 0 { "·".to_owned() } else { format!("{:.2} GB/s", beside as f64 / 1e9) },
            format!("{:.2}", median / ours.max(f64::EPSILON)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_between_the_least_and_the_most() {
        let mut row = Row::default();
        for value in [3.0, 1.0, 2.0] {
            row.add(Cost { value, p50: 1, p99: 2, not_modified: 100.0, beside: Some(1_500_000_000) });
        }
        assert_eq!(
            row.cells("x", 4.0),
            ["x", "2.00", "1.00 to 3.00", "1 / 2 µs", "100 %", "1.50 GB/s", "0.50"].map(str::to_owned)
        );
    }

    #[test]
    fn each_case_wants_its_files() {
        let archive = "/linux/production/arch_x86_64/updates.zip";
        assert!(Case::Bulk.wants(archive) && !Case::Bulk.wants("/linux/production_back/arch_x86_64/updates.zip"));
        assert!(Case::Small.wants("/downloads/endpoint/artifacts/x") && !Case::Poll.wants(archive));
    }
}
