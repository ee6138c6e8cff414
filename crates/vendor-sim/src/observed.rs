//! What the simulator was asked and what it sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fault::Kind;

/// Counts since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// The most connections open at one time.
    pub connections_peak: u64,
    /// Requests read.
    pub requests: u64,
    /// The most requests that were being answered at one time.
    pub in_flight_peak: u64,
    /// Bytes written, heads included (counted as they are handed to the socket).
    pub bytes_sent: u64,
    /// Bytes of bodies written.
    pub body_bytes: u64,
    /// Requests by target: path and query.
    pub by_target: BTreeMap<String, u64>,
    /// Requests by what they led to.
    pub by_kind: BTreeMap<Kind, u64>,
    /// Answers by status; one that a fault kept from having any counts under 0.
    pub by_status: BTreeMap<u16, u64>,
}

impl Counters {
    /// Requests whose target has `part` in it.
    pub fn containing(&self, part: &str) -> u64 {
        self.by_target.iter().filter(|(target, _)| target.contains(part)).map(|(_, count)| count).sum()
    }

    /// Requests for artifacts.
    pub fn artifacts(&self) -> u64 {
        self.by_kind.iter().filter(|(kind, _)| matches!(kind, Kind::Artifact(_))).map(|(_, count)| count).sum()
    }

    /// Answers with this status.
    pub fn status(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }
}

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The fields of its head, in order.
    pub headers: Vec<(String, String)>,
    /// What it led to.
    pub kind: Kind,
    /// The status answered; 0 if a fault kept it from having any.
    pub status: u16,
    /// The faults that struck.
    pub faults: Vec<String>,
}

impl LogEntry {
    /// The first field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
struct Inner {
    counters: Counters,
    log: VecDeque<LogEntry>,
    open: u64,
    in_flight: u64,
}

/// Counters and log, shared by all connections.
#[derive(Debug)]
pub(crate) struct Observed {
    inner: Mutex<Inner>,
    log_length: usize,
}

/// Targets that are counted one by one; more than any test asks for.
const TARGETS: usize = 100_000;

impl Observed {
    pub(crate) fn new(log_length: usize) -> Self {
        Self { inner: Mutex::default(), log_length }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.lock().counters.clone()
    }

    pub(crate) fn reset(&self) {
        let mut inner = self.lock();
        inner.counters = Counters::default();
        inner.log.clear();
    }

    pub(crate) fn log(&self) -> Vec<LogEntry> {
        self.lock().log.iter().cloned().collect()
    }

    /// Counts a connection for as long as the guard lives.
    pub(crate) fn connected(&self) -> Connected<'_> {
        let mut inner = self.lock();
        inner.open += 1;
        inner.counters.connections += 1;
        inner.counters.connections_peak = inner.counters.connections_peak.max(inner.open);
        Connected(self)
    }

    /// Counts a request for as long as the guard lives.
    pub(crate) fn asked(&self) -> Asked<'_> {
        let mut inner = self.lock();
        inner.in_flight += 1;
        inner.counters.in_flight_peak = inner.counters.in_flight_peak.max(inner.in_flight);
        Asked(self)
    }

    pub(crate) fn answered(&self, entry: LogEntry) {
        let mut inner = self.lock();
        let counters = &mut inner.counters;
        counters.requests += 1;
        *counters.by_kind.entry(entry.kind).or_default() += 1;
        *counters.by_status.entry(entry.status).or_default() += 1;
        if counters.by_target.len() < TARGETS || counters.by_target.contains_key(&entry.target) {
            *counters.by_target.entry(entry.target.clone()).or_default() += 1;
        }
        if inner.log.len() >= self.log_length {
            inner.log.pop_front();
        }
        if self.log_length > 0 {
            inner.log.push_back(entry);
        }
    }

    pub(crate) fn sent(&self, bytes: usize, of_body: usize) {
        let mut inner = self.lock();
        inner.counters.bytes_sent += bytes as u64;
        inner.counters.body_bytes += of_body as u64;
    }
}

/// An open connection.
pub(crate) struct Connected<'a>(&'a Observed);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
    }
}

/// A request being answered.
pub(crate) struct Asked<'a>(&'a Observed);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}
