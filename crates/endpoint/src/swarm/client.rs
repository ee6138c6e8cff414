//! What every simulated endpoint can do: wake, connect, ask.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use model::Clock;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::proof::Proofs;
use super::stats::{Kind, Stats, micros};
use super::target::Target;
use super::wire::{Connection, Head, Pace, WireError};
use super::{Addresses, Connections, Rehearsal};
use crate::fetch::Validator;

/// What all endpoints of a swarm share.
pub(super) struct Shared {
    pub(super) rehearsal: Rehearsal,
    pub(super) target: Target,
    pub(super) stats: Stats,
    pub(super) proofs: Proofs,
    pub(super) clock: Arc<dyn Clock>,
    /// When it began, on the clock that never goes back.
    pub(super) begun: Duration,
    /// As many as this process may have connections.
    pub(super) sockets: Arc<Semaphore>,
}

impl Shared {
    /// The rehearsal's own time.
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.begun) * self.rehearsal.speed
    }

    /// Sleeps until a moment of the rehearsal's own time, and notes how late it became.
    pub(super) async fn sleep_until(&self, moment: Duration) {
        let due = self.begun + moment / self.rehearsal.speed.max(1);
        let ahead = due.saturating_sub(self.clock.monotonic());
        // Whose last poll lasted beyond the next one's moment was busy, not late.
        if ahead.is_zero() {
            return;
        }
        tokio::time::sleep(ahead).await;
        let late = self.clock.monotonic().saturating_sub(due);
        self.stats.lock().late.push(micros(late));
    }
}

/// One endpoint's way to the mirror.
pub(super) struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u32,
    pub(super) rng: StdRng,
    rate: Option<u64>,
    connection: Option<Held>,
    /// Whether the machine is restarted in the middle of the next download.
    breaks: bool,
}

/// A connection, and what it takes of those that this process may have.
struct Held {
    connection: Connection,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.stats.closed();
    }
}

/// Gets the body of a 200.
pub(super) trait Sink: Send {
    /// Its head.
    fn begin(&mut self, _head: &Head) {}
    /// A piece of it.
    fn take(&mut self, piece: &[u8]);
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>, number: u32, mut rng: StdRng) -> Self {
        let of = &shared.rehearsal;
        let slow = rng.random_range(0..100) < of.slow_percent;
        let rate = slow.then(|| of.slow_rate.saturating_mul(u64::from(of.speed)));
        Self { shared, number, rng, rate, connection: None, breaks: false }
    }

    /// Whether something that befalls so many of a hundred befalls this one now.
    pub(super) fn befalls(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    /// The beginning of a poll.
    pub(super) fn wake(&mut self) {
        self.breaks = self.befalls(self.shared.rehearsal.restart_percent);
    }

    /// The end of a poll.
    pub(super) fn rest(&mut self) {
        if self.shared.rehearsal.connections == Connections::Closed {
            self.connection = None;
        }
    }

    /// The machine is started anew.
    pub(super) fn restart(&mut self) {
        self.connection = None;
        self.shared.stats.lock().restarts += 1;
    }

    /// Asks for a path below the mirror's; `sink` gets the body of a 200, and `kind` says what it is then.
    pub(super) async fn get(
        &mut self,
        path: &str,
        unless: &Validator,
        kind: Kind,
        sink: &mut dyn Sink,
    ) -> Result<Head, WireError> {
        let got = self.try_get(path, unless, kind, sink).await;
        if let Err(error) = &got {
            self.connection = None;
            if *error != WireError::Restarted {
                self.shared.stats.error_at(error.word(), path);
            }
        }
        got
    }

    async fn try_get(
        &mut self,
        path: &str,
        unless: &Validator,
        kind: Kind,
        sink: &mut dyn Sink,
    ) -> Result<Head, WireError> {
        let request = self.request(path, unless);
        let restarted = matches!(kind, Kind::Archive | Kind::Artifact) && std::mem::take(&mut self.breaks);
        let clock = Arc::clone(&self.shared.clock);
        let was_kept = self.connection.is_some();
        let (mut held, mut begun) = self.connected().await?;
        let mut head = held.connection.ask(&request).await;
        // A kept connection may have been closed meanwhile: that is no failure of anybody.
        if was_kept && matches!(head, Err(WireError::Broken)) {
            drop(held);
            (held, begun) = self.connected().await?;
            head = held.connection.ask(&request).await;
        }
        let head = head?;
        let came = clock.monotonic().saturating_sub(begun);
        let restart_after = (restarted && head.status == 200 && head.length > 1).then_some(head.length / 2);
        let pace = Pace { rate: self.rate, restart_after };
        let mut bytes = 0;
        let is_wanted = head.status == 200;
        if is_wanted {
            sink.begin(&head);
        }
        let read = held.connection.body(head.length, pace, |piece| {
            bytes += piece.len() as u64;
            if is_wanted {
                sink.take(piece);
            }
        });
        read.await?;
        let end = clock.monotonic().saturating_sub(begun);
        let kind = match head.status {
            200 => kind,
            304 => Kind::Poll,
            _ => Kind::Other,
        };
        self.shared.stats.answered(kind, head.status, bytes, [came, end]);
        if head.stays {
            self.connection = Some(held);
        }
        Ok(head)
    }

    fn request(&self, path: &str, unless: &Validator) -> String {
        let Target { prefix, authority, .. } = &self.shared.target;
        let mut text = format!(
            "GET {prefix}{path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: waystation-swarm/{}\r\nAccept: */*\r\n",
            env!("CARGO_PKG_VERSION")
        );
        if let Some(etag) = &unless.etag {
            text.push_str(&format!("If-None-Match: {etag}\r\n"));
        } else if let Some(date) = &unless.last_modified {
            text.push_str(&format!("If-Modified-Since: {date}\r\n"));
        }
        text.push_str("\r\n");
        text
    }

    /// A connection, and since when the endpoint wanted it: what it takes to connect belongs to the answer, as it does
    /// for a real one. What it waits for one of this process's own sockets does not, and is told apart.
    async fn connected(&mut self) -> Result<(Held, Duration), WireError> {
        let clock = Arc::clone(&self.shared.clock);
        let wanted = clock.monotonic();
        if let Some(held) = self.connection.take() {
            return Ok((held, wanted));
        }
        let sockets = Arc::clone(&self.shared.sockets);
        let permit = match Arc::clone(&sockets).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let permit = sockets.acquire_owned().await.map_err(|_| WireError::Connect)?;
                self.shared.stats.lock().waited.push(micros(clock.monotonic().saturating_sub(wanted)));
                permit
            }
        };
        let begun = clock.monotonic();
        let connection = Connection::open(&self.shared.target, self.address()).await?;
        self.shared.stats.opened(clock.monotonic().saturating_sub(begun));
        Ok((Held { connection, shared: Arc::clone(&self.shared), _permit: permit }, begun))
    }

    /// An address of its own, in 127.0.0.0/8 and never 127.0.x.y.
    fn address(&self) -> Option<IpAddr> {
        let own = self.shared.rehearsal.addresses == Addresses::Own && self.shared.target.is_loopback;
        let [_, high, middle, low] = (self.number % 0x00fe_0000 + 0x0001_0001).to_be_bytes();
        own.then(|| IpAddr::V4(Ipv4Addr::new(127, high, middle, low.max(1))))
    }
}
