//! Upgrade, partial failure, rollback, dated content.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::{Site, until};
use serde_json::Value;
use vendor_sim::{Change, ElasticSettings, Fault, FaultRule, Pattern, Settings, Simulator, Step, Times};

use super::{Endpoint, write};

const PATIENCE: Duration = Duration::from_secs(60);
const DAY: &str = "2026-01-15";

fn vendor() -> Simulator {
    let elastic = ElasticSettings {
        versions: vec!["9.0.0".to_owned()],
        candidates: Vec::new(),
        dated: vec![("9.0.0".to_owned(), DAY.to_owned())],
        artifacts: 32,
        artifact_size: 4096,
        ..ElasticSettings::default()
    };
    Simulator::start(Settings { elastic, ..Settings::lately() }).unwrap()
}

/// A policy as Kibana's API gives it.
fn policy(base: &str, day: &str) -> String {
    format!(
        r#"{{"item":{{"id":"b372","name":"endpoint-1","revision":2,"inputs":[{{"type":"endpoint","config":{{"policy":
        {{"value":{{"global_manifest_version":"{day}","linux":{{"advanced":{{"artifacts":{{"global":
        {{"base_url":"{base}"}}}}}}}}}}}}}}}}]}}}}"#
    )
}

fn global(document: &Value) -> &Value {
    &document["Endpoint"]["policy"]["applied"]["artifacts"]["global"]
}

fn action(document: &Value) -> &Value {
    &document["Endpoint"]["policy"]["applied"]["actions"][0]
}

struct World {
    vendor: Simulator,
    site: Site,
}

impl World {
    fn new() -> Self {
        let vendor = vendor();
        let section = format!(
            "{}dated = [\"9.0.0@{DAY}\"]\ndated_templates = [\"/downloads/endpoint/manifest/artifacts-{{version}}-{{date}}.zip\"]\n",
            e2e::elastic(&vendor.elastic_url(), &["9.0.0"])
        );
        Self { site: Site::new(&[section]), vendor }
    }

    fn endpoint(&self, base: &str, day: &str) -> Endpoint<'_> {
        let policy = write(&self.site, "policy.json", &policy(base, day));
        let key = write(&self.site, "vendor.pem", &self.vendor.public_key_pem().unwrap());
        let arguments = ["--policy", &policy, "--version", "9.0.0", "--public-key", &key];
        Endpoint::new(&self.site, "elastic", &arguments.map(str::to_owned))
    }

    /// Polls until this manifest is applied: what is published is served within a second.
    fn follows(&self, endpoint: &Endpoint<'_>, version: &str) -> Value {
        until(version, PATIENCE, || {
            let document = endpoint.act(&["update", "--json"]).expect(0).lines().remove(0);
            (global(&document)["version"] == version).then_some(document)
        })
    }
}

fn base(mirror: SocketAddr) -> String {
    format!("http://{mirror}")
}

#[test]
fn an_endpoint_follows_its_mirror_forwards_backwards_and_to_a_day() {
    let world = World::new();
    world.site.sync(&[]).expect(0);
    let serve = world.site.start("serve");
    let endpoint = world.endpoint(&base(serve.content), "latest");
    let first = world.follows(&endpoint, "1.0.1049");
    assert_eq!(
        (action(&first)["status"].as_str(), global(&first)["snapshot"].as_str()),
        (Some("success"), Some("latest"))
    );
    assert_eq!(global(&first)["identifiers"].as_array().unwrap().len(), 16, "those of Linux, and of every system");

    world.vendor.publish_elastic("9.0.0", Change::of(6)).unwrap();
    world.site.sync(&[]).expect(0);
    let upgraded = world.follows(&endpoint, "1.0.1050");
    assert_ne!(global(&first)["identifiers"], global(&upgraded)["identifiers"]);

    // The vendor goes back: kept from the ring until the operator says so, then endpoints follow.
    world.vendor.publish_elastic("9.0.0", Change { step: Step::Back(3), ..Change::of(6) }).unwrap();
    let held = world.site.sync(&[]).expect(3);
    assert_eq!(held.feed("elastic/9.0.0")["outcome"], "quarantined", "{}", held.text());
    let stays = endpoint.act(&["update"]).expect(0);
    assert!(stays.text().contains("nothing newer than 1.0.1050"), "{}", stays.text());
    let list = world.site.act(&["release", "list", "--state", "quarantined", "--json"]).expect(0);
    let number = list.lines().first().map(|line| line["number"].to_string());
    let number = number.unwrap_or_else(|| panic!("nothing is quarantined: {}", list.text()));
    world.site.act(&["release", "admit", &number, "--reason", "the vendor took it back"]).expect(0);
    world.follows(&endpoint, "1.0.1047");

    let pinned = world.endpoint(&base(serve.content), DAY);
    let unknown = pinned.act(&["update", "--json"]).expect(1).lines().remove(0);
    let wants = format!("Global artifacts snapshot latest does not match target snapshot: {DAY}");
    assert_eq!(action(&unknown)["message"], wants);
    let path = "dated-path=/downloads/endpoint/manifest/artifacts-{version}-{date}.zip";
    let dated = pinned.act(&["update", "--json", "--assume", path]).expect(0).lines().remove(0);
    assert_eq!((global(&dated)["version"].as_str(), global(&dated)["snapshot"].as_str()), (Some("1.0.849"), Some(DAY)));
    let status = pinned.bare(&["status"]).expect(0);
    assert!(status.text().contains("1.0.849"), "{}", status.text());
    assert_eq!(pinned.bare(&["status", "--json"]).expect(0).lines()[0], dated);
    serve.finish();
}

#[test]
fn a_server_that_gives_one_wrong_artifact_gives_none_and_is_told() {
    let world = World::new();
    let endpoint = world.endpoint(&world.vendor.elastic_url(), "latest");
    endpoint.act(&["update"]).expect(0);
    world.vendor.publish_elastic("9.0.0", Change::of(30)).unwrap();
    let rule = FaultRule {
        pattern: Pattern::Target("rules-linux".to_owned()),
        fault: Fault::OtherBytes,
        times: Times::Always,
    };
    world.vendor.inject(rule);
    let failed = endpoint.act(&["update", "--json"]).expect(1).lines().remove(0);
    assert_eq!(
        (action(&failed)["status"].as_str(), global(&failed)["version"].as_str()),
        (Some("warning"), Some("1.0.1049"))
    );
    assert!(
        action(&failed)["message"].as_str().unwrap().contains("All artifacts are being rejected because"),
        "{failed}"
    );
    world.vendor.clear_faults();
    world.follows(&endpoint, "1.0.1050");
}

#[test]
fn what_is_typed_wrong_is_answered_with_what_to_do() {
    let site = Site::new(&[]);
    for (arguments, says) in [
        (
            &["endpoint", "elastic", "update", "--state", "s", "--version", "9", "--base-url", "http://h"][..],
            "full version",
        ),
        (&["endpoint", "elastic", "update", "--state", "s", "--version", "9.0.0", "--base-url", "h:80"], "http://"),
        (&["endpoint", "elastic", "update", "--state", "s", "--version", "9.0.0"], "--policy"),
        (
            &["endpoint", "elastic", "update", "--state", "s", "--version", "9.0.0", "--policy", "none.json"],
            "none.json",
        ),
        (
            &["endpoint", "elastic", "update", "--state", "s", "--version", "9.0.0", "--policy", "waystation.toml"],
            "JSON is meant",
        ),
        (&["endpoint", "defender", "update", "--state", "s", "--settings", "none.json"], "none.json"),
        (&["endpoint", "defender", "update", "--state", "s", "--settings", "waystation.toml"], "is not JSON"),
        (&["endpoint", "defender", "health", "--state", "s", "--assume", "x=y"], "scheme=refuse|http"),
        (&["endpoint", "defender", "health", "--state", "s", "--field", "definition_status"], "definitions_status"),
        (&["endpoint", "swarm", "http://127.0.0.1:9"], "--elastic"),
        (&["endpoint", "swarm", "http://192.0.2.7", "--elastic", "1"], "--load-host"),
        (&["endpoint", "swarm", "https://artifacts.security.elastic.co", "--elastic", "1"], "vendor's host"),
    ] {
        let ended = site.act(arguments).expect(2);
        assert!(ended.text().contains(says), "{arguments:?}: {}", ended.text());
    }
    let nothing = site.act(&["endpoint", "elastic", "status", "--state", "s"]).expect(1);
    assert!(nothing.text().contains("no endpoint's state"), "{}", nothing.text());
    let nowhere = format!("http://{}", e2e::closed_address());
    let first = ["endpoint", "elastic", "update", "--state", "s", "--version", "9.0.0", "--base-url", &nowhere];
    let text = site.act(&first).expect(1).text();
    assert!(text.contains("there are none in use") && !text.contains("stay as they are"), "{text}");
}
