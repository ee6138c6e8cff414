//! Asks vendors when they are due. Vendors do not wait for each other.

use std::sync::Arc;
use std::time::Duration;

use config::{Config, ElasticMode};
use mirror::{Engine, Observer, Progress, SyncRequest};
use model::{Clock, FeedId, Reason, Vendor, error_chain};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::pulse::{Pulse, Turn};
use crate::schedule::{Call, Due, Interval, Schedule, failed};

/// How soon a schedule goes on after a defect ended it.
const RESTART: Duration = Duration::from_secs(60);
/// How long one waits who has nothing to wait for.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// What schedules are made from.
#[derive(Clone)]
pub(crate) struct Timetable {
    /// How often each vendor that is followed is asked.
    intervals: Vec<Interval>,
    /// What is followed.
    feeds: Vec<FeedId>,
    /// Within how long every blob is read again, and how fast at the most.
    pub(crate) scrub: (Duration, u64),
}

impl Timetable {
    pub(crate) fn of(config: &Config) -> Self {
        let vendors = Vendor::ALL.into_iter();
        let interval = |vendor| {
            let every = config.schedule_of(vendor)?;
            // A proxy asks as often as it was told to revalidate, whatever fails, and no more.
            let elastic = config.elastic.as_ref().filter(|_| vendor == Vendor::Elastic);
            let again = elastic.filter(|elastic| elastic.demand.mode == ElasticMode::Proxy).map(|_| every);
            Some(Interval { vendor, every, again })
        };
        let intervals = vendors.filter_map(interval).collect();
        Self { intervals, feeds: config.feeds(), scrub: (config.limits.scrub, config.limits.scrub_rate) }
    }

    fn of_vendor(&self, vendor: Vendor) -> (Vec<Interval>, Vec<FeedId>) {
        let intervals = self.intervals.iter().filter(|interval| interval.vendor == vendor).copied().collect();
        let feeds = self.feeds.iter().filter(|feed| feed.vendor() == vendor).cloned().collect();
        (intervals, feeds)
    }
}

/// What schedules work with.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) engine: watch::Receiver<Option<Arc<Engine>>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timetable: watch::Receiver<Timetable>,
    /// Changes when everything is to be fetched at once.
    pub(crate) hurried: watch::Receiver<u64>,
    /// Where schedules show that they turn.
    pub(crate) pulse: Arc<Pulse>,
}

/// Keeps a vendor's schedule going: a defect that ends it is loud, and it begins anew.
pub(crate) async fn supervise(parts: Parts, vendor: Vendor, end: CancellationToken) {
    loop {
        let scheduler = Scheduler::new(parts.clone(), vendor);
        match apart(scheduler.run(end.clone())).await {
            Ok(()) => return parts.pulse.forget(vendor),
            Err(error) => {
                tracing::error!(error, %vendor, "a schedule ended by a defect; it begins anew in a minute");
                parts.pulse.note(vendor, Turn::Ended(parts.clock.monotonic()));
            }
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(RESTART) => {}
        }
    }
}

struct Scheduler {
    parts: Parts,
    vendor: Vendor,
    schedule: Schedule,
    feeds: Vec<FeedId>,
}

impl Scheduler {
    fn new(mut parts: Parts, vendor: Vendor) -> Self {
        let now = parts.clock.monotonic();
        parts.hurried.mark_unchanged();
        let (intervals, feeds) = parts.timetable.borrow_and_update().of_vendor(vendor);
        Self { parts, vendor, schedule: Schedule::new(intervals, now), feeds }
    }

    async fn run(mut self, end: CancellationToken) {
        loop {
            tokio::select! {
                // Dropping what runs is safe: what is on disk can be resumed, and a publication is whole or not.
                () = end.cancelled() => return,
                going_on = self.turn() => if !going_on { return },
            }
        }
    }

    /// Does what is due, or waits; false when there is nothing to wait for any more.
    async fn turn(&mut self) -> bool {
        let now = self.parts.clock.monotonic();
        let wait = match self.schedule.due(now) {
            Due::Now(calls) => {
                self.sync(&calls).await;
                return true;
            }
            Due::At(next) => next.saturating_sub(now),
            Due::Never => IDLE,
        };
        self.parts.pulse.note(self.vendor, Turn::Waits(now.saturating_add(wait)));
        tokio::select! {
            change = self.parts.timetable.changed() => {
                self.change();
                change.is_ok()
            }
            hurry = self.parts.hurried.changed() => {
                self.schedule.hurry(self.parts.clock.monotonic());
                hurry.is_ok()
            }
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// Takes a new timetable over; a feed that is new is fetched at once.
    fn change(&mut self) {
        let now = self.parts.clock.monotonic();
        let (intervals, feeds) = self.parts.timetable.borrow_and_update().of_vendor(self.vendor);
        if feeds.is_empty() {
            self.parts.pulse.took_place(self.vendor);
        }
        self.schedule.change(intervals, now);
        if feeds.iter().any(|feed| !self.feeds.contains(feed)) {
            self.schedule.hurry(now);
        }
        self.feeds = feeds;
    }

    async fn sync(&mut self, calls: &[Call]) {
        let Some(engine) = self.parts.engine.borrow().clone() else { return };
        self.parts.pulse.note(self.vendor, Turn::Runs(self.parts.clock.monotonic()));
        let mut feeds = engine.feeds();
        let is_called = |feed: &FeedId| {
            let mut calls = calls.iter().filter(|call| call.vendor == feed.vendor());
            calls.any(|call| call.only.is_empty() || call.only.contains(feed))
        };
        feeds.retain(is_called);
        // What is being fetched on demand is not asked for twice.
        let claims: Vec<_> = feeds.iter().filter_map(|feed| Some((feed.clone(), engine.claim(feed)?))).collect();
        let feeds: Vec<FeedId> = claims.iter().map(|(feed, _)| feed.clone()).collect();
        if feeds.is_empty() {
            self.parts.pulse.took_place(self.vendor);
            return self.schedule.ran(calls, &[], self.parts.clock.monotonic(), 0.5);
        }
        let request = SyncRequest { feeds, wait: true, ..SyncRequest::default() };
        let watch = Watch { parts: self.parts.clone(), vendor: self.vendor, every: self.every() };
        let ended = apart(async move { engine.sync(&request, Arc::new(watch)).await }).await;
        drop(claims);
        let now = self.parts.clock.monotonic();
        match ended {
            Ok(Ok(report)) => {
                self.parts.pulse.took_place(self.vendor);
                for feed in &report.feeds {
                    tracing::info!(
                        feed = %feed.feed, outcome = feed.outcome.as_str(), bytes = feed.bytes_fetched,
                        requests = feed.requests, reason = feed.reason.map(model::Reason::code), "synced"
                    );
                }
                self.schedule.ran(calls, &failed(&report), now, spread(now));
            }
            Ok(Err(error)) => self.later(calls, now, (error.reason(), &error_chain(&error))),
            Err(error) => self.later(calls, now, (Reason::Internal, &error)),
        }
    }

    fn every(&self) -> Duration {
        let timetable = self.parts.timetable.borrow();
        let known = timetable.intervals.iter().find(|interval| interval.vendor == self.vendor);
        known.map_or(Duration::ZERO, |interval| interval.every)
    }

    /// A run that could not take place at all is tried again soon.
    fn later(&mut self, calls: &[Call], now: Duration, (reason, error): (Reason, &str)) {
        tracing::error!(error, vendor = %self.vendor, reason = reason.code(), "the run failed as a whole");
        self.parts.pulse.failed(self.vendor, now, (reason, error));
        self.schedule.put_off(calls, now);
    }
}

/// Shows in the pulse whether a run waits for the fetch lock.
struct Watch {
    parts: Parts,
    vendor: Vendor,
    every: Duration,
}

impl Observer for Watch {
    fn on(&self, progress: Progress) {
        let now = self.parts.clock.monotonic();
        match progress {
            Progress::Waiting { holder } => {
                let turn = Turn::Blocked { since: now, allowed: self.every, holder };
                self.parts.pulse.note(self.vendor, turn);
            }
            // Whatever comes after that has the lock.
            _ => self.parts.pulse.unblock(self.vendor, now),
        }
    }
}

/// Spreads many sites' schedules; the moment at which a run happened to end is as good as a die.
fn spread(now: Duration) -> f64 {
    f64::from(now.subsec_micros() % 1000) / 1000.0
}

/// Runs something on a task of its own, so that a defect in it ends it alone; dropping this ends it too.
pub(crate) async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    AbortOnDrop(tokio::spawn(work)).join().await
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> AbortOnDrop<T> {
    async fn join(mut self) -> Result<T, String> {
        (&mut self.0).await.map_err(|error| error.to_string())
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
