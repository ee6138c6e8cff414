//! `sync` end to end.

use std::io::{BufRead as _, BufReader};

use platform::lock::FileLock;
use rustix::process::{Pid, Signal, kill_process};
use vendor_sim::{ArchiveFault, Change, DefenderChange, DefenderTarget, Fault, FaultRule, Kind, Point};

use crate::site::Site;

fn field(line: &serde_json::Value, name: &str) -> String {
    line[name].as_str().unwrap_or_default().to_owned()
}

#[test]
fn both_vendors_are_published_and_then_current() {
    let site = Site::builder().defender().build();
    let first = site.run(&["sync", "--json"]).with(0);
    let lines = first.lines();
    assert_eq!(lines.len(), 2, "{}", first.stdout);
    let (elastic, defender) = (&lines[0], &lines[1]);
    assert_eq!(field(defender, "feed"), "defender/linux/production/x86_64");
    assert_eq!(field(defender, "outcome"), "published");
    assert_eq!(field(defender, "vendor_version"), "1.459.553.0");
    assert!(field(defender, "engine").starts_with("1.1."));
    assert_eq!(field(elastic, "vendor_version"), "1.0.1049");
    assert!(elastic.get("engine").is_none());
    assert_eq!(field(elastic, "release").len(), 64);
    assert!(elastic["bytes_fetched"].as_u64().unwrap() > 5 * 1024 && elastic["reason"].is_null());
    let keys: Vec<&String> = elastic.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["feed", "outcome", "vendor_version", "release", "bytes_fetched", "requests", "reason", "detail"]);
    let again = site.run(&["sync"]).with(0);
    assert!(
        again.stdout.contains("current") && again.stdout.contains("ring broad serves generation"),
        "{}",
        again.stdout
    );
    assert_eq!(
        again.stdout.matches("0 B").count(),
        1,
        "an Elastic feed that did not move costs no byte: {}",
        again.stdout
    );
}

#[test]
fn the_exit_code_tells_how_much_failed_u57() {
    let site = Site::builder().versions(&["9.0.0", "8.18.3"]).build();
    site.vendors.retire_elastic("8.18.3");
    let part = site.run(&["sync"]).with(3);
    assert!(part.stdout.contains("elastic/8.18.3: failed: not_found"), "{}", part.stdout);
    assert!(part.stdout.contains("Check the version's spelling"), "{}", part.stdout);
    site.vendors.retire_elastic("9.0.0");
    let none = site.run(&["sync", "--json"]).with(1);
    assert!(none.lines().iter().all(|line| field(line, "reason") == "not_found"), "{}", none.stdout);
    let status = site.run(&["status"]).with(0);
    assert!(status.stdout.contains("served on: 1.0.1049"), "{}", status.stdout);
}

#[test]
fn a_plan_changes_nothing_and_says_what_a_run_fetches() {
    let site = Site::builder().defender().build();
    let plan = site.run(&["sync", "--plan", "--json"]).with(0);
    assert!(!site.data().exists(), "a plan makes nothing");
    let lines = plan.lines();
    assert_eq!(lines[0]["files"].as_array().unwrap().len(), 5, "{}", plan.stdout);
    assert_eq!(site.vendors.requests().artifacts(), 0);
    let told = site.run(&["sync", "--plan"]).with(0);
    assert!(
        told.stdout.contains("FILES TO FETCH") && told.stdout.contains("in all: 6 files to fetch"),
        "{}",
        told.stdout
    );
    site.run(&["sync"]).with(0);
    site.vendors.publish_elastic("9.0.0", Change::of(2)).unwrap();
    let next = site.run(&["sync", "--plan", "--json", "elastic/9.0.0"]).with(0).lines();
    assert_eq!((next[0]["files"].as_array().unwrap().len(), next[0]["held_files"].as_u64()), (2, Some(3)), "{next:?}");
    assert_eq!(field(&next[0], "vendor_version"), "1.0.1050");
    site.vendors.retire_elastic("9.0.0");
    site.run(&["sync", "--plan", "elastic/9.0.0"]).with(1);
    site.run(&["sync", "--plan"]).with(3);
}

#[test]
fn a_folder_is_taken_in_without_a_network() {
    let site = Site::builder().build();
    let folder = site.path().join("tree");
    site.vendors.write_elastic_tree(&folder, "9.0.0").unwrap();
    let report = site.run(&["sync", "--from", "tree", "--json"]).with(0).lines();
    assert_eq!(field(&report[0], "outcome"), "published");
    assert_eq!(site.vendors.requests().requests, 0);
    let status = site.run(&["status"]).with(0);
    assert!(status.stdout.contains("attested by a person's folder"), "{}", status.stdout);
    std::fs::create_dir(site.path().join("empty")).unwrap();
    for wrong in ["empty", "missing"] {
        let ended = site.run(&["sync", "--from", wrong]).with(1);
        assert!(ended.stderr.contains("not_in_folder"), "{}", ended.stderr);
    }
}

#[test]
fn a_second_run_is_locked_out_or_waits_s23() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    let lock = FileLock::try_acquire(&site.data().join("locks/fetch")).unwrap().unwrap();
    let refused = site.run(&["sync", "--json"]).with(1);
    assert_eq!(field(&refused.lines()[0], "reason"), "locked");
    assert!(refused.stderr.contains("--wait"), "{}", refused.stderr);
    let mut waiting = site.spawn(&["sync", "--wait"]);
    let mut told = BufReader::new(waiting.stderr.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.starts_with("waiting for another fetch run"), "{line}");
    drop(lock);
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}

#[test]
fn hostile_text_reaches_no_terminal_and_breaks_no_line_c36() {
    let site = Site::builder().build();
    site.vendors.inject(FaultRule::always(Kind::Manifest, Fault::Redirect("http://evil.test/\u{1b}[2Jx".into())));
    let ended = site.run(&["sync", "-vv"]).with(1);
    let told = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!told.contains('\u{1b}'), "{told:?}");
    let json = site.run(&["sync", "--log", "json", "-v"]);
    let logs = json.stderr.lines().filter(|line| line.starts_with('{'));
    for line in logs {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn quiet_is_quiet() {
    let site = Site::builder().build();
    let ended = site.run(&["sync", "-q"]).with(0);
    assert_eq!(ended.stderr, "");
    assert!(ended.stdout.contains("published"));
}

#[test]
fn an_emptied_archive_never_follows_a_good_one_u52() {
    let site = Site::builder().versions(&[]).defender().build();
    site.run(&["sync"]).with(0);
    site.vendors.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    site.vendors.inject(FaultRule::always(Kind::Archive, Fault::Archive(ArchiveFault::Empty)));
    let refused = site.run(&["sync", "--json"]).with(1).lines();
    assert_eq!(field(&refused[0], "outcome"), "failed");
    assert_eq!(field(&refused[0], "reason"), "unexpected_members");
    let status = site.run(&["status"]).with(0);
    assert!(status.stdout.contains("served on: 1.459.553.0"), "{}", status.stdout);
    site.vendors.clear_faults();
    let next = site.run(&["sync", "--json"]).with(0).lines();
    assert_eq!(field(&next[0], "outcome"), "published");
}

#[test]
fn a_signal_ends_it_and_the_next_run_goes_on_s39() {
    for signal in [Signal::INT, Signal::TERM] {
        let site = Site::builder().build();
        let rule = site.vendors.inject(FaultRule::always(Kind::Artifact(4), Fault::Stall(Point::Half)));
        let mut child = site.spawn(&["sync", "-q"]);
        while site.vendors.hits(rule) == 0 {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before it was stalled");
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "it says that it was interrupted");
        site.vendors.clear_faults();
        let next = site.run(&["sync", "--json"]).with(0).lines();
        assert_eq!(field(&next[0], "outcome"), "published");
    }
}

#[test]
fn what_was_asked_for_or_learned_and_cannot_be_read_keeps_nothing_configured_from_being_fetched_s41() {
    let site = Site::builder().build();
    let file = site.path().join("waystation.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[elastic]\n", "[elastic]\nauto_learn = true\n")).unwrap();
    site.run(&["sync"]).with(0);
    let (wanted, learned) = (site.data().join("wanted/wanted.json"), site.data().join("wanted/learned.json"));
    for (broken, text, level) in [(&wanted, "{", 0), (&wanted, "{\"form\":2,\"entries\":[]}", 0), (&learned, "{", 4)] {
        std::fs::write(broken, text).unwrap();
        site.vendors.publish_elastic("9.0.0", Change::of(1)).unwrap();
        let told = site.run(&["sync", "--json"]).with(3);
        assert_eq!(field(&told.lines()[0], "outcome"), "published", "{}", told.stdout);
        assert!(told.stderr.contains("does not read"), "{}", told.stderr);
        let folder = site.path().join("tree");
        site.vendors.write_elastic_tree(&folder, "9.0.0").unwrap();
        let told = site.run(&["sync", "--from", "tree"]).with(3);
        assert!(told.stdout.contains("current"), "{}", told.stdout);
        site.run(&["sync", "--plan"]).with(3);
        let status = site.run(&["status"]).with(level);
        assert!(status.stdout.contains("learned_unread"), "{}", status.stdout);
        assert!(status.stderr.matches("ERROR").count() <= 1, "it is told once: {}", status.stderr);
        assert_eq!(std::fs::read_to_string(broken).unwrap(), text, "it may be a newer version's");
        std::fs::remove_file(broken).unwrap();
        site.run(&["sync"]).with(0);
    }
}
