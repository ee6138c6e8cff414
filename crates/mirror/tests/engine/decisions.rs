//! What is weighed: regressions, equivocation, leaps, shrunk sets; and the operator's word.

use mirror::{EngineError, SyncReport};
use model::Outcome::{Current, Failed, Held, Published, Quarantined};
use model::{Reason, ReleaseState};
use vendor_sim::{ArtifactUrls, Change, DefenderChange, DefenderTarget, FaultRule, Kind, Step};

use crate::upstream::fault;
use crate::world::{Build, DEFENDER, ELASTIC, OTHER, World, ended, id, line};

async fn synced() -> World {
    let world = World::new().await;
    world.sync().await;
    world
}

fn offered(report: &SyncReport, feed: &str) -> String {
    line(report, feed).release.unwrap().to_string()
}

async fn state(world: &World, release: &str) -> ReleaseState {
    world.engine().find_release(release).await.unwrap().state
}

/// A release of Elastic's that must not be served by itself.
async fn quarantined(change: Change, reason: Reason) -> (World, String) {
    let world = synced().await;
    world.publish();
    world.sync().await;
    let before = world.tree().await;
    world.sim.publish_elastic("9.0.0", change).unwrap();
    let report = world.sync().await;
    ended(&report, ELASTIC, Quarantined, Some(reason));
    assert_eq!(report.exit_code(), 3);
    assert_eq!(world.tree().await, before, "I5");
    let release = offered(&report, ELASTIC);
    assert_eq!(state(&world, &release).await, ReleaseState::Quarantined);
    let status = world.engine().status().await.unwrap();
    assert_eq!(status.quarantined.len(), 1);
    (world, release)
}

fn suspects() -> [(Change, Reason); 4] {
    [
        (Change::regress(), Reason::VersionRegression),
        (Change::same_version(), Reason::SameVersionOtherBytes),
        (Change::leap(), Reason::VersionLeap),
        (Change::shrink(9), Reason::SetShrank),
    ]
}

#[tokio::test]
async fn what_is_suspect_waits_and_is_admitted_by_word_u38_u39_u40_u52() {
    for (change, reason) in suspects() {
        let (world, release) = quarantined(change, reason).await;
        world.may_go_back();
        let act = world.engine().admit(&release, "the vendor says so").await.unwrap();
        assert_eq!(act.outcome, Published, "{reason}: {act:?}");
        let back = reason == Reason::VersionRegression;
        assert_eq!(act.detail.is_some(), back, "what is rolled back from is told: {act:?}");
        world.walk().await;
        ended(&world.sync().await, ELASTIC, Current, None);
        assert_eq!(world.tree().await, world.unfaulted().await, "{reason}");
        let status = world.engine().status().await.unwrap();
        let feed = status.feeds.iter().find(|feed| feed.feed.as_str() == ELASTIC).unwrap();
        assert_eq!(feed.mark, feed.offered, "admit sets the mark, even backwards");
        assert!(status.quarantined.is_empty());
        // From there it goes on as ever.
        let next = if reason == Reason::VersionLeap { 1_000_500 } else { 1100 };
        world.sim.publish_elastic("9.0.0", Change { step: Step::To(next), ..Change::of(1) }).unwrap();
        let report = world.sync().await;
        ended(&report, ELASTIC, Published, None);
        let again = world.engine().admit(&offered(&report, ELASTIC), "twice").await;
        assert!(matches!(again, Err(EngineError::NotNow(_))), "{again:?}");
    }
}

#[tokio::test]
async fn what_is_suspect_is_rejected_by_word_u38_u39_u40_u52() {
    for (change, reason) in suspects() {
        let (world, release) = quarantined(change, reason).await;
        let before = world.tree().await;
        let mark = mark(&world).await;
        let act = world.engine().reject(&release, "not ours").await.unwrap();
        assert_eq!((act.outcome, act.state), (Current, ReleaseState::Rejected), "{reason}");
        assert_eq!(state(&world, &release).await, ReleaseState::Rejected);
        let generation = world.generation().await.unwrap();
        assert_eq!(act.generation, Some(generation.number), "the ring remembers it");
        assert_eq!(
            generation.feeds[&id(ELASTIC)].denied.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [release]
        );
        for _ in 0..2 {
            let report = world.sync().await;
            ended(&report, ELASTIC, Current, Some(Reason::RejectedBefore));
            assert_eq!(report.exit_code(), 0, "{report:#?}");
        }
        assert_eq!(world.tree().await, before);
        assert_eq!(self::mark(&world).await, mark, "reject leaves the mark");
    }
}

async fn mark(world: &World) -> Option<String> {
    let status = world.engine().status().await.unwrap();
    let feed = status.feeds.into_iter().find(|feed| feed.feed.as_str() == ELASTIC).unwrap();
    feed.mark.map(|mark| mark.to_string())
}

#[tokio::test]
async fn a_rejection_outlives_the_validator() {
    let (world, release) = quarantined(Change::regress(), Reason::VersionRegression).await;
    world.engine().reject(&release, "not ours").await.unwrap();
    world.inject(FaultRule::once(Kind::Manifest, fault("html")));
    world.sync().await;
    world.sim.clear_faults();
    let report = world.sync().await;
    ended(&report, ELASTIC, Current, Some(Reason::RejectedBefore));
    // A mistake can be undone.
    world.may_go_back();
    assert_eq!(world.engine().admit(&release, "it was ours").await.unwrap().outcome, Published);
    world.walk().await;
}

#[tokio::test]
async fn a_newer_good_release_overtakes_a_quarantine_u38_u40() {
    for (change, reason) in [suspects()[0].clone(), suspects()[1].clone(), suspects()[3].clone()] {
        let (world, release) = quarantined(change, reason).await;
        world.sim.publish_elastic("9.0.0", Change { step: Step::To(2000), added: 9, ..Change::of(1) }).unwrap();
        let report = world.sync().await;
        ended(&report, ELASTIC, Published, None);
        assert_eq!(world.serves(ELASTIC).await.as_deref(), Some("1.0.2000"), "{reason}");
        assert_eq!(state(&world, &release).await, ReleaseState::Quarantined, "kept until somebody decides");
        assert_eq!(world.tree().await, world.unfaulted().await);
    }
}

#[tokio::test]
async fn a_leap_that_was_not_admitted_does_not_shut_out_what_follows_u40() {
    let (world, _) = quarantined(Change::leap(), Reason::VersionLeap).await;
    world.sim.publish_elastic("9.0.0", Change { step: Step::To(1060), ..Change::of(1) }).unwrap();
    ended(&world.sync().await, ELASTIC, Published, None);
}

#[tokio::test]
async fn going_back_with_the_vendor_u38() {
    let world = synced().await;
    let first = world.serves(DEFENDER).await;
    world.publish();
    world.sync().await;
    let second = world.serves(DEFENDER).await;
    world.sim.publish_defender(DefenderTarget::All, DefenderChange::step(Step::Back(1))).unwrap();
    let report = world.sync().await;
    ended(&report, DEFENDER, Quarantined, Some(Reason::VersionRegression));
    assert_eq!(world.serves(DEFENDER).await, second);
    world.may_go_back();
    let act = world.engine().admit(&offered(&report, DEFENDER), "the vendor withdrew it").await.unwrap();
    assert_eq!(act.outcome, Published);
    world.walk().await;
    assert_eq!(world.serves(DEFENDER).await, first);
    ended(&world.sync().await, DEFENDER, Current, None);
    world.sim.publish_defender(DefenderTarget::All, DefenderChange::step(Step::To(600))).unwrap();
    ended(&world.sync().await, DEFENDER, Published, None);
}

#[tokio::test]
async fn the_same_manifest_coming_back_after_a_fault_is_current_u38_u39() {
    let world = synced().await;
    for (name, reason) in [
        ("manifest-older-version", Reason::VersionRegression),
        ("manifest-other-content", Reason::SameVersionOtherBytes),
        ("manifest-leap", Reason::VersionLeap),
        ("manifest-shrunk", Reason::SameVersionOtherBytes),
        ("manifest-empty", Reason::SameVersionOtherBytes),
    ] {
        let before = world.tree().await;
        world.inject(FaultRule::always(Kind::Manifest, fault(name)));
        let report = world.sync().await;
        ended(&report, ELASTIC, Quarantined, Some(reason));
        assert_eq!(world.tree().await, before);
        world.converges().await;
        ended(&world.sync().await, ELASTIC, Current, None);
    }
}

#[tokio::test]
async fn an_empty_first_manifest_is_not_served_u52() {
    let world = World::new().await;
    world.inject(FaultRule::always(Kind::Manifest, fault("manifest-empty")));
    let report = world.sync().await;
    ended(&report, ELASTIC, Quarantined, Some(Reason::SetShrank));
    assert_eq!(world.serves(ELASTIC).await, None);
    world.converges().await;
}

/// The operator may think better of a rejection: collecting in between does not take the bytes.
#[tokio::test]
async fn what_was_rejected_of_late_survives_a_collection() {
    let (world, release) = quarantined(Change::leap(), Reason::VersionLeap).await;
    world.engine().reject(&release, "not announced").await.unwrap();
    world.engine().collect().await.unwrap();
    assert_eq!(world.engine().admit(&release, "announced after all").await.unwrap().outcome, Published);
    world.walk().await;
}

/// Damage shows on the feed until a run has fetched the bytes again.
#[tokio::test]
async fn damage_stands_on_its_feed_until_it_is_healed_s16() {
    let world = synced().await;
    let found =
        world.engine().held().await.unwrap().into_iter().find(|found| found.release.feed == id(ELASTIC)).unwrap();
    world.ports.memory.rot(found.release.items[0].digest, "other bytes");
    world.engine().verify(&[found], &|_| ()).await.unwrap();
    let record = world.ports.catalog.feed(&id(ELASTIC)).await.unwrap().unwrap();
    assert_eq!((record.outcome, record.reason), (Failed, Some(Reason::BlobDamaged)));
    ended(&world.sync().await, ELASTIC, Current, None);
    world.walk().await;
}

/// What was quarantined stays so when the operator goes back behind the version that it was compared with.
#[tokio::test]
async fn a_quarantine_outlives_a_rollback_u39() {
    let world = synced().await;
    let first = world.generation().await.unwrap().feeds[&id(ELASTIC)].release.to_string();
    world.publish();
    world.sync().await;
    world.sim.publish_elastic("9.0.0", Change::same_version()).unwrap();
    ended(&world.sync().await, ELASTIC, Quarantined, Some(Reason::SameVersionOtherBytes));
    world.may_go_back();
    world.engine().admit(&first, "while we ask the vendor").await.unwrap();
    for _ in 0..2 {
        ended(&world.sync().await, ELASTIC, Quarantined, Some(Reason::SameVersionOtherBytes));
        assert_eq!(world.generation().await.unwrap().feeds[&id(ELASTIC)].release.to_string(), first);
    }
}

#[tokio::test]
async fn acts_name_releases_that_are_there() {
    let world = synced().await;
    for text in ["999", "ffffffffffff", "", "../x", "\u{1b}[0m"] {
        let found = world.engine().admit(text, "").await;
        assert!(matches!(found, Err(EngineError::NoSuchRelease(_))), "{text}: {found:?}");
    }
    let served = world.generation().await.unwrap().feeds.into_values().next().unwrap().release.to_string();
    let rejected = world.engine().reject(&served, "").await;
    assert!(matches!(rejected, Err(EngineError::NotNow(_))), "what is served is not rejected: {rejected:?}");
}

/// Two versions that share addresses whose bytes change.
pub(crate) async fn fixed() -> World {
    let mut build = Build::default();
    build.sim.elastic.urls = ArtifactUrls::Fixed;
    let world = build.start().await;
    world.seen.lock().unwrap().fixed = true;
    world.sync().await;
    world
}

#[tokio::test]
async fn feeds_that_share_addresses_move_together() {
    let world = fixed().await;
    for _ in 0..3 {
        world.publish();
        let report = world.sync().await;
        for feed in [ELASTIC, OTHER] {
            ended(&report, feed, Published, None);
        }
        assert_eq!(report.feeds.len(), 3);
        assert!(!report.lost_grace.is_empty(), "fixed addresses lose their grace, and it is told");
        assert_eq!(world.tree().await, world.unfaulted().await);
    }
    // One comes late: the other waits for it, and goes with it.
    world.publish();
    world.inject(FaultRule::always(
        "/artifacts-8.18.3.zip".parse::<vendor_sim::Pattern>().unwrap(),
        fault("status-500"),
    ));
    let report = world.sync().await;
    ended(&report, ELASTIC, Held, Some(Reason::PathConflict));
    ended(&report, OTHER, Failed, Some(Reason::ServerError));
    ended(&world.sync().await, ELASTIC, Held, Some(Reason::PathConflict));
    world.sim.clear_faults();
    world.sync().await;
    assert_eq!(world.tree().await, world.unfaulted().await);
    for feed in [ELASTIC, OTHER] {
        ended(&world.sync().await, feed, Current, None);
    }
}

#[tokio::test]
async fn a_path_conflict_waits_for_the_operator() {
    let world = fixed().await;
    let before = world.tree().await;
    world.sim.publish_elastic("9.0.0", Change::of(1)).unwrap();
    let report = world.sync().await;
    ended(&report, ELASTIC, Held, Some(Reason::PathConflict));
    assert_eq!(report.exit_code(), 0);
    assert_eq!(world.tree().await, before);
    ended(&world.sync().await, ELASTIC, Held, Some(Reason::PathConflict));
    let version = world.serves(ELASTIC).await;
    world.seen.lock().unwrap().taken = true;
    let act = world.engine().admit(&offered(&report, ELASTIC), "the newer bytes are right").await.unwrap();
    assert_eq!(act.outcome, Published);
    assert_ne!(world.serves(ELASTIC).await, version);
    ended(&world.sync().await, ELASTIC, Current, None);
}
