use std::sync::Arc;
use std::time::Duration;

use settings::elastic::{Channel, System};
use vendor_sim::{Change, EtagFault, Fault, ManifestFault, Pattern, Step};

use super::world::{CANDIDATE, DATED, World, endpoint};
use crate::Unwatched;
use crate::case::StopAt;
use crate::elastic::{Asking, Outcome, Quirks, Snapshot, takes};

fn next() -> Change {
    Change { changed: 20, ..Change::default() }
}

#[tokio::test]
async fn an_upgrade_takes_what_changed_of_its_own_system_and_a_poll_costs_a_304() {
    let world = World::new();
    let first = world.poll().await;
    let Ok(Outcome::Applied { from: None, to, fetched, kept: 0, .. }) = &first.result else { panic!("{first:?}") };
    assert_eq!((to.as_str(), *fetched), ("1.0.1049", 15 + 1), "fourteen of Linux alone, two of every system");
    let again = world.poll().await;
    assert_eq!(again.result, Ok(Outcome::Current { version: "1.0.1049".to_owned() }));
    assert_eq!(world.vendor.log().last().unwrap().status, 304);

    world.vendor.publish_elastic("9.0.0", next()).unwrap();
    let upgrade = world.poll().await;
    let Ok(Outcome::Applied { from: Some(from), to, fetched, kept, .. }) = &upgrade.result else {
        panic!("{upgrade:?}")
    };
    assert_eq!((from.as_str(), to.as_str()), ("1.0.1049", "1.0.1050"));
    assert!(*fetched > 0 && *kept > 0, "{fetched} fetched, {kept} kept");
    assert!(world.whole());
    let files = std::fs::read_dir(world.folder.path().join("state/artifacts")).unwrap().count();
    assert_eq!(files, 16, "what nothing names is gone");
}

#[tokio::test]
async fn a_state_of_another_system_is_no_success() {
    let mut world = World::new();
    assert!(world.poll().await.result.is_ok());
    world.endpoint.os = System::Windows;
    world.manifest_fault(Fault::Status(503));
    let failed = world.poll().await;
    let applied = &failed.document.0["Endpoint"]["policy"]["applied"];
    assert_eq!((&applied["status"], applied["artifacts"]["global"].is_null()), (&"failure".into(), true), "{failed:?}");
    world.vendor.clear_faults();
    let other = world.poll().await;
    let Ok(Outcome::Applied { fetched, kept, .. }) = &other.result else { panic!("{other:?}") };
    assert!(*fetched > *kept && *kept > 0, "those of every system are kept, its own are fetched");
    let names = world.endpoint.store.applied().unwrap().unwrap().identifiers;
    assert!(names.iter().all(|one| takes(System::Windows, &one.name)), "{names:?}");
    assert!(matches!(world.poll().await.result, Ok(Outcome::Current { .. })));
}

#[tokio::test]
async fn one_bad_artifact_rejects_all_and_the_next_poll_is_no_304() {
    for fault in [Fault::OtherBytes, Fault::Status(404), Fault::ShortBody, Fault::Html, Fault::TooLong] {
        let world = World::new();
        assert!(world.poll().await.result.is_ok());
        world.vendor.publish_elastic("9.0.0", next()).unwrap();
        world.fault(fault.clone(), Pattern::Target("rules-linux".to_owned()));
        world.fault(fault.clone(), Pattern::Artifacts);
        let failed = world.poll().await;
        assert!(failed.result.is_err(), "{fault:?}: {failed:?}");
        assert_eq!(world.endpoint.store.applied().unwrap().unwrap().version, "1.0.1049");
        assert!(world.whole(), "{fault:?}");
        let actions = &failed.document.0["Endpoint"]["policy"]["applied"]["actions"][0];
        assert_eq!(actions["status"], "warning", "{failed:?}");

        world.vendor.clear_faults();
        let mended = world.poll().await;
        assert!(matches!(&mended.result, Ok(Outcome::Applied { to, .. }) if to == "1.0.1050"), "{mended:?}");
    }
}

#[tokio::test]
async fn a_manifest_that_the_keys_did_not_sign_is_refused_unless_that_is_assumed() {
    let mut world = World::new();
    for fault in [ManifestFault::SignatureUnknownKey, ManifestFault::SignatureMissing, ManifestFault::SignatureBad] {
        world.vendor.clear_faults();
        world.manifest_fault(Fault::Manifest(fault));
        assert!(world.poll().await.result.is_err());
        assert!(world.endpoint.store.applied().unwrap().is_none());
    }
    world.endpoint.assumptions.assume("signature=warn").unwrap();
    let taken = world.poll().await;
    assert!(taken.result.is_ok() && taken.notes.iter().any(|note| note.contains("signature")), "{taken:?}");
    assert_eq!(world.endpoint.store.applied().unwrap().unwrap().key, None);
}

#[tokio::test]
async fn the_policys_own_key_is_enough() {
    let mut world = World::new();
    world.endpoint.keys = None;
    assert!(world.poll().await.result.is_err(), "the built-in key is another");
    world.endpoint.policy.public_key = Some(world.vendor.public_key_pem().unwrap());
    assert!(world.poll().await.result.is_ok());
    assert!(world.endpoint.store.applied().unwrap().unwrap().key.is_some());
}

#[tokio::test]
async fn without_a_tag_nothing_new_is_taken_and_a_dash_is_refused_by_those_with_the_bug() {
    let mut world = World::new();
    world.manifest_fault(Fault::Etag(EtagFault::None));
    let failed = world.poll().await.result.unwrap_err();
    assert!(failed.detail.contains("no ETag"), "{failed}");
    world.vendor.clear_faults();
    world.manifest_fault(Fault::Etag(EtagFault::Dashed));
    world.endpoint.quirks = Quirks::Dash;
    let failed = world.poll().await.result.unwrap_err();
    assert!(failed.detail.contains("12382"), "{failed}");
    world.endpoint.quirks = Quirks::Mended;
    assert!(world.poll().await.result.is_ok());
}

#[tokio::test]
async fn asked_plainly_the_tag_is_compared() {
    let mut world = World::new();
    world.endpoint.assumptions.asking = Asking::Plain;
    assert!(matches!(world.poll().await.result, Ok(Outcome::Applied { .. })));
    assert!(matches!(world.poll().await.result, Ok(Outcome::Current { .. })));
    let last = world.vendor.log().pop().unwrap();
    assert_eq!(
        (last.status, last.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("if-none-match"))),
        (200, false)
    );
}

#[tokio::test]
async fn a_rollback_is_followed_as_any_other_manifest() {
    let world = World::new();
    assert!(world.poll().await.result.is_ok());
    world.vendor.publish_elastic("9.0.0", Change { step: Step::Back(3), ..next() }).unwrap();
    let back = world.poll().await;
    assert!(matches!(&back.result, Ok(Outcome::Applied { to, .. }) if to == "1.0.1046"), "{back:?}");
}

#[tokio::test]
async fn a_pinned_day_is_asked_for_where_it_is_assumed_to_lie() {
    let mut world = World::new();
    assert!(world.poll().await.result.is_ok());
    world.endpoint.policy.snapshot = Snapshot::Date("2026-01-15".to_owned());
    let unknown = world.poll().await;
    assert_eq!(unknown.result.unwrap_err().code, "path_unknown");
    let applied = &unknown.document.0["Endpoint"]["policy"]["applied"];
    assert_eq!(
        applied["actions"][0]["message"],
        "Global artifacts snapshot latest does not match target snapshot: 2026-01-15"
    );
    world.endpoint.assumptions.assume(DATED).unwrap();
    let pinned = world.poll().await;
    assert!(matches!(&pinned.result, Ok(Outcome::Applied { to, .. }) if to == "1.0.849"), "{pinned:?}");
    let global = &pinned.document.0["Endpoint"]["policy"]["applied"]["artifacts"]["global"];
    assert_eq!((global["snapshot"].as_str(), global["update_age"].as_u64()), (Some("2026-01-15"), Some(262)));
    world.endpoint.policy.snapshot = Snapshot::Latest;
    assert!(matches!(&world.poll().await.result, Ok(Outcome::Applied { to, .. }) if to == "1.0.1049"));
}

#[tokio::test]
async fn candidates_are_for_the_rapid_channel() {
    let mut world = World::new();
    world.endpoint.policy.channel = Channel::Rapid;
    let stable = world.poll().await;
    assert!(stable.notes.iter().any(|note| note.contains("not published")), "{stable:?}");
    world.endpoint.assumptions.assume(CANDIDATE).unwrap();
    let candidate = world.poll().await;
    assert!(matches!(&candidate.result, Ok(Outcome::Applied { to, .. }) if to == "1.0.1050"), "{candidate:?}");
    let global = &candidate.document.0["Endpoint"]["policy"]["applied"]["artifacts"]["global"];
    assert_eq!((global["manifest_type"].as_str(), global["channel"].as_str()), (Some("candidate"), Some("rapid")));
}

#[tokio::test]
async fn a_version_that_the_mirror_lacks_fails_and_says_so() {
    let mut world = World::new();
    world.endpoint.version = "9.9.9".to_owned();
    let failed = world.poll().await;
    assert_eq!(failed.result.unwrap_err().code, "not_found");
    let action = &failed.document.0["Endpoint"]["policy"]["applied"]["actions"][0];
    assert_eq!(action["status"], "failure");
}

#[tokio::test]
async fn the_age_counts_from_the_last_time_that_it_was_the_newest() {
    let world = World::new();
    assert!(world.poll().await.result.is_ok());
    world.clock.go(Duration::from_secs(5 * 86_400));
    world.manifest_fault(Fault::Status(503));
    let age = |report: &crate::elastic::Report| {
        report.document.0["Endpoint"]["policy"]["applied"]["artifacts"]["global"]["update_age"].as_u64()
    };
    assert_eq!(age(&world.poll().await), Some(5));
    world.vendor.clear_faults();
    assert_eq!(age(&world.poll().await), Some(0), "a 304 counts");
}

#[tokio::test]
async fn ended_at_any_step_it_has_the_old_artifacts_or_the_new_ones_whole() {
    let world = World::new();
    let base = world.folder.path().join("base");
    let first = endpoint(&base, &world.vendor, &world.clock, Arc::new(Unwatched));
    assert!(first.poll().await.unwrap().result.is_ok());
    world.vendor.publish_elastic("9.0.0", Change { changed: 28, ..Change::default() }).unwrap();
    let mut seen = (0, 0);
    // Every third step, and so each kind of step on both of its sides.
    for number in (0..).step_by(3) {
        let state = world.folder.path().join(format!("state-{number}"));
        copy(&base, &state);
        let stop = Arc::new(StopAt::at(number));
        let stopped = endpoint(&state, &world.vendor, &world.clock, stop).poll().await;
        let after = endpoint(&state, &world.vendor, &world.clock, Arc::new(Unwatched));
        assert_eq!(after.store.check().unwrap(), Vec::<String>::new(), "step {number}");
        match after.store.applied().unwrap().unwrap().version.as_str() {
            "1.0.1049" => seen.0 += 1,
            "1.0.1050" => seen.1 += 1,
            other => panic!("{other}"),
        }
        assert!(after.poll().await.unwrap().result.is_ok(), "step {number}");
        assert_eq!(after.store.applied().unwrap().unwrap().version, "1.0.1050");
        if stopped.is_ok() {
            break;
        }
    }
    assert!(seen.0 > 5 && seen.1 > 2, "both sides were met: {seen:?}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &there);
        } else {
            std::fs::copy(entry.path(), there).unwrap();
        }
    }
}
