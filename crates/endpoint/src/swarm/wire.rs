//! HTTP/1.1 as small as an endpoint needs it: GET, one answer with a length, over a connection of one's own.
//!
//! The product's client keeps connections in common and knows no slow lines; thousands of endpoints have a connection
//! each.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::target::Target;

/// For a connection and its handshake.
const CONNECT: Duration = Duration::from_secs(30);
/// For the head of an answer, and between two pieces of a body.
const PAUSE: Duration = Duration::from_secs(60);
const MAX_HEAD: usize = 32 << 10;
const PIECE: usize = 64 << 10;
const MAX_FIELDS: usize = 64;

/// Why an answer did not come, or not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum WireError {
    #[error("no connection")]
    Connect,
    #[error("no TLS")]
    Tls,
    #[error("nothing came in time")]
    Timeout,
    #[error("the connection broke")]
    Broken,
    #[error("the answer is no HTTP, or says no length")]
    NotHttp,
    /// Ended by the rehearsal itself: the endpoint was restarted.
    #[error("restarted")]
    Restarted,
}

impl WireError {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Connect => "no_connection",
            Self::Tls => "no_tls",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::NotHttp => "no_http",
            Self::Restarted => "restarted",
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
}

/// The head of an answer, as far as an endpoint looks at it.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) length: u64,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// Seconds.
    pub(super) retry_after: Option<u64>,
    /// Whether the connection can be used again.
    pub(super) stays: bool,
}

/// How fast a body is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Bytes a second; none: as they come.
    pub(super) rate: Option<u64>,
    /// After so many bytes the endpoint is restarted.
    pub(super) restart_after: Option<u64>,
}

impl Connection {
    pub(super) async fn open(target: &Target, from: Option<IpAddr>) -> Result<Self, WireError> {
        let opened = timeout(CONNECT, Self::dial(target, from)).await;
        opened.map_err(|_| WireError::Timeout)?
    }

    async fn dial(target: &Target, from: Option<IpAddr>) -> Result<Self, WireError> {
        let mut tcp = Err(io::ErrorKind::NotFound.into());
        for address in &target.addresses {
            tcp = connect(*address, from).await;
            if tcp.is_ok() {
                break;
            }
        }
        let tcp = tcp.map_err(|_| WireError::Connect)?;
        // A refusal shows later, as slowness.
        let _ = tcp.set_nodelay(true);
        let stream: Box<dyn Stream> = match &target.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(target.name.clone()).map_err(|_| WireError::Tls)?;
                let connecting = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
                Box::new(connecting.await.map_err(|_| WireError::Tls)?)
            }
        };
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn ask(&mut self, request: &str) -> Result<Head, WireError> {
        let talk = async {
            self.stream.write_all(request.as_bytes()).await.map_err(|_| WireError::Broken)?;
            self.stream.flush().await.map_err(|_| WireError::Broken)?;
            self.head().await
        };
        timeout(PAUSE, talk).await.map_err(|_| WireError::Timeout)?
    }

    async fn head(&mut self) -> Result<Head, WireError> {
        loop {
            if let Some((head, length)) = parse(&self.buffer)? {
                self.buffer.advance(length);
                return Ok(head);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(WireError::NotHttp);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), WireError> {
        self.buffer.reserve(PIECE);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => Err(WireError::Broken),
            Ok(_) => Ok(()),
        }
    }

    /// Reads a body of this length.
    pub(super) async fn body(
        &mut self,
        length: u64,
        pace: Pace,
        mut take: impl FnMut(&[u8]) + Send,
    ) -> Result<(), WireError> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                timeout(PAUSE, self.more()).await.map_err(|_| WireError::Timeout)??;
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let piece = self.buffer.split_to(most);
            take(&piece);
            left = left.saturating_sub(piece.len() as u64);
            if pace.restart_after.is_some_and(|after| length.saturating_sub(left) >= after) {
                return Err(WireError::Restarted);
            }
            if let Some(rate) = pace.rate.filter(|_| left > 0) {
                let micros = (piece.len() as u64).saturating_mul(1_000_000) / rate.max(1);
                tokio::time::sleep(Duration::from_micros(micros)).await;
            }
        }
        Ok(())
    }
}

async fn connect(address: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    socket.connect(address).await
}

/// A head and its length in bytes, if it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, WireError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(size) = answer.parse(bytes).map_err(|_| WireError::NotHttp)? else {
        return Ok(None);
    };
    let mut head = Head { status: answer.code.unwrap_or(0), stays: answer.version == Some(1), ..Head::default() };
    let mut length = None;
    for field in answer.headers.iter() {
        let value = || std::str::from_utf8(field.value).unwrap_or_default().trim().to_owned();
        match field.name.to_ascii_lowercase().as_str() {
            "content-length" => length = value().parse().ok(),
            "etag" => head.etag = Some(value()),
            "last-modified" => head.last_modified = Some(value()),
            "retry-after" => head.retry_after = value().parse().ok(),
            "connection" if value().eq_ignore_ascii_case("close") => head.stays = false,
            "transfer-encoding" => return Err(WireError::NotHttp),
            _ => {}
        }
    }
    head.length = match (length, head.status) {
        (_, 204 | 304) => 0,
        (Some(length), _) => length,
        (None, _) => return Err(WireError::NotHttp),
    };
    Ok(Some((head, size)))
}
