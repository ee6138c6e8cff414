//! Retention and collection: only what Waystation wrote and nothing refers to is let go.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use blob_store::BlobStore;
use catalog::{Batch, EntryKind, ReleaseFilter, ReleaseRecord, Remover};
use model::{Digest, FeedId, Generation, ReleaseId, ReleaseState, Route, Vendor};
use serde::Serialize;
use serde_json::json;

use crate::retention::{Kept, expire};
use crate::{Engine, EngineError};

/// How many generation files of a ring are kept, the present one included.
const GENERATIONS: usize = 10;
/// Unfinished downloads older than this are given up.
const PARTIALS: Duration = Duration::from_secs(7 * 86_400);

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
}

/// What a collection works with: gathered once for plan and deed.
struct Census {
    plan: GcPlan,
    candidates: Vec<Digest>,
    /// All that is routed now, even if its grace has passed and the next generation drops it.
    present: HashSet<Digest>,
}

impl Engine {
    /// What [`Engine::collect`] would let go.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store cannot be read.
    pub async fn plan_collection(&self) -> Result<GcPlan, EngineError> {
        Ok(self.census().await?.plan)
    }

    /// Lets go what retention no longer keeps and nothing refers to. Waits for neither a fetch run nor for long
    /// on a publication.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store fail; what is served is untouched.
    pub async fn collect(&self) -> Result<GcReport, EngineError> {
        if let Ok(_idle) = self.ports.locks.try_fetch().await? {
            self.reconcile().await?;
        }
        let first = self.census().await?;
        let now = self.ports.clock.now();
        if !first.plan.releases.is_empty() {
            let data = json!({ "act": "expire", "releases": first.plan.releases });
            let batch = Batch {
                states: first.plan.releases.iter().map(|gone| (gone.id, ReleaseState::Expired, now)).collect(),
                history: vec![self.entry(EntryKind::Upkeep, "retention", data)],
                ..Batch::default()
            };
            self.ports.catalog.apply(batch).await?;
        }
        let retire: BTreeSet<FeedId> = first.plan.retired.iter().cloned().collect();
        self.publish_and_retire(Vec::new(), Batch::default(), &retire).await?;
        // What is served has changed: look again before anything is removed.
        let second = self.census().await?;
        let remover = Unlink(self.ports.blobs.as_ref());
        let keep = |digest: &Digest| second.present.contains(digest);
        let swept = self.ports.catalog.sweep(&second.candidates, &keep, &remover).await?;
        for number in &second.plan.generations {
            self.ports.rings.remove(&self.settings.ring, *number).await?;
        }
        let partial_bytes = self.ports.blobs.tidy_partials(now.before(PARTIALS)).await?;
        let plan = GcPlan { releases: first.plan.releases, retired: first.plan.retired, ..second.plan };
        if swept.removed > 0 {
            let data = json!({ "act": "collect", "blobs": swept.removed, "bytes": plan.bytes });
            let entry = self.entry(EntryKind::Upkeep, "gc", data);
            self.ports.catalog.apply(Batch { history: vec![entry], ..Batch::default() }).await?;
        }
        Ok(GcReport { plan, removed: swept.removed, spared: swept.kept, partial_bytes })
    }

    async fn census(&self) -> Result<Census, EngineError> {
        let current = self.ports.rings.current(&self.settings.ring).await?;
        let generation = current
            .map(|current| current.generation)
            .unwrap_or_else(|| Generation::empty(self.settings.ring.clone(), self.ports.clock.now()));
        let present: HashSet<Digest> = generation.routes.values().map(|route| route.digest).collect();
        let now = self.ports.clock.now();
        let stays = |route: &&Route| route.until.is_none_or(|until| until > now);
        let staying: HashSet<Digest> = generation.routes.values().filter(stays).map(|route| route.digest).collect();
        let mut releases = Vec::new();
        let mut named: HashSet<Digest> = HashSet::new();
        for vendor in Vendor::ALL {
            let held = self.held_releases(vendor).await?;
            let gone = self.expiring(vendor, &held, &generation).await?;
            for found in held {
                if gone.contains(&found.release.id) {
                    releases.push(planned(&found));
                } else {
                    named.extend(found.release.items.iter().map(|item| item.digest));
                }
            }
        }
        let mut candidates = Vec::new();
        let mut bytes = 0_u64;
        self.ports
            .blobs
            .visit(&mut |digest, size| {
                if !staying.contains(&digest) && !named.contains(&digest) {
                    candidates.push(digest);
                    bytes = bytes.saturating_add(size);
                }
            })
            .await?;
        let retired = generation.feeds.keys().filter(|feed| !self.settings.feeds.contains(feed)).cloned().collect();
        let generations = self.old_generations(generation.number).await?;
        let plan = GcPlan { releases, retired, blobs: candidates.len() as u64, bytes, generations };
        Ok(Census { plan, candidates, present })
    }

    async fn held_releases(&self, vendor: Vendor) -> Result<Vec<ReleaseRecord>, EngineError> {
        let filter = ReleaseFilter { vendor: Some(vendor), ..ReleaseFilter::default() };
        let mut held = self.ports.catalog.releases(&filter).await?;
        held.retain(|found| matches!(found.state, ReleaseState::Admitted | ReleaseState::Quarantined));
        Ok(held)
    }

    async fn expiring(
        &self,
        vendor: Vendor,
        held: &[ReleaseRecord],
        generation: &Generation,
    ) -> Result<HashSet<ReleaseId>, EngineError> {
        let mut kept = Vec::new();
        for found in held {
            let feed = self.ports.catalog.feed(&found.release.feed).await?;
            let spoken_of = feed.is_some_and(|feed| feed.release == Some(found.release.id));
            kept.push(Kept {
                id: found.release.id,
                held_since: found.release.held_since,
                blobs: found.release.items.iter().map(|item| (item.digest, item.size)).collect(),
                protected: self.protects(found, generation) || (spoken_of && self.follows(found)),
            });
        }
        Ok(expire(kept, &self.settings.keep(vendor), self.ports.clock.now()).into_iter().collect())
    }

    fn follows(&self, found: &ReleaseRecord) -> bool {
        self.settings.feeds.contains(&found.release.feed)
    }

    /// Served, served as `_back`, still reachable in its grace, or dated.
    fn protects(&self, found: &ReleaseRecord, generation: &Generation) -> bool {
        let release = &found.release;
        let served = generation
            .feeds
            .get(&release.feed)
            .is_some_and(|served| served.release == release.id || served.back == Some(release.id));
        let dated = release.feed.date().is_some() && self.follows(found);
        let now = self.ports.clock.now();
        let in_grace = release.items.iter().any(|item| {
            let route = generation.routes.get(&item.route).filter(|route| route.digest == item.digest);
            route.is_some_and(|route| route.feed == release.feed && route.until.is_some_and(|until| until > now))
        });
        served || dated || in_grace
    }

    async fn old_generations(&self, present: u64) -> Result<Vec<u64>, EngineError> {
        let mut numbers = self.ports.rings.numbers(&self.settings.ring).await?;
        numbers.retain(|number| *number < present);
        let surplus = (numbers.len() + 1).saturating_sub(GENERATIONS);
        numbers.truncate(surplus);
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
