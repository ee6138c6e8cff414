//! Proofs that are tests.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Size, Stage};

/// Crates whose tests throw random input at them.
const PROPERTIES: [&str; 4] = ["-pmodel", "-pconfig", "-ptrust", "-pvendors"];

/// The property tests again, with far more cases than a daily run has patience for.
pub(crate) fn properties(stage: &Stage) -> Result<()> {
    let cases = match stage.size {
        Size::Ci => "2000",
        Size::Full => "50000",
    };
    cargo_test(stage, &PROPERTIES, &[("PROPTEST_CASES", cases)])
}

/// Runs `cargo test` with these arguments and variables; its output is shown when it fails.
pub(crate) fn cargo_test(stage: &Stage, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let answer = Command::new("cargo")
        .args(["test", "--quiet"])
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(&stage.root)
        .output()
        .context("running cargo")?;
    let shown = || format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
    ensure!(answer.status.success(), "cargo test {}:\n{}", arguments.join(" "), shown());
    Ok(())
}
