//! Trees that a person brought.

use std::fs;
use std::path::Path;

use mirror::{EngineError, SyncRequest};
use model::Outcome::{Current, Failed, Published, Quarantined};
use model::{Attestation, Reason};
use tempfile::TempDir;
use vendor_sim::{Change, ElasticTarget};

use crate::world::{DEFENDER, ELASTIC, OTHER, World, ended, id, line};

/// What the vendor page's one-liner and Microsoft's script make of today's releases.
pub(crate) fn tree(world: &World) -> TempDir {
    let folder = TempDir::new().unwrap();
    world.sim.write_elastic_tree(folder.path(), "9.0.0").unwrap();
    world.sim.write_elastic_tree(folder.path(), "8.18.3").unwrap();
    world.sim.write_defender_tree(folder.path()).unwrap();
    folder
}

const PLACE: &str = "linux/production/arch_x86_64";

#[tokio::test]
async fn a_folder_is_proven_like_any_origin_and_no_network_is_touched() {
    let world = World::on_files().await;
    let folder = tree(&world);
    world.sim.reset_counters();
    let report = world.sync_from(folder.path()).await;
    for feed in [ELASTIC, OTHER, DEFENDER] {
        ended(&report, feed, Published, None);
        let id = line(&report, feed).release.unwrap();
        let release = world.ports.catalog.release(&id).await.unwrap().unwrap().release;
        assert_eq!(release.verdict.trust.attested_by, Attestation::Folder);
        assert_eq!(release.provenance.folder.as_deref(), folder.path().to_str());
    }
    assert_eq!(world.sim.requests().requests, 0);
    assert_eq!(world.tree().await, world.unfaulted().await);
    ended(&world.sync_from(folder.path()).await, ELASTIC, Current, None);
    // The vendor's host then offers the same.
    let report = world.sync().await;
    for feed in [ELASTIC, OTHER, DEFENDER] {
        ended(&report, feed, Current, None);
    }
}

#[tokio::test]
async fn a_policy_that_changed_counts_for_what_came_from_a_folder() {
    let mut world = World::new().await;
    world.settings.vendors.elastic.keys = trust::KeyRing::empty().into();
    let folder = tree(&world);
    ended(&world.sync_from(folder.path()).await, ELASTIC, Published, None);
    world.settings.vendors.elastic.signature = vendors::elastic::SignatureMode::Require;
    ended(&world.sync().await, ELASTIC, Failed, Some(Reason::SignatureUnverified));
    ended(&world.sync_from(folder.path()).await, ELASTIC, Failed, Some(Reason::SignatureUnverified));
}

/// What the script leaves behind when its own download failed: it exits 0 all the same.
#[tokio::test]
async fn a_folder_that_microsofts_script_damaged_u08_u09() {
    let world = World::new().await;
    world.sync().await;
    let before = world.tree().await;
    world.publish();
    let folder = tree(&world);
    let place = folder.path().join(PLACE);
    let good = fs::read(place.join("updates.zip")).unwrap();
    let companion = fs::read(place.join("manifest.json")).unwrap();
    let damage: [(&str, &[u8], Reason); 7] = [
        ("updates.zip", b"<!DOCTYPE html><html>Sign in</html>", Reason::BadZip),
        ("updates.zip", b"", Reason::BadZip),
        ("updates.zip", &good[..good.len() / 2], Reason::BadZip),
        ("manifest.json", b"", Reason::BadCompanion),
        ("manifest.json", b"{\"EngineVersion\":\"\",\"DefinitionVersion\":\"\"}", Reason::BadCompanion),
        ("manifest.json", b"<html>", Reason::BadCompanion),
        ("manifest.json", b"null", Reason::BadCompanion),
    ];
    for (name, bytes, reason) in damage {
        fs::write(place.join(name), bytes).unwrap();
        let report = world.sync_from(folder.path()).await;
        ended(&report, DEFENDER, Failed, Some(reason));
        for (path, bytes) in before.iter().filter(|(path, _)| path.starts_with("/linux")) {
            assert_eq!(world.tree().await.get(path), Some(bytes));
        }
        fs::write(place.join("updates.zip"), &good).unwrap();
        fs::write(place.join("manifest.json"), &companion).unwrap();
    }
    for name in ["updates.zip", "manifest.json"] {
        let bytes = fs::read(place.join(name)).unwrap();
        fs::remove_file(place.join(name)).unwrap();
        ended(&world.sync_from(folder.path()).await, DEFENDER, Failed, Some(Reason::NotInFolder));
        fs::write(place.join(name), bytes).unwrap();
    }
    ended(&world.sync_from(folder.path()).await, DEFENDER, Published, None);
    assert_eq!(world.tree().await, world.unfaulted().await);
}

#[tokio::test]
async fn a_copy_that_lacks_or_altered_an_artifact_u05_u13() {
    let world = World::new().await;
    world.sync().await;
    world.publish();
    let folder = tree(&world);
    let artifact = world.sim.elastic_release("9.0.0").unwrap().artifacts[0].clone();
    let path = folder.path().join(artifact.relative_url.trim_start_matches('/'));
    let bytes = fs::read(&path).unwrap();
    let version = world.serves(ELASTIC).await;
    let mut flipped = bytes.clone();
    flipped[100] ^= 1;
    for (found, reason) in [
        (Some(&flipped[..]), Reason::HashMismatch),
        (Some(&bytes[1..]), Reason::SizeMismatch),
        (None, Reason::NotInFolder),
    ] {
        match found {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        ended(&world.sync_from(folder.path()).await, ELASTIC, Failed, Some(reason));
        assert_eq!(world.serves(ELASTIC).await, version);
    }
    fs::write(&path, bytes).unwrap();
    ended(&world.sync_from(folder.path()).await, ELASTIC, Published, None);
}

#[cfg(unix)]
#[tokio::test]
async fn links_in_a_folder_are_not_followed_s20() {
    let world = World::new().await;
    let folder = tree(&world);
    let archive = folder.path().join(PLACE).join("updates.zip");
    let elsewhere = TempDir::new().unwrap();
    fs::rename(&archive, elsewhere.path().join("x.zip")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("x.zip"), &archive).unwrap();
    ended(&world.sync_from(folder.path()).await, DEFENDER, Failed, Some(Reason::UnsafeFile));
}

/// The very release that was served before, brought again: known, and still a step back.
#[tokio::test]
async fn an_older_tree_is_a_regression_u38() {
    let world = World::new().await;
    let folder = tree(&world);
    world.sync_from(folder.path()).await;
    let (first, tree_then) = (world.serves(DEFENDER).await, world.tree().await);
    world.publish();
    world.sync().await;
    let before = world.tree().await;
    let report = world.sync_from(folder.path()).await;
    for feed in [ELASTIC, OTHER, DEFENDER] {
        ended(&report, feed, Quarantined, Some(Reason::VersionRegression));
    }
    assert_eq!(world.tree().await, before);
    for feed in [ELASTIC, OTHER, DEFENDER] {
        world.may_go_back();
        let release = line(&report, feed).release.unwrap().to_string();
        let act = world.engine().admit(&release, "we go back").await.unwrap();
        assert_eq!(act.outcome, Published, "{feed}: {act:?}");
        world.walk().await;
    }
    assert_eq!((world.serves(DEFENDER).await, world.tree().await), (first.clone(), tree_then));
    // What was rolled back from does not come back by itself; what is newer does.
    for _ in 0..2 {
        let report = world.sync().await;
        for feed in [ELASTIC, OTHER, DEFENDER] {
            ended(&report, feed, Current, Some(Reason::RejectedBefore));
        }
    }
    assert_eq!(world.serves(DEFENDER).await, first);
    assert_eq!(world.generation().await.unwrap().feeds[&id(DEFENDER)].back, None);
    world.publish();
    world.converges().await;
}

#[tokio::test]
async fn a_step_back_to_what_back_serves_can_be_declined_u38() {
    let world = World::new().await;
    let folder = tree(&world);
    world.sync_from(folder.path()).await;
    world.publish();
    world.sync().await;
    let release = line(&world.sync_from(folder.path()).await, DEFENDER).release.unwrap();
    assert_eq!(world.generation().await.unwrap().feeds[&id(DEFENDER)].back, Some(release));
    let before = world.generation().await;
    let act = world.engine().reject(&release.to_string(), "not that one").await.unwrap();
    assert_eq!((act.outcome, act.generation), (Current, None));
    assert_eq!(world.generation().await, before, "it is the offer that is declined");
    let again = world.engine().reject(&release.to_string(), "twice").await;
    assert!(matches!(again, Err(EngineError::NotNow(_))), "{again:?}");
    ended(&world.sync().await, DEFENDER, Current, None);
    world.publish();
    world.converges().await;
}

#[tokio::test]
async fn folders_that_hold_nothing_that_is_followed() {
    let world = World::new().await;
    let empty = TempDir::new().unwrap();
    let other = TempDir::new().unwrap();
    let name = other.path().join("downloads/endpoint/manifest/artifacts-1.2.3.zip");
    fs::create_dir_all(name.parent().unwrap()).unwrap();
    fs::write(name, b"x").unwrap();
    for folder in [empty.path(), other.path(), Path::new("/nonexistent/folder")] {
        let request = SyncRequest { from: Some(folder.to_owned()), ..SyncRequest::default() };
        let error = world.try_sync(&request).await.unwrap_err();
        assert!(matches!(error, EngineError::Folder(_)), "{error}");
        assert_eq!(error.reason(), Reason::NotInFolder);
    }
}

const DATED: &str = "elastic/8.18.3@2026-01-15";
const FIRST: &str = "/downloads/endpoint/manifest/artifacts-8.18.3-2026-01-15.zip";
const SECOND: &str = "/downloads/endpoint/manifest/2026-01-15/artifacts-8.18.3.zip";

fn dated() -> ElasticTarget {
    DATED.trim_start_matches("elastic/").parse().unwrap()
}

/// A mirror of the dated manifest alone, which took it from this folder.
async fn brought() -> (World, TempDir) {
    let mut world = World::with_dated(DATED.trim_start_matches("elastic/").split_once('@').unwrap()).await;
    world.settings.feeds = vec![id(DATED)];
    let folder = TempDir::new().unwrap();
    world.sim.write_elastic_tree(folder.path(), dated()).unwrap();
    ended(&world.sync_from(folder.path()).await, DATED, Published, None);
    (world, folder)
}

/// Whether something stands at the two paths, not for its grace alone.
async fn stands(world: &World) -> [bool; 2] {
    let routes = world.generation().await.unwrap().routes;
    [FIRST, SECOND].map(|path| routes.get(&path.parse().unwrap()).is_some_and(|route| route.until.is_none()))
}

#[tokio::test]
async fn a_manifest_is_served_at_each_path_where_it_lies_and_moves_with_it() {
    let (mut world, folder) = brought().await;
    let place = |path: &str| folder.path().join(path.trim_start_matches('/'));
    assert_eq!(stands(&world).await, [true, false]);
    // Endpoints ask at another path: the next copy has it there, too.
    fs::create_dir_all(place(SECOND).parent().unwrap()).unwrap();
    fs::copy(place(FIRST), place(SECOND)).unwrap();
    for outcome in [Published, Current] {
        ended(&world.sync_from(folder.path()).await, DATED, outcome, None);
        assert_eq!(stands(&world).await, [true, true]);
    }
    fs::remove_file(place(FIRST)).unwrap();
    ended(&world.sync_from(folder.path()).await, DATED, Published, None);
    assert_eq!(stands(&world).await, [false, true]);
    // The vendor has the very bytes, where they were first.
    world.settings.vendors.elastic.dated_templates =
        vec!["/downloads/endpoint/manifest/artifacts-{version}-{date}.zip".to_owned()];
    for outcome in [Published, Current] {
        ended(&world.sync().await, DATED, outcome, None);
        assert_eq!(stands(&world).await, [true, false]);
    }
    // Other bytes under the version are what they were before.
    world.sim.publish_elastic(dated(), Change::same_version()).unwrap();
    ended(&world.sync().await, DATED, Quarantined, Some(Reason::SameVersionOtherBytes));
}

/// What is whole at one path is taken, whatever is wrong with a file at another.
#[tokio::test]
async fn a_file_that_is_no_manifest_hides_none_that_lies_elsewhere() {
    let (world, folder) = brought().await;
    let place = |path: &str| folder.path().join(path.trim_start_matches('/'));
    fs::create_dir_all(place(SECOND).parent().unwrap()).unwrap();
    fs::write(place(SECOND), vec![0; (1 << 20) + 1]).unwrap();
    ended(&world.sync_from(folder.path()).await, DATED, Current, None);
    assert_eq!(stands(&world).await, [true, false]);
}

#[tokio::test]
async fn of_two_manifests_of_a_feed_in_a_folder_the_newest_counts() {
    let (world, folder) = brought().await;
    let place = |path: &str| folder.path().join(path.trim_start_matches('/'));
    // A copy of a mirror has what was superseded, too, for as long as its grace lasts there.
    let superseded = fs::read(place(FIRST)).unwrap();
    world.sim.publish_elastic(dated(), Change::of(1)).unwrap();
    world.sim.write_elastic_tree(folder.path(), dated()).unwrap();
    fs::create_dir_all(place(SECOND).parent().unwrap()).unwrap();
    fs::rename(place(FIRST), place(SECOND)).unwrap();
    fs::write(place(FIRST), superseded).unwrap();
    for outcome in [Published, Current] {
        ended(&world.sync_from(folder.path()).await, DATED, outcome, None);
        assert_eq!(
            world.serves(DATED).await,
            Some(world.sim.elastic_release(dated()).unwrap().manifest_version.clone())
        );
        assert_eq!(stands(&world).await, [false, true]);
    }
}
