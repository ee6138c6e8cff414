//! The command line's reference, out of the snapshots that hold each verb's help.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// Where the help of each verb is held by a test that runs the real binary.
const SNAPSHOTS: &str = "crates/cli/tests/cli/snapshots";

const HEAD: &str = "\
# Command line

<!-- Written by `cargo xtask tidy --fix` from the help of each verb, which the program's own tests hold. -->

Exit codes of every verb: 0 done · 1 failed · 2 wrong usage or configuration · 3 done in part · 4 freshness beyond
policy. Facts go to standard output, progress and log to standard error.
";

/// The whole page.
pub(super) fn page(root: &Path) -> Result<String> {
    let mut verbs = Vec::new();
    for entry in std::fs::read_dir(root.join(SNAPSHOTS)).with_context(|| format!("listing {SNAPSHOTS}"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let verb = name.split_once("help-").and_then(|(_, rest)| rest.strip_suffix(".snap"));
        if let Some(verb) = verb {
            verbs.push((verb.replace('-', " "), help(&path)?));
        }
    }
    verbs.sort_by_key(|(verb, _)| (verb != "waystation", verb.clone()));
    let mut page = HEAD.to_owned();
    for (verb, help) in verbs {
        let title = if verb == "waystation" { verb } else { format!("waystation {verb}") };
        page.push_str(&format!("\n## `{title}`\n\n```text\n{}\n```\n", help.trim_end()));
    }
    Ok(page)
}

/// A snapshot's text, behind its own head.
fn help(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    match text.splitn(3, "---\n").nth(2) {
        Some(help) => Ok(help.to_owned()),
        None => bail!("{} is no snapshot", path.display()),
    }
}
