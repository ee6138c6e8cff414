//! A clock that is thrown a year either way under the real binary: nothing leaves before its grace, nothing that is
//! served is lost, and back in true time everything goes on.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::whole::serves_what_the_vendor_shows;
use e2e::{Daemon, Site, get, until, waystation};
use model::Digest;
use serde_json::Value;
use vendor_sim::{Change, DefenderChange, DefenderFeed, DefenderTarget, Simulator};

use crate::shell::{VERSIONS, everything, saw, vendor};

const A_DAY: &str = "[retention]\ngrace = \"1d\"\n";
const NO_TIME: &str = "[retention]\ngrace = \"0s\"\n";
/// Machines are busy.
const LONG: Duration = Duration::from_secs(60);

/// A site that serves two releases of every feed: the second, and what the first leaves in its grace.
struct Stage {
    vendor: Simulator,
    site: Site,
    /// Path and bytes of artifacts that only the first release names.
    left: BTreeSet<(String, Digest)>,
}

/// What shows a process another time, as `faketime` sets it up for those that it starts.
fn shim() -> String {
    let answer = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output().unwrap();
    String::from_utf8(answer.stdout).unwrap().trim().to_owned()
}

impl Stage {
    fn new() -> Self {
        let vendor = vendor();
        let site = Site::new(&Self::sections(&vendor, A_DAY));
        site.sync(&[]).expect(0);
        let first = artifacts(&vendor);
        Self::publish(&vendor);
        site.sync(&[]).expect(0);
        let second = artifacts(&vendor);
        let left: BTreeSet<(String, Digest)> = first.difference(&second).cloned().collect();
        let stage = Self { vendor, site, left };
        assert!(stage.left.len() > 2 && stage.in_grace() >= stage.left.len(), "{} are left", stage.left.len());
        stage
    }

    fn sections(vendor: &Simulator, retention: &str) -> Vec<String> {
        let often = |section: String| section + "schedule = \"2s\"\n";
        everything(vendor).into_iter().map(often).chain([retention.to_owned()]).collect()
    }

    fn publish(vendor: &Simulator) {
        vendor.publish_elastic("all", Change::of(3)).unwrap();
        vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    }

    /// The program with its clock thrown; how much time has passed it is told as it is.
    fn thrown(&self, by: &str, arguments: &[&str]) -> Command {
        let mut command = self.site.command(arguments);
        command.env("LD_PRELOAD", shim()).env("FAKETIME", by).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    }

    /// How many days ahead the program believes to be.
    fn days_ahead(&self, by: &str) -> i64 {
        let told = self.thrown(by, &["status", "--json"]).output().unwrap();
        let told: Value = serde_json::from_slice(&told.stdout).unwrap_or_else(|error| panic!("{error}: {told:?}"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        (told["at"].as_i64().unwrap() / 1_000_000 - i64::try_from(now.as_secs()).unwrap()) / 86_400
    }

    fn act_thrown(&self, by: &str, arguments: &[&str]) {
        let ended = self.thrown(by, arguments).stdin(Stdio::null()).output().unwrap();
        assert!(ended.status.success(), "{arguments:?} at {by}: {ended:?}");
        self.is_all_there(&format!("after {arguments:?} at {by}"));
    }

    fn ring(&self) -> Value {
        // Freshness may be beyond policy by such a clock; what the ring holds is told all the same.
        self.site.act(&["status", "--json"]).lines().remove(0)["ring"].clone()
    }

    fn in_grace(&self) -> usize {
        usize::try_from(self.ring()["in_grace"].as_u64().unwrap()).unwrap()
    }

    /// Nothing that is superseded has gone from the ring.
    fn is_all_there(&self, when: &str) {
        let ring = self.ring();
        assert!(self.in_grace() >= self.left.len(), "{when}: {ring}");
        assert_eq!(ring["fault"], Value::Null, "{when}");
    }

    /// Everything is served: the newest of every feed, and what is in its grace.
    fn is_served(&self, daemon: &Daemon, when: &str) {
        assert!(
            serves_what_the_vendor_shows(daemon.content, &self.vendor, &VERSIONS, &DefenderFeed::ALL),
            "{when}: something of the newest is not served"
        );
        for (path, digest) in &self.left {
            let answer = get(daemon.content, path).unwrap();
            assert_eq!((answer.status, Digest::of(&answer.body)), (200, *digest), "{when}: {path}");
        }
    }

    /// Back in true time everything is there, and goes on as if nothing had been.
    fn goes_on(&self, when: &str) {
        self.is_all_there(when);
        for act in [&["gc"][..], &["release", "verify", "--all", "--store"], &["history", "verify"]] {
            self.site.act(act).expect(0);
        }
        self.site.sync(&[]).expect(0);
        let serve = self.site.start("serve");
        self.is_served(&serve, when);
        Self::publish(&self.vendor);
        self.site.sync(&[]).expect(0);
        until("what is newer is served", LONG, || {
            serves_what_the_vendor_shows(serve.content, &self.vendor, &VERSIONS, &DefenderFeed::ALL).then_some(())
        });
        self.is_served(&serve, when);
        serve.finish();
        // The look can fail: what has no grace left goes, once an entry of the history lies behind its end.
        self.site.configure(&Self::sections(&self.vendor, NO_TIME));
        for _ in 0..2 {
            self.site.act(&["gc"]).expect(0);
        }
        assert_eq!(self.in_grace(), 0, "{when}: {}", self.ring());
    }
}

/// Path and bytes of every artifact that the vendor names now.
fn artifacts(vendor: &Simulator) -> BTreeSet<(String, Digest)> {
    let releases = VERSIONS.iter().filter_map(|version| vendor.elastic_release(*version));
    let artifacts = releases.flat_map(|release| release.artifacts.clone());
    artifacts.map(|artifact| (artifact.relative_url.clone(), artifact.encoded_sha256)).collect()
}

/// Each command as a process of its own whose clock is a year ahead, or behind.
#[test]
fn commands_a_year_off_drop_nothing_in_its_grace_s28() {
    for by in ["+1y", "-1y"] {
        let stage = Stage::new();
        assert!(stage.days_ahead(by).abs() > 300, "the program sees through {by}: {} days", stage.days_ahead(by));
        // The second look of each finds the entries that the first one left.
        for act in [&["sync"][..], &["gc"], &["gc"], &["sync"]] {
            stage.act_thrown(by, act);
        }
        let run = Daemon::start(stage.thrown(by, &["run"]));
        stage.is_served(&run, by);
        run.finish();
        stage.is_all_there(by);
        stage.goes_on(&format!("back from {by}"));
    }
    saw(
        "sync, gc, gc, sync and run a year ahead, and a year behind: all in its grace stayed, all was served, and true time went on",
    );
}

/// The clock of a process that lives.
#[test]
fn a_run_whose_clock_is_thrown_drops_nothing_in_its_grace_s28() {
    let stage = Stage::new();
    let file = stage.site.folder().join("clock");
    let throw = |by: &str| {
        fs::write(stage.site.folder().join("clock.new"), format!("{by}\n")).unwrap();
        fs::rename(stage.site.folder().join("clock.new"), &file).unwrap();
    };
    throw("+0");
    let mut command = Command::new(waystation());
    command.arg("run").current_dir(stage.site.folder()).env("WAYSTATION_CONFIG", stage.site.config());
    command.env("LD_PRELOAD", shim()).env("FAKETIME_TIMESTAMP_FILE", &file).env("FAKETIME_NO_CACHE", "1");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let run = Daemon::start(command);
    stage.is_served(&run, "before");
    for by in ["+1y", "+0", "-1y", "+0"] {
        throw(by);
        // Something is published by that clock, and collected beside it.
        let before = stage.ring()["generation"].clone();
        Stage::publish(&stage.vendor);
        until("a run at that time has published", LONG, || (stage.ring()["generation"] != before).then_some(()));
        stage.act_thrown(by, &["gc"]);
        stage.is_all_there(by);
        until("what is newer is served", LONG, || {
            serves_what_the_vendor_shows(run.content, &stage.vendor, &VERSIONS, &DefenderFeed::ALL).then_some(())
        });
        stage.is_served(&run, by);
    }
    run.finish();
    stage.goes_on("after a run whose clock was thrown");
    saw(
        "run with its clock thrown a year ahead, back, a year behind and back: each time it published, and all in its grace stayed",
    );
}
