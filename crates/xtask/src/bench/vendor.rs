//! The simulated vendors, in a process of their own.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::programs::Programs;

/// The simulated vendors; they end with this.
pub(crate) struct Vendor {
    child: Child,
    tell: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    pub(crate) elastic: String,
    pub(crate) defender: String,
}

/// What the vendors were asked since the counters were reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) requests: u64,
    pub(crate) connections: u64,
    /// Bytes sent, heads included.
    pub(crate) bytes: u64,
}

/// The answer to `reset`, which ends what was asked for before it.
const RESET: &str = "counters are at zero";

impl Vendor {
    pub(crate) fn start(programs: &Programs, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(&programs.vendor_sim);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting the simulated vendors")?;
        let (Some(tell), Some(out)) = (child.stdin.take(), child.stdout.take()) else { bail!("no pipes") };
        let mut said = BufReader::new(out).lines();
        let mut line = |name: &str| -> Result<String> {
            let line = said.next().context("the simulated vendors ended")??;
            let (found, url) = line.split_once(' ').context("no URL")?;
            anyhow::ensure!(found == name, "{line}");
            Ok(url.trim().to_owned())
        };
        let (elastic, defender) = (line("elastic")?, line("defender")?);
        Ok(Self { child, tell, said, elastic, defender })
    }

    /// Obeys a line that is answered by one.
    pub(crate) fn command(&mut self, line: &str) -> Result<String> {
        writeln!(self.tell, "{line}")?;
        self.tell.flush()?;
        self.said.next().context("the simulated vendors ended")?.context("reading their answer")
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&mut self) -> Result<Asked> {
        let line = self.command("stats")?;
        writeln!(self.tell, "reset")?;
        self.tell.flush()?;
        while self.said.next().context("the simulated vendors ended")?? != RESET {}
        read(&line).with_context(|| format!("not understood: {line}"))
    }
}

/// `N requests on N connections, N bytes sent, …`
fn read(line: &str) -> Option<Asked> {
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    Some(Asked { requests: numbers.next()?, connections: numbers.next()?, bytes: numbers.next()? })
}

impl Drop for Vendor {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_is_read() {
        let line =
            "155 requests on 32 connections, 1234 bytes sent, 1000 of them in bodies; at most 32 requests at once";
        assert_eq!(read(line), Some(Asked { requests: 155, connections: 32, bytes: 1234 }));
        assert_eq!(read("none"), None);
    }
}
