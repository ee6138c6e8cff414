//! The server: starts the watcher and the workers, and is the handle on them.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use model::{Clock, Digest, Timestamp};
use tokio::sync::watch;

use crate::crowd::Crowd;
use crate::damage::Damage;
use crate::files::MOST_KEPT;
use crate::index::Served;
use crate::kept::KeptFiles;
use crate::log::{LogSink, Losses};
use crate::rules::{Gate, ReloadError, Rules, in_use};
use crate::stats::{Counters, Stats, Watched};
use crate::tls::Shelf;
use crate::watch::{View, Wake, Watcher};
use crate::worker::{Parts, Pass, local_runtime};
use crate::{AccessLog, Beyond, Bind, Listener, LogTarget, Policy, ServeLimits, Settings, Source};

/// Descriptors that are left for everything but connections.
const SPARE_DESCRIPTORS: usize = 256;

/// Why the content side did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot serve content")]
    Listen(#[from] platform::net::ListenError),
    /// A socket that was handed over cannot be used.
    #[error("the socket that was handed over cannot be used")]
    Inherited(#[source] std::io::Error),
    /// A rule cannot be used.
    #[error(transparent)]
    Policy(#[from] ReloadError),
    /// The access log cannot be opened.
    #[error("cannot open the access log {path}")]
    Log {
        /// Where it should be.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The system gave no thread or event queue.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off at the deadline.
    pub cut_off: usize,
}

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Serving,
    Draining,
    Ended,
}

/// What all threads share.
pub(crate) struct Shared {
    pub(crate) view: Arc<View>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: ServeLimits,
    pub(crate) draining: AtomicBool,
    pub(crate) open: AtomicUsize,
    pub(crate) cut_off: AtomicUsize,
    /// That large files are copied rather than sent by the system is told once.
    pub(crate) copies: Once,
    most_open: usize,
    pub(crate) damage: Arc<Damage>,
    pub(crate) beyond: Option<Arc<dyn Beyond>>,
    pub(crate) crowd: Crowd,
}

impl Shared {
    /// A pass for one more connection; none at the cap.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Pass> {
        let pass = self.enter_anyway();
        (self.open.load(Ordering::Relaxed) <= self.most_open).then_some(pass)
    }

    /// A pass for a connection in whose favour another one ends.
    pub(crate) fn enter_anyway(self: &Arc<Self>) -> Pass {
        self.open.fetch_add(1, Ordering::Relaxed);
        Pass(Arc::clone(self))
    }
}

/// The running content side. Dropping it ends it at once; [`ContentServer::drain`] ends it gently.
pub struct ContentServer {
    shared: Arc<Shared>,
    counters: Vec<Arc<Counters>>,
    gates: Vec<Arc<Gate>>,
    addresses: Vec<SocketAddr>,
    files: Arc<KeptFiles>,
    shelf: Shelf,
    stage: watch::Sender<Stage>,
    working: watch::Receiver<usize>,
    wake: SyncSender<Wake>,
    /// Gone once it is to end.
    log: Mutex<Option<LogSink>>,
    losses: Arc<Losses>,
    since: Timestamp,
}

impl std::fmt::Debug for ContentServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentServer").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl ContentServer {
    /// Looks at every ring once, binds every listener and starts serving. A ring whose generation cannot be
    /// served, and a blob that cannot be opened, is loud but no reason not to start.
    ///
    /// # Errors
    /// [`StartError`] when a listener, certificate or log cannot be had.
    pub fn start(settings: Settings, source: Arc<dyn Source>, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        Self::start_with(settings, source, clock, None)
    }

    /// As [`ContentServer::start`], with somebody who knows of what lies beyond the index.
    ///
    /// # Errors
    /// As [`ContentServer::start`].
    pub fn start_with(
        settings: Settings,
        source: Arc<dyn Source>,
        clock: Arc<dyn Clock>,
        beyond: Option<Arc<dyn Beyond>>,
    ) -> Result<Self, StartError> {
        let workers =
            settings.workers.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let common = Arc::new(Counters::default());
        let view = Arc::new(View::new(&settings.default_ring));
        let since = clock.now();
        let damage = Arc::new(Damage::new(Arc::clone(&clock), Arc::clone(&common)));
        let shared = Arc::new(Shared {
            view: Arc::clone(&view),
            source: Arc::clone(&source),
            clock,
            draining: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            cut_off: AtomicUsize::new(0),
            copies: Once::new(),
            most_open: most_open(&settings.limits, workers),
            crowd: Crowd::new(settings.limits.connections_per_client),
            damage: Arc::clone(&damage),
            beyond: beyond.clone(),
            limits: settings.limits,
        });
        let shelf = Shelf::default();
        let Bound { gates, addresses, sockets } = bind(settings.listeners, workers, &shelf, since)?;
        let files = Arc::new(KeptFiles::new(Arc::clone(&shared.clock)));
        files.replace(in_use(&gates, &addresses));
        let log = settings.access_log.as_ref().map(|log| start_log(log, &common)).transpose()?;

        let (proofs, held, proven) = (damage.proofs(), Arc::clone(&source), Arc::clone(&damage));
        let mut watcher = Watcher::new(source, view, Arc::clone(&common), damage)
            .only(settings.rings)
            .told_by(beyond)
            .small_file_memory(shared.limits.small_file_memory);
        watcher.look();
        let (wake, woken) = sync_channel(1);
        let losses = Arc::new(Losses::default());
        let (looked_after, told) = (Arc::clone(&files), Arc::clone(&losses));
        spawn("content-watch", move || watcher.run(&woken, &looked_after, &told))?;
        spawn("content-proof", move || proofs.run(&proven, held.as_ref()))?;

        let (stage, stages) = watch::channel(Stage::Serving);
        let (busy, working) = watch::channel(workers);
        let mut counters = vec![common];
        for (number, listeners) in sockets.into_iter().enumerate() {
            let own = Arc::new(Counters::default());
            counters.push(Arc::clone(&own));
            let parts = Parts {
                shared: Arc::clone(&shared),
                lines: log.as_ref().map(LogSink::lines),
                counters: own,
                listeners,
                stage: stages.clone(),
                runtime: local_runtime,
            };
            let done = Done(busy.clone());
            spawn(&format!("content-{number}"), move || {
                let _done = done;
                if let Err(error) = crate::worker::run(parts) {
                    tracing::error!(%error, "a content worker ended");
                }
            })?;
        }
        let log = Mutex::new(log);
        Ok(Self { shared, counters, gates, addresses, files, shelf, stage, working, wake, log, losses, since })
    }

    /// Looks at the rings now: something was published.
    pub fn nudge(&self) {
        match self.wake.try_send(Wake::Nudge) {
            // One nudge that waits is as good as two.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// Opens the access log again: it was, or is to be, moved away.
    pub fn reopen_log(&self) {
        if let Some(log) = self.log.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            log.reopen();
        }
    }

    /// Takes new rules over, in the order of [`Settings::listeners`]: for connections to come, and for the next
    /// request on each that is open. One whose listener now asks for something else before a request (TLS, another
    /// authority, another word on who is behind a proxy) ends instead. The files of listeners are looked at; those that were
    /// in use under the same path stay so where they cannot be used now, as at any other time.
    ///
    /// # Errors
    /// [`ReloadError`] when any rule, or a file that was not in use before, cannot be used; then none is taken over.
    pub fn reload(&self, policies: &[Policy]) -> Result<(), ReloadError> {
        if policies.len() != self.gates.len() {
            return Err(ReloadError::Listeners { given: policies.len(), running: self.gates.len() });
        }
        let now = self.shared.clock.now();
        let running = policies.iter().zip(&self.gates).zip(&self.addresses);
        let newer = running.map(|((policy, gate), listener)| {
            let rules = gate.rules.load().after(policy, &self.shelf, now);
            rules.map_err(|source| ReloadError::Rules { listener: *listener, source: Box::new(source) })
        });
        let rules: Vec<Rules> = newer.collect::<Result<_, _>>()?;
        for (gate, rules) in self.gates.iter().zip(rules) {
            rules.warn_beside(&gate.rules.load());
            gate.rules.store(Arc::new(rules));
        }
        self.files.replace(in_use(&self.gates, &self.addresses));
        if let Some(common) = self.counters.first() {
            self.files.look(common);
        }
        Ok(())
    }

    /// Stops accepting, closes idle connections, and lets open answers end until the deadline.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.stage.send_if_modified(|stage| {
            let serving = *stage == Stage::Serving;
            if serving {
                *stage = Stage::Draining;
            }
            serving
        });
        let mut working = self.working.clone();
        if tokio::time::timeout(deadline, working.wait_for(|left| *left == 0)).await.is_err() {
            self.stage.send_replace(Stage::Ended);
            let _ = working.wait_for(|left| *left == 0).await;
        }
        let _ = self.wake.try_send(Wake::Stop);
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(log) = log {
            log.finish(&self.losses).await;
        }
        Drained { cut_off: self.shared.cut_off.load(Ordering::Relaxed) }
    }

    /// What happened since the start.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::new(self.since);
        for counters in &self.counters {
            counters.add_to(&mut stats);
        }
        stats.connections_open = self.shared.open.load(Ordering::Relaxed) as u64;
        stats.connections_most = self.shared.most_open as u64;
        stats.rings = self.shared.view.ring_stats();
        stats.certificates = self.files.facts();
        stats
    }

    /// How the content side itself fares.
    pub fn watched(&self) -> Watched {
        Watched {
            asked: self.counters.iter().map(|counters| counters.asked_so_far()).sum(),
            looks: self.shared.view.looks(),
        }
    }

    /// Blobs that turned out since the last call not to be whole: to be verified and fetched again. Each is told
    /// once, however often endpoints ask for it, and again only after it was whole in between: who cannot act on
    /// it now gives it back with [`ContentServer::put_back_damaged`].
    pub fn take_damaged(&self) -> Vec<Digest> {
        self.shared.damage.take()
    }

    /// Has [`ContentServer::take_damaged`] tell these again, as far as they are still not whole.
    pub fn put_back_damaged(&self, digests: &[Digest]) {
        self.shared.damage.put_back(digests);
    }

    /// Where it listens, in the order of [`Settings::listeners`], with the ports that the system chose.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Whether files of what the default ring serves are gone, and an older copy stands in their place. Or nothing can be
    /// read of what is not in memory, whatever stands there, if anything does.
    pub fn has_lost_content(&self) -> bool {
        self.shared.view.has_lost()
    }

    /// How many of the default ring's paths answer 503 for want of their bytes, and how many there are.
    pub fn broken(&self) -> (usize, usize) {
        let snapshot = self.shared.view.snapshot.load();
        snapshot.default.served.as_ref().map_or((0, 0), |served| (served.broken(), served.routes.len()))
    }

    /// Whether endpoints get content: the default ring serves a generation, not all of it is broken, nothing of it is
    /// lost, and the server does not drain.
    pub fn is_ready(&self) -> bool {
        let answers = self.shared.view.snapshot.load().default.served.as_ref().is_some_and(Served::answers);
        let serves = !self.shared.draining.load(Ordering::Relaxed) && *self.working.borrow() > 0;
        answers && serves && !self.has_lost_content()
    }

    /// As [`ContentServer::is_ready`], and of the paths that endpoints begin with, as `begins` knows them, at least one
    /// answers, as far as there are any: who gets no manifest has no use for what it names.
    pub fn is_ready_for(&self, begins: impl Fn(&str) -> bool) -> bool {
        let snapshot = self.shared.view.snapshot.load();
        let Some(served) = &snapshot.default.served else { return false };
        let is_first = |path: &[u8]| std::str::from_utf8(path).is_ok_and(&begins);
        let mut first = served.routes.iter().filter(|(path, _)| is_first(path)).peekable();
        let answers = first.peek().is_none() || first.any(|(_, entry)| !entry.blob.is_broken());
        answers && self.is_ready()
    }
}

impl Drop for ContentServer {
    fn drop(&mut self) {
        self.stage.send_replace(Stage::Ended);
        let _ = self.wake.try_send(Wake::Stop);
    }
}

/// Counts a worker out when its thread ends, however it ends.
struct Done(watch::Sender<usize>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.send_modify(|left| *left = left.saturating_sub(1));
    }
}

struct Bound {
    gates: Vec<Arc<Gate>>,
    addresses: Vec<SocketAddr>,
    /// For each worker, its socket of each listener.
    sockets: Vec<Vec<(std::net::TcpListener, Arc<Gate>)>>,
}

fn bind(listeners: Vec<Listener>, workers: usize, shelf: &Shelf, now: Timestamp) -> Result<Bound, StartError> {
    let mut sockets: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    let (mut gates, mut addresses) = (Vec::new(), Vec::new());
    for listener in listeners {
        let address = match &listener.bind {
            Bind::Address(address) => *address,
            Bind::Inherited(socket) => socket.local_addr().map_err(StartError::Inherited)?,
        };
        let wrap = |source| ReloadError::Rules { listener: address, source: Box::new(source) };
        let rules = Rules::of(&listener.policy, shelf, now).map_err(wrap)?;
        let gate = Arc::new(Gate { rules: Arc::new(ArcSwap::from_pointee(rules)) });
        let bound = match listener.bind {
            Bind::Address(address) => platform::net::listeners(address, workers)?,
            Bind::Inherited(socket) => {
                let clones = (1..workers).map(|_| socket.try_clone()).collect::<Result<Vec<_>, _>>();
                let mut all = clones.map_err(StartError::Inherited)?;
                all.push(socket);
                all
            }
        };
        for (number, (socket, own)) in bound.into_iter().zip(&mut sockets).enumerate() {
            crate::net::prepare(&socket).map_err(StartError::Inherited)?;
            if number == 0 {
                addresses.push(socket.local_addr().map_err(StartError::Inherited)?);
            }
            own.push((socket, Arc::clone(&gate)));
        }
        gates.push(gate);
    }
    Ok(Bound { gates, addresses, sockets })
}

fn start_log(log: &AccessLog, counters: &Arc<Counters>) -> Result<LogSink, StartError> {
    let path = match &log.target {
        LogTarget::Stdout => PathBuf::from("-"),
        LogTarget::File { path, .. } => path.clone(),
    };
    LogSink::start(log, Arc::clone(counters)).map_err(|source| StartError::Log { path, source })
}

/// The cap on connections: never more than descriptors allow, when each may also hold a file open, beside those that
/// workers keep open. That it is lower than what is configured is told, with what would be enough.
fn most_open(limits: &ServeLimits, workers: usize) -> usize {
    let descriptors = usize::try_from(platform::raise_nofile()).unwrap_or(usize::MAX);
    let (asked, room) = (limits.connections.max(1), fitting(descriptors, workers));
    if room < asked {
        let enough = enough_for(asked, workers);
        tracing::warn!(
            descriptors,
            "room for {room} of {asked} connections: let this process open {enough} files (LimitNOFILE= in systemd, \
             `ulimit -n` in a shell), or lower limits.serve_connections"
        );
    }
    asked.min(room)
}

/// How many descriptors so many connections take.
fn enough_for(connections: usize, workers: usize) -> usize {
    let kept = workers.saturating_mul(MOST_KEPT);
    let all = connections.saturating_mul(2).saturating_add(SPARE_DESCRIPTORS);
    all.saturating_add(kept)
}

fn fitting(descriptors: usize, workers: usize) -> usize {
    // Where there are few, what is kept open has to give way, too: opening it again takes one more try.
    let kept = workers.saturating_mul(MOST_KEPT).min(descriptors / 4);
    let left = descriptors.saturating_sub(SPARE_DESCRIPTORS).saturating_sub(kept);
    (left / 2).max(8)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(StartError::Thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_that_fits_can_hold_a_file_open_s09() {
        for descriptors in [1024, 1200, 4096, 20_000, 524_288] {
            for workers in [1, 2, 8, 64] {
                let kept = (workers * MOST_KEPT).min(descriptors / 4);
                let open = fitting(descriptors, workers);
                assert!(2 * open + kept + SPARE_DESCRIPTORS <= descriptors, "{descriptors}, {workers}: {open}");
                assert!(fitting(enough_for(open, workers), workers) >= open, "{descriptors}, {workers}: {open}");
                assert!(open >= descriptors / 5, "{descriptors}, {workers}: {open}");
            }
        }
        assert_eq!(enough_for(10_000, 2), 20_512, "as docs/serving.md and `doctor` have it");
        assert_eq!(fitting(64, 2), 8, "a few are served at any rate");
    }
}
