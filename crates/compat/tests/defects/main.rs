//! The 19 known defects of Microsoft's downloader script, one test each: what the script does wrong cannot happen here.
//! `docs/defender-downloader.md` has the table. D11 and D12 stand beside the code that reads the settings and keeps the log.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod kept;
mod left;
mod stage;
mod states;

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use compat::{CompatError, Ended, Said, Settings};
use mirror::Engine;
use model::{Digest, Outcome};
use platform::fs::Folder;
use vendor_sim::{ArchiveFault, Fault, FaultRule, InfoFault, Kind, Pattern, Point};

use stage::{Stage, companion, x64};

#[tokio::test]
async fn d01_a_download_that_fails_is_a_run_that_fails() {
    let stage = Stage::new();
    for (fault, always) in [(Fault::Status(404), Ended::Failed), (Fault::Refuse, Ended::Failed)] {
        stage.vendor.inject(FaultRule::always(Pattern::Any, fault));
        assert_eq!(stage.run().await.unwrap().ended, always);
        stage.vendor.clear_faults();
    }
    assert!(stage.files().is_empty(), "{:?}", stage.files());
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
}

#[tokio::test]
async fn d02_no_page_becomes_the_archive_that_is_served() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    let before = stage.files();
    stage.publish();
    for fault in [Fault::Html, Fault::Status(403), Fault::Status(503), Fault::EmptyBody] {
        for kind in [Kind::Archive, Kind::Info] {
            stage.vendor.inject(FaultRule::always(kind, fault.clone()));
            assert_eq!(stage.run().await.unwrap().ended, Ended::Failed, "{fault:?} {kind:?}");
            stage.vendor.clear_faults();
            assert_eq!(stage.files(), before, "{fault:?} {kind:?}");
        }
    }
}

#[tokio::test]
async fn d03_a_failure_is_never_taken_for_no_new_update() {
    let stage = Stage::new();
    // What the script leaves after a page: the page, and a companion without versions.
    stage.left(x64(), b"<html>sign in</html>", "{\n  \"EngineVersion\": \"\",\n  \"DefinitionVersion\": \"\"\n}\n");
    stage.vendor.inject(FaultRule::always(Pattern::Any, Fault::Html));
    for _ in 0..2 {
        assert_eq!(stage.run().await.unwrap().ended, Ended::Failed);
    }
    stage.vendor.clear_faults();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    stage.shows_what_the_vendor_has();
}

#[tokio::test]
async fn d04_a_failed_download_leaves_the_release_before_alone() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    stage.publish();
    stage.run().await.unwrap();
    let before = stage.files();
    assert_ne!(
        before["linux/production/arch_x86_64/updates.zip"],
        before["linux/production_back/arch_x86_64/updates.zip"]
    );
    stage.publish();
    stage.vendor.inject(FaultRule::always(Kind::Archive, Fault::ShortBody));
    stage.run().await.unwrap();
    assert_eq!(stage.files(), before);
}

#[tokio::test]
async fn d05_what_was_deleted_is_put_back_and_not_fetched_again() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    let before = stage.files();
    fs::remove_file(stage.folder.join("linux/production/arch_x86_64/updates.zip")).unwrap();
    fs::write(stage.folder.join("linux/production/arch_arm64/manifest.json"), "{}").unwrap();
    stage.vendor.reset_counters();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    assert_eq!(stage.files(), before);
    assert_eq!(stage.archives_fetched(), 0);
}

#[tokio::test]
async fn d06_a_target_that_fails_stops_no_other() {
    let stage = Stage::new();
    let broken = stage.vendor.defender_release(x64()).unwrap().content_target.clone();
    stage.vendor.inject(FaultRule::always(Pattern::Target(broken), Fault::Status(500)));
    let outcome = stage.run().await.unwrap();
    assert_eq!(outcome.ended, Ended::Part);
    let failed = outcome.feeds.iter().filter(|feed| feed.outcome == Outcome::Failed).count();
    assert_eq!((failed, outcome.feeds.len()), (1, 4));
    assert_eq!(stage.files().len(), 6, "{:?}", stage.files().keys());
}

#[tokio::test]
async fn d07_nothing_is_replaced_before_it_is_proven() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    let before = stage.files();
    stage.publish();
    for fault in [ArchiveFault::Crc, ArchiveFault::Empty, ArchiveFault::Traversal, ArchiveFault::Stacked] {
        stage.vendor.inject(FaultRule::always(Kind::Archive, Fault::Archive(fault)));
        assert_ne!(stage.run().await.unwrap().ended, Ended::Done, "{fault:?}");
        stage.vendor.clear_faults();
        assert_eq!(stage.files(), before, "{fault:?}");
    }
}

#[tokio::test]
async fn d07_an_archive_without_an_engine_is_told_and_ends_no_run_well() {
    let stage = Stage::new();
    stage.vendor.inject(FaultRule::always(Kind::Archive, Fault::Archive(ArchiveFault::NoEngine)));
    let mut mailed = Vec::new();
    let mut people = |said: Said<'_>| {
        if let Said::Error(text) = said {
            mailed.push(text.to_owned());
        }
    };
    let outcome = stage.run_heard(&mut people).await.unwrap();
    assert_eq!(outcome.ended, Ended::Part);
    assert!(mailed.iter().any(|text| text.contains("unexpected_members")), "{mailed:?}");
    assert!(stage.log().contains("Warning: defender/linux/production/x86_64"), "{}", stage.log());
}

#[tokio::test]
async fn d08_the_companion_never_names_another_release_than_the_archive_is() {
    let stage = Stage::new();
    let mut known = stage.releases();
    stage.vendor.inject(FaultRule::once(Kind::Info, Fault::PublishAfterInfo));
    stage.run().await.unwrap();
    known.extend(stage.releases());
    for (feed, pair) in stage.pairs() {
        assert!(known.contains(&pair), "{feed}: {pair:?}");
    }
    // Nor is such a pair taken over from the script: its archive has another size than the vendor's.
    let stage = Stage::new();
    let offered = stage.vendor.defender_release(x64()).unwrap();
    stage.left(x64(), &offered.archive.to_vec()[1..], &companion(&offered));
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    stage.shows_what_the_vendor_has();
    // Nor where the vendor has moved on since: nobody can say what the archive is, so it is no release before either.
    let stage = Stage::new();
    let old = stage.vendor.defender_release(x64()).unwrap();
    stage.publish();
    let named = companion(&stage.vendor.defender_release(x64()).unwrap());
    stage.left(x64(), &old.archive.to_vec(), &named);
    stage.publish();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    stage.shows_what_the_vendor_has();
    assert!(!stage.folder.join("linux/production_back").exists(), "{:?}", stage.files().keys());
    assert!(stage.log().contains("nothing says whether updates.zip"), "{}", stage.log());
}

#[tokio::test]
async fn d09_one_run_at_a_time_and_no_file_where_it_was_started() {
    let stage = Stage::new();
    let here = || fs::read_dir(".").unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let before = here();
    let held = {
        fs::create_dir_all(&stage.folder).unwrap();
        let held = File::open(&stage.folder).unwrap();
        held.lock().unwrap();
        held
    };
    let busy = stage.run().await.unwrap_err();
    assert!(matches!(busy, CompatError::Busy { .. }), "{busy}");
    assert!(stage.log().contains("another run is filling"), "{}", stage.log());
    assert!(stage.files().is_empty());
    drop(held);
    let (one, other) = tokio::join!(stage.run(), stage.run());
    let done = [&one, &other].iter().filter(|ended| ended.is_ok()).count();
    assert!(done >= 1, "{one:?} {other:?}");
    stage.shows_what_the_vendor_has();
    assert_eq!(here(), before);
    assert_eq!(stage.folder_names(), ["linux", "mac"], "no state, no lock, no temporary file in the shared folder");
}

#[tokio::test]
async fn d10_nothing_has_to_be_installed_and_missing_settings_are_an_error() {
    let stage = Stage::new();
    let missing = Settings::read(&stage.folder.join("settings.json"), None).unwrap_err().to_string();
    assert!(missing.contains("cannot read") && missing.contains("--settings"), "{missing}");
    // No PATH is given to the run, and it needs none.
    assert!(stage.environment().iter().all(|(name, _)| name != "PATH"));
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
}

#[tokio::test]
async fn d13_a_failure_stands_in_the_log_with_its_reason() {
    let stage = Stage::new();
    stage.vendor.inject(FaultRule::always(Kind::Archive, Fault::Status(404)));
    let mut mailed = Vec::new();
    let mut people = |said: Said<'_>| {
        if let Said::Error(text) = said {
            mailed.push(text.to_owned());
        }
    };
    stage.run_heard(&mut people).await.unwrap();
    assert_eq!(mailed.len(), 5, "each of four targets, and the end: {mailed:?}");
    let log = stage.log();
    for told in
        ["Script started.", "Error: defender/linux/production/x86_64 failed", "not_found", "completed with errors"]
    {
        assert!(log.contains(told), "{told}: {log}");
    }
    stage.vendor.clear_faults();
    stage.run().await.unwrap();
    let log = stage.log();
    let version = &stage.vendor.defender_release(x64()).unwrap().definitions;
    assert!(log.contains(&format!("Definition version: {version}.")) && log.contains("Script completed."), "{log}");
}

#[tokio::test]
async fn d14_a_broken_line_is_tried_again_where_it_broke_and_a_silent_one_ends() {
    let stage = Stage::new();
    let target = stage.vendor.defender_release(x64()).unwrap().content_target.clone();
    stage.vendor.inject(FaultRule::once(Pattern::Target(target.clone()), Fault::Reset(Point::Half)));
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    assert_eq!(stage.vendor.requests().by_target[&target], 2);
    stage.publish();
    stage.vendor.inject(FaultRule::always(Kind::Archive, Fault::Stall(Point::Half)));
    assert_eq!(stage.run().await.unwrap().ended, Ended::Failed);
}

#[tokio::test]
async fn d15_whoever_has_a_folder_open_reads_one_release_in_the_release_before_as_well() {
    let stage = Stage::new();
    for _ in 0..2 {
        stage.run().await.unwrap();
        stage.publish();
    }
    let paths = ["linux/production/arch_x86_64", "linux/production_back/arch_x86_64"];
    let open = paths.map(|path| Folder::open(&stage.folder.join(path)).unwrap());
    let read = |folder: &Folder, name: &str| {
        let mut bytes = Vec::new();
        folder.open_regular(name).unwrap().0.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let companions = [read(&open[0], "manifest.json"), read(&open[1], "manifest.json")];
    let archives = paths.map(|path| fs::read(stage.folder.join(path).join("updates.zip")).unwrap());
    stage.run().await.unwrap();
    for (at, folder) in open.iter().enumerate() {
        assert!(read(folder, "updates.zip") == archives[at] && read(folder, "manifest.json") == companions[at]);
        let now = fs::read(stage.folder.join(paths[at]).join("manifest.json")).unwrap();
        assert_ne!(now, companions[at], "{}", paths[at]);
    }
}

#[tokio::test]
async fn d16_there_is_no_empty_folder_before_and_an_old_tree_is_backed_up_too() {
    let stage = Stage::new();
    // As version 0.0.1 left it: no companion.
    let offered = stage.vendor.defender_release(x64()).unwrap();
    let folder = stage.left(x64(), &offered.archive.to_vec(), "");
    fs::remove_file(folder.join("manifest.json")).unwrap();
    stage.run().await.unwrap();
    assert!(!stage.folder.join("linux/production_back").exists(), "nothing is there that answers 404");
    stage.publish();
    stage.run().await.unwrap();
    let back = stage.folder.join("linux/production_back/arch_x86_64");
    assert_eq!(fs::read(back.join("updates.zip")).unwrap(), offered.archive.to_vec());
    assert_eq!(fs::read_to_string(back.join("manifest.json")).unwrap(), companion(&offered));
}

#[tokio::test]
async fn d17_more_than_one_older_release_can_be_gone_back_to() {
    let stage = Stage::new();
    let first = stage.vendor.defender_release(x64()).unwrap();
    for _ in 0..4 {
        stage.run().await.unwrap();
        stage.publish();
    }
    let engine: Engine = stage.engine().await;
    let number = stage.number_of(&engine, &first.definitions).await;
    engine.admit(&number, "the newer ones break hosts").await.unwrap();
    drop(engine);
    stage.vendor.inject(FaultRule::always(Pattern::Any, Fault::Status(503)));
    stage.run().await.unwrap();
    let zip = fs::read(stage.folder.join("linux/production/arch_x86_64/updates.zip")).unwrap();
    assert_eq!(Digest::of(&zip), first.archive.digest());
}

#[tokio::test]
async fn d18_everybody_can_read_it_and_nobody_else_can_write_it() {
    let stage = Stage::new();
    let offered = stage.vendor.defender_release(x64()).unwrap();
    // As a narrow and a wide umask leave it.
    let folder = stage.left(x64(), &offered.archive.to_vec(), &companion(&offered));
    let mode = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&folder.join("updates.zip"), 0o600);
    mode(&folder.join("manifest.json"), 0o666);
    mode(&folder, 0o750);
    stage.run().await.unwrap();
    for path in stage.files().keys() {
        let file = stage.folder.join(path);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644, "{path}");
        assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o7777, 0o755, "{path}");
    }
    mode(&stage.folder, 0o777);
    let refused = stage.run().await.unwrap_err();
    assert_eq!(refused.reason(), model::Reason::UnsafeFile, "{refused}");
}

#[tokio::test]
async fn d19_version_information_that_is_not_understood_replaces_nothing() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    let before = stage.files();
    stage.publish();
    let faults = [
        InfoFault::NoVersions,
        InfoFault::NotXml,
        InfoFault::WrongRoot,
        InfoFault::Twice,
        InfoFault::Hostile,
        InfoFault::Doctype,
    ];
    for fault in faults {
        stage.vendor.inject(FaultRule::always(Kind::Info, Fault::Info(fault)));
        assert_eq!(stage.run().await.unwrap().ended, Ended::Failed, "{fault:?}");
        stage.vendor.clear_faults();
        assert_eq!(stage.files(), before, "{fault:?}");
    }
}

#[tokio::test]
async fn a_tree_that_the_script_left_is_taken_over_without_fetching_what_is_right() {
    let stage = Stage::new();
    for feed in stage.feeds() {
        let offered = stage.vendor.defender_release(feed).unwrap();
        let companion = if feed == x64() { companion(&offered) } else { companion(&offered).replace("  ", "    ") };
        stage.left(feed, &offered.archive.to_vec(), &companion);
    }
    let rotten = stage.feeds()[1];
    stage.left(rotten, b"half", "{}");
    stage.vendor.reset_counters();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    assert_eq!(stage.archives_fetched(), 1, "only what was not right is fetched: {}", stage.log());
    stage.shows_what_the_vendor_has();
    assert!(stage.log().contains("is taken over from the folder"), "{}", stage.log());
    stage.vendor.reset_counters();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    assert_eq!(stage.archives_fetched(), 0, "nor by the next run: {}", stage.log());
    stage.publish();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    stage.shows_what_the_vendor_has();
}

#[tokio::test]
async fn what_is_not_ours_stays_and_so_does_what_a_lost_state_left() {
    let stage = Stage::new();
    stage.run().await.unwrap();
    fs::write(stage.folder.join("linux/production/arch_x86_64/updates.zip_temp"), "half").unwrap();
    fs::write(stage.folder.join("index.html"), "mine").unwrap();
    fs::remove_dir_all(&stage.state).unwrap();
    let before = stage.files();
    stage.vendor.reset_counters();
    assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
    assert_eq!(stage.files(), before);
    assert_eq!(stage.archives_fetched(), 0, "the folder itself was taken over: {}", stage.log());
}

#[tokio::test]
async fn without_backup_there_is_no_folder_before() {
    let mut stage = Stage::new();
    stage.settings.back = false;
    for _ in 0..2 {
        assert_eq!(stage.run().await.unwrap().ended, Ended::Done);
        stage.publish();
    }
    assert!(stage.files().keys().all(|path| !path.contains("_back")), "{:?}", stage.files().keys());
}
