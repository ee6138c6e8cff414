//! What is whole and not to be believed for its owner or mode, what nobody can fetch again, and repairs: nothing good is
//! taken away for any of it, and nothing new comes by it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;

use catalog::{Batch, ReleaseFilter, ReleaseRecord};
use mirror::{Depth, EngineError, Silent, SyncRequest};
use model::Outcome::{Current as Stays, Failed, Published};
use model::{Clock as _, Digest, Reason, ReleaseState};
use vendor_sim::{DefenderChange, DefenderTarget};

use crate::hooked::{Op, Then, hooked};
use crate::world::{DAY, DEFENDER, ELASTIC, OTHER, World, ended, id, line};

fn file(world: &World, digest: Digest) -> PathBuf {
    let name = digest.to_string();
    world.ports.path().join("blobs").join(&name[..2]).join(&name)
}

fn set_mode(world: &World, digests: &BTreeSet<Digest>, mode: u32) {
    for digest in digests {
        fs::set_permissions(file(world, *digest), fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn set_aside(world: &World) -> usize {
    fs::read_dir(world.ports.path().join("damaged")).unwrap().count()
}

/// A world on files in which every feed has had two releases.
async fn two() -> World {
    let world = World::on_files().await;
    world.sync().await;
    world.clock.advance(DAY / 2);
    world.publish();
    world.sync().await;
    world
}

/// The releases of the Defender feed, oldest first.
async fn releases(world: &World) -> Vec<ReleaseRecord> {
    of_feed(world, DEFENDER).await
}

async fn of_feed(world: &World, feed: &str) -> Vec<ReleaseRecord> {
    let filter = ReleaseFilter { feed: Some(id(feed)), ..ReleaseFilter::default() };
    let mut found = world.ports.catalog.releases(&filter).await.unwrap();
    found.sort_by_key(|found| found.number);
    found
}

#[tokio::test]
async fn a_whole_blob_of_another_mode_is_left_where_it_is_s22() {
    let world = two().await;
    let (engine, before) = (world.engine(), world.tree().await);
    let held = engine.held().await.unwrap();
    let blobs: BTreeSet<Digest> = held.iter().flat_map(|found| &found.release.items).map(|item| item.digest).collect();
    let back = releases(&world).await[0].number.to_string();
    for mode in [0o646, 0o664] {
        set_mode(&world, &blobs, mode);
        let report = engine.verify(&held, &|_| ()).await.unwrap();
        assert!(report.faults.is_empty() && report.unread.len() == blobs.len(), "{report:#?}");
        for one in &report.unread {
            let why = one.error.as_deref().unwrap();
            assert!(one.reason == Reason::UnsafeFile && why.contains("chmod"), "{one:?}");
        }
        let all: Vec<Digest> = blobs.iter().copied().collect();
        assert!(engine.recheck(&all).await.unwrap().faults.is_empty());
        assert!(engine.scrub(1, 0, u64::MAX).await.unwrap().report.faults.is_empty());
        let word = engine.admit(&back, "back").await;
        let Err(EngineError::NotPublished(why)) = &word else { panic!("{word:?}") };
        assert!(why.reason == Reason::UnsafeFile && !why.detail.contains("sync"), "{why:?}");
        // It is refused for want of a right mode, and says so wherever it is asked.
        let report = engine.sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
        assert!(report.feeds.iter().all(|feed| feed.reason == Some(Reason::UnsafeFile)), "{report:#?}");
        let broken = engine.status().await.unwrap().faults;
        let broken = broken.iter().find(|fault| fault.note.reason == Reason::RoutesBroken).unwrap();
        assert!(broken.note.detail.contains("chmod") && !broken.note.detail.contains("set aside"), "{broken:?}");
        assert!(blobs.iter().all(|digest| file(&world, *digest).exists()));
        assert_eq!(set_aside(&world), 0);
    }
    set_mode(&world, &blobs, 0o644);
    assert_eq!(engine.verify(&held, &|_| ()).await.unwrap().unread, []);
    assert_eq!(world.sync().await.exit_code(), 0);
    assert_eq!(world.tree().await, before);
    world.may_go_back();
    assert_eq!(engine.admit(&back, "back").await.unwrap().outcome, Published);
    world.walk().await;
}

#[tokio::test]
async fn what_is_in_its_grace_and_of_another_mode_stays_routed_s22() {
    let world = two().await;
    let before = world.generation().await.unwrap();
    let now: BTreeSet<Digest> =
        before.routes.values().filter(|route| route.until.is_none()).map(|route| route.digest).collect();
    let grace = before.routes.iter().filter(|(_, route)| route.until.is_some() && !now.contains(&route.digest));
    let (path, digest) = grace.map(|(path, route)| (path.clone(), route.digest)).next().unwrap();
    set_mode(&world, &[digest].into(), 0o646);
    world.sim.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    let report = world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
    ended(&report, DEFENDER, Published, None);
    assert_eq!(world.generation().await.unwrap().routes.get(&path).map(|route| route.digest), Some(digest));
    set_mode(&world, &[digest].into(), 0o644);
    world.walk().await;
}

#[tokio::test]
async fn what_is_no_file_in_the_place_of_a_blob_is_set_aside_and_fetched_again_s20() {
    let world = two().await;
    let digest = world.generation().await.unwrap().routes.values().find(|route| route.until.is_none()).unwrap().digest;
    let (path, away) = (file(&world, digest), world.ports.path().join("away"));
    fs::rename(&path, &away).unwrap();
    symlink(&away, &path).unwrap();
    let report = world.engine().recheck(&[digest]).await.unwrap();
    assert_eq!((report.faults.len(), report.unread.len(), set_aside(&world)), (1, 0, 1), "{report:#?}");
    fs::remove_file(&away).unwrap();
    assert_eq!(world.sync().await.exit_code(), 0);
    assert!(world.engine().check_store(Depth::Rehash, &|_| ()).await.is_good());
}

#[tokio::test]
async fn while_what_was_gone_back_to_is_lost_what_was_turned_down_is_not_fetched_again_u59_s18() {
    let world = two().await;
    let releases = releases(&world).await;
    world.may_go_back();
    world.engine().admit(&releases[0].number.to_string(), "back").await.unwrap();
    ended(&world.sync().await, DEFENDER, Stays, Some(Reason::RejectedBefore));
    let in_order = world.ports.catalog.feed(&id(DEFENDER)).await.unwrap().unwrap().succeeded_at;
    let archive = releases[0].release.items.iter().max_by_key(|item| item.size).unwrap().clone();
    fs::remove_file(file(&world, archive.digest)).unwrap();
    let engine = world.engine();
    assert_eq!(engine.verify(&engine.held().await.unwrap(), &|_| ()).await.unwrap().faults.len(), 1);
    for run in 1..4 {
        world.clock.advance(DAY / 4);
        let report = world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
        ended(&report, DEFENDER, Failed, Some(Reason::BlobMissing));
        assert!(line(&report, DEFENDER).bytes_fetched < archive.size / 2, "run {run}: {report:#?}");
        let record = world.ports.catalog.feed(&id(DEFENDER)).await.unwrap().unwrap();
        assert_eq!(record.succeeded_at, in_order, "run {run}: it was not in order");
        assert!(record.failures >= run, "run {run}: {record:?}");
    }
    world.sim.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    // What was served is lost for `_back`, too, and that is told with what is published.
    ended(&world.sync().await, DEFENDER, Failed, Some(Reason::BlobMissing));
    ended(&world.sync().await, DEFENDER, Stays, None);
}

/// What lost its files is made anew with what was served, although its bytes are not to be believed just then.
#[tokio::test]
async fn what_is_whole_keeps_its_seat_in_a_ring_that_is_made_anew_s18_s22() {
    for lost in ["the ring", "its newest file"] {
        let mut world = two().await;
        let before = world.generation().await.unwrap();
        let archive = releases(&world).await[1].release.items.iter().max_by_key(|item| item.size).unwrap().digest;
        set_mode(&world, &[archive].into(), 0o666);
        let ring = world.ports.path().join("rings/broad");
        match lost {
            "the ring" => fs::remove_dir_all(world.ports.path().join("rings")).unwrap(),
            _ => fs::write(ring.join(format!("generation-{}", before.number)), b"{}").unwrap(),
        }
        world.forget();
        world.reopen().await;
        for kind in [vendor_sim::Kind::Manifest, vendor_sim::Kind::Info] {
            world.inject(vendor_sim::FaultRule::always(kind, vendor_sim::Fault::Status(503)));
        }
        world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
        world.engine().collect().await.unwrap();
        let seat = |generation: &model::Generation| {
            let served = &generation.feeds[&id(DEFENDER)];
            (served.release, served.back)
        };
        let now = world.generation().await.unwrap();
        assert!(now.number > before.number, "{lost}");
        assert_eq!(seat(&now), seat(&before), "{lost}");
        set_mode(&world, &[archive].into(), 0o644);
        world.walk().await;
    }
}

/// What is served and not to be believed just now goes into `_back` all the same when a newer release comes: an older one in
/// its place would be a step back that nobody's word made.
#[tokio::test]
async fn what_is_whole_goes_into_back_when_a_newer_one_comes_s22() {
    let world = two().await;
    let served = releases(&world).await.pop().unwrap();
    let archive = served.release.items.iter().max_by_key(|item| item.size).unwrap().digest;
    set_mode(&world, &[archive].into(), 0o666);
    world.sim.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    let report = world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
    ended(&report, DEFENDER, Published, None);
    let back = world.generation().await.unwrap().feeds.remove(&id(DEFENDER)).unwrap().back;
    assert_eq!(back, Some(served.release.id));
    set_mode(&world, &[archive].into(), 0o644);
    world.walk().await;
}

#[tokio::test]
async fn what_was_gone_back_from_leaves_at_once_grace_or_not_v26() {
    let world = two().await;
    world.may_go_back();
    let mut left = BTreeSet::new();
    for feed in [ELASTIC, OTHER] {
        let [first, second] = of_feed(&world, feed).await.try_into().unwrap();
        left.extend(second.release.items.iter().map(|item| item.digest));
        world.engine().admit(&first.number.to_string(), "back").await.unwrap();
    }
    let named: BTreeSet<Digest> = [of_feed(&world, ELASTIC).await, of_feed(&world, OTHER).await]
        .iter()
        .flatten()
        .filter(|found| found.state == ReleaseState::Admitted)
        .flat_map(|found| found.release.items.iter().map(|item| item.digest))
        .collect();
    let only: BTreeSet<Digest> = left.difference(&named).copied().collect();
    assert!(only.len() > 2, "artifacts changed as well: {only:?}");
    let served = world.generation().await.unwrap().routes;
    let stays: Vec<_> = served.iter().filter(|(_, route)| only.contains(&route.digest)).collect();
    assert!(stays.is_empty(), "{stays:#?}");
    // What stays through a grace is what an admitted release names.
    assert!(left.iter().any(|digest| served.values().any(|route| route.digest == *digest)));
    world.walk().await;
}

#[tokio::test]
async fn a_repair_publishes_no_release_s16() {
    let world = two().await;
    let before = world.generation().await.unwrap();
    let digest = releases(&world).await[1].release.items.iter().max_by_key(|item| item.size).unwrap().digest;
    fs::write(file(&world, digest), b"rot").unwrap();
    world.sim.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    let healed = world.engine().heal(&[digest], Arc::new(Silent)).await.unwrap();
    let fetched = healed.fetched.unwrap();
    ended(&fetched, DEFENDER, Failed, Some(Reason::BlobMissing));
    let told = line(&fetched, DEFENDER).detail.as_deref().unwrap();
    assert!(told.contains("by now") && told.contains("`waystation sync`"), "{told}");
    assert_eq!(world.generation().await.unwrap(), before);
    let report = world.sync().await;
    let told = line(&report, DEFENDER).detail.as_deref().unwrap();
    assert!(told.contains("is published; ") && told.contains("the one before: `_back` serves "), "{told}");
    assert!(world.generation().await.unwrap().number > before.number);
}

#[tokio::test]
async fn where_only_timed_runs_read_all_is_read_again_within_the_period_s16() {
    const PERIOD: std::time::Duration = DAY.saturating_mul(30);
    let world = two().await;
    let digest = world.generation().await.unwrap().routes.values().find(|route| route.until.is_none()).unwrap().digest;
    let mut bytes = fs::read(file(&world, digest)).unwrap();
    bytes[0] ^= 1;
    fs::write(file(&world, digest), &bytes).unwrap();
    let mut held = 0;
    world.ports.blobs.visit(&mut |_, _| held += 1).await.unwrap();
    // What is due is asked before a run and read after it, as much as `bytes`.
    let read = async |bytes: u64| {
        let engine = world.engine();
        let due = engine.due_since_last_run(PERIOD).await.unwrap();
        assert_eq!(engine.sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap().exit_code(), 0);
        let mut due = due?;
        let report = engine.scrub_due(&mut due, bytes).await.unwrap();
        engine.leave_unread(due).await.unwrap();
        Some((report, due.percent()))
    };
    let (mut seen, mut faults) = (0, 0);
    for _ in 0..10 {
        world.clock.advance(DAY * 3);
        let (report, left) = read(u64::MAX).await.unwrap();
        assert!(report.blobs < held && left == 0, "a part at a time: {report:#?}");
        seen += report.blobs;
        faults += report.faults.len();
    }
    assert!(seen >= held && faults == 1, "{seen} of {held}, {faults} damaged");
    assert_eq!(world.engine().sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap().exit_code(), 0);
    world.clock.advance(PERIOD * 3);
    assert_eq!(read(u64::MAX).await.unwrap().0.blobs, held, "all after a long pause");
    // What one run may not read is left to the next ones, wherever the clock stands by then.
    world.clock.advance(PERIOD * 3);
    let (first, left) = read(4096).await.unwrap();
    assert!(first.blobs < held && left > 0, "{first:#?}, {left} % left");
    world.clock.advance(DAY / 24);
    assert!(first.blobs + read(u64::MAX).await.unwrap().0.blobs >= held);
    world.clock.advance(DAY / 24);
    assert!(read(u64::MAX).await.unwrap().0.blobs < held, "nothing is owed any more");
    // A clock that was ahead left a feed behind there: nothing is due by it, and what is followed counts.
    let mut ahead = world.ports.catalog.feed(&ELASTIC.parse().unwrap()).await.unwrap().unwrap();
    (ahead.feed, ahead.checked_at) = ("elastic/1.0.0".parse().unwrap(), world.clock.now().after(PERIOD * 6));
    world.ports.catalog.apply(Batch { feeds: vec![ahead], ..Batch::default() }).await.unwrap();
    world.clock.advance(PERIOD * 3);
    assert_eq!(read(u64::MAX).await.unwrap().0.blobs, held);
    world.clock.set_back(PERIOD * 60);
    assert!(read(u64::MAX).await.is_none());
    assert!(world.engine().check_store(Depth::Rehash, &|_| ()).await.is_good());
}

#[tokio::test]
async fn what_went_from_a_full_disk_is_told_where_that_did_not_do_s01() {
    let world = World::new().await;
    world.sync().await;
    world.publish();
    world.sync().await;
    world.lives(DAY * 3).await;
    const NOSPC: i32 = 28;
    let engine = world.engine();
    let full = hooked(&engine, |op| if op == Op::Publish { Then::Fails(NOSPC) } else { Then::GoesOn });
    let mut writer = engine.ports().blobs.begin(None).await.unwrap();
    writer.write(vec![7; 4096].into()).await.unwrap();
    let loose = writer.finish(blob_store::Expected::default()).await.unwrap();
    let error = full.collect().await.unwrap_err();
    assert_eq!(engine.ports().blobs.find(loose.digest()).await.unwrap(), None);
    assert_eq!(error.reason(), Reason::DiskFull);
    assert!(error.to_string().contains("blobs: 1"), "{error}");
}
