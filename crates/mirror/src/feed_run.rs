//! One run of one feed: does what the vendor's session says until it proposes, finds nothing new or refuses.

mod places;
mod trail;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catalog::{FeedRecord, ReleaseRecord, StoredValidator};
use futures_util::future::{join_all, try_join_all};
use model::{
    Attestation, Checked, Digest, Exchange, FeedId, Held, Note, Outcome, Provenance, Reason, Release, ReleaseId,
    ReleaseState,
};
use origin::{Meter, Origin, OriginError, Reading};
use trust::Proposal;
use vendors::{
    Ask, Event, FetchedItem, Inspection, Memory, Offered, Place, Session, Source, SourceKind, Step, Validator, Want,
};

use self::trail::{Trail, attestation};
use crate::sync::Shared;
use crate::{Engine, EngineError, Progress};

/// How often a session that says `again` is begun anew.
const CONVERSATIONS: u32 = 3;
/// How many steps a session may take; far beyond any vendor's, so that none can spin for ever.
const STEPS: u32 = 64;

/// How a feed's run ended, before anything was decided about it.
pub(crate) struct Settled {
    pub(crate) feed: FeedId,
    pub(crate) offered: Option<Offered>,
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
    pub(crate) result: Result<Found, Note>,
}

/// What a feed's run found.
pub(crate) enum Found {
    /// What the vendor offers is what the run remembered.
    Unchanged {
        /// The release that it remembered; the record may speak of another by now.
        of: Option<ReleaseId>,
        /// A new validator for it, if there is one.
        validator: Option<StoredValidator>,
    },
    /// A set that is proven in itself.
    Proposed(Box<Proposed>),
}

pub(crate) struct Proposed {
    pub(crate) proposal: Proposal,
    pub(crate) provenance: Provenance,
    pub(crate) attested_by: Attestation,
    pub(crate) validator: Option<StoredValidator>,
}

/// Counts for one feed and tells the observer.
pub(crate) struct FeedMeter {
    feed: FeedId,
    bytes: AtomicU64,
    requests: AtomicU64,
    shared: Arc<Shared>,
}

impl Meter for FeedMeter {
    fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn received(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.shared.observer.on(Progress::Received { feed: self.feed.clone(), bytes });
    }

    fn held(&self, bytes: u64, fetched: bool) {
        self.shared.observer.on(Progress::Held { feed: self.feed.clone(), bytes, fetched });
    }

    fn proved(&self, digest: Digest) {
        self.shared.proven.add(digest);
    }
}

/// What an earlier run left.
#[derive(Clone, Default)]
pub(crate) struct Recalled {
    memory: Memory,
    /// The release whose bytes must be held for the memory to count.
    to_be_whole: Option<Release>,
}

pub(crate) struct FeedRun {
    pub(crate) engine: Engine,
    pub(crate) shared: Arc<Shared>,
    pub(crate) feed: FeedId,
    pub(crate) origin: Arc<dyn Origin>,
}

impl FeedRun {
    /// Runs, with what an earlier run left.
    pub(crate) async fn run(self, recalled: Recalled) -> Settled {
        self.shared.observer.on(Progress::Started(self.feed.clone()));
        let meter = FeedMeter {
            feed: self.feed.clone(),
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            shared: Arc::clone(&self.shared),
        };
        let mut offered = None;
        let deadline = self.engine.settings.feed_deadline;
        let talk = self.go(recalled, &meter, &mut offered);
        let result = tokio::time::timeout(deadline, talk).await.unwrap_or_else(|_| {
            Err(note(Reason::Deadline, format!("{}: not done after {} s", self.feed, deadline.as_secs())))
        });
        let result = result.map_err(|failure| self.of_folder(failure));
        let (bytes, requests) = (meter.bytes.into_inner(), meter.requests.into_inner());
        Settled { feed: self.feed, offered, bytes, requests, result }
    }

    /// Talks to the vendor and looks, meanwhile, whether what the memory speaks of is held whole. What is not is no
    /// reason to call anything unchanged: then the conversation begins anew, without the memory.
    async fn go(&self, recalled: Recalled, meter: &FeedMeter, offered: &mut Option<Offered>) -> Result<Found, Note> {
        let whole = self.is_whole(recalled.to_be_whole.as_ref());
        let (whole, found) = tokio::join!(whole, self.search(recalled.memory.clone(), meter, offered));
        match found {
            Ok(Found::Unchanged { .. }) if !whole => self.search(Memory::default(), meter, offered).await,
            found => found,
        }
    }

    /// A folder was looked through for paths of every form: what was not found is not in it, and nobody can be asked.
    pub(crate) fn of_folder(&self, failure: Note) -> Note {
        let unknown = matches!(failure.reason, Reason::DatedPathUnknown | Reason::PathUnknown);
        match &self.shared.folder {
            Some(folder) if unknown => {
                note(Reason::NotInFolder, format!("{folder} holds no manifest of {}, at whatever path", self.feed))
            }
            _ => failure,
        }
    }

    async fn is_whole(&self, release: Option<&Release>) -> bool {
        let Some(release) = release else { return true };
        let missing = self.engine.missing(release).await;
        if let Some(what) = &missing {
            tracing::warn!(feed = %self.feed, detail = %what.detail, "what is held is not whole; it is fetched again");
        }
        missing.is_none()
    }

    /// What an earlier run left, as far as its verdict still stands and its bytes are held.
    pub(crate) async fn remember(&self) -> Result<Memory, EngineError> {
        let record = self.engine.ports.catalog.feed(&self.feed).await?;
        let recalled = self.recall(record.as_ref()).await?;
        let whole = self.is_whole(recalled.to_be_whole.as_ref()).await;
        Ok(if whole { recalled.memory } else { Memory::default() })
    }

    /// What an earlier run left, as far as its verdict still stands, by the feed's record.
    pub(crate) async fn recall(&self, record: Option<&FeedRecord>) -> Result<Recalled, EngineError> {
        let Some(known) = record else { return Ok(Recalled::default()) };
        // A verdict counts for the origin and the settings that it was reached with, and for no other: bytes that a
        // person brought, or another origin sent, are fetched from here once.
        let Some(stored) = known.validator.as_ref().filter(|stored| self.is_ours(stored)) else {
            return Ok(Recalled::default());
        };
        let Some(found) = self.standing(known).await? else { return Ok(Recalled::default()) };
        let validator = Validator { etag: stored.etag.clone(), last_modified: stored.last_modified.clone() };
        // The bytes of what was rejected may go.
        let to_be_whole = (found.state != ReleaseState::Rejected).then(|| found.release.clone());
        let memory = Memory { validator: Some(validator), release: Some(found.release) };
        Ok(Recalled { memory, to_be_whole })
    }

    fn is_ours(&self, stored: &StoredValidator) -> bool {
        let below = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?']);
        let here = self.origin.kind() == SourceKind::Vendor && stored.url.strip_prefix(&self.base()).is_some_and(below);
        here && stored.policy == self.policy()
    }

    /// The release that the record speaks of, if the record still says how things are: what was published is still
    /// served, and what waits still waits.
    async fn standing(&self, record: &FeedRecord) -> Result<Option<ReleaseRecord>, EngineError> {
        let Some(id) = &record.release else { return Ok(None) };
        let Some(found) = self.engine.ports.catalog.release(id).await? else { return Ok(None) };
        // A run that the vendor failed, and damage to what it offers, left no validator: what failed is another release's
        // bytes, and says nothing against what the vendor was heard to say.
        let declined = record.reason == Some(Reason::RejectedBefore) || record.declined == Some(*id);
        let waits = declined || matches!(record.outcome, Outcome::Quarantined | Outcome::Held);
        let stands = match found.state {
            ReleaseState::Admitted => waits || self.shared.serving(&self.feed) == Some(*id),
            ReleaseState::Quarantined => record.outcome != Outcome::Failed,
            ReleaseState::Rejected => true,
            ReleaseState::Expired => false,
        };
        Ok(stands.then_some(found))
    }

    fn policy(&self) -> String {
        vendors::registry(self.feed.vendor()).policy(&self.engine.settings.vendors)
    }

    fn base(&self) -> String {
        self.engine.ports.origins.base(self.feed.vendor())
    }

    /// Begins a conversation about a place where the feed may lie.
    pub(crate) fn session(&self, place: &Place, memory: Memory) -> Box<dyn Session> {
        let module = vendors::registry(self.feed.vendor());
        module.session(&self.feed, &place.settings, self.origin.kind(), memory)
    }

    /// Where the feed may lie, most likely first; at least one place.
    pub(crate) fn places(&self) -> Vec<Place> {
        let settings = self.shared.lying.clone().unwrap_or_else(|| self.engine.vendor_settings());
        let places = vendors::registry(self.feed.vendor()).places(&self.feed, &settings);
        if places.is_empty() { vec![Place { name: None, settings }] } else { places }
    }

    /// Reads a document for a plan.
    pub(crate) async fn read_for_plan(&self, ask: &Ask) -> Result<Event, Note> {
        match self.origin.read(ask, &Uncounted).await.map_err(|error| error.note())? {
            Reading::NotModified(_) => Ok(Event::NotModified),
            Reading::Answered(answer, _) => Ok(Event::Answered(answer)),
        }
    }

    /// Tells what is to come; what is held already does not.
    async fn announce(&self, wants: &[Want]) {
        let coming: Vec<&Want> = wants.iter().filter(|want| matches!(want.source, Source::Target(_))).collect();
        let known: Vec<Digest> = coming.iter().filter_map(|want| want.digest).collect();
        let held = self.engine.ports.blobs.find_all(&known).await.unwrap_or_default();
        let held: Vec<Digest> = held.into_iter().flatten().map(|held| held.digest()).collect();
        let absent = |want: &&&Want| want.digest.is_none_or(|digest| !held.contains(&digest));
        let files = coming.iter().filter(absent).count();
        if files > 0 {
            let bytes = coming.iter().filter(absent).filter_map(|want| want.size).fold(0, u64::saturating_add);
            self.shared.observer.on(Progress::Wanted { feed: self.feed.clone(), files, bytes });
        }
    }

    async fn reserve(&self, digests: &[Digest]) -> Result<(), Note> {
        if digests.is_empty() {
            return Ok(());
        }
        let reserved = self.engine.ports.catalog.reserve(&self.shared.holder, digests).await;
        reserved.map_err(|error| note(error.reason(), model::error_chain(&error)))
    }

    /// A file whose digest was not known beforehand could be reserved only after it was held; a sweep may have
    /// come in between.
    async fn still_held(&self, digest: Digest) -> Result<(), Note> {
        match self.engine.ports.blobs.find(digest).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(note(Reason::StoreFailed, format!("blob {digest} was collected while it was taken in"))),
            Err(error) => Err(note(error.reason(), model::error_chain(&error))),
        }
    }

    async fn inspect(&self, jobs: Vec<(Held, Box<dyn Inspection>)>) -> Result<Vec<Note>, Note> {
        self.shared.observer.on(Progress::Inspecting { feed: self.feed.clone(), files: jobs.len() });
        let looks = jobs.into_iter().map(|(held, job)| {
            let run = self;
            async move { run.shared.inspect(&run.engine, held, job).await }
        });
        // All of them, also where one fails: what rotted is set aside and fetched again together.
        let looked = join_all(looks).await;
        let rotted = |found: &Result<Vec<Note>, Note>| {
            found.as_ref().err().filter(|note| note.reason == Reason::BlobDamaged).cloned()
        };
        if let Some(damaged) = looked.iter().find_map(rotted) {
            return Err(damaged);
        }
        Ok(looked.into_iter().collect::<Result<Vec<_>, Note>>()?.into_iter().flatten().collect())
    }

    async fn converse(
        &self,
        place: &Place,
        memory: Memory,
        meter: &FeedMeter,
        offered: &mut Option<Offered>,
    ) -> Result<Found, Note> {
        let mut round = 1;
        let mut memory = memory;
        loop {
            let mut talk = Talk::new(self, meter, self.session(place, memory.clone()));
            let step = match talk.run(offered).await {
                // A file that was held has rotted, and was set aside: it is fetched again, whatever was remembered of it.
                Err(damaged) if damaged.reason == Reason::BlobDamaged && round < CONVERSATIONS => {
                    tracing::warn!(feed = %self.feed, detail = %damaged.detail, "beginning anew: it is fetched again");
                    round += 1;
                    memory = Memory::default();
                    continue;
                }
                ended => ended?,
            };
            match step {
                Step::Unchanged => {
                    let of = memory.release.map(|release| release.id);
                    return Ok(Found::Unchanged { of, validator: talk.validator() });
                }
                Step::Propose(proposal) => return Ok(Found::Proposed(Box::new(talk.proposed(*proposal)))),
                Step::Refuse(refusal) if refusal.again && round < CONVERSATIONS => {
                    tracing::info!(feed = %self.feed, detail = %refusal.note.detail, "beginning anew");
                    round += 1;
                }
                Step::Refuse(refusal) => return Err(refusal.note),
                Step::Ask(_) | Step::Fetch(_) | Step::Inspect(_) => {
                    return Err(note(Reason::Internal, format!("{}: the session does not end", self.feed)));
                }
            }
        }
    }
}

/// Counts nothing.
pub(crate) struct Uncounted;

impl Meter for Uncounted {
    fn request(&self) {}
    fn received(&self, _: u64) {}
    fn held(&self, _: u64, _: bool) {}
}

/// One conversation with a session and the trail it leaves.
struct Talk<'a> {
    run: &'a FeedRun,
    meter: &'a FeedMeter,
    session: Box<dyn Session>,
    trail: Trail,
}

impl<'a> Talk<'a> {
    fn new(run: &'a FeedRun, meter: &'a FeedMeter, session: Box<dyn Session>) -> Self {
        Self { run, meter, session, trail: Trail::default() }
    }

    /// Goes on until the session ends.
    async fn run(&mut self, offered: &mut Option<Offered>) -> Result<Step, Note> {
        let mut event = Event::Start;
        for _ in 0..STEPS {
            let step = self.session.next(event);
            let news = self.session.offered();
            if news != *offered
                && let Some(news) = news
            {
                self.run.shared.observer.on(Progress::Offered(self.run.feed.clone(), news.clone()));
                let other = self.run.shared.not_repaired_by(&self.run.feed, &news.vendor_version);
                *offered = Some(news);
                if let Some(other) = other {
                    return Err(other);
                }
                self.run.engine.learned.offered(&self.run.feed)?;
            }
            event = match step {
                Step::Ask(ask) => self.ask(&ask).await?,
                Step::Fetch(wants) => {
                    self.run.engine.learned.named(&self.run.feed, &self.session.named());
                    Event::Fetched(self.fetch(wants).await?)
                }
                Step::Inspect(jobs) => Event::Inspected(self.run.inspect(jobs).await?),
                end => return Ok(end),
            };
        }
        Err(note(Reason::Internal, format!("{}: the session does not end", self.run.feed)))
    }

    async fn ask(&mut self, ask: &Ask) -> Result<Event, Note> {
        let url = self.run.origin.locate(&ask.target);
        match self.run.origin.read(ask, self.meter).await.map_err(|error| error.note())? {
            Reading::NotModified(_) if ask.unless.is_some() => Ok(Event::NotModified),
            Reading::NotModified(_) => Err(note(Reason::UnexpectedNotModified, url)),
            Reading::Answered(answer, validator) => {
                self.trail.document(url, validator, answer.exchange.as_ref());
                if let Some(exchange) = &answer.exchange {
                    self.run.engine.learned.came(&[(Digest::of(&answer.body), exchange)]);
                }
                Ok(Event::Answered(answer))
            }
        }
    }

    async fn fetch(&mut self, wants: Vec<Want>) -> Result<Vec<FetchedItem>, Note> {
        let known: Vec<Digest> = wants.iter().filter_map(declared).collect();
        self.run.reserve(&known).await?;
        self.run.announce(&wants).await;
        let holds = wants.iter().map(|want| self.run.origin.hold(want, self.meter));
        let items = try_join_all(holds).await.map_err(|error: OriginError| self.lacking(error.note()))?;
        let fresh: Vec<Digest> =
            items.iter().map(|item| item.held.digest()).filter(|digest| !known.contains(digest)).collect();
        self.run.reserve(&fresh).await?;
        for digest in fresh {
            self.run.still_held(digest).await?;
        }
        for (want, item) in wants.iter().zip(&items) {
            self.trail.file(want, item);
        }
        let came: Vec<(Digest, &Exchange)> =
            items.iter().filter_map(|item| Some((item.held.digest(), item.exchange.as_ref()?))).collect();
        self.run.engine.learned.came(&came);
        Ok(items)
    }

    /// A file that is not there although a manifest names it says nothing of the feed itself, which is there.
    fn lacking(&self, failure: Note) -> Note {
        let named = failure.reason == Reason::NotFound && !self.session.named().is_empty();
        if named { note(Reason::ArtifactMissing, failure.detail) } else { failure }
    }

    /// What the next run is conditional on, if a document came that has something for it. Even where it has nothing,
    /// the origin and the policy that the document was judged by count.
    fn validator(&self) -> Option<StoredValidator> {
        let (url, validator) = self.trail.validator.clone()?;
        let Validator { etag, last_modified } = validator;
        Some(StoredValidator { url, etag, last_modified, policy: self.run.policy() })
    }

    fn proposed(mut self, proposal: Proposal) -> Proposed {
        let brought = self.session.brought();
        for exchange in &brought {
            self.trail.weaken(exchange.anchor);
        }
        self.trail.provenance.exchanges.extend(brought.into_iter().max_by_key(|exchange| exchange.at));
        let folder = self.run.origin.kind() == SourceKind::Folder;
        let validator = self.validator();
        let mut provenance = self.trail.provenance;
        provenance.key_id = match proposal.checked() {
            Checked::VendorSigned(key) => Some(key.clone()),
            _ => None,
        };
        if folder {
            provenance.folder = self.run.shared.folder.clone();
        }
        let attested_by = if folder { Attestation::Folder } else { attestation(self.trail.weakest) };
        Proposed { proposal, provenance, attested_by, validator }
    }
}

/// The digest that a wanted file is known to have before it is held.
fn declared(want: &Want) -> Option<Digest> {
    match &want.source {
        Source::Bytes(bytes) => Some(Digest::of(bytes)),
        Source::Target(_) => want.digest,
    }
}

pub(crate) fn note(reason: Reason, detail: impl Into<String>) -> Note {
    Note { reason, detail: detail.into() }
}
