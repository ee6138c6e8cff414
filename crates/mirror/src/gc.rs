//! Retention and collection: only what Waystation wrote and nothing refers to is let go.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::io;

use async_trait::async_trait;
use blob_store::BlobStore;
use catalog::{Batch, EntryKind, ReleaseFilter, ReleaseRecord, Remover, Span};
use model::{Digest, FeedId, Generation, Reason, ReleaseId, ReleaseState, Route, Vendor};
use serde::Serialize;
use serde_json::json;

use crate::calm::Calm;
use crate::publish::Publishing;
use crate::retention::{Kept, expire};
use crate::stepped::LostBack;
use crate::{Engine, EngineError};

/// How many generation files of a ring are kept, the present one included.
pub(crate) const GENERATIONS: usize = 10;

/// What a collection would let go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GcPlan {
    /// Releases whose bytes would go; their records stay.
    pub releases: Vec<PlannedRelease>,
    /// Feeds that are followed no longer and would leave the ring once their grace has passed.
    pub retired: Vec<FeedId>,
    /// Blobs that nothing would refer to.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Generation files beyond those that are kept.
    pub generations: Vec<u64>,
}

/// A release that would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedRelease {
    /// Its number.
    pub number: u64,
    /// Its id.
    pub id: ReleaseId,
    /// Its feed.
    pub feed: FeedId,
    /// What the vendor calls it.
    pub vendor_version: String,
}

/// What a collection let go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// What was planned.
    pub plan: GcPlan,
    /// Blobs that were removed.
    pub removed: u64,
    /// Blobs that were spared because something came to refer to them in the meantime.
    pub spared: u64,
    /// Bytes of unfinished downloads that were given up.
    pub partial_bytes: u64,
    /// Where `_back` went on to an older release, or to none, because the bytes of the one before are lost.
    pub lost_back: Vec<LostBack>,
}

/// What a collection works with: gathered once for plan and deed.
struct Census {
    plan: GcPlan,
    candidates: Vec<Digest>,
    /// What no sweep may take: all that is routed now, even if its grace has passed and the next generation drops it,
    /// and what was rejected a short while ago.
    kept: HashSet<Digest>,
}

/// What went before there was room to record anything.
struct Freed {
    removed: u64,
    bytes: u64,
    partial_bytes: u64,
    generations: Vec<u64>,
}

impl Freed {
    fn is_empty(&self) -> bool {
        self.removed == 0 && self.partial_bytes == 0 && self.generations.is_empty()
    }

    /// Both as one.
    fn added_to(self, report: GcReport) -> GcReport {
        let mut plan = report.plan;
        plan.blobs = plan.blobs.saturating_add(self.removed);
        plan.bytes = plan.bytes.saturating_add(self.bytes);
        plan.generations.splice(..0, self.generations);
        GcReport {
            removed: report.removed.saturating_add(self.removed),
            spared: report.spared,
            partial_bytes: report.partial_bytes.saturating_add(self.partial_bytes),
            plan,
            lost_back: report.lost_back,
        }
    }
}

impl fmt::Display for Freed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "what nothing refers to went (blobs: {}, bytes of unfinished downloads: {}, old generation files: {})",
            self.removed,
            self.partial_bytes,
            self.generations.len()
        )
    }
}

impl Engine {
    /// What [`Engine::collect`] would let go.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store cannot be read.
    pub async fn plan_collection(&self) -> Result<GcPlan, EngineError> {
        Ok(self.census(&self.calm().await?).await?.plan)
    }

    /// Lets go what retention no longer keeps and nothing refers to. Waits for neither a fetch run nor for long
    /// on a publication.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store fail; what is served is untouched.
    pub async fn collect(&self) -> Result<GcReport, EngineError> {
        match self.collect_once().await {
            Err(error) if error.reason() == Reason::DiskFull => {
                // Every record and every generation needs room: what nothing refers to goes first, without either.
                let freed = self.make_room().await?;
                if freed.is_empty() {
                    return Err(error);
                }
                tracing::warn!(
                    blobs = freed.removed,
                    partial_bytes = freed.partial_bytes,
                    "the disk was full: what nothing refers to went first"
                );
                match self.collect_after(&freed).await {
                    Ok(report) => Ok(freed.added_to(report)),
                    // What went does not come back because the rest failed.
                    Err(error) => Err(EngineError::StillFull { freed: freed.to_string(), source: Box::new(error) }),
                }
            }
            done => done,
        }
    }

    async fn collect_after(&self, freed: &Freed) -> Result<GcReport, EngineError> {
        let data = json!({ "act": "make-room", "blobs": freed.removed, "bytes": freed.bytes });
        let entry = self.entry(EntryKind::Upkeep, "gc", data);
        self.ports.catalog.apply(Batch { history: vec![entry], ..Batch::default() }).await?;
        self.collect_once().await
    }

    /// Lets go, without writing anything, what no release, no reservation and no route refers to, and what stands for
    /// nothing: given-up downloads and generation files beyond those that are kept.
    async fn make_room(&self) -> Result<Freed, EngineError> {
        let calm = self.calm().await?;
        let partial_bytes = self.ports.blobs.tidy_partials(calm.partials_since).await?;
        if self.blind().await?.is_some() {
            return Ok(Freed { removed: 0, bytes: 0, partial_bytes, generations: Vec::new() });
        }
        let census = self.census(&calm).await?;
        for number in &census.plan.generations {
            self.ports.rings.remove(&self.settings.ring, *number).await?;
        }
        let before = self.ports.blobs.free_bytes().await?;
        let remover = Unlink(self.ports.blobs.as_ref());
        // Of the candidates, those of releases that are to be let go are still in use: they are kept here.
        let keep = |digest: &Digest| census.kept.contains(digest);
        let swept = self.ports.catalog.sweep(&census.candidates, &keep, &remover).await?;
        let after = self.ports.blobs.free_bytes().await?;
        let bytes = after.unwrap_or_default().saturating_sub(before.unwrap_or_default());
        Ok(Freed { removed: swept.removed, bytes, partial_bytes, generations: census.plan.generations })
    }

    async fn collect_once(&self) -> Result<GcReport, EngineError> {
        let calm = self.calm().await?;
        let begun = self.ports.catalog.chain_head().await?.seq;
        let let_go = self.let_go(&calm).await?;
        let lost_back = self.steps_since(begun).await?;
        // What is served has changed: look again before anything is removed.
        let second = self.census(&calm).await?;
        let remover = Unlink(self.ports.blobs.as_ref());
        let keep = |digest: &Digest| second.kept.contains(digest);
        let nothing = second.candidates.is_empty() && second.plan.generations.is_empty();
        if !nothing {
            let data = json!({
                "act": "collect-intended", "blobs": second.candidates.len(), "bytes": second.plan.bytes,
                "generations": second.plan.generations,
            });
            let entry = self.entry(EntryKind::Upkeep, "gc", data);
            self.ports.catalog.apply(Batch { history: vec![entry], ..Batch::default() }).await?;
        }
        let swept = self.ports.catalog.sweep(&second.candidates, &keep, &remover).await?;
        for number in &second.plan.generations {
            self.ports.rings.remove(&self.settings.ring, *number).await?;
        }
        let partial_bytes = self.ports.blobs.tidy_partials(calm.partials_since).await?;
        let plan = GcPlan { releases: let_go.releases, retired: let_go.retired, ..second.plan };
        let data = json!({ "act": "collect", "blobs": swept.removed, "bytes": plan.bytes });
        let entry = self.entry(EntryKind::Upkeep, "gc", data);
        self.ports.catalog.apply(Batch { history: vec![entry], ..Batch::default() }).await?;
        Ok(GcReport { plan, removed: swept.removed, spared: swept.kept, partial_bytes, lost_back })
    }

    /// Expires what retention no longer keeps, and publishes what has left its grace or is followed no longer.
    async fn let_go(&self, calm: &Calm) -> Result<GcPlan, EngineError> {
        let _lock = self.ports.locks.publish().await?;
        self.reconcile_locked().await?;
        if let Some(fault) = self.blind().await? {
            return Err(EngineError::NotNow(format!(
                "what ring {} serves is not known ({}), and it may be served on from memory: nothing is let go until \
                 `waystation sync` has published it anew",
                self.settings.ring, fault.detail
            )));
        }
        self.settle_locked().await?;
        self.forget_rejected().await;
        let plan = self.census(calm).await?.plan;
        let now = self.ports.clock.now();
        let mut batch = Batch::default();
        if !plan.releases.is_empty() {
            let data = json!({ "act": "expire", "releases": plan.releases });
            batch.states = plan.releases.iter().map(|gone| (gone.id, ReleaseState::Expired, now)).collect();
            batch.history.push(self.entry(EntryKind::Upkeep, "retention", data));
        }
        let retire: BTreeSet<FeedId> = plan.retired.iter().cloned().collect();
        let publishing = Publishing { retire, calm: calm.grace, ..Publishing::new(Vec::new(), batch) };
        let done = self.publish_locked(publishing).await?;
        match done.failure {
            Some(cause) => Err(EngineError::NotPublished(cause)),
            None => Ok(plan),
        }
    }

    async fn census(&self, calm: &Calm) -> Result<Census, EngineError> {
        let current = self.ports.rings.current(&self.settings.ring).await?;
        let generation = current
            .map(|current| current.generation)
            .unwrap_or_else(|| Generation::empty(self.settings.ring.clone(), self.ports.clock.now()));
        let mut kept: HashSet<Digest> = generation.routes.values().map(|route| route.digest).collect();
        let stays = |route: &&Route| route.until.is_none_or(|until| until > calm.grace.of(route.feed.vendor()));
        let staying: HashSet<Digest> = generation.routes.values().filter(stays).map(|route| route.digest).collect();
        let mut releases = Vec::new();
        let mut named: HashSet<Digest> = HashSet::new();
        for vendor in Vendor::ALL {
            let held = self.held_releases(vendor).await?;
            let gone = self.expiring(vendor, &held, &generation, calm).await?;
            for found in held {
                if gone.contains(&found.release.id) {
                    releases.push(planned(&found));
                } else {
                    named.extend(found.release.items.iter().map(|item| item.digest));
                }
            }
            let spared = self.rejected_of_late(vendor, calm).await?;
            named.extend(&spared);
            kept.extend(spared);
        }
        let mut candidates = Vec::new();
        let mut bytes = 0_u64;
        let recorded = self.recorded_since_loss().await?;
        let is_of_before = |digest: &Digest| recorded.as_ref().is_some_and(|recorded| !recorded.contains(digest));
        self.ports
            .blobs
            .visit(&mut |digest, size| {
                if !staying.contains(&digest) && !named.contains(&digest) && !is_of_before(&digest) {
                    candidates.push(digest);
                    bytes = bytes.saturating_add(size);
                }
            })
            .await?;
        let retired = generation.feeds.keys().filter(|feed| self.left(feed)).cloned().collect();
        let generations = self.old_generations(generation.number).await?;
        let plan = GcPlan { releases, retired, blobs: candidates.len() as u64, bytes, generations };
        Ok(Census { plan, candidates, kept })
    }

    /// The blobs of what was rejected within the days that retention keeps: the operator may think better of it.
    async fn rejected_of_late(&self, vendor: Vendor, calm: &Calm) -> Result<HashSet<Digest>, EngineError> {
        let horizon = calm.kept_since.of(vendor);
        let state = Some(ReleaseState::Rejected);
        let filter = ReleaseFilter { vendor: Some(vendor), state, ..ReleaseFilter::default() };
        let rejected = self.ports.catalog.releases(&filter).await?;
        let late = rejected.iter().filter(|found| found.state_since >= horizon);
        Ok(late.flat_map(|found| found.release.items.iter().map(|item| item.digest)).collect())
    }

    /// The blobs that some record names, where all others are spared: after the catalog was lost, or an older one was put in
    /// its place, for as long as retention keeps what was held then, and while there is room. A catalog that is put back
    /// knows them.
    async fn recorded_since_loss(&self) -> Result<Option<HashSet<Digest>>, EngineError> {
        let Some(taken_over) = self.adopted().await? else { return Ok(None) };
        let ages = Vendor::ALL.map(|vendor| Span::of(self.settings.keep(vendor).age));
        let lived = self.ports.catalog.lived(self.ports.clock.now(), &ages).await?;
        let has_passed = lived.iter().all(|lived| lived.as_ref().is_some_and(|lived| lived.seq >= taken_over));
        if has_passed || self.runs_lack_room().await? {
            return Ok(None);
        }
        Ok(Some(self.recorded_blobs().await?))
    }

    /// The blobs that some record names, whatever became of its release.
    pub(crate) async fn recorded_blobs(&self) -> Result<HashSet<Digest>, EngineError> {
        let mut recorded = HashSet::new();
        let mut look = |found: ReleaseRecord| recorded.extend(found.release.items.iter().map(|item| item.digest));
        self.ports.catalog.visit_releases(&ReleaseFilter::default(), &mut look).await?;
        Ok(recorded)
    }

    /// Whether runs that ended had no room for what they were to take in, or none is left but what is to stay free.
    pub(crate) async fn runs_lack_room(&self) -> Result<bool, EngineError> {
        let feeds = self.ports.catalog.feeds().await?;
        if feeds.iter().any(|feed| feed.reason == Some(Reason::DiskFull)) {
            return Ok(true);
        }
        let free = self.ports.blobs.free_bytes().await?;
        Ok(!feeds.is_empty() && free.is_some_and(|free| free <= self.ports.origins.reserve()))
    }

    async fn held_releases(&self, vendor: Vendor) -> Result<Vec<ReleaseRecord>, EngineError> {
        let mut held = Vec::new();
        for state in [ReleaseState::Admitted, ReleaseState::Quarantined] {
            let filter = ReleaseFilter { vendor: Some(vendor), state: Some(state), ..ReleaseFilter::default() };
            held.extend(self.ports.catalog.releases(&filter).await?);
        }
        Ok(held)
    }

    async fn expiring(
        &self,
        vendor: Vendor,
        held: &[ReleaseRecord],
        generation: &Generation,
        calm: &Calm,
    ) -> Result<HashSet<ReleaseId>, EngineError> {
        let records = self.ports.catalog.feeds().await?;
        let newest = self.newest_earlier(held, generation).await?;
        let (mut kept, mut guests) = (Vec::new(), Vec::new());
        for found in held {
            let id = found.release.id;
            let protected = self.protects(found, generation, calm);
            // What no manifest names is of no use once it is served no longer, and has a bound of its own.
            if !protected && vendors::registry(vendor).makes_room(&found.release.feed) {
                guests.push(id);
            }
            let spoken_of = records.iter().any(|record| record.release == Some(id));
            let protected = protected || newest.contains(&id);
            kept.push(Kept {
                id,
                held_since: found.release.held_since,
                blobs: found.release.items.iter().map(|item| (item.digest, item.size)).collect(),
                protected: protected || (spoken_of && !self.left(&found.release.feed)),
            });
        }
        let expired = expire(kept, calm.kept_since.of(vendor), self.settings.keep(vendor).bytes);
        Ok(expired.into_iter().chain(guests).collect())
    }

    /// For each feed that is served, the admitted release before the one that is served and whose bytes are there: what to
    /// go back to.
    async fn newest_earlier(
        &self,
        held: &[ReleaseRecord],
        generation: &Generation,
    ) -> Result<HashSet<ReleaseId>, EngineError> {
        let mut earlier: BTreeMap<&FeedId, Vec<&ReleaseRecord>> = BTreeMap::new();
        for found in held.iter().filter(|found| found.state == ReleaseState::Admitted) {
            let release = &found.release;
            let served = generation.feeds.get(&release.feed);
            if served.is_some_and(|served| release.vendor_version.version < served.vendor_version.version) {
                earlier.entry(&release.feed).or_default().push(found);
            }
        }
        let mut newest = HashSet::new();
        for mut releases in earlier.into_values() {
            releases.sort_by(|a, b| b.release.vendor_version.version.cmp(&a.release.vendor_version.version));
            for found in releases {
                newest.insert(found.release.id);
                if self.is_held(&found.release).await? {
                    break;
                }
            }
        }
        Ok(newest)
    }

    /// Served, served as `_back`, still reachable in its grace, or dated.
    fn protects(&self, found: &ReleaseRecord, generation: &Generation, calm: &Calm) -> bool {
        let release = &found.release;
        let served = generation
            .feeds
            .get(&release.feed)
            .is_some_and(|served| served.release == release.id || served.back == Some(release.id));
        let dated = release.feed.date().is_some() && !self.left(&release.feed);
        let in_grace = release.items.iter().any(|item| {
            let route = generation.routes.get(&item.route).filter(|route| route.digest == item.digest);
            route.is_some_and(|route| {
                route.feed == release.feed
                    && route.until.is_some_and(|until| until > calm.grace.of(release.feed.vendor()))
            })
        });
        served || dated || in_grace
    }

    async fn old_generations(&self, present: u64) -> Result<Vec<u64>, EngineError> {
        let mut numbers = self.ports.rings.numbers(&self.settings.ring).await?;
        numbers.retain(|number| *number < present);
        let surplus = (numbers.len() + 1).saturating_sub(GENERATIONS);
        let reachable = numbers.split_off(surplus);
        for number in reachable {
            // Nobody can fall back to it.
            if self.is_damaged(number).await {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }
}

fn planned(found: &ReleaseRecord) -> PlannedRelease {
    PlannedRelease {
        number: found.number,
        id: found.release.id,
        feed: found.release.feed.clone(),
        vendor_version: found.release.vendor_version.to_string(),
    }
}

struct Unlink<'a>(&'a dyn BlobStore);

#[async_trait]
impl Remover for Unlink<'_> {
    async fn remove(&self, digest: &Digest) -> io::Result<()> {
        self.0.remove(*digest).await.map_err(io::Error::other)
    }
}
