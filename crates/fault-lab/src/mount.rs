//! File systems that go when their owner is dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a program to its end.
///
/// # Errors
/// What it said, when it does not end well or cannot be started.
pub fn sh(program: &str, arguments: &[&str]) -> Result<String, String> {
    let shown = || format!("{program} {}", arguments.join(" "));
    let answer = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let answer = answer.map_err(|error| format!("{}: {error}", shown()))?;
    if answer.status.success() {
        return Ok(String::from_utf8_lossy(&answer.stdout).into_owned());
    }
    Err(format!("{}: {}: {}", shown(), answer.status, String::from_utf8_lossy(&answer.stderr).trim()))
}

/// Sees that this machine has what the lab stands on.
///
/// # Errors
/// What is missing, by name.
pub fn available() -> Result<(), String> {
    for device in ["/dev/fuse", "/dev/loop-control"] {
        std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(device)
            .map_err(|error| format!("{device} cannot be opened, and the lab needs it: {error}"))?;
    }
    Ok(())
}

/// A mounted file system; taken down when dropped.
#[derive(Debug)]
pub struct Mounted {
    at: PathBuf,
    is_up: bool,
}

impl Mounted {
    /// Mounts `source` with `options` (as `mount -o` takes them, `loop` included).
    ///
    /// # Errors
    /// What `mount` said.
    pub fn new(kind: &str, source: &str, at: &Path, options: &str) -> Result<Self, String> {
        let place = at.to_str().expect("paths of tests are text");
        sh("mount", &["-t", kind, "-o", options, source, place])?;
        Ok(Self { at: at.to_owned(), is_up: true })
    }

    /// A file system in memory with this many bytes and, unless 0, files.
    ///
    /// # Errors
    /// What `mount` said.
    pub fn tmpfs(at: &Path, bytes: u64, files: u64) -> Result<Self, String> {
        let mut options = format!("size={bytes},mode=0755");
        if files > 0 {
            options.push_str(&format!(",nr_inodes={files}"));
        }
        Self::new("tmpfs", "lab", at, &options)
    }

    /// One that somebody else has mounted here.
    pub(crate) fn adopt(at: &Path) -> Self {
        Self { at: at.to_owned(), is_up: true }
    }

    /// Where it stands.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Takes it down, with all that it still has to write.
    ///
    /// # Errors
    /// What `umount` said; it is then detached when dropped.
    pub fn unmount(mut self) -> Result<(), String> {
        let place = self.at.to_str().expect("paths of tests are text").to_owned();
        let begun = Instant::now();
        // Who looked into it a moment ago, such as a process that was killed, may not be gone yet.
        while let Err(error) = sh("umount", &[&place]) {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.is_up = false;
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_up {
            // Detached even where somebody still stands in it: nothing may outlive a test that failed.
            let place = self.at.to_string_lossy().into_owned();
            let _ = sh("umount", &["--lazy", &place]);
        }
    }
}
