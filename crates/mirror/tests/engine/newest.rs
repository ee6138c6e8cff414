//! The newest word counts: over what was said before, over what the vendor offers, and over a catalog that is older than
//! what the ring serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::{Batch, ReleaseFilter, ReleaseRecord};
use mirror::{EngineError, Silent, SyncRequest};
use model::Outcome::{Current, Quarantined};
use model::{FeedId, Reason, ReleaseId, ReleaseState};
use vendor_sim::{Change, DefenderChange, DefenderTarget, Fault, FaultRule, Kind, Step};

use crate::back::{archive, rot, served};
use crate::upstream::fault;
use crate::world::{DAY, DEFENDER, ELASTIC, World, ended, id, line};

/// A feed's releases, in the order in which they came.
async fn releases(world: &World, feed: &str) -> Vec<ReleaseRecord> {
    let filter = ReleaseFilter { feed: Some(id(feed)), ..ReleaseFilter::default() };
    let mut found = world.engine().ports().catalog.releases(&filter).await.unwrap();
    found.sort_by_key(|found| found.number);
    found
}

async fn stands(world: &World, feed: &str) -> (ReleaseId, Option<ReleaseId>) {
    let served = world.generation().await.unwrap().feeds.remove(&id(feed)).unwrap();
    (served.release, served.back)
}

async fn state(world: &World, release: ReleaseId) -> ReleaseState {
    world.engine().find_release(&release.to_string()).await.unwrap().state
}

async fn admit(world: &World, release: ReleaseId) -> mirror::ActReport {
    world.may_go_back();
    let act = world.engine().admit(&release.to_string(), "it is better").await.unwrap();
    world.walk().await;
    act
}

async fn next(world: &World) {
    world.clock.advance(DAY);
    world.publish();
    world.sync().await;
}

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Copies the catalog, as one does to have a backup of it.
async fn back_up(world: &mut World) -> PathBuf {
    let older = world.ports.path().join("older");
    world.reopen().await;
    copy(&world.ports.path().join("catalog"), &older);
    older
}

async fn put_back(world: &mut World, older: &Path) {
    let catalog = world.ports.path().join("catalog");
    world.reopen().await;
    fs::remove_dir_all(&catalog).unwrap();
    fs::rename(older, &catalog).unwrap();
    world.reopen().await;
    let fault = world.engine().status().await.unwrap().ring.fault.unwrap();
    assert_eq!(fault.reason, Reason::CatalogDisagrees);
}

/// Two releases of one version: the second waited for a word and was let in.
async fn same_version() -> (World, ReleaseId, ReleaseId) {
    let world = World::new().await;
    world.sync().await;
    let first = stands(&world, ELASTIC).await.0;
    world.sim.publish_elastic("9.0.0", Change::same_version()).unwrap();
    let report = world.sync().await;
    ended(&report, ELASTIC, Quarantined, Some(Reason::SameVersionOtherBytes));
    (world, first, line(&report, ELASTIC).release.unwrap())
}

#[tokio::test]
async fn going_back_between_releases_of_one_version_stays_u39() {
    let (world, first, second) = same_version().await;
    assert_eq!(admit(&world, second).await.detail, None);
    assert_eq!(state(&world, first).await, ReleaseState::Admitted, "nobody spoke against it");
    let told = admit(&world, first).await.detail.unwrap();
    assert!(told.contains("rolled back from"), "{told}");
    for _ in 0..2 {
        let report = world.sync().await;
        ended(&report, ELASTIC, Current, Some(Reason::RejectedBefore));
        assert_eq!((stands(&world, ELASTIC).await.0, report.exit_code()), (first, 0));
    }
    assert_eq!(world.generation().await.unwrap().feeds[&id(ELASTIC)].denied, [second]);
    // A word ends that, too.
    admit(&world, second).await;
    ended(&world.sync().await, ELASTIC, Current, None);
    assert_eq!(stands(&world, ELASTIC).await.0, second);
}

/// An edge that is behind shows the other bytes again and again: what was let in since stays.
#[tokio::test]
async fn an_edge_that_still_has_the_other_bytes_undoes_no_word_u39() {
    let world = World::new().await;
    world.sync().await;
    let first = stands(&world, ELASTIC).await.0;
    let newer = || world.inject(FaultRule::always(Kind::Manifest, fault("manifest-other-content")));
    newer();
    let second = line(&world.sync().await, ELASTIC).release.unwrap();
    admit(&world, second).await;
    let number = world.generation().await.unwrap().number;
    for _ in 0..2 {
        world.sim.clear_faults();
        let report = world.sync().await;
        ended(&report, ELASTIC, Quarantined, Some(Reason::SameVersionOtherBytes));
        assert_eq!((report.exit_code(), state(&world, first).await), (3, ReleaseState::Admitted), "the offer waits");
        newer();
        ended(&world.sync().await, ELASTIC, Current, None);
    }
    world.sim.clear_faults();
    world.sync().await;
    world.engine().reject(&first.to_string(), "their edge is behind").await.unwrap();
    for _ in 0..2 {
        ended(&world.sync().await, ELASTIC, Current, Some(Reason::RejectedBefore));
    }
    assert_eq!((stands(&world, ELASTIC).await.0, world.generation().await.unwrap().number), (second, number));
}

/// A word that took the place of one which had not reached the ring.
#[tokio::test]
async fn what_was_to_be_served_under_the_same_version_and_is_not_stays_out_s11_u39() {
    let (world, first, second) = same_version().await;
    crate::killed::killed(&world, async |engine| engine.admit(&second.to_string(), "theirs").await).await;
    // Said once more it is the same word: what it replaces stays good.
    crate::killed::killed(&world, async |engine| engine.admit(&second.to_string(), "theirs").await).await;
    assert_eq!(state(&world, first).await, ReleaseState::Admitted);
    admit(&world, first).await;
    assert_eq!(state(&world, second).await, ReleaseState::Rejected);
    for _ in 0..2 {
        ended(&world.sync().await, ELASTIC, Current, Some(Reason::RejectedBefore));
        assert_eq!(stands(&world, ELASTIC).await.0, first);
    }
    // A step back that is killed is carried out.
    admit(&world, second).await;
    world.sync().await;
    crate::killed::killed(&world, async |engine| engine.admit(&first.to_string(), "ours").await).await;
    for _ in 0..2 {
        world.sync().await;
        assert_eq!((stands(&world, ELASTIC).await.0, state(&world, second).await), (first, ReleaseState::Rejected));
    }
}

#[tokio::test]
async fn an_older_catalog_takes_nothing_back_that_was_let_in_since_s18_s40() {
    for by in ["a run", "upkeep", "gc", "a rejection"] {
        let mut world = World::on_files().await;
        world.sync().await;
        next(&world).await;
        let mut newest = Vec::new();
        for feed in [ELASTIC, DEFENDER] {
            let all = releases(&world, feed).await;
            admit(&world, all[0].release.id).await;
            newest.push((feed, all[1].release.id));
        }
        let older = back_up(&mut world).await;
        for (_, release) in &newest {
            admit(&world, *release).await;
        }
        let (before, whole) = (world.generation().await.unwrap(), world.tree().await);
        put_back(&mut world, &older).await;
        match by {
            "a run" => drop(world.sync().await),
            "upkeep" => drop(world.engine().mend_ring().await.unwrap()),
            "gc" => drop(world.engine().collect().await.unwrap()),
            _ => {
                let refused = world.engine().reject(&newest[0].1.to_string(), "bad").await;
                assert!(
                    matches!(&refused, Err(EngineError::NotNow(why)) if why.contains("is what is served")),
                    "{refused:?}"
                );
            }
        }
        assert_eq!(world.tree().await, whole, "{by}");
        let report = world.sync().await;
        assert_eq!(report.exit_code(), 0, "{by}: {report:#?}");
        assert_eq!(world.tree().await, whole, "{by}");
        let now = world.generation().await.unwrap();
        for (feed, release) in newest {
            ended(&report, feed, Current, None);
            assert_eq!(state(&world, release).await, ReleaseState::Admitted, "{by}: {feed}");
            assert_eq!(now.feeds[&id(feed)].back, before.feeds[&id(feed)].back, "{by}: {feed}");
        }
        assert_eq!(world.engine().status().await.unwrap().ring.fault, None, "{by}");
        world.walk().await;
    }
}

#[tokio::test]
async fn what_one_may_go_back_to_outlives_an_older_catalog_s18_s40() {
    for newer in [1, 2] {
        let mut world = World::on_files().await;
        world.sync().await;
        next(&world).await;
        let all = releases(&world, DEFENDER).await;
        admit(&world, all[0].release.id).await;
        let older = back_up(&mut world).await;
        let again = all[1].release.id;
        admit(&world, again).await;
        for _ in 0..newer {
            next(&world).await;
        }
        let before = stands(&world, DEFENDER).await;
        put_back(&mut world, &older).await;
        for vendors in [false, true] {
            if vendors {
                world.sim.clear_faults();
                world.sync().await;
            } else {
                world.inject(FaultRule::always(Kind::Info, Fault::Status(503)));
                world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
            }
            assert_eq!(stands(&world, DEFENDER).await, before, "{newer}: {vendors}");
            assert_eq!(state(&world, again).await, ReleaseState::Admitted, "{newer}: {vendors}");
        }
    }
}

#[tokio::test]
async fn what_waited_in_an_older_catalog_and_was_let_in_since_counts_as_let_in_s18_s40() {
    for rejects in [false, true] {
        let mut world = World::on_files().await;
        world.sync().await;
        let leap = DefenderChange { step: Step::Leap, ..DefenderChange::default() };
        world.sim.publish_defender(DefenderTarget::All, leap).unwrap();
        let report = world.sync().await;
        ended(&report, DEFENDER, Quarantined, Some(Reason::VersionLeap));
        let leapt = line(&report, DEFENDER).release.unwrap();
        let older = back_up(&mut world).await;
        admit(&world, leapt).await;
        put_back(&mut world, &older).await;
        if rejects {
            let refused = world.engine().reject(&leapt.to_string(), "not announced").await;
            assert!(matches!(&refused, Err(EngineError::NotNow(_))), "{refused:?}");
        }
        let report = world.sync().await;
        ended(&report, DEFENDER, Current, None);
        assert_eq!(report.exit_code(), 0, "{report:#?}");
        assert!(world.engine().status().await.unwrap().quarantined.is_empty());
        next(&world).await;
        assert_eq!(stands(&world, DEFENDER).await.1, Some(leapt), "one can go back to it");
    }
}

#[tokio::test]
async fn a_rejection_outlives_the_catalog_also_of_a_feed_that_was_left_meanwhile_s18() {
    let mut world = World::on_files().await;
    world.sync().await;
    next(&world).await;
    let all = releases(&world, DEFENDER).await;
    let (older, bad) = (all[0].release.id, all[1].release.id);
    admit(&world, older).await;
    let followed: Vec<FeedId> = world.settings.feeds.clone();
    world.settings.feeds.retain(|feed| *feed != id(DEFENDER));
    world.engine().collect().await.unwrap();
    assert!(!world.generation().await.unwrap().feeds.contains_key(&id(DEFENDER)));
    world.reopen().await;
    fs::remove_dir_all(world.ports.path().join("catalog")).unwrap();
    world.reopen().await;
    world.forget();
    world.sync().await;
    world.settings.feeds = followed;
    for _ in 0..2 {
        let report = world.sync().await;
        assert_eq!(line(&report, DEFENDER).reason, Some(Reason::RejectedBefore), "{report:#?}");
        assert_eq!(stands(&world, DEFENDER).await.0, older);
        assert_eq!(world.generation().await.unwrap().feeds[&id(DEFENDER)].denied, [bad]);
    }
}

/// The repair is the first to meet the older catalog: the ring's words count before it publishes.
#[tokio::test]
async fn a_repair_on_an_older_catalog_forgets_no_rejection_s16_s18_s40() {
    let mut world = served(4).await;
    let all = releases(&world, DEFENDER).await;
    let older = back_up(&mut world).await;
    admit(&world, all[2].release.id).await;
    put_back(&mut world, &older).await;
    rot(&world, archive(&all[1]));
    let healed = world.engine().heal(&[archive(&all[1])], Arc::new(Silent)).await.unwrap();
    assert_eq!(healed.lost_back.len(), 1, "{healed:?}");
    assert_eq!(world.generation().await.unwrap().feeds[&id(DEFENDER)].denied, [all[3].release.id]);
    ended(&world.sync().await, DEFENDER, Current, Some(Reason::RejectedBefore));
    assert_eq!(stands(&world, DEFENDER).await.0, all[2].release.id);
}

/// What a kept generation says that the older catalog knows itself is overtaken by what that one says since.
#[tokio::test]
async fn what_an_older_catalog_said_of_old_generations_stands_s18_s40() {
    let mut world = served(3).await;
    let all = releases(&world, DEFENDER).await;
    let waits = vec![(all[1].release.id, ReleaseState::Quarantined, all[1].state_since)];
    world.engine().ports().catalog.apply(Batch { states: waits, ..Batch::default() }).await.unwrap();
    let older = back_up(&mut world).await;
    world.sim.publish_elastic("9.0.0", Change::of(1)).unwrap();
    world.sync().await;
    put_back(&mut world, &older).await;
    world.sync().await;
    assert_eq!(state(&world, all[1].release.id).await, ReleaseState::Quarantined);
}
