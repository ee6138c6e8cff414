//! What a run does to the folder and tells of it, beside the script's defects.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;

use compat::Ended;
use tree::Depth;
use vendor_sim::{DefenderChange, DefenderTarget, Step};

use crate::stage::Stage;

const ZIP: &str = "linux/production/arch_x86_64/updates.zip";

#[tokio::test]
async fn bytes_that_rot_unseen_are_put_back_by_a_run_that_reads_them_and_told() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    let before = stage.files();
    let file = stage.folder.join(ZIP);
    let mut bytes = fs::read(&file).unwrap();
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    bytes[300] ^= 1;
    fs::write(&file, bytes).unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    let told = stage.run_at(Depth::Prove).await;
    assert_eq!(stage.files(), before);
    let told: Vec<&String> = told.iter().filter(|line| line.contains("was put back")).collect();
    assert!(told.len() == 1 && told[0].contains("x86_64") && told[0].contains("updates.zip"), "{told:?}");
}

#[tokio::test]
async fn what_rotted_in_the_state_is_set_aside_and_fetched_again_in_the_same_run_s16() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    let before = stage.files();
    let zip = stage.folder.join(ZIP);
    let whole = fs::read(&zip).unwrap();
    let name = model::Digest::of(&whole).to_string();
    let blob = stage.state.join("data/blobs").join(&name[..2]).join(&name);
    let mut bytes = whole.clone();
    bytes[300] ^= 1;
    fs::write(&blob, bytes).unwrap();
    fs::remove_file(&zip).unwrap();
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, Some(Ended::Done), "{told:?}");
    let healed = told.iter().filter(|line| line.contains("set aside")).collect::<Vec<_>>();
    assert!(healed.len() == 1 && healed[0].contains("1 file in the state"), "{told:?}");
    assert_eq!(stage.files(), before);
    assert_eq!(fs::read(&blob).unwrap(), whole);
    assert_eq!(fs::read_dir(stage.state.join("data/damaged")).unwrap().count(), 1);
}

/// A publication leaves out what is not held: the release before would go, though the folder has it whole.
#[tokio::test]
async fn what_the_state_lost_comes_back_out_of_the_folder_that_has_it_s16() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    stage.publish();
    stage.run().await.unwrap();
    let before = stage.files();
    let whole = fs::read(stage.folder.join("linux/production_back/arch_x86_64/updates.zip")).unwrap();
    let name = model::Digest::of(&whole).to_string();
    let blob = stage.state.join("data/blobs").join(&name[..2]).join(&name);
    fs::remove_file(&blob).unwrap();
    let (ended, told) = stage.heard().await;
    assert_eq!((ended, stage.files() == before), (Some(Ended::Done), true), "{told:?}");
    assert!(told.iter().any(|line| line.contains("had lost 1 of the files")), "{told:?}");
    assert_eq!(fs::read(&blob).unwrap(), whole);
}

/// The release before rotted in the state and in the folder, and the vendor has it no more.
#[tokio::test]
async fn what_is_lost_for_good_is_told_as_that_and_never_as_put_back() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    stage.publish();
    stage.run().await.unwrap();
    let back = stage.folder.join("linux/production_back/arch_x86_64/updates.zip");
    let whole = fs::read(&back).unwrap();
    let name = model::Digest::of(&whole).to_string();
    fs::write(stage.state.join("data/blobs").join(&name[..2]).join(&name), vec![b'x'; whole.len()]).unwrap();
    fs::write(&back, vec![b'x'; whole.len()]).unwrap();
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, Some(Ended::Part), "{told:?}");
    let lines = |what: &str| told.iter().filter(|line| line.contains(what)).count();
    assert_eq!((lines("was put back"), lines("could not be fetched again"), lines("has left the folder")), (0, 1, 1));
    assert_eq!(lines("somebody else"), 0, "{told:?}");
    assert!(!back.exists(), "{told:?}");
}

/// An older one is held: it steps in, and no run that does it calls that in order, whether the vendor answers or not.
#[tokio::test]
async fn a_release_before_that_is_lost_is_told_where_an_older_one_takes_its_place() {
    for is_down in [false, true] {
        let mut stage = Stage::new();
        stage.settings.mac = false;
        for _ in 0..3 {
            stage.publish();
            stage.run().await.unwrap();
        }
        let back = stage.folder.join("linux/production_back/arch_x86_64/updates.zip");
        let whole = fs::read(&back).unwrap();
        let name = model::Digest::of(&whole).to_string();
        fs::write(stage.state.join("data/blobs").join(&name[..2]).join(&name), vec![b'x'; whole.len()]).unwrap();
        fs::write(&back, vec![b'x'; whole.len()]).unwrap();
        if is_down {
            stage.vendor.inject(vendor_sim::FaultRule::always(vendor_sim::Pattern::Any, vendor_sim::Fault::Refuse));
        }
        let mut told = 0;
        for _ in 0..3 {
            let (ended, lines) = stage.heard().await;
            let tells =
                lines.iter().any(|line| line.contains("was lost") && line.contains("the release before, in _back"));
            assert!(!tells || ended != Some(Ended::Done), "{lines:?}");
            told += usize::from(tells);
            stage.vendor.clear_faults();
        }
        let now = fs::read(&back).unwrap();
        assert!(now != whole && now.starts_with(b"PK"), "an older one stands there");
        assert_eq!(told, 1, "by the run that brought it");
        assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    }
}

#[tokio::test]
async fn a_folder_that_was_emptied_is_filled_again_and_told() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    for news in [false, true] {
        fs::remove_dir_all(&stage.folder).unwrap();
        if news {
            stage.publish();
        }
        let (ended, told) = stage.heard().await;
        assert_eq!(ended, Some(Ended::Part), "{told:?}");
        assert!(told.iter().any(|line| line.contains("is not mounted")), "{told:?}");
        stage.shows_what_the_vendor_has();
        assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    }
}

#[tokio::test]
async fn a_log_in_the_folder_is_there_from_the_first_run_on() {
    let mut stage = Stage::new();
    stage.settings.log = stage.folder.join("updates.log");
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, Some(Ended::Done), "{told:?}");
    let log = stage.log();
    assert!(log.contains("Script started.") && log.contains("Script completed."), "{log}");
}

#[tokio::test]
async fn a_folder_that_is_refused_is_told_before_anything_is_fetched() {
    let stage = Stage::new();
    fs::create_dir(&stage.folder).unwrap();
    fs::set_permissions(&stage.folder, fs::Permissions::from_mode(0o777)).unwrap();
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, None);
    assert!(told.iter().all(|line| !line.contains("version")), "{told:?}");
    assert_eq!(stage.vendor.requests().body_bytes, 0);
}

#[tokio::test]
async fn a_version_is_told_once_it_is_in_the_folder_and_a_run_that_brought_none_there_failed() {
    let stage = Stage::new();
    fs::create_dir(&stage.folder).unwrap();
    for (platform, expected) in [("mac", Ended::Part), ("linux", Ended::Failed)] {
        fs::write(stage.folder.join(platform), "in the way").unwrap();
        stage.publish();
        let (ended, told) = stage.heard().await;
        assert_eq!(ended, Some(expected), "{told:?}");
        let versions = told.iter().filter(|line| line.contains("Definition version")).collect::<Vec<_>>();
        assert!(versions.iter().all(|line| !line.contains(platform)), "{versions:?}");
        assert!(told.iter().any(|line| line.contains("did not come into the folder")), "{told:?}");
        if platform == "mac" {
            assert_eq!(versions.len(), 2, "{told:?}");
            fs::remove_dir_all(stage.folder.join("linux")).unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_in_back_leaves_a_day_after_it_is_no_longer_asked_for_and_that_is_told() {
    let mut stage = Stage::new();
    for _ in 0..2 {
        stage.run().await.unwrap();
        stage.publish();
    }
    stage.settings.back = false;
    for _ in 0..2 {
        let (_, told) = stage.heard().await;
        assert!(told.iter().any(|line| line.starts_with("_back stays until")), "{told:?}");
        assert!(stage.folder.join("linux/production_back").exists());
    }
    // As if a day had gone.
    fs::write(stage.state.join("back-leaves"), "2020-01-01T00:00:00Z\n").unwrap();
    let (_, told) = stage.heard().await;
    assert!(told.iter().any(|line| line.starts_with("_back leaves the folder")), "{told:?}");
    assert!(!stage.folder.join("linux/production_back").exists());
    let (_, told) = stage.heard().await;
    assert!(told.iter().all(|line| !line.starts_with("_back")), "{told:?}");
    assert!(!stage.state.join("back-leaves").exists());
}

#[tokio::test]
async fn a_release_that_waits_for_a_person_is_told_with_the_command_that_takes_it() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    stage.vendor.publish_defender(DefenderTarget::All, DefenderChange::step(Step::Leap)).unwrap();
    let (_, told) = stage.heard().await;
    let state = stage.state.display();
    let command = format!("To take it: waystation --config {state}/waystation.toml release admit ");
    assert!(told.iter().any(|line| line.contains(&command)), "{told:?}");
}
