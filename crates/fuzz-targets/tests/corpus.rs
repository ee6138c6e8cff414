//! The fuzzers' corpus, without a fuzzer: every input that is kept, through its function.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use fuzz_targets::{TARGETS, seeds};

/// What the corpus of every target together may take in the repository.
const CORPUS_BYTES: u64 = 1 << 20;

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// Every input of a target, in the order of their names.
fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = fuzz().join("corpus").join(target);
    let listed = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{target} has no corpus: {error}"));
    let mut files: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let inputs = inputs(name);
    assert!(!inputs.is_empty(), "the corpus of {name} is empty");
    for path in inputs {
        let bytes = fs::read(&path).unwrap();
        let end = catch_unwind(AssertUnwindSafe(|| (target.check)(&bytes)));
        assert!(end.is_ok(), "{} does not hold", path.display());
    }
}

macro_rules! replays {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let replayed: Vec<&str> = vec![$(stringify!($name)),*];
            let targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(replayed, targets);
        }
    };
}

replays![
    answer_head,
    certificate,
    configuration,
    defender_archive,
    defender_companion,
    defender_info,
    elastic_artifact,
    elastic_session,
    etag_list,
    forwarded,
    generation_file,
    health_report,
    history,
    http_date,
    managed_settings,
    manifest_json,
    mirror_head,
    pem_keys,
    policy_response,
    proxy_header,
    range_header,
    redirect_location,
    request_head,
    retry_after,
    ring_pointer,
    sightings,
    strict_json,
    url_key,
    url_template,
    version_order,
    zip_view,
];

/// Names of the files and folders directly in a folder.
fn names(folder: &str) -> BTreeSet<String> {
    let listed = fs::read_dir(fuzz().join(folder)).unwrap();
    listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_target_can_be_fuzzed_and_has_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("fuzz_targets"), targets.iter().map(|name| format!("{name}.rs")).collect());
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &targets {
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name}");
        let source = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("fuzz_targets::{name}(bytes)")), "{name}");
    }
}

#[test]
fn every_seed_is_kept_and_the_corpus_is_small() {
    let corpus = fuzz().join("corpus");
    for seed in seeds::all() {
        let path = corpus.join(seed.target).join(&seed.name);
        assert!(path.is_file(), "missing: {}; `cargo run -p fuzz-targets --example write-seeds`", path.display());
    }
    let sizes = TARGETS.iter().flat_map(|target| inputs(target.name)).map(|path| path.metadata().unwrap().len());
    let bytes: u64 = sizes.sum();
    assert!(bytes <= CORPUS_BYTES, "{bytes} bytes");
}
