//! Faults of ranges and validators, and vendors that publish while they are read.

use model::Outcome::{Current, Failed, Published, Quarantined};
use model::Reason;
use vendor_sim::{Change, DefenderTarget, Fault, FaultRule, Kind, Pattern, Point, Times};
use vendors::elastic::SignatureMode;

use crate::upstream::{fault, refused};
use crate::world::{Build, DEFENDER, ELASTIC, World, ended, line};

/// Artifacts large enough to be resumed, one feed each.
fn large() -> Build {
    let mut build = Build::default();
    build.sim.elastic.artifacts = 2;
    build.sim.elastic.artifact_size = 3 << 20;
    build.sim.defender.archive_size = 2 << 20;
    build.feeds = vec![ELASTIC, DEFENDER];
    build
}

const CUT: Fault = Fault::Reset(Point::Half);

#[tokio::test]
async fn a_cut_file_goes_on_where_it_was_cut_i6() {
    let world = large().start().await;
    for kind in [Kind::Artifact(0), Kind::Archive] {
        world.inject(FaultRule::once(kind, CUT));
    }
    let report = world.sync().await;
    ended(&report, ELASTIC, Published, None);
    ended(&report, DEFENDER, Published, None);
    let log = world.sim.log();
    for kind in [Kind::Artifact(0), Kind::Archive] {
        let asked: Vec<_> = log.iter().filter(|entry| entry.kind == kind).collect();
        assert_eq!(asked.iter().map(|entry| entry.status).collect::<Vec<_>>(), [200, 206], "{kind}");
        assert!(asked[1].header("range").is_some() && asked[1].header("if-range").is_some());
    }
    assert_eq!(world.tree().await, world.unfaulted().await);
}

#[tokio::test]
async fn a_cut_file_goes_on_in_another_process_i6() {
    let mut build = large();
    build.files = true;
    let mut world = build.start().await;
    world.retry.attempts = 1;
    world.inject(FaultRule::once(Kind::Artifact(0), CUT));
    world.inject(FaultRule::once(Kind::Archive, CUT));
    world.sync().await;
    world.reopen().await;
    world.sim.reset_counters();
    let report = world.sync().await;
    assert_eq!(report.exit_code(), 0, "{report:#?}");
    assert!(world.sim.requests().status(206) >= 2);
    assert_eq!(world.tree().await, world.unfaulted().await);
}

#[tokio::test]
async fn a_part_that_does_not_fit_is_discarded_u36() {
    for name in [
        "partial-wrong-offset",
        "partial-lying-offset",
        "partial-wrong-total",
        "partial-multipart",
        "partial-no-content-range",
    ] {
        let world = large().start().await;
        for kind in [Kind::Artifact(0), Kind::Archive] {
            world.inject(FaultRule::once(kind, CUT));
            world.inject(FaultRule::once(kind, fault(name)));
        }
        let report = world.sync().await;
        ended(&report, ELASTIC, Published, None);
        // The archive's digest is known to nobody: a part that lies about its place is found by the zip's structure.
        if name != "partial-lying-offset" {
            ended(&report, DEFENDER, Published, None);
        }
        world.converges().await;
    }
}

#[tokio::test]
async fn a_part_that_nobody_asked_for_is_refused_u36() {
    let world = World::new().await;
    refused(
        &world,
        &[
            ("manifest", "partial-unasked", Reason::BadRange),
            ("artifact#0", "partial-unasked", Reason::BadRange),
            ("archive", "partial-unasked", Reason::BadRange),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_whole_file_in_answer_to_a_range_is_taken_whole_u37() {
    let world = large().start().await;
    for kind in [Kind::Artifact(0), Kind::Archive] {
        world.inject(FaultRule::once(kind, CUT));
        world.inject(FaultRule { pattern: kind.into(), fault: fault("ignore-range"), times: Times::Always });
    }
    let report = world.sync().await;
    assert_eq!(report.exit_code(), 0, "{report:#?}");
    assert_eq!(world.tree().await, world.unfaulted().await);
}

#[tokio::test]
async fn a_release_that_comes_between_cut_and_resume_is_never_spliced_i4() {
    let mut world = large().start().await;
    world.retry.attempts = 1;
    world.inject(FaultRule::once(Kind::Archive, CUT));
    ended(&world.sync().await, DEFENDER, Failed, Some(Reason::ShortBody));
    world.sim.clear_faults();
    world.publish();
    ended(&world.sync().await, DEFENDER, Published, None);
    assert_eq!(world.tree().await, world.unfaulted().await);
}

#[tokio::test]
async fn a_manifest_that_is_replaced_while_it_is_followed_mixes_nothing_u34() {
    // Alone, so that no other manifest names what this one drops.
    let mut build = Build { feeds: vec![ELASTIC], ..Build::default() };
    build.sim.elastic.versions.truncate(1);
    let world = build.start().await;
    world.sync().await;
    for _ in 0..3 {
        world.publish();
        let before = world.serves(ELASTIC).await;
        world.inject(FaultRule::once("/artifacts-9.0.0.zip".parse::<Pattern>().unwrap(), fault("replaced-meanwhile")));
        let report = world.sync().await;
        // Its artifacts are gone, so this one cannot be had any more.
        ended(&report, ELASTIC, Failed, Some(Reason::ArtifactMissing));
        assert_eq!(world.serves(ELASTIC).await, before);
        world.converges().await;
    }
}

#[tokio::test]
async fn not_modified_without_a_question_u42() {
    let world = World::new().await;
    world.inject(FaultRule::always(Pattern::Any, fault("not-modified")));
    let report = world.sync().await;
    for feed in [ELASTIC, DEFENDER] {
        ended(&report, feed, Failed, Some(Reason::UnexpectedNotModified));
        assert_eq!(world.serves(feed).await, None);
    }
    assert_eq!(report.exit_code(), 1);
    world.converges().await;
}

#[tokio::test]
async fn validators_are_never_taken_for_identity_u44_u45() {
    for name in ["no-validators", "etag-weak", "etag-empty", "etag-unquoted", "etag-huge", "etag-same", "etag-dashed"] {
        let world = World::new().await;
        world.inject(FaultRule::always(Pattern::Any, fault(name)));
        assert_eq!(world.sync().await.exit_code(), 0, "{name}");
        assert_eq!(world.tree().await, world.unfaulted().await, "{name}");
        ended(&world.sync().await, ELASTIC, Current, None);
        world.publish();
        let report = world.sync().await;
        ended(&report, DEFENDER, Published, None);
        // A host that says 304 for everything is believed until it says something else; nothing is mixed.
        let outcome = if name == "etag-same" { Current } else { Published };
        assert_eq!(line(&report, ELASTIC).outcome, outcome, "{name}");
        world.converges().await;
    }
}

#[tokio::test]
async fn a_host_that_says_304_for_ever_is_believed_and_shown_as_frozen_u41() {
    let world = World::new().await;
    world.sync().await;
    let status = |world: &World| {
        let engine = world.engine();
        async move { engine.status().await.unwrap().feeds.into_iter().find(|feed| feed.feed.as_str() == ELASTIC).unwrap() }
    };
    let first = status(&world).await;
    for _ in 0..3 {
        world.clock.advance(crate::world::DAY);
        ended(&world.sync().await, ELASTIC, Current, None);
    }
    let last = status(&world).await;
    assert_eq!(last.changed_at, first.changed_at, "what the vendor offers is as old as it was");
    assert!(last.succeeded_at > first.succeeded_at);
}

#[tokio::test]
async fn an_info_that_does_not_fit_the_archive_u55() {
    let world = World::new().await;
    refused(
        &world,
        &[
            ("info", "info-other-version", Reason::VersionsDisagree),
            ("info", "info-no-versions", Reason::BadInfo),
            ("info", "info-not-xml", Reason::BadInfo),
            ("info", "info-wrong-root", Reason::BadInfo),
            ("info", "info-doctype", Reason::BadInfo),
        ],
    )
    .await;
    world.publish();
    world.inject(FaultRule::once(Kind::Info, fault("publish-after-info")));
    ended(&world.sync().await, DEFENDER, Published, None);
    let newest = world.sim.defender_release("linux/production/x86_64".parse().unwrap()).unwrap();
    assert_eq!(world.serves(DEFENDER).await, Some(newest.definitions.clone()));
    world.converges().await;
}

#[tokio::test]
async fn a_vendor_that_publishes_faster_than_it_can_be_read_u55() {
    let world = World::new().await;
    world.sync().await;
    let before = world.serves(DEFENDER).await;
    world.publish();
    world.inject(FaultRule::always(Kind::Info, fault("publish-after-info")));
    ended(&world.sync().await, DEFENDER, Failed, Some(Reason::VersionsDisagree));
    assert_eq!(world.serves(DEFENDER).await, before);
    world.converges().await;
}

#[tokio::test]
async fn damaged_archives_are_refused_c21_c23_c24_c25_c27_c28() {
    let world = World::new().await;
    refused(
        &world,
        &[
            ("archive", "archive-crc", Reason::MemberDamaged),
            ("archive", "archive-duplicate", Reason::BadZip),
            ("archive", "archive-stacked", Reason::BadZip),
            ("archive", "archive-trailing-bytes", Reason::BadZip),
            ("archive", "archive-traversal", Reason::BadZip),
            ("archive", "archive-encrypted", Reason::BadZip),
        ],
    )
    .await;
}

#[tokio::test]
async fn hostile_manifests_are_refused_whole_c01_to_c08_c10_c12_c13_c15_c17_c18_c41() {
    let world = World::new().await;
    refused(
        &world,
        &[
            ("manifest", "bad-path-c01", Reason::BadPath),
            ("manifest", "bad-path-c05", Reason::BadPath),
            ("manifest", "bad-path-c10", Reason::BadPath),
            ("manifest", "manifest-duplicate-keys", Reason::BadManifest),
            ("manifest", "manifest-deep-nesting", Reason::BadManifest),
            ("manifest", "manifest-missing-member", Reason::BadManifest),
            ("manifest", "manifest-stacked-zips", Reason::BadZip),
            ("manifest", "manifest-truncated", Reason::BadZip),
        ],
    )
    .await;
}

#[tokio::test]
async fn signatures_are_required_where_the_operator_says_so_c32_c33() {
    let mut world = World::new().await;
    world.settings.vendors.elastic.signature = SignatureMode::Require;
    refused(
        &world,
        &[
            ("manifest", "signature-missing", Reason::SignatureMissing),
            ("manifest", "signature-empty", Reason::SignatureUnverified),
            ("manifest", "signature-bad", Reason::SignatureUnverified),
            ("manifest", "signature-truncated", Reason::SignatureUnverified),
            ("manifest", "signature-of-another", Reason::SignatureUnverified),
            ("manifest", "signature-unknown-key", Reason::SignatureUnverified),
        ],
    )
    .await;
    let status = world.engine().status().await.unwrap();
    let served = status.feeds.iter().find(|feed| feed.feed.as_str() == ELASTIC).unwrap().served.clone().unwrap();
    let found = world.engine().find_release(&served.number.to_string()).await.unwrap().release;
    assert!(found.verdict.trust.to_string().starts_with("vendor-signed"), "{}", found.verdict.trust);
    assert!(found.provenance.key_id.is_some() && found.verdict.notes.is_empty());
}

#[tokio::test]
async fn a_policy_that_changed_makes_the_validator_unused() {
    let mut world = World::new().await;
    let keys = std::mem::replace(&mut world.settings.vendors.elastic.keys, trust::KeyRing::empty().into());
    let report = world.sync().await;
    ended(&report, ELASTIC, Published, None);
    let taken = world.ports.catalog.release(&line(&report, ELASTIC).release.unwrap()).await.unwrap().unwrap();
    assert_eq!(taken.release.verdict.notes[0].reason, Reason::SignatureUnverified, "it is taken and says so");
    let before = world.tree().await;

    world.settings.vendors.elastic.signature = SignatureMode::Require;
    world.sim.reset_counters();
    ended(&world.sync().await, ELASTIC, Failed, Some(Reason::SignatureUnverified));
    assert_eq!(world.sim.requests().status(304), 0, "the question was not conditional");
    assert_eq!(world.tree().await, before, "the last good release is served on");

    world.settings.vendors.elastic.keys = keys;
    ended(&world.sync().await, ELASTIC, Current, None);
    ended(&world.sync().await, ELASTIC, Current, None);
    assert_eq!(world.sim.requests().status(304), 2, "both feeds, once the policy stands");
}

#[tokio::test]
async fn a_quarantine_is_not_ended_by_a_304() {
    let world = World::new().await;
    world.sync().await;
    world.sim.publish_elastic("9.0.0", Change::regress()).unwrap();
    ended(&world.sync().await, ELASTIC, Quarantined, Some(Reason::VersionRegression));
    world.sim.reset_counters();
    for _ in 0..2 {
        let report = world.sync().await;
        ended(&report, ELASTIC, Quarantined, Some(Reason::VersionRegression));
        assert_eq!(report.exit_code(), 3);
        assert_eq!(line(&report, ELASTIC).requests, 1);
    }
    assert_eq!(world.sim.requests().status(304), 4);
    world.sim.publish_defender(DefenderTarget::All, Default::default()).unwrap();
    ended(&world.sync().await, DEFENDER, Published, None);
}
