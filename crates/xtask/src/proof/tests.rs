//! Proofs that are tests.

use std::process::{Command, Output};

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
    cargo_test(stage, &PROPERTIES, &[("PROPTEST_CASES", cases)]).map(drop)
}

/// The tests of `crates/e2e/tests/proof` whose names begin so; prints what they saw, one line each.
pub(crate) fn end_to_end(stage: &Stage, begin: &str) -> Result<()> {
    let size = match stage.size {
        Size::Ci => "ci",
        Size::Full => "full",
    };
    let arguments = ["-pe2e", "--features", "proof", "--test", "proof", begin, "--", "--nocapture"];
    let answer = cargo_test(stage, &arguments, &[("WAYSTATION_PROOF", size)])?;
    let text = String::from_utf8_lossy(&answer.stdout);
    // The dots of the test runner may stand before it.
    let seen: Vec<&str> = text.lines().filter_map(|line| line.split_once("saw: ")).map(|(_, seen)| seen).collect();
    ensure!(!seen.is_empty(), "no test began with {begin}");
    seen.iter().for_each(|seen| println!("     {seen}"));
    Ok(())
}

/// Runs `cargo test` with these arguments and variables; its output is shown when it fails.
fn cargo_test(stage: &Stage, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
    let answer = Command::new("cargo")
        .args(["test", "--quiet"])
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(&stage.root)
        .output()
        .context("running cargo")?;
    let shown = || format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
    ensure!(answer.status.success(), "cargo test {}:\n{}", arguments.join(" "), shown());
    Ok(answer)
}
