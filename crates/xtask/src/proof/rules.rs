//! The alerting rules, as Prometheus' own tool reads them and runs their unit tests.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Stage;

/// The rules are well-formed, and each alert fires, stays silent and ends when its unit tests say so.
pub(crate) fn hold(stage: &Stage) -> Result<()> {
    let folder = stage.root.join("dist/prometheus");
    for (what, file) in [("check", "waystation.rules.yml"), ("test", "waystation.rules.test.yml")] {
        let mut tool = Command::new("promtool");
        let answer = tool.args([what, "rules", file]).current_dir(&folder).output().context("running promtool")?;
        let told = format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
        ensure!(answer.status.success(), "promtool {what} rules {file}:\n{told}");
        told.lines().filter(|line| line.contains("rules found")).for_each(|line| println!("     {}", line.trim()));
    }
    Ok(())
}
