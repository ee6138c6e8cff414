//! A ring, its blobs and its folder in a temporary place.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use blob_store::{Current, StoreError};
use model::{
    Clock, Digest, FeedId, Generation, RingName, Route, RoutePath, ServedFeed, Timestamp, Vendor, VendorVersion,
};
use tempfile::TempDir;

use crate::{Claim, Depth, Files, Report, Rules, Source, Tree};

pub(super) const X64: &str = "x86_64";
pub(super) const ARM: &str = "arm64";

/// What an archive of a release holds.
pub(super) fn archive(arch: &str, n: u64) -> String {
    format!("archive {n} for {arch}")
}

/// What its companion says.
pub(super) fn companion(n: u64) -> String {
    format!("{{\"DefinitionVersion\": \"1.{n}.0.0\"}}\n")
}

/// A path of Elastic's layout and its bytes.
pub(super) fn elastic(n: u64) -> (String, String) {
    ("/downloads/manifest/m.zip".to_owned(), format!("manifest {n}"))
}

pub(super) fn artifact(name: &str) -> (String, String) {
    (format!("/downloads/artifacts/{name}"), format!("artifact {name}"))
}

struct Blobs(PathBuf);

impl Source for Blobs {
    fn open(&self, digest: Digest, _: u64) -> Result<File, StoreError> {
        let path = self.0.join(digest.to_string());
        File::open(&path).map_err(|source| StoreError::Io { act: "open", path: path.display().to_string(), source })
    }
}

/// A clock that a test moves.
#[derive(Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000 + self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

pub(super) struct Stage {
    _dir: Arc<TempDir>,
    blobs: PathBuf,
    pub(super) root: PathBuf,
    pub(super) records: PathBuf,
    pub(super) files: Files,
    pub(super) claim: Claim,
    pub(super) reserve: u64,
    pub(super) prove: Option<Duration>,
    clock: Arc<Hands>,
    numbers: AtomicI64,
}

impl Stage {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("blobs")).unwrap();
        let (blobs, root, records) = (at("blobs"), at("tree"), at("records"));
        Self {
            _dir: Arc::new(dir),
            blobs,
            root,
            records,
            files: Files::Copy,
            claim: Claim::Mark,
            reserve: 0,
            prove: None,
            clock: Arc::default(),
            numbers: AtomicI64::new(0),
        }
    }

    pub(super) fn tree(&self) -> Tree {
        let hour = Duration::from_secs(3600);
        let grace = BTreeMap::from([(Vendor::Elastic, hour), (Vendor::Defender, hour)]);
        let source = Arc::new(Blobs(self.blobs.clone()));
        Tree::new(RingName::broad(), &self.root, &self.records, source, self.clock.clone())
            .with_claim(self.claim)
            .with_rules(Rules { files: self.files, grace, reserve: self.reserve, prove: self.prove })
    }

    #[track_caller]
    pub(super) fn bring(&self, current: &Current) -> Report {
        let report = self.tree().bring(current, Depth::Look).unwrap();
        assert!(report.is_whole(), "{report:?}");
        report
    }

    #[track_caller]
    pub(super) fn rebuild(&self, current: &Current) -> Report {
        let report = self.tree().bring(current, Depth::Rebuild).unwrap();
        assert!(report.is_whole(), "{report:?}");
        report
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub(super) fn blob(&self, bytes: &str) -> PathBuf {
        self.blobs.join(Digest::of(bytes.as_bytes()).to_string())
    }

    fn keep(&self, bytes: &str) -> (Digest, u64) {
        let path = self.blob(bytes);
        if !path.exists() {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        (Digest::of(bytes.as_bytes()), bytes.len() as u64)
    }

    /// A generation that serves these releases of Defender, each with the one before it in `_back`, and these paths.
    pub(super) fn serves(&self, defender: &[(&str, u64)], paths: &[(String, String)]) -> Current {
        let now = self.clock.now();
        let mut made = Generation::empty(RingName::broad(), now);
        made.number = u64::try_from(self.numbers.fetch_add(1, Ordering::SeqCst)).unwrap() + 1;
        for (arch, n) in defender {
            let feed: FeedId = format!("defender/linux/production/{arch}").parse().unwrap();
            self.feed(&mut made, &feed, *n);
            for (suffix, n) in [("", *n), ("_back", n - 1)] {
                if n > 0 {
                    let folder = format!("/linux/production{suffix}/arch_{arch}");
                    self.route(&mut made, &feed, &format!("{folder}/updates.zip"), &archive(arch, n));
                    self.route(&mut made, &feed, &format!("{folder}/manifest.json"), &companion(n));
                }
            }
        }
        let feed: FeedId = "elastic/9.0.0".parse().unwrap();
        if !paths.is_empty() {
            self.feed(&mut made, &feed, 1);
        }
        for (path, bytes) in paths {
            self.route(&mut made, &feed, path, bytes);
        }
        Current { digest: Digest::of(&made.encode()), generation: made }
    }

    fn feed(&self, made: &mut Generation, feed: &FeedId, n: u64) {
        let served = ServedFeed {
            release: Digest::of(format!("{feed} {n}").as_bytes()).to_string().parse().unwrap(),
            vendor_version: VendorVersion { version: format!("1.{n}.0.0").parse().unwrap(), engine: None },
            since: made.at,
            bases: Vec::new(),
            back: None,
            denied: Vec::new(),
            remembers: Vec::new(),
        };
        made.feeds.insert(feed.clone(), served);
    }

    fn route(&self, made: &mut Generation, feed: &FeedId, path: &str, bytes: &str) {
        let (digest, size) = self.keep(bytes);
        let route = Route { digest, size, feed: feed.clone(), since: made.at, until: None };
        made.routes.insert(path.parse().unwrap(), route);
    }

    pub(super) fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.root.join(path)).unwrap().permissions().mode() & 0o7777
    }

    /// Replaced folders that are kept.
    pub(super) fn hidden(&self) -> usize {
        fs::read_dir(self.root.join(".waystation")).map_or(0, Iterator::count)
    }

    /// The files below the root with these bytes.
    pub(super) fn bytes_anywhere(&self, bytes: &str) -> Vec<PathBuf> {
        let mut found = walk(&self.root);
        found.retain(|path| fs::read(path).is_ok_and(|read| read == bytes.as_bytes()));
        found
    }

    /// Sees that the folder holds the routes of a generation and nothing else that can be seen.
    #[track_caller]
    pub(super) fn is_exactly(&self, current: &Current) {
        let mut found = BTreeMap::new();
        for path in walk(&self.root) {
            let name = format!("/{}", path.strip_prefix(&self.root).unwrap().display());
            if name != "/.waystation-tree" && !name.starts_with("/.waystation/") {
                let meta = fs::symlink_metadata(&path).unwrap();
                assert!(meta.is_file(), "{name}");
                found.insert(name.parse::<RoutePath>().unwrap(), Digest::of(&fs::read(&path).unwrap()));
            }
        }
        let expected: BTreeMap<RoutePath, Digest> =
            current.generation.routes.iter().map(|(path, route)| (path.clone(), route.digest)).collect();
        assert_eq!(found, expected);
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}
