//! A site for tests: a data folder, a configuration, simulated vendors, and the real binary beside them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use vendor_sim::{DefenderSettings, ElasticSettings, Settings, Simulator};

/// What a site is made of.
pub(crate) struct Builder {
    versions: Vec<&'static str>,
    defender: bool,
}

/// A site.
pub(crate) struct Site {
    folder: TempDir,
    /// Its vendors.
    pub(crate) vendors: Simulator,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) code: i32,
    /// What it told.
    pub(crate) stdout: String,
    /// What it told beside.
    pub(crate) stderr: String,
}

impl Builder {
    /// With Defender's feed `linux/production/x86_64` too.
    pub(crate) fn defender(mut self) -> Self {
        self.defender = true;
        self
    }

    /// Following these Elastic versions.
    pub(crate) fn versions(mut self, versions: &[&'static str]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    /// Starts the vendors and writes the configuration.
    pub(crate) fn build(self) -> Site {
        let elastic = ElasticSettings { artifacts: 5, artifact_size: 2048, ..ElasticSettings::default() };
        let defender = DefenderSettings { archive_size: 8192, ..DefenderSettings::default() };
        let vendors = Simulator::start(Settings { elastic, defender, ..Settings::lately() }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.pem"), vendors.public_key_pem().unwrap()).unwrap();
        let mut text = String::from("data_dir = \"data\"\n[origin]\nallow_plain_http = true\n");
        text.push_str("[[serve]]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n");
        text.push_str("[limits]\nretries = 0\ndisk_reserve = \"1MiB\"\n");
        if !self.versions.is_empty() {
            let (origin, versions) = (vendors.elastic_url(), &self.versions);
            text.push_str(&format!("[elastic]\norigin = \"{origin}\"\nversions = {versions:?}\n"));
            text.push_str("signature = \"require\"\npublic_keys = [\"key.pem\"]\n");
        }
        if self.defender {
            let origin = vendors.defender_url();
            text.push_str(&format!("[defender]\norigin = \"{origin}\"\nredirect_hosts = [\"127.0.0.1\"]\n"));
            text.push_str("architectures = [\"x86_64\"]\n");
        }
        std::fs::write(folder.path().join("waystation.toml"), text).unwrap();
        Site { folder, vendors }
    }
}

impl Site {
    /// A site of the name `dmz-1`, with more lines behind that in its configuration.
    pub(crate) fn named(more: &str) -> Self {
        let site = Self::builder().build();
        let file = site.path().join("waystation.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}[site]\nname = \"dmz-1\"\n{more}")).unwrap();
        site
    }

    /// A site that follows Elastic 9.0.0.
    pub(crate) fn builder() -> Builder {
        Builder { versions: vec!["9.0.0"], defender: false }
    }

    /// Where everything lies.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        waystation(self.path(), arguments)
    }

    /// Starts the binary.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        command(self.path(), arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Every blob held.
    pub(crate) fn blobs(&self) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.data().join("blobs")).unwrap().map(|entry| entry.unwrap().path());
        let folders = folders.filter(|path| path.is_dir());
        folders.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()).collect()
    }
}

impl Ended {
    /// Stdout, a JSON value a line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Fails unless it ended with `code`; shows all that it told.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the binary in a folder, with nothing of this process's environment.
pub(crate) fn waystation(folder: &Path, arguments: &[&str]) -> Ended {
    command(folder, arguments).output().unwrap().into()
}

/// The binary, about to be run in a folder.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waystation"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}
