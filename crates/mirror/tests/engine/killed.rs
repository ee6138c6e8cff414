//! Acts that are killed once their word is recorded: the next run alone carries it out, or another word takes it back.

use std::sync::Arc;

use catalog::{Batch, FeedRecord};
use mirror::{ActReport, Engine, EngineError, Silent, SyncRequest};
use model::{Outcome, Reason, ReleaseState, RingName};
use tokio::sync::Notify;
use vendor_sim::{Change, FaultRule, Kind};

use crate::folder::tree;
use crate::hooked::{Op, Then, hooked};
use crate::upstream::fault;
use crate::world::{DEFENDER, ELASTIC, World, ended, id, line};

/// Does something in a process that is killed before it writes to the ring.
pub(crate) async fn killed(world: &World, act: impl AsyncFnOnce(Engine) -> Result<ActReport, EngineError>) {
    let reached = Arc::new(Notify::new());
    let told = Arc::clone(&reached);
    let engine = hooked(&world.engine(), move |op| match op {
        Op::Publish | Op::RemoveGeneration => {
            told.notify_one();
            Then::Dies
        }
        _ => Then::GoesOn,
    });
    tokio::select! {
        done = act(engine) => panic!("it came to an end: {done:?}"),
        () = reached.notified() => {}
    }
}

async fn synced() -> World {
    let world = World::new().await;
    world.sync().await;
    world
}

/// A release that waits for a word, by its id.
async fn waiting(change: Change) -> (World, String) {
    let world = synced().await;
    world.sim.publish_elastic("9.0.0", change).unwrap();
    let report = world.sync().await;
    assert_eq!(line(&report, ELASTIC).outcome, Outcome::Quarantined);
    let release = line(&report, ELASTIC).release.unwrap().to_string();
    (world, release)
}

async fn serves(world: &World, feed: &str) -> String {
    world.generation().await.unwrap().feeds[&id(feed)].release.to_string()
}

async fn state(world: &World, release: &str) -> ReleaseState {
    world.engine().find_release(release).await.unwrap().state
}

#[tokio::test]
async fn a_killed_admit_is_carried_out_by_the_next_run_alone_s11() {
    for without_vendors in [false, true] {
        let (world, release) = waiting(Change::leap()).await;
        killed(&world, async |engine| engine.admit(&release, "announced").await).await;
        assert_ne!(serves(&world, ELASTIC).await, release);
        if without_vendors {
            world.inject(FaultRule::always(Kind::Manifest, fault("status-503")));
        }
        let report = world.sync().await;
        assert_eq!(serves(&world, ELASTIC).await, release, "{report:#?}");
        world.converges().await;
        ended(&world.sync().await, ELASTIC, Outcome::Current, None);
    }
}

#[tokio::test]
async fn what_is_rejected_after_a_killed_admit_is_never_served_s11() {
    let (world, release) = waiting(Change::leap()).await;
    let before = world.tree().await;
    killed(&world, async |engine| engine.admit(&release, "announced").await).await;
    let act = world.engine().reject(&release, "not announced after all").await.unwrap();
    assert_eq!((act.outcome, act.state), (Outcome::Current, ReleaseState::Rejected));
    // A run that fails in between makes nothing of it.
    world.inject(FaultRule::once(Kind::Manifest, fault("status-503")));
    for _ in 0..3 {
        world.sync().await;
        assert_eq!(world.tree().await, before);
    }
    assert_eq!(state(&world, &release).await, ReleaseState::Rejected);
}

/// What earlier versions left of a killed admit: the release's state moved, and its feed's record still waits.
#[tokio::test]
async fn what_an_earlier_version_left_of_a_killed_admit_is_carried_out_or_rejected_s11_s34() {
    for rejects in [false, true] {
        let (world, release) = waiting(Change::leap()).await;
        let record = world.ports.catalog.feed(&id(ELASTIC)).await.unwrap().unwrap();
        killed(&world, async |engine| engine.admit(&release, "announced").await).await;
        world.ports.catalog.apply(catalog::Batch { feeds: vec![record], ..Default::default() }).await.unwrap();
        if rejects {
            let act = world.engine().reject(&release, "not announced after all").await.unwrap();
            assert_eq!(act.state, ReleaseState::Rejected);
        }
        for _ in 0..2 {
            world.sync().await;
            assert_eq!(serves(&world, ELASTIC).await == release, !rejects);
        }
    }
}

/// Two releases of each feed; the ids of one feed's, the newer first.
async fn two(feed: &str) -> (World, String, String) {
    let world = synced().await;
    let older = serves(&world, feed).await;
    world.publish();
    world.sync().await;
    world.may_go_back();
    let newer = serves(&world, feed).await;
    (world, newer, older)
}

/// A crash after the ring moved leaves a feed's record where it waited for a path, and so does an older catalog.
#[tokio::test]
async fn what_waited_for_a_path_and_was_overtaken_takes_nothing_back_s11_s18() {
    let (world, newer, older) = two(ELASTIC).await;
    let catalog = &world.ports.catalog;
    let record = catalog.feed(&id(ELASTIC)).await.unwrap().unwrap();
    let release = Some(older.parse().unwrap());
    let left = FeedRecord { release, outcome: Outcome::Held, reason: Some(Reason::PathConflict), ..record };
    catalog.apply(Batch { feeds: vec![left], ..Batch::default() }).await.unwrap();
    world.publish();
    let request = SyncRequest { feeds: vec![id(DEFENDER)], ..SyncRequest::default() };
    let report = world.engine().sync(&request, Arc::new(Silent)).await.unwrap();
    ended(&report, DEFENDER, Outcome::Published, None);
    assert_eq!(serves(&world, ELASTIC).await, newer);
}

/// No older generation file brings back what was left, whoever carried the word out.
#[tokio::test]
async fn a_rollback_that_the_next_run_carries_out_leaves_no_file_that_serves_what_was_left_s11_s41() {
    for feed in [ELASTIC, DEFENDER] {
        let (world, newer, older) = two(feed).await;
        killed(&world, async |engine| engine.admit(&older, "the newer one breaks hosts").await).await;
        world.sync().await;
        assert_eq!(serves(&world, feed).await, older);
        let (rings, ring) = (&world.ports.rings, RingName::broad());
        for number in rings.numbers(&ring).await.unwrap() {
            let generation = rings.generation(&ring, number).await.unwrap().unwrap();
            assert_ne!(generation.feeds[&id(feed)].release.to_string(), newer, "generation {number}");
        }
    }
}

#[tokio::test]
async fn between_a_killed_rollback_and_its_end_each_word_does_what_it_says_s11() {
    // Taken back: what was left is served on, and stays.
    let (world, newer, older) = two(ELASTIC).await;
    killed(&world, async |engine| engine.admit(&older, "the newer one breaks hosts").await).await;
    assert_eq!(state(&world, &newer).await, ReleaseState::Rejected);
    let act = world.engine().admit(&newer, "it was something else").await.unwrap();
    assert_eq!((act.outcome, act.state), (Outcome::Current, ReleaseState::Admitted));
    ended(&world.sync().await, ELASTIC, Outcome::Current, None);
    assert_eq!(serves(&world, ELASTIC).await, newer);
    // Said again in other words: what is rejected is not served when that is told.
    let (world, newer, older) = two(ELASTIC).await;
    killed(&world, async |engine| engine.admit(&older, "the newer one breaks hosts").await).await;
    let act = world.engine().reject(&newer, "it breaks hosts").await.unwrap();
    assert_eq!(act.state, ReleaseState::Rejected);
    assert_eq!(serves(&world, ELASTIC).await, older);
    // And what is served by then is not rejected.
    let refused = world.engine().reject(&older, "this one, too").await;
    assert!(matches!(refused, Err(EngineError::NotNow(_))), "{refused:?}");
}

#[tokio::test]
async fn a_killed_rejection_reaches_the_ring_with_the_next_run_s11_s18() {
    let (world, release) = waiting(Change::leap()).await;
    killed(&world, async |engine| engine.reject(&release, "not ours").await).await;
    world.sync().await;
    let denied = world.generation().await.unwrap().feeds[&id(ELASTIC)].denied.clone();
    assert_eq!(denied.iter().map(ToString::to_string).collect::<Vec<_>>(), [release]);
}

/// A step back that was declined is not asked about again because a run failed in between.
#[tokio::test]
async fn a_declined_offer_outlives_a_failed_run_u38() {
    let world = World::new().await;
    let folder = tree(&world);
    world.sync_from(folder.path()).await;
    world.publish();
    world.sync().await;
    let newer = serves(&world, DEFENDER).await;
    let report = world.sync_from(folder.path()).await;
    ended(&report, DEFENDER, Outcome::Quarantined, Some(Reason::VersionRegression));
    let older = line(&report, DEFENDER).release.unwrap().to_string();
    let act = world.engine().reject(&older, "we stay").await.unwrap();
    assert_eq!((act.state, act.generation), (ReleaseState::Admitted, None), "it is the offer that is declined");
    for _ in 0..2 {
        let report = world.sync_from(folder.path()).await;
        ended(&report, DEFENDER, Outcome::Current, Some(Reason::RejectedBefore));
        world.inject(FaultRule::always(Kind::Info, fault("status-503")));
        assert_eq!(line(&world.sync().await, DEFENDER).outcome, Outcome::Failed);
        world.sim.clear_faults();
    }
    assert_eq!(serves(&world, DEFENDER).await, newer);
    // Another step back is another question.
    world.publish();
    world.sync().await;
    let report = world.sync_from(folder.path()).await;
    ended(&report, DEFENDER, Outcome::Quarantined, Some(Reason::VersionRegression));
}
