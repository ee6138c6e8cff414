//! The handle of a running simulator.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::defender::{DefenderChange, DefenderFeed, DefenderRelease, DefenderTarget};
use crate::elastic::{Change, ElasticRelease, ElasticTarget};
use crate::fault::{ActiveRule, Fault, FaultRule, ManifestFault, RuleId};
use crate::host::Host;
use crate::keys::{KeyError, SigningKey};
use crate::observed::{Counters, LogEntry};
use crate::server::{Shared, serve};
use crate::settings::{Network, Settings};
use crate::world::PublishError;

/// A simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its address could not be listened on, or its thread not be started.
    #[error("the simulated vendors cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Its manifests could not be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Both vendors, listening; gone when dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    host: Host,
}

impl Simulator {
    /// Publishes the first releases and listens. Works inside and outside of a runtime; may take a tenth of a
    /// second for the first key of a process, and longer for large artifacts, whose digests a manifest names.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let address = settings.address;
        let listen = |source| StartError::Listen { address, source };
        let shared = Arc::new(Shared::new(settings)?);
        let server = Arc::clone(&shared);
        let host = Host::start(address, |listener| serve(listener, server)).map_err(listen)?;
        Ok(Self { shared, host })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.host.address()
    }

    /// What stands for `https://artifacts.security.elastic.co`.
    pub fn elastic_url(&self) -> String {
        format!("http://{}", self.host.address())
    }

    /// What stands for `https://go.microsoft.com/fwlink/`.
    pub fn defender_url(&self) -> String {
        format!("http://{}/fwlink/", self.host.address())
    }

    /// The key that manifests are signed with, for `public_keys`.
    pub fn public_key_pem(&self) -> Result<String, KeyError> {
        self.signing_key().public_key_pem()
    }

    /// The same, private half included, for another simulator.
    pub fn signing_key(&self) -> SigningKey {
        self.shared.world().key.clone()
    }

    /// Counts since the start or the last reset.
    pub fn requests(&self) -> Counters {
        self.shared.observed.counters()
    }

    /// Forgets counts and log.
    pub fn reset_counters(&self) {
        self.shared.observed.reset();
    }

    /// The last requests, oldest first.
    pub fn log(&self) -> Vec<LogEntry> {
        self.shared.observed.log()
    }

    /// Changes the line's delays and rate, for connections accepted and requests read from now on.
    pub fn set_network(&self, network: Network) {
        *self.shared.network() = network;
    }

    /// Publishes a new Elastic release. Artifacts of the one before stay, as on a CDN.
    pub fn publish_elastic(&self, target: impl Into<ElasticTarget>, change: Change) -> Result<(), PublishError> {
        self.shared.world().publish_elastic(&target.into(), &change)
    }

    /// Publishes a new Defender release. The archive of the one before stays at its own address.
    pub fn publish_defender(
        &self,
        target: impl Into<DefenderTarget>,
        change: DefenderChange,
    ) -> Result<(), PublishError> {
        self.shared.world().publish_defender(target.into(), &change)
    }

    /// Takes a manifest away until it is published again; answers whether there was one.
    pub fn retire_elastic(&self, target: impl Into<ElasticTarget>) -> bool {
        self.shared.world().retire_elastic(&target.into())
    }

    /// Takes a feed away until it is published again; answers whether there was one.
    pub fn retire_defender(&self, target: impl Into<DefenderTarget>) -> bool {
        self.shared.world().retire_defender(target.into())
    }

    /// Takes one path away; answers whether there was anything.
    pub fn retire_path(&self, target: &str) -> bool {
        self.shared.world().retire_path(target)
    }

    /// The Elastic release of today.
    pub fn elastic_release(&self, target: impl Into<ElasticTarget>) -> Option<Arc<ElasticRelease>> {
        self.shared.world().elastic_release(&target.into())
    }

    /// Every manifest there is.
    pub fn elastic_targets(&self) -> Vec<ElasticTarget> {
        self.shared.world().elastic_targets()
    }

    /// The Defender release of today.
    pub fn defender_release(&self, feed: DefenderFeed) -> Option<Arc<DefenderRelease>> {
        self.shared.world().defender_release(feed)
    }

    /// Every Defender feed there is.
    pub fn defender_feeds(&self) -> Vec<DefenderFeed> {
        self.shared.world().defender_feeds()
    }

    /// Lets a fault loose; earlier rules go first.
    pub fn inject(&self, rule: FaultRule) -> RuleId {
        if rule.fault == Fault::Manifest(ManifestFault::SignatureUnknownKey) {
            // Made here so that no client waits for it; a failure shows when the fault is played.
            let _ = SigningKey::unknown();
        }
        let mut rules = self.shared.rules();
        let id = RuleId(rules.last().map_or(0, |last| last.id.0 + 1));
        rules.push(ActiveRule { id, rule, hits: 0 });
        id
    }

    /// How often a rule has struck.
    pub fn hits(&self, id: RuleId) -> u64 {
        self.shared.rules().iter().find(|rule| rule.id == id).map_or(0, |rule| rule.hits)
    }

    /// Forgets all faults; answers that are under way keep theirs.
    pub fn clear_faults(&self) {
        self.shared.rules().clear();
    }

    /// Stops listening, closes all connections and waits until that is done. Dropping does the same.
    pub fn shutdown(self) {}
}
