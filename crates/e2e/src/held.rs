//! What a reference endpoint holds, as its own folder has it.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// The definitions' version and the archive's digest of the set in use, from the endpoint's `--state`.
pub fn definitions_in_use(state: &Path) -> (String, String) {
    let read = |path: std::path::PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let current = read(state.join("current.json"));
    let set = read(state.join("definitions.noindex").join(current["set"].as_str().unwrap()).join("set.json"));
    (set["version"]["version"].as_str().unwrap().to_owned(), set["archive"].as_str().unwrap().to_owned())
}
