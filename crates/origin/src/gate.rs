//! How many requests a host gets at once, and since when it wants none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::{Batch, Catalog, CatalogError};
use model::{Clock, Digest, Reason, Timestamp};
use outbound::RetryAfter;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::OriginError;

/// A wait up to this long is sat out within a run; beyond it the feed fails and a later run tries.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A host cannot send us away for longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What the catalog keeps of a wait that does not count any more.
const FORGOTTEN: Timestamp = Timestamp::from_micros(i64::MIN);

/// Whether a wait counts. One further ahead than any we grant means that the clock was set back: it is void.
fn stands(until: Timestamp, now: Timestamp) -> bool {
    until > now && until.since(now) <= LONGEST_WAIT
}

/// What all runs of a process share: places in flight towards each host, and who is fetching which digest just now.
#[derive(Debug, Default)]
pub struct Crowd {
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
    busy: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

/// What all feeds of a run share towards the hosts: places in flight, waits they asked for, and who is fetching
/// which digest just now.
pub struct HostGate {
    per_host: usize,
    crowd: Arc<Crowd>,
    waits: Mutex<HashMap<String, Timestamp>>,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
}

impl HostGate {
    /// A gate that knows the waits that the catalog remembers and that still stand. Nothing is written: who merely looks may
    /// open one.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn open(per_host: usize, catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Result<Self, CatalogError> {
        let now = clock.now();
        let waits = catalog.host_waits().await?.into_iter().filter(|(_, until)| stands(*until, now)).collect();
        Ok(Self { per_host: per_host.max(1), crowd: Arc::default(), waits: Mutex::new(waits), catalog, clock })
    }

    /// Forgets for good the waits that are over or void: a clock that is set back, or that comes near one again, does not
    /// bring it back.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn forget_past(catalog: &dyn Catalog, now: Timestamp) -> Result<(), CatalogError> {
        let past = |until: Timestamp| until != FORGOTTEN && !stands(until, now);
        let known = catalog.host_waits().await?.into_iter().filter(|(_, until)| past(*until));
        let host_waits: Vec<_> = known.map(|(host, _)| (host, FORGOTTEN)).collect();
        if host_waits.is_empty() {
            return Ok(());
        }
        catalog.apply(Batch { host_waits, ..Batch::default() }).await
    }

    /// Shares places and fetches with other runs.
    #[must_use]
    pub fn among(mut self, crowd: Arc<Crowd>) -> Self {
        self.crowd = crowd;
        self
    }

    /// Waits for a place towards a host.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] when the host asked to stay away for longer than a run waits.
    pub(crate) async fn enter(&self, host: &str) -> Result<OwnedSemaphorePermit, OriginError> {
        let places = {
            let mut all = self.crowd.places.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.per_host))))
        };
        let place = places
            .acquire_owned()
            .await
            .map_err(|_| OriginError::new(Reason::Interrupted, format!("{host}: the run is ending")))?;
        while let Some((until, wait)) = self.remaining(host) {
            if wait > PATIENCE {
                return Err(OriginError::new(
                    Reason::RateLimited,
                    format!("{host} asked to be left alone until {until}; no request was made"),
                ));
            }
            tokio::time::sleep(wait).await;
        }
        Ok(place)
    }

    fn remaining(&self, host: &str) -> Option<(Timestamp, Duration)> {
        let until = *self.waits.lock().unwrap_or_else(PoisonError::into_inner).get(host)?;
        let now = self.clock.now();
        stands(until, now).then(|| (until, until.since(now)))
    }

    /// Notes that a host asked to come back later, durably; answers how long that is.
    pub(crate) async fn send_away(&self, host: &str, ask: RetryAfter) -> Result<Duration, CatalogError> {
        let now = self.clock.now();
        let until = match ask {
            RetryAfter::In(wait) => now.after(wait.min(LONGEST_WAIT)),
            RetryAfter::At(time) => time.min(now.after(LONGEST_WAIT)),
        };
        if until <= now {
            return Ok(Duration::ZERO);
        }
        // The longer of two asks counts, and the catalog keeps the one that it is told last: one at a time.
        let _turn = self.alone(Digest::of(host.as_bytes())).await;
        let until = self.remaining(host).map_or(until, |(asked, _)| asked.max(until));
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), until);
        self.catalog.apply(Batch { host_waits: vec![(host.to_owned(), until)], ..Batch::default() }).await?;
        Ok(until.since(now))
    }

    /// Waits until nobody else is fetching what this key stands for.
    pub(crate) async fn alone(&self, key: Digest) -> OwnedMutexGuard<()> {
        let lock = {
            let mut busy = self.crowd.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(busy.entry(key).or_default())
        };
        lock.lock_owned().await
    }
}
