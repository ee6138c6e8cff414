//! What heals: rot, loss, and what a crash leaves.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use catalog::{Batch, Entry, EntryKind, Publication, verify_chain};
use model::Outcome::{Current, Failed, Published, Quarantined};
use model::{Clock as _, Digest, Reason};
use vendor_sim::{Change, Step};

use crate::hooked::{Op, Then, hooked};
use crate::keeping::{held, synced};
use crate::world::{DEFENDER, ELASTIC, OTHER, World, ended};

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
async fn only_a_bad_disk_is_damage_any_other_error_leaves_the_blob_s04_s09_s10() {
    let world = World::on_files().await;
    world.sync().await;
    let blobs = some_blobs(&world).await;
    let engine = world.engine();
    let under = |errno| {
        hooked(&engine, move |op| match op {
            Op::Verify => Then::Fails(errno),
            _ => Then::GoesOn,
        })
    };
    const INTR: i32 = 4;
    const NOMEM: i32 = 12;
    const ACCES: i32 = 13;
    const NFILE: i32 = 23;
    const MFILE: i32 = 24;
    for errno in [INTR, NOMEM, ACCES, NFILE, MFILE] {
        let report = under(errno).verify(&engine.held().await.unwrap(), &|_| ()).await.unwrap();
        assert!(report.faults.is_empty() && report.unread.len() == blobs.len(), "{errno}: {report:#?}");
        assert!(report.unread.iter().all(|one| one.error.is_some() && !one.routes.is_empty()), "{report:#?}");
        let report = under(errno).recheck(&blobs).await.unwrap();
        assert!(report.faults.is_empty() && report.unread.len() == blobs.len(), "{errno}: {report:#?}");
        let done = under(errno).scrub(1, 0, u64::MAX).await.unwrap();
        assert!(done.report.faults.is_empty() && done.report.unread.len() == blobs.len(), "{errno}: {done:#?}");
        let whole = under(errno).check_store(mirror::Depth::Rehash, &|_| ()).await;
        assert!(whole.damaged.is_empty() && whole.faults.len() >= blobs.len(), "{errno}: {whole:#?}");
        assert!(whole.faults.iter().all(|fault| fault.reason == Reason::StoreFailed), "{errno}: {whole:#?}");
    }
    assert!(blobs.iter().all(|blob| file(&world, *blob).exists()));
    assert!(engine.ports().catalog.feeds().await.unwrap().iter().all(|feed| feed.outcome != Failed));

    const IO: i32 = 5;
    let report = under(IO).recheck(&blobs[..1]).await.unwrap();
    assert!(report.unread.is_empty() && report.faults.len() == 1, "{report:#?}");
    assert!(!file(&world, blobs[0]).exists(), "set aside");
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
async fn a_lost_pointer_or_ring_is_told_and_written_again_r23_s18_s40() {
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
        let told = world.engine().status().await.unwrap().ring.fault.map(|fault| fault.reason);
        let lost = ["ring", "newest"].contains(&damage);
        assert_eq!(told, Some(if lost { Reason::RingLost } else { Reason::PointerDamaged }), "{damage}");
        let report = world.sync().await;
        assert_eq!(report.exit_code(), 0, "{damage}: {report:#?}");
        assert_eq!(world.engine().status().await.unwrap().ring.fault, None, "{damage}");
        let mended = |entry: &Entry| entry.kind == EntryKind::Upkeep && entry.data.contains("mend-pointer");
        assert_eq!(world.history().await.iter().any(mended), damage != "ring", "{damage}");
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

/// The ring went back by the operator's word, and the process died before the feed's record followed.
#[tokio::test]
async fn what_was_gone_back_to_is_no_regression_after_a_crash_s11() {
    let mut world = World::on_files().await;
    world.sync().await;
    world.sim.publish_elastic("9.0.0", Change::regress()).unwrap();
    let report = world.sync().await;
    ended(&report, ELASTIC, Quarantined, Some(Reason::VersionRegression));
    let before = world.ports.catalog.feed(&crate::world::id(ELASTIC)).await.unwrap().unwrap();
    let release = before.release.unwrap().to_string();
    world.may_go_back();
    world.engine().admit(&release, "the vendor withdrew it").await.unwrap();
    let served = world.generation().await.unwrap();
    let open = Publication {
        ring: served.ring.clone(),
        number: served.number,
        digest: Digest::of(&served.encode()),
        opened_at: served.at,
        closed_at: None,
    };
    let crashed = Batch { feeds: vec![before], publications: vec![open], ..Batch::default() };
    world.ports.catalog.apply(crashed).await.unwrap();
    world.reopen().await;
    ended(&world.sync().await, ELASTIC, Current, None);
    assert_eq!(world.generation().await.unwrap().feeds, served.feeds);
    assert!(verify_chain(world.ports.catalog.as_ref()).await.is_ok());
}

#[tokio::test]
async fn upkeep_writes_a_damaged_pointer_again_without_a_run_r23_s18_s41() {
    let world = World::on_files().await;
    assert_eq!(world.engine().mend_ring().await.unwrap(), None, "a ring that never served has no fault");
    world.sync().await;
    let current = world.ports.path().join("rings/broad/current");
    let good = fs::read(&current).unwrap();
    for damage in [Some(&good[..0]), Some(&good[..10]), Some(&b"1 x\n"[..]), None] {
        match damage {
            Some(bytes) => fs::write(&current, bytes).unwrap(),
            None => fs::remove_file(&current).unwrap(),
        }
        assert_eq!(world.engine().mend_ring().await.unwrap(), Some(1));
        assert_eq!(fs::read(&current).unwrap(), good);
        assert_eq!(world.engine().mend_ring().await.unwrap(), None);
    }
    let of = |entry: &&Entry| entry.data.contains("mend-pointer");
    assert_eq!(world.history().await.iter().filter(of).count(), 4);
}
