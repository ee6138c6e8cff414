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
    telling(stage, &["cargo"], &["-pe2e", "--test", "proof", begin])
}

/// The same of `crates/fault-lab/tests/lab`. In a mount namespace of its own, so that whatever becomes of it nothing
/// stays mounted.
pub(crate) fn lab(stage: &Stage, begin: &str) -> Result<()> {
    let alone = ["unshare", "--mount", "--propagation", "private", "cargo"];
    telling(stage, &alone, &["-pfault-lab", "--test", "lab", begin])
}

fn telling(stage: &Stage, cargo: &[&str], tests: &[&str]) -> Result<()> {
    let size = match stage.size {
        Size::Ci => "ci",
        Size::Full => "full",
    };
    let arguments = [tests, &["--features", "proof", "--", "--nocapture"]].concat();
    let answer = run(stage, cargo, &arguments, &[("WAYSTATION_PROOF", size)])?;
    let text = String::from_utf8_lossy(&answer.stdout);
    // The dots of the test runner may stand before it.
    let seen: Vec<&str> = text.lines().filter_map(|line| line.split_once("saw: ")).map(|(_, seen)| seen).collect();
    ensure!(!seen.is_empty(), "no test of {} told what it saw", tests.join(" "));
    seen.iter().for_each(|seen| println!("     {seen}"));
    Ok(())
}

/// Runs `cargo test` with these arguments and variables; its output is shown when it fails.
fn cargo_test(stage: &Stage, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
    run(stage, &["cargo"], arguments, variables)
}

/// The same, where `cargo` may stand behind another program and its arguments.
fn run(stage: &Stage, cargo: &[&str], arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
    let (program, before) = cargo.split_first().context("a program to run")?;
    let answer = Command::new(program)
        .args(before)
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
