//! What is followed because it was learned: how it finds room, what looks at it, and how what was forwarded ends.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::whole::manifest_path;
use e2e::{Answer, Site, get, until};
use serde_json::Value;
use vendor_sim::{Fault, FaultRule, Network, Pattern, Simulator};

use rustix::process::Signal;

use crate::vendor::elastic_of as vendor;

const PATIENCE: Duration = Duration::from_secs(90);

fn section(vendor: &Simulator, lines: &str) -> [String; 1] {
    [format!("[elastic]\norigin = \"{}\"\n{lines}", vendor.elastic_url())]
}

fn status_of(mirror: SocketAddr, path: &str) -> u16 {
    get(mirror, path).unwrap().status
}

fn answered(mirror: SocketAddr, path: &str, status: u16) -> Answer {
    until(&format!("{path} is answered {status}"), PATIENCE, || {
        get(mirror, path).ok().filter(|answer| answer.status == status)
    })
}

/// What came of asking for a feed, as the wanted list has it.
fn reason(site: &Site, feed: &str) -> Option<String> {
    let list = site.act(&["feed", "wanted", "--json"]).expect(0).lines();
    let entry = list.into_iter().find(|entry| entry["feed"] == feed)?;
    entry["tried"]["reason"].as_str().map(str::to_owned)
}

fn feeds(lines: &[Value]) -> Vec<String> {
    lines.iter().filter_map(|line| line["feed"].as_str().map(str::to_owned)).collect()
}

#[test]
fn what_finds_no_room_is_told_and_comes_once_there_is() {
    let vendor = vendor(&["9.0.0", "9.1.0"]);
    let site = Site::new(&section(&vendor, "mode = \"proxy\"\nlearned_feeds = 1\n"));
    let run = site.start("run");
    assert_eq!(status_of(run.content, &manifest_path("9.0.0")), 200);
    let refused = get(run.content, &manifest_path("9.1.0")).unwrap();
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "the vendor has it");
    assert_eq!(status_of(run.content, &manifest_path("9.9.9")), 503);
    until("why it is not followed is told", PATIENCE, || {
        (reason(&site, "elastic/9.1.0").as_deref() == Some("learned_full")).then_some(())
    });
    until("what the vendor lacks is told", PATIENCE, || {
        (reason(&site, "elastic/9.9.9").as_deref() == Some("not_found")).then_some(())
    });
    let status = site.act(&["status"]).expect(0).text();
    assert!(status.contains("learned_full") && status.contains("elastic/9.1.0"), "{status}");
    assert!(!status.contains("9.9.9"), "made-up names are nothing to act on: {status}");
    until("an alarm stands", PATIENCE, || {
        site.act(&["alarm", "list", "--json"]).text().contains("learned_full").then_some(())
    });
    site.act(&["feed", "forget", "9.0.0"]).expect(0);
    answered(run.content, &manifest_path("9.1.0"), 200);
    until("nothing is wrong any more", PATIENCE, || {
        (!site.act(&["status", "--json"]).text().contains("learned_full")).then_some(())
    });
    run.finish();
}

#[test]
fn of_many_that_are_asked_for_at_once_no_more_are_served_than_are_followed_i2() {
    let versions = ["9.0.0", "9.1.0", "9.2.0", "9.3.0"];
    let vendor = vendor(&versions);
    vendor.set_network(Network::with_latency(Duration::from_millis(300)));
    let site = Site::new(&section(&vendor, "mode = \"proxy\"\nlearned_feeds = 1\nrevalidate = \"1s\"\n"));
    let run = site.start("run");
    let mirror = run.content;
    let asked = versions.map(|version| std::thread::spawn(move || status_of(mirror, &manifest_path(version))));
    let mut statuses = asked.map(|one| one.join().unwrap());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503, 503, 503]);
    until("those that found no room are told", PATIENCE, || {
        let shut =
            versions.iter().filter(|one| reason(&site, &format!("elastic/{one}")).as_deref() == Some("learned_full"));
        (shut.count() == 3).then_some(())
    });
    assert!(site.act(&["status"]).text().contains("learned_full"));
    assert_eq!(site.act(&["feed", "list", "--json"]).lines().len(), 1, "one is followed, and one is on record");
    run.finish();
}

#[test]
fn of_many_that_compete_for_the_last_place_those_that_lose_come_once_there_is_room() {
    let vendor = vendor(&["8.18.3", "9.0.0", "9.1.0"]);
    let lines = "versions = [\"8.18.3\"]\nauto_learn = true\nlearned_feeds = 1\n";
    let site = Site::new(&section(&vendor, lines));
    let run = site.start("run");
    answered(run.content, &manifest_path("8.18.3"), 200);
    for version in ["9.0.0", "9.1.0"] {
        assert_eq!(status_of(run.content, &manifest_path(version)), 404);
    }
    let (served, other) = until("one is followed", PATIENCE, || {
        let one = status_of(run.content, &manifest_path("9.0.0")) == 200;
        let two = status_of(run.content, &manifest_path("9.1.0")) == 200;
        (one || two).then_some(if one { ("9.0.0", "9.1.0") } else { ("9.1.0", "9.0.0") })
    });
    until("the other is told", PATIENCE, || {
        (reason(&site, &format!("elastic/{other}")).as_deref() == Some("learned_full")).then_some(())
    });
    site.act(&["feed", "forget", served]).expect(0);
    answered(run.content, &manifest_path(other), 200);
    run.finish();
}

#[test]
fn what_the_operator_names_is_asked_for_though_the_vendor_lacked_it_a_moment_ago() {
    let vendor = vendor(&["9.0.0", "9.1.0"]);
    let lines = "mode = \"proxy\"\nrevalidate = \"1h\"\nschedule = \"1h\"\n";
    let site = Site::new(&section(&vendor, lines));
    let run = site.start("run");
    vendor.inject(FaultRule::always(Pattern::Target(manifest_path("9.1.0")), Fault::Status(404)));
    assert_eq!(status_of(run.content, &manifest_path("9.1.0")), 404);
    vendor.clear_faults();
    assert_eq!(status_of(run.content, &manifest_path("9.1.0")), 404, "it is not asked for again before its time");
    site.act(&["feed", "learn", "9.1.0"]).expect(0);
    answered(run.content, &manifest_path("9.1.0"), 200);
    run.finish();
}

#[test]
fn patterns_and_what_is_asked_for_take_no_room_from_each_other() {
    let vendor = vendor(&["9.0.0", "8.19.0", "8.19.1", "8.18.3"]);
    let lines = "versions = [\"9.0.0\", \"8.19.*\"]\nauto_learn = true\nlearned_feeds = 1\n";
    let site = Site::new(&section(&vendor, lines));
    let run = site.start("run");
    answered(run.content, &manifest_path("8.19.1"), 200);
    assert_eq!(status_of(run.content, &manifest_path("8.18.3")), 404);
    answered(run.content, &manifest_path("8.18.3"), 200);
    answered(run.content, &manifest_path("8.19.0"), 200);
    run.finish();
}

#[test]
fn what_the_operator_names_is_fetched_by_a_run_that_is_up_and_a_pattern_holds_it() {
    let vendor = vendor(&["9.0.0", "8.19.0", "8.19.1", "9.1.0"]);
    let lines = "versions = [\"9.0.0\", \"8.19.*\"]\nlearned_feeds = 1\nschedule = \"1d\"\n";
    let site = Site::new(&section(&vendor, lines));
    let run = site.start("run");
    answered(run.content, &manifest_path("9.0.0"), 200);
    answered(run.content, &manifest_path("8.19.1"), 200);
    site.act(&["feed", "learn", "9.1.0"]).expect(0);
    answered(run.content, &manifest_path("9.1.0"), 200);
    let list = site.act(&["feed", "list", "--json"]).lines();
    let why = |feed: &str| list.iter().find(|line| line["feed"] == feed).map(|line| line["followed_for"].clone());
    for (feed, word) in [("9.0.0", "configured"), ("8.19.1", "pattern"), ("9.1.0", "operator")] {
        assert_eq!(why(&format!("elastic/{feed}")), Some(word.into()), "{list:?}");
    }
    assert!(site.act(&["feed", "forget", "8.19.1"]).expect(2).text().contains("8.19.*"));
    run.finish();
}

#[test]
fn a_sync_follows_patterns_and_what_was_asked_for() {
    let vendor = vendor(&["9.0.0", "8.19.0", "8.19.2", "8.18.3"]);
    let lines = "versions = [\"9.0.0\", \"8.19.*\"]\nauto_learn = true\n";
    let site = Site::new(&section(&vendor, lines));
    let first = site.act(&["sync"]).expect(0).text();
    assert!(first.contains("elastic/8.19.2 is followed from now on: a pattern stands for it"), "{first}");
    let serve = site.start("serve");
    for version in ["9.0.0", "8.19.0", "8.19.2"] {
        answered(serve.content, &manifest_path(version), 200);
    }
    for version in ["8.18.3", "7.0.0"] {
        assert_eq!(status_of(serve.content, &manifest_path(version)), 404);
    }
    until("what was asked for is left in the default folder", PATIENCE, || {
        (site.act(&["feed", "wanted", "--json"]).expect(0).lines().len() == 2).then_some(())
    });
    let second = site.sync(&[]).expect(0);
    assert!(feeds(&second.lines()).contains(&"elastic/8.18.3".to_owned()), "{}", second.text());
    answered(serve.content, &manifest_path("8.18.3"), 200);
    assert_eq!(reason(&site, "elastic/7.0.0").as_deref(), Some("not_found"));
    serve.finish();
    // A line of which one version cannot be asked for is not known to its end, and the next run goes on.
    let other = Site::new(&section(&vendor, lines));
    vendor.inject(FaultRule::always(Pattern::Target(manifest_path("8.19.1")), Fault::Status(500)));
    let part = other.act(&["sync"]).expect(3);
    assert!(part.text().contains("8.19.0") && !part.text().contains("8.19.2"), "{}", part.text());
    vendor.clear_faults();
    assert!(feeds(&other.sync(&[]).expect(0).lines()).contains(&"elastic/8.19.2".to_owned()));
}

#[test]
fn a_sync_with_nothing_learned_yet_is_no_mistake() {
    let vendor = vendor(&["9.0.0"]);
    let site = Site::new(&section(&vendor, "mode = \"proxy\"\n"));
    let synced = site.act(&["sync"]).expect(0).text();
    assert!(synced.contains("nothing is followed yet"), "{synced}");
    let validated = site.act(&["validate", "elastic"]).expect(0).text();
    assert!(validated.contains("no feed of elastic is followed yet"), "{validated}");
}

#[test]
fn what_was_learned_is_validated_and_examined() {
    let vendor = vendor(&["9.0.0", "9.1.0"]);
    let site = Site::new(&section(&vendor, "mode = \"proxy\"\n"));
    let run = site.start("run");
    assert_eq!(status_of(run.content, &manifest_path("9.1.0")), 200);
    let url = format!("http://{}", run.content);
    let rows = site.act(&["validate", "elastic", "--url", &url, "--quick", "--json"]).expect(0).lines();
    let row = rows.iter().find(|row| row["feed"] == "elastic/9.1.0").expect("a row");
    assert_eq!(row["state"], "equal");
    assert!(row["walked"]["files"].as_u64().unwrap() > 0, "{row}");
    let doctor = site.act(&["doctor", &url, "--quick"]).text();
    assert!(doctor.contains("elastic/9.1.0") && !doctor.contains("Without a feed"), "{doctor}");
    run.finish();
    // What is learned and not held any more is not passed over.
    site.act(&["feed", "learn", "9.7.7"]).expect(0);
    let rows = site.act(&["validate", "elastic", "--no-walk", "--json"]).expect(1).lines();
    assert!(feeds(&rows).contains(&"elastic/9.7.7".to_owned()), "{rows:?}");
}

#[test]
fn what_was_forwarded_ends_with_a_reload_a_sync_or_the_operators_word() {
    let vendor = vendor(&["9.0.0", "9.1.0"]);
    let path = vendor.elastic_release("9.1.0").unwrap().artifacts.last().unwrap().relative_url.clone();
    let forwarding = section(&vendor, "mode = \"proxy\"\n");
    let site = Site::new(&forwarding);
    let run = site.start("run");
    answered(run.content, &path, 200);
    site.configure(&section(&vendor, "mode = \"proxy\"\nunknown_paths = \"refuse\"\n"));
    run.signal(Signal::HUP);
    answered(run.content, &path, 404);
    site.configure(&forwarding);
    run.signal(Signal::HUP);
    answered(run.content, &path, 200);
    run.finish();

    let told = site.act(&["feed", "forget", "elastic/forwarded"]).expect(0).text();
    assert!(told.contains("1 path served no longer") && told.contains("refuse"), "{told}");
    let list = site.act(&["feed", "list", "--json"]).expect(0).lines();
    let forwarded = list.iter().find(|line| line["feed"] == "elastic/forwarded").unwrap();
    assert_eq!(forwarded["offered"], serde_json::Value::Null, "nobody offers what is numbered here: {forwarded}");
    let serve = site.start("serve");
    answered(serve.content, &path, 404);
    serve.finish();

    let run = site.start("run");
    answered(run.content, &path, 200);
    run.finish();
    site.configure(&section(&vendor, "versions = [\"9.0.0\"]\n"));
    let synced = site.act(&["sync"]).expect(0).text();
    assert!(synced.contains("1 path that no manifest names: served no longer"), "{synced}");
    let serve = site.start("serve");
    answered(serve.content, &path, 404);
    answered(serve.content, &manifest_path("9.0.0"), 200);
    serve.finish();
}
