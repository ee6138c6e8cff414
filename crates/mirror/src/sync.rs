//! A fetch run: every feed at once, each on a task of its own; what is admitted is published as it comes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::FeedRecord;
use model::{Digest, FeedId, Held, Note, Outcome, Reason, ReleaseId, ServedFeed, Vendor, VendorVersion};
use origin::{HostGate, Origin};
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;
use vendors::Inspection;

use crate::feed_run::{FeedRun, Recalled, Settled, note};
use crate::proof::Proven;
use crate::ruling::{Costs, died, interrupted};
use crate::{Ends, Engine, EngineError, FeedReport, FetchGuard, FolderReport, Guard, Observer, Progress, SyncReport};

/// How long an admitted release waits for others to be published with it, and a verdict to be recorded with others.
const TOGETHER: Duration = Duration::from_millis(200);

/// How long a run that is to stop waits for the publication lock, to publish what is done.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// Who merely looks begins nothing.
pub(crate) const NEVER: (Ends, u64) = (Ends::NEVER, 0);

/// What to fetch.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest {
    /// These feeds; all that are followed when empty.
    pub feeds: Vec<FeedId>,
    /// Take them from this folder instead of from the vendor.
    pub from: Option<PathBuf>,
    /// Wait for another run to end rather than fail.
    pub wait: bool,
    /// Record nothing of a feed of which nothing is held unless the vendor turns out to have it: somebody merely asked
    /// for it, and names that are made up are without number.
    pub tentative: bool,
    /// Fetch again what is served, and take nothing else: a repair publishes no release.
    pub repair: bool,
}

type Inspected = Arc<OnceCell<Result<Vec<Note>, Note>>>;

/// What a repair knows before it asks.
#[derive(Default)]
struct Repair {
    /// What of the served releases is lost, in words.
    lacks: BTreeMap<FeedId, String>,
    /// What the operator rejected or left.
    denied: Vec<(FeedId, VendorVersion)>,
}

/// What all feeds of one run share.
pub(crate) struct Shared {
    pub(crate) observer: Arc<dyn Observer>,
    /// Names this run's reservations.
    pub(crate) holder: String,
    pub(crate) folder: Option<String>,
    /// The vendors' settings, with the places where feeds lie in the folder.
    pub(crate) lying: Option<vendors::Settings>,
    tentative: bool,
    /// Until when time has surely passed, and the last entry of the history before the run.
    begun: (Ends, u64),
    serving: BTreeMap<FeedId, ServedFeed>,
    repair: Option<Repair>,
    /// Bytes that this run hashed itself.
    pub(crate) proven: Proven,
    inspected: Mutex<HashMap<(Digest, String), Inspected>>,
    places: Semaphore,
}

impl Shared {
    /// The release that the ring served for a feed when the run began.
    pub(crate) fn serving(&self, feed: &FeedId) -> Option<ReleaseId> {
        self.serving.get(feed).map(|served| served.release)
    }

    /// What a repair must not go on with, where this run is one: the vendor offers another version than the one that is
    /// served.
    pub(crate) fn not_repaired_by(&self, feed: &FeedId, offered: &VendorVersion) -> Option<Note> {
        let repair = self.repair.as_ref()?;
        let served = self.serving.get(feed).map(|served| &served.vendor_version);
        if served == Some(offered) {
            return None;
        }
        let served = served.map_or_else(|| "nothing".to_owned(), VendorVersion::to_string);
        let lacks = repair.lacks.get(feed).map_or_else(String::new, |lacks| format!("{lacks}; "));
        let next = if repair.denied.iter().any(|(of, version)| of == feed && version == offered) {
            "which counts as rejected: admit a release that is held"
        } else {
            "by now: `waystation sync` takes what it offers"
        };
        let detail = format!("{lacks}{served} is served, and the vendor offers {offered} {next}");
        Some(note(Reason::BlobMissing, detail))
    }

    /// Looks into held bytes, once for each kind of look over all feeds.
    pub(crate) async fn inspect(
        &self,
        engine: &Engine,
        held: Held,
        job: Box<dyn Inspection>,
    ) -> Result<Vec<Note>, Note> {
        let key = (held.digest(), job.key());
        let cell = {
            let mut all = self.inspected.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(key.clone()).or_default())
        };
        let found = cell.get_or_init(|| self.look_twice(engine, held, job)).await.clone();
        if found.as_ref().is_err_and(|note| note.reason == Reason::BlobDamaged) {
            // Its bytes are fetched again, and those are looked into anew.
            let mut all = self.inspected.lock().unwrap_or_else(PoisonError::into_inner);
            if all.get(&key).is_some_and(|known| Arc::ptr_eq(known, &cell)) {
                all.remove(&key);
            }
        }
        found
    }

    /// Looks into held bytes. Where anything speaks against a file that was held already, it is read again before the
    /// vendor is blamed: the disk may have changed it. It is set aside then, and the reason says so.
    async fn look_twice(&self, engine: &Engine, held: Held, job: Box<dyn Inspection>) -> Result<Vec<Note>, Note> {
        let found = self.look(engine, held, job).await;
        let digest = held.digest();
        if found.as_ref().is_ok_and(Vec::is_empty) || self.proven.has(&digest) {
            return found;
        }
        let looked = engine.recheck(&[digest]).await;
        let looked = looked.map_err(|error| note(error.reason(), model::error_chain(&error)))?;
        if looked.faults.is_empty() {
            return found;
        }
        let detail = format!("the bytes of blob {digest} changed on the disk; set aside");
        Err(note(Reason::BlobDamaged, detail))
    }

    async fn look(&self, engine: &Engine, held: Held, job: Box<dyn Inspection>) -> Result<Vec<Note>, Note> {
        let _place = self.places.acquire().await.map_err(|_| note(Reason::Interrupted, "the run is ending"))?;
        let opened = engine.ports.blobs.open(held.digest()).await;
        let reader = opened.map_err(|error| note(error.reason(), model::error_chain(&error)))?;
        let Some(mut reader) = reader else {
            return Err(note(Reason::StoreFailed, format!("blob {} is gone", held.digest())));
        };
        if engine.settings.inspections == 0 {
            return job.inspect(&mut reader);
        }
        tokio::task::spawn_blocking(move || job.inspect(&mut reader))
            .await
            .unwrap_or_else(|error| Err(note(Reason::Internal, error.to_string())))
    }
}

impl Engine {
    /// Fetches, proves, admits and publishes.
    ///
    /// # Errors
    /// [`EngineError`] when the run could not take place at all; what fails for one feed is in the report.
    pub async fn sync(&self, request: &SyncRequest, observer: Arc<dyn Observer>) -> Result<SyncReport, EngineError> {
        self.sync_until(request, observer, std::future::pending()).await
    }

    /// As [`Engine::sync`], until `stop` ends: feeds that are not done then fail as interrupted, those that are done are
    /// published, and the report tells both. What was fetched of the others is resumed by the next run.
    ///
    /// # Errors
    /// As [`Engine::sync`]; [`EngineError::Stopped`] when it was to stop before it began.
    pub async fn sync_until(
        &self,
        request: &SyncRequest,
        observer: Arc<dyn Observer>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<SyncReport, EngineError> {
        let mut stop = std::pin::pin!(stop);
        self.known(&request.feeds)?;
        let lock = tokio::select! {
            lock = self.fetch_lock(request.wait, observer.as_ref()) => lock?,
            () = &mut stop => return Err(EngineError::Stopped),
        };
        let calm = self.calm_for_grace().await?;
        let since = self.ports.catalog.chain_head().await?.seq;
        self.restore_ring().await?;
        self.adopt().await?;
        if lock.first {
            self.ports.catalog.unreserve(None).await?;
            HostGate::forget_past(self.ports.catalog.as_ref(), self.ports.clock.now()).await?;
        }
        let run = self.open_run(request, observer, (calm, since)).await?;
        let report = run.go(stop).await;
        if let Err(error) = self.ports.catalog.unreserve(Some(&run.shared.holder)).await {
            // What is left behind keeps blobs from gc until the next run, and is no reason to hide how this one ended.
            tracing::warn!(error = %model::error_chain(&error), "the run's reservations stay for now");
        }
        report
    }

    /// The runs that a plan talks through.
    pub(crate) async fn jobs_to_plan(&self, request: &SyncRequest) -> Result<Vec<FeedRun>, EngineError> {
        self.known(&request.feeds)?;
        let run = self.open_run(request, Arc::new(crate::Silent), NEVER).await?;
        Ok(run.feeds.iter().map(|(feed, origin)| run.job(feed, origin)).collect())
    }

    fn known(&self, feeds: &[FeedId]) -> Result<(), EngineError> {
        let followed = self.feeds();
        if followed.is_empty() {
            return Err(EngineError::NoFeeds);
        }
        match feeds.iter().find(|feed| !followed.contains(feed)) {
            None => Ok(()),
            Some(feed) => Err(EngineError::UnknownFeed { feed: feed.clone(), known: list(&followed) }),
        }
    }

    async fn fetch_lock(&self, wait: bool, observer: &dyn Observer) -> Result<FetchGuard, EngineError> {
        match self.ports.locks.try_fetch().await? {
            Ok(guard) => Ok(guard),
            Err(holder) if !wait => Err(EngineError::locked(holder)),
            Err(holder) => {
                observer.on(Progress::Waiting { holder: holder.0 });
                self.ports.locks.fetch().await
            }
        }
    }

    pub(crate) async fn open_run(
        &self,
        request: &SyncRequest,
        observer: Arc<dyn Observer>,
        begun: (Ends, u64),
    ) -> Result<Run, EngineError> {
        let now = self.ports.clock.now();
        let serving = self.present().await?.map(|current| current.generation.feeds);
        let repair = match (&serving, request.repair) {
            (Some(serving), true) => Some(self.to_repair(serving).await?),
            (None, true) => Some(Repair::default()),
            (_, false) => None,
        };
        let (feeds, lying, in_folder) = match &request.from {
            Some(folder) => {
                let found = self.in_folder(folder, &request.feeds).await?;
                (found.feeds, Some(found.settings), Some(found.report))
            }
            None => (self.feeds_of_vendors(&request.feeds).await?, None, None),
        };
        Ok(Run {
            engine: self.clone(),
            feeds,
            in_folder,
            shared: Arc::new(Shared {
                observer,
                holder: format!("{}-{}-{}", self.settings.actor.pid, now.as_micros(), next_run()),
                folder: request.from.as_ref().map(|path| path.display().to_string()),
                lying,
                tentative: request.tentative,
                repair,
                begun,
                serving: serving.unwrap_or_default(),
                proven: Proven::default(),
                inspected: Mutex::default(),
                places: Semaphore::new(self.settings.inspections.max(1)),
            }),
        })
    }

    async fn to_repair(&self, serving: &BTreeMap<FeedId, ServedFeed>) -> Result<Repair, EngineError> {
        let mut repair = Repair::default();
        for (feed, served) in serving {
            if let Some(found) = self.ports.catalog.release(&served.release).await?
                && let Some(missing) = self.missing(&found.release).await
            {
                repair.lacks.insert(feed.clone(), missing.detail);
            }
            for id in &served.denied {
                let found = self.ports.catalog.release(id).await?;
                repair.denied.extend(found.map(|found| (feed.clone(), found.release.vendor_version)));
            }
        }
        Ok(repair)
    }

    async fn feeds_of_vendors(&self, asked: &[FeedId]) -> Result<Vec<(FeedId, Arc<dyn Origin>)>, EngineError> {
        let ports = &self.ports;
        let places = ports.origins.connections_per_host();
        let gate = HostGate::open(places, Arc::clone(&ports.catalog), Arc::clone(&ports.clock)).await?;
        let gate = Arc::new(gate.among(Arc::clone(&self.crowd)));
        let origins: HashMap<Vendor, Arc<dyn Origin>> =
            Vendor::ALL.into_iter().map(|vendor| (vendor, ports.origins.vendor(vendor, Arc::clone(&gate)))).collect();
        let followed = self.feeds();
        let chosen = if asked.is_empty() { &followed } else { asked };
        Ok(chosen.iter().filter_map(|feed| Some((feed.clone(), Arc::clone(origins.get(&feed.vendor())?)))).collect())
    }
}

pub(crate) fn list(feeds: &[FeedId]) -> String {
    let names: Vec<&str> = feeds.iter().take(20).map(FeedId::as_str).collect();
    let more = feeds.len().saturating_sub(names.len());
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}

/// Tells this process's runs apart.
fn next_run() -> u64 {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    RUNS.fetch_add(1, Ordering::Relaxed)
}

pub(crate) struct Run {
    engine: Engine,
    shared: Arc<Shared>,
    pub(crate) feeds: Vec<(FeedId, Arc<dyn Origin>)>,
    in_folder: Option<FolderReport>,
}

impl Run {
    pub(crate) fn job(&self, feed: &FeedId, origin: &Arc<dyn Origin>) -> FeedRun {
        FeedRun {
            engine: self.engine.clone(),
            shared: Arc::clone(&self.shared),
            feed: feed.clone(),
            origin: Arc::clone(origin),
        }
    }

    async fn go(&self, mut stop: Pin<&mut (impl Future<Output = ()> + Send)>) -> Result<SyncReport, EngineError> {
        let mut tasks = JoinSet::new();
        let mut owners = HashMap::new();
        // One after the other before the first request: the catalog answers one at a time anyhow, and so all feeds
        // set out together.
        let records = self.engine.ports.catalog.feeds().await?;
        let mut jobs = Vec::new();
        for (feed, origin) in &self.feeds {
            let job = self.job(feed, origin);
            let memory = job.recall(records.iter().find(|record| record.feed == *feed)).await?;
            jobs.push((job, memory));
        }
        for (job, memory) in jobs {
            let feed = job.feed.clone();
            let handle = tasks.spawn(job.run(memory));
            owners.insert(handle.id(), feed);
        }
        let mut report = SyncReport { folder: self.in_folder.clone(), ..SyncReport::default() };
        let mut ended = Vec::new();
        let mut stopped = false;
        // Feeds of which held bytes were found damaged when they were to be published: each is fetched once more.
        let mut again = BTreeSet::new();
        loop {
            let next = tokio::select! {
                next = next(&mut tasks, !ended.is_empty()) => next,
                () = &mut stop, if !stopped => {
                    stopped = true;
                    tasks.abort_all();
                    continue;
                }
            };
            let next = match next {
                None if ended.is_empty() => break,
                // What ended last is decided about, which may give something more to do.
                None => Ended::Pause,
                Some(next) => next,
            };
            match next {
                Ended::Died(id, _) if stopped => ended.extend(owners.get(&id).cloned().map(interrupted)),
                Ended::Settled(settled) => ended.push(*settled),
                Ended::Died(id, error) => ended.extend(owners.get(&id).map(|feed| died(feed.clone(), &error))),
                Ended::Pause => {
                    let lock = self.turn(stop.as_mut(), &mut stopped).await?;
                    if stopped {
                        tasks.abort_all();
                    }
                    let known = if stopped { None } else { Some(&mut again) };
                    for job in self.conclude(lock, std::mem::take(&mut ended), (&mut report, known)).await? {
                        let feed = job.feed.clone();
                        let handle = tasks.spawn(job.run(Recalled::default()));
                        owners.insert(handle.id(), feed);
                    }
                }
            }
        }
        let current = self.engine.present().await?;
        report.generation = current.map(|current| current.generation.number);
        let steps = self.engine.steps_since(self.shared.begun.1).await?;
        for lost in &steps {
            let has_line = report.feeds.iter().any(|line| line.feed == lost.feed);
            let record = self.engine.ports.catalog.feed(&lost.feed).await?;
            if let Some(record) = record.filter(|_| !has_line) {
                self.report(&record, Costs::default(), &mut report);
            }
        }
        report.lost_back = steps;
        report.feeds.sort_by(|a, b| a.feed.cmp(&b.feed));
        Ok(report)
    }

    /// Waits for the publication lock; once it is to stop, for a moment only, so that what is done is still published
    /// and nobody who holds the lock keeps this run from its end.
    async fn turn(
        &self,
        stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        stopped: &mut bool,
    ) -> Result<Box<dyn Guard>, EngineError> {
        let mut taking = std::pin::pin!(self.engine.ports.locks.publish());
        if !*stopped {
            tokio::select! {
                lock = &mut taking => return lock,
                () = stop => *stopped = true,
            }
        }
        tokio::time::timeout(LAST_WAIT, taking).await.unwrap_or(Err(EngineError::StoppedWaiting))
    }

    /// Decides about feeds as they end, so that none waits for a slow one. Gives what is to be run once more because bytes
    /// that were held turned out to be damaged; nothing without a list of what was.
    async fn conclude(
        &self,
        lock: Box<dyn Guard>,
        ended: Vec<Settled>,
        (report, mut again): (&mut SyncReport, Option<&mut BTreeSet<FeedId>>),
    ) -> Result<Vec<FeedRun>, EngineError> {
        let (mut untold, mut told) = (Vec::new(), Vec::new());
        for settled in ended {
            let leaves = self.leaves_no_record(&settled).await?;
            if leaves { &mut untold } else { &mut told }.push(settled);
        }
        self.tell_alone(untold, report);
        let done = self.engine.rule_locked(told, self.shared.begun, &self.shared.proven).await?;
        drop(lock);
        report.lost_grace.extend(done.lost_grace.iter().map(ToString::to_string));
        let mut jobs = Vec::new();
        for (record, costs) in done.records {
            let damaged = record.outcome == Outcome::Failed && record.reason == Some(Reason::BlobDamaged);
            let origin = self.feeds.iter().find(|(feed, _)| damaged && *feed == record.feed).map(|(_, origin)| origin);
            if let (Some(again), Some(origin)) = (again.as_deref_mut(), origin)
                && again.insert(record.feed.clone())
            {
                tracing::warn!(feed = %record.feed, "bytes that were held are damaged: they are fetched again");
                jobs.push(self.job(&record.feed, origin));
            }
            self.report(&record, costs, report);
        }
        Ok(jobs)
    }

    /// Whether somebody merely asked for a feed, nothing of it is held, and it is not known that the vendor has it, or
    /// there is no room to follow it.
    async fn leaves_no_record(&self, settled: &Settled) -> Result<bool, EngineError> {
        let Err(failure) = &settled.result else { return Ok(false) };
        if !self.shared.tentative || settled.offered.is_some() && failure.reason != Reason::LearnedFull {
            return Ok(false);
        }
        let known = self.engine.ports.catalog.feed(&settled.feed).await?;
        Ok(known.is_none_or(|record| record.succeeded_at.is_none()))
    }

    /// What leaves no record is in the report alone.
    fn tell_alone(&self, untold: Vec<Settled>, report: &mut SyncReport) {
        for settled in untold {
            let Err(failure) = settled.result else { continue };
            let made = FeedReport {
                feed: settled.feed,
                outcome: Outcome::Failed,
                vendor_version: None,
                release: None,
                bytes_fetched: settled.bytes,
                requests: settled.requests,
                reason: Some(failure.reason),
                detail: Some(failure.detail),
            };
            self.shared.observer.on(Progress::Settled(made.clone()));
            report.feeds.push(made);
        }
    }

    fn report(&self, record: &FeedRecord, costs: Costs, report: &mut SyncReport) {
        let declined = record.reason == Some(Reason::RejectedBefore);
        let made = FeedReport {
            feed: record.feed.clone(),
            outcome: record.outcome,
            vendor_version: record.offered.clone(),
            // Where an offer was declined, the outcome speaks of what is served instead.
            release: if declined { self.shared.serving(&record.feed) } else { record.release },
            bytes_fetched: costs.bytes,
            requests: costs.requests,
            reason: record.reason,
            detail: record.detail.clone(),
        };
        self.shared.observer.on(Progress::Settled(made.clone()));
        // A feed that was held may have been published together with a later one.
        match report.feeds.iter_mut().find(|known| known.feed == made.feed) {
            Some(known) => {
                let bytes_fetched = known.bytes_fetched.saturating_add(made.bytes_fetched);
                let requests = known.requests.saturating_add(made.requests);
                *known = FeedReport { bytes_fetched, requests, ..made };
            }
            None => report.feeds.push(made),
        }
    }
}

enum Ended {
    Settled(Box<Settled>),
    Died(tokio::task::Id, String),
    Pause,
}

/// The next feed that ended; a pause when releases wait and none ends for a moment.
async fn next(tasks: &mut JoinSet<Settled>, waiting: bool) -> Option<Ended> {
    let joined = if waiting {
        match tokio::time::timeout(TOGETHER, tasks.join_next_with_id()).await {
            Ok(joined) => joined,
            Err(_) => return Some(Ended::Pause),
        }
    } else {
        tasks.join_next_with_id().await
    };
    Some(match joined? {
        Ok((_, settled)) => Ended::Settled(Box::new(settled)),
        Err(error) => Ended::Died(error.id(), error.to_string()),
    })
}
