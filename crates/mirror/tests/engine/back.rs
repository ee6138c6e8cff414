//! Going back is never lost: what one may go back to outlives old generations, the catalog and a bad disk.

use std::fs;
use std::sync::Arc;

use catalog::{Batch, EntryKind, NewEntry, ReleaseFilter, ReleaseRecord};
use mirror::{Depth, EngineError, Silent, SyncRequest};
use model::Outcome::{Current as Stays, Failed};
use model::{Clock as _, Digest, Level, Measure, Reason, ReleaseId, ReleaseState};
use vendor_sim::{Change, DefenderChange, DefenderTarget};

use crate::world::{DAY, DEFENDER, ELASTIC, World, ended, id, line};

/// A world on files in which every feed has had so many releases, each served in its time.
pub(crate) async fn served(count: u32) -> World {
    let world = World::on_files().await;
    world.sync().await;
    for _ in 1..count {
        world.clock.advance(DAY);
        world.publish();
        world.sync().await;
    }
    world
}

/// A feed's releases, oldest first.
pub(crate) async fn releases(world: &World, feed: &str) -> Vec<ReleaseRecord> {
    let filter = ReleaseFilter { feed: Some(id(feed)), ..ReleaseFilter::default() };
    let mut found = world.engine().ports().catalog.releases(&filter).await.unwrap();
    found.sort_by(|a, b| a.release.vendor_version.version.cmp(&b.release.vendor_version.version));
    found
}

/// What is served of a feed, and what its `_back` serves.
pub(crate) async fn stands(world: &World, feed: &str) -> (ReleaseId, Option<ReleaseId>) {
    let served = world.generation().await.unwrap().feeds.remove(&id(feed)).unwrap();
    (served.release, served.back)
}

async fn go_back(world: &World, to: &ReleaseRecord) {
    world.may_go_back();
    world.engine().admit(&to.release.id.to_string(), "back").await.unwrap();
    world.walk().await;
}

pub(crate) async fn lose_catalog(world: &mut World) {
    world.reopen().await;
    fs::remove_dir_all(world.ports.path().join("catalog")).unwrap();
    world.reopen().await;
}

/// The largest file of a release.
pub(crate) fn archive(found: &ReleaseRecord) -> Digest {
    found.release.items.iter().max_by_key(|item| item.size).unwrap().digest
}

pub(crate) fn remove(world: &World, digest: Digest) {
    let name = digest.to_string();
    fs::remove_file(world.ports.path().join("blobs").join(&name[..2]).join(&name)).unwrap();
}

fn archive_size(found: &ReleaseRecord) -> u64 {
    found.release.items.iter().map(|item| item.size).max().unwrap()
}

pub(crate) fn rot(world: &World, digest: Digest) {
    let name = digest.to_string();
    let path = world.ports.path().join("blobs").join(&name[..2]).join(&name);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

pub(crate) fn leap(world: &World) {
    let leap = DefenderChange { step: vendor_sim::Step::Leap, ..DefenderChange::default() };
    world.sim.publish_defender(DefenderTarget::All, leap).unwrap();
}

pub(crate) fn silence(world: &World) {
    for kind in [vendor_sim::Kind::Manifest, vendor_sim::Kind::Info] {
        world.inject(vendor_sim::FaultRule::always(kind, vendor_sim::Fault::Status(503)));
    }
}

#[tokio::test]
async fn the_step_back_outlives_the_generations_that_served_it() {
    let world = served(3).await;
    for _ in 0..11 {
        world.sim.publish_elastic("9.0.0", Change::of(1)).unwrap();
        world.sync().await;
    }
    world.engine().collect().await.unwrap();
    let all = releases(&world, DEFENDER).await;
    let ids: Vec<ReleaseId> = all.iter().map(|found| found.release.id).collect();
    assert_eq!(stands(&world, DEFENDER).await, (ids[2], Some(ids[1])));
    go_back(&world, &all[1]).await;
    assert_eq!(stands(&world, DEFENDER).await, (ids[1], Some(ids[0])));
}

#[tokio::test]
async fn a_lost_catalog_takes_no_step_back_away_s18() {
    for by in ["a run", "a run without vendors", "gc", "a rollback"] {
        let mut world = served(3).await;
        let before = releases(&world, DEFENDER).await;
        let ids: Vec<ReleaseId> = before.iter().map(|found| found.release.id).collect();
        lose_catalog(&mut world).await;
        let told = world.engine().status().await.unwrap();
        assert_eq!(told.ring.fault.as_ref().map(|fault| fault.reason), Some(Reason::CatalogDisagrees), "{by}");
        for feed in &told.feeds {
            let served = feed.served.as_ref().unwrap_or_else(|| panic!("{by}: {}", feed.feed));
            assert!(served.files > 1 && served.bytes > 0, "{by}: {served:?}");
        }
        let held = world.engine().held().await.unwrap();
        assert_eq!(held.len(), 4, "{by}: what the ring serves, and _back: {held:#?}");
        match by {
            "a run" => assert_eq!(world.sync().await.exit_code(), 0),
            "a run without vendors" => {
                for kind in [vendor_sim::Kind::Manifest, vendor_sim::Kind::Info] {
                    world.inject(vendor_sim::FaultRule::always(kind, vendor_sim::Fault::Status(503)));
                }
                world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
                world.sim.clear_faults();
            }
            "gc" => assert_eq!(world.engine().collect().await.unwrap().removed, 0),
            _ => {}
        }
        if by != "a rollback" {
            assert_eq!(stands(&world, DEFENDER).await, (ids[2], Some(ids[1])), "{by}");
            let now = releases(&world, DEFENDER).await;
            assert_eq!(now.iter().map(|found| found.release.id).collect::<Vec<_>>(), ids, "{by}");
            for (was, is) in before.iter().zip(&now) {
                let facts = |of: &ReleaseRecord| {
                    let release = &of.release;
                    (release.vendor_time, release.held_since, release.verdict.trust.clone(), release.bases.clone())
                };
                assert_eq!((facts(was), was.state), (facts(is), is.state), "{by}");
                assert_eq!(was.release.items, is.release.items, "{by}");
            }
            let checked = world.engine().check_store(Depth::Rehash, &|_| ()).await;
            assert!(checked.is_good(), "{by}: {checked:#?}");
        }
        // What the catalog does not know has no number, and an act makes it known.
        world.may_go_back();
        world.engine().admit(&ids[1].to_string(), "back").await.unwrap();
        world.walk().await;
        assert_eq!(stands(&world, DEFENDER).await, (ids[1], Some(ids[0])), "{by}");
    }
}

/// What is served because the operator went back is known as before, and is no fresher for a catalog that was lost.
#[tokio::test]
async fn what_was_gone_back_to_is_known_without_the_catalog_s18_i9() {
    let mut world = served(2).await;
    for feed in [ELASTIC, DEFENDER] {
        go_back(&world, &releases(&world, feed).await[0]).await;
    }
    world.clock.advance(DAY * 10);
    let level = |status: &mirror::Status, feed: &str| {
        let age = |finding: &&model::Finding| finding.feed == id(feed) && finding.measure == Measure::Age;
        status.freshness.iter().find(age).unwrap().level
    };
    world.sync().await;
    let known = world.engine().status().await.unwrap();
    lose_catalog(&mut world).await;
    for synced in [false, true] {
        if synced {
            for _ in 0..2 {
                world.sync().await;
            }
        }
        let status = world.engine().status().await.unwrap();
        for feed in [ELASTIC, DEFENDER] {
            assert_eq!((level(&status, feed), level(&known, feed)), (Level::Fail, Level::Fail), "{synced}: {feed}");
            let of = |status: &mirror::Status| {
                let feed = status.feeds.iter().find(|known| known.feed == id(feed)).unwrap();
                let served = feed.served.clone().unwrap();
                (served.id, served.vendor_version, served.held_since, served.trust)
            };
            assert_eq!(of(&status), of(&known), "{synced}: {feed}");
        }
        let checked = world.engine().check_store(Depth::Rehash, &|_| ()).await;
        assert_eq!(checked.is_good(), synced, "{checked:#?}");
    }
    // Damage to it is told, as ever.
    let served = releases(&world, DEFENDER).await;
    remove(&world, archive(&served[0]));
    let report = world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
    ended(&report, DEFENDER, Failed, Some(Reason::BlobMissing));
}

#[tokio::test]
async fn what_is_lost_in_back_gives_way_to_the_release_before_it_and_is_told_s16_s18() {
    for finds in ["verify", "a run"] {
        let world = served(3).await;
        let all = releases(&world, DEFENDER).await;
        let engine = world.engine();
        remove(&world, archive(&all[1]));
        if finds == "verify" {
            assert_eq!(engine.verify(&engine.held().await.unwrap(), &|_| ()).await.unwrap().faults.len(), 1);
            let record = engine.ports().catalog.feed(&id(DEFENDER)).await.unwrap().unwrap();
            assert_eq!((record.outcome, record.reason), (Failed, Some(Reason::BlobMissing)));
            assert!(record.detail.unwrap().contains("it belongs to release"), "whose it is");
            let told = engine.collect().await.unwrap().lost_back;
            assert_eq!(told.len(), 1, "gc tells of the step that it makes");
            assert!(told[0].detail.contains(&format!("serves release {} now", all[0].number)), "{told:?}");
        } else {
            let report = engine.sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
            ended(&report, DEFENDER, Failed, Some(Reason::BlobMissing));
        }
        assert_eq!(stands(&world, DEFENDER).await, (all[2].release.id, Some(all[0].release.id)), "{finds}");
        ended(&world.sync().await, DEFENDER, Stays, None);
    }
}

/// Rot that somebody found first: the run that follows tells of it all the same, whatever the vendor answers, and asks for
/// nothing that is held.
#[tokio::test]
async fn a_step_that_nobodys_word_made_is_told_whatever_the_vendor_answers_s16_i9() {
    for answers in ["the same", "newer", "a leap", "nothing"] {
        let world = served(3).await;
        let all = releases(&world, DEFENDER).await;
        if answers == "a leap" {
            leap(&world);
            world.sync().await;
        }
        let engine = world.engine();
        rot(&world, archive(&all[1]));
        assert_eq!(engine.verify(&engine.held().await.unwrap(), &|_| ()).await.unwrap().faults.len(), 1);
        match answers {
            "newer" => world.sim.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap(),
            "nothing" => silence(&world),
            _ => {}
        }
        if answers == "newer" {
            // What is served, and would be in `_back` next, is lost as well.
            rot(&world, archive(&all[2]));
            engine.recheck(&[archive(&all[2])]).await.unwrap();
        }
        let report = engine.sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
        assert_ne!(report.exit_code(), 0, "{answers}: {report:#?}");
        let told = line(&report, DEFENDER);
        let hurt = if answers == "newer" { &all[2] } else { &all[1] };
        let words = format!("it belongs to release {}, the one before", hurt.number);
        assert!(told.detail.as_ref().is_some_and(|detail| detail.contains(&words)), "{answers}: {told:?}");
        let record = engine.ports().catalog.feed(&id(DEFENDER)).await.unwrap().unwrap();
        assert_eq!((record.outcome, &record.detail), (told.outcome, &told.detail), "{answers}: status tells it");
        let beside = record.besides.map(|lost| lost.reason);
        assert_eq!(beside, matches!(answers, "a leap" | "nothing").then_some(Reason::BlobMissing), "{answers}");
        let (now, back) = stands(&world, DEFENDER).await;
        assert_eq!(back, Some(all[0].release.id), "{answers}");
        assert_eq!(now == all[2].release.id, answers != "newer", "{answers}");
        let history = world.history().await;
        assert!(history.iter().any(|entry| entry.data.contains("lost_back")), "{answers}");
        if answers == "the same" {
            assert_eq!((told.outcome, told.reason), (Failed, Some(Reason::BlobMissing)));
            assert!(told.bytes_fetched < archive_size(&all[2]), "what is held is not fetched: {told:?}");
        }
        world.sim.clear_faults();
        let report = engine.sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
        let told = line(&report, DEFENDER);
        assert!(!told.detail.as_ref().is_some_and(|detail| detail.contains("the one before")), "once: {told:?}");
        match answers {
            "a leap" => assert_eq!(told.outcome, model::Outcome::Quarantined),
            _ => ended(&report, DEFENDER, Stays, None),
        }
    }
}

/// A repair asks nobody for what no vendor offers any more, and tells of the step.
#[tokio::test]
async fn a_repair_tells_of_what_it_cannot_bring_back_s16() {
    let world = served(3).await;
    let all = releases(&world, DEFENDER).await;
    let digest = archive(&all[1]);
    world.publish();
    rot(&world, digest);
    let healed = world.engine().heal(&[digest], Arc::new(Silent)).await.unwrap();
    assert!(healed.fetched.is_none() && healed.found.faults.len() == 1, "{healed:?}");
    assert!(healed.lost_back[0].detail.contains(&format!("belongs to release {}", all[1].number)), "{healed:?}");
    assert_eq!(stands(&world, DEFENDER).await, (all[2].release.id, Some(all[0].release.id)));
    let lacks = world.engine().lacking(&all).await.unwrap();
    assert_eq!(lacks.into_iter().collect::<Vec<_>>(), [(all[1].release.id, mirror::Lacks { lost: 1, exposed: 0 })]);
    // What is served, while the vendor offers something newer: the file is named.
    rot(&world, archive(&all[2]));
    let healed = world.engine().heal(&[archive(&all[2])], Arc::new(Silent)).await.unwrap();
    let report = healed.fetched.unwrap();
    let told = line(&report, DEFENDER).detail.clone().unwrap();
    assert!(told.contains(&archive(&all[2]).to_string()) && told.contains("`waystation sync` takes"), "{told}");
}

/// While an offer waits, or the vendor is down, nobody fetches what is lost of what is served: each run says so.
#[tokio::test]
async fn what_is_lost_of_what_is_served_is_told_while_an_offer_waits_s16_i9() {
    for waits in [true, false] {
        let world = served(2).await;
        let all = releases(&world, DEFENDER).await;
        if waits {
            leap(&world)
        } else {
            silence(&world)
        };
        world.try_sync(&SyncRequest::default()).await.unwrap();
        rot(&world, archive(&all[1]));
        world.engine().recheck(&[archive(&all[1])]).await.unwrap();
        for _ in 0..2 {
            let report = world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
            let told = line(&report, DEFENDER).detail.clone().unwrap();
            assert_eq!(told.matches(&format!("release {} is served", all[1].number)).count(), 1, "{waits}: {told}");
        }
    }
}

/// However old: what took the place of a lost step back is not let go by the very collection that puts it there.
#[tokio::test]
async fn retention_keeps_the_newest_release_that_one_can_go_back_to() {
    let world = served(3).await;
    let all = releases(&world, DEFENDER).await;
    world.lives(DAY * 40).await;
    remove(&world, archive(&all[1]));
    world.engine().collect().await.unwrap();
    world.walk().await;
    assert_eq!(stands(&world, DEFENDER).await, (all[2].release.id, Some(all[0].release.id)));
}

#[tokio::test]
async fn a_bad_release_that_is_not_served_can_be_barred_from_back() {
    let world = served(3).await;
    let all = releases(&world, DEFENDER).await;
    let number = |at: usize| all[at].number.to_string();
    let served = world.engine().reject(&number(2), "bad").await;
    assert!(matches!(&served, Err(EngineError::NotNow(why)) if why.contains("is what is served")), "{served:?}");
    let act = world.engine().reject(&number(1), "its engine crashes").await.unwrap();
    assert_eq!(act.state, ReleaseState::Rejected);
    assert!(act.detail.unwrap().contains("its engine crashes"));
    assert_eq!(stands(&world, DEFENDER).await, (all[2].release.id, Some(all[0].release.id)));
    // While another offer waits, too, and the offer waits on.
    let leap = DefenderChange { step: vendor_sim::Step::Leap, ..DefenderChange::default() };
    world.sim.publish_defender(DefenderTarget::All, leap).unwrap();
    ended(&world.sync().await, DEFENDER, model::Outcome::Quarantined, Some(Reason::VersionLeap));
    assert_eq!(world.engine().reject(&number(0), "as bad").await.unwrap().state, ReleaseState::Rejected);
    assert_eq!(stands(&world, DEFENDER).await, (all[2].release.id, None));
    ended(&world.sync().await, DEFENDER, model::Outcome::Quarantined, Some(Reason::VersionLeap));
}

/// A rollback that a crash kept from the ring, and whose target is lost: what is served was left, and each run says so.
#[tokio::test]
async fn what_is_served_against_the_word_is_told_by_each_run_s11_s18() {
    let world = served(2).await;
    let all = releases(&world, DEFENDER).await;
    let (older, newer, now) = (all[0].release.id, all[1].release.id, world.clock.now());
    let word = NewEntry {
        at: now,
        actor: world.engine().settings().actor.clone(),
        kind: EntryKind::Act,
        subject: newer.to_string(),
        data: serde_json::json!({ "act": "roll-back", "to": older }),
    };
    let states = vec![(newer, ReleaseState::Rejected, now)];
    world.engine().ports().catalog.apply(Batch { states, history: vec![word], ..Batch::default() }).await.unwrap();
    remove(&world, archive(&all[0]));
    for _ in 0..2 {
        let report = world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
        ended(&report, DEFENDER, Failed, Some(Reason::RejectedServed));
        assert_ne!(report.exit_code(), 0);
    }
    assert_eq!(stands(&world, DEFENDER).await.0, newer);
}
