//! A simulated vendor, a shared folder, a state and a log.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use app::Purpose;
use catalog::ReleaseFilter;
use compat::{CompatError, Derived, Ended, Outcome, Said, Settings};
use mirror::Engine;
use model::{Clock, Digest, Timestamp};
use platform::SystemClock;
use tempfile::TempDir;
use tree::Depth;
use vendor_sim::{
    Architecture, DefenderChange, DefenderFeed, DefenderRelease, DefenderSettings, DefenderTarget, Platform,
    Settings as Simulated, Simulator, Track,
};

pub(crate) struct Stage {
    dir: TempDir,
    pub(crate) vendor: Simulator,
    pub(crate) settings: Settings,
    pub(crate) folder: PathBuf,
    pub(crate) state: PathBuf,
}

/// The system's clock, put on.
struct Later(SystemClock, Duration);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        self.0.now().after(self.1)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

/// The first target of the script.
pub(crate) const fn x64() -> DefenderFeed {
    DefenderFeed { platform: Platform::Linux, track: Track::Production, architecture: Architecture::X86_64 }
}

/// What the script writes beside an archive.
pub(crate) fn companion(release: &DefenderRelease) -> String {
    format!(
        "{{\n  \"EngineVersion\": \"{}\",\n  \"DefinitionVersion\": \"{}\"\n}}\n",
        release.engine, release.definitions
    )
}

fn place(feed: DefenderFeed) -> String {
    format!("{}/{}/arch_{}", feed.platform, feed.track, feed.architecture)
}

impl Stage {
    /// The script's own settings, with both platforms and the release before.
    pub(crate) fn new() -> Self {
        let defender = DefenderSettings { archive_size: 8192, ..DefenderSettings::default() };
        let vendor = Simulator::start(Simulated { defender, ..Simulated::lately() }).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            folder: dir.path().join("wdav-update"),
            log: dir.path().join("mdatp_offline_updates.log"),
            linux: true,
            mac: true,
            preview: false,
            back: true,
            unknown: Vec::new(),
            twice: Vec::new(),
        };
        let (folder, state) = (settings.folder.clone(), dir.path().join("state"));
        Self { dir, vendor, settings, folder, state }
    }

    /// What stands in for Microsoft's hosts, and deadlines for a test.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("DEFENDER__ORIGIN", self.vendor.defender_url()),
            ("DEFENDER__REDIRECT_HOSTS", "127.0.0.1".to_owned()),
            ("ORIGIN__ALLOW_PLAIN_HTTP", "true".to_owned()),
            ("LIMITS__DISK_RESERVE", "1MiB".to_owned()),
            ("LIMITS__RETRIES", "1".to_owned()),
            ("LIMITS__RETRY_BASE", "10ms".to_owned()),
            ("LIMITS__PAUSE_TIMEOUT", "2s".to_owned()),
        ];
        pairs.into_iter().map(|(name, value)| (format!("WAYSTATION__{name}"), value)).collect()
    }

    pub(crate) async fn run(&self) -> Result<Outcome, CompatError> {
        self.run_heard(&mut |_| ()).await
    }

    /// The same, and who hears what it says.
    pub(crate) async fn run_heard(&self, people: &mut (dyn FnMut(Said<'_>) + Send)) -> Result<Outcome, CompatError> {
        self.run_in(&self.environment(), people).await
    }

    /// The same in an environment.
    pub(crate) async fn run_in(
        &self,
        environment: &[(String, String)],
        people: &mut (dyn FnMut(Said<'_>) + Send),
    ) -> Result<Outcome, CompatError> {
        let clock = Arc::new(SystemClock::new());
        compat::run(&self.settings, &self.state, (clock, environment), Depth::Look, people).await
    }

    /// How a run ended, and what it said.
    pub(crate) async fn heard(&self) -> (Option<Ended>, Vec<String>) {
        let mut lines = Vec::new();
        let mut people = |said: Said<'_>| match said {
            Said::Line(text) | Said::Error(text) => lines.push(text.to_owned()),
        };
        let ended = self.run_heard(&mut people).await.ok().map(|outcome| outcome.ended);
        (ended, lines)
    }

    /// What is told by a run that looks this closely.
    pub(crate) async fn run_at(&self, depth: Depth) -> Vec<String> {
        let mut told = Vec::new();
        let mut people = |said: Said<'_>| match said {
            Said::Line(text) | Said::Error(text) => told.push(text.to_owned()),
        };
        let clock = Arc::new(SystemClock::new());
        compat::run(&self.settings, &self.state, (clock, &self.environment()), depth, &mut people).await.unwrap();
        told
    }

    /// What is told by a run after this time.
    pub(crate) async fn heard_later(&self, time: Duration) -> Vec<String> {
        let mut told = Vec::new();
        let mut people = |said: Said<'_>| match said {
            Said::Line(text) | Said::Error(text) => told.push(text.to_owned()),
        };
        let clock = Arc::new(Later(SystemClock::new(), time));
        compat::run(&self.settings, &self.state, (clock, &self.environment()), Depth::Look, &mut people).await.unwrap();
        told
    }

    /// A newer release of everything.
    pub(crate) fn publish(&self) {
        self.vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.settings.log).unwrap()
    }

    /// The feeds that the settings ask for.
    pub(crate) fn feeds(&self) -> Vec<DefenderFeed> {
        DefenderFeed::ALL.into_iter().filter(|feed| feed.track == Track::Production).collect()
    }

    /// Puts a pair where the script leaves it.
    pub(crate) fn left(&self, feed: DefenderFeed, archive: &[u8], companion: &str) -> PathBuf {
        let folder = self.folder.join(place(feed));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("updates.zip"), archive).unwrap();
        fs::write(folder.join("manifest.json"), companion).unwrap();
        folder
    }

    /// Every file that endpoints see, and its digest.
    pub(crate) fn files(&self) -> BTreeMap<String, Digest> {
        let mut found = BTreeMap::new();
        walk(&self.folder, &self.folder, &mut found);
        found
    }

    pub(crate) fn folder_names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Each feed's archive and companion as they stand in the folder.
    pub(crate) fn pairs(&self) -> Vec<(DefenderFeed, (Digest, String))> {
        let pair = |feed| {
            let folder = self.folder.join(place(feed));
            let archive = Digest::of(&fs::read(folder.join("updates.zip")).unwrap());
            (feed, (archive, fs::read_to_string(folder.join("manifest.json")).unwrap()))
        };
        self.feeds().into_iter().map(pair).collect()
    }

    /// The pairs that the vendor offers now.
    pub(crate) fn releases(&self) -> Vec<(Digest, String)> {
        let offered = |feed| self.vendor.defender_release(feed).unwrap();
        self.feeds().into_iter().map(offered).map(|it| (it.archive.digest(), companion(&it))).collect()
    }

    #[track_caller]
    pub(crate) fn shows_what_the_vendor_has(&self) {
        let shown: Vec<(Digest, String)> = self.pairs().into_iter().map(|(_, pair)| pair).collect();
        assert_eq!(shown, self.releases());
    }

    /// How many archives' worth of bytes the vendor sent since the counters were reset.
    pub(crate) fn archives_fetched(&self) -> u64 {
        self.vendor.requests().body_bytes / self.vendor.defender_release(x64()).unwrap().archive.len()
    }

    /// The engine on the state, as other commands open it.
    pub(crate) async fn engine(&self) -> Engine {
        let derived = Derived::of(&self.settings, &self.state, &self.environment()).unwrap();
        app::engine(&derived.config, "release", Purpose::Act, Arc::new(SystemClock::new())).await.unwrap()
    }

    /// The number of the release of `linux/production/x86_64` with this version.
    pub(crate) async fn number_of(&self, engine: &Engine, definitions: &str) -> String {
        let feed = Some("defender/linux/production/x86_64".parse().unwrap());
        let filter = ReleaseFilter { feed, ..ReleaseFilter::default() };
        let found = engine.ports().catalog.releases(&filter).await.unwrap();
        let of = |it: &&catalog::ReleaseRecord| it.release.vendor_version.version.as_str() == definitions;
        found.iter().find(of).unwrap().number.to_string()
    }
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Digest>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if name == ".waystation" {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            found.insert(name, Digest::of(&fs::read(&path).unwrap()));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A folder that a test closed to itself could not be removed.
        let _ = fs::set_permissions(self.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755));
    }
}
