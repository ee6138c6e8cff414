//! A worker: one thread, one runtime, its own listening sockets, and everything its connections share.

use std::cell::{RefCell, RefMut};
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use model::{Clock, Timestamp};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::MissedTickBehavior;

use crate::SourceError;
use crate::away::{CROWDED, NOT_ALLOWED, turned_away};
use crate::connection::{Seat, serve};
use crate::crowd::ClientKey;
use crate::damage::CANNOT;
use crate::fair::Downloads;
use crate::files::Files;
use crate::index::{Entry, Snapshot};
use crate::log::{Line, Lines, Stamp};
use crate::proof::Unproven;
use crate::queues::Queues;
use crate::respond::{Bodies, Opened, Part};
use crate::rules::{Door, Gate, Rules};
use crate::server::{Shared, Stage};
use crate::slots::{Phase, Slot, Slots, Weighed};
use crate::stats::{Counters, Trouble};
use crate::watch::Chain;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(250);
/// For how long the wall clock is told from the other one, which cannot be set.
const SAME_TIME: Duration = Duration::from_millis(50);
/// How often the end of the last connection is looked for while draining.
const DRAIN_TICK: Duration = Duration::from_millis(20);
/// How long accepting rests when the system has no descriptors left.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// The buffer that all connections of a worker receive into.
const INPUT: usize = 32 * 1024;
/// The buffer that all TLS downloads of a worker read into.
const CHUNK: usize = 64 * 1024;
/// How many times the stall timeout a socket may take nothing at all.
const STALL_FACTOR: u32 = 20;

/// What the connections of one worker share. Nothing here is reached by another thread but through `shared`.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) index: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    pub(crate) input: RefCell<Box<[u8]>>,
    pub(crate) output: RefCell<Vec<u8>>,
    pub(crate) chunk: RefCell<Box<[u8]>>,
    pub(crate) clock: RefCell<ClockFace>,
    files: RefCell<Files>,
    lines: RefCell<Option<Lines>>,
    slots: RefCell<Slots>,
    queues: RefCell<Queues>,
    pub(crate) downloads: Downloads,
}

/// The time as it was last read.
#[derive(Debug)]
pub(crate) struct ClockFace {
    pub(crate) now: Timestamp,
    /// `now` as an HTTP date.
    pub(crate) date: [u8; 29],
    /// `now` as the access log writes it.
    stamp: Stamp,
    second: i64,
    monotonic: Duration,
    /// The wall clock as it was read last, and when that was.
    read: (Timestamp, Duration),
}

impl ClockFace {
    fn new() -> Self {
        let now = Timestamp::from_micros(0);
        let stamp = Stamp::default();
        Self { now, date: [b' '; 29], stamp, second: i64::MIN, monotonic: Duration::ZERO, read: (now, Duration::MAX) }
    }

    fn set(&mut self, clock: &dyn Clock) {
        self.monotonic = clock.monotonic();
        let (read, at) = self.read;
        let now = match self.monotonic.checked_sub(at) {
            Some(passed) if passed < SAME_TIME => read.after(passed),
            _ => {
                self.read = (clock.now(), self.monotonic);
                self.read.0
            }
        };
        self.now = now;
        let second = now.as_micros().div_euclid(1_000_000);
        if second != self.second {
            self.second = second;
            let date = now.http_date();
            self.stamp = Stamp::new(now.to_string(), &date);
            if let Ok(date) = date.into_bytes().try_into() {
                self.date = date;
            }
        }
    }
}

/// What a worker is started with.
pub(crate) struct Parts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) lines: Option<Lines>,
    pub(crate) listeners: Vec<(std::net::TcpListener, Arc<Gate>)>,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) runtime: RuntimeMaker,
}

/// Makes the worker's runtime in its thread.
pub(crate) type RuntimeMaker = fn() -> std::io::Result<LocalRuntime>;

pub(crate) fn local_runtime() -> std::io::Result<LocalRuntime> {
    Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default())
}

/// Runs a worker to the end of the server.
pub(crate) fn run(parts: Parts) -> std::io::Result<()> {
    let runtime = (parts.runtime)()?;
    runtime.block_on(async move {
        let worker = Rc::new(Worker::new(parts.shared, parts.counters, parts.lines));
        let mut accepting = Vec::new();
        for (listener, gate) in parts.listeners {
            let listener = TcpListener::from_std(listener)?;
            accepting.push(spawn_local(accept(Rc::clone(&worker), listener, gate)));
        }
        worker.watch_over(parts.stage, || accepting.drain(..).for_each(|task| task.abort())).await;
        Ok(())
    })
}

async fn accept(worker: Rc<Worker>, listener: TcpListener, gate: Arc<Gate>) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    let door = Rc::new(Door::of(&gate));
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => worker.admit(tcp, peer, &door),
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) => {}
            Err(_) => {
                worker.counters.trouble(Trouble::Accept);
                worker.slots.borrow_mut().evict(&worker.weighed());
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

impl Worker {
    fn new(shared: Arc<Shared>, counters: Arc<Counters>, lines: Option<Lines>) -> Self {
        let index = Cache::new(Arc::clone(&shared.view.snapshot));
        let worker = Self {
            shared,
            counters,
            index: RefCell::new(index),
            input: RefCell::new(vec![0; INPUT].into_boxed_slice()),
            output: RefCell::default(),
            chunk: RefCell::new(vec![0; CHUNK].into_boxed_slice()),
            clock: RefCell::new(ClockFace::new()),
            files: RefCell::default(),
            lines: RefCell::new(lines),
            slots: RefCell::default(),
            queues: RefCell::default(),
            downloads: Downloads::default(),
        };
        worker.tick();
        worker
    }

    /// Reads the clock; once for each batch of requests.
    pub(crate) fn look_at_clock(&self) {
        self.clock.borrow_mut().set(self.shared.clock.as_ref());
    }

    /// The monotonic time in `after` from now.
    pub(crate) fn deadline(&self, after: Duration) -> Duration {
        self.clock.borrow().monotonic.saturating_add(after)
    }

    fn weighed(&self) -> Weighed {
        let limits = &self.shared.limits;
        Weighed { now: self.monotonic(), head_timeout: limits.head_timeout, stall_timeout: limits.stall_timeout }
    }

    /// The time as it was last read, from a start that no clock can move.
    pub(crate) fn monotonic(&self) -> Duration {
        self.clock.borrow().monotonic
    }

    /// By when a socket must have taken some bytes, if it took all that it must so far.
    pub(crate) fn stall_deadline(&self) -> Duration {
        self.deadline(self.shared.limits.stall_timeout.saturating_mul(STALL_FACTOR))
    }

    /// The deadline after so many more bytes were taken: each is worth the time that it may take at the least rate,
    /// and no more is saved up than at the start.
    pub(crate) fn deadline_after(&self, deadline: Duration, taken: u64) -> Duration {
        let latest = self.stall_deadline();
        let rate = self.shared.limits.minimum_rate;
        let worth = taken.saturating_mul(1_000_000).checked_div(rate).map(Duration::from_micros);
        worth.map_or(latest, |worth| deadline.saturating_add(worth).min(latest))
    }

    /// Writes an access-log line, if there is a log.
    pub(crate) fn log<'a>(&self, line: impl FnOnce(Timestamp) -> Line<'a>) {
        if let Some(lines) = self.lines.borrow_mut().as_mut() {
            let clock = self.clock.borrow();
            lines.push(&clock.stamp, &line(clock.now));
        }
    }

    /// Notes that a blob's bytes, as they were at `epoch`, cannot be served; `read` is the file that opened well.
    pub(crate) fn damaged(&self, entry: &Entry, epoch: u32, read: Option<&File>, error: &SourceError) {
        let (news, blob) = (self.shared.damage.note(&entry.blob, epoch, read, error), entry.blob.digest);
        if news && error.is::<Unproven>() {
            tracing::warn!(%blob, why = %Chain(error), "a blob is not served for a moment");
        } else if news {
            tracing::error!(%blob, why = %Chain(error), "{CANNOT}");
        }
    }

    /// What opens and reads blobs for one answer.
    pub(crate) fn bodies(&self) -> WorkerBodies<'_> {
        WorkerBodies { worker: self, files: self.files.borrow_mut() }
    }

    fn admit(self: &Rc<Self>, tcp: TcpStream, peer: SocketAddr, door: &Rc<Door>) {
        let (peer, rules) = (peer.ip().to_canonical(), door.rules());
        self.counters.accepted();
        if !rules.may_connect(peer) {
            self.counters.trouble(Trouble::Denied);
            return turned_away(peer, tcp.local_addr().ok(), NOT_ALLOWED);
        }
        // A proxy stands for many, who are told apart only when it says who they are.
        let client = if rules.trusts(peer) { ClientKey::NOBODY } else { ClientKey::of(peer) };
        if !self.fits(client) {
            return turned_away(peer, tcp.local_addr().ok(), CROWDED);
        }
        let seat = (tcp, peer, (rules, Rc::clone(door)), client);
        let Some(pass) = self.shared.enter() else {
            // The newcomer waits for the next accept when there was room to make; it is not kept waiting here.
            let made_room = self.slots.borrow_mut().evict(&self.weighed());
            self.counters.trouble(if made_room { Trouble::Evicted } else { Trouble::Refused });
            match made_room {
                true => self.start(seat, self.shared.enter_anyway()),
                false => {
                    self.shared.crowd.leave(client);
                    turned_away(peer, seat.0.local_addr().ok(), "there are as many connections as may be");
                }
            }
            return;
        };
        self.start(seat, pass);
    }

    /// Counts one more connection of a client in, if need be in place of another one of its own. False when it has
    /// as many as it may, and none of them gives way.
    pub(crate) fn fits(&self, client: ClientKey) -> bool {
        if self.shared.crowd.enter(client) {
            return true;
        }
        let made_room = self.slots.borrow_mut().evict_of(client, &self.weighed());
        self.counters.trouble(if made_room { Trouble::Evicted } else { Trouble::Crowded });
        if made_room {
            self.shared.crowd.enter_anyway(client);
        }
        made_room
    }

    fn start(self: &Rc<Self>, (tcp, peer, (rules, door), client): Newcomer, pass: Pass) {
        let deadline = self.deadline(self.shared.limits.head_timeout);
        let (at, slot) = self.slots.borrow_mut().add(Phase::New, deadline, client);
        let leave = Leave { worker: Rc::clone(self), slot: Rc::clone(&slot), at, _pass: pass };
        let worker = Rc::clone(self);
        let task = spawn_local(async move {
            let _leave = leave;
            serve(tcp, Seat { peer, rules, door, worker, slot }).await;
        });
        self.slots.borrow_mut().started(at, task.abort_handle());
    }

    /// Ticks until the server ends.
    async fn watch_over(&self, mut stage: watch::Receiver<Stage>, stop_accepting: impl FnOnce()) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while *stage.borrow_and_update() == Stage::Serving {
            tokio::select! {
                _ = ticks.tick() => self.tick(),
                changed = stage.changed() => if changed.is_err() { break },
            }
        }
        stop_accepting();
        let mut ticks = tokio::time::interval(DRAIN_TICK);
        while *stage.borrow_and_update() == Stage::Draining && !self.slots.borrow().is_empty() {
            let weighed = self.weighed();
            self.slots.borrow().end(|slot| slot.is_spare(&weighed));
            tokio::select! {
                _ = ticks.tick() => self.tick(),
                changed = stage.changed() => if changed.is_err() { break },
            }
        }
        let open = self.slots.borrow().len();
        self.shared.cut_off.fetch_add(open, Ordering::Relaxed);
        self.slots.borrow().end(|_| true);
        // Lets the ended connections drop, so that their last lines reach the log.
        tokio::task::yield_now().await;
        if let Some(lines) = self.lines.borrow_mut().as_mut() {
            lines.flush();
        }
    }

    fn tick(&self) {
        self.look_at_clock();
        let now = self.clock.borrow().monotonic;
        let mut queues = self.queues.borrow_mut();
        let time = (now, self.shared.limits.stall_timeout);
        let earn = |deadline, bytes| self.deadline_after(deadline, bytes);
        for phase in self.slots.borrow().end(|slot| slot.deadline() < now || queues.stalls(slot, time, earn)) {
            match phase {
                Phase::New | Phase::Head => self.counters.trouble(Trouble::HeadTimeout),
                Phase::Send => self.counters.trouble(Trouble::Stalled),
                Phase::Idle | Phase::Linger => {}
            }
        }
        self.files.borrow_mut().tidy(now);
        // Lets go of an index that was replaced, though nobody asks.
        self.index.borrow_mut().load();
        if let Some(lines) = self.lines.borrow_mut().as_mut() {
            lines.flush();
        }
    }
}

/// Who comes, by which rules, and whose connection it is as far as that counts.
type Newcomer = (TcpStream, IpAddr, (Arc<Rules>, Rc<Door>), ClientKey);

/// Gives a connection's place back when its task ends, however it ends.
struct Leave {
    worker: Rc<Worker>,
    slot: Rc<Slot>,
    at: usize,
    _pass: Pass,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.worker.shared.crowd.leave(self.slot.client());
        // The place is not being looked at: tasks are dropped by the runtime, never inside `Slots`.
        if let Ok(mut slots) = self.worker.slots.try_borrow_mut() {
            slots.remove(self.at);
        }
    }
}

/// One of the connections that may be open at once.
pub(crate) struct Pass(pub(crate) Arc<Shared>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Opens and reads blobs through a worker's descriptors.
pub(crate) struct WorkerBodies<'a> {
    worker: &'a Worker,
    files: RefMut<'a, Files>,
}

impl Bodies for WorkerBodies<'_> {
    fn append(&mut self, entry: &Entry, part: Part, out: &mut Vec<u8>) -> Result<(), SourceError> {
        let body = entry.blob.small(self.worker.shared.source.as_ref())?;
        let (first, last) = (usize::try_from(part.first)?, usize::try_from(part.first.saturating_add(part.length))?);
        out.extend_from_slice(body.bytes().get(first..last).unwrap_or_default());
        Ok(())
    }

    fn open(&mut self, entry: &Entry) -> Result<Opened, SourceError> {
        let now = self.worker.clock.borrow().monotonic;
        self.files.get(&entry.blob, self.worker.shared.source.as_ref(), now)
    }
}
