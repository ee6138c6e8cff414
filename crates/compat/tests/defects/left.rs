//! What somebody else left in the folder, and what leaves it.

use std::fs;
use std::time::Duration;

use compat::Ended;
use vendor_sim::{ArchiveFault, Fault, FaultRule, Kind};

use crate::stage::{Stage, companion, x64};

const BACK: &str = "linux/production_back/arch_x86_64";

#[tokio::test]
async fn no_page_that_the_script_left_is_what_endpoints_go_back_to() {
    let stage = Stage::new();
    let put = |place: &str, archive: &[u8], companion: &str| {
        let folder = stage.folder.join(place);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("updates.zip"), archive).unwrap();
        fs::write(folder.join("manifest.json"), companion).unwrap();
    };
    let offered = stage.vendor.defender_release(x64()).unwrap();
    let whole = offered.archive.to_vec();
    put(BACK, b"<html>sign in</html>", "{\"EngineVersion\": \"\", \"DefinitionVersion\": \"\"}");
    put("linux/preview/arch_arm64", &whole[..whole.len() / 2], &companion(&offered));
    put("mac/preview/arch_x86_64", &whole, "{}");
    put("mac/preview_back/arch_x86_64", &whole, &companion(&offered));
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, Some(Ended::Part), "{told:?}");
    let told_of = |path: &str, what: &str| told.iter().any(|line| line.contains(path) && line.contains(what));
    for place in [BACK, "linux/preview/arch_arm64"] {
        assert!(told_of(&format!("{place}/updates.zip"), "is no archive"), "{told:?}");
        assert!(!stage.folder.join(place).join("updates.zip").exists(), "{place}");
        assert!(stage.folder.join(place).join("updates.zip.no-archive").exists(), "{place}: nothing is lost");
    }
    assert!(told_of("mac/preview/arch_x86_64", "says what it is"), "{told:?}");
    assert!(told_of("mac/preview_back/arch_x86_64", "reads whole and is left alone"), "{told:?}");
    assert_eq!(fs::read(stage.folder.join("mac/preview_back/arch_x86_64/updates.zip")).unwrap(), whole);
    // A second one takes nothing away, and is told once.
    put(BACK, b"<html>another</html>", "{}");
    let (_, told) = stage.heard().await;
    assert!(told.iter().any(|line| line.contains("updates.zip.no-archive.2")), "{told:?}");
    assert!(told.iter().all(|line| !line.contains(&format!("{BACK}/updates.zip is not ours"))), "{told:?}");
    assert!(fs::read(stage.folder.join(BACK).join("updates.zip.no-archive")).unwrap().starts_with(b"<html>sign in"));
    // Told once; then it is out of the way, and of the next release's.
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    stage.publish();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    assert!(stage.folder.join(BACK).join("updates.zip").exists());
}

#[tokio::test]
async fn an_archive_without_its_engine_is_told_for_as_long_as_it_is_there() {
    let stage = Stage::new();
    stage.vendor.inject(FaultRule::always(Kind::Archive, Fault::Archive(ArchiveFault::NoEngine)));
    let odd = |told: &[String]| told.iter().filter(|line| line.contains("unexpected_members")).count();
    for taken_over in [false, false, true, false] {
        if taken_over {
            fs::remove_dir_all(&stage.state).unwrap();
        }
        let (ended, told) = stage.heard().await;
        assert_eq!((ended, odd(&told)), (Some(Ended::Part), 4), "{told:?}");
        assert_eq!(told.iter().any(|line| line.contains("is taken over")), taken_over, "{told:?}");
    }
    let mut environment = stage.environment();
    environment.push(("WAYSTATION__DEFENDER__EXPECTED_MEMBERS".to_owned(), "off".to_owned()));
    let quiet = stage.run_in(&environment, &mut |_| ()).await.unwrap();
    assert_eq!(quiet.ended, Ended::Done);
}

#[tokio::test]
async fn what_was_put_back_is_told_wherever_it_stood_and_whatever_the_vendor_did() {
    let stage = Stage::new();
    for _ in 0..2 {
        stage.run().await.unwrap();
        stage.publish();
    }
    let before = stage.files();
    fs::remove_file(stage.folder.join(BACK).join("updates.zip")).unwrap();
    fs::write(stage.folder.join("mac/production/arch_arm64/updates.zip"), "rotten").unwrap();
    stage.vendor.inject(FaultRule::always(vendor_sim::Pattern::Any, Fault::Refuse));
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, Some(Ended::Failed), "{told:?}");
    assert_eq!(stage.files(), before);
    for path in ["linux/production_back/arch_x86_64/updates.zip", "mac/production/arch_arm64/updates.zip"] {
        assert!(told.contains(&format!("{path} had been altered or removed, and was put back")), "{told:?}");
    }
}

#[tokio::test]
async fn what_is_not_asked_for_any_more_is_told_by_each_run_while_it_stays() {
    let mut stage = Stage::new();
    stage.run().await.unwrap();
    stage.settings.mac = false;
    for _ in 0..2 {
        let (ended, told) = stage.heard().await;
        assert_eq!(ended, Some(Ended::Done), "{told:?}");
        for arch in ["x86_64", "arm64"] {
            let at = format!("mac/production/arch_{arch} is not asked for any more: it stays until ");
            assert!(told.iter().any(|line| line.starts_with(&at)), "{told:?}");
        }
        assert!(stage.folder.join("mac/production/arch_arm64/updates.zip").exists());
    }
    // Where runs are rare it stays for longer than was said, and no moment of the past is said.
    let told = stage.heard_later(Duration::from_secs(40 * 3600)).await;
    let line = told.iter().find(|line| line.contains("mac/production/arch_arm64 is not asked for")).unwrap();
    assert!(line.contains("it stays for some more runs, and then leaves"), "{line}");
    assert!(stage.folder.join("mac/production/arch_arm64/updates.zip").exists());
}

#[tokio::test]
async fn a_run_without_a_log_is_one_that_was_asked_for() {
    let mut stage = Stage::new();
    stage.settings.log = "/dev/null".into();
    let (ended, told) = stage.heard().await;
    assert_eq!(ended, Some(Ended::Done), "{told:?}");
}
