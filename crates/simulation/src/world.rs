//! A world: vendors, stores, a clock, an oracle, and processes that live and die in it.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use catalog::Actor;
use futures_util::FutureExt as _;
use mirror::{Engine, EngineError, Graces, Origins, Ports, RetentionRule, Settings};
use model::{FeedId, RingName, Vendor};
use origin::{HostGate, Origin, RetryPolicy, VendorOrigin, VendorSettings};
use outbound::Outbound;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use trust::{Bounds, KeyRing};
use url::Url;
use vendor_sim::{ArtifactUrls, SigningKey};
use vendors::elastic::SignatureMode;

use crate::clock::SimClock;
use crate::draw::Draw;
use crate::fate::Fate;
use crate::lie::Lie;
use crate::oracle::{Oracle, Seen, Terms};
use crate::ports::{Blobs, Locks, Records, Rings};
use crate::process::Process;
use crate::stores::{BuildError, On, Stores};
use crate::upstream::{DEFENDER, ELASTIC, Line, Upstream};
use crate::violation::Violation;

/// The Elastic versions that are simulated.
pub(crate) const VERSIONS: [&str; 2] = ["9.0.0", "8.18.3"];
/// The feeds that a world can follow.
pub(crate) const FEEDS: [&str; 3] = ["elastic/9.0.0", "elastic/8.18.3", "defender/linux/production/x86_64"];
/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// No act takes longer than this, in simulated time.
const LONGEST: Duration = Duration::from_secs(2 * 3600);

/// What runs leaves something in the history this often.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3 * 3600);

/// How a world is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) on: On,
    pub(crate) seed: u64,
    /// How often an operation lets others go first, at most.
    pub(crate) waits: u64,
    pub(crate) urls: ArtifactUrls,
    pub(crate) signature: SignatureMode,
    pub(crate) lie: Option<Lie>,
}

impl Default for Shape {
    fn default() -> Self {
        let (urls, signature) = (ArtifactUrls::PerContent, SignatureMode::Require);
        Self { on: On::Memory, seed: 1, waits: 0, urls, signature, lie: None }
    }
}

/// How something that lived ended.
pub(crate) enum Ended<T> {
    /// With this.
    Done(T),
    /// It was killed.
    Crashed,
}

pub(crate) struct World {
    pub(crate) stores: Stores,
    pub(crate) fate: Arc<Fate>,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) oracle: Arc<Oracle>,
    pub(crate) settings: Settings,
    pub(crate) shape: Shape,
    hosts: [Url; 2],
    processes: u64,
}

/// The key that signs simulated manifests: always the same, so that a seed gives the same bytes everywhere.
fn key() -> Result<SigningKey, BuildError> {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(key.clone());
    }
    let key = SigningKey::from_pkcs8(include_bytes!("simulated-vendor.p8"))?;
    Ok(KEY.get_or_init(|| key).clone())
}

/// A runtime whose time stands still unless everybody waits.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, BuildError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?)
}

fn vendors_of(shape: &Shape) -> Result<vendor_sim::Settings, BuildError> {
    let mut settings = vendor_sim::Settings { seed: shape.seed, signing_key: Some(key()?), ..Default::default() };
    settings.elastic.versions = VERSIONS.map(str::to_owned).to_vec();
    settings.elastic.candidates.clear();
    settings.elastic.dated.clear();
    settings.elastic.artifacts = 5;
    settings.elastic.shared_percent = 60;
    settings.elastic.artifact_size = 300;
    settings.elastic.urls = shape.urls;
    let linux = "linux/production/x86_64".parse().map_err(|_| BuildError::Constant("feed"))?;
    settings.defender.feeds = vec![linux];
    settings.defender.archive_size = 2048;
    Ok(settings)
}

fn settings(shape: &Shape) -> Result<Settings, BuildError> {
    let mut vendors = vendors::Settings::default();
    let keys = KeyRing::empty().with_pem(&key()?.public_key_pem()?).map_err(|_| BuildError::Constant("key"))?;
    vendors.elastic.keys = Arc::new(keys);
    vendors.elastic.signature = shape.signature;
    vendors.elastic.manifest_cap = 1 << 20;
    vendors.defender.archive_cap = 1 << 20;
    let keep = RetentionRule { age: DAY * 5, bytes: 1 << 30 };
    let feeds: Result<Vec<FeedId>, _> = FEEDS.iter().map(|feed| feed.parse()).collect();
    Ok(Settings {
        feeds: feeds.map_err(|_| BuildError::Constant("feed"))?,
        ring: RingName::broad(),
        vendors,
        bounds: bounds(shape),
        grace: Graces::same(DAY),
        keep_elastic: keep,
        keep_defender: keep,
        freshness: model::FreshnessPolicy::preset(model::Preset::Stig),
        notices: Vec::new(),
        feed_deadline: Duration::from_secs(600),
        inspections: 0,
        actor: Actor::new(0, 1, "simulation"),
    })
}

fn bounds(shape: &Shape) -> Bounds {
    let usual = Bounds::default();
    if shape.lie == Some(Lie::LetsLeap) { Bounds { leap: u64::MAX, ..usual } } else { usual }
}

pub(crate) fn terms(settings: &Settings, shape: &Shape) -> Terms {
    let bytes_decide = settings.keep_elastic.bytes < 1 << 30;
    Terms {
        followed: settings.feeds.iter().cloned().collect::<BTreeSet<_>>(),
        grace: settings.grace.elastic,
        age: (!bytes_decide).then_some(settings.keep_elastic.age),
        fixed: shape.urls == ArtifactUrls::Fixed,
    }
}

impl World {
    pub(crate) async fn new(shape: Shape) -> Result<Self, BuildError> {
        let mut draw = Draw::new(shape.seed);
        let stores = Stores::new(shape.on).await?;
        let fate = Arc::new(Fate::new(draw.fork(), shape.waits));
        let clock = Arc::new(SimClock::new());
        let upstream = Arc::new(Upstream::new(vendors_of(&shape)?, draw.fork())?);
        let settings = settings(&shape)?;
        let seen = Seen::new(terms(&settings, &shape));
        let oracle =
            Oracle::new(Arc::clone(&stores.view), Arc::clone(&upstream), Arc::clone(&clock), Arc::clone(&fate), seen);
        let url = |text: &str| Url::parse(text).map_err(|_| BuildError::Constant("address"));
        let hosts = [url(ELASTIC)?, url(DEFENDER)?];
        Ok(Self { stores, fate, clock, upstream, oracle, settings, shape, hosts, processes: 0 })
    }

    /// Another process with this world's settings.
    pub(crate) fn process(&mut self) -> (Engine, Arc<Process>) {
        self.processes += 1;
        let process = Process::new(
            self.processes,
            (Arc::clone(&self.fate), Arc::clone(&self.oracle)),
            self.stores.handle(),
            self.shape.lie,
        );
        let blobs: Arc<dyn blob_store::BlobStore> =
            Arc::new(Blobs { inner: Arc::clone(&self.stores.blobs), process: Arc::clone(&process) });
        let clock: Arc<dyn model::Clock> = self.clock.clone();
        let line = Line { upstream: Arc::clone(&self.upstream), process: Arc::clone(&process), clock: clock.clone() };
        let [elastic, defender] = self.hosts.clone();
        let way = Way { outbound: Arc::new(line), blobs: Arc::clone(&blobs), elastic, defender };
        let ports = Ports {
            catalog: Arc::new(Records { inner: Arc::clone(&self.stores.catalog), process: Arc::clone(&process) }),
            blobs,
            rings: Arc::new(Rings { inner: Arc::clone(&self.stores.rings), process: Arc::clone(&process) }),
            locks: Arc::new(Locks { inner: Arc::clone(&self.stores.locks), process: Arc::clone(&process) }),
            clock,
            origins: Arc::new(way),
        };
        (Engine::new(ports, self.settings.clone()), process)
    }

    /// Lets something live in a process until it ends, or the process dies.
    pub(crate) async fn live<T>(&self, process: &Arc<Process>, work: impl Future<Output = T>) -> Ended<T> {
        let work = tokio::time::timeout(LONGEST, AssertUnwindSafe(work).catch_unwind());
        let ended = tokio::select! {
            biased;
            () = process.death() => Ended::Crashed,
            ended = work => match ended {
                Ok(Ok(done)) => Ended::Done(done),
                Ok(Err(_)) => {
                    self.fate.violated(Violation::new("I10", "the engine panicked"));
                    Ended::Crashed
                }
                Err(_) => {
                    self.fate.violated(Violation::new("I6", format!("an act took longer than {LONGEST:?}")));
                    Ended::Crashed
                }
            },
        };
        // Tasks that were aborted are dropped when their turn comes, and with them what they hold.
        process.kill();
        for _ in 0..200 {
            if Arc::strong_count(process) == 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
        process.is_dropped();
        ended
    }

    /// One act in a process of its own.
    pub(crate) async fn act<T>(
        &mut self,
        act: impl AsyncFnOnce(Engine) -> Result<T, EngineError>,
    ) -> Ended<Result<T, EngineError>> {
        let (engine, process) = self.process();
        let work = act(engine);
        self.live(&process, work).await
    }

    /// Time passes while something runs that leaves a sign of life each few hours.
    pub(crate) async fn lives(&self, time: Duration) -> Result<(), BuildError> {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(SIGN_OF_LIFE);
            self.clock.pass(step);
            self.stores.sign_of_life(self.clock.wall()).await?;
            left -= step;
        }
        Ok(())
    }

    /// What a crash of every process leaves: opens it anew.
    pub(crate) async fn restart(&mut self) -> Result<(), BuildError> {
        self.stores.reopen().await?;
        self.oracle.reopened(Arc::clone(&self.stores.view));
        Ok(())
    }

    /// The disk loses the whole catalog between two processes.
    pub(crate) async fn lose_catalog(&mut self) -> Result<(), BuildError> {
        self.fate.tell("------ the catalog is lost");
        self.stores.lose_catalog().await?;
        self.oracle.reopened(Arc::clone(&self.stores.view));
        self.oracle.lost_catalog();
        Ok(())
    }

    /// Other settings, as after a reload.
    pub(crate) fn reload(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.oracle.agree(terms(&self.settings, &self.shape));
    }

    /// A copy of this world that goes its own way, vendors aside: they are shared and must not change.
    pub(crate) async fn fork(&self) -> Option<Self> {
        let stores = self.stores.fork().await?;
        let fate = Arc::new(Fate::new(Draw::new(self.shape.seed), self.shape.waits));
        let oracle = Oracle::new(
            Arc::clone(&stores.view),
            Arc::clone(&self.upstream),
            Arc::clone(&self.clock),
            Arc::clone(&fate),
            self.oracle.memory(),
        );
        Some(Self {
            stores,
            fate,
            clock: Arc::clone(&self.clock),
            upstream: Arc::clone(&self.upstream),
            oracle,
            settings: self.settings.clone(),
            shape: self.shape,
            hosts: self.hosts.clone(),
            processes: self.processes,
        })
    }
}

/// The vendors as an engine reaches them.
struct Way {
    outbound: Arc<dyn Outbound>,
    blobs: Arc<dyn blob_store::BlobStore>,
    elastic: Url,
    defender: Url,
}

impl Way {
    fn base_url(&self, vendor: Vendor) -> Url {
        match vendor {
            Vendor::Elastic => self.elastic.clone(),
            Vendor::Defender => self.defender.clone(),
        }
    }
}

impl Origins for Way {
    fn connections_per_host(&self) -> usize {
        4
    }

    fn reserve(&self) -> u64 {
        0
    }

    fn vendor(&self, vendor: Vendor, gate: Arc<HostGate>) -> Arc<dyn Origin> {
        let retry = RetryPolicy { attempts: 2, base: Duration::from_millis(100), longest: Duration::from_millis(400) };
        let settings = VendorSettings { base: self.base_url(vendor), redirect_hosts: Vec::new(), retry, reserve: 0 };
        let (outbound, blobs) = (Arc::clone(&self.outbound), Arc::clone(&self.blobs));
        Arc::new(VendorOrigin::new(settings, outbound, blobs, gate, StdRng::seed_from_u64(7)))
    }

    fn base(&self, vendor: Vendor) -> String {
        self.base_url(vendor).as_str().trim_end_matches('/').to_owned()
    }
}
