//! A configuration and a data folder.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::programs::Programs;

/// A configuration and a data folder; gone when dropped.
pub(crate) struct Site<'a> {
    programs: &'a Programs,
    folder: TempDir,
}

/// The program's own defaults but for what a measurement on one machine needs.
const HEAD: &str = "data_dir = \"data\"\n[[serve]]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
     [origin]\nallow_plain_http = true\n";

impl<'a> Site<'a> {
    pub(crate) fn new(programs: &'a Programs, sections: &str) -> Result<Self> {
        let folder = programs.folder()?;
        fs::write(folder.path().join("waystation.toml"), format!("{HEAD}{sections}"))?;
        Ok(Self { programs, folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.programs.waystation);
        command.arg(verb).current_dir(self.folder.path()).env("WAYSTATION_CONFIG", self.path().join("waystation.toml"));
        command.stdin(Stdio::null());
        command
    }

    /// The time that a whole process of `sync` takes.
    pub(crate) fn sync(&self) -> Result<Duration> {
        let begun = Instant::now();
        let answer = self.command("sync").arg("--json").output().context("running sync")?;
        let took = begun.elapsed();
        let told = || format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
        ensure!(answer.status.success(), "sync ended with {}:\n{}", answer.status, told());
        Ok(took)
    }
}
