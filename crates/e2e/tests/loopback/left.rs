//! What is served and followed no longer, and asked for all the same; and what is known of it where what was learned is
//! lost.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::whole::manifest_path;
use e2e::{Answer, Site, get, until};
use rustix::process::Signal;
use serde_json::Value;
use vendor_sim::{Change, Simulator};

use crate::vendor::elastic_of as vendor;

const PATIENCE: Duration = Duration::from_secs(90);

fn section(vendor: &Simulator, lines: &str) -> [String; 1] {
    [format!("[elastic]\norigin = \"{}\"\nmode = \"proxy\"\nrevalidate = \"1s\"\n{lines}", vendor.elastic_url())]
}

fn answered(mirror: SocketAddr, path: &str, status: u16) -> Answer {
    until(&format!("{path} is answered {status}"), PATIENCE, || {
        get(mirror, path).ok().filter(|answer| answer.status == status)
    })
}

/// Has the vendor publish a newer release of 9.0.0, and waits until that is served.
fn renewed(vendor: &Simulator, mirror: SocketAddr) -> Answer {
    let path = manifest_path("9.0.0");
    let before = get(mirror, &path).unwrap();
    vendor.publish_elastic("9.0.0", Change::of(2)).unwrap();
    until("the newer is served", PATIENCE, || {
        let now = get(mirror, &path).unwrap();
        assert_eq!(now.status, 200, "it is served all the while");
        (now.body != before.body).then_some(now)
    })
}

fn listed(site: &Site, list: &[&str], feed: &str) -> Option<Value> {
    let lines = site.act(list).expect(0).lines();
    lines.into_iter().find(|line| line["feed"] == feed)
}

#[test]
fn what_endpoints_go_on_to_ask_for_is_renewed_though_nothing_names_it_any_more_i5() {
    let vendor = vendor(&["9.0.0", "9.1.0"]);
    let site = Site::new(&section(&vendor, "versions = [\"9.0.0\"]\n"));
    let run = site.start("run");
    answered(run.content, &manifest_path("9.0.0"), 200);
    site.configure(&section(&vendor, "versions = [\"9.1.0\"]\n"));
    run.signal(Signal::HUP);
    run.wait_said("configuration changed");
    renewed(&vendor, run.content);
    let why = || listed(&site, &["feed", "list", "--json"], "elastic/9.0.0").map(|line| line["followed_for"].clone());
    assert_eq!(why(), Some("asked".into()));

    // Nor does it stand still where the operator forgot it, and it left the ring but for its grace.
    let told = site.act(&["feed", "forget", "9.0.0"]).expect(0).text();
    assert!(told.contains("has it followed again"), "{told}");
    site.act(&["gc"]).expect(0);
    renewed(&vendor, run.content);
    assert_eq!(why(), Some("asked".into()));
    run.finish();
}

#[test]
fn what_cannot_be_followed_again_is_served_with_its_age_and_told() {
    let vendor = vendor(&["9.0.0", "9.1.0", "9.2.0"]);
    let site = Site::new(&section(&vendor, "versions = [\"9.0.0\"]\nlearned_feeds = 1\n"));
    let run = site.start("run");
    answered(run.content, &manifest_path("9.0.0"), 200);
    answered(run.content, &manifest_path("9.1.0"), 200);
    site.configure(&section(&vendor, "versions = [\"9.2.0\"]\nlearned_feeds = 1\n"));
    run.signal(Signal::HUP);
    run.wait_said("configuration changed");
    let path = manifest_path("9.0.0");
    until("it is wanted", PATIENCE, || {
        assert_eq!(get(run.content, &path).unwrap().status, 200);
        let entry = listed(&site, &["feed", "wanted", "--json"], "elastic/9.0.0")?;
        assert_eq!((&entry["not_renewed"], &entry["held_at_another_path"]), (&true.into(), &false.into()), "{entry}");
        (entry["tried"]["reason"] == "learned_full").then_some(())
    });
    until("its age is told", PATIENCE, || get(run.content, &path).unwrap().header("age").is_some().then_some(()));
    let status = site.act(&["status"]).text();
    assert!(status.contains("learned_full") && status.contains("elastic/9.0.0"), "{status}");
    assert!(status.contains("elastic/9.0.0: endpoints still ask for it"), "{status}");
    let wanted = site.act(&["feed", "wanted"]).expect(0).text();
    assert!(wanted.contains("served, not renewed (learned_full"), "{wanted}");
    site.act(&["feed", "forget", "9.1.0"]).expect(0);
    renewed(&vendor, run.content);
    until("it is confirmed", PATIENCE, || get(run.content, &path).unwrap().header("age").is_none().then_some(()));
    run.finish();
}

#[test]
fn where_what_was_learned_is_lost_nothing_stands_still_and_forwarding_still_ends_s41() {
    let vendor = vendor(&["9.0.0", "9.1.0", "9.2.0"]);
    let last = |version| vendor.elastic_release(version).unwrap().artifacts.last().unwrap().relative_url.clone();
    let unnamed = [last("9.1.0"), last("9.2.0")];
    let site = Site::new(&section(&vendor, ""));
    let learned = site.data().join("wanted/learned.json");
    let run = site.start("run");
    answered(run.content, &manifest_path("9.0.0"), 200);
    answered(run.content, &unnamed[0], 200);
    std::fs::write(&learned, "{\"form\":9}").unwrap();
    let status = site.act(&["status"]).expect(4).text();
    assert!(status.contains("learned_unread") && status.contains("feed learn"), "{status}");
    until("an alarm stands", PATIENCE, || {
        site.act(&["alarm", "list", "--json"]).text().contains("learned_unread").then_some(())
    });
    std::fs::remove_file(&learned).unwrap();
    run.wait_said("what is served of what was forwarded is known anew");
    renewed(&vendor, run.content);
    answered(run.content, &unnamed[1], 200);
    answered(run.content, &unnamed[0], 200);
    run.finish();

    std::fs::remove_file(&learned).unwrap();
    let told = site.act(&["feed", "forget", "elastic/forwarded"]).expect(0).text();
    assert!(told.contains("2 paths served no longer"), "{told}");
    let serve = site.start("serve");
    for path in &unnamed {
        answered(serve.content, path, 404);
    }
    serve.finish();
}

#[test]
fn what_the_operator_names_again_is_asked_for_where_it_is_served_s41() {
    const DATED: &str = "/downloads/endpoint/manifest/artifacts-8.18.3-2026-01-15.zip";
    const CANDIDATE: &str = "/downloads/endpoint/manifest/candidate/artifacts-9.0.0.zip";
    let vendor = vendor(&["8.18.3", "9.0.0"]);
    let site = Site::new(&section(&vendor, ""));
    let run = site.start("run");
    for path in [DATED, CANDIDATE] {
        answered(run.content, path, 200);
    }
    run.finish();
    std::fs::remove_file(site.data().join("wanted/learned.json")).unwrap();
    site.act(&["feed", "learn", "9.0.0/candidate", "8.18.3@2026-01-15"]).expect(0);
    let run = site.start("run");
    let before = get(run.content, CANDIDATE).unwrap();
    vendor.publish_elastic("9.0.0/candidate", Change::of(2)).unwrap();
    until("the newer is served", PATIENCE, || {
        let now = get(run.content, CANDIDATE).unwrap();
        assert_eq!(now.status, 200, "it is served all the while");
        (now.body != before.body).then_some(())
    });
    answered(run.content, DATED, 200);
    run.finish();
    let served = site.start("serve");
    let validated = site.act(&["validate", "elastic", "--no-vendor", "--url", &format!("http://{}", served.content)]);
    validated.expect(0);
    served.finish();
}

#[test]
fn while_what_was_learned_does_not_read_what_the_configuration_names_is_renewed_s41() {
    const DATED: &str = "8.18.3@2026-01-15";
    const PATH: &str = "/downloads/endpoint/manifest/artifacts-8.18.3-2026-01-15.zip";
    let vendor = vendor(&["8.18.3", "9.1.0"]);
    let named = format!("versions = [\"9.1.*\"]\ndated = [\"{DATED}\"]\n");
    let site = Site::new(&[format!("[elastic]\norigin = \"{}\"\n{named}", vendor.elastic_url())]);
    let run = site.start("run");
    answered(run.content, PATH, 200);
    answered(run.content, &manifest_path("9.1.0"), 200);
    run.finish();
    let learned = site.data().join("wanted/learned.json");
    let renewed = |code: i32| {
        for feed in ["9.1.0", DATED] {
            vendor.publish_elastic(feed, Change::of(2)).unwrap();
        }
        let synced = site.sync(&[]).expect(code);
        for feed in ["9.1.0", DATED] {
            assert_eq!(synced.feed(&format!("elastic/{feed}"))["outcome"], "published", "{}", synced.text());
        }
    };
    std::fs::write(&learned, "{\"form\":9}").unwrap();
    renewed(3);
    let checked = site.act(&["feed", "check", "9.1.0"]).expect(0).text();
    assert!(!checked.contains("not followed"), "{checked}");
    let validated = site.act(&["validate", "elastic", "--no-walk"]).expect(1).text();
    assert!(validated.contains("learned_unread") && validated.contains(DATED), "{validated}");
    assert!(!validated.contains("dated_path_unknown"), "{validated}");
    // Where it is gone, every command knows where that is served.
    std::fs::remove_file(&learned).unwrap();
    let planned = site.act(&["sync", "--plan", &format!("elastic/{DATED}")]).expect(0).text();
    assert!(!planned.contains("dated_path_unknown"), "{planned}");
    renewed(0);
}
