//! The quiet end: faults are over, the vendors publish once more, and everything comes together (I15).

use std::collections::BTreeSet;
use std::time::Duration;

use catalog::verify_chain;
use mirror::{EngineError, FeedReport, SyncReport, SyncRequest};
use model::{Outcome, Reason, ReleaseState};
use vendor_sim::{Change, DefenderChange, ElasticTarget};
use vendors::elastic::SignatureMode;

use super::life::is_sound;
use crate::acts::{Act, Circumstances, Done};
use crate::stores::BuildError;
use crate::violation::{Holds, Violation};
use crate::world::{DAY, Ended, FEEDS, World};

/// So many runs and words of the operator are enough.
const ROUNDS: u32 = 8;

/// Brings everything together, and sees that it is.
pub(super) async fn come_together(world: &mut World) -> Result<Holds, BuildError> {
    world.fate.tell("------ the quiet end");
    world.restart().await?;
    world.reload(|settings| {
        settings.feeds = FEEDS.iter().filter_map(|feed| feed.parse().ok()).collect();
        settings.vendors.elastic.signature = SignatureMode::Require;
    });
    // A host may have asked for hours.
    world.clock.pass(Duration::from_secs(30 * 3600));
    let held = match verified(world).await {
        Ok(()) => converge(world).await?,
        held => held,
    };
    if held.is_err() {
        return Ok(held);
    }
    let held = nothing_more(world).await.and(collected(world).await?);
    Ok(held.and(whole(world).await))
}

async fn one(world: &mut World, act: Act) -> Result<Done, Violation> {
    world.fate.tell(format!("------ {act:?}"));
    let fails =
        |error: &EngineError| Violation::new("I15", format!("without any fault: {}", model::error_chain(error)));
    let doing = act.clone();
    match world.act(|engine| doing.perform(engine)).await {
        Ended::Done(Ok(done)) => {
            world.judge(&act, &done, &Circumstances::default()).await?;
            world.settled(&act, &Circumstances::default()).await?;
            world.oracle.look_at_all()?;
            Ok(done)
        }
        // The word for one feed may have made room for another that waited.
        Ended::Done(Err(EngineError::NotNow(_))) => Ok(Done::Other),
        Ended::Done(Err(error)) => Err(fails(&error)),
        Ended::Crashed => Err(world.fate.violation().unwrap_or(Violation::new("I15", "a crash without any fault"))),
    }
}

/// What the disk damaged is found and set aside.
async fn verified(world: &mut World) -> Holds {
    one(world, Act::Verify).await?;
    one(world, Act::Recheck(world.oracle.all_rotten())).await.map(|_| ())
}

fn publish(world: &World) -> Holds {
    let failed = |error: vendor_sim::PublishError| Violation::new("vendor", error.to_string());
    world
        .upstream
        .publish_elastic(&ElasticTarget::All, &Change { changed: 2, changed_own: 1, ..Change::default() })
        .map_err(failed)?;
    world.upstream.publish_defender(&DefenderChange::default()).map_err(failed)
}

/// Runs, and the operator's word for what waits, until every feed serves what its vendor offers.
async fn converge(world: &mut World) -> Result<Holds, BuildError> {
    if let Err(violation) = publish(world) {
        return Ok(Err(violation));
    }
    for round in 0..ROUNDS {
        let report = match one(world, Act::Sync(Vec::new())).await {
            Ok(Done::Synced(report)) => report,
            Ok(_) => SyncReport::default(),
            Err(violation) => return Ok(Err(violation)),
        };
        if let Err(violation) = settle(world, round, &report).await {
            return Ok(Err(violation));
        }
        if report.feeds.iter().all(is_done) {
            let all = FEEDS.iter().filter_map(|feed| feed.parse().ok());
            let behind: Vec<_> = all.filter(|feed| !matches!(world.serves_offer(feed), Ok(true))).collect();
            return Ok(if behind.is_empty() {
                world.oracle.rejected_is_gone()
            } else {
                Err(Violation::new("I15", format!("{behind:?} serve something else than their vendors")))
            });
        }
    }
    Ok(Err(Violation::new("I15", format!("not everything is in order after {ROUNDS} runs without any fault"))))
}

fn is_done(line: &FeedReport) -> bool {
    matches!(line.outcome, Outcome::Published | Outcome::Current) && line.reason.is_none()
}

/// The operator lets in what waits; where an offer was turned down, the vendor publishes another.
async fn settle(world: &mut World, round: u32, report: &SyncReport) -> Holds {
    let mut again = false;
    for line in &report.feeds {
        match (line.outcome, line.release) {
            // What the disk lost before is told by the run that meets it, and by no run after that has published.
            (Outcome::Failed, _) if round == 0 && line.reason == Some(Reason::BlobMissing) => {}
            (Outcome::Failed, _) => {
                let what = format!("{} fails without any fault: {:?} {:?}", line.feed, line.reason, line.detail);
                return Err(Violation::new("I15", what));
            }
            (Outcome::Quarantined | Outcome::Held, Some(release)) => {
                one(world, Act::Admit(release.to_string())).await?;
            }
            _ => again |= line.reason == Some(Reason::RejectedBefore),
        }
    }
    if again { publish(world) } else { Ok(()) }
}

/// A plan that was carried out leaves nothing to do.
async fn nothing_more(world: &mut World) -> Holds {
    let before = world.oracle.current()?;
    let Done::Synced(report) = one(world, Act::Sync(Vec::new())).await? else { return Ok(()) };
    let after = world.oracle.current()?;
    let idle = report.feeds.iter().all(|line| line.outcome == Outcome::Current && line.reason.is_none());
    if before != after || !idle {
        return Err(Violation::new("I15", format!("a second run finds something to do: {:?}", report.feeds)));
    }
    let plan = world.act(async |engine| engine.plan_sync(&SyncRequest::default()).await).await;
    match plan {
        Ended::Done(Ok(plans)) if plans.iter().all(|plan| plan.files.is_empty() && plan.reason.is_none()) => Ok(()),
        Ended::Done(Ok(plans)) => Err(Violation::new("I15", format!("a third run plans something: {plans:?}"))),
        _ => Err(Violation::new("I15", "no plan can be made")),
    }
}

/// gc leaves what something refers to, and nothing else.
async fn collected(world: &mut World) -> Result<Holds, BuildError> {
    // What a catalog knew that was lost is spared for as long as retention would have kept it.
    world.lives(world.settings.keep_elastic.age + DAY).await?;
    // Each look after a long silence only leaves a mark.
    for _ in 0..3 {
        world.clock.pass(DAY);
        if let Err(violation) = one(world, Act::Collect).await {
            return Ok(Err(violation));
        }
    }
    let mut named = BTreeSet::new();
    for found in world.stores.catalog.releases(&Default::default()).await? {
        if found.state != ReleaseState::Expired {
            named.extend(found.release.items.iter().map(|item| item.digest));
        }
    }
    let current = world.oracle.current().ok().flatten();
    named.extend(current.iter().flat_map(|current| current.generation.routes.values()).map(|route| route.digest));
    let mut loose = Vec::new();
    let blobs = world.stores.all_blobs().await?;
    loose.extend(blobs.into_iter().filter(|digest| !named.contains(digest)));
    Ok(match loose.first() {
        None => Ok(()),
        Some(digest) => Err(Violation::new(
            "I15",
            format!("{} blobs that nobody names stay, {} first", loose.len(), digest.short()),
        )),
    })
}

/// The whole store is sound, and so is the history.
async fn whole(world: &mut World) -> Holds {
    let done = one(world, Act::Check).await?;
    is_sound(world, &done)?;
    let head = verify_chain(world.stores.catalog.as_ref()).await;
    let head = head.map_err(|fault| Violation::new("history", fault.to_string()))?;
    world.fate.tell(format!("------ {} entries, {}", head.seq, head.digest));
    Ok(())
}
