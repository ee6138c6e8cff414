//! Fetches what is asked for and not held, while whoever asked waits.

mod confirm;
mod fly;
mod forward;
mod left;
mod refresh;
mod second;
mod tend;
mod weed;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mirror::{Engine, FeedReport};
use model::{Digest, FeedId, Note, RingName, RoutePath};
use tokio::runtime::Handle;
use tokio::sync::watch;
use vendors::elastic::{DOWNLOADS, ElasticSettings, wanted};

use crate::flight::{Boarding, Flights, Key, Progress};
use crate::{Book, Face, Faces, Landing, LearnedFeed, Pattern, Tried, Why};

/// How long what vendors' modules depend on is not looked up again: what is asked for in vain may come in floods.
const SETTINGS: Duration = Duration::from_secs(1);
/// How many ends of fetches wait to be noted.
const NOTES: usize = 256;
/// How long whoever stands between may keep an answer.
const CACHE_CONTROL: &str = "cache-control";

/// What the configuration says about fetching on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether an endpoint's request leads to a fetch.
    pub proxy: bool,
    /// Whether manifests that were asked for become feeds.
    pub learns: bool,
    /// Whether paths that no manifest names are fetched.
    pub forwards: bool,
    /// The most feeds that are learned, beside those of patterns.
    pub learned_feeds: usize,
    /// The lines of versions whose every patch level is followed.
    pub patterns: Vec<Pattern>,
    /// How long what the vendor did not have is not asked for again, and how old the vendor's last word may be.
    pub revalidate: Duration,
    /// How old a forwarded path becomes before it is fetched again.
    pub refresh: Duration,
    /// How often the vendor is asked what patterns stand for.
    pub probe: Duration,
    /// The vendor's headers that are passed on, in lower case.
    pub pass_headers: Vec<String>,
}

impl Rules {
    /// Why a feed is followed once it is asked for; none if that is no reason.
    pub(crate) fn why(&self, feed: &FeedId) -> Option<Why> {
        if self.patterns.iter().any(|pattern| pattern.covers(feed)) {
            return Some(Why::Pattern);
        }
        self.learns.then_some(Why::Asked)
    }
}

/// What becomes of a request for what is not held.
#[derive(Debug)]
pub enum Asked {
    /// Nothing: it is not found.
    Absent,
    /// It cannot be had now.
    Later,
    /// It is being fetched; how that ends comes here.
    Flying(Progress),
}

/// What becomes of a feed that is to be fetched, and is not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It is asked for from now on.
    Now,
    /// It was under way, or was asked for too short a while ago.
    Before,
    /// It may not begin now.
    Not,
}

/// How the desk stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Fetches under way.
    pub flying: usize,
    /// Fetches that ended well, since the start.
    pub held: u64,
    /// Fetches of what the vendor does not have.
    pub absent: u64,
    /// Fetches that failed.
    pub failed: u64,
    /// Requests that were not served because too much was under way.
    pub full: u64,
}

/// Fetches what is asked for and not held.
pub struct Desk {
    engine: watch::Receiver<Option<Arc<Engine>>>,
    book: Arc<Book>,
    rules: watch::Receiver<Rules>,
    runtime: Handle,
    flights: Flights,
    forwarding: tokio::sync::Mutex<()>,
    faces: Faces,
    confirmed: tokio::sync::Mutex<confirm::Confirmed>,
    settings: Mutex<Option<(Duration, Arc<ElasticSettings>)>>,
    notes: Mutex<Vec<(FeedId, Tried)>>,
    path_notes: Mutex<Vec<(RoutePath, Tried)>>,
    /// What the operator had learned at the last look.
    told: Mutex<Vec<LearnedFeed>>,
    /// Bytes that were fetched to be forwarded since the last collection.
    fetched: AtomicU64,
    counts: [AtomicU64; 4],
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("facts", &self.facts()).finish_non_exhaustive()
    }
}

impl Desk {
    /// A desk whose fetches run on `runtime`.
    pub fn new(
        engine: watch::Receiver<Option<Arc<Engine>>>,
        book: Arc<Book>,
        rules: watch::Receiver<Rules>,
        runtime: Handle,
    ) -> Self {
        let (faces, told) = (Faces::new(Arc::clone(&book)), tend::operators(&book).unwrap_or_default());
        Self {
            engine,
            book,
            rules,
            runtime,
            flights: Flights::default(),
            forwarding: tokio::sync::Mutex::default(),
            faces,
            told: Mutex::new(told),
            confirmed: tokio::sync::Mutex::default(),
            settings: Mutex::default(),
            notes: Mutex::default(),
            path_notes: Mutex::default(),
            fetched: AtomicU64::new(0),
            counts: Default::default(),
        }
    }

    /// What the configuration says now.
    pub fn rules(&self) -> Rules {
        self.rules.borrow().clone()
    }

    pub(crate) fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.borrow().clone()
    }

    pub(crate) fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// Whether it can fetch: a process listens before it has looked after its own start.
    pub fn is_ready(&self) -> bool {
        self.engine().is_some()
    }

    /// Returns once it can.
    pub async fn ready(&self) {
        // Where nobody will ever say so, whoever waits has a time of their own.
        if self.engine.clone().wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }

    /// How it stands.
    pub fn facts(&self) -> Facts {
        let [held, absent, failed, full] = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        Facts { flying: self.flights.flying(), held, absent, failed, full }
    }

    /// What is told of a route beside its bytes. How long caches may keep something is passed on for artifacts alone:
    /// whatever changes under its address must be seen to have changed at the next poll.
    pub fn face(&self, feed: &FeedId, path: &RoutePath, digest: &Digest) -> Face {
        let passed = self.rules.borrow().pass_headers.clone();
        let is_artifact = self.is_artifact(feed, path);
        let may = |name: &str| passed.iter().any(|known| known == name) && (name != CACHE_CONTROL || is_artifact);
        if is_artifact { self.faces.of(feed, (path, digest), may) } else { self.faces.of_path((path, digest), may) }
    }

    fn is_artifact(&self, feed: &FeedId, path: &RoutePath) -> bool {
        let Some(engine) = self.engine() else { return false };
        !vendors::elastic::is_forwarded(feed) && wanted(path, &self.settings(&engine)).is_none()
    }

    /// What is followed and served, and the vendor has not confirmed when it should, with its last word.
    pub fn unconfirmed(&self) -> Vec<(FeedId, model::Timestamp)> {
        let engine = self.engine();
        let mut found = self.faces.unconfirmed();
        found.retain(|(feed, _)| !engine.as_ref().is_some_and(|engine| engine.left(feed)));
        found
    }

    /// Somebody asked for a path that is not served.
    pub fn ask(self: &Arc<Self>, ring: &RingName, path: &RoutePath) -> Asked {
        let rules = self.rules();
        let Some(engine) = self.engine().filter(|_| rules.proxy && path.is_under(DOWNLOADS)) else {
            return Asked::Absent;
        };
        if *ring != engine.settings().ring {
            // Another ring gets what it is given by promotion alone.
            return Asked::Absent;
        }
        match wanted(path, &self.settings(&engine)) {
            Some(found) => {
                let why = rules.why(&found.feed).unwrap_or(Why::Asked);
                if !self.has_room(&engine, &found.feed, why) {
                    // Whether the vendor has it is found out in time, and then told as learned_full.
                    tracing::debug!(feed = %found.feed, "asked for, and elastic.learned_feeds lets no more in");
                    return Asked::Later;
                }
                self.board_feed((found.feed, Some(path.clone())), found.guess, why)
            }
            None if rules.forwards => self.board(Key::Path(path.clone()), {
                let (desk, path) = (Arc::clone(self), path.clone());
                async move { desk.forward(&path).await }
            }),
            None => Asked::Absent,
        }
    }

    /// Fetches a feed's release, as if somebody had asked for it.
    pub(crate) async fn fetch(self: &Arc<Self>, feed: &FeedId, guess: Option<String>, why: Why) -> Landing {
        let Some(engine) = self.engine() else { return Landing::Failed };
        if !self.has_room(&engine, feed, why) {
            return Landing::Failed;
        }
        match self.board_feed((feed.clone(), None), guess, why) {
            Asked::Absent => Landing::Absent,
            Asked::Later => Landing::Failed,
            Asked::Flying(mut progress) => {
                progress.wait_for(Option::is_some).await.ok().and_then(|landing| *landing).unwrap_or(Landing::Failed)
            }
        }
    }

    /// Begins to fetch a feed's release without waiting for it; where one is served, begins to look for it at this path.
    pub(crate) fn begin(
        self: &Arc<Self>,
        (feed, path): (&FeedId, Option<&RoutePath>),
        guess: Option<String>,
        why: Why,
    ) -> Begun {
        let Some(engine) = self.engine() else { return Begun::Not };
        if !self.has_room(&engine, feed, why) {
            return Begun::Not;
        }
        let flying = self.flights.flying();
        match self.board_feed((feed.clone(), path.cloned()), guess, why) {
            Asked::Later => Begun::Not,
            Asked::Flying(progress) if progress.borrow().is_none() && self.flights.flying() > flying => Begun::Now,
            Asked::Flying(_) | Asked::Absent => Begun::Before,
        }
    }

    fn board_feed(self: &Arc<Self>, asked: (FeedId, Option<RoutePath>), guess: Option<String>, why: Why) -> Asked {
        let desk = Arc::clone(self);
        let (feed, path) = asked.clone();
        self.board(Key::Feed(feed, path), async move {
            let (feed, path) = asked;
            match (desk.fly(&feed, guess.clone(), why).await, path, desk.engine()) {
                (Landing::Held, Some(path), Some(engine)) => desk.at(&engine, &feed, (&path, guess)).await,
                (landing, ..) => landing,
            }
        })
    }

    /// Whether a feed is followed, or may still be learned.
    pub(crate) fn has_room(&self, engine: &Engine, feed: &FeedId, why: Why) -> bool {
        let most = self.rules.borrow().learned_feeds;
        engine.settings().feeds.contains(feed)
            || self.book.learned().is_ok_and(|learned| self.book.has_room(&learned, feed, why, most))
    }

    fn settings(&self, engine: &Engine) -> Arc<ElasticSettings> {
        let now = engine.ports().clock.monotonic();
        let mut known = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        match known.as_ref() {
            Some((at, settings)) if now.saturating_sub(*at) < SETTINGS => Arc::clone(settings),
            _ => {
                let settings = Arc::new(engine.vendor_settings().elastic);
                *known = Some((now, Arc::clone(&settings)));
                settings
            }
        }
    }

    fn board(self: &Arc<Self>, key: Key, work: impl Future<Output = Landing> + Send + 'static) -> Asked {
        let Some(engine) = self.engine() else { return Asked::Later };
        let now = engine.ports().clock.monotonic();
        match self.flights.board(&key, now, self.rules.borrow().revalidate) {
            Boarding::Join(progress) => Asked::Flying(progress),
            Boarding::Not(Landing::Absent) => Asked::Absent,
            Boarding::Not(Landing::Failed | Landing::Declined | Landing::Held) => Asked::Later,
            Boarding::Full => {
                self.count(3);
                Asked::Later
            }
            Boarding::Fly(told, progress) => {
                let desk = Arc::clone(self);
                self.runtime.spawn(async move {
                    let landing = desk.survive(work).await;
                    desk.count(match landing {
                        Landing::Held => 0,
                        Landing::Absent => 1,
                        Landing::Failed | Landing::Declined => 2,
                    });
                    desk.flights.land(&key, landing, engine.ports().clock.monotonic());
                    told.send_replace(Some(landing));
                });
                Asked::Flying(progress)
            }
        }
    }

    /// A defect in a fetch ends the fetch alone: nobody waits for it for ever.
    async fn survive(&self, work: impl Future<Output = Landing> + Send + 'static) -> Landing {
        match self.runtime.spawn(work).await {
            Ok(landing) => landing,
            Err(error) => {
                tracing::error!(%error, "a fetch on demand ended by a defect of this program");
                Landing::Failed
            }
        }
    }

    fn count(&self, which: usize) {
        if let Some(count) = self.counts.get(which) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn note(&self, engine: &Engine, report: FeedReport) {
        let Some(reason) = report.reason else { return };
        let detail = report.detail.unwrap_or_default();
        self.note_feed(engine, &report.feed, Note { reason, detail });
    }

    fn note_feed(&self, engine: &Engine, feed: &FeedId, why: Note) {
        let at = engine.ports().clock.now();
        let tried = Tried { at, reason: why.reason, detail: why.detail.chars().take(300).collect() };
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES {
            notes.push((feed.clone(), tried));
        }
    }

    fn note_path(&self, engine: &Engine, path: &RoutePath, why: model::Note) {
        let at = engine.ports().clock.now();
        let tried = Tried { at, reason: why.reason, detail: why.detail.chars().take(300).collect() };
        let mut notes = self.path_notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES {
            notes.push((path.clone(), tried));
        }
    }

    /// What came of asking the vendor for paths, since this was last taken.
    pub(crate) fn take_path_notes(&self) -> Vec<(RoutePath, Tried)> {
        std::mem::take(&mut *self.path_notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What came of asking the vendor, since this was last taken.
    pub(crate) fn take_notes(&self) -> Vec<(FeedId, Tried)> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
