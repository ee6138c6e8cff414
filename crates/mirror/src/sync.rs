//! A fetch run: every feed at once, each on a task of its own; what is admitted is published as it comes.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::{Batch, EntryKind, FeedRecord};
use model::{Digest, FeedId, Held, Note, Outcome, Reason, ReleaseId, ReleaseState, Vendor, VendorVersion};
use origin::{FolderOrigin, HostGate, Origin};
use serde_json::json;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;
use trust::{Context, Decision, decide};
use vendors::{Inspection, Offered, Step};

use crate::feed_run::{FeedRun, Found, Proposed, Settled, note};
use crate::plan::Newcomer;
use crate::publish::Pending;
use crate::{Engine, EngineError, FeedPlan, FeedReport, Guard, Observer, PlannedFile, Progress, SyncReport};

/// How long an admitted release waits for others to be published with it, and a verdict to be recorded with others.
const TOGETHER: Duration = Duration::from_millis(20);

/// What to fetch.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest {
    /// These feeds; all that are followed when empty.
    pub feeds: Vec<FeedId>,
    /// Take them from this folder instead of from the vendor.
    pub from: Option<PathBuf>,
    /// Wait for another run to end rather than fail.
    pub wait: bool,
}

type Inspected = Arc<OnceCell<Result<Vec<Note>, Note>>>;

/// What all feeds of one run share.
pub(crate) struct Shared {
    pub(crate) observer: Arc<dyn Observer>,
    /// Names this run's reservations.
    pub(crate) holder: String,
    pub(crate) folder: Option<String>,
    serving: BTreeMap<FeedId, (ReleaseId, VendorVersion)>,
    inspected: Mutex<HashMap<(Digest, String), Inspected>>,
    places: Semaphore,
}

impl Shared {
    /// The release that the ring served for a feed when the run began.
    pub(crate) fn serving(&self, feed: &FeedId) -> Option<ReleaseId> {
        self.serving.get(feed).map(|(release, _)| *release)
    }

    /// Looks into held bytes, once for each kind of look over all feeds.
    pub(crate) async fn inspect(
        &self,
        engine: &Engine,
        held: Held,
        job: Box<dyn Inspection>,
    ) -> Result<Vec<Note>, Note> {
        let cell = {
            let mut all = self.inspected.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry((held.digest(), job.key())).or_default())
        };
        cell.get_or_init(|| self.look(engine, held, job)).await.clone()
    }

    async fn look(&self, engine: &Engine, held: Held, job: Box<dyn Inspection>) -> Result<Vec<Note>, Note> {
        let _place = self.places.acquire().await.map_err(|_| note(Reason::Interrupted, "the run is ending"))?;
        let opened = engine.ports.blobs.open(held.digest()).await;
        let reader = opened.map_err(|error| note(Reason::StoreFailed, error.to_string()))?;
        let Some(mut reader) = reader else {
            return Err(note(Reason::StoreFailed, format!("blob {} is gone", held.digest())));
        };
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
        self.known(&request.feeds)?;
        let _lock = self.fetch_lock(request.wait, observer.as_ref()).await?;
        self.reconcile().await?;
        let run = self.open_run(request, observer).await?;
        let report = run.go().await;
        self.ports.catalog.unreserve(Some(&run.shared.holder)).await?;
        report
    }

    /// What [`Engine::sync`] would fetch. Reads the vendors' documents; records and fetches nothing.
    ///
    /// # Errors
    /// [`EngineError`] when nothing can be planned at all.
    pub async fn plan_sync(&self, request: &SyncRequest) -> Result<Vec<FeedPlan>, EngineError> {
        self.known(&request.feeds)?;
        let run = self.open_run(request, Arc::new(crate::Silent)).await?;
        let plans = run.feeds.iter().map(|(feed, origin)| async {
            let job = run.job(feed, origin);
            plan_feed(&job).await
        });
        Ok(futures_util::future::join_all(plans).await)
    }

    fn known(&self, feeds: &[FeedId]) -> Result<(), EngineError> {
        if self.settings.feeds.is_empty() {
            return Err(EngineError::NoFeeds);
        }
        match feeds.iter().find(|feed| !self.settings.feeds.contains(feed)) {
            None => Ok(()),
            Some(feed) => Err(EngineError::UnknownFeed { feed: feed.clone(), known: list(&self.settings.feeds) }),
        }
    }

    async fn fetch_lock(&self, wait: bool, observer: &dyn Observer) -> Result<Box<dyn Guard>, EngineError> {
        match self.ports.locks.try_fetch().await? {
            Ok(guard) => Ok(guard),
            Err(holder) if !wait => Err(EngineError::locked(holder)),
            Err(holder) => {
                observer.on(Progress::Waiting { holder: holder.0 });
                self.ports.locks.fetch().await
            }
        }
    }

    async fn open_run(&self, request: &SyncRequest, observer: Arc<dyn Observer>) -> Result<Run, EngineError> {
        let now = self.ports.clock.now();
        let current = self.ports.rings.current(&self.settings.ring).await?;
        let serving = current.map(|current| {
            let feeds = current.generation.feeds.into_iter();
            feeds.map(|(feed, served)| (feed, (served.release, served.vendor_version))).collect()
        });
        let feeds = match &request.from {
            Some(folder) => self.feeds_of_folder(folder, &request.feeds).await?,
            None => self.feeds_of_vendors(&request.feeds).await?,
        };
        Ok(Run {
            engine: self.clone(),
            feeds,
            shared: Arc::new(Shared {
                observer,
                holder: format!("{}-{}", self.settings.actor.pid, now.as_micros()),
                folder: request.from.as_ref().map(|path| path.display().to_string()),
                serving: serving.unwrap_or_default(),
                inspected: Mutex::default(),
                places: Semaphore::new(self.settings.inspections.max(1)),
            }),
        })
    }

    async fn feeds_of_vendors(&self, asked: &[FeedId]) -> Result<Vec<(FeedId, Arc<dyn Origin>)>, EngineError> {
        let ports = &self.ports;
        let places = ports.origins.connections_per_host();
        let gate = HostGate::open(places, Arc::clone(&ports.catalog), Arc::clone(&ports.clock)).await?;
        let gate = Arc::new(gate);
        let origins: HashMap<Vendor, Arc<dyn Origin>> =
            Vendor::ALL.into_iter().map(|vendor| (vendor, ports.origins.vendor(vendor, Arc::clone(&gate)))).collect();
        let chosen = if asked.is_empty() { &self.settings.feeds } else { asked };
        Ok(chosen.iter().filter_map(|feed| Some((feed.clone(), Arc::clone(origins.get(&feed.vendor())?)))).collect())
    }

    async fn feeds_of_folder(
        &self,
        folder: &std::path::Path,
        asked: &[FeedId],
    ) -> Result<Vec<(FeedId, Arc<dyn Origin>)>, EngineError> {
        let opened = FolderOrigin::open(folder, Arc::clone(&self.ports.blobs), self.ports.origins.reserve());
        let origin = Arc::new(opened.map_err(|error| EngineError::Folder(error.to_string()))?);
        let view = Arc::clone(&origin);
        let found = tokio::task::spawn_blocking(move || {
            Vendor::ALL.into_iter().flat_map(|vendor| vendors::registry(vendor).find_in_folder(view.as_ref())).collect()
        });
        let found: Vec<FeedId> = found.await.map_err(EngineError::task)?;
        let (followed, strangers): (Vec<FeedId>, Vec<FeedId>) =
            found.into_iter().partition(|feed| self.settings.feeds.contains(feed));
        if !strangers.is_empty() {
            tracing::warn!(feeds = %list(&strangers), "the folder holds feeds that are not followed");
        }
        let chosen = if asked.is_empty() { followed } else { asked.to_vec() };
        if chosen.is_empty() {
            let what = if strangers.is_empty() {
                "no feed that is known here".to_owned()
            } else {
                format!("{}, which are not followed", list(&strangers))
            };
            return Err(EngineError::Folder(format!(
                "{} holds {what}; followed are: {}",
                folder.display(),
                list(&self.settings.feeds)
            )));
        }
        Ok(chosen.into_iter().map(|feed| (feed, Arc::clone(&origin) as Arc<dyn Origin>)).collect())
    }
}

pub(crate) fn list(feeds: &[FeedId]) -> String {
    let names: Vec<&str> = feeds.iter().take(20).map(FeedId::as_str).collect();
    let more = feeds.len().saturating_sub(names.len());
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}

struct Run {
    engine: Engine,
    shared: Arc<Shared>,
    feeds: Vec<(FeedId, Arc<dyn Origin>)>,
}

impl Run {
    fn job(&self, feed: &FeedId, origin: &Arc<dyn Origin>) -> FeedRun {
        FeedRun {
            engine: self.engine.clone(),
            shared: Arc::clone(&self.shared),
            feed: feed.clone(),
            origin: Arc::clone(origin),
        }
    }

    async fn go(&self) -> Result<SyncReport, EngineError> {
        let mut tasks = JoinSet::new();
        let mut owners = HashMap::new();
        for (feed, origin) in &self.feeds {
            let handle = tasks.spawn(self.job(feed, origin).run());
            owners.insert(handle.id(), feed.clone());
        }
        let mut report = SyncReport::default();
        let mut batch = Batch::default();
        let mut pending = Vec::new();
        while let Some(ended) = next(&mut tasks, !pending.is_empty() || !batch.feeds.is_empty()).await {
            match ended {
                Ended::Settled(settled) => self.take(*settled, &mut batch, &mut pending, &mut report).await?,
                Ended::Died(id, error) => {
                    let feed = owners.get(&id).cloned();
                    self.died(feed, &error, &mut batch, &mut report).await?;
                }
                Ended::Pause => self.flush(&mut batch, &mut pending, &mut report).await?,
            }
        }
        self.flush(&mut batch, &mut pending, &mut report).await?;
        let current = self.engine.ports.rings.current(&self.engine.settings.ring).await?;
        report.generation = current.map(|current| current.generation.number);
        report.feeds.sort_by(|a, b| a.feed.cmp(&b.feed));
        Ok(report)
    }

    /// Decides about one feed. What needs no publication goes into `batch`, the rest into `pending`.
    async fn take(
        &self,
        settled: Settled,
        batch: &mut Batch,
        pending: &mut Vec<Pending>,
        report: &mut SyncReport,
    ) -> Result<(), EngineError> {
        let now = self.engine.ports.clock.now();
        // Read again: the operator may have acted while the feed was fetched.
        let known = self.engine.ports.catalog.feed(&settled.feed).await?;
        let mut record = known.unwrap_or_else(|| FeedRecord::new(settled.feed.clone(), now));
        record.checked_at = now;
        let offered = settled.offered.as_ref().map(|offered| offered.vendor_version.clone());
        if offered.is_some() && offered != record.offered {
            record.offered = offered;
            record.changed_at = Some(now);
        }
        let costs = Costs { bytes: settled.bytes, requests: settled.requests };
        match settled.result {
            Err(failure) => {
                self.fail(&mut record, &failure);
                self.conclude(record, costs, batch, report);
            }
            Ok(Found::Unchanged) => {
                self.unchanged(&mut record);
                self.conclude(record, costs, batch, report);
            }
            Ok(Found::Proposed(proposed)) => {
                let weighed = self.weigh(&settled.feed, *proposed, &mut record, settled.offered.as_ref()).await?;
                match self.settle(weighed, &mut record, batch) {
                    Some(newcomer) => pending.push(Pending { newcomer, record, costs }),
                    None => self.conclude(record, costs, batch, report),
                }
            }
        }
        Ok(())
    }

    fn fail(&self, record: &mut FeedRecord, failure: &Note) {
        record.outcome = Outcome::Failed;
        record.reason = Some(failure.reason);
        record.detail = Some(failure.detail.clone());
        record.validator = None;
        record.failures = record.failures.saturating_add(1);
        tracing::warn!(feed = %record.feed, reason = failure.reason.code(), detail = %failure.detail, "feed failed");
    }

    /// The verdict on what the vendor still offers stands: a quarantine stays one.
    fn unchanged(&self, record: &mut FeedRecord) {
        record.succeeded_at = Some(record.checked_at);
        record.failures = 0;
        if record.outcome == Outcome::Published {
            record.outcome = Outcome::Current;
        }
    }

    async fn weigh(
        &self,
        feed: &FeedId,
        proposed: Proposed,
        record: &mut FeedRecord,
        offered: Option<&Offered>,
    ) -> Result<Weighed, EngineError> {
        let Proposed { proposal, provenance, attested_by, validator } = proposed;
        let context = self.context(feed, &proposal, record).await?;
        record.validator = validator;
        if offered.is_none() && record.offered.as_ref() != Some(proposal.vendor_version()) {
            record.offered = Some(proposal.vendor_version().clone());
            record.changed_at = Some(record.checked_at);
        }
        let decision = decide(proposal, attested_by, provenance, &context, record.checked_at);
        Ok(Weighed { decision, known: context.known })
    }

    async fn context(
        &self,
        feed: &FeedId,
        proposal: &trust::Proposal,
        record: &FeedRecord,
    ) -> Result<Context, EngineError> {
        let catalog = &self.engine.ports.catalog;
        let known = catalog.release(&proposal.id()).await?;
        let filter = catalog::ReleaseFilter {
            feed: Some(feed.clone()),
            state: Some(ReleaseState::Admitted),
            ..catalog::ReleaseFilter::default()
        };
        let admitted = catalog.releases(&filter).await?;
        let same = |found: &&catalog::ReleaseRecord| found.release.vendor_version == *proposal.vendor_version();
        // A catalog that was lost does not make the ring forget what it serves.
        let served = self.shared.serving.get(feed).map(|(_, version)| version.clone());
        Ok(Context {
            mark: record.mark.clone().or(served),
            same_version: admitted.iter().filter(same).map(|found| found.release.id).collect(),
            last: admitted.into_iter().next().map(|found| found.release),
            known: known.map(|found| found.state),
            bounds: self.engine.settings.bounds,
        })
    }

    /// Writes a decision into the record; gives back what is to be published.
    fn settle(&self, weighed: Weighed, record: &mut FeedRecord, batch: &mut Batch) -> Option<Newcomer> {
        let Weighed { decision, known } = weighed;
        record.succeeded_at = Some(record.checked_at);
        record.failures = 0;
        record.reason = None;
        record.detail = None;
        let (release, newcomer) = match decision {
            Decision::Admitted(admitted) => (admitted.release().clone(), Some(admitted)),
            Decision::Quarantined(release) => {
                let first = release.verdict.reasons.first().cloned();
                record.outcome = Outcome::Quarantined;
                record.reason = first.as_ref().map(|note| note.reason);
                record.detail = first.map(|note| note.detail);
                (release, None)
            }
            Decision::RejectedBefore(release) => {
                record.outcome = Outcome::Current;
                record.reason = Some(Reason::RejectedBefore);
                record.detail = Some(format!("release {} is offered again", release.id.short()));
                (release, None)
            }
        };
        record.release = Some(release.id);
        let rejected = record.reason == Some(Reason::RejectedBefore);
        let word = match (&newcomer, rejected) {
            (Some(_), _) => "admitted",
            (None, true) => "rejected-before",
            (None, false) => "quarantined",
        };
        let data = json!({
            "feed": release.feed, "vendor_version": release.vendor_version, "verdict": word,
            "reasons": release.verdict.reasons, "notes": release.verdict.notes.len(), "trust": release.verdict.trust,
        });
        batch.history.push(self.engine.entry(EntryKind::Verdict, release.id.to_string(), data));
        match newcomer {
            Some(admitted) => {
                batch.releases.push(catalog::NewRelease { release, state: ReleaseState::Admitted });
                Some(Newcomer { admitted, takes_paths: false })
            }
            None if rejected => None,
            None => {
                self.quarantine(release, known, record, batch);
                None
            }
        }
    }

    /// A release that was admitted before and is offered again as a regression keeps its own state: it is the
    /// offer that is quarantined.
    fn quarantine(&self, release: model::Release, known: Option<ReleaseState>, record: &FeedRecord, batch: &mut Batch) {
        tracing::warn!(
            feed = %record.feed, release = %release.id.short(), reason = record.reason.map(Reason::code),
            "quarantined: `waystation release admit|reject {}`", release.id.short()
        );
        if known != Some(ReleaseState::Admitted) {
            batch.releases.push(catalog::NewRelease { release, state: ReleaseState::Quarantined });
        }
    }

    /// Publishes what is pending and records the rest: verdicts never wait for a slow feed, so that the
    /// operator's acts in between are not overwritten by what was known before them.
    async fn flush(
        &self,
        batch: &mut Batch,
        pending: &mut Vec<Pending>,
        report: &mut SyncReport,
    ) -> Result<(), EngineError> {
        if pending.is_empty() {
            return Ok(self.engine.ports.catalog.apply(std::mem::take(batch)).await?);
        }
        let taken = std::mem::take(pending);
        let done = self.engine.publish(taken, std::mem::take(batch)).await?;
        report.lost_grace.extend(done.lost_grace.iter().map(ToString::to_string));
        for (record, costs) in done.records {
            self.report(&record, costs, report);
        }
        Ok(())
    }

    async fn died(
        &self,
        feed: Option<FeedId>,
        error: &str,
        batch: &mut Batch,
        report: &mut SyncReport,
    ) -> Result<(), EngineError> {
        let Some(feed) = feed else { return Ok(()) };
        let known = self.engine.ports.catalog.feed(&feed).await?;
        let now = self.engine.ports.clock.now();
        let mut record = known.unwrap_or_else(|| FeedRecord::new(feed, now));
        record.checked_at = now;
        self.fail(&mut record, &note(Reason::Internal, error));
        self.conclude(record, Costs::default(), batch, report);
        Ok(())
    }

    fn conclude(&self, record: FeedRecord, costs: Costs, batch: &mut Batch, report: &mut SyncReport) {
        self.report(&record, costs, report);
        batch.history.push(self.engine.check_entry(&record, costs));
        batch.feeds.push(record);
    }

    fn report(&self, record: &FeedRecord, costs: Costs, report: &mut SyncReport) {
        let made = FeedReport {
            feed: record.feed.clone(),
            outcome: record.outcome,
            vendor_version: record.offered.clone(),
            release: record.release,
            bytes_fetched: costs.bytes,
            requests: costs.requests,
            reason: record.reason,
            detail: record.detail.clone(),
        };
        self.shared.observer.on(Progress::Settled(made.clone()));
        // A feed that was held may have been published together with a later one.
        match report.feeds.iter_mut().find(|known| known.feed == made.feed) {
            Some(known) => {
                let (bytes_fetched, requests) = (known.bytes_fetched, known.requests);
                *known = FeedReport { bytes_fetched, requests, ..made };
            }
            None => report.feeds.push(made),
        }
    }
}

/// What a feed's run cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Costs {
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
}

impl Engine {
    pub(crate) fn check_entry(&self, record: &FeedRecord, costs: Costs) -> catalog::NewEntry {
        let data = json!({
            "outcome": record.outcome, "offered": record.offered, "release": record.release,
            "reason": record.reason, "detail": record.detail, "requests": costs.requests, "bytes": costs.bytes,
        });
        self.entry(EntryKind::Check, record.feed.as_str(), data)
    }
}

/// A decision, and the state that the release had before it.
struct Weighed {
    decision: Decision,
    known: Option<ReleaseState>,
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

/// Talks to the vendor up to the first files that are not held.
async fn plan_feed(job: &FeedRun) -> FeedPlan {
    let mut plan = FeedPlan {
        feed: job.feed.clone(),
        vendor_version: None,
        files: Vec::new(),
        held_files: 0,
        held_bytes: 0,
        reason: None,
        detail: None,
    };
    if let Err(failure) = fill_plan(job, &mut plan).await {
        plan.reason = Some(failure.reason);
        plan.detail = Some(failure.detail);
    }
    plan
}

async fn fill_plan(job: &FeedRun, plan: &mut FeedPlan) -> Result<(), Note> {
    let memory = job.remember().await.map_err(|error| note(error.reason(), error.to_string()))?;
    let mut session = job.begin(memory);
    let mut event = vendors::Event::Start;
    loop {
        let step = session.next(event);
        plan.vendor_version = session.offered().map(|offered| offered.vendor_version);
        event = match step {
            Step::Ask(ask) => job.read_for_plan(&ask).await?,
            Step::Fetch(wants) => return plan_wants(job, &wants, plan).await,
            Step::Refuse(refusal) => return Err(refusal.note),
            Step::Inspect(_) | Step::Propose(_) | Step::Unchanged => return Ok(()),
        };
    }
}

async fn plan_wants(job: &FeedRun, wants: &[vendors::Want], plan: &mut FeedPlan) -> Result<(), Note> {
    for want in wants {
        let vendors::Source::Target(target) = &want.source else { continue };
        let held = match want.digest {
            Some(digest) => job.engine.ports.blobs.find(digest).await.ok().flatten(),
            None => None,
        };
        if let Some(held) = held {
            plan.held_files += 1;
            plan.held_bytes = plan.held_bytes.saturating_add(held.size());
            continue;
        }
        let bytes = match want.size {
            Some(size) => Some(size),
            None => job.origin.size(target).await.map_err(|error| error.note())?,
        };
        plan.files.push(PlannedFile { location: job.origin.locate(target), bytes });
    }
    Ok(())
}
