//! Microsoft's own script and what stands in for it, on one simulated vendor: trees path for path, byte for byte, and the
//! script's defects provoked on both: those of one run in `defects`, those that show between two moments in `moments`.
//!
//! The script is not ours to carry along. `WAYSTATION_XPLAT_SCRIPT` names a copy of
//! `linux/definition_downloader/xplat_offline_updates_download.sh` from the public repository microsoft/mdatp-xplat; a copy
//! of that with another base address is run. Without it its steps are re-enacted, and the defects are provoked on ours alone.

mod defects;
mod moments;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use model::Digest;
use tempfile::TempDir;
use vendor_sim::{DefenderChange, DefenderFeed, DefenderSettings, DefenderTarget, Settings, Simulator};

use crate::script::STEPS;
use crate::shell::{saw, try_sh};

const ZIP: &str = "linux/production/arch_x86_64/updates.zip";
const BACK: &str = "linux/production_back/arch_x86_64/updates.zip";
/// The feed of both.
const FEED: DefenderFeed = DefenderFeed::ALL[0];

/// One vendor, and a folder for each of the two.
struct Both {
    dir: TempDir,
    vendor: Simulator,
    script: Option<PathBuf>,
}

/// Files below a folder and their digests; what is kept out of sight is not among them.
type Files = BTreeMap<String, Digest>;

/// An archive, and the definitions that the companion beside it names.
type Pair = (Digest, String);

/// Which targets the settings ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// All eight.
    All,
    /// The two of Linux's production.
    Linux,
}

impl Both {
    fn new() -> Self {
        Self::of(Asked::All, 64 << 10)
    }

    fn of(asked: Asked, archive_size: u64) -> Self {
        let defender = DefenderSettings { archive_size, ..DefenderSettings::default() };
        let vendor = Simulator::start(Settings { defender, ..Settings::lately() }).unwrap();
        let both = Self { dir: tempfile::tempdir().unwrap(), vendor, script: None };
        for who in ["theirs", "ours"] {
            let home = both.home(who);
            fs::create_dir(&home).unwrap();
            let settings = serde_json::json!({
                "downloadFolder": home.join("tree"), "logFilePath": home.join("log"), "downloadLinuxUpdates": true,
                "downloadMacUpdates": asked == Asked::All, "downloadPreviewUpdates": asked == Asked::All,
                "backupPreviousUpdates": true,
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
        self.our_run().output().unwrap()
    }

    /// The script, to be started; none where it is not at hand.
    fn their_run(&self) -> Option<Command> {
        let mut command = Command::new("/bin/bash");
        command.arg(self.script.as_ref()?).current_dir(self.home("theirs")).env_remove("http_proxy");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Some(command)
    }

    fn our_run(&self) -> Command {
        let home = self.home("ours");
        let mut command = Command::new(e2e::waystation());
        command
            .args(["compat", "defender-downloader", "--state"])
            .arg(self.home("state"))
            .arg("--settings")
            .arg(home.join("settings.json"))
            .current_dir(&home)
            .env("WAYSTATION__DEFENDER__ORIGIN", self.vendor.defender_url())
            .env("WAYSTATION__DEFENDER__REDIRECT_HOSTS", "127.0.0.1")
            .env("WAYSTATION__ORIGIN__ALLOW_PLAIN_HTTP", "true")
            .env("WAYSTATION__LIMITS__DISK_RESERVE", "1MiB")
            .env("WAYSTATION__LIMITS__RETRIES", "0");
        command
    }

    /// Who is at hand: ours, and the script where it was given.
    fn whos(&self) -> &'static [&'static str] {
        if self.script.is_some() { &["ours", "theirs"] } else { &["ours"] }
    }

    /// One run of either, which ends with this code.
    #[track_caller]
    fn run(&self, who: &str, expected: i32) {
        code(&if who == "ours" { self.ours() } else { self.theirs() }, expected);
    }

    /// What the vendor offers of [`FEED`].
    fn offered(&self) -> Pair {
        let release = self.vendor.defender_release(FEED).unwrap();
        (release.archive.digest(), release.definitions.clone())
    }

    /// What stands in a folder.
    fn pair(&self, who: &str) -> Pair {
        let companion = self.file(who, &ZIP.replace("updates.zip", "manifest.json")).unwrap();
        (Digest::of(&self.file(who, ZIP).unwrap()), version_in(&companion))
    }

    /// The end of what a test saw: on whom.
    fn by(&self) -> &'static str {
        match self.script {
            Some(_) => "Microsoft's own script has it, ours has not",
            None => "ours has not; the script was not at hand (WAYSTATION_XPLAT_SCRIPT)",
        }
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

fn version_in(companion: &[u8]) -> String {
    let read: serde_json::Value = serde_json::from_slice(companion).unwrap();
    read["DefinitionVersion"].as_str().unwrap().to_owned()
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
