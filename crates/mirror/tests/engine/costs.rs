//! What a run costs.

use std::collections::BTreeSet;

use model::Outcome::{Current, Published};

use crate::world::{Build, DEFENDER, ELASTIC, OTHER, World, ended, line};

#[tokio::test]
async fn a_first_run_publishes_every_feed() {
    let world = World::new().await;
    let report = world.sync().await;
    for feed in [ELASTIC, OTHER, DEFENDER] {
        ended(&report, feed, Published, None);
    }
    assert_eq!(report.exit_code(), 0);
    assert!(report.lost_grace.is_empty());
    assert_eq!(world.tree().await, world.unfaulted().await);
    assert_eq!(world.serves(ELASTIC).await.as_deref(), Some("1.0.1049"));
}

#[tokio::test]
async fn on_files_it_is_the_same() {
    let mut world = World::on_files().await;
    world.sync().await;
    assert_eq!(world.tree().await, world.unfaulted().await);
    world.reopen().await;
    world.publish();
    let report = world.sync().await;
    ended(&report, DEFENDER, Published, None);
    assert_eq!(world.tree().await, world.unfaulted().await);
}

#[tokio::test]
async fn nothing_new_costs_a_request_per_elastic_feed_and_the_info_chain_per_defender_feed() {
    let world = World::new().await;
    world.sync().await;
    world.sim.reset_counters();
    let report = world.sync().await;
    // Each hop of a redirect is a request.
    for (feed, requests) in [(ELASTIC, 1), (OTHER, 1), (DEFENDER, 2)] {
        ended(&report, feed, Current, None);
        assert_eq!(line(&report, feed).requests, requests, "{feed}");
    }
    let counters = world.sim.requests();
    assert_eq!(counters.requests, 1 + 1 + 2, "{:?}", counters.by_target);
    assert_eq!(counters.status(304), 2);
    assert_eq!(line(&report, ELASTIC).bytes_fetched, 0);
}

#[tokio::test]
async fn each_digest_is_fetched_once_over_five_feeds() {
    let mut build = Build::default();
    build.sim.elastic.versions = ["8.17.4", "8.18.3", "9.0.0-beta1", "9.0.0", "9.1.2"].map(str::to_owned).to_vec();
    build.feeds = vec!["elastic/8.17.4", "elastic/8.18.3", "elastic/9.0.0-beta1", "elastic/9.0.0", "elastic/9.1.2"];
    let world = build.start().await;
    let report = world.sync().await;
    assert_eq!(report.exit_code(), 0, "{report:#?}");
    let mut digests = BTreeSet::new();
    for target in world.sim.elastic_targets() {
        let release = world.sim.elastic_release(target.to_string().as_str()).unwrap();
        digests.extend(release.artifacts.iter().map(|artifact| artifact.encoded_sha256));
    }
    let counters = world.sim.requests();
    assert_eq!(counters.artifacts(), digests.len() as u64);
    assert_eq!(counters.requests, digests.len() as u64 + 5);
    let fetched: u64 = report.feeds.iter().map(|feed| feed.bytes_fetched).sum();
    assert_eq!(fetched, counters.body_bytes);
}
