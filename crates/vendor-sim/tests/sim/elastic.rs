use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};

use flate2::read::{DeflateDecoder, ZlibDecoder};
use model::Digest;
use serde_json::Value;
use vendor_sim::{ArtifactUrls, Change, Settings, Simulator};

use crate::client::{ask, ask_briefly, get, get_with, small, start};

fn manifest_path(version: &str) -> String {
    format!("/downloads/endpoint/manifest/artifacts-{version}.zip")
}

/// What `zcat -q` prints: the first local entry, found without the central directory.
fn first_entry(zip: &[u8]) -> Vec<u8> {
    assert_eq!(zip[..4], *b"PK\x03\x04");
    let word = |at: usize| usize::from(u16::from_le_bytes([zip[at], zip[at + 1]]));
    let long = |at: usize| u32::from_le_bytes(zip[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((word(6), word(8)), (0, 8), "no flags, deflated");
    let (packed, size, start) = (long(18), long(22), 30 + word(26) + word(28));
    assert_eq!(&zip[30..30 + word(26)], b"manifest.json");
    let mut out = Vec::new();
    DeflateDecoder::new(&zip[start..start + packed]).read_to_end(&mut out).unwrap();
    assert_eq!(out.len(), size);
    out
}

fn manifest(simulator: &Simulator, path: &str) -> Value {
    let answer = get(simulator, path);
    assert_eq!(answer.status, 200, "{path}");
    serde_json::from_slice(&first_entry(&answer.body)).unwrap()
}

fn urls(manifest: &Value) -> BTreeSet<String> {
    let all = manifest["artifacts"].as_object().unwrap().values();
    all.map(|entry| entry["relative_url"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_version_can_be_mirrored_and_proven() {
    let simulator = start(small());
    let answer = get(&simulator, &manifest_path("9.0.0-beta1"));
    let json = first_entry(&answer.body);
    let document: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(document["manifest_version"], "1.0.1049");
    assert_eq!(document["schema_version"], "v1");
    assert!(document["simulated"].is_object(), "a member that no reader knows");

    let mut zip = zip::ZipArchive::new(Cursor::new(&answer.body)).unwrap();
    assert_eq!(zip.len(), 2);
    let mut signature = Vec::new();
    zip.by_name("manifest.sig").unwrap().read_to_end(&mut signature).unwrap();
    assert_eq!(signature, simulator.signing_key().sign(&json).unwrap());
    assert!(simulator.public_key_pem().unwrap().starts_with("-----BEGIN PUBLIC KEY-----\n"));

    let entries = document["artifacts"].as_object().unwrap();
    assert_eq!(entries.len(), 10);
    for entry in entries.values() {
        let encoded = get(&simulator, entry["relative_url"].as_str().unwrap()).body;
        assert_eq!(entry["encoded_size"], encoded.len());
        assert_eq!(entry["encoded_sha256"], Digest::of(&encoded).to_string());
        let mut decoded = Vec::new();
        ZlibDecoder::new(encoded.as_slice()).read_to_end(&mut decoded).unwrap();
        assert_eq!(entry["decoded_size"], decoded.len());
        assert_eq!(entry["decoded_sha256"], Digest::of(&decoded).to_string());
    }
}

#[test]
fn five_versions_share_four_fifths() {
    let simulator = start(Settings::default());
    let versions = Settings::default().elastic.versions;
    let all: Vec<_> = versions.iter().map(|version| urls(&manifest(&simulator, &manifest_path(version)))).collect();
    assert!(all.iter().all(|urls| urls.len() == 30));
    let together: BTreeSet<_> = all.iter().flatten().collect();
    assert_eq!(together.len(), 24 + 5 * 6);
    let folders: BTreeSet<_> = together.iter().map(|url| url.rsplit_once('/').unwrap().0).collect();
    assert!(folders.len() > 1, "a mirror that flattens folders must fail");
    let artifact = &simulator.elastic_release("9.0.0").unwrap().artifacts[0];
    assert!((64 * 1024..72 * 1024).contains(&artifact.encoded_size));
}

#[test]
fn dated_and_candidate_manifests_differ_from_their_version() {
    let simulator = start(small());
    let plain = manifest(&simulator, &manifest_path("8.18.3"));
    let dated = manifest(&simulator, "/downloads/endpoint/manifest/artifacts-8.18.3-2026-01-15.zip");
    let candidate = manifest(&simulator, "/downloads/endpoint/manifest/candidate/artifacts-9.0.0.zip");
    assert_eq!(dated["manifest_version"], "1.0.849");
    assert_eq!(candidate["manifest_version"], "1.0.1050");
    assert_ne!(urls(&plain), urls(&dated));
    assert!(urls(&plain).intersection(&urls(&dated)).count() > 0);
    assert_eq!(simulator.elastic_targets().len(), 7);
}

#[test]
fn conditions_ranges_and_head_are_as_http_has_them() {
    let simulator = start(small());
    let path = manifest_path("9.0.0");
    let whole = get(&simulator, &path);
    let (etag, date) = (whole.header("ETag").unwrap(), whole.header("Last-Modified").unwrap());
    assert!(etag.starts_with('"') && etag.ends_with('"') && !etag.contains('-'), "{etag}");
    assert_eq!(whole.header("Content-Length"), Some(whole.body.len().to_string().as_str()));

    let head = ask(simulator.address(), "HEAD", &path, &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("Content-Length"), whole.header("Content-Length"));
    assert_eq!(head.header("ETag"), Some(etag));

    for field in [format!("If-None-Match: {etag}"), "If-None-Match: *".to_owned(), format!("If-Modified-Since: {date}")]
    {
        let answer = get_with(&simulator, &path, &[&field]);
        assert_eq!((answer.status, answer.body.len(), answer.header("ETag")), (304, 0, Some(etag)), "{field}");
    }
    assert_eq!(get_with(&simulator, &path, &["If-None-Match: \"other\""]).status, 200);

    let part = get_with(&simulator, &path, &["Range: bytes=100-199", &format!("If-Range: {etag}")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[100..200]));
    assert_eq!(part.header("Content-Range"), Some(format!("bytes 100-199/{}", whole.body.len()).as_str()));
    let tail = get_with(&simulator, &path, &["Range: bytes=-7"]);
    assert_eq!(tail.body, whole.body[whole.body.len() - 7..]);
    let changed = get_with(&simulator, &path, &["Range: bytes=100-", "If-Range: \"other\""]);
    assert_eq!((changed.status, changed.body.len()), (200, whole.body.len()));
    assert_eq!(get_with(&simulator, &path, &["Range: bytes=99999999-"]).status, 416);
    assert_eq!(get(&simulator, &manifest_path("7.0.0")).status, 404);
    assert_eq!(
        ask_briefly(simulator.address(), "POST", &path, &["Content-Length: 3"]).status,
        0,
        "its body never comes"
    );
    assert_eq!(ask(simulator.address(), "DELETE", &path, &[]).status, 405);
}

#[test]
fn a_publication_moves_what_it_says() {
    let simulator = start(small());
    let path = manifest_path("9.0.0");
    let before = manifest(&simulator, &path);
    let etag = get(&simulator, &path).header("ETag").unwrap().to_owned();
    simulator.publish_elastic("9.0.0", Change { changed: 2, added: 1, removed: 3, ..Change::default() }).unwrap();
    let answer = get_with(&simulator, &path, &[&format!("If-None-Match: {etag}")]);
    assert_eq!(answer.status, 200);
    let after = manifest(&simulator, &path);
    assert_eq!(after["manifest_version"], "1.0.1050");
    assert_eq!(urls(&after).len(), 8);
    assert_eq!(urls(&after).difference(&urls(&before)).count(), 3);
    for old in urls(&before) {
        assert_eq!(get(&simulator, &old).status, 200, "a CDN keeps what it had");
    }
    assert_eq!(manifest(&simulator, &manifest_path("8.18.3"))["manifest_version"], "1.0.1049", "one version alone");
    assert!(simulator.publish_elastic("1.2.3", Change::of(1)).is_err());
}

#[test]
fn releases_of_ill_will_can_be_published() {
    let simulator = start(small());
    let path = manifest_path("9.0.0");
    let expect = |change: Change, version: &str, count: usize| {
        let before = urls(&manifest(&simulator, &path));
        simulator.publish_elastic("9.0.0", change).unwrap();
        let now = manifest(&simulator, &path);
        assert_eq!((&now["manifest_version"], urls(&now).len()), (&Value::from(version), count));
        assert_ne!(urls(&now), before);
    };
    expect(Change::same_version(), "1.0.1049", 10);
    expect(Change::regress(), "1.0.1048", 10);
    expect(Change::shrink(9), "1.0.1049", 1);
    expect(Change::grow(50), "1.0.1050", 51);
    expect(Change::leap(), "1.0.999999", 51);
    assert!(simulator.retire_elastic("9.0.0"));
    assert_eq!(get(&simulator, &path).status, 404);
    assert!(!simulator.retire_elastic("9.0.0"));
    simulator.publish_elastic("all", Change::of(1)).unwrap();
    assert_eq!(get(&simulator, &path).status, 200);
}

#[test]
fn fixed_addresses_change_their_bytes() {
    let mut settings = small();
    settings.elastic.urls = ArtifactUrls::Fixed;
    let simulator = start(settings);
    let url = simulator.elastic_release("9.0.0").unwrap().artifacts[0].relative_url.clone();
    let before = get(&simulator, &url);
    simulator.publish_elastic("9.0.0", Change::of(1)).unwrap();
    let after = get(&simulator, &url);
    assert_ne!(before.body, after.body);
    assert_ne!(before.header("ETag"), after.header("ETag"));
    assert_eq!(simulator.elastic_release("9.0.0").unwrap().artifacts[0].relative_url, url);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let (one, two) = (start(small()), start(small()));
    let other = start(Settings { seed: 2, ..small() });
    let path = manifest_path("9.0.0");
    let (a, b, c) = (get(&one, &path), get(&two, &path), get(&other, &path));
    assert!(a.body == b.body && a.body != c.body);
    assert_eq!(a.header("ETag"), b.header("ETag"));
    assert_eq!(a.header("Last-Modified"), Some("Sun, 04 Oct 2026 03:12:45 GMT"));
}

#[test]
fn large_artifacts_are_computed_and_resume_anywhere() {
    let mut settings = small();
    settings.elastic.versions.truncate(1);
    settings.elastic.candidates.clear();
    settings.elastic.dated.clear();
    (settings.elastic.artifacts, settings.elastic.artifact_size) = (2, 5_000_000);
    let simulator = start(settings);
    let release = simulator.elastic_release("8.17.4").unwrap();
    let [first, second] = release.artifacts.as_slice() else { panic!("two artifacts") };
    assert_ne!(first.encoded_sha256, second.encoded_sha256);
    let whole = get(&simulator, &first.relative_url);
    assert_eq!(whole.body.len() as u64, first.encoded_size);
    assert_eq!(Digest::of(&whole.body), first.encoded_sha256);
    let mut decoded = Vec::new();
    ZlibDecoder::new(whole.body.as_slice()).read_to_end(&mut decoded).unwrap();
    assert_eq!(Digest::of(&decoded), first.decoded_sha256);
    let rest = get_with(&simulator, &first.relative_url, &["Range: bytes=3333333-"]);
    assert!(rest.body == whole.body[3_333_333..]);
}
