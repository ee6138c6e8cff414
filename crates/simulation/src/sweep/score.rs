//! The life that is swept: first fetch, update, quarantine, word, rollback, a lost catalog, a damaged ring, retention, gc,
//! a feed that is dropped.

use std::time::Duration;

use blob_store::RingDamage;
use mirror::EngineError;
use model::{FeedId, ReleaseState, RingName};
use vendor_sim::{Change, DefenderChange, ElasticTarget};

use crate::acts::{Act, Done};
use crate::stores::BuildError;
use crate::violation::{Holds, Violation};
use crate::world::{DAY, Ended, FEEDS, World};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Every vendor publishes.
    Update,
    /// The first Elastic feed goes back.
    Regress,
    /// The first Elastic feed has other bytes under its version.
    Equivocate,
    /// So many days pass.
    Pass(u32),
    /// The clock shows so many years more, or less.
    Jump(i64),
    /// The disk loses the newest generation of the ring.
    LoseNewest,
    /// The disk loses the whole ring.
    LoseRing,
    /// The disk loses the whole catalog.
    LoseCatalog,
    /// The first Elastic feed is followed no longer.
    Drop,
    /// A fetch run.
    Sync,
    /// The operator lets in what waits.
    AdmitWaiting,
    /// The operator turns down what waits.
    RejectWaiting,
    /// The operator goes back to the oldest release of the last feed.
    RollBack,
    /// Retention and gc.
    Collect,
    /// Everything is hashed again.
    Verify,
}

use Beat::{
    AdmitWaiting, Collect, Drop, Equivocate, Jump, LoseCatalog, LoseNewest, LoseRing, Pass, Regress, RejectWaiting,
    RollBack, Sync, Update, Verify,
};

/// The life.
pub(super) const SCORE: &[Beat] = &[
    Sync,
    Update,
    Sync,
    Regress,
    Sync,
    AdmitWaiting,
    Update,
    Sync,
    Equivocate,
    Sync,
    RejectWaiting,
    RollBack,
    LoseCatalog,
    Sync,
    Update,
    Sync,
    Verify,
    LoseNewest,
    Collect,
    LoseRing,
    Sync,
    Pass(2),
    Collect,
    Sync,
    Pass(3),
    Collect,
    Jump(10),
    Collect,
    Jump(-10),
    Sync,
    Drop,
    Collect,
    Pass(2),
    Collect,
    Sync,
];

impl Beat {
    /// What happens around the engine.
    pub(super) async fn prepare(self, world: &mut World) -> Result<Holds, BuildError> {
        if let Pass(days) = self {
            world.lives(DAY * days + Duration::from_secs(60)).await?;
        }
        if self == LoseCatalog {
            world.lose_catalog().await?;
        }
        if let LoseNewest | LoseRing = self {
            return self.wear(world).await;
        }
        Ok(self.change(world))
    }

    /// What the disk does to the ring.
    async fn wear(self, world: &World) -> Result<Holds, BuildError> {
        let ring = RingName::broad();
        let newest = world.stores.generations(&ring).await?.last().copied().map(RingDamage::Lost);
        let damage = if self == LoseRing { Some(RingDamage::AllLost) } else { newest };
        if let Some(damage) = damage {
            world.stores.damage_ring(&ring, damage)?;
        }
        Ok(world.oracle.wore())
    }

    fn change(self, world: &mut World) -> Holds {
        let failed = |error: vendor_sim::PublishError| Violation::new("vendor", error.to_string());
        let first = ElasticTarget::Version("9.0.0".to_owned());
        match self {
            Update => {
                let change = Change { changed: 1, changed_own: 1, ..Change::default() };
                world.upstream.publish_elastic(&ElasticTarget::All, &change).map_err(failed)?;
                world.upstream.publish_defender(&DefenderChange::default()).map_err(failed)
            }
            Regress => world.upstream.publish_elastic(&first, &Change::regress()).map_err(failed),
            Equivocate => world.upstream.publish_elastic(&first, &Change::same_version()).map_err(failed),
            Jump(years) => {
                world.clock.jump(years.saturating_mul(365 * 86_400 * 1_000_000));
                Ok(())
            }
            Drop => {
                world.reload(|settings| settings.feeds.retain(|feed| feed.as_str() != FEEDS[0]));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether what an operation that failed left is only settled by the run after the next.
    pub(super) fn needs_a_second_run(self) -> bool {
        matches!(self, Sync | Collect | Verify)
    }

    /// What the engine is to do, as things stand; nothing where nothing waits.
    pub(super) async fn act(self, world: &World) -> Result<Option<Act>, BuildError> {
        Ok(match self {
            AdmitWaiting => release(world, FEEDS[0], Pick::Waiting).await?.map(Act::Admit),
            RejectWaiting => release(world, FEEDS[0], Pick::Waiting).await?.map(Act::Reject),
            RollBack => release(world, FEEDS[2], Pick::Oldest).await?.map(Act::Admit),
            Collect => Some(Act::Collect),
            Verify => Some(Act::Verify),
            Sync => Some(Act::Sync(Vec::new())),
            _ => None,
        })
    }
}

/// Lets a new process do it.
pub(super) async fn play(world: &mut World, act: &Act) -> Ended<Result<Done, EngineError>> {
    world.fate.tell(format!("------ {act:?}"));
    let act = act.clone();
    match world.act(|engine| act.perform(engine)).await {
        // What is served already needs no word.
        Ended::Done(Err(EngineError::NotNow(_))) => Ended::Done(Ok(Done::Other)),
        ended => ended,
    }
}

enum Pick {
    /// The one that waits for the operator.
    Waiting,
    /// The oldest one that is admitted.
    Oldest,
}

async fn release(world: &World, feed: &str, pick: Pick) -> Result<Option<String>, BuildError> {
    let feed: FeedId = feed.parse().map_err(|_| BuildError::Constant("feed"))?;
    let all = world.stores.catalog.releases(&Default::default()).await?;
    let mut all = all.iter().filter(|found| found.release.feed == feed);
    let found = match pick {
        Pick::Waiting => all.find(|found| found.state == ReleaseState::Quarantined),
        Pick::Oldest => all.rfind(|found| found.state == ReleaseState::Admitted),
    };
    Ok(found.map(|found| found.release.id.to_string()))
}
