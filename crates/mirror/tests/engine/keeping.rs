//! What is kept, what is let go, what heals, and what a crash or a second process leaves.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catalog::{Batch, EntryKind, Publication, verify_chain};
use mirror::{EngineError, GcPlan, Observer, Progress, Silent, SyncRequest};
use model::Outcome::{Current, Failed, Published, Quarantined};
use model::{Clock as _, Digest, Reason, ReleaseState};
use vendor_sim::{Change, Step};

use crate::world::{DAY, DEFENDER, ELASTIC, OTHER, World, ended, id, line};

async fn synced() -> World {
    let world = World::new().await;
    world.sync().await;
    world
}

/// Every blob that is held.
async fn held(world: &World) -> BTreeSet<Digest> {
    let mut all = BTreeSet::new();
    world.ports.blobs.visit(&mut |digest, _| drop(all.insert(digest))).await.unwrap();
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
        world.clock.advance(DAY * 20);
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
        world.clock.advance(DAY * 2);
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
    world.clock.advance(DAY * 3650);
    collect(&world).await;
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
    // Once the run is known to be dead, its reservation is void.
    drop(lock);
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
    world.clock.advance(DAY * 2);
    collect(&world).await;
    assert!(!routed(&world).await);
    world.clock.advance(DAY * 36);
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

/// Where a blob lies.
fn file(world: &World, digest: Digest) -> PathBuf {
    let name = digest.to_string();
    world.ports.path().join("blobs").join(&name[..2]).join(&name)
}

async fn some_blobs(world: &World) -> Vec<Digest> {
    let generation = world.generation().await.unwrap();
    let distinct: BTreeSet<Digest> = generation.routes.values().map(|route| route.digest).collect();
    distinct.into_iter().collect()
}

#[tokio::test]
async fn verify_finds_what_rots_and_the_next_run_heals_it_s16_s17_s18() {
    let world = World::on_files().await;
    world.sync().await;
    let whole = world.tree().await;
    let blobs = some_blobs(&world).await;
    let (flipped, cut, gone, grown) = (blobs[0], blobs[1], blobs[2], blobs[3]);
    let bytes = fs::read(file(&world, flipped)).unwrap();
    let mut other = bytes.clone();
    other[bytes.len() / 2] ^= 1;
    fs::write(file(&world, flipped), &other).unwrap();
    fs::write(file(&world, cut), b"").unwrap();
    fs::remove_file(file(&world, gone)).unwrap();
    let longer = [fs::read(file(&world, grown)).unwrap(), b"x".to_vec()].concat();
    fs::write(file(&world, grown), longer).unwrap();

    let engine = world.engine();
    let report = engine.verify(&engine.held().await.unwrap(), &|_| ()).await.unwrap();
    let found: Vec<(Digest, bool)> = report.faults.iter().map(|fault| (fault.digest, fault.actual.is_some())).collect();
    let mut expected = vec![(flipped, true), (cut, true), (gone, false), (grown, true)];
    expected.sort();
    assert_eq!(found, expected);
    assert!(report.faults.iter().all(|fault| !fault.routes.is_empty()));
    assert_eq!(fs::read_dir(world.ports.path().join("damaged")).unwrap().count(), 3);

    let report = world.sync().await;
    assert_eq!(report.exit_code(), 0, "{report:#?}");
    assert_eq!(world.tree().await, whole);
    let report = engine.verify(&engine.held().await.unwrap(), &|_| ()).await.unwrap();
    assert!(report.faults.is_empty() && report.blobs == blobs.len(), "{report:#?}");
}

#[tokio::test]
async fn a_run_heals_what_was_cut_or_deleted_without_being_asked_s17_s18() {
    let world = World::on_files().await;
    world.sync().await;
    let whole = world.tree().await;
    for digest in some_blobs(&world).await {
        let bytes = fs::read(file(&world, digest)).unwrap();
        for damage in [Some(&bytes[..0]), Some(&bytes[..bytes.len() - 1]), None] {
            match damage {
                Some(bytes) => fs::write(file(&world, digest), bytes).unwrap(),
                None => fs::remove_file(file(&world, digest)).unwrap(),
            }
            let report = world.sync().await;
            assert_eq!(report.exit_code(), 0, "{report:#?}");
            assert_eq!(fs::read(file(&world, digest)).unwrap(), bytes);
        }
    }
    assert_eq!(world.tree().await, whole);
}

#[tokio::test]
async fn all_blobs_lost_are_fetched_again_s18() {
    let world = synced().await;
    let whole = world.tree().await;
    for digest in held(&world).await {
        world.ports.blobs.remove(digest).await.unwrap();
    }
    assert_eq!(world.sync().await.exit_code(), 0);
    assert_eq!(world.tree().await, whole);
}

#[tokio::test]
async fn a_lost_pointer_or_ring_is_written_again_s18_s40() {
    for damage in ["delete", "garble", "newest", "ring"] {
        let mut world = World::on_files().await;
        world.sync().await;
        world.publish();
        world.sync().await;
        let whole = world.tree().await;
        let ring = world.ports.path().join("rings/broad");
        match damage {
            "delete" => fs::remove_file(ring.join("current")).unwrap(),
            "garble" => fs::write(ring.join("current"), b"17 nonsense\n").unwrap(),
            "newest" => {
                let number = world.generation().await.unwrap().number;
                fs::write(ring.join(format!("generation-{number}")), b"{}").unwrap();
                world.may_go_back();
            }
            _ => {
                fs::remove_dir_all(&ring).unwrap();
                world.forget();
            }
        }
        world.reopen().await;
        let report = world.sync().await;
        assert_eq!(report.exit_code(), 0, "{damage}: {report:#?}");
        assert_eq!(world.tree().await, whole, "{damage}");
        world.publish();
        assert_eq!(world.sync().await.exit_code(), 0, "{damage}");
        assert_eq!(world.tree().await, world.unfaulted().await, "{damage}");
        assert!(ring.join("current").exists());
    }
}

#[tokio::test]
async fn a_lost_catalog_is_made_again_and_forgets_no_version_s18_s40() {
    let mut world = World::on_files().await;
    world.sync().await;
    let whole = world.tree().await;
    fs::remove_dir_all(world.ports.path().join("catalog")).unwrap();
    world.reopen().await;
    world.sim.reset_counters();
    let report = world.sync().await;
    for feed in [ELASTIC, OTHER, DEFENDER] {
        ended(&report, feed, Current, None);
    }
    assert_eq!(world.sim.requests().artifacts(), 0, "what is held is not fetched");
    assert_eq!(world.tree().await, whole);

    fs::remove_dir_all(world.ports.path().join("catalog")).unwrap();
    world.reopen().await;
    world.sim.publish_elastic("9.0.0", Change { step: Step::Back(7), ..Change::of(1) }).unwrap();
    ended(&world.sync().await, ELASTIC, Quarantined, Some(Reason::VersionRegression));
    assert_eq!(world.tree().await, whole);
}

#[tokio::test]
async fn a_lost_catalog_does_not_take_away_what_a_failing_vendor_served_s18() {
    let mut world = World::on_files().await;
    world.sync().await;
    let whole = world.tree().await;
    fs::remove_dir_all(world.ports.path().join("catalog")).unwrap();
    world.reopen().await;
    assert!(world.sim.retire_elastic("8.18.3"));
    world.sim.publish_elastic("9.0.0", Change::of(2)).unwrap();
    let report = world.sync().await;
    ended(&report, OTHER, Failed, Some(Reason::NotFound));
    ended(&report, ELASTIC, Published, None);
    for (path, bytes) in whole.iter().filter(|(path, _)| path.contains("8.18.3")) {
        assert_eq!(world.tree().await.get(path), Some(bytes));
    }
    world.engine().collect().await.unwrap();
    world.walk().await;
}

/// An intent as a publication leaves it that dies at once.
async fn intend(world: &World, moved: bool) {
    let mut next = world.generation().await.unwrap();
    next.number += 1;
    next.at = world.clock.now();
    let digest = Digest::of(&next.encode());
    let publication =
        Publication { ring: next.ring.clone(), number: next.number, digest, opened_at: next.at, closed_at: None };
    world.ports.catalog.apply(Batch { publications: vec![publication], ..Batch::default() }).await.unwrap();
    assert_eq!(world.ports.rings.prepare(&next).await.unwrap(), digest);
    if moved {
        let current = world.ports.rings.current(&next.ring).await.unwrap().map(|current| current.digest);
        world.ports.rings.publish(&next, current).await.unwrap();
    }
}

#[tokio::test]
async fn an_interrupted_publication_is_closed_for_what_it_was_s11() {
    for moved in [false, true] {
        let mut world = World::on_files().await;
        world.sync().await;
        let whole = world.tree().await;
        let count = |world: &World| {
            let catalog = Arc::clone(&world.ports.catalog);
            async move {
                let history = catalog.history(1, 10_000).await.unwrap();
                let of = |kind| history.iter().filter(|entry| entry.kind == kind).count();
                (of(EntryKind::PublicationDone), of(EntryKind::PublicationAbandoned))
            }
        };
        let (done, abandoned) = count(&world).await;
        intend(&world, moved).await;
        world.reopen().await;
        ended(&world.sync().await, ELASTIC, Current, None);
        let expected = if moved { (done + 1, abandoned) } else { (done, abandoned + 1) };
        assert_eq!(count(&world).await, expected);
        assert!(world.ports.catalog.open_publications().await.unwrap().is_empty());
        assert_eq!(world.tree().await, whole);
        world.publish();
        assert_eq!(world.sync().await.exit_code(), 0);
        assert_eq!(world.tree().await, world.unfaulted().await);
        assert!(verify_chain(world.ports.catalog.as_ref()).await.is_ok());
    }
}

struct WhenWaiting(AtomicBool, tokio::sync::Notify);

impl Observer for WhenWaiting {
    fn on(&self, progress: Progress) {
        if matches!(progress, Progress::Waiting { .. }) {
            self.0.store(true, Ordering::SeqCst);
            self.1.notify_one();
        }
    }
}

#[tokio::test]
async fn a_second_run_is_locked_out_or_waits_s23() {
    for world in [World::new().await, World::on_files().await] {
        let lock = world.ports.locks.fetch().await.unwrap();
        let error = world.try_sync(&SyncRequest::default()).await.unwrap_err();
        assert!(matches!(error, EngineError::Locked(_)), "{error}");
        assert_eq!(error.reason(), Reason::Locked);
        assert_eq!(world.sim.requests().requests, 0);

        let observer = Arc::new(WhenWaiting(AtomicBool::new(false), tokio::sync::Notify::new()));
        let engine = world.engine();
        let (request, watch) = (SyncRequest { wait: true, ..SyncRequest::default() }, Arc::clone(&observer));
        let waiting = tokio::spawn(async move { engine.sync(&request, watch).await });
        observer.1.notified().await;
        assert!(!waiting.is_finished());
        drop(lock);
        let report = waiting.await.unwrap().unwrap();
        assert!(observer.0.load(Ordering::SeqCst));
        ended(&report, ELASTIC, Published, None);
        world.walk().await;
    }
}

#[tokio::test]
async fn two_runs_at_once_fetch_once_s23() {
    let world = World::on_files().await;
    let request = SyncRequest { wait: true, ..SyncRequest::default() };
    let (one, two) = (world.engine(), world.engine());
    let (one, two) = tokio::join!(one.sync(&request, Arc::new(Silent)), two.sync(&request, Arc::new(Silent)));
    let mut outcomes: Vec<_> = [one, two].map(|report| line(&report.unwrap(), ELASTIC).outcome).to_vec();
    outcomes.sort();
    assert_eq!(outcomes, [Published, Current]);
    let counters = world.sim.requests();
    assert!(counters.by_target.iter().all(|(target, count)| !target.contains("simulated") || *count == 1));
    world.walk().await;
}

#[tokio::test]
async fn a_rollback_does_not_wait_for_a_download() {
    let world = synced().await;
    world.sim.publish_elastic("9.0.0", Change::regress()).unwrap();
    let release = line(&world.sync().await, ELASTIC).release.unwrap().to_string();
    let _fetching = world.ports.locks.fetch().await.unwrap();
    world.may_go_back();
    assert_eq!(world.engine().admit(&release, "now").await.unwrap().outcome, Published);
    world.walk().await;
}

#[tokio::test]
async fn a_disk_without_room_refuses_before_the_first_byte_s30() {
    let mut world = synced().await;
    let before = world.tree().await;
    world.publish();
    world.reserve = 1 << 20;
    world.ports.memory.set_free_bytes(Some((1 << 20) + 100));
    world.sim.reset_counters();
    let report = world.sync().await;
    for feed in [ELASTIC, DEFENDER] {
        ended(&report, feed, Failed, Some(Reason::DiskFull));
    }
    assert_eq!(world.tree().await, before);
    world.ports.memory.set_free_bytes(Some(1 << 30));
    world.converges().await;
}

#[tokio::test]
async fn plans_fetch_and_record_nothing() {
    let world = World::new().await;
    let plan = world.engine().plan_sync(&SyncRequest::default()).await.unwrap();
    assert!(plan.iter().all(|feed| feed.reason.is_none() && !feed.files.is_empty() && feed.bytes() > 0), "{plan:#?}");
    assert_eq!(world.generation().await, None);
    assert!(held(&world).await.is_empty());
    assert!(world.history().await.is_empty());
    world.sync().await;
    let entries = world.history().await.len();
    let plan = world.engine().plan_sync(&SyncRequest::default()).await.unwrap();
    assert!(plan.iter().all(|feed| feed.files.is_empty()), "{plan:#?}");
    assert_eq!(world.history().await.len(), entries);
}

#[tokio::test]
async fn everything_is_in_the_history() {
    let world = synced().await;
    world.publish();
    world.sync().await;
    let history = world.history().await;
    assert!(verify_chain(world.ports.catalog.as_ref()).await.is_ok());
    let count = |kind| history.iter().filter(|entry| entry.kind == kind).count();
    assert_eq!((count(EntryKind::Check), count(EntryKind::Verdict)), (6, 6));
    assert_eq!(count(EntryKind::PublicationIntended), count(EntryKind::PublicationDone));
    assert!(count(EntryKind::PublicationDone) >= 2);
}
