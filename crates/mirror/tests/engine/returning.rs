//! Feeds that were left and are followed again.

use mirror::{SyncReport, SyncRequest};
use model::Outcome::{Current, Failed};
use model::{Reason, ReleaseId};

use crate::world::{DEFENDER, World, ended, id, line};

/// Follows the feed no longer for one run, and then again.
async fn left_for_a_run(world: &mut World) -> SyncReport {
    let all = world.settings.feeds.clone();
    world.settings.feeds.retain(|feed| *feed != id(DEFENDER));
    world.sync().await;
    assert_eq!(world.engine().collect().await.unwrap().plan.retired, [id(DEFENDER)]);
    assert_eq!(world.serves(DEFENDER).await, None);
    world.settings.feeds = all;
    world.may_go_back();
    world.sync().await
}

async fn releases(world: &World, count: usize) -> Vec<ReleaseId> {
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(line(&world.sync().await, DEFENDER).release.unwrap());
        world.publish();
    }
    found
}

#[tokio::test]
async fn what_was_left_comes_back_where_it_stood_also_where_its_vendor_offers_what_was_rejected() {
    let mut world = World::new().await;
    let mut known = releases(&world, 2).await;
    known.push(line(&world.sync().await, DEFENDER).release.unwrap());
    world.may_go_back();
    world.engine().admit(&known[1].to_string(), "the newest breaks hosts").await.unwrap();
    let report = left_for_a_run(&mut world).await;
    ended(&report, DEFENDER, Current, Some(Reason::RejectedBefore));
    let served = world.generation().await.unwrap().feeds[&id(DEFENDER)].clone();
    assert_eq!((served.release, served.back), (known[1], Some(known[0])));
    world.walk().await;
    world.publish();
    world.converges().await;
}

#[tokio::test]
async fn a_newer_release_that_a_feed_comes_back_with_has_the_one_before_behind_it() {
    let mut world = World::new().await;
    let known = releases(&world, 2).await;
    let report = left_for_a_run(&mut world).await;
    let served = world.generation().await.unwrap().feeds[&id(DEFENDER)].clone();
    assert_eq!(served.release, line(&report, DEFENDER).release.unwrap());
    assert!(!known.contains(&served.release));
    assert_eq!(served.back, Some(known[1]));
}

#[tokio::test]
async fn a_feed_that_is_followed_and_of_which_nothing_is_served_is_not_in_order() {
    let mut world = World::new().await;
    let mut known = releases(&world, 1).await;
    known.push(line(&world.sync().await, DEFENDER).release.unwrap());
    world.may_go_back();
    world.engine().admit(&known[0].to_string(), "the newest breaks hosts").await.unwrap();
    let held = world.ports.catalog.release(&known[0]).await.unwrap().unwrap().release;
    let all = world.settings.feeds.clone();
    world.settings.feeds.retain(|feed| *feed != id(DEFENDER));
    world.sync().await;
    world.engine().collect().await.unwrap();
    for item in &held.items {
        world.ports.blobs.remove(item.digest).await.unwrap();
    }
    world.settings.feeds = all;
    for _ in 0..2 {
        // What is in its grace has no bytes any more, by this test's hand.
        let report = world.try_sync(&SyncRequest::default()).await.unwrap();
        ended(&report, DEFENDER, Failed, Some(Reason::RejectedBefore));
        assert_eq!(report.exit_code(), 3);
        assert!(line(&report, DEFENDER).detail.as_ref().unwrap().contains("nothing of this feed is served"));
    }
    world.publish();
    world.converges().await;
}
