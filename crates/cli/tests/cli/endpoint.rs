//! `endpoint`: what is answered to mistakes, and to content that the keys did not sign.

use crate::site::{Site, waystation};

#[test]
fn mistakes_name_what_to_write_instead() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plain"), "").unwrap();
    let play = ["endpoint", "elastic", "update", "--version", "9.0.0"];
    let update = |code: i32, rest: &[&str]| waystation(folder.path(), &[&play, rest].concat()).with(code).stderr;
    let told = update(2, &["--state", "ep"]);
    assert!(told.contains("--base-url URL") && told.contains("--policy FILE"), "{told}");
    let url = ["--base-url", "http://127.0.0.1:1"];
    let told = update(2, &[&["--state", "ep", "--built", "1.3.2026"], &url[..]].concat());
    assert!(told.contains("such as 2026-03-01"), "{told}");
    let told = update(1, &[&["--state", "plain"], &url[..]].concat());
    assert!(told.contains("not a folder") && told.contains("--state") && !told.contains("plain file"), "{told}");
}

#[test]
fn an_address_without_a_scheme_is_told_by_the_swarm_too() {
    let folder = tempfile::tempdir().unwrap();
    let told = waystation(folder.path(), &["endpoint", "swarm", "127.0.0.1:8080", "--defender", "1"]).with(2).stderr;
    assert!(told.contains("write http://127.0.0.1:8080 or https://127.0.0.1:8080"), "{told}");
}

/// The agent of the file that it is given: nobody has to say that a property list is for macOS.
#[test]
fn a_defender_endpoint_is_of_the_system_that_its_settings_are_for() {
    let site = Site::builder().build();
    let managed = |url: &str| {
        let list = format!(
            "<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>antivirusEngine</key><dict>\
             <key>offlineDefinitionUpdate</key><string>enabled</string><key>offlineDefinitionUpdateUrl</key>\
             <string>{url}</string><key>offlineDefinitionUpdateFallbackToCloud</key><false/></dict></dict></plist>"
        );
        std::fs::write(site.path().join("m.plist"), list).unwrap();
    };
    let tree = site.path().join("share");
    site.vendors.write_defender_tree(&tree).unwrap();
    let play = ["endpoint", "defender", "update", "--state", "ep", "--settings", "m.plist"];
    managed(&tree.join("linux/production").display().to_string());
    let told = site.run(&play).with(1).stdout;
    assert!(told.contains("settings_refused") && told.contains("does not load on mac"), "{told}");
    managed(&tree.join("mac/production").display().to_string());
    let told = site.run(&play).with(0).stdout;
    assert!(told.contains("Security intelligence is up to date") && !told.contains("warning"), "{told}");
    // As Linux it is the other system's.
    let told = site.run(&[&play[..], &["--platform", "linux"]].concat()).with(1).stdout;
    assert!(told.contains("mac/production"), "{told}");
    // Nothing of a password that is left in an address is told.
    managed("https://eve:hunter2@m.corp/mac/production/");
    for verb in ["update", "connectivity"] {
        let ended = site.run(&["endpoint", "defender", verb, "--state", "ep", "--settings", "m.plist"]).with(1);
        assert!(ended.stdout.contains("settings_refused") && !ended.stdout.contains("hunter2"), "{}", ended.stdout);
    }
}

#[test]
fn content_of_another_key_and_another_system_is_told() {
    let site = Site::builder().build();
    let url = site.vendors.elastic_url();
    let play = ["endpoint", "elastic", "update", "--version", "9.0.0", "--state", "ep", "--base-url", &url];
    let told = site.run(&play).with(1).stdout;
    assert!(
        told.contains("signature_unverified") && told.contains("next: ") && told.contains("--public-key"),
        "{told}"
    );
    let play = [&play[..], &["--public-key", "key.pem"]].concat();
    site.run(&play).with(0);
    assert!(site.run(&play).with(0).stdout.contains("nothing newer"));
    let other = site.run(&[&play[..], &["--os", "windows"]].concat()).with(0).stdout;
    assert!(other.contains(" fetched ") && !other.contains("nothing newer"), "{other}");
}

#[test]
fn a_pattern_is_no_feed() {
    let site = Site::builder().build();
    for verb in ["check", "learn"] {
        let told = site.run(&["feed", verb, "8.19.*"]).with(2).stderr;
        assert!(told.contains("is a pattern") && told.contains("elastic.versions"), "{told}");
    }
}
