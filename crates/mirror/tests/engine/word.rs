//! What the operator said reaches the ring, whatever comes between.

use std::fs;
use std::path::{Path, PathBuf};

use catalog::{Batch, EntryKind, NewEntry, ReleaseFilter};
use mirror::{Depth, Status};
use model::{Clock as _, Finding, Level, Measure, Reason, ReleaseState};
use vendor_sim::Change;

use crate::world::{DAY, ELASTIC, World, id};

/// Two releases of a feed; the second is served.
async fn two_releases() -> World {
    let world = World::on_files().await;
    world.sync().await;
    world.clock.advance(DAY);
    world.publish();
    world.sync().await;
    world
}

async fn first(world: &World) -> String {
    let filter = ReleaseFilter { feed: Some(id(ELASTIC)), ..ReleaseFilter::default() };
    let found = world.engine().ports().catalog.releases(&filter).await.unwrap();
    found[1].number.to_string()
}

#[tokio::test]
async fn a_rollback_that_was_killed_before_the_ring_moved_is_carried_out_by_the_next_run_s11() {
    let world = two_releases().await;
    let newer = world.serves(ELASTIC).await;
    let filter = ReleaseFilter { feed: Some(id(ELASTIC)), ..ReleaseFilter::default() };
    let catalog = world.engine().ports().catalog.clone();
    let found = catalog.releases(&filter).await.unwrap();
    // As the word stands in the catalog when the process is killed right after it.
    let now = world.clock.now();
    let states =
        vec![(found[1].release.id, ReleaseState::Admitted, now), (found[0].release.id, ReleaseState::Rejected, now)];
    let (older, newest) = (found[1].release.id, found[0].release.id);
    let word = NewEntry {
        at: now,
        actor: world.engine().settings().actor.clone(),
        kind: EntryKind::Act,
        subject: newest.to_string(),
        data: serde_json::json!({ "act": "roll-back", "to": older }),
    };
    catalog.apply(Batch { states, history: vec![word], ..Batch::default() }).await.unwrap();
    world.may_go_back();
    let fault = world.engine().status().await.unwrap().ring.fault.unwrap();
    assert_eq!(fault.reason, Reason::RejectedServed);
    assert!(fault.detail.contains("was rejected and is served"), "{}", fault.detail);

    world.sync().await;
    assert_ne!(world.serves(ELASTIC).await, newer);
    let status = world.engine().status().await.unwrap();
    assert_eq!(status.ring.fault, None);
    world.sync().await;
    assert_ne!(world.serves(ELASTIC).await, newer, "and it stays so");
    assert!(world.engine().check_store(Depth::Rehash, &|_| ()).await.is_good());
}

/// Goes back to the first release; the bytes of the generation that served the second, and the ring's folder.
async fn rolled_back(world: &World) -> (Vec<u8>, PathBuf) {
    let ring = world.ports.path().join("rings").join(world.generation().await.unwrap().ring.as_str());
    let kept = fs::read(ring.join("generation-2")).unwrap();
    world.may_go_back();
    world.engine().admit(&first(world).await, "the newer one breaks hosts").await.unwrap();
    world.walk().await;
    (kept, ring)
}

fn rot(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_generation_that_rots_after_a_rollback_brings_nothing_denied_back_s41_r23() {
    let world = two_releases().await;
    let (_, ring) = rolled_back(&world).await;
    let wanted = world.serves(ELASTIC).await;
    assert!(!ring.join("generation-2").exists(), "it serves what was rolled back from");
    rot(&ring.join("generation-3"));
    assert_eq!(world.serves(ELASTIC).await, wanted, "readers fall back to what was served before");
    world.may_go_back();
    world.sync().await;
    assert_eq!(world.serves(ELASTIC).await, wanted);
}

#[tokio::test]
async fn what_was_denied_is_left_again_where_readers_had_to_fall_back_to_it_s41_r23() {
    let world = two_releases().await;
    let (kept, ring) = rolled_back(&world).await;
    let wanted = world.serves(ELASTIC).await;
    // As if the process had been killed before it removed the older file.
    fs::write(ring.join("generation-2"), kept).unwrap();
    rot(&ring.join("generation-3"));
    assert_ne!(world.serves(ELASTIC).await, wanted);
    world.may_go_back();
    assert!(world.engine().mend_ring().await.unwrap().is_some());
    assert_eq!(world.serves(ELASTIC).await, wanted, "brought in line without waiting for the vendor");
    assert_eq!(world.engine().status().await.unwrap().ring.fault, None);
    world.sync().await;
    assert_eq!(world.serves(ELASTIC).await, wanted);
    assert!(world.history().await.iter().any(|entry| entry.data.contains("\"act\":\"rebuild\"")));
}

#[tokio::test]
async fn a_word_on_what_was_last_offered_puts_its_check_in_order_u41() {
    for admits in [true, false] {
        let world = World::on_files().await;
        world.sync().await;
        world.clock.advance(DAY);
        world.sim.publish_elastic("9.0.0", Change::leap()).unwrap();
        for _ in 0..5 {
            world.sync().await;
            world.clock.advance(DAY);
        }
        let engine = world.engine();
        let waits = engine.status().await.unwrap();
        let check = |status: &Status| {
            let of = |finding: &&Finding| finding.feed == id(ELASTIC) && finding.measure == Measure::Check;
            status.freshness.iter().find(of).unwrap().clone()
        };
        assert!(check(&waits).level > Level::Fine);
        let number = waits.quarantined[0].number.to_string();
        let asked = waits.feeds.iter().find(|feed| feed.feed == id(ELASTIC)).unwrap().checked_at;
        if admits {
            engine.admit(&number, "it is right").await.unwrap();
        } else {
            engine.reject(&number, "it is wrong").await.unwrap();
        }
        let check = check(&engine.status().await.unwrap());
        assert_eq!(check.level, Level::Fine, "{check:?}");
        assert_eq!(Some(check.since.at), asked, "no later than the vendor was asked");
    }
}
