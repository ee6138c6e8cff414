//! What catalog and ring know makes up for the loss of the other.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use catalog::{Actor, Batch, EntryKind, NewEntry, Publication, ReleaseFilter};
use mirror::{Depth, Silent, SyncRequest};
use model::{Digest, Level, Outcome, Reason, ReleaseState};
use serde_json::json;
use vendor_sim::{ArtifactUrls, Change, DefenderChange, DefenderTarget, Fault, FaultRule, Kind, Step};

use crate::world::{Build, DAY, DEFENDER, ELASTIC, OTHER, World, id, line};

/// Every feed's two releases; of `ELASTIC` and `DEFENDER` the second was rolled back from.
async fn rolled_back() -> World {
    let world = World::on_files().await;
    world.sync().await;
    world.clock.advance(DAY);
    world.publish();
    world.sync().await;
    for feed in [ELASTIC, DEFENDER] {
        world.may_go_back();
        world.engine().admit(&release(&world, feed, 1).await, "the newer one breaks hosts").await.unwrap();
        world.walk().await;
    }
    world
}

/// The number of a feed's release, counted from the newest.
async fn release(world: &World, feed: &str, nth: usize) -> String {
    let filter = ReleaseFilter { feed: Some(id(feed)), ..ReleaseFilter::default() };
    world.engine().ports().catalog.releases(&filter).await.unwrap()[nth].number.to_string()
}

async fn rejected(world: &World) -> usize {
    let filter = ReleaseFilter { state: Some(ReleaseState::Rejected), ..ReleaseFilter::default() };
    world.engine().ports().catalog.releases(&filter).await.unwrap().len()
}

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

async fn is_good(world: &World) {
    let checked = world.engine().check_store(Depth::Rehash, &|_| ()).await;
    assert!(checked.is_good(), "{checked:#?}");
}

#[tokio::test]
async fn a_lost_ring_is_made_anew_as_it_was_whatever_the_vendors_say_s18_s42() {
    for by in ["upkeep", "a run", "a run without vendors"] {
        let mut world = rolled_back().await;
        let (before, whole) = (world.generation().await.unwrap(), world.tree().await);
        fs::remove_dir_all(world.ports.path().join("rings")).unwrap();
        world.forget();
        world.reopen().await;
        assert_eq!(world.engine().status().await.unwrap().ring.fault.unwrap().reason, Reason::RingLost);
        match by {
            "upkeep" => assert!(world.engine().mend_ring().await.is_ok()),
            "a run" => {
                let report = world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
                for feed in [ELASTIC, DEFENDER] {
                    assert_eq!(line(&report, feed).reason, Some(Reason::RejectedBefore), "{by}: {report:#?}");
                }
            }
            _ => {
                for kind in [Kind::Manifest, Kind::Info] {
                    world.inject(FaultRule::always(kind, Fault::Status(503)));
                }
                let report = world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
                assert_eq!(line(&report, ELASTIC).outcome, Outcome::Failed);
            }
        }
        let now = world.generation().await.unwrap();
        assert!(now.number > before.number, "{by}: {} after {}", now.number, before.number);
        assert_eq!(world.tree().await, whole, "{by}");
        for (feed, served) in &before.feeds {
            assert_eq!((now.feeds[feed].release, now.feeds[feed].back), (served.release, served.back), "{by}: {feed}");
        }
        assert!(world.history().await.iter().any(|entry| entry.data.contains("\"act\":\"rebuild\"")), "{by}");
        assert_eq!(world.engine().status().await.unwrap().ring.fault, None, "{by}");
        world.walk().await;
        is_good(&world).await;
    }
}

#[tokio::test]
async fn a_ring_of_which_no_file_is_whole_is_made_anew_s41() {
    for releases in [1, 2] {
        let mut world = if releases == 1 { World::on_files().await } else { rolled_back().await };
        if releases == 1 {
            world.sync().await;
        }
        let (before, whole) = (world.generation().await.unwrap(), world.tree().await);
        let ring = world.ports.path().join("rings").join(before.ring.as_str());
        for number in world.engine().ports().rings.numbers(&before.ring).await.unwrap() {
            let path = ring.join(format!("generation-{number}"));
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }
        world.forget();
        world.reopen().await;
        let status = world.engine().status().await.unwrap();
        let told = status.ring.fault.as_ref().map(|fault| fault.reason);
        assert_eq!((told, status.level()), (Some(Reason::GenerationDamaged), Level::Fail), "{status:#?}");
        assert_eq!(status.ring.generation, 0);
        assert!(status.feeds.iter().all(|feed| feed.served.is_none() && feed.mark.is_some()));
        assert!(world.engine().plan_sync(&SyncRequest::default()).await.is_ok(), "a plan needs no ring");
        assert_eq!(world.try_sync(&SyncRequest::default()).await.unwrap().exit_code(), 0);
        assert_eq!(world.tree().await, whole);
        assert!(world.generation().await.unwrap().number > before.number);
        world.walk().await;
        is_good(&world).await;
    }
}

/// The newest file goes, the one before is served: what was published last is published again, and not what was before.
#[tokio::test]
async fn a_ring_that_fell_behind_is_made_anew_without_the_vendors_s18_s41() {
    for (by, loses) in [("gc", true), ("upkeep", false), ("a run without vendors", true)] {
        let mut world = World::on_files().await;
        world.sync().await;
        world.clock.advance(DAY);
        world.publish();
        world.sync().await;
        let (before, whole) = (world.generation().await.unwrap(), world.tree().await);
        let newest = world.ports.path().join("rings/broad").join(format!("generation-{}", before.number));
        if loses {
            fs::remove_file(&newest).unwrap();
        } else {
            fs::write(&newest, b"{}").unwrap();
        }
        world.forget();
        world.reopen().await;
        let status = world.engine().status().await.unwrap();
        assert_eq!(status.ring.fault.as_ref().map(|fault| fault.reason), Some(Reason::RingLost), "{by}");
        assert_eq!(status.level(), Level::Fail, "{by}");
        assert!(status.ring.generation < before.number, "{by}");
        for kind in [Kind::Manifest, Kind::Info] {
            world.inject(FaultRule::always(kind, Fault::Status(503)));
        }
        match by {
            "gc" => drop(world.engine().collect().await.unwrap()),
            "upkeep" => drop(world.engine().mend_ring().await.unwrap()),
            _ => drop(world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap()),
        }
        let now = world.generation().await.unwrap();
        assert!(now.number > before.number, "{by}: {} after {}", now.number, before.number);
        let (tree, releases) = (world.tree().await, |of: &model::Generation| {
            of.feeds.iter().map(|(feed, served)| (feed.clone(), served.release)).collect::<Vec<_>>()
        });
        assert_eq!(releases(&now), releases(&before), "{by}");
        assert!(whole.iter().all(|(path, bytes)| tree.get(path) == Some(bytes)), "{by}");
        assert_eq!(world.engine().status().await.unwrap().ring.fault, None, "{by}");
        world.walk().await;
        world.engine().collect().await.unwrap();
        is_good(&world).await;
    }
}

/// One feed's newest release is lost with the newest file, so that it stays behind: another that came with that file
/// shares paths with it, and waits.
#[tokio::test]
async fn feeds_that_share_addresses_are_not_mixed_when_a_ring_is_made_anew_i1() {
    let mut build = Build { files: true, ..Build::default() };
    build.sim.elastic.urls = ArtifactUrls::Fixed;
    let mut world = build.start().await;
    world.seen.lock().unwrap().fixed = true;
    world
        .inject(FaultRule::always("/artifacts-8.18.3.zip".parse::<vendor_sim::Pattern>().unwrap(), Fault::Status(500)));
    world.sync().await;
    world.sim.clear_faults();
    world.clock.advance(DAY);
    world.publish();
    world.sync().await;
    let before = world.generation().await.unwrap();
    assert_eq!(before.feeds.len(), 3);
    let manifest = before.routes.iter().find(|(path, _)| path.as_str().ends_with("/artifacts-9.0.0.zip")).unwrap().1;
    let name = manifest.digest.to_string();
    fs::remove_file(world.ports.path().join("blobs").join(&name[..2]).join(&name)).unwrap();
    fs::remove_file(world.ports.path().join("rings/broad").join(format!("generation-{}", before.number))).unwrap();
    world.forget();
    world.reopen().await;
    world.engine().mend_ring().await.unwrap();
    world.walk().await;
    assert_eq!(world.serves(OTHER).await, None, "it would be mixed with the older one");
    world.converges().await;
}

/// The ring moves on to another generation, and the process dies before it says that this is done.
async fn moves_on_and_dies(world: &World) {
    let ports = world.engine().ports().clone();
    let current = ports.rings.current(&model::RingName::broad()).await.unwrap().unwrap();
    let mut next = current.generation;
    next.number += 1;
    let digest = Digest::of(&next.encode());
    let (ring, opened_at) = (next.ring.clone(), next.at);
    let intended = NewEntry {
        at: opened_at,
        actor: Actor::new(0, 1, "test"),
        kind: EntryKind::PublicationIntended,
        subject: ring.to_string(),
        data: json!({ "number": next.number, "digest": digest, "feeds": next.feeds }),
    };
    let open = Publication { ring, number: next.number, digest, opened_at, closed_at: None };
    let batch = Batch { publications: vec![open], history: vec![intended], ..Batch::default() };
    ports.catalog.apply(batch).await.unwrap();
    ports.rings.publish(&next, Some(current.digest)).await.unwrap();
}

/// One number never stands for two generations, also where the file is gone that had it last.
#[tokio::test]
async fn a_number_that_was_served_is_not_given_again_s18() {
    for said in [true, false] {
        let mut world = World::on_files().await;
        world.sync().await;
        world.publish();
        world.sync().await;
        if !said {
            moves_on_and_dies(&world).await;
        }
        let before = world.generation().await.unwrap().number;
        fs::remove_file(world.ports.path().join("rings/broad").join(format!("generation-{before}"))).unwrap();
        world.forget();
        world.reopen().await;
        world.publish();
        assert_eq!(world.sync().await.exit_code(), 0);
        let now = world.generation().await.unwrap().number;
        assert!(now > before, "said: {said}; {now} after {before}");
    }
}

#[tokio::test]
async fn a_ring_with_nothing_left_of_it_still_counts_on_s18() {
    let mut world = World::on_files().await;
    world.sync().await;
    let before = world.generation().await.unwrap().number;
    fs::remove_dir_all(world.ports.path().join("rings")).unwrap();
    fs::remove_dir_all(world.ports.path().join("blobs")).unwrap();
    world.reopen().await;
    world.forget();
    let report = world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
    assert_eq!(report.exit_code(), 0, "{report:#?}");
    assert!(world.generation().await.unwrap().number > before);
    is_good(&world).await;
}

#[tokio::test]
async fn a_lost_or_older_catalog_brings_nothing_back_that_was_rejected_s18_s40() {
    for damage in ["lost", "empty", "older"] {
        let mut world = World::on_files().await;
        world.sync().await;
        world.clock.advance(DAY);
        world.publish();
        world.sync().await;
        let (catalog, older) = (world.ports.path().join("catalog"), world.ports.path().with_extension("older"));
        world.reopen().await;
        copy(&catalog, &older);
        for feed in [ELASTIC, DEFENDER] {
            world.may_go_back();
            world.engine().admit(&release(&world, feed, 1).await, "the newer one breaks hosts").await.unwrap();
        }
        let whole = world.tree().await;
        fs::remove_dir_all(&catalog).unwrap();
        match damage {
            "older" => copy(&older, &catalog),
            "empty" => {
                fs::create_dir(&catalog).unwrap();
                fs::write(catalog.join("catalog.sqlite3"), b"").unwrap();
            }
            _ => {}
        }
        fs::remove_dir_all(&older).unwrap();
        world.reopen().await;
        for round in 0..3 {
            let report = world.sync().await;
            assert_eq!(report.exit_code(), 0, "{damage}: {report:#?}");
            for feed in [ELASTIC, DEFENDER] {
                assert_eq!(line(&report, feed).reason, Some(Reason::RejectedBefore), "{damage} {round}: {report:#?}");
            }
            assert_eq!(world.tree().await, whole, "{damage} {round}");
            assert_eq!(rejected(&world).await, 2, "{damage} {round}");
        }
        assert_eq!(world.engine().status().await.unwrap().ring.fault, None, "{damage}");
        // The operator's word ends it, and the ring forgets it, too.
        let word = release(&world, ELASTIC, 0).await;
        world.engine().admit(&word, "it was mended").await.unwrap();
        let feeds = world.generation().await.unwrap().feeds;
        assert_eq!((feeds[&id(ELASTIC)].denied.len(), feeds[&id(DEFENDER)].denied.len()), (0, 1), "{damage}");
        assert_eq!(feeds[&id(OTHER)].denied.len(), 0);
        world.walk().await;
    }
}

/// What was turned down, or waited for a person, does not come in because the catalog is lost.
#[tokio::test]
async fn a_lost_catalog_brings_in_nothing_that_was_rejected_or_waited_u52_s18() {
    for rejects in [true, false] {
        let mut build = Build { files: true, ..Build::default() };
        build.sim.defender.archive_size = 128 * 1024;
        let mut world = build.start().await;
        world.sync().await;
        world.clock.advance(DAY);
        let shrinks = DefenderChange { size: Some(40 * 1024), ..DefenderChange::default() };
        world.sim.publish_defender(DefenderTarget::All, shrinks).unwrap();
        // Of a set that shares files with another, what only that one's routes show is not known without the catalog.
        let feeds: &[&str] = if rejects { &[ELASTIC, DEFENDER] } else { &[DEFENDER] };
        if rejects {
            world.sim.publish_elastic("9.0.0", Change::shrink(8)).unwrap();
        }
        let report = world.sync().await;
        let before = world.tree().await;
        for feed in feeds {
            let line = line(&report, feed);
            assert_eq!(line.reason, Some(Reason::SetShrank), "{report:#?}");
            if rejects {
                world.engine().reject(&line.release.unwrap().to_string(), "half of it is missing").await.unwrap();
            }
        }
        world.reopen().await;
        fs::remove_dir_all(world.ports.path().join("catalog")).unwrap();
        world.reopen().await;
        for round in 0..2 {
            let report = world.sync().await;
            let reason = if rejects { Reason::RejectedBefore } else { Reason::SetShrank };
            for feed in feeds {
                assert_eq!(line(&report, feed).reason, Some(reason), "{rejects} {round}: {report:#?}");
            }
            assert_eq!(world.tree().await, before, "{rejects} {round}");
        }
        world.publish();
        world.sync().await;
        assert_eq!(world.engine().status().await.unwrap().ring.fault, None);
    }
}

/// A release that no catalog knows any more can be gone back from, and is remembered.
#[tokio::test]
async fn what_a_lost_catalog_knew_can_be_left_s18() {
    let mut world = World::on_files().await;
    world.sync().await;
    world.publish();
    world.sync().await;
    let served = world.generation().await.unwrap().feeds[&id(DEFENDER)].release;
    world.reopen().await;
    fs::remove_dir_all(world.ports.path().join("catalog")).unwrap();
    world.reopen().await;
    // The vendor went back meanwhile, so that what is served is not found again.
    world.sim.publish_defender(DefenderTarget::All, DefenderChange::step(Step::Back(1))).unwrap();
    let report = world.sync().await;
    assert_eq!(line(&report, DEFENDER).reason, Some(Reason::VersionRegression), "{report:#?}");
    world.may_go_back();
    let first = line(&report, DEFENDER).release.unwrap();
    world.engine().admit(&first.to_string(), "the vendor withdrew it").await.unwrap();
    let now = world.generation().await.unwrap().feeds[&id(DEFENDER)].clone();
    assert_eq!((now.release, now.denied), (first, vec![served]));
}
