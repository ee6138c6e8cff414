//! How everything stands.

use std::collections::BTreeSet;
use std::time::Duration;

use catalog::{EntryKind, FeedRecord, ReleaseFilter, ReleaseRecord};
use model::{
    Clocks, FeedId, Finding, Level, Note, Outcome, Provenance, Reason, ReleaseId, ReleaseState, RingName, Timestamp,
    Trust, VendorVersion,
};
use serde::Serialize;

use crate::freshness::{self, Content, FeedFacts, InRing};
use crate::{Engine, EngineError};

/// How everything stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// When this was put together.
    pub at: Timestamp,
    /// What the ring serves.
    pub ring: RingStatus,
    /// Every feed that is followed, or was.
    pub feeds: Vec<FeedStatus>,
    /// Releases, and offers of releases admitted before, that wait for the operator.
    pub quarantined: Vec<ReleaseStatus>,
    /// Hosts that asked to be left alone, and until when.
    pub host_waits: Vec<(String, Timestamp)>,
    /// Bytes free for us where blobs lie.
    pub free_bytes: Option<u64>,
    /// Bytes that stay free there: nothing is fetched that would not leave them.
    pub reserve_bytes: u64,
    /// How fresh every feed that is followed is, in every measure, also where all is fine.
    pub freshness: Vec<Finding>,
    /// What else is wrong at this site, beside feeds and rings: told by whoever keeps it.
    pub faults: Vec<SiteFault>,
    /// What is to be known about how this site is set up, in words.
    pub notices: Vec<String>,
}

/// Something of this site that is neither a feed nor a ring and is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteFault {
    /// What it is, in words.
    pub subject: String,
    /// Names it among alarms, and stays the same for as long as the fault stands.
    pub key: String,
    /// Since when.
    pub since: Timestamp,
    /// How bad it is.
    pub level: Level,
    /// Why, and on what.
    pub note: Note,
}

impl Status {
    /// The worst that was found: about freshness, a ring that is not what was published, or the site.
    pub fn level(&self) -> Level {
        let stray = |fault: &Note| {
            matches!(
                fault.reason,
                Reason::RejectedServed
                    | Reason::RingLost
                    | Reason::GenerationDamaged
                    | Reason::CatalogDisagrees
                    | Reason::UnsafeFile
            )
        };
        let ring = if self.ring.fault.as_ref().is_some_and(stray) { Level::Fail } else { Level::default() };
        let site = self.faults.iter().map(|fault| fault.level);
        self.freshness.iter().map(|finding| finding.level).chain(site).max().unwrap_or_default().max(ring)
    }
}

/// What a ring serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RingStatus {
    /// Which.
    pub ring: RingName,
    /// Its generation; 0 before the first publication.
    pub generation: u64,
    /// When it was made.
    pub since: Option<Timestamp>,
    /// How many paths answer with bytes.
    pub routes: usize,
    /// How many of them are superseded and in their grace.
    pub in_grace: usize,
    /// What is wrong with its files, where something is; the newest whole generation is served meanwhile.
    pub fault: Option<Note>,
}

/// How one feed stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedStatus {
    /// Which.
    pub feed: FeedId,
    /// Whether it is followed.
    pub followed: bool,
    /// How its last run ended; none before the first.
    pub outcome: Option<Outcome>,
    /// Why, where it did not go well.
    pub reason: Option<Reason>,
    /// On what, in words.
    pub detail: Option<String>,
    /// What is lost of what is served, or in `_back`, beside that; the detail says it, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub besides: Option<Note>,
    /// What the operator can do about it.
    pub remedy: Option<&'static str>,
    /// What the vendor offered when it was last seen.
    pub offered: Option<VendorVersion>,
    /// The newest version ever admitted.
    pub mark: Option<VendorVersion>,
    /// What the ring serves of it.
    pub served: Option<ReleaseStatus>,
    /// When a run first tried.
    pub first_checked_at: Option<Timestamp>,
    /// When a run last tried.
    pub checked_at: Option<Timestamp>,
    /// When a run last found things in order: nothing failed, and nothing was quarantined.
    pub succeeded_at: Option<Timestamp>,
    /// When what the vendor offers last changed, as far as we saw.
    pub changed_at: Option<Timestamp>,
    /// How many runs in a row have failed.
    pub failures: u32,
    /// Its clocks, each with its source.
    pub clocks: Clocks,
    /// What is odd about its clocks.
    pub notes: Vec<Note>,
}

/// How one release stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReleaseStatus {
    /// Its number; 0 where only the ring knows it, as the catalog was lost: the next run records it.
    pub number: u64,
    /// Its id.
    pub id: ReleaseId,
    /// Its feed.
    pub feed: FeedId,
    /// What the vendor calls it.
    pub vendor_version: VendorVersion,
    /// The date that came with it; what it is worth depends on the vendor, see [`FeedStatus::clocks`].
    pub vendor_time: Option<Timestamp>,
    /// Its state.
    pub state: ReleaseState,
    /// Since when it has that state.
    pub state_since: Timestamp,
    /// When it was first held whole.
    pub held_since: Timestamp,
    /// What its proof rests on.
    pub trust: Trust,
    /// Why it is quarantined.
    pub reasons: Vec<Note>,
    /// What weakens it without stopping it.
    pub notes: Vec<Note>,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Where its bytes came from.
    pub provenance: Provenance,
}

impl From<&ReleaseRecord> for ReleaseStatus {
    fn from(record: &ReleaseRecord) -> Self {
        let release = &record.release;
        Self {
            number: record.number,
            id: release.id,
            feed: release.feed.clone(),
            vendor_version: release.vendor_version.clone(),
            vendor_time: release.vendor_time,
            state: record.state,
            state_since: record.state_since,
            held_since: release.held_since,
            trust: release.verdict.trust.clone(),
            reasons: release.verdict.reasons.clone(),
            notes: release.verdict.notes.clone(),
            files: release.items.len(),
            bytes: release.bytes(),
            provenance: release.provenance.clone(),
        }
    }
}

impl FeedStatus {
    /// Somebody followed it for a while, and nothing of it was ever had: that is no news of anything.
    fn came_to_nothing(&self) -> bool {
        let held = self.served.is_some() || self.mark.is_some() || self.succeeded_at.is_some();
        !self.followed && !held && self.outcome == Some(Outcome::Failed)
    }
}

impl Engine {
    /// How everything stands. Reads only.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store cannot be read.
    pub async fn status(&self) -> Result<Status, EngineError> {
        self.in_place()?;
        let catalog = &self.ports.catalog;
        let (current, unreadable) = self.serving().await?;
        let current = current.map(|current| current.generation);
        let records = catalog.feeds().await?;
        let names: BTreeSet<FeedId> =
            self.feeds().into_iter().chain(records.iter().map(|record| record.feed.clone())).collect();
        let now = self.ports.clock.now();
        // A feed that no run ever tried must not look fresh for that, least of all where nothing is on record.
        let recorded = self.last(EntryKind::ConfigChange).await?.map(|entry| entry.at);
        let is_unused = recorded.is_none() && records.is_empty();
        let configured = || self.configured.map_or(now, |at| at.min(now));
        let named = recorded.or_else(|| is_unused.then(configured));
        let (mut feeds, mut followed) = (Vec::new(), Vec::new());
        for feed in names {
            let served = match &current {
                Some(current) => self.served_record(current, &feed).await?,
                None => None,
            };
            let record = records.iter().find(|record| record.feed == feed);
            let unseen = named.filter(|_| record.is_none()).map(|since| FeedRecord::new(feed.clone(), since));
            let facts = match record.or(unseen.as_ref()) {
                Some(record) => Some(self.facts(record, served.as_ref()).await?),
                None => None,
            };
            let mut status = self.feed_status(feed, record, served.as_ref().map(ReleaseStatus::from));
            if status.came_to_nothing() {
                continue;
            }
            if let Some(facts) = facts {
                (status.clocks, status.notes) = freshness::clocks(&facts, now);
                followed.extend(status.followed.then_some(facts));
            }
            feeds.push(status);
        }
        let filter = ReleaseFilter { state: Some(ReleaseState::Quarantined), ..ReleaseFilter::default() };
        let mut quarantined: Vec<ReleaseStatus> =
            catalog.releases(&filter).await?.iter().map(ReleaseStatus::from).collect();
        // An offer that goes back to a release that was admitted before waits, too.
        for record in records.iter().filter(|record| record.outcome == Outcome::Quarantined) {
            let Some(id) = record.release else { continue };
            if quarantined.iter().all(|known| known.id != id) {
                quarantined.extend(catalog.release(&id).await?.as_ref().map(ReleaseStatus::from));
            }
        }
        let mut host_waits = catalog.host_waits().await?;
        host_waits.retain(|(_, until)| *until > now);
        let broken = self.broken_routes(current.as_ref(), now).await;
        Ok(Status {
            at: now,
            ring: RingStatus {
                ring: self.settings.ring.clone(),
                generation: current.as_ref().map_or(0, |current| current.number),
                since: current.as_ref().map(|current| current.at),
                routes: current.as_ref().map_or(0, |current| current.routes.len()),
                in_grace: current
                    .as_ref()
                    .map_or(0, |current| current.routes.values().filter(|route| route.until.is_some()).count()),
                fault: self.fault(unreadable).await?,
            },
            feeds,
            quarantined,
            host_waits,
            free_bytes: self.ports.blobs.free_bytes().await?,
            reserve_bytes: self.ports.origins.reserve(),
            freshness: match freshness::evaluate(&followed, &self.settings.freshness, now) {
                findings if is_unused => findings.into_iter().map(freshness::never_checked).collect(),
                findings => findings,
            },
            faults: broken.into_iter().chain((self.faults)(now)).collect(),
            notices: self.settings.notices.clone(),
        })
    }

    /// What is wrong with what the ring serves: its files, the word of the history, the folders of its blobs. What takes
    /// more away is told first: a pointer that names nothing whole matters less than what is served in its stead.
    async fn fault(&self, unreadable: Option<Note>) -> Result<Option<Note>, EngineError> {
        if unreadable.is_some() {
            return Ok(unreadable);
        }
        if let Some(fault) = self.contradiction().await? {
            return Ok(Some(fault));
        }
        if let Some(fault) = self.ring_fault().await? {
            return Ok(Some(fault));
        }
        let checked = self.ports.blobs.check_folders().await;
        Ok(checked.err().map(|error| Note { reason: error.reason(), detail: model::error_chain(&error) }))
    }

    /// What freshness needs to know of a feed.
    async fn facts(&self, record: &FeedRecord, served: Option<&ReleaseRecord>) -> Result<FeedFacts, EngineError> {
        let spoken_of = match (record.release, served) {
            (Some(id), Some(served)) if served.release.id == id => Some(served.clone()),
            (Some(id), _) => self.ports.catalog.release(&id).await?,
            (None, _) => None,
        };
        let is_offered = |found: &&ReleaseRecord| Some(&found.release.vendor_version) == record.offered.as_ref();
        let offered = spoken_of.as_ref().filter(is_offered).or(served.filter(is_offered)).map(Content::from);
        let newest = self.newest(record, served).await?.as_ref().or(served).map(Content::from);
        let in_ring =
            InRing { ring: self.settings.ring.clone(), soak: Duration::ZERO, served: served.map(Content::from) };
        Ok(FeedFacts { record: record.clone(), offered, newest, rings: vec![in_ring] })
    }

    /// The release that the mark stands for, where the ring does not serve it yet. The mark is what counts: the
    /// operator who goes back sets it back, and no release beyond it is due.
    async fn newest(
        &self,
        record: &FeedRecord,
        served: Option<&ReleaseRecord>,
    ) -> Result<Option<ReleaseRecord>, EngineError> {
        let Some(mark) = &record.mark else { return Ok(None) };
        if served.is_some_and(|served| served.release.vendor_version.version >= mark.version) {
            return Ok(None);
        }
        let filter = ReleaseFilter {
            feed: Some(record.feed.clone()),
            state: Some(ReleaseState::Admitted),
            version: Some(mark.version.clone()),
            limit: 1,
            ..ReleaseFilter::default()
        };
        Ok(self.ports.catalog.releases(&filter).await?.into_iter().next())
    }

    fn feed_status(&self, feed: FeedId, record: Option<&FeedRecord>, served: Option<ReleaseStatus>) -> FeedStatus {
        let reason = record.and_then(|record| record.reason);
        FeedStatus {
            followed: self.follows(&feed),
            outcome: record.map(|record| record.outcome),
            reason,
            detail: record.and_then(detail),
            besides: record.and_then(|record| record.besides.clone()),
            remedy: reason.map(Reason::remedy),
            // What is forwarded is numbered by us, and no vendor offers it: the number says nothing beside what is served.
            offered: record
                .and_then(|record| record.offered.clone())
                .filter(|_| !vendors::elastic::is_forwarded(&feed)),
            mark: record.and_then(|record| record.mark.clone()),
            served,
            first_checked_at: record.map(|record| record.first_checked_at),
            checked_at: record.map(|record| record.checked_at),
            succeeded_at: record.and_then(|record| record.succeeded_at),
            changed_at: record.and_then(|record| record.changed_at),
            failures: record.map_or(0, |record| record.failures),
            clocks: Clocks::default(),
            notes: Vec::new(),
            feed,
        }
    }
}

/// What a feed's record says, and what was let in meanwhile and does not reach the ring.
fn detail(record: &FeedRecord) -> Option<String> {
    let Some(word) = record.word.filter(|_| record.outcome != Outcome::Held) else { return record.detail.clone() };
    let waits = format!("release {} was let in and is not served yet: the next run publishes it", word.release.short());
    Some(record.detail.as_ref().map_or(waits.clone(), |own| format!("{own}; {waits}")))
}
