//! Runs beside each other, runs that only plan, and what they record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catalog::{EntryKind, verify_chain};
use mirror::{EngineError, Observer, Progress, Silent, SyncRequest};
use model::Outcome::{Current, Failed, Published};
use model::Reason;
use vendor_sim::{Change, Fault, FaultRule, Kind, Pattern};

use crate::keeping::{held, synced};
use crate::world::{DEFENDER, ELASTIC, World, ended, line};

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

#[tokio::test]
async fn a_manifest_that_names_what_the_vendor_lacks_is_no_version_that_the_vendor_lacks_u13() {
    let world = World::new().await;
    world.sync().await;
    let version = world.serves(ELASTIC).await;
    world.publish();
    for artifact in &world.sim.elastic_release("9.0.0").unwrap().artifacts {
        world.sim.inject(FaultRule::always(Pattern::Target(artifact.relative_url.clone()), Fault::Status(404)));
    }
    ended(&world.sync().await, ELASTIC, Failed, Some(Reason::ArtifactMissing));
    assert_eq!(world.serves(ELASTIC).await, version);
    world.sim.clear_faults();
    world.sim.inject(FaultRule::always(Pattern::Kind(Kind::Manifest), Fault::Status(404)));
    ended(&world.sync().await, ELASTIC, Failed, Some(Reason::NotFound));
}
