//! A vendor's origin on a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blob_store::{BlobStore as _, MemoryStore};
use catalog::{Catalog, MemoryCatalog};
use model::{Clock, Digest, Timestamp};
use origin::{HostGate, Meter, Origin as _, OriginError, RetryPolicy, VendorOrigin, VendorSettings};
use outbound::ScriptedClient;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use vendors::{FetchedItem, Source, Target, Want};

pub(crate) const BASE: &str = "https://vendor.test";
pub(crate) const URL: &str = "https://vendor.test/file";

/// A clock that stands still until it is told otherwise.
#[derive(Default)]
pub(crate) struct Still(AtomicU64);

impl Still {
    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0).after(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(2_000_000_000 + self.0.load(Ordering::SeqCst))
    }
}

/// Counts.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) requests: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) fetched: AtomicU64,
    pub(crate) found: AtomicU64,
}

impl Meter for Count {
    fn request(&self) {
        self.requests.fetch_add(1, Ordering::SeqCst);
    }

    fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::SeqCst);
    }

    fn held(&self, bytes: u64, fetched: bool) {
        if fetched { &self.fetched } else { &self.found }.fetch_add(bytes, Ordering::SeqCst);
    }
}

pub(crate) struct Setup {
    pub(crate) client: Arc<ScriptedClient>,
    pub(crate) store: MemoryStore,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) clock: Arc<Still>,
    pub(crate) count: Count,
    pub(crate) reserve: u64,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(Still::default());
        Self {
            client: Arc::new(ScriptedClient::new(clock.clone())),
            store: MemoryStore::new(),
            catalog: Arc::new(MemoryCatalog::new()),
            clock,
            count: Count::default(),
            reserve: 0,
        }
    }

    /// An origin of a new run.
    pub(crate) async fn origin(&self) -> VendorOrigin {
        HostGate::forget_past(self.catalog.as_ref(), self.clock.now()).await.unwrap();
        let gate = HostGate::open(4, Arc::clone(&self.catalog), self.clock.clone()).await.unwrap();
        let millisecond = Duration::from_millis(1);
        let settings = VendorSettings {
            base: BASE.parse().unwrap(),
            redirect_hosts: Vec::new(),
            retry: RetryPolicy { attempts: 3, base: millisecond, longest: millisecond },
            reserve: self.reserve,
        };
        let store = Arc::new(self.store.clone());
        VendorOrigin::new(settings, self.client.clone(), store, Arc::new(gate), StdRng::seed_from_u64(1))
    }

    pub(crate) async fn hold(&self, want: &Want) -> Result<FetchedItem, OriginError> {
        self.origin().await.hold(want, &self.count).await
    }

    pub(crate) async fn has(&self, bytes: &[u8]) -> bool {
        self.store.find(Digest::of(bytes)).await.unwrap().is_some()
    }
}

/// A file at [`URL`] of which nothing is declared.
pub(crate) fn unknown() -> Want {
    Want { source: Source::Target(Target("/file".to_owned())), digest: None, size: None, cap: 8 << 20 }
}

/// A file at [`URL`] that is declared to be these bytes.
pub(crate) fn declared(bytes: &[u8]) -> Want {
    Want { digest: Some(Digest::of(bytes)), size: Some(bytes.len() as u64), ..unknown() }
}

/// Bytes enough to be resumed.
pub(crate) fn large(seed: u8) -> Vec<u8> {
    (0..3_000_000_u32).map(|n| seed.wrapping_add((n % 251) as u8)).collect()
}
