//! The manifest's archive, as it should be and as it should not.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{ElasticArtifact, ElasticRelease};
use crate::content::{Member, archive};
use crate::fault::ManifestFault;
use crate::keys::{KeyError, SigningKey};

/// The archive: `manifest.json` first and deflated, so that `zcat -q` prints it, then `manifest.sig`.
pub(super) fn manifest(version: &str, artifacts: &[ElasticArtifact], key: &SigningKey) -> Result<Bytes, KeyError> {
    let json = document(version, artifacts).to_string();
    Ok(pack(json.as_bytes(), Some(&key.sign(json.as_bytes())?)))
}

fn document(version: &str, artifacts: &[ElasticArtifact]) -> Value {
    let entries: Map<String, Value> =
        artifacts.iter().map(|artifact| (artifact.name.clone(), entry(artifact))).collect();
    json!({
        "manifest_version": version,
        "schema_version": "v1",
        "simulated": { "by": "vendor-sim", "note": "a member that the schema does not know" },
        "artifacts": entries,
    })
}

fn entry(artifact: &ElasticArtifact) -> Value {
    json!({
        "relative_url": artifact.relative_url,
        "compression_algorithm": "zlib",
        "encryption_algorithm": "none",
        "decoded_size": artifact.decoded_size,
        "decoded_sha256": artifact.decoded_sha256,
        "encoded_size": artifact.encoded_size,
        "encoded_sha256": artifact.encoded_sha256,
        "simulated_kind": "unknown member",
    })
}

fn pack(json: &[u8], signature: Option<&[u8]>) -> Bytes {
    let mut members = vec![Member::deflated("manifest.json", json)];
    members.extend(signature.map(|signature| Member::stored("manifest.sig", signature.to_vec())));
    archive(&members).to_vec().into()
}

/// The release's manifest with a fault in it; but for the faults of the signature, it is well signed.
pub(crate) fn faulty_manifest(
    release: &ElasticRelease,
    fault: &ManifestFault,
    key: &SigningKey,
) -> Result<Bytes, KeyError> {
    let json = faulty_json(release, fault);
    let sign = |key: &SigningKey| key.sign(&json);
    let signed = pack(&json, Some(&sign(key)?));
    Ok(match fault {
        ManifestFault::SignatureMissing => pack(&json, None),
        ManifestFault::SignatureEmpty => pack(&json, Some(&[])),
        ManifestFault::SignatureBad => {
            let mut signature = sign(key)?;
            signature.iter_mut().take(1).for_each(|byte| *byte ^= 1);
            pack(&json, Some(&signature))
        }
        ManifestFault::SignatureTruncated => pack(&json, sign(key)?.get(..100)),
        ManifestFault::SignatureOfAnother => pack(&json, Some(&key.sign(b"another manifest")?)),
        ManifestFault::SignatureUnknownKey => pack(&json, Some(&sign(&SigningKey::unknown()?)?)),
        ManifestFault::StackedZips => {
            let first = manifest("1.0.1", &[], key)?;
            [first, signed].concat().into()
        }
        ManifestFault::TrailingBytes => [signed.as_ref(), b"trailing"].concat().into(),
        ManifestFault::Truncated => signed.slice(..signed.len() / 2),
        _ => signed,
    })
}

fn faulty_json(release: &ElasticRelease, fault: &ManifestFault) -> Vec<u8> {
    let number: u64 = release.manifest_version.rsplit('.').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut artifacts = release.artifacts.clone();
    let mut version = release.manifest_version.clone();
    match fault {
        ManifestFault::Empty => artifacts.clear(),
        ManifestFault::Shrunk => artifacts.truncate(artifacts.len().div_ceil(10)),
        ManifestFault::OlderVersion => version = format!("1.0.{}", number.saturating_sub(1)),
        ManifestFault::Leap => version = "1.0.999999".to_owned(),
        ManifestFault::Version(text) => version = text.to_string(),
        _ => {}
    }
    if let Some(first) = artifacts.first_mut() {
        change_entry(first, fault);
    }
    let mut document = document(&version, &artifacts);
    change_document(&mut document, fault);
    change_text(&document.to_string(), fault)
}

/// Faults in what the first artifact's entry says.
fn change_entry(artifact: &mut ElasticArtifact, fault: &ManifestFault) {
    let wrong = model::Digest::of(b"something else");
    match fault {
        ManifestFault::EncodedSize => artifact.encoded_size += 1,
        ManifestFault::EncodedHash => artifact.encoded_sha256 = wrong,
        ManifestFault::DecodedSize => artifact.decoded_size += 1,
        ManifestFault::DecodedHash => artifact.decoded_sha256 = wrong,
        ManifestFault::SwappedPairs => {
            std::mem::swap(&mut artifact.encoded_size, &mut artifact.decoded_size);
            std::mem::swap(&mut artifact.encoded_sha256, &mut artifact.decoded_sha256);
        }
        ManifestFault::BadPath(path) => artifact.relative_url = path.to_string(),
        _ => {}
    }
}

/// Faults in the document's members.
fn change_document(document: &mut Value, fault: &ManifestFault) {
    let Some(top) = document.as_object_mut() else { return };
    match fault {
        ManifestFault::OtherContent => {
            top.insert("simulated".to_owned(), Value::from("other bytes under the same version"));
        }
        ManifestFault::Grown => {
            if let Some(Value::Object(entries)) = top.get_mut("artifacts") {
                let first = entries.values().next().cloned().unwrap_or_default();
                (0..10_000).for_each(|n| drop(entries.insert(format!("grown-{n}-v1"), first.clone())));
            }
        }
        ManifestFault::MissingMember => {
            let first = top.get_mut("artifacts").and_then(Value::as_object_mut).and_then(|all| all.values_mut().next());
            first.and_then(Value::as_object_mut).and_then(|entry| entry.shift_remove("encoded_sha256"));
        }
        _ => {}
    }
}

/// Faults that only text can have.
fn change_text(text: &str, fault: &ManifestFault) -> Vec<u8> {
    let once = |from: &str, to: &str| text.replacen(from, to, 1).into_bytes();
    match fault {
        ManifestFault::DuplicateKeys => {
            once("\"schema_version\":\"v1\"", "\"schema_version\":\"v0\",\"schema_version\":\"v1\"")
        }
        ManifestFault::DuplicateEntryKeys => {
            once("\"relative_url\":", "\"relative_url\":\"/downloads/first\",\"relative_url\":")
        }
        ManifestFault::DeepNesting => {
            let nest = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
            once("\"schema_version\":", &format!("\"deep\":{nest},\"schema_version\":"))
        }
        ManifestFault::HugeNumber => once("\"encoded_size\":", "\"encoded_size\":1e400,\"x\":"),
        ManifestFault::NotUtf8 => {
            [b"{\"manifest_version\":\"1.0.1\xff\",", text.get(1..).unwrap_or("}").as_bytes()].concat()
        }
        ManifestFault::NotJson => b"<!DOCTYPE html><title>Sign in</title>".to_vec(),
        _ => text.as_bytes().to_vec(),
    }
}
