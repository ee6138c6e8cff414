//! More rounds of the same than a daily run has patience for.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Size, Stage};

/// The engine under random single faults (U60): a thousand rounds of the seed that every run has, or ten thousand.
pub(crate) fn of_random_faults(stage: &Stage) -> Result<()> {
    let rounds = match stage.size {
        Size::Ci => "1000",
        Size::Full => "10000",
    };
    let answer = Command::new("cargo")
        .args(["test", "--quiet", "-pmirror", "--test", "engine", "whatever_goes_wrong_what_is_served_is_whole_u60"])
        .env("WAYSTATION_ROUNDS", rounds)
        .current_dir(&stage.root)
        .output()
        .context("running cargo")?;
    let text = String::from_utf8_lossy(&answer.stdout);
    ensure!(answer.status.success(), "{rounds} rounds:\n{text}{}", String::from_utf8_lossy(&answer.stderr));
    ensure!(text.contains("1 passed"), "the test of random faults was not found");
    println!("     {rounds} rounds");
    Ok(())
}
