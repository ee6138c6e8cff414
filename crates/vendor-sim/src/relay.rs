//! A line between a client and a host that does what bad lines do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

use crate::host::Host;

/// How a line behaves; the default is a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// It is up for the first time and down for the second, again and again: then all connections end with a reset
    /// and new ones are not taken.
    pub flap: Option<(Duration, Duration)>,
    /// Of a hundred pieces, so many are lost and come only after [`Manner::again`].
    pub lost_percent: u8,
    /// How long a lost piece takes to be sent again.
    pub again: Duration,
    /// Of a hundred connections, so many are reset when they are made.
    pub refused_percent: u8,
    /// The most bytes a second towards the client, on each connection.
    pub bytes_per_second: Option<u64>,
    /// Connections are taken, and nothing is ever carried.
    pub silent: bool,
    /// Each connection ends with a reset after so many bytes towards the client.
    pub reset_after: Option<u64>,
}

/// What a line carried.
#[derive(Debug, Default)]
struct Carried {
    connections: AtomicU64,
    bytes: AtomicU64,
    pieces: AtomicU64,
}

#[derive(Debug)]
struct Line {
    to: SocketAddr,
    manner: Mutex<Manner>,
    carried: Carried,
}

/// A line to a host; gone when dropped.
#[derive(Debug)]
pub struct Relay {
    line: Arc<Line>,
    host: Host,
}

/// Bytes carried at a time; about what a packet or two hold.
const PIECE: usize = 2048;

impl Relay {
    /// A line to `to`.
    ///
    /// # Errors
    /// When nothing can be listened on.
    pub fn start(to: SocketAddr, manner: Manner) -> io::Result<Self> {
        let line = Arc::new(Line { to, manner: Mutex::new(manner), carried: Carried::default() });
        let shared = Arc::clone(&line);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let host = Host::start(address, |listener| serve(listener, shared))?;
        Ok(Self { line, host })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.host.address()
    }

    /// Behaves otherwise from now on, on connections that stand too.
    pub fn set_manner(&self, manner: Manner) {
        *self.line.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// Bytes carried towards clients.
    pub fn carried(&self) -> u64 {
        self.line.carried.bytes.load(Ordering::Relaxed)
    }

    /// Connections that clients made.
    pub fn connections(&self) -> u64 {
        self.line.carried.connections.load(Ordering::Relaxed)
    }
}

impl Line {
    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same for every run: the numbers 0 to 99 in an order that looks like chance.
const fn chance(number: u64) -> u64 {
    (number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33) % 100
}

async fn serve(listener: TcpListener, line: Arc<Line>) {
    let began = Instant::now();
    while let Ok((client, _)) = listener.accept().await {
        let number = line.carried.connections.fetch_add(1, Ordering::Relaxed);
        let refused = chance(number) < u64::from(line.manner().refused_percent);
        if refused || ends_at(&line.manner(), began).is_some_and(|end| end <= Instant::now()) {
            drop(client.set_zero_linger());
            continue;
        }
        tokio::spawn(carry(client, Arc::clone(&line), began));
    }
}

/// When the line goes down next; now, if it is down.
fn ends_at(manner: &Manner, began: Instant) -> Option<Instant> {
    let (up, down) = manner.flap?;
    let turn = (up + down).max(Duration::from_millis(1));
    let passed = began.elapsed();
    let turns = u32::try_from(passed.as_micros() / turn.as_micros().max(1)).unwrap_or(u32::MAX);
    let in_turn = passed.saturating_sub(turn * turns);
    Some(if in_turn >= up { Instant::now() } else { Instant::now() + (up - in_turn) })
}

async fn carry(mut client: TcpStream, line: Arc<Line>, began: Instant) {
    let _ = client.set_nodelay(true);
    let Ok(mut host) = TcpStream::connect(line.to).await else { return drop(client.set_zero_linger()) };
    let _ = host.set_nodelay(true);
    let whole = {
        let (mut from_client, mut to_client) = split(&mut client);
        let (mut from_host, mut to_host) = split(&mut host);
        tokio::select! {
            end = down(&mut from_host, &mut to_client, &line) => end.unwrap_or(false),
            _ = up(&mut from_client, &mut to_host) => true,
            () = breaks(&line, began) => false,
        }
    };
    if !whole {
        let _ = client.set_zero_linger();
    }
}

/// Returns when the line goes down.
async fn breaks(line: &Line, began: Instant) {
    loop {
        match ends_at(&line.manner(), began) {
            Some(end) => return sleep_until(end).await,
            // It may be told to, meanwhile.
            None => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn up<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(from: &mut R, to: &mut W) -> io::Result<()> {
    tokio::io::copy(from, to).await?;
    // The client has said all; the host may still answer.
    std::future::pending().await
}

/// Carries what the host says; false when the line broke.
async fn down<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(from: &mut R, to: &mut W, line: &Line) -> io::Result<bool> {
    let (mut piece, mut sent) = ([0; PIECE], 0u64);
    let mut paid = Instant::now();
    loop {
        let manner = line.manner();
        if manner.silent {
            sleep(Duration::from_millis(20)).await;
            continue;
        }
        let left = manner.reset_after.map_or(PIECE as u64, |end| end.saturating_sub(sent).min(PIECE as u64));
        if left == 0 {
            return Ok(false);
        }
        let room = usize::try_from(left).unwrap_or(PIECE);
        let read = from.read(piece.get_mut(..room).unwrap_or_default()).await?;
        if read == 0 {
            to.shutdown().await?;
            return Ok(true);
        }
        let number = line.carried.pieces.fetch_add(1, Ordering::Relaxed);
        if chance(number) < u64::from(manner.lost_percent) {
            sleep(manner.again).await;
        }
        to.write_all(piece.get(..read).unwrap_or_default()).await?;
        sent += read as u64;
        line.carried.bytes.fetch_add(read as u64, Ordering::Relaxed);
        if let Some(rate) = manner.bytes_per_second.filter(|rate| *rate > 0) {
            paid = paid.max(Instant::now()) + Duration::from_micros(read as u64 * 1_000_000 / rate);
            sleep_until(paid).await;
        }
    }
}
