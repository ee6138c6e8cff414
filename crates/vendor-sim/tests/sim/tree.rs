use std::fs;

use model::Digest;
use vendor_sim::DefenderFeed;

use crate::client::{small, start};

#[test]
fn the_one_liners_tree_keeps_every_path() {
    let (simulator, folder) = (start(small()), tempfile::tempdir().unwrap());
    simulator.write_elastic_tree(folder.path(), "9.0.0").unwrap();
    let release = simulator.elastic_release("9.0.0").unwrap();
    let manifest = folder.path().join("downloads/endpoint/manifest/artifacts-9.0.0.zip");
    assert_eq!(fs::read(manifest).unwrap(), release.manifest);
    for artifact in &release.artifacts {
        let bytes = fs::read(folder.path().join(&artifact.relative_url[1..])).unwrap();
        assert_eq!(Digest::of(&bytes), artifact.encoded_sha256);
    }
    assert!(simulator.write_elastic_tree(folder.path(), "1.2.3").is_err());
}

#[test]
fn the_scripts_tree_has_its_layout_and_its_companion() {
    let (simulator, folder) = (start(small()), tempfile::tempdir().unwrap());
    simulator.write_defender_tree(folder.path()).unwrap();
    for feed in DefenderFeed::ALL {
        let release = simulator.defender_release(feed).unwrap();
        let place = folder.path().join(format!("{}/{}/arch_{}", feed.platform, feed.track, feed.architecture));
        assert_eq!(fs::read(place.join("updates.zip")).unwrap(), release.archive.to_vec());
        let companion = fs::read_to_string(place.join("manifest.json")).unwrap();
        let (engine, definitions) = (&release.engine, &release.definitions);
        let expected =
            format!("{{\n  \"EngineVersion\": \"{engine}\",\n  \"DefinitionVersion\": \"{definitions}\"\n}}\n");
        assert_eq!(companion, expected);
    }
    assert!(folder.path().join("linux/production_back/arch_arm64").is_dir());
}

#[test]
fn commands_by_hand() {
    let simulator = start(small());
    let said = |line: &str| simulator.command(line).unwrap_or_else(|error| error.to_string());
    assert_eq!(said("publish elastic 9.0.0"), "9.0.0 is at 1.0.1050");
    assert_eq!(said("publish elastic 9.0.0 back"), "9.0.0 is at 1.0.1049");
    assert!(said("publish elastic leap").contains("8.17.4 is at 1.0.999999"));
    assert!(said("publish defender linux/preview/arm64 same").contains("1.459.560.0"));
    assert!(said("publish defender").lines().count() == 8);
    assert!(said("publish defender solaris").contains("no Defender feed"));
    assert_eq!(said("fault html manifest 2"), "html waits");
    assert!(said("fault htlm").contains("is no fault") && said("fault html manifets").contains("is no pattern"));
    assert!(said("faults").contains("reset-at-half (U01)"));
    assert_eq!(said("clear"), "all faults forgotten");
    assert_eq!(said("retire elastic 8.18.3"), "gone");
    assert_eq!(said("retire elastic 8.18.3"), "there was nothing to retire");
    assert!(said("stats").starts_with("0 requests"));
    assert!(said("frobnicate").contains("commands are"));
    assert_eq!(said("  "), "");
}
