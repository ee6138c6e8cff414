//! Defects of a single run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use vendor_sim::{Fault, FaultRule, Kind, Pattern};

use super::{Asked, BACK, Both, FEED, ZIP, code};
use crate::shell::saw;

#[test]
fn the_scripts_defects_are_provoked_on_both() {
    let mut seen = Vec::new();
    let mut note = |names: &[&str]| seen.extend(names.iter().map(|name| (*name).to_owned()));
    page_in_place_of_the_archive(&mut note);
    download_that_fails(&mut note);
    archive_that_is_gone(&mut note);
    dependencies_and_settings(&mut note);
    log_and_modes(&mut note);
    seen.sort();
    saw(&format!("{}: {}", seen.join(" "), Both::new().by()));
}

/// D02, D03, D07: an error page is served, and stays.
fn page_in_place_of_the_archive(note: &mut impl FnMut(&[&str])) {
    let both = Both::new();
    let page = both.vendor.inject(FaultRule::always(Pattern::Any, Fault::Html));
    code(&both.ours(), 1);
    assert!(both.files("ours").is_empty());
    if both.script.is_some() {
        code(&both.theirs(), 0);
        assert!(String::from_utf8_lossy(&both.file("theirs", ZIP).unwrap()).contains("<html"), "D02, D07");
        let again = both.theirs();
        assert!(String::from_utf8_lossy(&again.stdout).contains("No new update available"), "D03");
        assert!(both.vendor.hits(page) > 0);
    }
    both.vendor.clear_faults();
    code(&both.ours(), 0);
    note(&["D02", "D03", "D07"]);
}

/// D01, D04, D06, D13, D16: one that fails.
fn download_that_fails(note: &mut impl FnMut(&[&str])) {
    let both = Both::new();
    code(&both.ours(), 0);
    assert!(!both.home("ours").join("tree/linux/production_back").exists(), "D16");
    if both.script.is_some() {
        code(&both.theirs(), 0);
        assert!(both.home("theirs").join("tree/linux/production_back/arch_x86_64").exists(), "D16");
    }
    both.publish();
    both.ours();
    both.theirs();
    let before = both.files("ours");
    assert_ne!(before[ZIP], before[BACK]);
    both.publish();
    both.vendor.inject(FaultRule::always(Kind::Archive, Fault::ShortBody));
    let failed = both.ours();
    code(&failed, 1);
    let mailed = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(mailed.contains("Error: defender/linux/production/x86_64"), "D01: what cron mails: {mailed}");
    assert_eq!(both.files("ours"), before, "D04");
    let log = |who| fs::read_to_string(both.home(who).join("log")).unwrap();
    assert!(log("ours").contains("Error: defender/linux/production/x86_64"), "D13");
    if both.script.is_some() {
        code(&both.theirs(), 0);
        let files = both.files("theirs");
        assert_eq!(files[ZIP], files[BACK], "D04: the release before is gone");
        assert_ne!(
            files["mac/production/arch_arm64/updates.zip"], files["mac/production_back/arch_arm64/updates.zip"],
            "D06"
        );
        assert!(!log("theirs").contains("Error"), "D13");
    }
    both.vendor.clear_faults();
    let first = both.vendor.defender_release(FEED).unwrap().content_target.clone();
    both.vendor.inject(FaultRule::always(Pattern::Target(first), Fault::ShortBody));
    code(&both.ours(), 3);
    assert_ne!(
        both.files("ours")["mac/production/arch_arm64/updates.zip"],
        before["mac/production/arch_arm64/updates.zip"]
    );
    note(&["D01", "D04", "D06", "D13", "D16"]);
}

/// D05: a file that was deleted.
fn archive_that_is_gone(note: &mut impl FnMut(&[&str])) {
    let both = Both::new();
    code(&both.ours(), 0);
    fs::remove_file(both.home("ours").join("tree").join(ZIP)).unwrap();
    code(&both.ours(), 0);
    assert!(both.file("ours", ZIP).is_some(), "D05");
    if both.script.is_some() {
        code(&both.theirs(), 0);
        fs::remove_file(both.home("theirs").join("tree").join(ZIP)).unwrap();
        code(&both.theirs(), 0);
        assert!(both.file("theirs", ZIP).is_none(), "D05");
    }
    note(&["D05"]);
}

/// D10, D11: what is missing or wrong before anything begins.
fn dependencies_and_settings(note: &mut impl FnMut(&[&str])) {
    let both = Both::new();
    for who in ["theirs", "ours"] {
        fs::write(both.home(who).join("settings.json"), "{ not json").unwrap();
    }
    code(&both.ours(), 2);
    if both.script.is_some() {
        both.theirs();
        assert!(both.files("theirs").is_empty(), "D11: it downloads nothing");
    }
    for who in ["theirs", "ours"] {
        fs::remove_file(both.home(who).join("settings.json")).unwrap();
    }
    code(&both.ours(), 2);
    if both.script.is_some() {
        code(&both.theirs(), 0);
    }
    // Nothing else is installed: the script ends well without having done anything.
    let both = Both::of(Asked::Linux, 8 << 10);
    code(&both.our_run().env("PATH", both.home("ours")).output().unwrap(), 0);
    assert_eq!(both.pair("ours"), both.offered(), "D10");
    if let Some(mut bare) = both.their_run() {
        code(&bare.env("PATH", both.home("theirs")).output().unwrap(), 0);
        assert!(both.files("theirs").is_empty(), "D10");
    }
    note(&["D10", "D11"]);
}

/// D12, D18: a log that grows, and a narrow umask.
fn log_and_modes(note: &mut impl FnMut(&[&str])) {
    let both = Both::new();
    for who in ["theirs", "ours"] {
        fs::write(both.home(who).join("log"), vec![b'x'; 300 << 10]).unwrap();
    }
    let size = |who| fs::metadata(both.home(who).join("log")).unwrap().len();
    let mode = |who| fs::metadata(both.home(who).join("tree").join(ZIP)).unwrap().permissions().mode() & 0o777;
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let (ours, theirs) = (both.ours(), both.script.is_some().then(|| both.theirs()));
    rustix::process::umask(before);
    code(&ours, 0);
    assert!(size("ours") < 100 << 10, "D12");
    assert_eq!(mode("ours"), 0o644, "D18");
    if let Some(theirs) = theirs {
        code(&theirs, 0);
        assert!(size("theirs") > 300 << 10, "D12");
        assert_eq!(mode("theirs"), 0o600, "D18");
    }
    note(&["D12", "D18"]);
}
