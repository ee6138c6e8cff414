//! `alarm test` and `alarm list`.

use std::io::Write as _;
use std::time::Duration;

use alarm::{Condition, Damping, Ledger, Life, Quiet, Shelf, Sight, Source, Way};
use model::{Level, Reason, Timestamp};

use crate::site::Site;

fn site(more: &str) -> Site {
    let site = Site::builder().build();
    let mut file = std::fs::OpenOptions::new().append(true).open(site.path().join("waystation.toml")).unwrap();
    file.write_all(more.as_bytes()).unwrap();
    site
}

const TWO: &str = "\
[[alarm.command]]
name = \"good\"
argv = [\"/bin/sh\", \"-c\", \"exit 0\"]
[[alarm.command]]
name = \"bad\"
argv = [\"/bin/sh\", \"-c\", \"echo no such pager >&2; exit 3\"]
";

#[test]
fn every_way_is_tried_and_each_says_what_came_of_it() {
    let site = site(TWO);
    let ended = site.run(&["alarm", "test"]).with(1);
    assert_eq!(ended.stdout, "good: took it\nbad: FAILED: exit status: 3: no such pager\n");
    let ended = site.run(&["alarm", "test", "--json", "--to", "good"]).with(0);
    assert_eq!(ended.stdout, "{\"to\":\"good\",\"told\":true,\"why\":null}\n");
    let ended = site.run(&["alarm", "test", "--to", "pager"]).with(2);
    assert!(ended.stderr.contains("no way to tell is called pager\n  known: good, bad"), "{}", ended.stderr);
}

#[test]
fn a_test_without_any_way_is_no_success() {
    let ended = site("").run(&["alarm", "test"]).with(2);
    assert!(ended.stderr.contains("the configuration names no way to tell"), "{}", ended.stderr);
}

#[test]
fn what_stands_and_who_was_told() {
    let site = site(TWO);
    let ended = site.run(&["alarm", "list"]).with(1);
    assert!(ended.stdout.starts_with("unknown\nthere is no data folder "), "{}", ended.stdout);
    site.run(&["sync"]).with(0);
    let ended = site.run(&["alarm", "list"]).with(1);
    assert!(
        ended.stdout.starts_with("unknown: nobody looks\n`waystation run` is not running (it never ran here)"),
        "{}",
        ended.stdout
    );
    let at = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
    let condition = Condition::new(Source::Status, "disk", Reason::DiskFull, at);
    let condition = condition.on("the data folder's disk").because("12 MiB are free").at_level(Level::Fail);
    let mut ledger = Ledger::default();
    let (good, damping) = (Way::new("good"), Damping { settle: Duration::ZERO, remind: Duration::from_secs(3600) });
    ledger.meet(vec![good.clone(), Way::new("bad")], &[], at);
    ledger.observe(Sight { conditions: vec![condition], ..Sight::clear(at) }, &damping);
    let items = ledger.next(&good, &Quiet::never(), &damping, at);
    ledger.told("good", &items, at);
    ledger.failed("bad", "exit status: 3", at);
    Life::prepare(&site.data()).unwrap();
    Shelf::new(&site.data()).keep(&ledger).unwrap();
    let ended = site.run(&["alarm", "list"]).with(1);
    insta::assert_snapshot!("alarm-list", ended.stdout);
    let lines = site.run(&["alarm", "list", "--json"]).with(1).lines();
    insta::assert_snapshot!("alarm-list-json", serde_json::to_string_pretty(&lines[0]).unwrap());
}

#[test]
fn nothing_is_wrong_only_where_somebody_looks_p01() {
    let site = site("");
    site.run(&["sync"]).with(0);
    let now = Timestamp::from_micros(i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap());
    let life = Life { pid: 1, since: now, at: now, ended: false, asked: None };
    Life::prepare(&site.data()).unwrap();
    life.keep(&site.data()).unwrap();
    let held = Life::hold(&site.data()).unwrap().unwrap();
    assert_eq!(site.run(&["alarm", "list"]).with(0).stdout, "nothing is wrong\n");
    assert!(site.run(&["status"]).with(0).stdout.contains("alarms: none stands; `waystation run` looks\n"));
    // It was killed a moment ago.
    drop(held);
    let ended = site.run(&["alarm", "list"]).with(1).stdout;
    assert!(
        ended.starts_with("unknown: nobody looks\n`waystation run` is not running (it was last seen at"),
        "{ended}"
    );
    assert!(site.run(&["status"]).stdout.contains("alarms: unknown; `waystation run` is not running"));
    // It lives, and has not looked for an hour.
    let _held = Life::hold(&site.data()).unwrap().unwrap();
    Life { at: now.before(Duration::from_secs(3600)), ..life }.keep(&site.data()).unwrap();
    let ended = site.run(&["alarm", "list"]).with(1).stdout;
    assert!(ended.contains("`waystation run` hangs (process 1, last sign of life"), "{ended}");
}

#[test]
fn a_test_leaves_the_heartbeat_alone_unless_it_is_named() {
    let heartbeat = "[alarm.heartbeat]\nurl = \"http://127.0.0.1:1/hunter2\"\n";
    let ended = site(heartbeat).run(&["alarm", "test"]).with(2);
    assert!(ended.stderr.contains("no way to tell but the heartbeat"), "{}", ended.stderr);
    let site = site(&format!("{heartbeat}{TWO}"));
    assert!(!site.run(&["alarm", "test"]).with(1).stdout.contains("heartbeat"));
    let ended = site.run(&["alarm", "test", "--to", "heartbeat"]).with(1).stdout;
    assert!(ended.starts_with("heartbeat: FAILED: http://127.0.0.1:1/…: ") && !ended.contains("hunter2"), "{ended}");
}
