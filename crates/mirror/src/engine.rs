//! The engine: ports, settings, and the errors of its operations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use blob_store::{BlobStore, RingStore, StoreError};
use catalog::{Actor, Catalog, CatalogError, EntryKind, NewEntry, ReleaseRecord};
use model::{Clock, FeedId, Generation, Note, Reason, ReleaseState, Timestamp, Vendor};
use origin::{Crowd, HostGate, Origin};
use trust::Admitted;

use crate::{Learned, LockHolder, Locks, NothingLearned, Settings, SiteFault};

/// What the engine works with.
#[derive(Clone)]
pub struct Ports {
    /// Records what was decided.
    pub catalog: Arc<dyn Catalog>,
    /// Keeps bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// Keeps what rings serve.
    pub rings: Arc<dyn RingStore>,
    /// Keeps runs apart.
    pub locks: Arc<dyn Locks>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Opens the way to vendors.
    pub origins: Arc<dyn Origins>,
}

/// Opens the way to vendors.
pub trait Origins: Send + Sync {
    /// How many requests a host gets at once.
    fn connections_per_host(&self) -> usize;
    /// Bytes that stay free on the disk.
    fn reserve(&self) -> u64;
    /// A vendor's hosts, for one run.
    fn vendor(&self, vendor: Vendor, gate: Arc<HostGate>) -> Arc<dyn Origin>;
    /// Where a vendor's feeds come from, without credentials: a stored validator counts for this origin alone.
    fn base(&self, vendor: Vendor) -> String;
}

/// Why an operation could not be carried out as a whole. What fails for one feed is in its report instead.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another run fetches.
    #[error("another fetch run holds the lock: {0}; wait for it with --wait")]
    Locked(String),
    /// A lock that is never held for long was not free in time.
    #[error("the {name} lock was not free within {} s; it is held by {holder}", waited.as_secs())]
    Busy {
        /// Which.
        name: &'static str,
        /// Who holds it, in words.
        holder: String,
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// It was asked to stop while it waited for the publication lock.
    #[error(
        "stopped while another process held the publication lock; what was fetched is kept, and the next run goes on"
    )]
    StoppedWaiting,
    /// A lock file cannot be used.
    #[error("cannot take the {name} lock")]
    Lock {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        source: platform::fs::FsError,
    },
    /// The data folder is not where it was.
    #[error("the data folder {} is gone, or another stands in its place: nothing is written until it is back", path.display())]
    FolderGone {
        /// Where it was.
        path: std::path::PathBuf,
        /// Why it could not be looked for, where that is so.
        #[source]
        source: Option<platform::fs::FsError>,
    },
    /// The catalog's file is not the one that was opened.
    #[error(
        "the catalog {} is gone, or another stands in its place: nothing is written until it is back",
        path.display()
    )]
    CatalogGone {
        /// Where it was.
        path: std::path::PathBuf,
        /// Why it could not be looked for, where that is so.
        #[source]
        source: Option<platform::fs::FsError>,
    },
    /// The folder of the blobs is not the one that was opened.
    #[error(
        "the folder of the blobs {} is gone, or another stands in its place: nothing is written until it is back",
        path.display()
    )]
    BlobsGone {
        /// Where it was.
        path: std::path::PathBuf,
        /// Why it could not be looked for, where that is so.
        #[source]
        source: Option<platform::fs::FsError>,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A feed is not followed.
    #[error("feed {feed} is not followed; followed are: {known}")]
    UnknownFeed {
        /// What was asked for.
        feed: FeedId,
        /// What is followed.
        known: String,
    },
    /// Nothing is followed.
    #[error("no feed is followed: name versions under [elastic] or add a [defender] section")]
    NoFeeds,
    /// A release that was named does not exist, or several do.
    #[error("{0}")]
    NoSuchRelease(String),
    /// An act does not fit the release's state.
    #[error("{0}")]
    NotNow(String),
    /// The folder to take from holds nothing that is followed.
    #[error("{0}")]
    Folder(String),
    /// The disk was full, what nothing refers to went, and there is no room for more all the same.
    #[error("the disk was full: {freed}, and that was not enough")]
    StillFull {
        /// What went, in words.
        freed: String,
        /// What failed after that.
        #[source]
        source: Box<EngineError>,
    },
    /// A publication did not take place; what was served is served on.
    #[error("nothing was published: {}", .0.detail)]
    NotPublished(Note),
    /// The history does not reach to the moment that was asked for.
    #[error("{0}")]
    NoPast(String),
    /// It was asked to stop before anything was begun.
    #[error("stopped before anything was begun")]
    Stopped,
    /// It was stopped at once: the next run settles what it leaves.
    #[error("stopped at once, twice asked; what is served stays whole, and the next run goes on from here")]
    Interrupted,
    /// A task died.
    #[error("a task of this program failed: {0}")]
    Task(String),
}

impl EngineError {
    pub(crate) fn task(error: tokio::task::JoinError) -> Self {
        Self::Task(error.to_string())
    }

    pub(crate) fn locked(holder: LockHolder) -> Self {
        Self::Locked(holder.0)
    }

    /// The reason code that reports carry.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Locked(_) | Self::Busy { .. } => Reason::Locked,
            Self::NotNow(_) => Reason::NotNow,
            Self::NoSuchRelease(_) => Reason::NoSuchRelease,
            Self::UnknownFeed { .. } | Self::NoFeeds => Reason::NotFollowed,
            Self::NoPast(_) => Reason::NoPast,
            Self::Stopped | Self::Interrupted | Self::StoppedWaiting => Reason::Interrupted,
            Self::StillFull { source, .. } => source.reason(),
            Self::Catalog(error) => error.reason(),
            Self::Lock { source, .. } => source.reason(),
            Self::Store(error) => error.reason(),
            Self::FolderGone { .. } | Self::CatalogGone { .. } | Self::BlobsGone { .. } => Reason::FolderGone,
            Self::Folder(_) => Reason::NotInFolder,
            Self::NotPublished(cause) => cause.reason,
            Self::Task(_) => Reason::Internal,
        }
    }
}

/// The engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) ports: Ports,
    pub(crate) settings: Arc<Settings>,
    pub(crate) learned: Arc<dyn Learned>,
    /// What this process's runs share towards the vendors' hosts.
    pub(crate) crowd: Arc<Crowd>,
    /// The feeds that runs of this process have claimed.
    pub(crate) running: Arc<Mutex<BTreeSet<FeedId>>>,
    pub(crate) on_publish: Arc<dyn Fn() + Send + Sync>,
    pub(crate) faults: Arc<dyn Fn(Timestamp) -> Vec<SiteFault> + Send + Sync>,
    /// When the configuration was written, as far as is known.
    pub(crate) configured: Option<Timestamp>,
}

impl Engine {
    /// An engine on these ports.
    pub fn new(ports: Ports, settings: Settings) -> Self {
        Self {
            ports,
            settings: Arc::new(settings),
            learned: Arc::new(NothingLearned),
            crowd: Arc::default(),
            running: Arc::default(),
            on_publish: Arc::new(|| ()),
            faults: Arc::new(|_| Vec::new()),
            configured: None,
        }
    }

    /// Counts from then what was never checked and of which nothing is on record.
    #[must_use]
    pub fn configured_at(self, configured: Option<Timestamp>) -> Self {
        Self { configured, ..self }
    }

    /// Calls `nudge` after each publication, so that a server in this process need not wait to notice.
    #[must_use]
    pub fn with_nudge(mut self, nudge: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_publish = Arc::new(nudge);
        self
    }

    /// Has `status` tell what else is wrong at this site, as `faults` finds it at that moment.
    #[must_use]
    pub fn with_faults(mut self, faults: impl Fn(Timestamp) -> Vec<SiteFault> + Send + Sync + 'static) -> Self {
        self.faults = Arc::new(faults);
        self
    }

    /// Fails when the data folder, or the catalog in it, is no longer where it was when this engine was made.
    ///
    /// # Errors
    /// [`EngineError::FolderGone`], [`EngineError::CatalogGone`], [`EngineError::BlobsGone`].
    pub fn in_place(&self) -> Result<(), EngineError> {
        self.ports.locks.in_place()
    }

    /// The feeds that runs of this process have claimed.
    pub fn running(&self) -> BTreeSet<FeedId> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Claims a feed for a run of this process, so that no two runs ask the vendor about it at once; none while another
    /// has it. The claim ends when it is dropped.
    pub fn claim(&self, feed: &FeedId) -> Option<Claim> {
        let news = self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(feed.clone());
        news.then(|| Claim { running: Arc::clone(&self.running), feed: feed.clone() })
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its ports.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(crate) fn entry(&self, kind: EntryKind, subject: impl Into<String>, data: serde_json::Value) -> NewEntry {
        let actor: Actor = self.settings.actor.clone();
        NewEntry { at: self.ports.clock.now(), actor, kind, subject: subject.into(), data }
    }

    /// The releases that a generation serves, by feed, as far as their records stand.
    pub(crate) async fn incumbents(&self, present: &Generation) -> Result<BTreeMap<FeedId, Admitted>, EngineError> {
        let mut found = BTreeMap::new();
        for (feed, served) in &present.feeds {
            let record = self.ports.catalog.release(&served.release).await?;
            // The ring serves it, so it was admitted then. One that was rolled back from, while a crash kept the other from
            // being published, is served on whole until another is.
            let admitted = record.and_then(|found| Admitted::restore(found.release, ReleaseState::Admitted));
            if let Some(admitted) = admitted {
                found.insert(feed.clone(), admitted);
            }
        }
        Ok(found)
    }
}

/// A feed that a run of this process asks about.
#[derive(Debug)]
pub struct Claim {
    running: Arc<Mutex<BTreeSet<FeedId>>>,
    feed: FeedId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.feed);
    }
}

pub(crate) fn restore(record: ReleaseRecord) -> Option<Admitted> {
    Admitted::restore(record.release, record.state)
}
