//! `configure`: settings for a ring, merged, checked, and put into a policy.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use vendor_sim::{Stack, StackFault};

use crate::daemon::Running;
use crate::site::{Ended, Site, command, waystation};

const KEY: &str = "aWQ6aHVudGVyMg==";
const GOOD: &str = r#"{"cloudService": {"automaticDefinitionUpdateEnabled": true},
  "antivirusEngine": {"enforcementLevel": "real_time", "offlineDefinitionUpdate": "enabled",
    "offlineDefinitionUpdateUrl": "https://m.example/linux/production/", "offlineDefinitionUpdateFallbackToCloud": false}}"#;

#[test]
fn a_ring_s_settings_are_printed_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let run = |rest: &[&str]| waystation(folder.path(), &[&["configure"], rest].concat());
    let url = ["--url", "https://m.example:8443/", "--ring", "canary"];
    let elastic = run(&[&["elastic"], &url[..]].concat()).with(0).stdout;
    assert!(elastic.contains("mac.advanced.artifacts.global.base_url = https://m.example:8443/rings/canary\n"));
    assert!(elastic.contains("no configuration says that the mirror has a ring canary"), "{elastic}");
    let nested = run(&[&["elastic"], &url[..], &["--form", "json", "--os", "linux"]].concat()).with(0).stdout;
    let nested: Value = serde_json::from_str(&nested).unwrap();
    assert_eq!(nested["linux"]["advanced"]["artifacts"]["global"]["channel"], "stable");
    assert!(nested.get("mac").is_none());

    let managed = run(&[&["defender"], &url[..], &["--enforcement", "real_time"]].concat()).with(0);
    assert!(managed.stderr.contains("ring canary: no configuration is at hand"), "{}", managed.stderr);
    let managed: Value = serde_json::from_str(&managed.stdout).unwrap();
    let engine = &managed["antivirusEngine"];
    assert_eq!(engine["offlineDefinitionUpdateUrl"], "https://m.example:8443/rings/canary/linux/production/");
    let profile = run(&[&["defender"], &url[..], &["--platform", "mac"]].concat()).with(0).stdout;
    assert!(profile.contains("<string>https://m.example:8443/rings/canary/mac/production/</string>"), "{profile}");
    let tasks = run(&[&["defender"], &url[..], &["--form", "ansible"]].concat()).with(0).stdout;
    assert!(tasks.contains("recursive=True"), "{tasks}");
    // An endpoint that was never managed has no such folder.
    let (folder, file) = (tasks.find("state: directory").unwrap(), tasks.find("ansible.builtin.copy").unwrap());
    assert!(folder < file, "{tasks}");
    assert!(tasks.contains("path: /etc/opt/microsoft/mdatp/managed\n    state: directory"), "{tasks}");
    let names =
        |platform: &str| run(&[&["defender"], &url[..], &["--form", "portal", "--platform", platform]].concat());
    let linux = names("linux").with(0).stdout;
    assert!(linux.contains("Antivirus engine >") && !linux.contains("macOS"), "{linux}");
    let mac = names("mac").with(2);
    assert!(mac.stdout.is_empty() && mac.stderr.contains("--form profile"), "{}", mac.stderr);
}

/// A CA that was valid in 2020 alone.
const OLD_CA: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBSTCB8aADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCmNhLmV4YW1w\n\
bGUwHhcNMjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjAVMRMwEQYDVQQDDApj\n\
YS5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE27Vzzg/Ix/OqSFM0\n\
qTjdFRuDCT9G+z5Kl6MzeWNo/Gv0vKHuJzyrf6lnwmPOgoUk4CG0eobmMJWKiQ/d\n\
72BtI6MyMDAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUwGzgT5JOtnxP/NpM\n\
LIhzH7o0xPUwCgYIKoZIzj0EAwIDRwAwRAIgayzueHsvqxzSueoNQhZNq3kp39T2\n\
TXQ1VUrIoLm8h1ACIC28/bCX5KVRh6u40OyL1FQp0PZsKkOxWMDVU0hvWayn\n\
-----END CERTIFICATE-----\n\
";
/// A server's own, until 2099.
const SERVERS_OWN: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBSjCB8aADAgECAgEBMAoGCCqGSM49BAMCMBcxFTATBgNVBAMMDGxlYWYuZXhh\n\
bXBsZTAgFw0yMDAxMDEwMDAwMDBaGA8yMDk5MDEwMTAwMDAwMFowFzEVMBMGA1UE\n\
AwwMbGVhZi5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE27Vzzg/I\n\
x/OqSFM0qTjdFRuDCT9G+z5Kl6MzeWNo/Gv0vKHuJzyrf6lnwmPOgoUk4CG0eobm\n\
MJWKiQ/d72BtI6MsMCowCQYDVR0TBAIwADAdBgNVHQ4EFgQUwGzgT5JOtnxP/NpM\n\
LIhzH7o0xPUwCgYIKoZIzj0EAwIDSAAwRQIgTBf5ZlK6ZO3rHAKTwHdQF2JMUzKh\n\
Wk+wrGseZDgL7acCIQCArU4iRBH26Z67gHc+2PW4LC+v7pgkPfZxmyOXFVZKiQ==\n\
-----END CERTIFICATE-----\n\
";

#[test]
fn a_ca_that_endpoints_cannot_trust_a_mirror_by_is_told() {
    let stack = Stack::start(KEY).unwrap();
    stack.add_policy("p1", "servers");
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("key", KEY), ("old.pem", OLD_CA), ("own.pem", SERVERS_OWN)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(folder.path().join("both.pem"), format!("{OLD_CA}{SERVERS_OWN}")).unwrap();
    std::fs::write(folder.path().join("none.pem"), OLD_CA.replace("MIIB", "AAAA")).unwrap();
    let run = |file: &str, rest: &[&str]| {
        let common = ["configure", "elastic", "--url", "https://m.example", "--ca-file", file];
        waystation(folder.path(), &[&common, rest].concat())
    };
    let codes = |file: &str| {
        let told = run(file, &["--json"]).with(0).lines();
        told[0]["findings"].as_array().unwrap().iter().map(|found| found["check"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(codes("old.pem"), ["ca_out_of_date"]);
    assert_eq!(codes("own.pem"), ["ca_is_none"]);
    assert_eq!(codes("both.pem"), [""; 0], "one that is good in each way is enough");
    let told = run("old.pem", &[]).with(0).stdout;
    assert!(told.contains("ca.example: 2020-01-01T00:00:00Z to 2021-01-01T00:00:00Z"), "{told}");
    assert!(run("none.pem", &[]).with(2).stderr.contains("no certificate"));
    let kibana = stack.url();
    let apply = ["--kibana", &kibana, "--api-key-file", "key", "--allow-plain-http", "--policy", "p1", "--apply"];
    let told = run("old.pem", &[&apply[..], &["--untried"]].concat()).with(1).stderr;
    assert!(told.contains("nothing was changed") && told.contains("--allow ca_out_of_date"), "{told}");
    run("old.pem", &[&apply[..], &["--untried", "--allow", "ca_out_of_date"]].concat()).with(0);
}

#[test]
fn addresses_that_break_and_rings_that_are_not_there_are_refused() {
    let site = Site::builder().build();
    for (verb, url, part) in [
        ("elastic", "m.example", "has no scheme"),
        ("elastic", "http://m.example", "--allow-plain-http"),
        ("defender", "https://m.example/linux/production/arch_x86_64", "end the address before it"),
        ("defender", "https://eve:hunter2@m.example", "leave it out"),
    ] {
        let ended = site.run(&["configure", verb, "--url", url]).with(2);
        assert!(ended.stderr.contains(part) && !ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    let told = site.run(&["configure", "elastic", "--url", "https://m.example", "--ring", "nightly"]).with(2).stderr;
    assert!(told.contains("there is no ring nightly; the configuration has broad"), "{told}");
    // The ring at the end of the chain stands at the root.
    let broad = site.run(&["configure", "elastic", "--url", "https://m.example", "--ring", "broad"]).with(0).stdout;
    assert!(broad.contains("base_url = https://m.example\n"), "{broad}");
}

#[test]
fn a_file_is_merged_without_loss_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("managed.json");
    std::fs::write(&file, "{\n\t\"edr\": {\n\t\t\"z\": 1,\n\t\t\"a\": 2\n\t}\n}\n").unwrap();
    let merge = ["configure", "defender", "--url", "https://m.example", "--merge", "managed.json"];
    let merged = waystation(folder.path(), &merge).with(0);
    assert!(merged.stdout.starts_with("{\n\t\"edr\": {\n\t\t\"z\": 1,\n\t\t\"a\": 2\n\t},\n\t\"cloudService\""));
    assert!(merged.stderr.contains("offlineDefinitionUpdate: (not set) -> \"enabled\""), "{}", merged.stderr);
    assert!(merged.stderr.contains("error  passive"), "{}", merged.stderr);
    std::fs::write(&file, "{\"a\":1,\"a\":2}").unwrap();
    let told = waystation(folder.path(), &merge).with(1);
    assert!(told.stdout.is_empty() && told.stderr.contains("stands twice"), "{}", told.stderr);

    let check = |text: &str, rest: &[&str]| {
        std::fs::write(&file, text).unwrap();
        waystation(folder.path(), &[&["configure", "defender", "--check", "managed.json"], rest].concat())
    };
    check(GOOD, &["--strict"]).with(0);
    let passive = GOOD.replace("real_time", "passive");
    assert!(check(&passive, &[]).with(1).stdout.contains("error  passive at /antivirusEngine/enforcementLevel"));
    let told = check(&passive, &["--allow", "passive"]).with(0).stdout;
    assert!(told.contains("allowed  passive at ") && !told.contains("error  "), "what is accepted is no error: {told}");
    assert!(told.contains("managed.json: 0 error, 0 warn") && told.ends_with(", 1 allowed\n"), "{told}");
    std::fs::write(&file, b"bplist00\x01").unwrap();
    let told = waystation(folder.path(), &["configure", "defender", "--check", "managed.json"]).with(2);
    assert!(told.stderr.contains("cannot be looked into here") && told.stdout.is_empty(), "{}", told.stderr);
    check(&passive, &["--allow", "pasive"]).with(2);
    check(&GOOD.replace("https", "http"), &[]).with(0);
    check(&GOOD.replace("https", "http"), &["--strict"]).with(1);
    let told = check(GOOD, &["--url", "https://m.example", "--ring", "canary", "--json"]).with(0);
    assert_eq!(told.lines()[0]["findings"][0]["check"], "url_ring");
    assert!(check("{", &[]).with(1).stdout.contains("error  unreadable"));
    let told = waystation(folder.path(), &["configure", "defender", "--check", "absent.json"]).with(2).stderr;
    assert!(told.contains("cannot read absent.json"), "{told}");
}

#[test]
fn standard_input_is_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(folder.path(), &["configure", "defender", "--check", "-"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(GOOD.as_bytes()).unwrap();
    Ended::from(child.wait_with_output().unwrap()).with(0);
}

#[test]
fn a_policy_is_shown_then_changed_and_refusals_are_explained() {
    let stack = Stack::start(KEY).unwrap();
    stack.add_policy("p1", "servers");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), format!("{KEY}\n")).unwrap();
    let kibana = stack.url();
    let run = |rest: &[&str]| {
        let common = ["configure", "elastic", "--kibana", &kibana, "--api-key-file", "key", "--allow-plain-http"];
        waystation(folder.path(), &[&common, rest].concat())
    };
    let listed = run(&["--list"]).with(0).stdout;
    assert!(listed.contains("servers") && listed.contains("Elastic's own"), "{listed}");

    let to = ["--url", "https://m.example", "--policy", "p1"];
    let shown = run(&to).with(0).stdout;
    assert!(
        shown.contains("linux.advanced.artifacts.global.base_url\n  - (not set)\n  + https://m.example\n"),
        "{shown}"
    );
    assert!(shown.contains("6 settings would change"), "{shown}");
    let base = "/inputs/0/config/policy/value/linux/advanced/artifacts/global/base_url";
    assert_eq!(stack.policy("p1").unwrap().pointer(base), None);

    // Before it is applied, the mirror is asked for what endpoints will ask it for.
    let told = run(&[&to[..], &["--apply"]].concat()).with(2).stderr;
    assert!(told.contains("name a version"), "{told}");
    let nowhere = ["--url", "http://127.0.0.1:1", "--policy", "p1", "--apply", "--try", "9.0.0"];
    let told = run(&nowhere).with(1).stderr;
    assert!(told.contains("nothing was changed") && told.contains("reached on 127.0.0.1:1"), "{told}");

    stack.play(Some(StackFault::Protected));
    let told = run(&[&to[..], &["--apply", "--untried"]].concat()).with(1).stderr;
    assert!(told.contains("(403)") && told.contains("Only superusers may change"), "{told}");
    stack.play(None);
    let done = run(&[&to[..], &["--apply", "--untried", "--json"]].concat()).with(0).lines();
    assert_eq!((&done[0]["applied"], done[0]["changes"].as_array().unwrap().len()), (&json!(true), 6));
    assert_eq!(stack.policy("p1").unwrap().pointer(base), Some(&json!("https://m.example")));
    assert!(run(&to).with(0).stdout.contains("nothing to change"));

    std::fs::write(folder.path().join("key"), "eve:hunter2hunter2").unwrap();
    let told = run(&to).with(1).stderr;
    assert!(told.contains("(401)") && !told.contains("hunter2"), "{told}");
    std::fs::write(folder.path().join("key"), "two words").unwrap();
    assert!(run(&to).with(2).stderr.contains("holds no API key"));
}

#[test]
fn a_policy_whose_endpoints_would_get_nothing_is_not_applied() {
    let site = Site::builder().build();
    site.run(&["sync"]).with(0);
    let mut running = Running::start(&site, "serve");
    let url = format!("http://{}", running.event("serving content")["address"].as_str().unwrap());
    let stack = Stack::start(KEY).unwrap();
    stack.add_policy("p0", "servers");
    std::fs::write(site.path().join("key"), format!("{KEY}\n")).unwrap();
    let kibana = stack.url();
    let add = |id: &str, change: &dyn Fn(&mut Value)| {
        let mut item = stack.policy("p0").unwrap();
        item["id"] = json!(id);
        change(item.pointer_mut("/inputs/0/config/policy/value").unwrap());
        stack.add_item(item);
    };
    let apply = |id: &str, rest: &[&str]| {
        let common = ["configure", "elastic", "--kibana", &kibana, "--api-key-file", "key", "--allow-plain-http"];
        site.run(&[&common, &["--url", &url, "--policy", id, "--apply"][..], rest].concat())
    };
    let pin = |value: &mut Value, path: &str| {
        for system in ["windows", "mac", "linux"] {
            value[system]["advanced"]["artifacts"]["global"]["manifest_relative_url"] = json!(path);
        }
    };
    add("nowhere", &|value| pin(value, "/x.zip"));
    add("somewhere", &|value| pin(value, "/downloads/endpoint/manifest/artifacts-9.0.0.zip"));
    add("dated", &|value| value["global_manifest_version"] = json!("2026-09-01"));
    add("cloud", &|value| value["mac"]["advanced"]["allow_cloud_features"] = json!("sample-collection"));
    add("key", &|value| value["linux"]["advanced"]["artifacts"]["global"]["public_key"] = json!("-----BEGIN"));
    let base = "/inputs/0/config/policy/value/linux/advanced/artifacts/global/base_url";
    let is_set = |id: &str| stack.policy(id).unwrap().pointer(base).is_some();
    for (id, part) in [
        ("nowhere", "not_found"),
        ("dated", "name a version that its endpoints have with --try"),
        ("cloud", "cloud_features at mac."),
        ("key", "--allow foreign_key"),
    ] {
        let told = apply(id, &[]).with(1).stderr;
        assert!(told.contains("nothing was changed") && told.contains(part), "{id}: {told}");
        assert!(!is_set(id), "{id}");
    }
    let told = apply("dated", &["--try", "9.0.0"]).with(1).stderr;
    assert!(told.contains("elastic/9.0.0@2026-09-01: the policy is pinned") && told.contains("feed check"), "{told}");
    assert!(!told.contains("doctor") && !is_set("dated"), "{told}");
    apply("somewhere", &[]).with(0);
    apply("nowhere", &["--untried"]).with(0);
    apply("cloud", &["--allow", "cloud_features"]).with(0);
    assert!(["somewhere", "nowhere", "cloud"].iter().all(|id| is_set(id)));
}

#[test]
fn the_vendor_s_own_hosts_are_no_mirror() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["https://definitionupdates.microsoft.com", "https://GO.microsoft.com/fwlink"] {
        let ended = waystation(folder.path(), &["configure", "defender", "--url", url]).with(2);
        assert!(ended.stdout.is_empty() && ended.stderr.contains("one of Microsoft's own"), "{}", ended.stderr);
    }
}
