//! What is kept and what is let go.

use std::collections::BTreeSet;
use std::sync::Arc;

use mirror::{EngineError, GcPlan, SyncRequest};
use model::Outcome::Current;
use model::{Digest, ReleaseState};

use crate::world::{DAY, DEFENDER, ELASTIC, OTHER, World, ended, id};

pub(crate) async fn synced() -> World {
    let world = World::new().await;
    world.sync().await;
    world
}

/// Every blob that is held.
pub(crate) async fn held(world: &World) -> BTreeSet<Digest> {
    let mut all = BTreeSet::new();
    world
        .ports
        .blobs
        .visit(&mut |digest, _| {
            all.insert(digest);
        })
        .await
        .unwrap();
    all
}

/// Collects, and asserts that the deed was the plan.
async fn collect(world: &World) -> GcPlan {
    let planned = world.engine().plan_collection().await.unwrap();
    let done = world.engine().collect().await.unwrap();
    world.walk().await;
    assert_eq!((&planned.releases, &planned.retired), (&done.plan.releases, &done.plan.retired));
    assert_eq!((planned.blobs, planned.blobs), (done.plan.blobs, done.removed));
    let again = world.engine().collect().await.unwrap();
    assert_eq!((again.removed, again.plan.releases.len()), (0, 0), "a second collection finds nothing");
    planned
}

#[tokio::test]
async fn retention_lets_old_releases_go_and_keeps_their_records() {
    let world = synced().await;
    for _ in 0..4 {
        world.lives(DAY * 20).await;
        world.publish();
        assert_eq!(world.sync().await.exit_code(), 0);
    }
    let before = held(&world).await;
    let planned = collect(&world).await;
    assert!(!planned.releases.is_empty() && planned.blobs > 0 && planned.bytes > 0);
    let after = held(&world).await;
    assert_eq!(before.len() - after.len(), usize::try_from(planned.blobs).unwrap());
    let gone = &planned.releases[0];
    let record = world.engine().find_release(&gone.number.to_string()).await.unwrap();
    assert_eq!(record.state, ReleaseState::Expired);
    let act = world.engine().admit(&gone.number.to_string(), "").await;
    assert!(matches!(act, Err(EngineError::NotNow(_))), "{act:?}");
    ended(&world.sync().await, ELASTIC, Current, None);
    assert_eq!(world.tree().await, world.unfaulted().await);
}

#[tokio::test]
async fn above_the_bytes_the_oldest_go_and_never_what_is_served() {
    let mut world = synced().await;
    for _ in 0..3 {
        world.lives(DAY * 2).await;
        world.publish();
        world.sync().await;
    }
    world.settings.keep_elastic.bytes = 1;
    world.settings.keep_defender.bytes = 1;
    let served = world.tree().await;
    let planned = collect(&world).await;
    assert!(planned.releases.len() >= 6, "{planned:#?}");
    assert_eq!(world.tree().await, served);
    // What `_back` serves is served as well.
    let generation = world.generation().await.unwrap();
    assert!(generation.feeds[&id(DEFENDER)].back.is_some());
}

#[tokio::test]
async fn a_clock_ten_years_ahead_spares_what_is_served_s27_s28() {
    let world = synced().await;
    world.publish();
    world.sync().await;
    let before = world.tree().await;
    let routes = world.generation().await.unwrap().routes;
    assert!(routes.values().any(|route| route.until.is_some()));
    world.clock.advance(DAY * 3650);
    assert_eq!(world.engine().collect().await.unwrap().removed, 0);
    assert_eq!(world.generation().await.unwrap().routes, routes, "grace does not end by a jump alone");
    collect(&world).await;
    assert_eq!(world.generation().await.unwrap().routes, routes, "nor by a second look");
    world.lives(DAY * 5 / 4).await;
    collect(&world).await;
    assert!(world.generation().await.unwrap().routes.values().all(|route| route.until.is_none()));
    assert_eq!(world.tree().await, before);
    ended(&world.sync().await, ELASTIC, Current, None);
    // What was dropped ten years from now is not missed today.
    world.forget();
    world.clock.set_back(DAY * 7300);
    collect(&world).await;
    ended(&world.sync().await, ELASTIC, Current, None);
    assert_eq!(world.tree().await, before);
    world.publish();
    assert_eq!(world.sync().await.exit_code(), 0);
}

/// Neither what a process writes when it begins, nor looking often, nor a short jump takes the place of time.
#[tokio::test]
async fn s28_no_jump_ends_grace_or_retention_whatever_is_written_first() {
    for jump in [DAY, DAY * 3, DAY * 8, DAY * 365, DAY * 3650] {
        let mut world = synced().await;
        world.settings.keep_elastic.age = DAY * 5;
        world.lives(DAY * 2).await;
        world.publish();
        world.sync().await;
        world.publish();
        world.sync().await;
        let held = held(&world).await;
        let grace = |generation: model::Generation| -> BTreeSet<_> {
            let left = generation.routes.into_iter().filter(|(_, route)| route.until.is_some());
            left.map(|(path, route)| (path, route.digest)).collect()
        };
        let before = grace(world.generation().await.unwrap());
        assert!(!before.is_empty());
        for _ in 0..3 {
            world.clock.advance(jump);
            for _ in 0..3 {
                world.engine().record_process(mirror::ProcessEvent::Start, "0").await.unwrap();
                world.sync().await;
                assert_eq!(world.engine().collect().await.unwrap().removed, 0, "{jump:?}");
            }
            world.clock.set_back(jump);
            world.sync().await;
            assert_eq!(world.engine().collect().await.unwrap().removed, 0, "{jump:?}, and back");
        }
        assert_eq!(grace(world.generation().await.unwrap()), before, "{jump:?}");
        assert_eq!(self::held(&world).await, held, "{jump:?}");
        // Time that passes ends it.
        world.lives(DAY * 5 / 4).await;
        world.engine().collect().await.unwrap();
        assert!(grace(world.generation().await.unwrap()).is_empty(), "{jump:?}");
    }
}

#[tokio::test]
async fn reserved_blobs_are_spared_s26() {
    let world = synced().await;
    let (wanted, orphan) = (world.ports.memory.put("wanted by a run"), world.ports.memory.put("wanted by nobody"));
    // A run of another process: it holds the fetch lock.
    let lock = world.ports.locks.fetch().await.unwrap();
    world.ports.catalog.reserve("another run", &[wanted.digest()]).await.unwrap();
    let planned = world.engine().plan_collection().await.unwrap();
    assert_eq!(planned.blobs, 2);
    let done = world.engine().collect().await.unwrap();
    assert_eq!((done.removed, done.spared), (1, 1));
    let left = held(&world).await;
    assert!(left.contains(&wanted.digest()) && !left.contains(&orphan.digest()));
    // The next run knows that this one is dead.
    drop(lock);
    world.sync().await;
    assert_eq!(world.engine().collect().await.unwrap().removed, 1);
    world.walk().await;
}

#[tokio::test]
async fn collecting_beside_runs_never_takes_what_they_need_s26() {
    let world = synced().await;
    for _ in 0..10 {
        world.publish();
        let engine = world.engine();
        let collecting = async {
            for _ in 0..5 {
                engine.collect().await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let request = SyncRequest::default();
        let (report, ()) = tokio::join!(world.try_sync(&request), collecting);
        // The collection may hold the lock for the moment in which the run wants it.
        match report {
            Ok(report) => assert_eq!(report.exit_code(), 0, "{report:#?}"),
            Err(error) => assert!(matches!(error, EngineError::Locked(_)), "{error}"),
        }
        world.walk().await;
    }
}

#[tokio::test]
async fn a_feed_that_is_followed_no_longer_leaves_after_its_grace() {
    let mut world = synced().await;
    world.settings.feeds.retain(|feed| feed.as_str() != OTHER);
    let path = "/downloads/endpoint/manifest/artifacts-8.18.3.zip";
    assert_eq!(collect(&world).await.retired, [id(OTHER)]);
    assert_eq!(world.serves(OTHER).await, None);
    let routed = |world: &World| {
        let rings = Arc::clone(&world.ports.rings);
        let ring = world.settings.ring.clone();
        async move { rings.current(&ring).await.unwrap().unwrap().generation.routes.contains_key(&path.parse().unwrap()) }
    };
    assert!(routed(&world).await, "in its grace");
    world.lives(DAY * 2).await;
    collect(&world).await;
    assert!(!routed(&world).await);
    // A month without a sign of life may be a clock that jumped: however often one looks, nothing goes.
    world.clock.advance(DAY * 36);
    for _ in 0..3 {
        assert!(world.engine().plan_collection().await.unwrap().releases.is_empty());
        assert_eq!(world.engine().collect().await.unwrap().removed, 0);
    }
    world.lives(DAY * 30).await;
    let planned = collect(&world).await;
    assert_eq!(planned.releases.iter().map(|gone| gone.feed.as_str()).collect::<Vec<_>>(), [OTHER]);
    assert_eq!(world.tree().await, world.unfaulted().await);
}

#[tokio::test]
async fn old_generations_go_and_the_served_one_stays() {
    let world = synced().await;
    for _ in 0..14 {
        world.publish();
        world.sync().await;
    }
    world.engine().collect().await.unwrap();
    let numbers = world.ports.rings.numbers(&world.settings.ring).await.unwrap();
    assert_eq!(numbers.len(), 10);
    assert_eq!(numbers.last(), Some(&world.generation().await.unwrap().number));
}
