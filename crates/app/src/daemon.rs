//! `run` and `serve`: servers, schedules, reloads and the way to the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admin_http::{AdminError, AdminServer, Serving, StatusSource};
use async_trait::async_trait;
use config::Config;
use content_http::{ContentServer, StartError, Stats};
use mirror::{Engine, Silent, SyncRequest};
use model::{Clock, FeedId, Vendor, error_chain};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::build::{BuildError, Purpose, engine};
use crate::content;
use crate::listen::Inherited;
use crate::notify::{News, tell};
use crate::schedule::{Due, Schedule, failed};
use crate::signals::{self, Ask};

/// How often damage that the content side met is looked after.
const DAMAGE: Duration = Duration::from_secs(5);
/// How often what retention no longer keeps is let go.
const UPKEEP: Duration = Duration::from_secs(24 * 3600);
/// How soon after the start that is looked at first: a process that is restarted every night still does it.
const FIRST_UPKEEP: Duration = Duration::from_secs(10 * 60);
/// How soon schedules go on after a defect ended them.
const RESTART: Duration = Duration::from_secs(60);

/// What a process is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Content, schedules and status.
    Run,
    /// Content, health and metrics; changes nothing and needs no right to.
    Serve,
}

/// Why a daemon cannot start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The engine cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The content side cannot start.
    #[error(transparent)]
    Content(#[from] StartError),
    /// The admin listener cannot start.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The system does not let us hear signals.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
}

impl DaemonError {
    /// Whether the configuration is what must be changed.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Build(error) if error.is_configuration())
    }
}

/// A long-running process.
pub struct Daemon {
    config: Config,
    role: Role,
    given: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

impl Daemon {
    /// A daemon of this configuration; `given` is the configuration file that was named, for reloads.
    pub fn new(config: Config, role: Role, given: Option<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { config, role, given, clock }
    }

    /// Serves until the system asks to end.
    ///
    /// # Errors
    /// [`DaemonError`] when it cannot start.
    pub async fn run(self) -> Result<(), DaemonError> {
        let mut asks = signals::listen().map_err(DaemonError::Signals)?;
        let files = platform::raise_nofile();
        tracing::info!(files, data_dir = %self.config.data_dir.display(), "starting");
        if self.role == Role::Run {
            crate::prepare_data_folder(&self.config.data_dir)?;
        }
        // Before anything listens: a configuration that no engine can be built from is told at once.
        let built = match self.role {
            Role::Run => Some(engine(&self.config, "run", Purpose::Act, Arc::clone(&self.clock)).await?),
            Role::Serve => None,
        };
        let mut inherited = Inherited::take();
        let content = Arc::new(content::start(&self.config, &mut inherited, Arc::clone(&self.clock))?);
        for address in content.local_addresses() {
            tracing::info!(%address, "serving content");
        }
        let nudged = built.map(|engine| nudging(engine, &content));
        let (engines, current) = watch::channel(nudged.map(Arc::new));
        let admin = self.admin(&content, current.clone()).await?;
        inherited.finish();
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(admin.run(end.clone().cancelled_owned()));
        let (changes, timetable) = watch::channel(Timetable::of(&self.config));
        if self.role == Role::Run {
            let parts =
                Parts { engine: current, content: Arc::clone(&content), clock: Arc::clone(&self.clock), timetable };
            tasks.spawn(supervise(parts, end.clone()));
        }
        tell(News::Ready);
        let mut live = Live { daemon: self, content, engines, changes };
        while let Some(Ask::Reload) = asks.recv().await {
            live.reload().await;
        }
        live.finish(asks, &end, tasks).await;
        Ok(())
    }

    async fn admin(
        &self,
        content: &Arc<ContentServer>,
        engine: watch::Receiver<Option<Arc<Engine>>>,
    ) -> Result<AdminServer, DaemonError> {
        let serving: Arc<dyn Serving> = Arc::new(ContentFacts(Arc::clone(content)));
        let status: Option<Arc<dyn StatusSource>> =
            (self.role == Role::Run).then(|| Arc::new(EngineFacts(engine)) as Arc<dyn StatusSource>);
        let admin = AdminServer::bind(self.config.admin.address, Some(serving), status).await?;
        tracing::info!(address = %admin.address(), "health, metrics and status");
        Ok(admin)
    }
}

fn nudging(engine: Engine, content: &Arc<ContentServer>) -> Engine {
    let content = Arc::clone(content);
    engine.with_nudge(move || content.nudge())
}

/// What schedules are made from.
#[derive(Clone)]
struct Timetable {
    /// How often each vendor that is followed is asked.
    intervals: Vec<(Vendor, Duration)>,
    /// What is followed.
    feeds: Vec<FeedId>,
}

impl Timetable {
    fn of(config: &Config) -> Self {
        let vendors = Vendor::ALL.into_iter();
        let intervals = vendors.filter_map(|vendor| Some((vendor, config.schedule_of(vendor)?))).collect();
        Self { intervals, feeds: config.feeds() }
    }
}

/// A daemon that runs.
struct Live {
    daemon: Daemon,
    content: Arc<ContentServer>,
    engines: watch::Sender<Option<Arc<Engine>>>,
    changes: watch::Sender<Timetable>,
}

impl Live {
    /// Reads the configuration again; what cannot be read or built changes nothing.
    async fn reload(&mut self) {
        tell(News::Reloading);
        match self.try_reload().await {
            Ok(lines) if lines.is_empty() => tracing::info!("configuration read again: nothing changed"),
            Ok(lines) => {
                for change in lines {
                    tracing::info!(change, "configuration changed");
                }
            }
            Err(error) => tracing::error!(%error, "the configuration was not taken over; the one before stands"),
        }
        tell(News::Ready);
    }

    async fn try_reload(&mut self) -> Result<Vec<String>, String> {
        let environment = config::environment();
        let newer = Config::load(self.daemon.given.as_deref(), &environment).map_err(|error| error.to_string())?;
        let lines = self.daemon.config.diff(&newer);
        if newer.data_dir != self.daemon.config.data_dir || newer.admin != self.daemon.config.admin {
            return Err("data_dir and [admin] change only with a restart".to_owned());
        }
        if self.daemon.role == Role::Run {
            let clock = Arc::clone(&self.daemon.clock);
            let built = engine(&newer, "run", Purpose::Act, clock).await.map_err(|error| error_chain(&error))?;
            content::reload(&self.content, &newer)?;
            if !lines.is_empty() {
                built.record_config_change(&newer.digest(), &lines).await.map_err(|error| error_chain(&error))?;
            }
            self.engines.send_replace(Some(Arc::new(nudging(built, &self.content))));
            self.changes.send_replace(Timetable::of(&newer));
        } else {
            content::reload(&self.content, &newer)?;
        }
        self.daemon.config = newer;
        Ok(lines)
    }

    /// Lets downloads in progress end, within the time configured; a second signal ends at once.
    async fn finish(self, mut asks: mpsc::Receiver<Ask>, end: &CancellationToken, tasks: TaskTracker) {
        tell(News::Stopping);
        tracing::info!("ending: downloads in progress are finished");
        end.cancel();
        tasks.close();
        let limit = self.daemon.config.limits.drain_timeout;
        let content = Arc::clone(&self.content);
        let drained = async {
            content::drain(content, limit).await;
            if tokio::time::timeout(limit, tasks.wait()).await.is_err() {
                tracing::warn!("some tasks did not end in time");
            }
        };
        tokio::select! {
            () = drained => {}
            () = ended(&mut asks) => tracing::warn!("asked again to end: not waiting any longer"),
        }
    }
}

async fn ended(asks: &mut mpsc::Receiver<Ask>) {
    while let Some(ask) = asks.recv().await {
        if ask == Ask::End {
            return;
        }
    }
    std::future::pending().await
}

/// What schedules work with.
#[derive(Clone)]
struct Parts {
    engine: watch::Receiver<Option<Arc<Engine>>>,
    content: Arc<ContentServer>,
    clock: Arc<dyn Clock>,
    timetable: watch::Receiver<Timetable>,
}

/// Keeps schedules going: a defect that ends them is loud, and they begin anew.
async fn supervise(parts: Parts, end: CancellationToken) {
    loop {
        let scheduler = Scheduler::new(parts.clone());
        let running = AbortOnDrop(tokio::spawn(scheduler.run(end.clone())));
        match running.join().await {
            Ok(()) => return,
            Err(error) => tracing::error!(error, "schedules ended by a defect; they begin anew in a minute"),
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(RESTART) => {}
        }
    }
}

/// Asks vendors when they are due, one run at a time.
struct Scheduler {
    parts: Parts,
    schedule: Schedule,
    feeds: Vec<FeedId>,
    upkeep: Duration,
}

impl Scheduler {
    fn new(mut parts: Parts) -> Self {
        let now = parts.clock.monotonic();
        let Timetable { intervals, feeds } = parts.timetable.borrow_and_update().clone();
        let schedule = Schedule::new(intervals, now);
        Self { parts, schedule, feeds, upkeep: now.saturating_add(FIRST_UPKEEP) }
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

    /// Does what is due, or waits for a moment; false when there is nothing to wait for any more.
    async fn turn(&mut self) -> bool {
        let now = self.parts.clock.monotonic();
        if now >= self.upkeep {
            self.upkeep = now.saturating_add(UPKEEP);
            self.collect().await;
        }
        let next = match self.schedule.due(now) {
            Due::Now(vendors) => {
                self.sync(&vendors).await;
                return true;
            }
            Due::At(next) => next.min(self.upkeep),
            Due::Never => self.upkeep,
        };
        tokio::select! {
            change = self.parts.timetable.changed() => {
                if change.is_err() {
                    return false;
                }
                self.change();
            }
            () = tokio::time::sleep(next.saturating_sub(now).min(DAMAGE)) => {}
        }
        self.look_after_damage().await;
        true
    }

    /// Takes a new timetable over; a feed that is new is fetched at once.
    fn change(&mut self) {
        let now = self.parts.clock.monotonic();
        let Timetable { intervals, feeds } = self.parts.timetable.borrow_and_update().clone();
        self.schedule.change(intervals, now);
        if feeds.iter().any(|feed| !self.feeds.contains(feed)) {
            self.schedule.hurry(now);
        }
        self.feeds = feeds;
    }

    fn engine(&self) -> Option<Arc<Engine>> {
        self.parts.engine.borrow().clone()
    }

    async fn sync(&mut self, vendors: &[Vendor]) {
        let Some(engine) = self.engine() else { return };
        let feeds = engine.settings().feeds.iter().filter(|feed| vendors.contains(&feed.vendor())).cloned().collect();
        let request = SyncRequest { feeds, from: None, wait: true };
        let ended = apart(async move { engine.sync(&request, Arc::new(Silent)).await }).await;
        let now = self.parts.clock.monotonic();
        match ended {
            Ok(Ok(report)) => {
                for feed in &report.feeds {
                    tracing::info!(
                        feed = %feed.feed, outcome = feed.outcome.as_str(), bytes = feed.bytes_fetched,
                        requests = feed.requests, reason = feed.reason.map(model::Reason::code), "synced"
                    );
                }
                self.schedule.ran(vendors, &failed(&report), now, spread(now));
            }
            Ok(Err(error)) => self.later(vendors, now, &error_chain(&error)),
            Err(error) => self.later(vendors, now, &error),
        }
    }

    /// A run that could not take place at all is tried again soon.
    fn later(&mut self, vendors: &[Vendor], now: Duration, error: &str) {
        tracing::error!(error, "the run failed as a whole");
        let all = self.engine().map(|engine| engine.settings().feeds.clone()).unwrap_or_default();
        self.schedule.ran(vendors, &all, now, 0.5);
    }

    /// Sets aside what could not be served whole, and has it fetched again now.
    async fn look_after_damage(&mut self) {
        let Some(engine) = self.engine() else { return };
        let damaged = self.parts.content.take_damaged();
        if damaged.is_empty() {
            return;
        }
        let looked_at = damaged.clone();
        let outcome = apart(async move { engine.recheck(&looked_at).await }).await;
        if !matches!(outcome, Ok(Ok(_))) {
            // Each damage is told once: what was not looked after must not be lost.
            self.parts.content.put_back_damaged(&damaged);
        }
        match outcome {
            Ok(Ok(report)) if report.faults.is_empty() => {}
            Ok(Ok(report)) => {
                for fault in &report.faults {
                    let reason = model::Reason::BlobDamaged.code();
                    tracing::error!(digest = %fault.digest, reason, "set aside; fetching it again");
                }
                self.schedule.hurry(self.parts.clock.monotonic());
            }
            Ok(Err(error)) => tracing::error!(error = %error_chain(&error), "damaged blobs could not be looked after"),
            Err(error) => tracing::error!(error, "damaged blobs could not be looked after"),
        }
    }

    async fn collect(&self) {
        let Some(engine) = self.engine() else { return };
        match apart(async move { engine.collect().await }).await {
            Ok(Ok(report)) => tracing::info!(
                releases = report.plan.releases.len(),
                blobs = report.removed,
                bytes = report.plan.bytes,
                "upkeep done"
            ),
            Ok(Err(error)) => tracing::error!(error = %error_chain(&error), "upkeep failed"),
            Err(error) => tracing::error!(error, "upkeep failed"),
        }
    }
}

/// Runs something on a task of its own, so that a defect in it ends it alone; dropping this ends it too.
async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    AbortOnDrop(tokio::spawn(work)).join().await
}

/// Spreads many sites' schedules; the moment at which a run happened to end is as good as a die.
fn spread(now: Duration) -> f64 {
    f64::from(now.subsec_micros() % 1000) / 1000.0
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

struct ContentFacts(Arc<ContentServer>);

impl Serving for ContentFacts {
    fn stats(&self) -> Stats {
        self.0.stats()
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
}

struct EngineFacts(watch::Receiver<Option<Arc<Engine>>>);

#[async_trait]
impl StatusSource for EngineFacts {
    async fn status(&self) -> Result<mirror::Status, String> {
        let engine = self.0.borrow().clone();
        let engine = engine.ok_or_else(|| "there is no engine".to_owned())?;
        engine.status().await.map_err(|error| error_chain(&error))
    }
}
