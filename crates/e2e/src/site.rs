//! One installation in a temporary folder.

use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use model::FeedId;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Daemon, waystation};

/// A configuration and the data folder that it names; gone when dropped.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
}

/// Ports are taken as they are free; everything else that is not said is the program's default.
const HEAD: &str = "\
data_dir = \"data\"
[[serve]]
address = \"127.0.0.1:0\"
[admin]
address = \"127.0.0.1:0\"
[origin]
allow_plain_http = true
[limits]
disk_reserve = \"1MiB\"
retry_base = \"50ms\"
";

/// `[elastic]` that follows these versions.
pub fn elastic(origin: &str, versions: &[&str]) -> String {
    format!("[elastic]\norigin = \"{origin}\"\nversions = {versions:?}\n")
}

/// `[defender]` that follows these platforms and tracks, on both architectures.
pub fn defender(origin: &str, platforms: &[&str], tracks: &[&str]) -> String {
    format!("[defender]\norigin = \"{origin}\"\nplatforms = {platforms:?}\ntracks = {tracks:?}\n")
}

/// An address at which nothing listens.
pub fn closed_address() -> SocketAddr {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    taken.local_addr().unwrap()
}

impl Site {
    /// A site that follows what these sections say.
    pub fn new(sections: &[String]) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        site.configure(sections);
        site
    }

    /// Writes another configuration.
    pub fn configure(&self, sections: &[String]) {
        fs::write(self.config(), format!("{HEAD}{}", sections.concat())).unwrap();
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("waystation.toml")
    }

    /// The folder around everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command of the program, for this site.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(waystation());
        command.args(arguments).env("WAYSTATION_CONFIG", self.config()).current_dir(self.folder.path());
        command
    }

    /// Runs a command to its end.
    pub fn act(&self, arguments: &[&str]) -> Finished {
        Finished(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    /// `sync --json` and more, to its end.
    pub fn sync(&self, more: &[&str]) -> Finished {
        self.act(&[&["sync", "--json"], more].concat())
    }

    /// `sync` that is still under way.
    pub fn begin_sync(&self) -> Child {
        self.command(["sync", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Starts `run` or `serve`.
    pub fn start(&self, verb: &str) -> Daemon {
        Daemon::start(self.command([verb]))
    }
}

/// A command that ended.
#[derive(Debug)]
pub struct Finished(Output);

impl Finished {
    /// Its exit code.
    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    /// All that it wrote.
    pub fn text(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.0.stdout), String::from_utf8_lossy(&self.0.stderr))
    }

    /// Sees that it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{}", self.text());
        self
    }

    /// The lines of its standard output, as JSON.
    pub fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.0.stdout);
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// The line that `sync` wrote about a feed.
    pub fn feed(&self, feed: &str) -> Value {
        assert!(feed.parse::<FeedId>().is_ok(), "{feed} is no feed");
        let lines = self.lines();
        let found = lines.iter().find(|line| line["feed"] == feed);
        found.unwrap_or_else(|| panic!("no line about {feed}: {}", self.text())).clone()
    }

    /// The outcomes of all feeds, in the order written.
    pub fn outcomes(&self) -> Vec<String> {
        self.lines().iter().filter_map(|line| line["outcome"].as_str().map(str::to_owned)).collect()
    }
}
