//! What looks after a data folder between runs: reading again, being stopped, a folder that went away.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use catalog::{Batch, EntryKind, Publication};
use mirror::scrub::place_at;
use mirror::{EngineError, Silent, SyncRequest};
use model::Outcome::{Current, Failed};
use model::{Clock as _, Reason};
use vendor_sim::Network;

use crate::back::{served, stands};
use crate::world::{DAY, DEFENDER, ELASTIC, OTHER, World, ended};

#[tokio::test]
async fn reading_again_finds_what_rotted_within_its_period_and_no_faster_than_allowed_s16() {
    let world = World::on_files().await;
    world.sync().await;
    let engine = world.engine();
    let blobs = engine.check_store(mirror::Depth::Look, &|_| ()).await.blobs;
    let first = world.generation().await.unwrap().routes.values().next().unwrap().digest.to_string();
    let file = world.ports.path().join("blobs").join(&first[..2]).join(&first);
    let mut bytes = fs::read(&file).unwrap();
    bytes[0] ^= 1;
    fs::write(&file, bytes).unwrap();

    let period = DAY * 30;
    let mut from = place_at(world.clock.now(), period).unwrap();
    let (mut read, mut faults) = (0, Vec::new());
    for _ in 0..40 {
        world.clock.advance(DAY * 3 / 4);
        let to = place_at(world.clock.now(), period).unwrap();
        let done = engine.scrub(from, to, u64::MAX).await.unwrap();
        assert_eq!(done.reached, to);
        read += done.report.blobs as u64;
        faults.extend(done.report.faults);
        from = to;
    }
    assert!(read >= blobs, "{read} of {blobs}");
    assert_eq!(faults.iter().map(|fault| fault.digest.to_string()).collect::<Vec<_>>(), [first]);
    assert!(!file.exists(), "set aside");
    assert!(world.history().await.iter().any(|entry| entry.kind == EntryKind::Upkeep));
    world.sync().await;
    assert!(engine.check_store(mirror::Depth::Rehash, &|_| ()).await.is_good());

    // Bounded: a step ends soon after the bytes it may read, and the next goes on from there.
    let (mut from, mut steps, mut read) = (1, 0, 0);
    while from != 0 {
        let done = engine.scrub(from, 0, 4096).await.unwrap();
        assert!(done.report.bytes < 4096 + 64 * 1024, "{done:?}");
        (from, steps, read) = (done.reached, steps + 1, read + done.report.blobs as u64);
    }
    assert!(steps > 5 && read == blobs, "{steps} steps, {read} of {blobs}");
}

#[tokio::test]
async fn a_run_that_is_stopped_says_so_and_the_next_goes_on_s39() {
    let world = World::on_files().await;
    world.sync().await;
    let whole = world.tree().await;
    world.publish();
    world.sim.set_network(Network::with_latency(Duration::from_secs(30)));
    // It is stopped once it is on its way, not before.
    world.sim.reset_counters();
    let engine = world.engine();
    let stop = async {
        while world.sim.requests().connections == 0 {
            tokio::task::yield_now().await;
        }
    };
    let report = engine.sync_until(&SyncRequest::default(), Arc::new(Silent), stop).await.unwrap();
    for feed in [ELASTIC, OTHER] {
        ended(&report, feed, Failed, Some(Reason::Interrupted));
    }
    assert_eq!(report.exit_code(), 1);
    assert_eq!(world.tree().await, whole, "what was served is served");
    let status = engine.status().await.unwrap();
    assert!(status.feeds.iter().all(|feed| feed.failures == 0), "to be stopped says nothing about the vendor");
    let told = world.history().await;
    let last = told.last().unwrap();
    assert!(last.kind == EntryKind::Check && last.data.contains("interrupted"), "{last:?}");
    world.sim.set_network(Network::default());
    world.converges().await;
}

#[tokio::test]
async fn what_waits_for_the_lock_is_stopped_before_it_begins_s39() {
    let world = World::on_files().await;
    let _held = world.ports.locks.fetch().await.unwrap();
    let request = SyncRequest { wait: true, ..SyncRequest::default() };
    let stopped = world.engine().sync_until(&request, Arc::new(Silent), std::future::ready(())).await;
    assert!(matches!(stopped, Err(EngineError::Stopped)), "{stopped:?}");
    assert!(world.history().await.is_empty());
}

#[tokio::test]
async fn nothing_is_begun_in_what_stands_where_the_data_folder_was_s42() {
    let world = World::on_files().await;
    world.sync().await;
    world.publish();
    let (data, away) = (world.ports.path().to_owned(), world.ports.path().with_extension("away"));
    let engine = world.engine();
    fs::rename(&data, &away).unwrap();
    for bare in [false, true] {
        if bare {
            fs::create_dir(&data).unwrap();
        }
        let refused = engine.sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::FolderGone, "{refused}");
        for refused in [
            engine.admit("1", "x").await.unwrap_err(),
            engine.collect().await.map(|_| ()).unwrap_err(),
            engine.status().await.map(|_| ()).unwrap_err(),
        ] {
            assert_eq!(refused.reason(), Reason::FolderGone, "{refused}");
        }
    }
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "nothing was written into a bare mount point");
    fs::remove_dir(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    let report = world.sync().await;
    assert_eq!(report.exit_code(), 0);
    assert_eq!(world.tree().await, world.unfaulted().await);
    ended(&world.sync().await, ELASTIC, Current, None);
}

#[tokio::test]
async fn a_lost_pointer_never_falls_back_to_what_was_not_published_s18_r23() {
    let world = World::on_files().await;
    world.sync().await;
    let served = world.generation().await.unwrap();
    // As a crash between the file and the pointer leaves it.
    let mut prepared = served.clone();
    prepared.number += 1;
    prepared.feeds.clear();
    let ports = world.engine().ports().clone();
    let open = Publication {
        ring: prepared.ring.clone(),
        number: prepared.number,
        digest: ports.rings.prepare(&prepared).await.unwrap(),
        opened_at: world.clock.now(),
        closed_at: None,
    };
    ports.catalog.apply(Batch { publications: vec![open], ..Batch::default() }).await.unwrap();
    world.sync().await;
    assert_eq!(ports.rings.numbers(&served.ring).await.unwrap(), [served.number]);
    fs::remove_file(world.ports.path().join("rings").join(served.ring.as_str()).join("current")).unwrap();
    assert_eq!(world.generation().await.unwrap(), served);
    world.sync().await;
    assert!(world.engine().check_store(mirror::Depth::Rehash, &|_| ()).await.is_good());
}

/// What is wrong with the ring by `status`, which counts as a failure, and whether the whole check agrees.
async fn wrong(world: &World) -> Option<Reason> {
    let status = world.engine().status().await.unwrap();
    let found = status.ring.fault.map(|fault| fault.reason);
    let whole = world.engine().check_store(mirror::Depth::Look, &|_| ()).await;
    if let Some(reason) = found {
        assert!(whole.faults.iter().any(|fault| fault.reason == reason), "{whole:#?}");
    }
    found
}

#[tokio::test]
async fn rings_that_were_lost_or_put_back_older_are_a_fault_until_they_are_published_again_s42() {
    let world = World::on_files().await;
    assert_eq!(wrong(&world).await, None, "nothing was ever published");
    world.sync().await;
    let rings = world.ports.path().join("rings");
    let older = world.ports.path().with_extension("older");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    copy(&rings, &older);
    world.publish();
    world.sync().await;
    assert_eq!(wrong(&world).await, None);
    let served = world.generation().await.unwrap();
    for put_back in [false, true] {
        fs::remove_dir_all(&rings).unwrap();
        if put_back {
            copy(&older, &rings);
        }
        assert_eq!(wrong(&world).await, Some(Reason::RingLost));
        assert_eq!(world.engine().status().await.unwrap().level(), model::Level::Fail);
        // What was in its grace is lost with the files, which the walk of `World::sync` would tell.
        let report = world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
        assert_eq!(report.exit_code(), 0);
        assert_eq!(wrong(&world).await, None, "put back: {put_back}");
        let now = world.generation().await.unwrap();
        assert!(served.feeds.iter().all(|(feed, served)| now.feeds[feed].release == served.release), "{now:#?}");
    }
    fs::remove_dir_all(&older).unwrap();
}

#[tokio::test]
async fn a_ring_that_the_history_does_not_know_is_a_fault_and_taken_over_by_name_s42() {
    let mut world = World::on_files().await;
    world.sync().await;
    let catalog = world.ports.path().join("catalog");
    for file in fs::read_dir(&catalog).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    world.reopen().await;
    assert_eq!(wrong(&world).await, Some(Reason::CatalogDisagrees));
    assert_eq!(world.engine().status().await.unwrap().level(), model::Level::Fail);
    world.sync().await;
    assert_eq!(wrong(&world).await, None);
    let served = world.generation().await.unwrap();
    let told = world.history().await;
    let adopted = told.iter().filter(|entry| entry.data.contains("\"act\":\"adopt\"")).collect::<Vec<_>>();
    assert!(adopted.len() == 1 && adopted[0].kind == EntryKind::Upkeep, "{told:#?}");
    world.sync().await;
    assert_eq!(world.history().await.iter().filter(|entry| entry.data.contains("\"act\":\"adopt\"")).count(), 1);
    let past = world.engine().past(adopted[0].at).await.unwrap();
    let then = past.rings.values().next().unwrap();
    assert_eq!((then.generation, then.feeds.len()), (1, served.feeds.len()));
}

/// The folder of the blobs may be a volume of its own: what is away with it for a moment is not lost.
#[tokio::test]
async fn blobs_that_are_away_with_their_folder_cost_no_step_back_and_no_grace_s42() {
    let mut world = served(3).await;
    let now = world.generation().await.unwrap();
    let digests: Vec<_> = now.routes.values().map(|route| route.digest).collect();
    let (blobs, away) = (world.ports.path().join("blobs"), world.ports.path().join("away"));
    world.publish();
    // Who looks with the store that is open, and who opens the locks anew: neither takes what stands there for the blobs.
    fs::rename(&blobs, &away).unwrap();
    for another in [false, true] {
        if another {
            fs::create_dir(&blobs).unwrap();
        }
        let is_away = |error: mirror::EngineError| assert_eq!(error.reason(), Reason::FolderGone, "{error}");
        is_away(world.engine().in_place().unwrap_err());
        is_away(world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap_err());
        is_away(world.engine().collect().await.unwrap_err());
        let unread = world.engine().recheck(&digests).await.unwrap_err();
        is_away(unread);
        assert_eq!(world.generation().await, Some(now.clone()));
        assert_eq!(blobs.exists(), another, "it is not made anew");
    }
    assert_eq!(fs::read_dir(&blobs).unwrap().count(), 0, "nothing is written into it");
    fs::remove_dir(&blobs).unwrap();
    fs::rename(&away, &blobs).unwrap();
    assert_eq!(world.engine().recheck(&digests).await.unwrap().faults, []);
    let back = stands(&world, DEFENDER).await.0;
    world.sync().await;
    assert_eq!(stands(&world, DEFENDER).await.1, Some(back), "it goes on as if nothing had been");
    world.reopen().await;
    world.walk().await;
}
