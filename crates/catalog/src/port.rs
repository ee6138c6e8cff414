//! The port and its records.

use std::io;

use async_trait::async_trait;
use model::{
    Digest, FeedId, Note, Outcome, Reason, Release, ReleaseId, ReleaseState, RingName, Timestamp, Vendor,
    VendorVersion, Version,
};
use serde::{Deserialize, Serialize};

use crate::aging::{Lived, Span};
use crate::entry::{ChainHead, Entry, EntryFilter, EntryKind, EntryOrder, NewEntry, Prune};

/// A vendor's validator and what it stands for, stored together with the verdict on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredValidator {
    /// The URL that gave it.
    pub url: String,
    /// Its ETag, verbatim.
    pub etag: Option<String>,
    /// Its Last-Modified, verbatim.
    pub last_modified: Option<String>,
    /// A digest of the settings that the verdict depended on (signature mode, keys): when they change, the
    /// validator is not used.
    pub policy: String,
}

/// What is known of one feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedRecord {
    /// Which.
    pub feed: FeedId,
    /// The newest version ever admitted: what a regression is measured against.
    pub mark: Option<VendorVersion>,
    /// The vendor's validator; only ever present with a verdict that was reached (`outcome` is not `Failed`).
    pub validator: Option<StoredValidator>,
    /// How the last run ended.
    pub outcome: Outcome,
    /// Why, where it did not go well.
    pub reason: Option<Reason>,
    /// On what, in words.
    pub detail: Option<String>,
    /// The release that the outcome speaks of.
    pub release: Option<ReleaseId>,
    /// What the vendor offered when it was last seen.
    pub offered: Option<VendorVersion>,
    /// When a run first tried.
    pub first_checked_at: Timestamp,
    /// When a run last tried.
    pub checked_at: Timestamp,
    /// When a run last found things in order: nothing failed, and nothing was quarantined.
    pub succeeded_at: Option<Timestamp>,
    /// When what the vendor offers last changed, as far as we saw.
    pub changed_at: Option<Timestamp>,
    /// How many runs in a row have failed.
    pub failures: u32,
    /// The time that the clock had reached when it was set back, while what the vendor offers is from before that:
    /// until the clock gets there again, no age of the offer can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_back_from: Option<Timestamp>,
    /// The operator's word to serve a release, from when it is given until the ring serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
    /// The release that was admitted before and whose coming back the operator declined: that stands through failed
    /// runs, until the ring serves another release than then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<ReleaseId>,
    /// What is lost of what is served, or in `_back`, beside the word that the feed has of its own; the detail says it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub besides: Option<Note>,
}

/// A word of the operator's that a ring does not follow yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The release that is to be served.
    pub release: ReleaseId,
    /// What it was before.
    pub was: ReleaseState,
    /// What the ring served when the word was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<ReleaseId>,
}

impl FeedRecord {
    /// A feed that was never checked.
    pub fn new(feed: FeedId, now: Timestamp) -> Self {
        Self {
            feed,
            mark: None,
            validator: None,
            outcome: Outcome::Failed,
            reason: None,
            detail: None,
            release: None,
            offered: None,
            first_checked_at: now,
            checked_at: now,
            succeeded_at: None,
            changed_at: None,
            failures: 0,
            set_back_from: None,
            word: None,
            declined: None,
            besides: None,
        }
    }
}

/// A release to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRelease {
    /// The release. Recording one that is there already only sets its state.
    pub release: Release,
    /// Its state.
    pub state: ReleaseState,
}

/// A recorded release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRecord {
    /// A short number for people, local to this site, counting up from 1.
    pub number: u64,
    /// The release.
    pub release: Release,
    /// Its state.
    pub state: ReleaseState,
    /// Since when it has this state.
    pub state_since: Timestamp,
}

/// Which releases to list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseFilter {
    /// Of one feed only.
    pub feed: Option<FeedId>,
    /// Of one vendor only.
    pub vendor: Option<Vendor>,
    /// In one state only.
    pub state: Option<ReleaseState>,
    /// Of one version only, the vendor's, letter for letter; whatever the engine.
    pub version: Option<Version>,
    /// At most this many; 0 is no limit.
    pub limit: usize,
}

/// A publication: intended, and later completed or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The ring.
    pub ring: RingName,
    /// The generation's number.
    pub number: u64,
    /// The digest of the generation's file.
    pub digest: Digest,
    /// When it was intended.
    pub opened_at: Timestamp,
    /// When it was completed; none while it is open.
    pub closed_at: Option<Timestamp>,
}

/// All that one act changes, applied whole or not at all, history last.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Feeds' new records.
    pub feeds: Vec<FeedRecord>,
    /// Releases to be recorded.
    pub releases: Vec<NewRelease>,
    /// Releases' new states.
    pub states: Vec<(ReleaseId, ReleaseState, Timestamp)>,
    /// Publications opened or closed.
    pub publications: Vec<Publication>,
    /// Hosts that asked us to stay away until a time. It replaces the one recorded before, be that later: whoever
    /// records it has weighed the two, and a wait from a clock that was ahead must not stand for ever.
    pub host_waits: Vec<(String, Timestamp)>,
    /// What happened. An entry whose subject is a release that is recorded gets the release's number into its data,
    /// as `number`: only the catalog knows it.
    pub history: Vec<NewEntry>,
    /// What is let go of, once the rest is in.
    pub prune: Option<Prune>,
}

/// What a sweep of unreferenced blobs did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// How many blobs were removed.
    pub removed: u64,
    /// How many were left because something refers to or reserves them.
    pub kept: u64,
}

/// Why the catalog could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database refused.
    #[error("cannot {act} in the catalog")]
    Database {
        /// What was tried.
        act: &'static str,
        /// The database's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row does not say what it should.
    #[error("the catalog's {table} holds a row that is not well-formed: {what}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The catalog was made by a newer program.
    #[error("the catalog has layout {found}, this program knows up to {known}: use the newer program")]
    Newer {
        /// The layout found.
        found: i64,
        /// The newest layout known here.
        known: i64,
    },
    /// The process that made the catalog was stopped before it had laid it out: there is nothing in it yet, and who
    /// opens it for writing finishes it.
    #[error("the catalog was never finished being made, and holds nothing: the next sync finishes it")]
    Unfinished,
    /// Removing a swept blob failed.
    #[error("cannot remove a blob")]
    Remove(#[source] io::Error),
}

impl CatalogError {
    /// The reason code that reports carry.
    pub fn reason(&self) -> Reason {
        let is_full = match self {
            Self::Database { source, .. } => crate::sql::is_full(source.as_ref()),
            Self::Remove(error) => crate::sql::says_full(error),
            Self::Damaged { .. } | Self::Newer { .. } | Self::Unfinished => false,
        };
        if is_full { Reason::DiskFull } else { Reason::CatalogFailed }
    }
}

/// Records what was decided, when and why.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Applies all of a batch or nothing; durable on return.
    async fn apply(&self, batch: Batch) -> Result<(), CatalogError>;
    /// Every feed ever checked, in name order.
    async fn feeds(&self) -> Result<Vec<FeedRecord>, CatalogError>;
    /// One feed.
    async fn feed(&self, feed: &FeedId) -> Result<Option<FeedRecord>, CatalogError>;
    /// Releases, newest first.
    async fn releases(&self, filter: &ReleaseFilter) -> Result<Vec<ReleaseRecord>, CatalogError>;
    /// Shows `each` the releases, newest first, reading a page at a time: few are in memory at once, and nobody
    /// waits for `each`. A release recorded meanwhile is not shown, and none is shown twice; one whose state changes
    /// meanwhile may be shown or not. After an error some may have been shown.
    async fn visit_releases(
        &self,
        filter: &ReleaseFilter,
        each: &mut (dyn FnMut(ReleaseRecord) + Send),
    ) -> Result<(), CatalogError>;
    /// One release.
    async fn release(&self, id: &ReleaseId) -> Result<Option<ReleaseRecord>, CatalogError>;
    /// Releases whose number is `text`, or whose id begins with it (8 digits at least).
    async fn find_releases(&self, text: &str) -> Result<Vec<ReleaseRecord>, CatalogError>;
    /// Publications that were intended and neither completed nor abandoned.
    async fn open_publications(&self) -> Result<Vec<Publication>, CatalogError>;
    /// Until when each host asked us to stay away, in the order of their names.
    async fn host_waits(&self) -> Result<Vec<(String, Timestamp)>, CatalogError>;
    /// History entries from number `from` on, at most `limit`.
    async fn history(&self, from: u64, limit: usize) -> Result<Vec<Entry>, CatalogError>;
    /// History entries that a filter lets through, at most `limit`, read from the end that `order` says.
    async fn entries(&self, filter: &EntryFilter, order: EntryOrder, limit: usize) -> Result<Vec<Entry>, CatalogError>;
    /// Of one kind, the last entry on each subject up to number `until`, in the order of their numbers.
    async fn latest(&self, kind: EntryKind, until: u64) -> Result<Vec<Entry>, CatalogError>;
    /// For each span, the newest entry that it has surely passed since by `now`; none where there is none. Time is
    /// counted from entry to entry, so that a clock that jumps makes nothing old. Reads no further back than it must.
    async fn lived(&self, now: Timestamp, spans: &[Span]) -> Result<Vec<Option<Lived>>, CatalogError>;
    /// Looks at every row of every table but the history, which has its chain, and tells `each` what is damaged: rows
    /// that do not read or lack their sum, releases whose index of blobs is not that of their record, and whatever the
    /// database itself finds. Reads a page at a time. An error means that it could not look at all.
    async fn examine(&self, each: &mut (dyn FnMut(CatalogError) + Send)) -> Result<(), CatalogError>;
    /// The end of the history.
    async fn chain_head(&self) -> Result<ChainHead, CatalogError>;
    /// Reserves digests for a fetch run, before it looks whether they are held.
    async fn reserve(&self, holder: &str, digests: &[Digest]) -> Result<(), CatalogError>;
    /// Drops all of a fetch run's reservations, or everyone's when `holder` is none (sound only while holding
    /// the fetch lock).
    async fn unreserve(&self, holder: Option<&str>) -> Result<(), CatalogError>;
    /// Removes those of `candidates` that no admitted or quarantined release names, nobody reserves, and
    /// `keep` does not hold, by calling `remover` while reservations stand still.
    async fn sweep(
        &self,
        candidates: &[Digest],
        keep: &(dyn for<'d> Fn(&'d Digest) -> bool + Send + Sync),
        remover: &dyn Remover,
    ) -> Result<Sweep, CatalogError>;
    /// At the end of a process: brings all that was written into the one file that a backup copies, unless somebody else
    /// is at work on it, who then does it.
    async fn fold(&self) -> Result<(), CatalogError> {
        Ok(())
    }
}

/// Lets a swept blob go.
///
/// # Requirement
/// What takes the blob away must begin and end within one poll of [`Remover::remove`]: neither a task nor a thread
/// may do it on the future's behalf. Reservations stand still only while the sweep is there. A sweep may be dropped
/// at any point where it waits, which lets reservations go on at once; a removal still under way elsewhere would
/// then take a blob that a fetch run has just reserved and found held. Waiting before or after is sound.
#[async_trait]
pub trait Remover: Send + Sync {
    /// Removes one blob, in one poll; no error if there is none.
    async fn remove(&self, digest: &Digest) -> io::Result<()>;
}
