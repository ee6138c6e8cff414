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
