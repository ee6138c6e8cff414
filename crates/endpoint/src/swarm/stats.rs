//! What is counted while it lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Digest;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A poll that was answered with 304.
    Poll,
    /// A manifest that came.
    Manifest,
    /// An artifact that came.
    Artifact,
    /// An archive that came.
    Archive,
    /// Whatever was answered otherwise.
    Other,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Poll => "poll (304)",
            Self::Manifest => "manifest",
            Self::Artifact => "artifact",
            Self::Archive => "archive",
            Self::Other => "other",
        }
    }
}

/// One kind of request.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) bytes: u64,
    /// Microseconds to the answer's head, connecting included.
    pub(super) heads: Vec<u32>,
    /// Microseconds to the answer's end, connecting included.
    pub(super) ends: Vec<u32>,
}

/// When a feed's releases were first seen and when endpoints got them, in the rehearsal's own time.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// In the order of their first sight.
    pub(super) releases: Vec<Seen>,
    /// How many endpoints follow it.
    pub(super) endpoints: u32,
    /// What each endpoint holds.
    pub(super) held: BTreeMap<u32, Digest>,
    /// Who asked at least once.
    pub(super) asked: BTreeSet<u32>,
}

/// One release.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) digest: Digest,
    pub(super) first: Duration,
    /// After so long each further endpoint had it.
    pub(super) after: Vec<Duration>,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) kinds: BTreeMap<Kind, Tally>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) errors: BTreeMap<String, u64>,
    /// The path that each of them was first seen at, where it was one path's.
    pub(super) first_at: BTreeMap<String, String>,
    pub(super) connections: u64,
    pub(super) open: u64,
    pub(super) most_open: u64,
    pub(super) restarts: u64,
    /// Microseconds that endpoints waited for one of this process's own sockets.
    pub(super) waited: Vec<u32>,
    /// Microseconds until a connection stood, its TLS handshake included.
    pub(super) connects: Vec<u32>,
    /// Microseconds that endpoints woke late, because this machine had no time for them.
    pub(super) late: Vec<u32>,
    pub(super) lines: BTreeMap<String, Line>,
}

/// Counts, for all tasks.
#[derive(Debug, Default)]
pub(super) struct Stats(Mutex<Counts>);

impl Stats {
    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn error(&self, what: impl Into<String>) {
        *self.lock().errors.entry(what.into()).or_default() += 1;
    }

    /// As [`Stats::error`], and where.
    pub(super) fn error_at(&self, what: impl Into<String>, path: &str) {
        let what = what.into();
        self.lock().first_at.entry(what.clone()).or_insert_with(|| path.to_owned());
        self.error(what);
    }

    /// An endpoint asks.
    pub(super) fn asks(&self, feed: String, endpoint: u32) {
        self.lock().lines.entry(feed).or_default().asked.insert(endpoint);
    }

    pub(super) fn answered(&self, kind: Kind, status: u16, bytes: u64, [head, end]: [Duration; 2]) {
        let mut counts = self.lock();
        *counts.statuses.entry(status).or_default() += 1;
        let tally = counts.kinds.entry(kind).or_default();
        tally.bytes += bytes;
        tally.heads.push(micros(head));
        tally.ends.push(micros(end));
    }

    pub(super) fn opened(&self, after: Duration) {
        let mut counts = self.lock();
        counts.connects.push(micros(after));
        counts.connections += 1;
        counts.open += 1;
        counts.most_open = counts.most_open.max(counts.open);
    }

    pub(super) fn closed(&self) {
        let mut counts = self.lock();
        counts.open = counts.open.saturating_sub(1);
    }

    /// An endpoint holds a release from now on.
    pub(super) fn holds(&self, feed: &str, endpoint: u32, digest: Digest, now: Duration) {
        let mut counts = self.lock();
        let line = counts.lines.entry(feed.to_owned()).or_default();
        line.held.insert(endpoint, digest);
        match line.releases.iter_mut().find(|seen| seen.digest == digest) {
            Some(seen) => seen.after.push(now.saturating_sub(seen.first)),
            None => line.releases.push(Seen { digest, first: now, after: vec![Duration::ZERO] }),
        }
    }
}

pub(super) fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}
