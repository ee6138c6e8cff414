//! Bytes that changed on the disk while nobody served them: they do not come to be served, nobody else is blamed, and
//! they are fetched again.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blob_store::{Expected, Verification};
use catalog::{ReleaseFilter, ReleaseRecord};
use mirror::{Depth, EngineError, Silent};
use model::Outcome::{Current as Stays, Failed, Published, Quarantined};
use model::{Digest, Reason, ReleaseState};
use vendor_sim::{Change, DefenderChange, DefenderTarget, Step};

use crate::hooked::{Op, Then, hooked};
use crate::world::{DAY, DEFENDER, ELASTIC, World, ended, id};

/// A world on files in which a feed has had three releases, each served in its time; oldest first.
async fn three(feed: &str) -> (World, Vec<ReleaseRecord>) {
    let world = World::on_files().await;
    world.sync().await;
    for _ in 0..2 {
        world.clock.advance(DAY);
        world.publish();
        world.sync().await;
    }
    // So long, that nothing but the newest and what `_back` serves is routed.
    world.lives(DAY * 3).await;
    world.engine().collect().await.unwrap();
    let mut found = releases(&world, feed).await;
    found.sort_by_key(|found| found.number);
    assert_eq!(found.len(), 3);
    (world, found)
}

async fn releases(world: &World, feed: &str) -> Vec<ReleaseRecord> {
    let filter = ReleaseFilter { feed: Some(id(feed)), ..ReleaseFilter::default() };
    world.engine().ports().catalog.releases(&filter).await.unwrap()
}

async fn state(world: &World, release: &ReleaseRecord) -> ReleaseState {
    world.engine().ports().catalog.release(&release.release.id).await.unwrap().unwrap().state
}

/// The largest file of a release that the ring does not route.
async fn unrouted(world: &World, release: &ReleaseRecord) -> Digest {
    let generation = world.generation().await.unwrap();
    let routed = |digest: &Digest| generation.routes.values().any(|route| route.digest == *digest);
    let items = release.release.items.iter().filter(|item| !routed(&item.digest));
    items.max_by_key(|item| item.size).unwrap().digest
}

fn flip(world: &World, digest: Digest) {
    let name = digest.to_string();
    let path = world.ports.path().join("blobs").join(&name[..2]).join(&name);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn set_aside(world: &World) -> usize {
    fs::read_dir(world.ports.path().join("damaged")).unwrap().count()
}

#[tokio::test]
async fn a_rollback_to_what_rotted_is_refused_and_takes_nothing_away_s16_r01() {
    for feed in [DEFENDER, ELASTIC] {
        let (world, releases) = three(feed).await;
        let before = world.tree().await;
        flip(&world, unrouted(&world, &releases[0]).await);
        let word = world.engine().admit(&releases[0].number.to_string(), "back").await;
        let Err(EngineError::NotPublished(why)) = &word else { panic!("{feed}: {word:?}") };
        assert_eq!(why.reason, Reason::BlobDamaged, "{feed}");
        assert!(why.detail.contains("served on") && why.detail.contains("set aside"), "{}", why.detail);
        assert_eq!(world.tree().await, before, "{feed}");
        assert_eq!(set_aside(&world), 1, "{feed}");
        assert_eq!(state(&world, &releases[2]).await, ReleaseState::Admitted, "{feed}: nothing was rolled back from");
        ended(&world.sync().await, feed, Stays, None);
        assert_eq!(world.tree().await, before, "{feed}");
        assert!(world.engine().check_store(Depth::Rehash, &|_| ()).await.damaged.is_empty(), "{feed}");
    }
}

#[tokio::test]
async fn what_rotted_is_not_put_into_back_s16() {
    let (world, releases) = three(DEFENDER).await;
    flip(&world, unrouted(&world, &releases[0]).await);
    world.may_go_back();
    let report = world.engine().admit(&releases[1].number.to_string(), "back by one").await.unwrap();
    assert_eq!((report.outcome, set_aside(&world)), (Published, 1));
    world.walk().await;
    let served = world.generation().await.unwrap().feeds.remove(&id(DEFENDER)).unwrap();
    assert_eq!((served.release, served.back), (releases[1].release.id, None));
}

#[tokio::test]
async fn a_held_file_that_rotted_is_fetched_again_in_the_run_that_meets_it_s16() {
    let world = World::on_files().await;
    world.sync().await;
    let generation = world.generation().await.unwrap();
    let artifacts = generation.routes.iter().filter(|(path, _)| path.as_str().contains("/simulated/"));
    let artifacts: BTreeSet<Digest> = artifacts.map(|(_, route)| route.digest).collect();
    assert!(artifacts.len() > 3, "{artifacts:?}");
    artifacts.iter().for_each(|digest| flip(&world, *digest));
    world.sim.publish_elastic("all", Change::of(1)).unwrap();
    let report = world.engine().sync(&Default::default(), Arc::new(Silent)).await.unwrap();
    ended(&report, ELASTIC, Published, None);
    assert_eq!(report.exit_code(), 0, "{report:#?}");
    assert_eq!(world.tree().await, world.unfaulted().await);
    // What no manifest names any more is nobody's to fetch.
    for (path, (digest, size)) in world.tree().await {
        let read = world.ports.blobs.verify(digest).await.unwrap();
        assert!(matches!(read, Verification::Good(held) if held.size() == size), "{path}: {read:?}");
    }
    assert!(set_aside(&world) > 3);
}

#[tokio::test]
async fn what_waits_and_rots_is_fetched_again_before_it_is_let_in_s16() {
    let world = World::on_files().await;
    world.sync().await;
    let served = world.tree().await;
    world
        .sim
        .publish_defender(DefenderTarget::All, DefenderChange { step: Step::Leap, ..DefenderChange::default() })
        .unwrap();
    ended(&world.sync().await, DEFENDER, Quarantined, Some(Reason::VersionLeap));
    let all = releases(&world, DEFENDER).await;
    let waits = all.iter().find(|found| found.state == ReleaseState::Quarantined).unwrap();
    flip(&world, unrouted(&world, waits).await);
    let number = waits.number.to_string();
    let word = world.engine().admit(&number, "it is meant").await;
    assert!(matches!(&word, Err(EngineError::NotPublished(why)) if why.reason == Reason::BlobDamaged), "{word:?}");
    assert_eq!(world.tree().await, served);
    ended(&world.sync().await, DEFENDER, Quarantined, Some(Reason::VersionLeap));
    assert_eq!(world.engine().admit(&number, "it is meant").await.unwrap().outcome, Published);
    world.walk().await;
    assert!(world.engine().check_store(Depth::Rehash, &|_| ()).await.is_good());
}

#[tokio::test]
async fn what_was_rolled_back_to_and_is_lost_is_told_by_each_run_s16_s18() {
    let (world, releases) = three(DEFENDER).await;
    world.may_go_back();
    world.engine().admit(&releases[0].number.to_string(), "back").await.unwrap();
    ended(&world.sync().await, DEFENDER, Stays, Some(Reason::RejectedBefore));
    let archive = releases[0].release.items.iter().max_by_key(|item| item.size).unwrap().digest;
    flip(&world, archive);
    let engine = world.engine();
    let found = engine.verify(&engine.held().await.unwrap(), &|_| ()).await.unwrap();
    assert_eq!(found.faults.len(), 1);
    let record = engine.ports().catalog.feed(&id(DEFENDER)).await.unwrap().unwrap();
    assert_eq!((record.outcome, record.reason), (Failed, Some(Reason::BlobDamaged)));
    // The vendor offers what was declined: no run can bring back what is served.
    for _ in 0..2 {
        let report = engine.sync(&Default::default(), Arc::new(Silent)).await.unwrap();
        ended(&report, DEFENDER, Failed, Some(Reason::BlobMissing));
        assert_ne!(report.exit_code(), 0);
    }
    world.sim.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    ended(&world.sync().await, DEFENDER, Published, None);
}

#[tokio::test]
async fn what_rots_of_a_rejected_release_is_found_by_the_whole_check_s16() {
    let world = World::on_files().await;
    world.sync().await;
    world
        .sim
        .publish_defender(DefenderTarget::All, DefenderChange { step: Step::Leap, ..DefenderChange::default() })
        .unwrap();
    world.sync().await;
    let all = releases(&world, DEFENDER).await;
    let waits = all.iter().find(|found| found.state == ReleaseState::Quarantined).unwrap();
    world.engine().reject(&waits.number.to_string(), "no").await.unwrap();
    let digest = unrouted(&world, waits).await;
    assert!(world.engine().check_store(Depth::Rehash, &|_| ()).await.is_good());
    flip(&world, digest);
    assert!(world.engine().check_store(Depth::Look, &|_| ()).await.is_good(), "a look reads nothing");
    let report = world.engine().check_store(Depth::Rehash, &|_| ()).await;
    assert_eq!(report.damaged, [digest], "{report:#?}");
    assert!(report.faults[0].detail.contains("rejected"), "{report:#?}");
    world.engine().recheck(&report.damaged).await.unwrap();
    assert!(world.engine().check_store(Depth::Rehash, &|_| ()).await.is_good(), "what was rejected may be gone");
}

#[tokio::test]
async fn who_finds_damage_elsewhere_has_it_fetched_again_s16() {
    let world = World::on_files().await;
    world.sync().await;
    let generation = world.generation().await.unwrap();
    let (route, _) = generation.routes.iter().find(|(path, _)| path.as_str().ends_with("updates.zip")).unwrap();
    let digest = generation.routes[route].digest;
    let healed = world.engine().heal(&[digest], Arc::new(Silent)).await.unwrap();
    assert!(healed.found.faults.is_empty() && healed.fetched.is_none(), "nothing is wrong: {healed:?}");
    flip(&world, digest);
    let healed = world.engine().heal(&[digest], Arc::new(Silent)).await.unwrap();
    assert_eq!((healed.found.faults.len(), healed.fetched.unwrap().exit_code()), (1, 0));
    assert_eq!(set_aside(&world), 1);
    world.walk().await;
    assert!(world.engine().check_store(Depth::Rehash, &|_| ()).await.is_good());
}

#[tokio::test]
async fn on_a_full_disk_gc_begins_with_what_nothing_refers_to_s01() {
    let world = World::new().await;
    world.sync().await;
    world.publish();
    world.sync().await;
    // What is superseded has left its grace: gc has a generation to publish, and there is no room for one.
    world.lives(DAY * 3).await;
    let engine = world.engine();
    const NOSPC: i32 = 28;
    // A disk that is full until a blob goes.
    let has_room = Arc::new(AtomicBool::new(false));
    let on_full = hooked(&engine, move |op| match op {
        Op::Publish if !has_room.load(Ordering::SeqCst) => Then::Fails(NOSPC),
        Op::RemoveBlob => {
            has_room.store(true, Ordering::SeqCst);
            Then::GoesOn
        }
        _ => Then::GoesOn,
    });
    let refused = on_full.collect().await;
    assert!(refused.as_ref().is_err_and(|error| error.reason() == Reason::DiskFull), "{refused:?}");

    let before = world.tree().await;
    let mut writer = engine.ports().blobs.begin(None).await.unwrap();
    writer.write(vec![7; 4096].into()).await.unwrap();
    let loose = writer.finish(Expected::default()).await.unwrap();
    let report = on_full.collect().await.unwrap();
    assert!(report.removed >= 1, "{report:?}");
    assert_eq!(engine.ports().blobs.find(loose.digest()).await.unwrap(), None);
    world.walk().await;
    assert_eq!(world.tree().await, before);
    let again = on_full.collect().await.unwrap();
    assert_eq!((again.removed, again.plan.blobs), (0, 0), "all was done");
    assert!(engine.check_store(Depth::Rehash, &|_| ()).await.is_good());
}
