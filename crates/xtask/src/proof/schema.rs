//! The schema of the configuration, as `jq` reads it.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Stage;

/// The names of all properties, anywhere, that say nothing of themselves.
const UNEXPLAINED: &str = "[.. | objects | .properties? // empty | to_entries[] | select((.value.description? // \"\") == \"\") | .key] | @csv";

/// Every property has a description.
pub(crate) fn explained(stage: &Stage) -> Result<()> {
    let file = stage.root.join("docs/waystation.schema.json");
    let answer = Command::new("jq").args(["-er", UNEXPLAINED]).arg(&file).output().context("running jq")?;
    ensure!(answer.status.success(), "jq does not read it: {}", String::from_utf8_lossy(&answer.stderr).trim());
    let silent = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    ensure!(silent.is_empty(), "no word about {silent}");
    Ok(())
}
