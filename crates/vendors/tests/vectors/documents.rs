//! Honest inputs, which attacks change.

use std::io::Write as _;

use model::Digest;
use serde_json::{Value, json};

use crate::builder::Build;

/// The artifact of honest manifests.
pub(crate) const ARTIFACT: &[u8] = b"x";

/// A manifest with so many artifacts.
pub(crate) fn manifest(version: &str, artifacts: usize) -> Vec<u8> {
    let entries = (0..artifacts).map(|index| (format!("artifact-{index}"), entry(&format!("/downloads/{index}"))));
    written(
        &json!({ "artifacts": Value::Object(entries.collect()), "manifest_version": version, "schema_version": "v1" }),
    )
}

/// An entry for [`ARTIFACT`] at a path.
pub(crate) fn entry(url: &str) -> Value {
    let digest = Digest::of(ARTIFACT).to_string();
    json!({
        "compression_algorithm": "none",
        "decoded_sha256": digest,
        "decoded_size": ARTIFACT.len(),
        "encoded_sha256": digest,
        "encoded_size": ARTIFACT.len(),
        "encryption_algorithm": "none",
        "relative_url": url,
    })
}

/// A manifest of one artifact whose entry is changed.
pub(crate) fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut one = entry("/downloads/a");
    change(&mut one);
    written(&json!({ "artifacts": { "a": one }, "manifest_version": "1.0.10", "schema_version": "v1" }))
}

/// The same with one piece of its text replaced, for what no writer of JSON writes.
pub(crate) fn replaced(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(manifest("1.0.10", 1)).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

fn written(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap();
    bytes.push(b'\n');
    bytes
}

/// A compressed artifact's text, its bytes, and a manifest that names them.
pub(crate) fn coded() -> [Vec<u8>; 3] {
    let plain = b"plain plain plain plain".to_vec();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&plain).unwrap();
    let deflated = encoder.finish().unwrap();
    let manifest = compressed(&deflated, &plain);
    [plain, deflated, manifest]
}

/// A manifest of one compressed artifact.
pub(crate) fn compressed(encoded: &[u8], decoded: &[u8]) -> Vec<u8> {
    changed(|entry| {
        entry["compression_algorithm"] = "zlib".into();
        entry["encoded_size"] = encoded.len().into();
        entry["encoded_sha256"] = Digest::of(encoded).to_string().into();
        entry["decoded_size"] = decoded.len().into();
        entry["decoded_sha256"] = Digest::of(decoded).to_string().into();
    })
}

/// A manifest as Elastic's host sends it.
pub(crate) fn zip(manifest: &[u8]) -> Vec<u8> {
    Build::new().stored("manifest.json", manifest).bytes()
}

/// What Microsoft's host says of its newest archive.
pub(crate) fn info() -> String {
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<versions>\n  <engine>1.1.26080.3</engine>\n  \
     <platform>4.18.26080.4</platform>\n  <signatures date=\"2026-10-04 03:12:45Z\">1.459.553.0</signatures>\n</versions>\n"
        .to_owned()
}

/// A Defender archive, as small as they come.
pub(crate) fn archive() -> Build {
    let library = [b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".as_slice(), &[7; 40]].concat();
    Build::new().stored("libmpengine.so", &library).deflated("mpasbase.vdm", b"definitions definitions definitions")
}
