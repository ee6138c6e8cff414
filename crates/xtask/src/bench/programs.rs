//! The programs that are measured, and where they work.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// Release builds.
pub(crate) struct Programs {
    pub(crate) waystation: PathBuf,
    pub(crate) vendor_sim: PathBuf,
    /// This tool, whose clients must not be the slow side.
    pub(crate) xtask: PathBuf,
    target: PathBuf,
}

/// Builds them as they are released.
pub(crate) fn build(root: &Path) -> Result<()> {
    let arguments = ["build", "--release", "--quiet", "-p", "cli", "-p", "vendor-sim", "-p", "xtask"];
    let status = Command::new("cargo").args(arguments).current_dir(root).status().context("running cargo")?;
    ensure!(status.success(), "the programs do not build");
    Ok(())
}

impl Programs {
    /// Those in a target folder.
    pub(crate) fn of(target: &Path) -> Self {
        let program = |name| target.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        Self {
            waystation: program("waystation"),
            vendor_sim: program("vendor-sim"),
            xtask: program("xtask"),
            target: target.to_owned(),
        }
    }

    /// A folder on the disk of the build, so that flushing costs what it costs.
    pub(crate) fn folder(&self) -> Result<TempDir> {
        tempfile::Builder::new().prefix("bench-").tempdir_in(&self.target).context("a folder to work in")
    }
}
