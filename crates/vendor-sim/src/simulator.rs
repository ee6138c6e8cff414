//! The handle of a running simulator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::{io, thread};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use crate::defender::{DefenderChange, DefenderFeed, DefenderRelease, DefenderTarget};
use crate::elastic::{Change, ElasticRelease, ElasticTarget};
use crate::fault::{ActiveRule, Fault, FaultRule, ManifestFault, RuleId};
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
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Publishes the first releases and listens. Works inside and outside of a runtime; may take a tenth of a
    /// second for the first key of a process, and longer for large artifacts, whose digests a manifest names.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let address = settings.address;
        let listen = |source| StartError::Listen { address, source };
        let shared = Arc::new(Shared::new(settings)?);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::sync_channel(1);
        let server = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("vendor-sim".to_owned())
            .spawn(move || run(address, server, &tell, stopped))
            .map_err(listen)?;
        let address = told.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())).map_err(listen)?;
        Ok(Self { shared, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stands for `https://artifacts.security.elastic.co`.
    pub fn elastic_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What stands for `https://go.microsoft.com/fwlink/`.
    pub fn defender_url(&self) -> String {
        format!("http://{}/fwlink/", self.address)
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

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A server that panicked has shown that already; there is nothing to add here.
            let _ = thread.join();
        }
    }
}

/// The server's thread.
fn run(
    address: SocketAddr,
    shared: Arc<Shared>,
    tell: &mpsc::SyncSender<io::Result<SocketAddr>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(tell.send(Err(error))),
    };
    runtime.block_on(async {
        match listen(address) {
            Err(error) => drop(tell.send(Err(error))),
            Ok((listener, address)) => {
                let _ = tell.send(Ok(address));
                tokio::select! {
                    () = serve(listener, shared) => {}
                    _ = stopped => {}
                }
            }
        }
    });
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // A thousand endpoints may knock at once.
    let listener = socket.listen(4096)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
