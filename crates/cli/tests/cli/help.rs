//! What every verb says of itself.

use crate::site::waystation;

const VERBS: [&[&str]; 56] = [
    &[],
    &["init"],
    &["run"],
    &["serve"],
    &["sync"],
    &["status"],
    &["doctor"],
    &["feed"],
    &["feed", "list"],
    &["feed", "show"],
    &["feed", "wanted"],
    &["feed", "check"],
    &["feed", "check-date"],
    &["feed", "learn"],
    &["feed", "forget"],
    &["release"],
    &["release", "list"],
    &["release", "show"],
    &["release", "verify"],
    &["release", "diff"],
    &["release", "admit"],
    &["release", "reject"],
    &["gc"],
    &["tree"],
    &["tree", "status"],
    &["tree", "rebuild"],
    &["compat"],
    &["compat", "defender-downloader"],
    &["alarm"],
    &["alarm", "test"],
    &["alarm", "list"],
    &["demo"],
    &["history"],
    &["history", "list"],
    &["history", "verify"],
    &["history", "export"],
    &["ring"],
    &["ring", "list"],
    &["ring", "show"],
    &["configure"],
    &["configure", "elastic"],
    &["configure", "defender"],
    &["validate"],
    &["validate", "elastic"],
    &["validate", "defender"],
    &["endpoint"],
    &["endpoint", "defender"],
    &["endpoint", "defender", "update"],
    &["endpoint", "defender", "scan"],
    &["endpoint", "defender", "health"],
    &["endpoint", "defender", "connectivity"],
    &["endpoint", "defender", "run"],
    &["endpoint", "elastic"],
    &["endpoint", "elastic", "update"],
    &["endpoint", "elastic", "status"],
    &["endpoint", "swarm"],
];

#[test]
fn every_verb_explains_itself_with_an_example_and_its_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    for verb in VERBS {
        let ended = waystation(folder.path(), &[verb, &["--help"][..]].concat()).with(0);
        assert_eq!(ended.stderr, "");
        assert!(ended.stdout.contains("Example") && ended.stdout.contains("Exit codes:\n  0  "), "{verb:?}");
        assert!(ended.stdout.lines().all(|line| line.chars().count() <= 100), "{verb:?}");
        let name = if verb.is_empty() { "waystation".to_owned() } else { verb.join("-") };
        insta::assert_snapshot!(format!("help-{name}"), ended.stdout);
    }
}

#[test]
fn the_version_is_a_fact() {
    let folder = tempfile::tempdir().unwrap();
    let ended = waystation(folder.path(), &["--version"]).with(0);
    assert_eq!(ended.stdout, format!("waystation {}\n", env!("CARGO_PKG_VERSION")));
}
