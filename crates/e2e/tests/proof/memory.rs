//! A little memory and a large archive: a control group of 64 MiB, which the kernel holds to by killing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use e2e::whole::{defender_folder, serves_what_the_vendor_shows};
use e2e::{Site, get, until};
use rustix::process::{Pid, Signal, kill_process};
use vendor_sim::{
    Architecture, DefenderChange, DefenderFeed, DefenderSettings, DefenderTarget, Platform, Settings, Simulator, Track,
};

use crate::shell::saw;

const LIMIT: u64 = 64 << 20;
const ARCHIVE: u64 = 2_000_000_000;
const FEED: DefenderFeed = DefenderFeed::new(Platform::Linux, Track::Production, Architecture::X86_64);

/// A control group with little memory; gone when dropped.
struct Little(PathBuf);

impl Little {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("/sys/fs/cgroup/memory/waystation-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("needs cgroup v1's memory controller: {error}"));
        fs::write(path.join("memory.limit_in_bytes"), LIMIT.to_string()).unwrap();
        Self(path)
    }

    /// The command, inside.
    fn command(&self, site: &Site, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        let inside = format!("echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"", self.0.display());
        command.args(["-c", &inside]).arg(e2e::waystation()).args(arguments);
        command.env("WAYSTATION_CONFIG", site.config()).current_dir(site.folder());
        command
    }

    /// The most anonymous memory and page cache that was charged to it, and how often it hit the limit.
    fn most(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.0.join(name)).unwrap().trim().to_owned();
        format!("{} bytes at most, limit hit {} times", read("memory.max_usage_in_bytes"), read("memory.failcnt"))
    }
}

impl Drop for Little {
    fn drop(&mut self) {
        // Its last process may be a moment in ending.
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn two_gigabytes_stream_through_64_mib_and_serving_outlives_a_killed_fetch_s38() {
    let defender = DefenderSettings { archive_size: ARCHIVE, feeds: vec![FEED], ..DefenderSettings::default() };
    let vendor = Simulator::start(Settings { defender, ..Settings::lately() }).unwrap();
    let followed = e2e::defender(&vendor.defender_url(), &["linux"], &["production"]);
    let site = Site::new(&[format!("{followed}architectures = [\"x86_64\"]\n")]);
    let fetching = Little::new("fetch");
    let synced = fetching.command(&site, &["sync", "--json"]).output().unwrap();
    assert!(synced.status.success(), "{synced:?}; {}", fetching.most());
    let most = fetching.most();

    let serving = Little::new("serve");
    let serve = e2e::Daemon::start(serving.command(&site, &["serve"]));
    vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    let mut sync = fetching.command(&site, &["sync"]).spawn().unwrap();
    let partial = site.data().join("partial");
    until("the next archive is on its way", Duration::from_secs(120), || {
        fs::read_dir(&partial).unwrap().next().is_some().then_some(())
    });
    kill_process(Pid::from_child(&sync), Signal::KILL).unwrap();
    sync.wait().unwrap();
    assert_eq!(get(serve.admin, "/readyz").unwrap().status, 200);
    assert!(get(serve.content, &format!("{}/manifest.json", defender_folder(FEED, ""))).unwrap().status == 200);
    let again = fetching.command(&site, &["sync", "--json"]).output().unwrap();
    assert!(again.status.success(), "{again:?}");
    until("the newest archive is served whole", Duration::from_secs(300), || {
        serves_what_the_vendor_shows(serve.content, &vendor, &[], &[FEED]).then_some(())
    });
    serve.finish();
    saw(&format!(
        "an archive of 2 GB through a control group of 64 MiB: {most}; serve, in 64 MiB of its own, outlived a killed fetch"
    ));
}
