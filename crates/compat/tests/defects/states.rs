//! Whose a state is, and what it says that the folder knows better.

use std::fs;
use std::path::Path;

use compat::{CompatError, Ended};
use model::Digest;
use vendor_sim::{Fault, FaultRule, Pattern};

use crate::stage::{Stage, x64};

#[tokio::test]
async fn another_installations_data_is_never_worked_on() {
    let stage = Stage::new();
    for elsewhere in [stage.folder.join("linux"), stage.state.join("other")] {
        let mut environment = stage.environment();
        environment.push(("WAYSTATION__DATA_DIR".to_owned(), elsewhere.display().to_string()));
        let refused = stage.run_in(&environment, &mut |_| ()).await.unwrap_err();
        assert!(matches!(refused, CompatError::Elsewhere { .. }) && refused.is_usage(), "{refused}");
        assert!(!elsewhere.exists() && stage.files().is_empty());
    }
}

#[tokio::test]
async fn state_is_never_shared() {
    let mut stage = Stage::new();
    for state in [stage.folder.join("state"), stage.folder.clone(), stage.folder.parent().unwrap().to_owned()] {
        stage.state = state;
        let refused = stage.run().await.unwrap_err();
        assert!(matches!(refused, CompatError::Nested { .. }) && refused.is_usage(), "{refused}");
    }
}

/// Neither is what is shared in or around what is another installation's, nor is the state.
#[tokio::test]
async fn nothing_lies_in_what_is_another_installations() {
    let mut stage = Stage::new();
    stage.settings.mac = false;
    stage.run().await.unwrap();
    let (folder, state, top) = (stage.folder.clone(), stage.state.clone(), stage.folder.with_file_name("top"));
    stage.state = stage.state.with_file_name("other");
    copy(&state.join("data"), &{
        fs::create_dir(&top).unwrap();
        top.join("var")
    });
    let ring = top.join("ring");
    fs::create_dir(&ring).unwrap();
    fs::write(ring.join(".waystation-tree"), "token 1").unwrap();
    let fresh = folder.with_file_name("fresh");
    for (shared, own) in [
        (&top, &stage.state.clone()),
        (&state, &stage.state.clone()),
        (&state.join("sub"), &stage.state.clone()),
        (&fresh, &ring.join("x")),
        (&fresh, &top.join("var/x")),
    ] {
        stage.settings.folder.clone_from(shared);
        stage.state.clone_from(own);
        let refused = stage.run().await.unwrap_err();
        assert!(matches!(refused, CompatError::Nested { .. } | CompatError::Tree(_)), "{refused}");
        assert!(!own.exists() && !shared.join("linux").exists(), "{refused}");
    }
}

#[tokio::test]
async fn a_folder_of_something_else_never_becomes_a_state() {
    let stage = Stage::new();
    fs::create_dir(&stage.state).unwrap();
    let file = stage.state.join("waystation.toml");
    fs::write(&file, "data_dir = \"/var/lib/waystation\"\n[elastic]\nversions = [\"9.0.0\"]\n").unwrap();
    let before = fs::read(&file).unwrap();
    let refused = stage.run().await.unwrap_err();
    assert!(matches!(refused, CompatError::Occupied { .. }) && refused.is_usage(), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), before);
    fs::remove_file(&file).unwrap();
    // Nor a data folder whose configuration lies elsewhere.
    for name in ["data", "catalog", "rings"] {
        fs::create_dir(stage.state.join(name)).unwrap();
        let refused = stage.run().await.unwrap_err();
        assert!(matches!(&refused, CompatError::Occupied { name: found, .. } if found == name), "{refused}");
        fs::remove_dir(stage.state.join(name)).unwrap();
    }
    assert!(!stage.folder.exists(), "nothing is made for a run that cannot be");
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    // What it can do without: the folder that was filled says whose the state is.
    fs::remove_file(&file).unwrap();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
}

#[tokio::test]
async fn a_state_is_one_folders_for_as_long_as_that_is_there() {
    let mut stage = Stage::new();
    stage.settings.mac = false;
    stage.run().await.unwrap();
    let (first, before) = (stage.folder.clone(), stage.files());
    stage.settings.folder = first.with_file_name("other");
    let refused = stage.run().await.unwrap_err();
    assert!(matches!(refused, CompatError::Filled { .. }) && refused.is_usage(), "{refused}");
    assert!(refused.to_string().contains(first.to_str().unwrap()), "{refused}");
    assert!(!stage.settings.folder.exists());
    // One that was moved is the same.
    fs::rename(&first, &stage.settings.folder).unwrap();
    stage.vendor.reset_counters();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    stage.folder = stage.settings.folder.clone();
    assert_eq!((stage.files(), stage.archives_fetched()), (before, 0));
}

/// Whoever moves the folder, or what lies in it, and says nothing of the state has it all the same.
#[tokio::test]
async fn a_folder_that_was_moved_keeps_its_state_and_what_was_gone_back_from() {
    let mut stage = Stage::new();
    stage.settings.mac = false;
    let states = stage.folder.with_file_name("states");
    fs::create_dir(&states).unwrap();
    stage.state = compat::state_among(&states, &stage.folder).unwrap();
    for _ in 0..2 {
        stage.publish();
        stage.run().await.unwrap();
    }
    let good = stage.vendor.defender_release(x64()).unwrap().definitions.clone();
    stage.publish();
    stage.run().await.unwrap();
    let engine = stage.engine().await;
    engine.admit(&stage.number_of(&engine, &good).await, "the newest is bad").await.unwrap();
    drop(engine);
    stage.run().await.unwrap();
    let (shown, state) = (stage.files(), stage.state.clone());
    let to = |stage: &mut Stage, name: &str| {
        stage.folder = stage.folder.with_file_name(name);
        stage.settings.folder.clone_from(&stage.folder);
    };
    // What lies in it, what is hidden left behind; then all of it.
    let first = stage.folder.clone();
    to(&mut stage, "second");
    fs::create_dir(&stage.folder).unwrap();
    assert_ne!(compat::state_among(&states, &stage.folder).unwrap(), state, "what has nothing of it is another");
    fs::rename(first.join("linux"), stage.folder.join("linux")).unwrap();
    for _ in 0..2 {
        stage.state = compat::state_among(&states, &stage.folder).unwrap();
        let (ended, told) = stage.heard().await;
        assert_eq!((ended, &stage.state, stage.files() == shown), (Some(Ended::Done), &state, true), "{told:?}");
    }
    let second = stage.folder.clone();
    to(&mut stage, "third");
    fs::rename(second, &stage.folder).unwrap();
    stage.state = compat::state_among(&states, &stage.folder).unwrap();
    let (ended, told) = stage.heard().await;
    assert_eq!((ended, &stage.state, stage.files() == shown), (Some(Ended::Done), &state, true), "{told:?}");
    // A second one beside it has a state of its own.
    copy(&stage.folder.clone(), &first.with_file_name("fourth"));
    assert_ne!(compat::state_among(&states, &first.with_file_name("fourth")).unwrap(), state);
}

#[tokio::test]
async fn no_folder_is_left_in_the_shared_one_by_a_state_that_is_refused() {
    let mut stage = Stage::new();
    fs::create_dir(&stage.folder).unwrap();
    let link = stage.folder.with_file_name("link");
    std::os::unix::fs::symlink(&stage.folder, &link).unwrap();
    stage.state = link.join("new");
    let refused = stage.run().await.unwrap_err();
    assert!(matches!(refused, CompatError::Nested { .. }), "{refused}");
    assert!(stage.folder_names().is_empty());
}

#[tokio::test]
async fn what_is_fetched_is_what_the_settings_ask_for_whatever_the_environment_says() {
    let stage = Stage::new();
    for (name, value) in [("DEFENDER__PLATFORMS", "mac"), ("ELASTIC__VERSIONS", "9.0.0")] {
        let mut environment = stage.environment();
        environment.push((format!("WAYSTATION__{name}"), value.to_owned()));
        let refused = stage.run_in(&environment, &mut |_| ()).await.unwrap_err();
        assert!(matches!(refused, CompatError::Overruled { .. }) && refused.is_usage(), "{refused}");
        assert!(!stage.folder.exists() && !stage.state.exists());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let into = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &into);
        } else {
            let copied = fs::copy(&path, &into);
            // The catalog's log and its index go with the last connection, whose end nobody waits for.
            let may_go = ["-wal", "-shm"].iter().any(|end| path.to_string_lossy().ends_with(end));
            assert!(copied.is_ok() || may_go && !path.exists(), "{}: {copied:?}", path.display());
        }
    }
}

#[tokio::test]
async fn a_state_from_a_copy_takes_the_folder_back_to_nothing() {
    let stage = Stage::new();
    for _ in 0..2 {
        stage.run().await.unwrap();
        stage.publish();
    }
    let kept = stage.state.with_file_name("kept");
    copy(&stage.state, &kept);
    stage.run().await.unwrap();
    let newest = stage.files();
    fs::remove_dir_all(&stage.state).unwrap();
    fs::rename(&kept, &stage.state).unwrap();
    stage.vendor.inject(FaultRule::always(Pattern::Any, Fault::Refuse));
    for _ in 0..2 {
        let (ended, told) = stage.heard().await;
        assert_eq!(ended, Some(Ended::Failed), "{told:?}");
        assert_eq!(stage.files(), newest, "{told:?}");
        assert!(told.iter().any(|line| line.contains("which the state does not know")), "{told:?}");
        assert!(told.iter().all(|line| !line.contains("is not ours")), "{told:?}");
    }
    // What the vendor still offers just so is taken over as it lies there.
    stage.vendor.clear_faults();
    stage.vendor.reset_counters();
    let (ended, told) = stage.heard().await;
    assert_eq!((ended, stage.archives_fetched()), (Some(Ended::Done), 0), "{told:?}");
    assert_eq!(stage.files(), newest, "the release before as well");
    stage.publish();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    stage.shows_what_the_vendor_has();
}

/// What the operator said after the copy was made stands in the folder as well.
#[tokio::test]
async fn a_state_from_a_copy_or_made_anew_brings_nothing_back_that_was_gone_back_from() {
    let mut stage = Stage::new();
    stage.settings.mac = false;
    for _ in 0..2 {
        stage.publish();
        stage.run().await.unwrap();
    }
    stage.publish();
    let bad = stage.vendor.defender_release(x64()).unwrap();
    stage.run().await.unwrap();
    let kept = stage.state.with_file_name("kept");
    copy(&stage.state, &kept);
    let before = stage.files();
    let engine = stage.engine().await;
    let all = engine.held().await.unwrap();
    let good = |feed: &str| {
        let mut of: Vec<_> = all.iter().filter(|found| found.release.feed.as_str() == feed).collect();
        of.sort_by(|a, b| b.release.vendor_version.version.cmp(&a.release.vendor_version.version));
        of[1].number.to_string()
    };
    for arch in ["x86_64", "arm64"] {
        engine.admit(&good(&format!("defender/linux/production/{arch}")), "the newest is bad").await.unwrap();
    }
    drop(engine);
    stage.run().await.unwrap();
    let shown = stage.files();
    assert_ne!(shown, before);
    for anew in [false, true] {
        fs::remove_dir_all(&stage.state).unwrap();
        if !anew {
            copy(&kept, &stage.state);
        }
        let (ended, told) = stage.heard().await;
        assert_eq!((ended, stage.files() == shown), (Some(Ended::Part), true), "{anew}: {told:?}");
        let named = format!("remembers that {} (release ", bad.definitions);
        assert_eq!(told.iter().filter(|line| line.contains(&named)).count(), 2, "{named}: {told:?}");
        assert!(told.iter().all(|line| !line.contains("was put back") && !line.contains("is not ours")), "{told:?}");
        // It is the state's own word from then on.
        let (ended, told) = stage.heard().await;
        assert_eq!((ended, stage.files() == shown), (Some(Ended::Done), true), "{anew}: {told:?}");
    }
    // What cannot be read bars nothing: until it can be, nothing comes into the folder, and it is not written over.
    let remembers = stage.folder.join(".waystation/shown.json");
    let whole = fs::read(&remembers).unwrap();
    for unreadable in [&b"{"[..], &whole[..whole.len() / 2]] {
        fs::write(&remembers, unreadable).unwrap();
        let (ended, told) = stage.heard().await;
        assert_eq!((ended, stage.files() == shown), (None, true), "{told:?}");
        assert!(stage.log().contains("shown.json remembers which releases were ruled out"), "{}", stage.log());
        assert_eq!(fs::read(&remembers).unwrap(), unreadable);
    }
    fs::write(&remembers, whole).unwrap();
    // Whoever wants it all the same says so.
    fs::remove_dir_all(&stage.state).unwrap();
    copy(&kept, &stage.state);
    assert_eq!(stage.run().await.unwrap().ended, Ended::Part);
    let engine = stage.engine().await;
    for found in all.iter().filter(|found| found.release.vendor_version.version.as_str() == bad.definitions) {
        engine.admit(&found.number.to_string(), "it was not").await.unwrap();
    }
    drop(engine);
    assert_eq!((stage.run().await.unwrap().ended, stage.files() == before), (Ended::Done, true));
}

/// A state that never knew what the folder was taken back to has it again, to be named and to be gone back to.
#[tokio::test]
async fn a_state_from_a_copy_takes_what_was_gone_back_to_out_of_the_folder() {
    let mut stage = Stage::new();
    stage.settings.mac = false;
    let zip = stage.folder.join("linux/production/arch_x86_64/updates.zip");
    let back = stage.folder.join("linux/production_back/arch_x86_64/updates.zip");
    stage.publish();
    stage.run().await.unwrap();
    let kept = stage.state.with_file_name("kept");
    copy(&stage.state, &kept);
    stage.publish();
    stage.run().await.unwrap();
    let good = stage.vendor.defender_release(x64()).unwrap().definitions.clone();
    let whole = fs::read(&zip).unwrap();
    stage.publish();
    stage.run().await.unwrap();
    let engine = stage.engine().await;
    engine.admit(&stage.number_of(&engine, &good).await, "the newest is bad").await.unwrap();
    drop(engine);
    stage.run().await.unwrap();
    let shown = stage.files();
    fs::remove_dir_all(&stage.state).unwrap();
    fs::rename(&kept, &stage.state).unwrap();
    let (ended, told) = stage.heard().await;
    assert_eq!((ended, stage.files() == shown), (Some(Ended::Part), true), "{told:?}");
    let named = format!("{good} is what the folder shows");
    assert_eq!(told.iter().filter(|line| line.contains(&named)).count(), 1, "{told:?}");
    let engine = stage.engine().await;
    stage.number_of(&engine, &good).await;
    let rings = &engine.ports().rings;
    let current = rings.current(&model::RingName::broad()).await.unwrap().unwrap().generation;
    let served = &current.feeds[&"defender/linux/production/x86_64".parse().unwrap()];
    assert_eq!(served.vendor_version.version.as_str(), good, "status and validate speak of what the folder shows");
    drop(engine);
    stage.publish();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    assert_eq!(Digest::of(&fs::read(&zip).unwrap()), stage.vendor.defender_release(x64()).unwrap().archive.digest());
    assert!(fs::read(&back).unwrap() == whole, "what endpoints go back to is what they had");
}

/// Neither state nor folder has what was gone back to: what was ruled out does not come in its place.
#[tokio::test]
async fn a_folder_that_lost_what_it_was_taken_back_to_shows_nothing_until_something_else_comes() {
    let mut stage = Stage::new();
    stage.settings.mac = false;
    let x64_zip = stage.folder.join("linux/production/arch_x86_64/updates.zip");
    for _ in 0..2 {
        stage.publish();
        stage.run().await.unwrap();
    }
    let newest = stage.vendor.defender_release(x64()).unwrap().definitions.clone();
    let engine = stage.engine().await;
    let held = engine.held().await.unwrap();
    for found in held.iter().filter(|found| found.release.vendor_version.version.as_str() != newest) {
        engine.admit(&found.number.to_string(), "the newest is bad").await.unwrap();
    }
    drop(engine);
    stage.run().await.unwrap();
    for rotten in [true, false] {
        fs::remove_dir_all(&stage.state).unwrap();
        if rotten {
            let mut bytes = fs::read(&x64_zip).unwrap();
            bytes[300] ^= 1;
            fs::write(&x64_zip, bytes).unwrap();
        } else {
            fs::remove_dir_all(stage.folder.join("linux")).unwrap();
        }
        for first in [true, false] {
            let (ended, told) = stage.heard().await;
            assert_ne!(ended, Some(Ended::Done), "{told:?}");
            assert!(!x64_zip.exists(), "{told:?} {}", stage.log());
            assert_eq!(told.iter().any(|line| line.contains("nothing of it is shown until")), first, "{told:?}");
            assert!(told.iter().all(|line| !line.contains("had other bytes")), "{told:?}");
        }
    }
    stage.publish();
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, Some(Ended::Done), "{told:?}");
    assert_eq!(
        Digest::of(&fs::read(&x64_zip).unwrap()),
        stage.vendor.defender_release(x64()).unwrap().archive.digest()
    );
}

/// The vendor went on: what is new comes, and what was ruled out is not what endpoints go back to.
#[tokio::test]
async fn the_release_before_is_never_one_that_the_folder_remembers_as_ruled_out() {
    let mut stage = Stage::new();
    stage.settings.mac = false;
    let back = stage.folder.join("linux/production_back/arch_x86_64/updates.zip");
    for _ in 0..3 {
        stage.publish();
        stage.run().await.unwrap();
    }
    let rejected = fs::read(stage.folder.join("linux/production_back/arch_x86_64/updates.zip")).unwrap();
    let kept = stage.state.with_file_name("kept");
    copy(&stage.state, &kept);
    let engine = stage.engine().await;
    let name = Digest::of(&rejected);
    let all = engine.held().await.unwrap();
    let of = all.iter().find(|found| found.release.items.iter().any(|item| item.digest == name)).unwrap();
    engine.reject(&of.number.to_string(), "bad").await.unwrap();
    drop(engine);
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    let good = fs::read(&back).unwrap();
    assert_ne!(good, rejected);
    fs::remove_dir_all(&stage.state).unwrap();
    fs::rename(&kept, &stage.state).unwrap();
    let (ended, told) = stage.heard().await;
    assert_eq!((ended, fs::read(&back).unwrap() == good), (Some(Ended::Part), true), "{told:?}");
    assert!(told.iter().any(|line| line.contains("the folder remembers that")), "{told:?}");
    let (ended, told) = stage.heard().await;
    assert_eq!((ended, fs::read(&back).unwrap() == good), (Some(Ended::Done), true), "{told:?}");
}

/// Lifted by a word of the same state, it is no longer ruled out.
#[tokio::test]
async fn what_was_let_in_again_comes_into_the_folder_again() {
    let stage = Stage::new();
    for _ in 0..2 {
        stage.publish();
        stage.run().await.unwrap();
    }
    let newest = stage.vendor.defender_release(x64()).unwrap().definitions.clone();
    let feed = "defender/linux/production/x86_64";
    let engine = stage.engine().await;
    let bad = stage.number_of(&engine, &newest).await;
    let held = engine.held().await.unwrap();
    let good = held.iter().find(|it| it.release.feed.as_str() == feed && it.number.to_string() != bad).unwrap().number;
    engine.admit(&good.to_string(), "the newest is bad").await.unwrap();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    engine.admit(&bad, "it was not").await.unwrap();
    drop(engine);
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, Some(Ended::Done), "{told:?}");
    stage.shows_what_the_vendor_has();
}

#[tokio::test]
async fn a_companion_alone_that_was_altered_is_put_back_whatever_it_says() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    let before = stage.files();
    let companion = stage.folder.join("linux/production/arch_x86_64/manifest.json");
    fs::write(&companion, "{\"EngineVersion\": \"9.9\", \"DefinitionVersion\": \"9.9.9.9\"}").unwrap();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    assert_eq!(stage.files(), before);
}

#[tokio::test]
async fn what_was_taken_over_and_is_held_no_longer_is_fetched() {
    let stage = Stage::new();
    let offered = stage.vendor.defender_release(x64()).unwrap();
    stage.left(x64(), &offered.archive.to_vec(), &crate::stage::companion(&offered));
    stage.run().await.unwrap();
    let digest = Digest::of(&offered.archive.to_vec()).to_string();
    fs::remove_file(stage.state.join("data/blobs").join(&digest[..2]).join(&digest)).unwrap();
    fs::write(stage.folder.join("linux/production/arch_x86_64/updates.zip"), "rotten").unwrap();
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, Some(Ended::Done), "{told:?}");
    stage.shows_what_the_vendor_has();
}

/// Two settings for one folder, run in turn, as where the script keeps each platform apart.
#[tokio::test]
async fn what_is_switched_off_for_a_run_comes_back_with_the_release_before() {
    let mut stage = Stage::new();
    for _ in 0..3 {
        for (linux, mac) in [(true, false), (false, true)] {
            (stage.settings.linux, stage.settings.mac) = (linux, mac);
            let (ended, told) = stage.heard().await;
            assert_eq!(ended, Some(Ended::Done), "{told:?}");
            assert!(told.iter().all(|line| !line.contains("is not taken over")), "{told:?}");
        }
        stage.publish();
    }
    for platform in ["linux", "mac"] {
        let zip =
            |track: &str| fs::read(stage.folder.join(platform).join(track).join("arch_x86_64/updates.zip")).unwrap();
        assert_ne!(zip("production"), zip("production_back"), "{platform}");
    }
}

#[tokio::test]
async fn what_rotted_in_the_state_and_in_the_folder_is_fetched_again() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    let before = stage.files();
    let digest = Digest::of(&stage.vendor.defender_release(x64()).unwrap().archive.to_vec()).to_string();
    let (blob, file) = (
        stage.state.join("data/blobs").join(&digest[..2]).join(&digest),
        stage.folder.join("linux/production/arch_x86_64/updates.zip"),
    );
    let mut bytes = fs::read(&blob).unwrap();
    bytes[300] ^= 1;
    for path in [&blob, &file] {
        fs::remove_file(path).unwrap();
        fs::write(path, &bytes).unwrap();
    }
    let (ended, told) = stage.heard().await;
    assert_eq!((ended, stage.files() == before), (Some(Ended::Done), true), "{told:?}");
    assert!(told.iter().any(|line| line.contains("set aside and fetched again")), "{told:?}");
}

#[tokio::test]
async fn what_a_state_from_a_copy_loses_of_the_releases_to_go_back_to_is_told() {
    let stage = Stage::new();
    let kept = stage.state.with_file_name("kept");
    stage.run().await.unwrap();
    copy(&stage.state, &kept);
    let mut versions = Vec::new();
    for _ in 0..2 {
        stage.publish();
        versions.push(stage.vendor.defender_release(x64()).unwrap().definitions.clone());
        stage.run().await.unwrap();
    }
    fs::remove_dir_all(&stage.state).unwrap();
    fs::rename(&kept, &stage.state).unwrap();
    stage.publish();
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, Some(Ended::Part), "{told:?}");
    let lost = format!("linux/production/x86_64: the folder held {} and {},", versions[1], versions[0]);
    assert!(told.iter().any(|line| line.contains(&lost)), "{lost}: {told:?}");
    stage.shows_what_the_vendor_has();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done, "told once");
}

#[tokio::test]
async fn a_state_is_made_for_no_folder_that_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut stage = Stage::new();
    let ring = stage.folder.with_file_name("ring");
    fs::create_dir(&ring).unwrap();
    fs::write(ring.join(".waystation-tree"), "token 1\n").unwrap();
    let open = stage.folder.with_file_name("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let (rings, data) = (stage.folder.with_file_name("rings"), stage.folder.with_file_name("other"));
    fs::create_dir_all(rings.join("broad")).unwrap();
    fs::write(rings.join("broad/.waystation-tree"), "token 1\n").unwrap();
    for name in ["catalog", "rings", "blobs"] {
        fs::create_dir_all(data.join(name)).unwrap();
    }
    let kept = [ring.clone(), ring.join("linux"), open.clone(), open.join("new")];
    for folder in kept.into_iter().chain([rings, data.join("blobs"), data.join("blobs/new"), data]) {
        stage.settings.folder = folder;
        let refused = stage.run().await.unwrap_err();
        assert!(matches!(refused, CompatError::Tree(_)), "{refused}");
        assert!(!stage.state.exists(), "{refused}");
    }
    assert_eq!((fs::read_dir(&ring).unwrap().count(), fs::read_dir(&open).unwrap().count()), (1, 0));
}
