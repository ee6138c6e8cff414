//! The demo's folder, its simulated vendors and its configuration file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::FeedId;
use tempfile::TempDir;
use vendor_sim::{Architecture, DefenderFeed, DefenderSettings, ElasticSettings, Network, Platform, Settings, Track};

use super::DemoError;

/// The versions of Elastic Defend in the demo's fleet.
pub(super) const VERSIONS: [&str; 3] = ["8.18.3", "9.0.0", "9.1.2"];
/// The architectures of Microsoft Defender in the demo's fleet.
pub(super) const ARCHITECTURES: [&str; 2] = ["x86_64", "arm64"];
/// How many artifacts each manifest names.
pub(super) const ARTIFACTS: usize = 30;
/// How many of a hundred are the same in all versions.
pub(super) const SHARED: usize = 80;
/// The line to the vendors.
pub(super) const ROUND_TRIP: Duration = Duration::from_millis(30);
/// Bytes a second on each connection to the vendors.
pub(super) const RATE: u64 = 256_000;

/// The feeds that the demo's mirror follows.
pub(crate) fn feeds() -> Vec<FeedId> {
    let elastic = VERSIONS.iter().map(|version| format!("elastic/{version}"));
    let defender = ARCHITECTURES.iter().map(|name| format!("defender/linux/production/{name}"));
    elastic.chain(defender).filter_map(|name| name.parse().ok()).collect()
}

/// The demo's folder.
pub(super) enum Folder {
    /// Gone with the demo.
    Temporary(TempDir),
    /// The person wants it.
    Kept(PathBuf),
}

impl Folder {
    /// Makes the folder; one that is given is new or empty.
    pub(super) fn make(keep: Option<&Path>) -> Result<Self, DemoError> {
        let Some(given) = keep else {
            let made = tempfile::Builder::new().prefix("waystation-demo-").tempdir();
            let failed = |source| DemoError::Folder { path: std::env::temp_dir(), source };
            return made.map(Self::Temporary).map_err(failed);
        };
        let failed = |source| DemoError::Folder { path: given.to_owned(), source };
        let path = std::path::absolute(given).map_err(failed)?;
        std::fs::create_dir_all(&path).map_err(failed)?;
        match std::fs::read_dir(&path).map_err(failed)?.next() {
            None => Ok(Self::Kept(path)),
            Some(_) => Err(DemoError::Occupied(path)),
        }
    }

    /// Removes a temporary folder. The catalog's own threads may still be closing its files, so that it can take
    /// more than one attempt; what is left then is the system's to clear, as for every temporary file.
    pub(super) async fn end(self) {
        const ATTEMPTS: usize = 5;
        const PAUSE: Duration = Duration::from_millis(20);
        let Self::Temporary(folder) = self else { return };
        for _ in 0..ATTEMPTS {
            if std::fs::remove_dir_all(folder.path()).is_ok() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }

    /// Writes a file into it.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, DemoError> {
        let path = self.path().join(name);
        match std::fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(source) => Err(DemoError::Folder { path, source }),
        }
    }
}

/// Both vendors: small files over a line that is slow enough to watch.
pub(super) fn vendors() -> Settings {
    let feed = |architecture| DefenderFeed::new(Platform::Linux, Track::Production, architecture);
    Settings {
        elastic: ElasticSettings {
            versions: VERSIONS.map(str::to_owned).to_vec(),
            candidates: Vec::new(),
            dated: Vec::new(),
            artifacts: ARTIFACTS,
            shared_percent: SHARED,
            artifact_size: 96 * 1024,
            ..ElasticSettings::default()
        },
        defender: DefenderSettings {
            feeds: vec![feed(Architecture::X86_64), feed(Architecture::Arm64)],
            archive_size: 96 * 1024,
            ..DefenderSettings::default()
        },
        network: Network { bytes_per_second: Some(RATE), ..Network::with_latency(ROUND_TRIP) },
        log_length: 200,
        ..Settings::lately()
    }
}

/// Where things listen, for the configuration file.
pub(super) struct Addresses {
    pub(super) elastic: String,
    pub(super) defender: String,
    pub(super) content: String,
    pub(super) admin: String,
}

impl Addresses {
    /// The configuration file, as a person would write it for vendors at these addresses.
    pub(super) fn configuration(&self) -> String {
        let Self { elastic, defender, content, admin } = self;
        let versions = VERSIONS.map(|version| format!("\"{version}\"")).join(", ");
        let architectures = ARCHITECTURES.map(|name| format!("\"{name}\"")).join(", ");
        format!(
            r#"# Made by `waystation demo`. The origins are simulated vendors, gone with the demo.
data_dir = "data"

[site]
name = "demo"

[[serve]]
address = "{content}"

[admin]
address = "{admin}"

[origin]
allow_plain_http = true         # loopback; real vendors speak https

[elastic]
origin = "{elastic}"
versions = [{versions}]
signature = "require"           # nothing unsigned is taken
public_keys = ["vendor-key.pem"]

[defender]
origin = "{defender}"
platforms = ["linux"]
architectures = [{architectures}]

[retention]
bytes = "128MB"
grace = "10m"                   # how long superseded artifacts stay reachable

[limits]
retry_base = "100ms"
disk_reserve = "64MB"
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_one_and_follows_the_whole_fleet() {
        let addresses = Addresses {
            elastic: "http://127.0.0.1:1".to_owned(),
            defender: "http://127.0.0.1:1/fwlink/".to_owned(),
            content: "127.0.0.1:0".to_owned(),
            admin: "127.0.0.1:0".to_owned(),
        };
        let config = config::Config::parse(&addresses.configuration(), Path::new("demo.toml"), &[]).unwrap();
        assert_eq!(config.feeds().len(), VERSIONS.len() + ARCHITECTURES.len());
        assert_eq!(config.feeds(), feeds());
    }

    #[test]
    fn a_folder_that_holds_something_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine"), "x").unwrap();
        assert!(matches!(Folder::make(Some(folder.path())), Err(DemoError::Occupied(_))));
        let new = folder.path().join("a/b");
        assert_eq!(Folder::make(Some(&new)).unwrap().path(), new);
    }
}
