//! A world: simulated vendors, an engine on ports that outlive it, and a clock that the test owns.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blob_store::{Access, BlobStore, FsRings, FsStore, MemoryRings, MemoryStore, RingStore};
use catalog::{Actor, Catalog, Entry, MemoryCatalog, SqlCatalog};
use mirror::{
    Engine, EngineError, FeedReport, FileLocks, Locks, MemoryLocks, Origins, Ports, RetentionRule, Settings, Silent,
    SyncReport, SyncRequest,
};
use model::{Clock, Digest, FeedId, Generation, Outcome, Reason, RingName, Timestamp, Vendor};
use origin::{HostGate, Origin, RetryPolicy, VendorOrigin, VendorSettings};
use outbound::{ClientSettings, HttpClient, Limits, Outbound};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;
use trust::{Bounds, KeyRing};
use vendor_sim::{Change, DefenderChange, DefenderTarget, FaultRule, Simulator};

use crate::walk::Seen;

/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// The Elastic feed that most tests look at.
pub(crate) const ELASTIC: &str = "elastic/9.0.0";
/// Another one.
pub(crate) const OTHER: &str = "elastic/8.18.3";
/// The Defender feed that most tests look at.
pub(crate) const DEFENDER: &str = "defender/linux/production/x86_64";

/// Wall-clock time that goes on by itself and jumps when told to.
pub(crate) struct FakeClock {
    jumped: AtomicI64,
    system: platform::SystemClock,
}

impl FakeClock {
    const START: i64 = 1_800_000_000_000_000;

    pub(crate) fn advance(&self, by: Duration) {
        self.jumped.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn set_back(&self, by: Duration) {
        self.jumped.fetch_sub(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(Self::START + self.jumped.load(Ordering::SeqCst)).after(self.system.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }
}

/// The vendors' hosts as the engine reaches them.
struct Way {
    outbound: Arc<dyn Outbound>,
    blobs: Arc<dyn BlobStore>,
    settings: [VendorSettings; 2],
    connections: usize,
}

impl Way {
    fn settings(&self, vendor: Vendor) -> VendorSettings {
        self.settings[usize::from(vendor == Vendor::Defender)].clone()
    }
}

impl Origins for Way {
    fn connections_per_host(&self) -> usize {
        self.connections
    }

    fn reserve(&self) -> u64 {
        self.settings(Vendor::Elastic).reserve
    }

    fn vendor(&self, vendor: Vendor, gate: Arc<HostGate>) -> Arc<dyn Origin> {
        let (outbound, blobs) = (Arc::clone(&self.outbound), Arc::clone(&self.blobs));
        Arc::new(VendorOrigin::new(self.settings(vendor), outbound, blobs, gate, StdRng::seed_from_u64(7)))
    }

    fn base(&self, vendor: Vendor) -> String {
        self.settings(vendor).base.to_string().trim_end_matches('/').to_owned()
    }
}

/// What a world is made of.
pub(crate) struct Build {
    pub(crate) sim: vendor_sim::Settings,
    pub(crate) feeds: Vec<&'static str>,
    /// On files instead of in memory.
    pub(crate) files: bool,
}

impl Default for Build {
    fn default() -> Self {
        // Nothing is old yet.
        let published = Timestamp::from_micros(FakeClock::START).before(Duration::from_secs(3600));
        let mut sim = vendor_sim::Settings { published, ..vendor_sim::Settings::default() };
        sim.elastic.versions = ["9.0.0", "8.18.3"].map(str::to_owned).to_vec();
        sim.elastic.candidates.clear();
        sim.elastic.dated.clear();
        sim.elastic.artifacts = 10;
        sim.elastic.artifact_size = 2048;
        sim.defender.feeds = vec!["linux/production/x86_64".parse().unwrap()];
        sim.defender.archive_size = 16 * 1024;
        Self { sim, feeds: vec![ELASTIC, OTHER, DEFENDER], files: false }
    }
}

impl Build {
    pub(crate) async fn start(self) -> World {
        let sim = Simulator::start(self.sim).unwrap();
        let clock = Arc::new(FakeClock { jumped: AtomicI64::new(0), system: platform::SystemClock::new() });
        let ports = if self.files { Held::files(Arc::clone(&clock)).await } else { Held::memory() };
        let pem = sim.public_key_pem().unwrap();
        let keys = KeyRing::empty().with_pem(&pem).unwrap();
        World {
            sim,
            clock,
            ports,
            settings: settings(&self.feeds, keys),
            limits: Limits { connect: Duration::from_secs(10), hops: 4, ..Limits::default() },
            retry: RetryPolicy { attempts: 3, base: Duration::from_millis(1), longest: Duration::from_millis(4) },
            redirect_hosts: Vec::new(),
            named_hosts: vec!["127.0.0.1".to_owned()],
            front: None,
            connections: 8,
            reserve: 0,
            seen: Mutex::new(Seen::default()),
        }
    }
}

fn settings(feeds: &[&str], keys: KeyRing) -> Settings {
    let mut vendors = vendors::Settings::default();
    vendors.elastic.keys = Arc::new(keys);
    vendors.elastic.manifest_cap = 1 << 20;
    vendors.defender.archive_cap = 8 << 20;
    let keep = RetentionRule { age: DAY * 35, bytes: 1 << 30 };
    Settings {
        feeds: feeds.iter().map(|feed| feed.parse().unwrap()).collect(),
        ring: RingName::broad(),
        vendors,
        bounds: Bounds::default(),
        grace: mirror::Graces::same(DAY),
        keep_elastic: keep,
        keep_defender: keep,
        freshness: model::FreshnessPolicy::preset(model::Preset::Stig),
        notices: Vec::new(),
        feed_deadline: Duration::from_secs(120),
        inspections: 2,
        actor: Actor::new(0, 1, "test"),
    }
}

/// What outlives an engine.
pub(crate) struct Held {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) rings: Arc<dyn RingStore>,
    pub(crate) locks: Arc<dyn Locks>,
    pub(crate) memory: MemoryStore,
    pub(crate) folder: Option<TempDir>,
}

impl Held {
    fn memory() -> Self {
        let memory = MemoryStore::new();
        Self {
            catalog: Arc::new(MemoryCatalog::new()),
            blobs: Arc::new(memory.clone()),
            rings: Arc::new(MemoryRings::new()),
            locks: Arc::new(MemoryLocks::default()),
            memory,
            folder: None,
        }
    }

    async fn files(clock: Arc<FakeClock>) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("locks")).unwrap();
        let ports = open(folder.path(), clock).await;
        Self { folder: Some(folder), ..ports }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }
}

async fn open(path: &Path, clock: Arc<FakeClock>) -> Held {
    Held {
        blobs: Arc::new(FsStore::open(path, Access::ReadWrite).unwrap()),
        rings: Arc::new(FsRings::open(path, Access::ReadWrite).unwrap()),
        catalog: Arc::new(SqlCatalog::open(&path.join("catalog/catalog.sqlite3")).await.unwrap()),
        locks: Arc::new(FileLocks::new(path, "test", clock)),
        memory: MemoryStore::new(),
        folder: None,
    }
}

/// Something between the engine and the vendors.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    /// What is trusted there, if it speaks TLS.
    pub(crate) ca_pem: Option<String>,
}

impl Front {
    fn reaches(&self, url: &str) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        format!("{scheme}://{}/{path}", self.address)
    }
}

pub(crate) struct World {
    pub(crate) sim: Simulator,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) ports: Held,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    pub(crate) retry: RetryPolicy,
    pub(crate) redirect_hosts: Vec<String>,
    pub(crate) named_hosts: Vec<String>,
    /// Where the vendors are reached instead of at their own address.
    pub(crate) front: Option<Front>,
    pub(crate) connections: usize,
    pub(crate) reserve: u64,
    pub(crate) seen: Mutex<Seen>,
}

impl World {
    /// Time passes while a process runs that leaves a sign of life each few hours.
    pub(crate) async fn lives(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(3 * 3600));
            self.clock.advance(step);
            self.engine().record_process(mirror::ProcessEvent::Start, "0").await.unwrap();
            left -= step;
        }
    }

    /// In memory: two Elastic versions and a Defender feed, none fetched yet.
    pub(crate) async fn new() -> Self {
        Build::default().start().await
    }

    /// In memory, with a dated manifest at the vendor.
    pub(crate) async fn with_dated((version, date): (&str, &str)) -> Self {
        let mut build = Build::default();
        build.sim.elastic.dated = vec![(version.to_owned(), date.to_owned())];
        build.start().await
    }

    /// The same on files.
    pub(crate) async fn on_files() -> Self {
        Build { files: true, ..Build::default() }.start().await
    }

    /// Opens the data folder anew, as a new process does.
    pub(crate) async fn reopen(&mut self) {
        let folder = self.ports.folder.take().unwrap();
        let ports = open(folder.path(), Arc::clone(&self.clock)).await;
        self.ports = Held { folder: Some(folder), ..ports };
    }

    /// An engine that knows nothing but what the ports hold.
    pub(crate) fn engine(&self) -> Engine {
        self.engine_on(&self.ports)
    }

    fn engine_on(&self, held: &Held) -> Engine {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let outbound = HttpClient::new(ClientSettings {
            allow_plain_http: true,
            named_hosts: self.named_hosts.clone(),
            ca_pem: self.front.as_ref().and_then(|front| front.ca_pem.clone()).map(String::into_bytes),
            limits: self.limits,
            ..ClientSettings::new(Arc::clone(&clock))
        });
        let reached = |url: String| self.front.as_ref().map_or(url.clone(), |front| front.reaches(&url));
        let base = |url: String| VendorSettings {
            base: reached(url).parse().unwrap(),
            redirect_hosts: self.redirect_hosts.clone(),
            retry: self.retry,
            reserve: self.reserve,
        };
        let way = Way {
            outbound: Arc::new(outbound.unwrap()),
            blobs: Arc::clone(&held.blobs),
            settings: [base(self.sim.elastic_url()), base(self.sim.defender_url())],
            connections: self.connections,
        };
        let ports = Ports {
            catalog: Arc::clone(&held.catalog),
            blobs: Arc::clone(&held.blobs),
            rings: Arc::clone(&held.rings),
            locks: Arc::clone(&held.locks),
            clock,
            origins: Arc::new(way),
        };
        Engine::new(ports, self.settings.clone())
    }

    pub(crate) async fn try_sync(&self, request: &SyncRequest) -> Result<SyncReport, EngineError> {
        self.engine().sync(request, Arc::new(Silent)).await
    }

    /// One run of a new engine over all feeds; walks what is served afterwards.
    #[track_caller]
    pub(crate) fn sync(&self) -> impl Future<Output = SyncReport> {
        let at = std::panic::Location::caller();
        async move {
            let report = self.try_sync(&SyncRequest::default()).await;
            self.walk().await;
            report.unwrap_or_else(|error| panic!("{at}: {error}"))
        }
    }

    pub(crate) async fn sync_from(&self, folder: &Path) -> SyncReport {
        let request = SyncRequest { from: Some(folder.to_owned()), ..SyncRequest::default() };
        let report = self.try_sync(&request).await;
        self.walk().await;
        report.unwrap()
    }

    pub(crate) async fn generation(&self) -> Option<Generation> {
        self.ports.rings.current(&self.settings.ring).await.unwrap().map(|current| current.generation)
    }

    /// The version that is served of a feed.
    pub(crate) async fn serves(&self, feed: &str) -> Option<String> {
        let served = self.generation().await?.feeds.remove(&id(feed))?;
        Some(served.vendor_version.version.to_string())
    }

    /// Every vendor publishes a new release.
    pub(crate) fn publish(&self) {
        self.sim.publish_elastic("all", Change::of(2)).unwrap();
        self.sim.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    }

    pub(crate) fn inject(&self, rule: FaultRule) {
        self.sim.inject(rule);
    }

    /// The paths that current releases serve, and their bytes.
    pub(crate) async fn tree(&self) -> BTreeMap<String, (Digest, u64)> {
        tree(&self.generation().await)
    }

    /// What a mirror serves that met no fault ever.
    pub(crate) async fn unfaulted(&self) -> BTreeMap<String, (Digest, u64)> {
        let held = Held::memory();
        let report = self.engine_on(&held).sync(&SyncRequest::default(), Arc::new(Silent)).await.unwrap();
        assert!(report.feeds.iter().all(|feed| feed.outcome == Outcome::Published), "{report:?}");
        tree(&held.rings.current(&self.settings.ring).await.unwrap().map(|current| current.generation))
    }

    /// Without faults the next run serves what a mirror serves that met none (I15).
    pub(crate) async fn converges(&self) {
        self.sim.clear_faults();
        let report = self.sync().await;
        assert_eq!(report.exit_code(), 0, "{report:#?}");
        assert_eq!(self.tree().await, self.unfaulted().await);
    }

    /// All that was recorded.
    pub(crate) async fn history(&self) -> Vec<Entry> {
        self.ports.catalog.history(1, usize::MAX >> 1).await.unwrap()
    }
}

fn tree(generation: &Option<Generation>) -> BTreeMap<String, (Digest, u64)> {
    let routes = generation.iter().flat_map(|generation| &generation.routes);
    routes
        .filter(|(path, route)| route.until.is_none() && !path.as_str().contains("_back/"))
        .map(|(path, route)| (path.to_string(), (route.digest, route.size)))
        .collect()
}

pub(crate) fn id(feed: &str) -> FeedId {
    feed.parse().unwrap()
}

/// A feed's line of a report.
#[track_caller]
pub(crate) fn line<'a>(report: &'a SyncReport, feed: &str) -> &'a FeedReport {
    report.feeds.iter().find(|line| line.feed.as_str() == feed).unwrap_or_else(|| panic!("{feed}: {report:#?}"))
}

/// A feed ended so.
#[track_caller]
pub(crate) fn ended(report: &SyncReport, feed: &str, outcome: Outcome, reason: Option<Reason>) {
    let line = line(report, feed);
    assert_eq!((line.outcome, line.reason), (outcome, reason), "{line:#?}");
}
