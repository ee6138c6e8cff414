//! Where a manifest may lay its artifacts.

use model::Reason;
use serde_json::json;

use super::world::{World, entry, manifest, with_entry};

#[track_caller]
fn check_refused(urls: &[&str]) {
    for url in urls {
        let detail =
            with_entry(|entry| _ = entry.insert("relative_url".into(), json!(url))).run().refused(Reason::BadPath);
        assert!(detail.chars().all(|c| c == '…' || (' '..='~').contains(&c)), "{detail}");
        assert!(detail.len() < 300, "{detail}");
    }
}

#[test]
fn climbing_c01() {
    check_refused(&["../../etc/cron.d/x", "/../etc/passwd", "/downloads/../../x", "/downloads/..", "/..."]);
}

#[test]
fn another_host_c02_c03_c04() {
    check_refused(&["https://evil.test/x", "http:evil", "file:///etc/passwd"]);
    check_refused(&["//evil.test/x", "///x", "/\\evil.test", "\\\\evil.test\\x"]);
    check_refused(&["@evil.test/x", ".evil.test/x", ":8443/x", "", "/", "x", "downloads/x"]);
}

#[test]
fn two_spellings_c05() {
    check_refused(&[
        "/%2e%2e/x",
        "/%252e%252e/x",
        "/%c0%ae/x",
        "/a/..;/x",
        "/a/./x",
        "/a//x",
        "/a/",
        "/a?q",
        "/a#f",
        "/a%2fb",
    ]);
}

#[test]
fn windows_names_c06() {
    check_refused(&["/a\\b", "C:\\x", "/C:/x", "/CON", "/a/NUL.txt", "/a/com1", "/a.", "/a /b", "/a:b"]);
}

#[test]
fn invisible_characters_c07() {
    check_refused(&[
        "/a\0b",
        "/a\rb",
        "/a\nb",
        "/a\tb",
        "/a\x7fb",
        "/a\u{202e}b",
        "/a\u{200b}b",
        "/a%00b",
        "/a%0d%0ab",
    ]);
}

#[test]
fn lengths_c08() {
    check_refused(&[&format!("/{}", "x".repeat(300)), &"/x".repeat(10_000), &format!("/{}", "a/".repeat(600))]);
    let long = with_entry(|entry| _ = entry.insert("relative_url".into(), json!("/x".repeat(1 << 20))));
    // The reader's own cap on strings comes first.
    { long }.run().refused(Reason::BadManifest);
}

#[test]
fn places_of_others_c10() {
    check_refused(&["/rings", "/rings/canary/x", "/Rings/canary/x", "/waystation/x", "/waystation"]);
    check_refused(&["/linux/production/arch_x86_64/updates.zip", "/mac/x", "/Linux/x"]);
    check_refused(&["/downloads/endpoint/manifest/artifacts-9.0.1.zip", "/downloads/endpoint/manifest/x/y"]);
    check_refused(&["/downloads/endpoint/manifest", "/downloads/endpoint/Manifest/x"]);
    for fine in ["/ringsx/a", "/downloads/linux/a", "/downloads/endpoint/manifests", "/downloads/endpoint/manifest-1"] {
        let world = with_entry(|entry| _ = entry.insert("relative_url".into(), json!(fine)));
        world.file(fine, b"model").run().release();
    }
}

#[test]
fn a_manifest_that_names_itself_c41() {
    check_refused(&["/downloads/endpoint/manifest/artifacts-9.0.0.zip"]);
    for url in ["/m/artifacts-9.0.0.zip", "/m/artifacts-8.0.0.zip"] {
        let elsewhere = with_entry(|entry| _ = entry.insert("relative_url".into(), json!(url)));
        elsewhere
            .settings(|settings| settings.manifest_template = "/m/artifacts-{version}.zip".to_owned())
            .run()
            .refused(Reason::BadPath);
    }
}

#[test]
fn one_path_has_one_content() {
    let pair = |a: (&str, &[u8]), b: (&str, &[u8])| {
        World::of(&manifest(json!({ "a-v1": entry(a.0, a.1, a.1), "b-v1": entry(b.0, b.1, b.1) })))
    };
    pair(("/d/x", b"1"), ("/d/x", b"2")).run().refused(Reason::BadPath);
    pair(("/d/x", b"1"), ("/d/X", b"1")).run().refused(Reason::BadPath);
    pair(("/d/x", b"1"), ("/d/x/y", b"2")).run().refused(Reason::BadPath);
    pair(("/d/x/y/z", b"1"), ("/d", b"2")).run().refused(Reason::BadPath);
    let mut fine = pair(("/d/x", b"1"), ("/d/x", b"1")).file("/d/x", b"1");
    assert_eq!(fine.run().release().items.len(), 2);
}
