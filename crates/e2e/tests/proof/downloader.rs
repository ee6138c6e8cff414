//! Microsoft's own script and what stands in for it, on one simulated vendor: trees path for path, byte for byte, and the
//! script's defects provoked on both.
//!
//! The script is not ours to carry along. `WAYSTATION_XPLAT_SCRIPT` names a copy of
//! `linux/definition_downloader/xplat_offline_updates_download.sh` from the public repository microsoft/mdatp-xplat; a copy
//! of that with another base address is run. Without it its steps are re-enacted, and the defects are provoked on ours alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use model::Digest;
use tempfile::TempDir;
use vendor_sim::{
    DefenderChange, DefenderFeed, DefenderSettings, DefenderTarget, Fault, FaultRule, Kind, Pattern, Settings,
    Simulator,
};

use crate::script::STEPS;
use crate::shell::{saw, try_sh};

const ZIP: &str = "linux/production/arch_x86_64/updates.zip";
const BACK: &str = "linux/production_back/arch_x86_64/updates.zip";

/// One vendor, and a folder for each of the two.
struct Both {
    dir: TempDir,
    vendor: Simulator,
    script: Option<PathBuf>,
}

/// Files below a folder and their digests; what is kept out of sight is not among them.
type Files = BTreeMap<String, Digest>;

impl Both {
    fn new() -> Self {
        let defender = DefenderSettings { archive_size: 64 << 10, ..DefenderSettings::default() };
        let vendor = Simulator::start(Settings { defender, ..Settings::lately() }).unwrap();
        let both = Self { dir: tempfile::tempdir().unwrap(), vendor, script: None };
        for who in ["theirs", "ours"] {
            let home = both.home(who);
            fs::create_dir(&home).unwrap();
            let settings = serde_json::json!({
                "downloadFolder": home.join("tree"), "logFilePath": home.join("log"), "downloadLinuxUpdates": true,
                "downloadMacUpdates": true, "downloadPreviewUpdates": true, "backupPreviousUpdates": true,
            });
            fs::write(home.join("settings.json"), settings.to_string()).unwrap();
        }
        let given = std::env::var_os("WAYSTATION_XPLAT_SCRIPT").map(PathBuf::from);
        let script = given.map(|given| {
            let text = fs::read_to_string(&given).unwrap_or_else(|error| panic!("{}: {error}", given.display()));
            let there = "defaultBaseUpdateUrl=\"https://go.microsoft.com/fwlink/\"";
            assert!(text.contains(there), "{}: not the script that is known", given.display());
            let here = format!("defaultBaseUpdateUrl=\"{}\"", both.vendor.defender_url());
            let copy = both.home("theirs").join("script.sh");
            fs::write(&copy, text.replace(there, &here)).unwrap();
            copy
        });
        Self { script, ..both }
    }

    fn home(&self, who: &str) -> PathBuf {
        self.dir.path().join(who)
    }

    /// The script, or its steps.
    fn theirs(&self) -> Output {
        match &self.script {
            Some(_) => try_sh(&self.home("theirs"), "bash ./script.sh"),
            None => try_sh(&self.home("theirs"), &format!("BASE={}\n{STEPS}", self.vendor.defender_url())),
        }
    }

    fn ours(&self) -> Output {
        let home = self.home("ours");
        Command::new(e2e::waystation())
            .args(["compat", "defender-downloader", "--state"])
            .arg(self.home("state"))
            .current_dir(&home)
            .env("WAYSTATION__DEFENDER__ORIGIN", self.vendor.defender_url())
            .env("WAYSTATION__DEFENDER__REDIRECT_HOSTS", "127.0.0.1")
            .env("WAYSTATION__ORIGIN__ALLOW_PLAIN_HTTP", "true")
            .env("WAYSTATION__LIMITS__DISK_RESERVE", "1MiB")
            .env("WAYSTATION__LIMITS__RETRIES", "0")
            .output()
            .unwrap()
    }

    fn publish(&self) {
        self.vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    }

    fn files(&self, who: &str) -> Files {
        let root = self.home(who).join("tree");
        let mut found = Files::new();
        walk(&root, &root, &mut found);
        found
    }

    fn file(&self, who: &str, name: &str) -> Option<Vec<u8>> {
        fs::read(self.home(who).join("tree").join(name)).ok()
    }
}

fn walk(root: &Path, folder: &Path, found: &mut Files) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if name == ".waystation" {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            found.insert(name, Digest::of(&fs::read(&path).unwrap()));
        }
    }
}

#[track_caller]
fn code(output: &Output, expected: i32) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    assert_eq!(output.status.code(), Some(expected), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn the_scripts_tree_and_ours_are_the_same_path_for_path_and_byte_for_byte() {
    let both = Both::new();
    let mut files = 0;
    for _ in 0..3 {
        code(&both.theirs(), 0);
        code(&both.ours(), 0);
        let (theirs, ours) = (both.files("theirs"), both.files("ours"));
        assert_eq!(theirs, ours);
        files = ours.len();
        both.publish();
    }
    // The tree that the script left is taken over: nothing is fetched but what is new.
    let offered = both.vendor.defender_release(DefenderFeed::ALL[0]).unwrap();
    code(&both.theirs(), 0);
    fs::remove_dir_all(both.home("ours").join("tree")).unwrap();
    fs::remove_dir_all(both.home("state")).unwrap();
    fs::rename(both.home("theirs").join("tree"), both.home("ours").join("tree")).unwrap();
    let before = both.files("ours");
    both.vendor.reset_counters();
    code(&both.ours(), 0);
    assert!(both.vendor.requests().body_bytes < offered.archive.len(), "no archive was fetched again");
    assert_eq!(both.files("ours"), before);
    let by = if both.script.is_some() { "Microsoft's own script" } else { "the steps of Microsoft's script" };
    saw(&format!(
        "{files} files of 8 targets and their _back made by {by} and by ours over 3 releases: equal; then taken over"
    ));
}

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
    let by = match Both::new().script {
        Some(_) => "Microsoft's own script has them, ours has not",
        None => "ours has not; the script was not at hand (WAYSTATION_XPLAT_SCRIPT)",
    };
    saw(&format!("{}: {by}", seen.join(" ")));
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
    code(&both.ours(), 1);
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
    let first = both.vendor.defender_release(DefenderFeed::ALL[0]).unwrap().content_target.clone();
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
