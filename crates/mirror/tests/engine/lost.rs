//! What is lost is told, once and by whoever meets it, and nothing else is taken for lost.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mirror::{Depth, Engine, EngineError, Lacks, Observer, Progress, Silent, SyncReport, SyncRequest};
use model::Outcome::{Current as Stays, Failed, Published, Quarantined};
use model::{Digest, ItemKind, Reason, ReleaseItem, ReleaseState};
use tokio::sync::Notify;
use vendor_sim::{DefenderChange, DefenderTarget, Fault, FaultRule, Kind, Step};

use crate::back::{archive, leap, lose_catalog, releases, remove, served, silence, stands};
use crate::hooked::{Op, Then, hooked};
use crate::world::{DAY, DEFENDER, ELASTIC, OTHER, World, ended, id, line};

const MFILE: i32 = 24;
const NO_ROOM: i32 = 28;

fn file(world: &World, digest: Digest) -> PathBuf {
    let name = digest.to_string();
    world.ports.path().join("blobs").join(&name[..2]).join(&name)
}

fn set_mode(path: PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn run(engine: &Engine) -> SyncReport {
    engine.sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap()
}

/// Gives its word once the run has told how an Elastic feed ended.
struct Later(Arc<Notify>);

impl Observer for Later {
    fn on(&self, progress: Progress) {
        if matches!(&progress, Progress::Settled(line) if line.feed == id(ELASTIC)) {
            self.0.notify_one();
        }
    }
}

/// The step is made when another feed has ended, and the feed itself ends well after that.
#[tokio::test]
async fn a_step_of_back_is_not_untold_by_the_run_that_made_it_s16_i9() {
    for news in [false, true] {
        let world = served(3).await;
        let all = releases(&world, DEFENDER).await;
        remove(&world, archive(&all[1]));
        if news {
            world.publish();
        }
        let (word, first) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(true)));
        let (given, waits_for) = (Arc::clone(&word), archive(&all[2]));
        let engine = hooked(&world.engine(), move |op| match op {
            Op::Find(digest) if digest == waits_for && first.swap(false, Ordering::SeqCst) => {
                Then::Waits(Arc::clone(&given))
            }
            _ => Then::GoesOn,
        });
        let report = engine.sync(&SyncRequest::default(), Arc::new(Later(word))).await.unwrap();
        ended(&report, DEFENDER, Failed, Some(Reason::BlobMissing));
        assert_eq!((report.exit_code(), report.lost_back.len()), (3, 1), "{report:#?}");
        assert_eq!(report.lost_back[0].release, all[1].number);
        let record = engine.ports().catalog.feed(&id(DEFENDER)).await.unwrap().unwrap();
        assert_eq!((record.outcome, record.detail), (Failed, line(&report, DEFENDER).detail.clone()), "{news}");
        let report = world.sync().await;
        ended(&report, DEFENDER, Stays, None);
        assert_eq!((report.exit_code(), report.lost_back), (0, vec![]), "once");
    }
}

/// Whoever closes what a crash left open tells of what it did, as does who makes the ring anew.
#[tokio::test]
async fn a_step_of_back_that_a_crash_hid_is_told_by_who_finds_it_s11_s16_s18() {
    for finds in ["a run", "gc", "a repair", "a ring made anew"] {
        let mut world = served(3).await;
        let all = releases(&world, DEFENDER).await;
        remove(&world, archive(&all[1]));
        if finds == "a ring made anew" {
            fs::remove_dir_all(world.ports.path().join("rings")).unwrap();
            world.forget();
            world.reopen().await;
        } else {
            let moved = Arc::new(Notify::new());
            let told = Arc::clone(&moved);
            let dies = hooked(&world.engine(), move |op| {
                if op != Op::Moved {
                    return Then::GoesOn;
                }
                told.notify_one();
                Then::Dies
            });
            tokio::select! {
                done = dies.collect() => panic!("{finds}: it came to an end: {done:?}"),
                () = moved.notified() => {}
            }
        }
        let engine = world.engine();
        let lost_back = match finds {
            "gc" => engine.collect().await.unwrap().lost_back,
            "a repair" => engine.heal(&[archive(&all[1])], Arc::new(Silent)).await.unwrap().lost_back,
            _ => {
                let report = run(&engine).await;
                ended(&report, DEFENDER, Failed, Some(Reason::BlobMissing));
                assert_eq!(report.exit_code(), 3, "{finds}");
                report.lost_back
            }
        };
        assert_eq!(lost_back.len(), 1, "{finds}: {lost_back:?}");
        assert_eq!((lost_back[0].release, lost_back[0].reason), (all[1].number, Reason::BlobMissing), "{finds}");
        let record = engine.ports().catalog.feed(&id(DEFENDER)).await.unwrap().unwrap();
        let words = format!("it belongs to release {}, the one before", all[1].number);
        assert!(record.detail.as_ref().is_some_and(|detail| detail.contains(&words)), "{finds}: {record:?}");
        assert_eq!(stands(&world, DEFENDER).await, (all[2].release.id, Some(all[0].release.id)), "{finds}");
        ended(&world.sync().await, DEFENDER, Stays, None);
    }
}

#[tokio::test]
async fn an_error_of_the_store_is_no_loss_s09_s10() {
    let world = served(3).await;
    let (all, before) = (releases(&world, DEFENDER).await, world.generation().await.unwrap());
    for hurt in [&all[1], &all[2]] {
        let digest = archive(hurt);
        let engine = hooked(&world.engine(), move |op| match op {
            Op::Find(of) if of == digest => Then::Fails(MFILE),
            _ => Then::GoesOn,
        });
        let report = run(&engine).await;
        let told = line(&report, DEFENDER);
        assert_ne!(told.reason, Some(Reason::BlobMissing), "{told:?}");
        assert!(engine.collect().await.unwrap().lost_back.is_empty());
        if hurt.number == all[1].number {
            assert_eq!(report.exit_code(), 0, "{report:#?}");
        }
        assert_eq!(world.generation().await.unwrap().feeds, before.feeds);
    }
    ended(&world.sync().await, DEFENDER, Stays, None);
}

/// The publication that `_back` needs cannot be made: what was decided about a feed is recorded all the same.
#[tokio::test]
async fn what_a_run_decides_outlives_a_publication_that_does_not_take_place_s16_i9() {
    let world = served(3).await;
    let all = releases(&world, DEFENDER).await;
    remove(&world, archive(&all[1]));
    leap(&world);
    let engine = hooked(&world.engine(), |op| if op == Op::Verify { Then::Fails(MFILE) } else { Then::GoesOn });
    ended(&run(&engine).await, DEFENDER, Quarantined, Some(Reason::VersionLeap));
    let record = engine.ports().catalog.feed(&id(DEFENDER)).await.unwrap().unwrap();
    assert_eq!((record.outcome, record.reason), (Quarantined, Some(Reason::VersionLeap)));
    let waits = releases(&world, DEFENDER).await.pop().unwrap();
    assert_eq!((Some(waits.release.id), waits.state), (record.release, ReleaseState::Quarantined));
    assert_eq!(stands(&world, DEFENDER).await.1, Some(all[1].release.id), "nothing was published");
    run(&world.engine()).await;
    assert_eq!(stands(&world, DEFENDER).await.1, Some(all[0].release.id));
}

#[tokio::test]
async fn what_is_no_file_in_the_place_of_a_blob_in_back_is_lost_s18_s20() {
    let world = served(3).await;
    let all = releases(&world, DEFENDER).await;
    let (path, away) = (file(&world, archive(&all[1])), world.ports.path().join("away"));
    fs::rename(&path, &away).unwrap();
    symlink(&away, &path).unwrap();
    ended(&run(&world.engine()).await, DEFENDER, Failed, Some(Reason::BlobMissing));
    assert_eq!(stands(&world, DEFENDER).await, (all[2].release.id, Some(all[0].release.id)));
}

/// A file that is not to be believed just now hides no other that is lost.
#[tokio::test]
async fn what_is_lost_counts_before_what_is_not_to_be_believed_s18_s22() {
    let mut world = served(2).await;
    let (elastic, seat) = (releases(&world, ELASTIC).await, stands(&world, DEFENDER).await);
    let before: BTreeSet<Digest> = elastic[0].release.items.iter().map(|item| item.digest).collect();
    let all = elastic[1].release.items.iter().map(|item| item.digest);
    let own: Vec<Digest> = all.filter(|digest| !before.contains(digest)).collect();
    set_mode(file(&world, own[0]), 0o646);
    remove(&world, own[1]);
    fs::remove_dir_all(world.ports.path().join("rings")).unwrap();
    world.forget();
    world.reopen().await;
    silence(&world);
    run(&world.engine()).await;
    assert_eq!(stands(&world, DEFENDER).await, seat);
    assert_eq!(stands(&world, ELASTIC).await.0, elastic[0].release.id, "the newest that is whole");
}

/// One file of another mode makes its own feed wait, where the catalog is lost, and nothing else.
#[tokio::test]
async fn what_is_not_to_be_believed_keeps_no_other_feed_from_a_new_catalog_s18_s22() {
    let mut world = served(2).await;
    let elastic = releases(&world, ELASTIC).await.pop().unwrap();
    let is_manifest = |item: &&ReleaseItem| item.kind == ItemKind::Manifest;
    let manifest = file(&world, elastic.release.items.iter().find(is_manifest).unwrap().digest);
    lose_catalog(&mut world).await;
    set_mode(manifest.clone(), 0o664);
    for synced in [false, true] {
        if synced {
            let report = run(&world.engine()).await;
            ended(&report, ELASTIC, Failed, Some(Reason::UnsafeFile));
            ended(&report, OTHER, Stays, None);
            ended(&report, DEFENDER, Stays, None);
            world.engine().collect().await.unwrap();
        }
        for feed in world.engine().status().await.unwrap().feeds {
            let told = feed.served.map(|served| served.vendor_version.version.to_string());
            assert_eq!(told, world.serves(feed.feed.as_str()).await, "{}", feed.feed);
        }
    }
    set_mode(manifest, 0o644);
    ended(&world.sync().await, ELASTIC, Stays, None);
    assert!(world.engine().check_store(Depth::Rehash, &|_| ()).await.is_good());
}

/// Nor does an old generation of another mode keep a feed out that is followed only now.
#[tokio::test]
async fn an_old_generation_that_is_not_to_be_believed_ends_no_run_s22() {
    let mut world = World::on_files().await;
    let all = world.settings.feeds.clone();
    world.settings.feeds.retain(|feed| *feed != id(DEFENDER));
    world.sync().await;
    world.publish();
    world.sync().await;
    set_mode(world.ports.path().join("rings/broad/generation-1"), 0o666);
    world.settings.feeds = all;
    ended(&world.sync().await, DEFENDER, Published, None);
}

/// A catalog that is put back finds what it knows: what no record names meanwhile is of before the loss.
#[tokio::test]
async fn gc_spares_what_a_lost_catalog_knew_for_as_long_as_retention_keeps_it_s18() {
    let mut world = served(14).await;
    world.engine().collect().await.unwrap();
    let held = world.engine().held().await.unwrap();
    let blobs: BTreeSet<Digest> = held.iter().flat_map(|found| &found.release.items).map(|item| item.digest).collect();
    lose_catalog(&mut world).await;
    world.sync().await;
    assert!(world.engine().held().await.unwrap().len() < held.len(), "what old generations do not tell is unknown");
    world.engine().collect().await.unwrap();
    assert!(blobs.iter().all(|digest| file(&world, *digest).exists()), "a catalog that is put back knows them");
    world.lives(DAY * 40).await;
    world.engine().collect().await.unwrap();
    assert!(blobs.iter().any(|digest| !file(&world, *digest).exists()), "retention keeps nothing for ever");
    world.walk().await;
}

/// A catalog that is put back finds its bytes, whatever is done first: nobody knows what they are until then.
#[tokio::test]
async fn gc_lets_nothing_go_where_ring_and_catalog_are_lost_s18() {
    let mut world = served(2).await;
    let before = crate::keeping::held(&world).await;
    fs::remove_dir_all(world.ports.path().join("rings")).unwrap();
    lose_catalog(&mut world).await;
    silence(&world);
    for synced in [false, true] {
        if synced {
            run(&world.engine()).await;
        }
        let refused = world.engine().collect().await;
        assert!(
            matches!(&refused, Err(EngineError::NotNow(why)) if why.contains("put a copy of catalog/ back")),
            "{refused:?}"
        );
        assert_eq!(crate::keeping::held(&world).await, before, "{synced}");
    }
    world.sim.clear_faults();
    run(&world.engine()).await;
    world.engine().collect().await.unwrap();
}

/// A word on one feed is the first to publish after the loss in another's `_back`: it tells of it.
#[tokio::test]
async fn a_step_of_back_that_a_word_brings_with_it_is_told_by_that_s16_i9() {
    for word in ["reject", "admit"] {
        let world = served(3).await;
        let (all, others) = (releases(&world, DEFENDER).await, releases(&world, ELASTIC).await);
        remove(&world, archive(&all[1]));
        world.may_go_back();
        let (engine, of) = (world.engine(), others[1].release.id.to_string());
        let done = if word == "reject" { engine.reject(&of, "bad").await } else { engine.admit(&of, "back").await };
        let told = done.unwrap().lost_back;
        assert_eq!((told.len(), &told[0].feed, told[0].release), (1, &id(DEFENDER), all[1].number), "{word}");
        assert_eq!(stands(&world, DEFENDER).await.1, Some(all[0].release.id), "{word}");
    }
}

/// Passed by while somebody else could change its file: that is told, it counts as held, and it comes back once that is
/// mended.
#[tokio::test]
async fn what_back_passes_by_is_told_and_taken_up_again_s22_i9() {
    let world = served(4).await;
    let all = releases(&world, DEFENDER).await;
    let passed = file(&world, archive(&all[1]));
    set_mode(passed.clone(), 0o666);
    world.may_go_back();
    let act = world.engine().admit(&all[2].release.id.to_string(), "back").await.unwrap();
    let told = act.detail.unwrap();
    assert!(told.contains(&format!("passes release {} by", all[1].number)), "{told}");
    let lacking: Vec<_> = world.engine().lacking(&all).await.unwrap().into_iter().collect();
    assert_eq!(lacking, [(all[1].release.id, Lacks { lost: 0, exposed: 1 })]);
    for (mode, back) in [(0o666, 0), (0o644, 1)] {
        set_mode(passed.clone(), mode);
        world.sync().await;
        assert_eq!(stands(&world, DEFENDER).await, (all[2].release.id, Some(all[back].release.id)), "{mode:o}");
    }
}

/// A rollback that does not reach the ring for want of room is told as what it is: what was gone back to is there.
#[tokio::test]
async fn a_rollback_that_waits_for_room_is_not_told_as_lost_s01_i9() {
    let world = served(2).await;
    let all = releases(&world, DEFENDER).await;
    let full = hooked(&world.engine(), |op| if op == Op::Publish { Then::Fails(NO_ROOM) } else { Then::GoesOn });
    full.admit(&all[0].release.id.to_string(), "back").await.unwrap();
    leap(&world);
    let told = line(&run(&full).await, DEFENDER).detail.clone().unwrap();
    assert!(told.contains(&format!("the next sync goes back to release {}", all[0].number)), "{told}");
}

/// A word that could not be carried out at once is, by a run that finds nothing new: what waits besides waits still.
#[tokio::test]
async fn what_waits_is_told_by_the_run_that_carries_out_a_word_s01_i9() {
    let world = World::new().await;
    world.sync().await;
    let full = hooked(&world.engine(), |op| if op == Op::Publish { Then::Fails(NO_ROOM) } else { Then::GoesOn });
    leap(&world);
    let leapt = line(&world.sync().await, DEFENDER).release.unwrap();
    full.admit(&leapt.to_string(), "announced").await.unwrap();
    world.sim.publish_defender(DefenderTarget::All, DefenderChange::step(Step::To(2_000_000))).unwrap();
    ended(&run(&full).await, DEFENDER, Quarantined, Some(Reason::VersionLeap));
    let status = world.engine().status().await.unwrap();
    let told = status.feeds.iter().find(|known| known.feed == id(DEFENDER)).unwrap().detail.clone().unwrap();
    assert!(told.contains(&format!("release {} was let in and is not served yet", leapt.short())), "{told}");
    for _ in 0..2 {
        let report = run(&world.engine()).await;
        ended(&report, DEFENDER, Quarantined, Some(Reason::VersionLeap));
        assert_eq!((report.exit_code(), stands(&world, DEFENDER).await.0), (3, leapt));
    }
}

/// Left, and served for want of what was gone back to: a catalog that is lost after that does not take it for let in.
#[tokio::test]
async fn what_was_left_and_is_served_still_is_left_without_the_catalog_s18() {
    let mut world = served(2).await;
    let all = releases(&world, DEFENDER).await;
    crate::killed::killed(&world, async |engine| engine.admit(&all[0].release.id.to_string(), "back").await).await;
    remove(&world, archive(&all[0]));
    ended(&run(&world.engine()).await, DEFENDER, Failed, Some(Reason::RejectedServed));
    world.publish();
    world.inject(FaultRule::always(Kind::Info, Fault::Status(503)));
    run(&world.engine()).await;
    let denied = |of: &model::Generation| of.feeds[&id(DEFENDER)].denied.clone();
    assert_eq!(denied(&world.generation().await.unwrap()), [all[1].release.id]);
    world.sim.clear_faults();
    lose_catalog(&mut world).await;
    silence(&world);
    let told = line(&run(&world.engine()).await, DEFENDER).detail.clone().unwrap();
    assert!(told.contains("was rejected and is served"), "{told}");
    assert_eq!(releases(&world, DEFENDER).await[0].state, ReleaseState::Rejected);
    assert_eq!(denied(&world.generation().await.unwrap()), [all[1].release.id]);
}
