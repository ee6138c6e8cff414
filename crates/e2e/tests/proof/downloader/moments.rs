//! Defects that show between two moments: two requests, two runs, two reads.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::until;
use model::Digest;
use platform::fs::Folder;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use vendor_sim::{DefenderChange, Fault, FaultRule, InfoFault, Kind, Pattern, Point};

use super::{Asked, BACK, Both, FEED, ZIP, code, version_in};
use crate::shell::saw;

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn d08_the_vendor_publishes_between_the_archive_and_its_versions() {
    let both = Both::of(Asked::Linux, 64 << 10);
    for who in both.whos() {
        let old = both.offered();
        let archive = both.vendor.defender_release(FEED).unwrap().content_target.clone();
        both.vendor.inject(FaultRule::once(Pattern::Target(archive), Fault::PublishAfterArchive));
        if *who == "ours" {
            // Whether this run brings the newer one or leaves it to the next, it leaves no pair that never was.
            both.ours();
            let shown = both.file("ours", ZIP).map(|_| both.pair("ours"));
            assert!(shown.is_none_or(|shown| shown == old || shown == both.offered()));
            both.run("ours", 0);
            assert_eq!(both.pair("ours"), both.offered());
        } else {
            both.run(who, 0);
            let wrong = (old.0, both.offered().1);
            assert_eq!(both.pair(who), wrong, "the old archive under the new versions");
            both.run(who, 0);
            assert_eq!(both.pair(who), wrong, "and the next run finds nothing to do");
        }
        assert_ne!(old, both.offered(), "the vendor has published");
    }
    saw(&format!("D08: {}", both.by()));
}

#[test]
fn d09_two_runs_at_once_and_a_working_folder_that_cannot_be_written() {
    let both = Both::of(Asked::Linux, 16 << 10);
    let silent = both.vendor.inject(FaultRule::always(Kind::Archive, Fault::Stall(Point::Half)));
    let mut first = started(both.our_run().env("WAYSTATION__LIMITS__PAUSE_TIMEOUT", "5m"));
    until("the first run waits for its archive", PATIENCE, || (both.vendor.hits(silent) > 0).then_some(()));
    let second = both.ours();
    code(&second, 1);
    assert!(String::from_utf8_lossy(&second.stderr).contains("locked"), "{second:?}");
    kill_process(Pid::from_child(&first), Signal::TERM).unwrap();
    first.wait().unwrap();
    both.vendor.clear_faults();
    both.run("ours", 0);
    if let Some(mut their_first) = both.their_run() {
        two_scripts_at_once(&both, &mut their_first);
    }

    both.publish();
    code(&both.our_run().current_dir("/proc").output().unwrap(), 0);
    assert_eq!(both.pair("ours"), both.offered());
    if let Some(mut run) = both.their_run() {
        let before = both.pair("theirs");
        code(&run.current_dir("/proc").output().unwrap(), 0);
        assert_eq!(both.pair("theirs"), before, "temp.txt cannot be made: nothing is done, and that is a success");
    }
    saw(&format!("D09: {}", both.by()));
}

/// The first is slow; the second brings a newer release meanwhile, and the first writes on into what is served by then.
fn two_scripts_at_once(both: &Both, first: &mut Command) {
    let old = both.offered();
    let archive = both.vendor.defender_release(FEED).unwrap().content_target.clone();
    both.vendor.inject(FaultRule::once(Pattern::Target(archive), Fault::SlowDrip(Duration::from_millis(1))));
    let mut first = started(first);
    let part = both.home("theirs").join("tree").join(format!("{ZIP}_temp"));
    until("the first script has written a part", PATIENCE, || {
        fs::metadata(&part).is_ok_and(|part| part.len() > 0).then_some(())
    });
    both.vendor.publish_defender(FEED, DefenderChange { engine: true, ..DefenderChange::default() }).unwrap();
    both.run("theirs", 0);
    assert!(first.try_wait().unwrap().is_none(), "the first script ended before the second: nothing was tried");
    assert!(first.wait().unwrap().success());
    let served = both.pair("theirs");
    assert!(served.0 != old.0 && served.0 != both.offered().0, "a part of one release and a part of another");
    // The next run believes it.
    both.run("theirs", 0);
    assert_eq!(both.pair("theirs"), served);
}

#[test]
fn d14_a_line_that_breaks_and_one_that_falls_silent() {
    let both = Both::of(Asked::Linux, 64 << 10);
    let breaks = || both.vendor.inject(FaultRule::once(Kind::Archive, Fault::Reset(Point::Half)));
    breaks();
    let patient = |run: &mut Command| {
        run.env("WAYSTATION__LIMITS__RETRIES", "1").env("WAYSTATION__LIMITS__RETRY_BASE", "10ms").output().unwrap()
    };
    code(&patient(&mut both.our_run()), 0);
    assert_eq!(both.pair("ours"), both.offered());
    if both.script.is_some() {
        breaks();
        both.run("theirs", 0);
        assert!(both.file("theirs", ZIP).is_none(), "the script tries once");
    }
    both.vendor.clear_faults();

    both.publish();
    let silent = both.vendor.inject(FaultRule::always(Kind::Archive, Fault::Stall(Point::Half)));
    let mut theirs = both.their_run().map(|mut run| started(run.process_group(0)));
    if theirs.is_some() {
        until("the script waits for its archive", PATIENCE, || (both.vendor.hits(silent) > 0).then_some(()));
    }
    code(&both.our_run().env("WAYSTATION__LIMITS__PAUSE_TIMEOUT", "2s").output().unwrap(), 1);
    if let Some(theirs) = &mut theirs {
        // It has no limit: that it would wait for ever can only be read in it.
        assert!(theirs.try_wait().unwrap().is_none(), "the script waits on when ours has ended");
        kill_process_group(Pid::from_child(theirs), Signal::KILL).unwrap();
        theirs.wait().unwrap();
    }
    saw(&format!("D14: {}", both.by()));
}

#[test]
fn d15_whoever_reads_while_a_release_comes() {
    let both = Both::of(Asked::Linux, 256 << 10);
    for _ in 0..2 {
        for who in both.whos() {
            both.run(who, 0);
        }
        both.publish();
    }
    for who in both.whos() {
        let tree = both.home(who).join("tree");
        let (whole, pair) = (fs::read(tree.join(BACK)).unwrap(), both.pair(who));
        let mut back = File::open(tree.join(BACK)).unwrap();
        // Between the two members that change with a release.
        let mut read = vec![0; whole.len() * 17 / 20];
        back.read_exact(&mut read).unwrap();
        let production = Folder::open(&tree.join("linux/production/arch_x86_64")).unwrap();
        let through = |name: &str| {
            let mut bytes = Vec::new();
            production.open_regular(name).unwrap().0.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let version = version_in(&through("manifest.json"));
        both.run(who, 0);
        back.read_to_end(&mut read).unwrap();
        let seen = (Digest::of(&through("updates.zip")), version);
        if *who == "ours" {
            assert!(read == whole && seen == pair);
        } else {
            let now = fs::read(tree.join(BACK)).unwrap();
            assert!(read != whole && read != now, "a part of one release and a part of another");
            assert!(seen != pair && seen != both.pair(who), "one release's versions, another's archive");
        }
        assert_eq!(both.pair(who), both.offered());
    }
    saw(&format!("D15: {}", both.by()));
}

#[test]
fn d17_back_by_more_than_one_release() {
    let both = Both::of(Asked::Linux, 8 << 10);
    let first = both.offered();
    for _ in 0..4 {
        for who in both.whos() {
            both.run(who, 0);
        }
        both.publish();
    }
    if both.script.is_some() {
        assert!(!both.files("theirs").values().any(|digest| *digest == first.0), "it is nowhere any more");
    }
    let config = both.home("state").join("waystation.toml");
    let act = |arguments: &[&str]| {
        let output = Command::new(e2e::waystation()).arg("--config").arg(&config).args(arguments).output().unwrap();
        code(&output, 0);
        output.stdout
    };
    let listed = act(&["release", "list", "--json", "--feed", "defender/linux/production/x86_64"]);
    let listed = String::from_utf8(listed).unwrap();
    let mut lines = listed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let found = lines.find(|line| line.to_string().contains(&first.1)).unwrap();
    act(&["release", "admit", &found["number"].to_string(), "--reason", "the newer ones break hosts"]);
    // The vendor is away, so nothing newer comes.
    both.vendor.inject(FaultRule::always(Pattern::Any, Fault::Status(503)));
    both.run("ours", 1);
    assert_eq!(both.pair("ours"), first);
    saw(&format!("D17: {}", both.by()));
}

#[test]
fn d19_version_information_in_another_form() {
    let both = Both::of(Asked::Linux, 8 << 10);
    both.vendor.inject(FaultRule::always(Kind::Info, Fault::Info(InfoFault::Attribute)));
    for who in both.whos() {
        both.run(who, 0);
    }
    assert_eq!(both.pair("ours"), both.offered(), "an attribute more is read past");
    let engine = |who| {
        let companion = both.file(who, &ZIP.replace("updates.zip", "manifest.json")).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&companion).unwrap();
        read["EngineVersion"].as_str().unwrap().to_owned()
    };
    assert_eq!(engine("ours"), both.vendor.defender_release(FEED).unwrap().engine);
    if both.script.is_some() {
        assert!(engine("theirs").contains('<'), "{}", engine("theirs"));
    }
    both.vendor.clear_faults();

    both.publish();
    let before = both.files("ours");
    both.vendor.inject(FaultRule::always(Kind::Info, Fault::Info(InfoFault::NoVersions)));
    both.run("ours", 1);
    assert_eq!(both.files("ours"), before, "what says no version replaces nothing");
    if both.script.is_some() {
        both.run("theirs", 0);
        assert_eq!(both.pair("theirs"), (both.offered().0, String::new()), "the archive is replaced all the same");
    }
    saw(&format!("D19: {}", both.by()));
}

fn started(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
