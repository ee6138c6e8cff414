//! The demo itself is a proof: what it claims, it has checked. Here it must come to its end, and claim everything.

#![allow(clippy::unwrap_used, reason = "a test ends there")]

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waystation"));
    command.arg("demo").args(arguments).env("WAYSTATION__ELASTIC__SIGNATURE", "off");
    command.output().unwrap()
}

#[test]
fn every_claim_holds_to_the_end_u02_u05_u08_u38() {
    let output = demo(&["--once", "--plain"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "ok all 5 feeds published",
        "each was fetched once",
        "vendor-signed",
        "transport-only",
        "Elastic endpoint 9.0.0 on windows: manifest 1.0.1049, signature good",
        "its policy response says success",
        "Defender endpoint linux/arm64",
        "304, and not a byte",
        "ok an endpoint in the middle",
        "/linux/production_back/",
        "the download went on at byte",
        "hash_mismatch",
        "not_manifest",
        "bad_info",
        "version_regression",
        "ok all 5 endpoints still get their last good release",
        "ok the operator rejects release",
        "so does a new one of each kind, whole",
        "an endpoint that is pointed there gets it",
        "byte for byte, what the vendors offer",
        "their chain unbroken",
        "waystation init",
    ] {
        let whole = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(whole.contains(part), "'{part}' is not in\n{text}");
    }
    assert!(!text.contains("WRONG") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn what_is_kept_can_be_looked_at_and_nothing_of_others_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("demo");
    let kept = kept.to_str().unwrap();
    assert_eq!(demo(&["--once", "--keep", kept]).status.code(), Some(0));
    let config = format!("{kept}/waystation.toml");
    let listed = Command::new(env!("CARGO_BIN_EXE_waystation")).args(["--config", &config, "release", "list"]).output();
    let listed = listed.unwrap();
    assert_eq!(listed.status.code(), Some(0), "{}", String::from_utf8_lossy(&listed.stderr));
    assert!(String::from_utf8_lossy(&listed.stdout).contains("rejected"));

    let again = demo(&["--once", "--keep", kept]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("not empty"));
}
