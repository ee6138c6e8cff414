//! Negative vectors: what hosts have sent or might send to do harm, in a folder for each attack, with the code that each
//! is refused with. `make.rs` makes them; another reader of these formats can be tried on the same files.
//!
//! A vector is a folder: its input by its name (`manifest.json`, `manifest.zip`, `info.xml`, `updates.zip`), what came
//! before it (`held.json`) or with it (`artifact`), and `expected`: the reason code.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "../../src/zip/tests/builder.rs"]
#[allow(dead_code, clippy::redundant_pub_crate, reason = "the parser's own tests use more of it")]
mod builder;
mod documents;
mod files;
mod make;
mod replay;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The folders directly in a folder, by name.
fn folders(path: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = listed.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Every file that is kept, by its path from the root.
fn kept() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for vector in folders(&root()).iter().flat_map(|attack| folders(attack)) {
        for entry in fs::read_dir(&vector).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            files.insert(name, fs::read(path).unwrap());
        }
    }
    files
}

/// To write them anew: `WAYSTATION_WRITE_VECTORS=1 cargo test -p vendors --test vectors`, and look at what changed.
#[test]
fn the_vectors_are_what_their_maker_makes() {
    let made = make::all();
    if std::env::var_os("WAYSTATION_WRITE_VECTORS").is_some() {
        for attack in folders(&root()) {
            fs::remove_dir_all(attack).unwrap();
        }
        for (name, bytes) in &made {
            let path = root().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let kept = kept();
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&kept), names(&made));
    for (name, bytes) in &kept {
        assert!(made[name] == *bytes, "{name} is not what its maker makes");
        assert!(bytes.len() <= 64 << 10, "{name} has {} bytes", bytes.len());
    }
}

#[test]
fn every_vector_is_refused_for_its_reason_c01_to_c08_c10_c12_c13_c15_to_c18_c21_to_c29_c32_to_c36_c38_c39_c41_c42() {
    let mut wrong = Vec::new();
    let vectors: Vec<PathBuf> = folders(&root()).iter().flat_map(|attack| folders(attack)).collect();
    assert!(vectors.len() > 150, "{} vectors", vectors.len());
    for vector in vectors {
        let expected = fs::read_to_string(vector.join("expected")).unwrap();
        let end = replay::end_of(&vector);
        if end != expected.trim() {
            wrong.push(format!(
                "{}: {end}, expected {}",
                vector.strip_prefix(root()).unwrap().display(),
                expected.trim()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same honest inputs that the vectors are made from pass, so that it is the attack that is refused.
#[test]
fn the_honest_inputs_pass() {
    assert_eq!(replay::elastic(&documents::zip(&documents::manifest("1.0.10", 4)), None, None), "admitted");
    assert_eq!(replay::defender(documents::info().as_bytes(), &documents::archive().bytes()), "admitted");
    let [_, deflated, plain] = documents::coded();
    assert_eq!(replay::elastic(&documents::zip(&plain), Some(&deflated), None), "admitted");
}
