//! A process: what an engine's ports belong to, and what dies in a crash.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use model::Digest;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::fate::{Blow, Fate};
use crate::lie::Lie;
use crate::oracle::{Oracle, Touch};
use crate::violation::Violation;

/// What every port of one engine shares: once dead, none of its operations ever ends, and whoever drives the engine
/// drops it.
pub(crate) struct Process {
    pub(crate) number: u64,
    pub(crate) fate: Arc<Fate>,
    pub(crate) oracle: Arc<Oracle>,
    /// Where operations on files run, and their threads.
    disk: Option<Handle>,
    /// What its ports lie about.
    pub(crate) lie: Option<Lie>,
    dead: AtomicBool,
    died: Notify,
    /// How many publication locks it holds.
    pub(crate) publishing: AtomicU64,
    /// Blobs that it could not read.
    doubted: Mutex<BTreeSet<Digest>>,
    /// Generations that it made durable as what the ring serves.
    durable: Mutex<BTreeSet<Digest>>,
}

/// One operation: its name, what it is on, and what it can change of what is served.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) on: String,
    pub(crate) touch: Touch,
    /// Whether it may wait for another process of this simulation.
    waits: bool,
}

impl Operation {
    /// An operation that changes nothing that is served.
    pub(crate) fn reads(name: &'static str, on: impl Display) -> Self {
        Self { name, on: on.to_string(), touch: Touch::Nothing, waits: false }
    }

    /// One that waits until another process is done.
    pub(crate) fn waits(name: &'static str) -> Self {
        Self { waits: true, ..Self::reads(name, "") }
    }

    /// One that may take blobs away.
    pub(crate) fn takes(name: &'static str, on: impl Display) -> Self {
        Self { touch: Touch::Blobs, ..Self::reads(name, on) }
    }

    /// One that may move the pointer.
    pub(crate) fn moves(name: &'static str, on: impl Display) -> Self {
        Self { touch: Touch::Pointer, ..Self::reads(name, on) }
    }
}

impl Process {
    pub(crate) fn new(
        number: u64,
        (fate, oracle): (Arc<Fate>, Arc<Oracle>),
        disk: Option<Handle>,
        lie: Option<Lie>,
    ) -> Arc<Self> {
        Arc::new(Self {
            number,
            fate,
            oracle,
            disk,
            lie,
            dead: AtomicBool::new(false),
            died: Notify::new(),
            publishing: AtomicU64::new(0),
            doubted: Mutex::default(),
            durable: Mutex::default(),
        })
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(crate) fn kill(&self) {
        if !self.dead.swap(true, Ordering::SeqCst) {
            self.fate.dies();
        }
        self.died.notify_one();
    }

    /// Whoever drove the engine dropped it.
    pub(crate) fn is_dropped(&self) {
        self.fate.is_buried();
    }

    /// Returns when the process has died.
    pub(crate) async fn death(&self) {
        while !self.is_dead() {
            self.died.notified().await;
        }
    }

    /// It could not read a blob.
    pub(crate) fn doubt(&self, digest: Digest) {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
    }

    /// Whether it could not read a blob.
    pub(crate) fn doubts(&self, digest: &Digest) -> bool {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    /// It made a generation durable as what the ring serves.
    pub(crate) fn confirmed(&self, digest: Digest) {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
    }

    /// What is called done without being durable: neither published nor confirmed by whoever says so (I8).
    pub(crate) fn calls_done(&self, done: &[Digest]) {
        let durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = done.iter().find(|digest| !durable.contains(digest)) {
            let what = format!("generation {} is called done, and nobody made sure that it is durable", digest.short());
            self.fate.violated(Violation::new("I8", what));
        }
    }

    /// Carries out one operation, or what the plan makes of it, and lets the oracle look.
    pub(crate) async fn run<T, E: Display>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, E>> + Send,
        fail: impl Fn() -> E + Send,
    ) -> Result<T, E> {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        if self.disk.is_none() {
            for _ in 0..self.fate.waits() {
                tokio::task::yield_now().await;
            }
        } else {
            // What a dead process holds is let go of as it is dropped, on this very thread.
            while self.fate.is_somebody_dying() && !self.is_dead() {
                tokio::task::yield_now().await;
            }
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        let blow = self.fate.next(self.number, operation.name, &operation.on);
        match blow {
            Some(Blow::FailBefore) => return Err(fail()),
            Some(Blow::CrashBefore) => return self.die().await,
            _ => {}
        }
        let done = match &self.disk {
            // Without limits: a thread that waits never comes back to the scheduler, which alone renews what a task
            // may do at one go.
            Some(disk) if !operation.waits => {
                Still { work: pin!(tokio::task::unconstrained(work)), disk, process: self }.await
            }
            _ => work.await,
        };
        if let Err(error) = &done {
            self.fate.tell(format!("       {error}"));
        }
        self.oracle.look(operation.touch);
        match blow {
            Some(Blow::FailAfter) => Err(fail()),
            Some(Blow::CrashAfter) => self.die().await,
            _ => done,
        }
    }

    async fn die<T>(&self) -> T {
        self.kill();
        std::future::pending().await
    }
}

/// Work on files, whose threads would leave the order of things to chance: this thread waits until it is done.
struct Still<'a, F> {
    work: Pin<&'a mut F>,
    disk: &'a Handle,
    process: &'a Process,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<F: Future> Future for Still<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = self.disk.enter();
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            if let Poll::Ready(done) = self.work.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(done);
            }
            if self.process.is_dead() {
                return Poll::Pending;
            }
            // A wake-up may have been meant for work that this work waits for, so none is relied upon.
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}
