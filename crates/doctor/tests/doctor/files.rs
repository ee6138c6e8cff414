//! Mirrors that speak HTTP rightly and hold wrong files.

use Check::*;
use Level::{Fail, Warn};
use doctor::{Check, Depth, Level};

use crate::content::{BACK, DEFENDER, ELASTIC, FOLDER, Files, MANIFEST, artifact, examination, expect, files, run};
use crate::mirror::Mirror;

async fn check(change: impl FnOnce(&mut Files), expected: &[(Check, Level)]) {
    let mut files = files();
    change(&mut files);
    let mirror = Mirror::start(files, &[], None).await;
    expect(&run(&examination(&mirror.url(), &[ELASTIC, DEFENDER])).await, expected);
}

fn companion(definitions: &str) -> Vec<u8> {
    format!("{{\n  \"EngineVersion\": \"1.1.26080.3\",\n  \"DefinitionVersion\": \"{definitions}\"\n}}\n").into_bytes()
}

#[tokio::test]
async fn an_artifact_is_missing_u13() {
    check(|files| drop(files.remove(&artifact())), &[(ArtifactMissing, Fail), (Artifacts, Fail)]).await;
}

#[tokio::test]
async fn an_artifact_is_truncated_s17() {
    let cut = |files: &mut Files| files.get_mut(&artifact()).unwrap().truncate(100);
    check(cut, &[(ArtifactSize, Fail), (Artifacts, Fail)]).await;
}

#[tokio::test]
async fn an_artifact_has_another_digest_u05() {
    let flip = |files: &mut Files| files.get_mut(&artifact()).unwrap()[50] ^= 1;
    check(flip, &[(ArtifactDigest, Fail), (Artifacts, Fail)]).await;
}

#[tokio::test]
async fn the_manifest_is_an_error_page_u08() {
    let page = |files: &mut Files| drop(files.insert(MANIFEST.to_owned(), b"<html>sign in</html>".to_vec()));
    check(page, &[(Manifest, Fail)]).await;
}

#[tokio::test]
async fn the_manifest_is_not_there_u12() {
    check(|files| drop(files.remove(MANIFEST)), &[(NotFound, Fail)]).await;
}

#[tokio::test]
async fn a_signature_of_an_unknown_key_c33() {
    let mirror = Mirror::start(files(), &[], None).await;
    let mut examination = examination(&mirror.url(), &[ELASTIC]);
    examination.settings = vendors::Settings::default();
    expect(&run(&examination).await, &[(Signature, Warn)]);
}

#[tokio::test]
async fn an_archive_is_an_error_page_u08() {
    let page = |files: &mut Files| drop(files.insert(format!("{FOLDER}/updates.zip"), vec![b'<'; 300]));
    check(page, &[(ArtifactDecoded, Fail)]).await;
}

#[tokio::test]
async fn an_archive_is_not_there() {
    check(|files| drop(files.remove(&format!("{FOLDER}/updates.zip"))), &[(NotFound, Fail)]).await;
}

#[tokio::test]
async fn a_companion_is_missing() {
    check(|files| drop(files.remove(&format!("{FOLDER}/manifest.json"))), &[(Companion, Warn)]).await;
}

#[tokio::test]
async fn a_companion_is_empty_as_the_script_leaves_it() {
    let empty = b"{\n  \"EngineVersion\": \"\",\n  \"DefinitionVersion\": \"\"\n}\n".to_vec();
    check(|files| drop(files.insert(format!("{FOLDER}/manifest.json"), empty)), &[(Companion, Fail)]).await;
}

#[tokio::test]
async fn companions_disagree_about_one_archive() {
    let mut files = files();
    let other = "/linux/production/arch_arm64";
    files.insert(format!("{other}/updates.zip"), files[&format!("{FOLDER}/updates.zip")].clone());
    files.insert(format!("{other}/manifest.json"), companion("1.1.1.0"));
    let mirror = Mirror::start(files, &[], None).await;
    let report = run(&examination(&mirror.url(), &[DEFENDER, "defender/linux/production/arm64"])).await;
    let found = crate::content::troubles(&report);
    assert!(found.contains(&(CompanionAgrees, Fail)), "{found:?}");
}

#[tokio::test]
async fn back_is_newer() {
    let newer = |files: &mut Files| drop(files.insert(format!("{BACK}/manifest.json"), companion("9.999.999.0")));
    check(newer, &[(Back, Fail)]).await;
}

#[tokio::test]
async fn back_is_the_same_as_after_a_failed_run_of_the_script() {
    let copy = |files: &mut Files| {
        for name in ["updates.zip", "manifest.json"] {
            files.insert(format!("{BACK}/{name}"), files[&format!("{FOLDER}/{name}")].clone());
        }
    };
    check(copy, &[(Back, Fail)]).await;
}

#[tokio::test]
async fn without_a_release_before_nothing_is_wrong() {
    check(|files| files.retain(|route, _| !route.starts_with(BACK)), &[]).await;
}

#[tokio::test]
async fn what_a_mirror_holds_of_defender_is_found_by_itself() {
    let mirror = Mirror::start(files(), &[], None).await;
    let report = run(&examination(&mirror.url(), &[])).await;
    expect(&report, &[]);
    assert_eq!(report.feeds[0].feed.as_str(), DEFENDER);
    let mirror = Mirror::start(Files::new(), &[], None).await;
    expect(&run(&examination(&mirror.url(), &[])).await, &[(Nothing, Fail)]);
}

#[tokio::test]
async fn a_quick_look_samples_and_still_sees_what_is_missing() {
    let mut files = files();
    let mirror = Mirror::start(files.clone(), &[], None).await;
    let mut examination_ = examination(&mirror.url(), &[ELASTIC, DEFENDER]);
    examination_.depth = Depth::Quick;
    expect(&run(&examination_).await, &[]);
    files.remove(&artifact());
    let mirror = Mirror::start(files, &[], None).await;
    let mut examination_ = examination(&mirror.url(), &[ELASTIC]);
    examination_.depth = Depth::Quick;
    expect(&run(&examination_).await, &[(ArtifactMissing, Fail)]);
}

#[tokio::test]
async fn a_mirror_below_a_path_prefix_is_one() {
    let moved = files().into_iter().map(|(route, bytes)| (format!("/neteye/share{route}"), bytes)).collect();
    let mirror = Mirror::start(moved, &[], None).await;
    let report = run(&examination(&format!("{}/neteye/share/", mirror.url()), &[ELASTIC])).await;
    expect(&report, &[]);
}
