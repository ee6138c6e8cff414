//! Faults of transport and status: refused with their own reason, and gone with the next run.

use mirror::SyncRequest;
use model::Outcome::{Current, Failed, Published};
use model::Reason;
use vendor_sim::{Fault, FaultRule, Kind, Pattern, Point};

use crate::world::{DEFENDER, ELASTIC, OTHER, World, ended, line};

pub(crate) fn fault(name: &str) -> Fault {
    name.parse().unwrap()
}

pub(crate) fn on(pattern: &str) -> Pattern {
    // The one Elastic feed that the tables look at, so that the other one shows that it is not touched.
    if pattern == "manifest" { "/artifacts-9.0.0.zip".parse().unwrap() } else { pattern.parse().unwrap() }
}

fn feed_of(pattern: &str) -> &'static str {
    if pattern.starts_with("manifest") || pattern.starts_with("artifact") { ELASTIC } else { DEFENDER }
}

/// Each fault in turn befalls a new release, for as long as the run lasts: the feed fails for this reason, what was
/// served stays, and the next run without the fault serves what a mirror serves that met none.
pub(crate) async fn refused(world: &World, table: &[(&str, &str, Reason)]) {
    world.sync().await;
    for (pattern, name, reason) in table {
        world.publish();
        let before = world.tree().await;
        let feed = feed_of(pattern);
        let version = world.serves(feed).await;
        world.inject(FaultRule::always(on(pattern), fault(name)));
        let report = world.sync().await;
        let found = line(&report, feed);
        assert_eq!((found.outcome, found.reason), (Failed, Some(*reason)), "{name} on {pattern}: {found:#?}");
        assert_eq!(world.serves(feed).await, version, "{name} on {pattern}");
        let after = world.tree().await;
        let mine = |path: &str| path.contains("artifacts-9.0.0.zip") || path.starts_with("/linux");
        for (path, bytes) in before.iter().filter(|(path, _)| mine(path)) {
            if (feed == DEFENDER) == path.starts_with("/linux") {
                assert_eq!(after.get(path), Some(bytes), "I5: {name} on {pattern}: {path}");
            }
        }
        world.converges().await;
    }
}

/// Each fault strikes once and is gone with the next attempt of the same run.
async fn shrugged_off(world: &World, table: &[(&str, &str)]) {
    world.sync().await;
    for (pattern, name) in table {
        world.publish();
        world.inject(FaultRule::once(on(pattern), fault(name)));
        let report = world.sync().await;
        ended(&report, feed_of(pattern), Published, None);
        assert_eq!(world.tree().await, world.unfaulted().await, "{name} on {pattern}");
        world.sim.clear_faults();
    }
}

const RESETS: [&str; 7] =
    ["reset-before-head", "reset-in-head", "reset-at-0", "reset-at-1", "reset-at-half", "reset-at-last", "refuse"];

#[tokio::test]
async fn resets_are_tried_again_u01() {
    let world = World::new().await;
    let table: Vec<(&str, &str)> =
        ["manifest", "artifact#0", "archive", "info"].iter().flat_map(|on| RESETS.map(|name| (*on, name))).collect();
    shrugged_off(&world, &table).await;
}

#[tokio::test]
async fn resets_that_stay_fail_the_feed_u01() {
    let world = World::new().await;
    world.sync().await;
    for pattern in ["manifest", "artifact#0", "archive", "fwlink"] {
        for name in RESETS {
            world.publish();
            world.inject(FaultRule::always(on(pattern), fault(name)));
            let report = world.sync().await;
            let found = line(&report, feed_of(pattern));
            let fits = matches!(found.reason, Some(Reason::ConnectFailed | Reason::ShortBody | Reason::BadResponse));
            // The whole body of a redirect may have come before a late reset.
            assert!((found.outcome == Failed && fits) || pattern == "fwlink", "{name} on {pattern}: {found:#?}");
            world.converges().await;
        }
    }
}

#[tokio::test]
async fn bodies_of_another_length_u02_u03_u04() {
    let world = World::new().await;
    refused(
        &world,
        &[
            ("manifest", "short-body", Reason::ShortBody),
            ("artifact#0", "short-body", Reason::ShortBody),
            ("archive", "short-body", Reason::ShortBody),
            ("info", "short-body", Reason::ShortBody),
            ("manifest", "close-delimited-cut", Reason::BadZip),
            ("artifact#0", "close-delimited-cut", Reason::SizeMismatch),
            ("archive", "close-delimited-cut", Reason::BadZip),
            ("manifest", "too-long", Reason::BadZip),
            ("artifact#0", "too-long", Reason::SizeMismatch),
            ("archive", "too-long", Reason::BadZip),
        ],
    )
    .await;
}

#[tokio::test]
async fn other_bytes_are_neither_kept_nor_asked_for_again_u05() {
    let world = World::new().await;
    world.sync().await;
    world.publish();
    let rule = world.sim.inject(FaultRule::always(Kind::Artifact(0), fault("other-bytes")));
    let report = world.sync().await;
    ended(&report, ELASTIC, Failed, Some(Reason::HashMismatch));
    // Both versions share the artifact; each that wants it tries once.
    assert!((1..=2).contains(&world.sim.hits(rule)), "{}", world.sim.hits(rule));
    world.converges().await;
    refused(&world, &[("artifact#1", "other-bytes", Reason::HashMismatch)]).await;
}

#[tokio::test]
async fn pairs_that_lie_u06_u07() {
    let world = World::new().await;
    refused(
        &world,
        &[
            ("manifest", "manifest-encoded-size", Reason::SizeMismatch),
            ("manifest", "manifest-encoded-hash", Reason::HashMismatch),
            ("manifest", "manifest-decoded-size", Reason::DecodedMismatch),
            ("manifest", "manifest-decoded-hash", Reason::DecodedMismatch),
            ("manifest", "manifest-swapped-pairs", Reason::SizeMismatch),
        ],
    )
    .await;
}

#[tokio::test]
async fn pages_and_emptiness_u08_u09() {
    let world = World::new().await;
    refused(
        &world,
        &[
            ("manifest", "html", Reason::NotManifest),
            ("manifest", "manifest-not-json", Reason::BadManifest),
            ("artifact#0", "html", Reason::SizeMismatch),
            ("info", "html", Reason::BadInfo),
            ("archive", "html", Reason::BadZip),
            ("manifest", "empty-200", Reason::NotManifest),
            ("artifact#0", "empty-200", Reason::SizeMismatch),
            ("info", "empty-200", Reason::BadInfo),
            ("archive", "empty-200", Reason::BadZip),
        ],
    )
    .await;
}

#[tokio::test]
async fn statuses_without_a_meaning_here_u09() {
    let world = World::new().await;
    let names = ["status-203", "status-204", "status-205", "status-226"];
    let table: Vec<_> = ["manifest", "artifact#0", "archive"]
        .iter()
        .flat_map(|on| names.map(|name| (*on, name, Reason::UnexpectedStatus)))
        .collect();
    refused(&world, &table).await;
}

#[tokio::test]
async fn a_server_error_that_passes_u10() {
    let world = World::new().await;
    let names = ["status-500", "status-502", "status-503", "status-504"];
    let table: Vec<_> =
        ["manifest", "artifact#0", "info", "archive"].iter().flat_map(|on| names.map(|name| (*on, name))).collect();
    shrugged_off(&world, &table).await;
}

#[tokio::test]
async fn a_server_error_that_stays_is_given_up_within_budget_u11() {
    let world = World::new().await;
    refused(&world, &[("manifest", "status-500", Reason::ServerError), ("archive", "status-503", Reason::ServerError)])
        .await;
    let rule = world.sim.inject(FaultRule::always(on("manifest"), fault("status-502")));
    for failures in 1..=3 {
        world.sync().await;
        assert_eq!(world.sim.hits(rule), 3 * failures, "as many attempts as the policy has");
        let status = world.engine().status().await.unwrap();
        let feed = status.feeds.iter().find(|feed| feed.feed.as_str() == ELASTIC).unwrap();
        assert_eq!((u64::from(feed.failures), feed.outcome), (failures, Some(Failed)));
        assert!(feed.remedy.is_some());
    }
}

#[tokio::test]
async fn what_is_gone_upstream_is_kept_here_u12_u13() {
    let world = World::new().await;
    refused(
        &world,
        &[
            ("manifest", "status-404", Reason::NotFound),
            ("manifest", "status-410", Reason::NotFound),
            ("artifact#0", "status-404", Reason::ArtifactMissing),
            ("archive", "status-404", Reason::NotFound),
            ("fwlink", "status-404", Reason::NotFound),
        ],
    )
    .await;
    let before = world.tree().await;
    assert!(world.sim.retire_elastic("9.0.0"));
    ended(&world.sync().await, ELASTIC, Failed, Some(Reason::NotFound));
    assert_eq!(world.tree().await, before);
}

#[tokio::test]
async fn bodies_without_end_stop_at_the_cap_u26() {
    let world = World::new().await;
    refused(
        &world,
        &[
            ("manifest", "endless-body", Reason::TooLarge),
            ("artifact#0", "endless-body", Reason::SizeMismatch),
            ("archive", "endless-body", Reason::TooLarge),
            ("info", "endless-body", Reason::TooLarge),
        ],
    )
    .await;
    assert!(world.sim.requests().body_bytes < 200 << 20, "{}", world.sim.requests().body_bytes);
}

#[tokio::test]
async fn codings_that_nobody_asked_for_u31_u32() {
    let world = World::new().await;
    let names = ["gzip-unasked", "gzip-label", "gzip-twice", "gzip-trailing", "coding-br", "coding-unknown"];
    let table: Vec<_> = ["manifest", "artifact#0", "archive"]
        .iter()
        .flat_map(|on| names.map(|name| (*on, name, Reason::EncodedBody)))
        .collect();
    refused(&world, &table).await;
}

#[tokio::test]
async fn one_vendor_down_leaves_the_others_u57() {
    let world = World::new().await;
    world.sync().await;
    world.publish();
    world.inject(FaultRule::always(Kind::Fwlink, fault("status-500")));
    let report = world.sync().await;
    ended(&report, DEFENDER, Failed, Some(Reason::ServerError));
    ended(&report, ELASTIC, Published, None);
    ended(&report, OTHER, Published, None);
    assert_eq!(report.exit_code(), 3);
    world.converges().await;

    world.inject(FaultRule::always(Pattern::Any, fault("status-500")));
    assert_eq!(world.sync().await.exit_code(), 1, "every feed failed");
    world.converges().await;
}

#[tokio::test]
async fn verified_blobs_are_not_fetched_again_by_a_new_process_u59() {
    let mut world = World::new().await;
    world.connections = 1;
    world.retry.attempts = 1;
    world.settings.feeds.truncate(1);
    let mut wanted = 10;
    while wanted > 1 {
        world.sim.clear_faults();
        let plan = world.engine().plan_sync(&SyncRequest::default()).await.unwrap();
        assert_eq!((plan[0].files.len(), plan[0].held_files), (wanted, 10 - wanted));
        let next = plan[0].files[1].location.replace(&world.sim.elastic_url(), "");
        world.inject(FaultRule::always(next.parse::<Pattern>().unwrap(), fault("status-500")));
        let report = world.sync().await;
        ended(&report, ELASTIC, Failed, Some(Reason::ServerError));
        wanted -= 1;
    }
    world.converges().await;
    let log = world.sim.log();
    let release = world.sim.elastic_release("9.0.0").unwrap();
    for artifact in &release.artifacts {
        let whole = log.iter().filter(|entry| entry.target == artifact.relative_url && entry.status == 200).count();
        // One more is the comparison's, which has a store of its own.
        assert_eq!(whole, 2, "{}", artifact.relative_url);
    }
}

#[tokio::test]
async fn a_failure_is_not_made_good_by_a_304() {
    let world = World::new().await;
    world.sync().await;
    world.publish();
    world.inject(FaultRule::always(Kind::Artifact(0), fault("other-bytes")));
    for _ in 0..3 {
        ended(&world.sync().await, ELASTIC, Failed, Some(Reason::HashMismatch));
    }
    world.sim.clear_faults();
    ended(&world.sync().await, ELASTIC, Published, None);
    ended(&world.sync().await, ELASTIC, Current, None);
}

#[tokio::test]
async fn a_cut_at_any_byte_is_shrugged_off_u01() {
    let world = World::new().await;
    world.sync().await;
    for byte in (0..2048).step_by(163) {
        world.publish();
        world.inject(FaultRule::once(Pattern::Artifacts, Fault::Reset(Point::Byte(byte))));
        ended(&world.sync().await, ELASTIC, Published, None);
    }
    world.converges().await;
}
