//! One connection from its first byte to its last.

mod sending;
mod waiting;

use std::cell::Cell;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::announced::announced;
use crate::away::turned_away;
use crate::client::{Told, client};
use crate::download::{Asked, Download, Sending};
use crate::net::hold_little;
use crate::request::{Arrived, Method, Persistence, Refused, Request, arrived, as_we_speak, glimpse, minor_of};
use crate::respond::{Answered, Frame, Missed, answer, refuse};
use crate::rules::{Door, Rules};
use crate::slots::{Phase, Slot};
use crate::stats::Trouble;
use crate::tls::why_no_tls;
use crate::wire::{Wire, flush, receive};
use crate::worker::Worker;
use crate::{After, Instead};
use model::any_contains;
use waiting::Waiting;

/// Answers that may be gathered before they are sent.
const GATHERED: usize = 64 * 1024;
/// What a connection is served with.
pub(crate) struct Seat {
    pub(crate) peer: IpAddr,
    /// The rules that the last request was answered by.
    pub(crate) rules: Arc<Rules>,
    /// Where the rules come from.
    pub(crate) door: Rc<Door>,
    pub(crate) worker: Rc<Worker>,
    pub(crate) slot: Rc<Slot>,
}

impl Seat {
    /// Takes up rules that were swapped since. False when they ask for something else than what this connection
    /// began with.
    fn keeps(&mut self) -> bool {
        let Some(newer) = self.door.newer(&self.rules) else { return true };
        let alike = self.rules.admits_like(&newer);
        self.rules = newer;
        alike
    }
}

/// Serves one accepted connection to its end. What every plain connection has of its own is in the future that this
/// returns, once; whatever only some have is boxed, so that the others do not take the memory of it.
pub(crate) fn serve(tcp: TcpStream, seat: Seat) -> impl Future<Output = ()> {
    let announces = seat.rules.proxy_protocol && seat.rules.trusts(seat.peer);
    let (mut plain, mut other) = match announces || seat.rules.tls.is_some() {
        false => (Some(Connection::new(tcp, seat)), None),
        true => (None, Some(Box::pin(serve_behind(tcp, seat)))),
    };
    async move {
        match (&mut plain, &mut other) {
            (Some(connection), _) => connection.run().await,
            (None, Some(other)) => other.await,
            (None, None) => {}
        }
    }
}

/// Serves a connection that begins with something else than a request.
async fn serve_behind(tcp: TcpStream, mut seat: Seat) {
    if tcp.readable().await.is_err() {
        return;
    }
    seat.slot.speaks();
    if seat.rules.proxy_protocol && seat.rules.trusts(seat.peer) {
        match Box::pin(announced(&tcp, &seat)).await {
            Some(peer) => seat.peer = peer,
            None => return,
        }
    }
    match seat.rules.tls.as_ref().map(|certificate| certificate.config()) {
        None => Connection::new(tcp, seat).run().await,
        Some(config) => {
            // Whoever only looks whether the port is open leaves without a word, a balancer after its header.
            if !tcp.peek(&mut [0]).await.is_ok_and(|seen| seen > 0) {
                return;
            }
            hold_little(&tcp);
            let listener = tcp.local_addr().ok();
            // The handshake's memory goes when it is over.
            let mut connection = match Box::pin(TlsAcceptor::from(config).accept(tcp)).await {
                Ok(tls) => Box::new(Connection::new(tls, seat)),
                Err(error) => {
                    seat.worker.counters.trouble(Trouble::Handshake);
                    if error.kind() == io::ErrorKind::InvalidData {
                        turned_away(seat.peer, listener, &format!("no TLS came about: {}", why_no_tls(&error)));
                    }
                    return;
                }
            };
            connection.run().await;
        }
    }
}

struct Connection<W: Wire> {
    wire: W,
    seat: Seat,
    /// Bytes received that are not a whole request yet, or wait behind a download. Empty on an idle connection.
    pending: Vec<u8>,
    /// How much of `pending` was found to hold no end of a head.
    scanned: usize,
}

/// What to do after the answers written so far are sent.
enum Next {
    /// Wait for bytes.
    Receive,
    /// Go on with the bytes that are there.
    GoOn,
    /// Send a large body, then go on; or close.
    Bulk(Box<Sending>),
    /// Wait for what is being fetched, answer then, and go on.
    Wait(Box<Waiting>),
    /// Close.
    Close,
}

impl<W: Wire> Connection<W> {
    fn new(wire: W, seat: Seat) -> Self {
        Self { wire, seat, pending: Vec::new(), scanned: 0 }
    }

    async fn run(&mut self) {
        // Errors of the socket are the client's leaving: there is nobody to tell.
        if self.converse().await.is_ok() {
            self.linger().await;
        }
    }

    /// Answers until one side ends it.
    async fn converse(&mut self) -> io::Result<()> {
        let mut next = Next::Receive;
        loop {
            next = match next {
                Next::Receive => {
                    let received = receive(&mut self.wire, &self.seat.worker).await?;
                    if received == 0 {
                        return Ok(());
                    }
                    self.take_in(received)
                }
                Next::GoOn => self.take_in(0),
                Next::Close => return Ok(()),
                Next::Wait(waiting) => Box::pin(self.outwait(*waiting)).await,
                // Boxed, so that a connection without a download does not take the memory of one.
                Next::Bulk(download) => match Box::pin(self.download(*download)).await? {
                    Persistence::Close => return Ok(()),
                    Persistence::Stay | Persistence::StaySaid => self.take_in(0),
                },
            };
            if !self.seat.worker.output.borrow().is_empty() {
                let (slot, worker) = (&self.seat.slot, &self.seat.worker);
                if self.seat.slot.phase() != Phase::Send {
                    slot.enter(Phase::Send, worker.stall_deadline());
                }
                flush(&mut self.wire, (worker, slot), |sent| progress(slot, worker, sent)).await?;
            }
            self.wait_for(&next);
        }
    }

    /// Sets the deadline for what comes next.
    fn wait_for(&self, next: &Next) {
        let limits = &self.seat.worker.shared.limits;
        if !matches!(next, Next::Receive) {
            return;
        }
        match (self.pending.is_empty(), self.seat.slot.phase()) {
            (true, _) => self.seat.slot.enter(Phase::Idle, self.seat.worker.deadline(limits.idle_timeout)),
            // A head that trickles in does not get more time with each byte.
            (false, Phase::New | Phase::Head) => self.seat.slot.speaks(),
            (false, _) => self.seat.slot.enter(Phase::Head, self.seat.worker.deadline(limits.head_timeout)),
        }
    }

    /// Answers every whole request among the bytes there are, up to the first large body.
    fn take_in(&mut self, received: usize) -> Next {
        let worker = Rc::clone(&self.seat.worker);
        worker.look_at_clock();
        let input = worker.input.borrow();
        let fresh = input.get(..received).unwrap_or_default();
        let mut output = worker.output.borrow_mut();
        output.clear();
        if !self.seat.keeps() {
            return Next::Close;
        }
        if self.pending.is_empty() {
            let (consumed, scanned, next) = self.answer_all(fresh, 0, &mut output);
            self.pending.extend_from_slice(fresh.get(consumed..).unwrap_or_default());
            self.scanned = scanned;
            return next;
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(fresh);
        let (consumed, scanned, next) = self.answer_all(&pending, self.scanned, &mut output);
        self.scanned = scanned;
        if consumed < pending.len() {
            pending.drain(..consumed);
            self.pending = pending;
        }
        next
    }

    /// Returns how many bytes were used up, how far the rest was looked at, and what comes next.
    fn answer_all(&self, input: &[u8], scanned: usize, output: &mut Vec<u8>) -> (usize, usize, Next) {
        let (mut used, mut from) = (0, scanned);
        loop {
            let rest = input.get(used..).unwrap_or_default();
            // One empty line before a request is the tail of an older client's request: skipped.
            let blank = if rest.starts_with(b"\r\n") { 2 } else { 0 };
            let head = rest.get(blank..).unwrap_or_default();
            if head.is_empty() || output.len() >= GATHERED {
                let next = if head.is_empty() { Next::Receive } else { Next::GoOn };
                return (used + blank, 0, next);
            }
            let length = match arrived(head, from.saturating_sub(blank)) {
                // A second empty line is no tail of anything.
                Arrived::Whole(_) | Arrived::Malformed if head.starts_with(b"\r") => {
                    return self.refuse_and_close(Refused(400), (head, input.len()), output);
                }
                Arrived::Whole(length) if length <= self.seat.worker.shared.limits.head_bytes => length,
                Arrived::Partly(looked) if head.len() <= self.seat.worker.shared.limits.head_bytes => {
                    return (used, blank + looked, Next::Receive);
                }
                Arrived::Malformed => return self.refuse_and_close(Refused(400), (head, input.len()), output),
                _ => return self.refuse_and_close(too_long(head, &self.seat.worker), (head, input.len()), output),
            };
            let later;
            let mut whole = head.get(..length).unwrap_or_default();
            let mut parsed = Request::parse(whole);
            if matches!(parsed, Err(Refused(505)))
                && let Some(made) = as_we_speak(whole)
            {
                later = made;
                whole = &later;
                parsed = Request::parse(whole);
            }
            let request = match parsed {
                Ok(request) => request,
                Err(refused) => return self.refuse_and_close(refused, (head, input.len()), output),
            };
            (used, from) = (used + blank + length, 0);
            match self.answer_one(whole, &request, (None, output)) {
                Next::GoOn => {}
                next => return (used, 0, next),
            }
        }
    }

    /// Answers a request whose head these bytes are; `waited` is what waiting for it came to, if it waited.
    fn answer_one(&self, head: &[u8], request: &Request<'_>, writing: (Option<After>, &mut Vec<u8>)) -> Next {
        let (waited, output) = writing;
        let (worker, rewind) = (&self.seat.worker, output.len());
        let persistence = match request.method {
            _ if worker.shared.draining.load(Ordering::Relaxed) => Persistence::Close,
            Method::Get | Method::Head => request.persistence,
            _ => Persistence::Close,
        };
        let clock = worker.clock.borrow();
        let frame = Frame { date: &clock.date, persistence, now: clock.now, age: None };
        let rules = &self.seat.rules;
        let told = Told { forwarded_for: &request.forwarded_for, forwarded: &request.forwarded };
        let client = client(self.seat.peer, &told, &rules.trusted_proxies);
        let (name, answered) = match admitted(rules, client, request) {
            Ok(name) => {
                let mut index = worker.index.borrow_mut();
                let mut bodies = worker.bodies();
                let answered = answer(request, index.load(), &rules.prefix, &frame, (&mut bodies, output));
                let waits = if answered.is_absent() { self.beyond(request, waited, index.load()) } else { None };
                match waits {
                    None | Some(Instead::AsEver) => (name, answered),
                    Some(Instead::NotFound) => {
                        output.truncate(rewind);
                        (name, refuse(404, &frame, output))
                    }
                    Some(Instead::Later) => {
                        output.truncate(rewind);
                        (name, refuse(503, &frame, output))
                    }
                    Some(Instead::Wait(after)) => {
                        output.truncate(rewind);
                        return Next::Wait(Box::new(Waiting { head: head.to_vec(), after }));
                    }
                }
            }
            Err(refused) => {
                worker.counters.trouble(Trouble::Denied);
                (None, refuse(refused.0, &frame, output))
            }
        };
        drop(clock);
        let Answered { status, body, bulk, missed, found } = answered;
        worker.counters.status(status);
        if found {
            worker.counters.asked();
        }
        if let Some(Missed { entry, epoch, error }) = missed {
            worker.damaged(&entry, epoch, None, &error);
        }
        let (client, at) = (client.unwrap_or(self.seat.peer), worker.clock.borrow().now);
        let (method, minor) = (request.method.as_str(), request.minor);
        let asked = Asked { client, name, method, minor, status, at };
        match (bulk, persistence) {
            (Some(bulk), persistence) => {
                let download = Download { bulk, persistence, asked: asked.kept(request), sent: Cell::new(0) };
                Next::Bulk(Box::new(Sending { download, worker: Rc::clone(worker) }))
            }
            (None, persistence) => {
                asked.log(worker, request.path, request.user_agent, body);
                if persistence == Persistence::Close { Next::Close } else { Next::GoOn }
            }
        }
    }

    /// Refuses a head, of which so much is there, and whatever comes after it: `used` bytes are done with.
    fn refuse_and_close(
        &self,
        refused: Refused,
        (head, used): (&[u8], usize),
        output: &mut Vec<u8>,
    ) -> (usize, usize, Next) {
        let worker = &self.seat.worker;
        worker.counters.trouble(Trouble::BadRequest);
        let clock = worker.clock.borrow();
        let frame = Frame { date: &clock.date, persistence: Persistence::Close, now: clock.now, age: None };
        let status = refuse(refused.0, &frame, output).status;
        drop(clock);
        worker.counters.status(status);
        let at = worker.clock.borrow().now;
        let client = self.seat.peer;
        let (method, path) = glimpse(head);
        Asked { client, name: None, method, minor: minor_of(head), status, at }.log(worker, path, b"", 0);
        (used, 0, Next::Close)
    }
}

impl<W: Wire> Drop for Connection<W> {
    fn drop(&mut self) {
        // What is not whole must not end as if it were, nor wait in the system for whoever takes none of it.
        if self.seat.slot.was_cut_off() {
            self.wire.reset_on_close();
        }
    }
}

/// Who may ask, where anyone is named; otherwise the status to refuse with.
fn admitted(rules: &Rules, client: Option<IpAddr>, request: &Request<'_>) -> Result<Option<Arc<str>>, Refused> {
    if !rules.allow.is_empty() && !client.is_some_and(|ip| any_contains(&rules.allow, ip)) {
        return Err(Refused(403));
    }
    let Some(credentials) = &rules.credentials else { return Ok(None) };
    let name = request.authorization.and_then(|given| credentials.name(given));
    name.map_or(Err(Refused(401)), |name| Ok(Some(name)))
}

fn progress(slot: &Slot, worker: &Worker, sent: usize) {
    if sent > 0 {
        worker.counters.sent(sent as u64);
        let fresh = slot.line().as_deref_mut().map_or(sent, |line| line.took(sent));
        slot.enter(Phase::Send, worker.deadline_after(slot.deadline(), fresh as u64));
    }
}

fn too_long(head: &[u8], worker: &Worker) -> Refused {
    let limit = worker.shared.limits.head_bytes;
    let line = head.iter().position(|byte| *byte == b'\r').unwrap_or(head.len());
    Refused(if line > limit { 414 } else { 431 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory<F>(_: impl FnOnce(TcpStream, Seat) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_plain_connection_takes_little_memory() {
        assert!(memory(serve) <= 400, "{} bytes", memory(serve));
    }
}
