//! One connection, with TLS and through a proxy where asked.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::tls::{Handshake, Seen, client_config};
use crate::wire::body::{Framing, MAX_LINE, chunk_size};
use crate::wire::{Ask, Head, Place, Waits, WireError};

/// The longest head that is read.
const MAX_HEAD: usize = 64 << 10;
/// Read at once.
const PIECE: usize = 64 << 10;

/// The way to a host.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Straight.
    Direct,
    /// Through a proxy's tunnel: its host and port, and the value of Proxy-Authorization.
    Tunnel { host: String, port: u16, authorization: Option<String> },
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    framing: Framing,
    came: u64,
    reusable: bool,
    place: Place,
    waits: Waits,
    /// What TLS showed, where it is spoken.
    pub(crate) handshake: Option<Arc<Handshake>>,
}

impl Connection {
    /// Connects. Certificates are recorded and not judged.
    pub(crate) async fn open(place: &Place, way: &Way, waits: Waits) -> Result<Self, WireError> {
        Self::open_with(place, way, waits, rustls::DEFAULT_VERSIONS).await
    }

    /// Connects, offering these TLS versions only.
    pub(crate) async fn open_with(
        place: &Place,
        way: &Way,
        waits: Waits,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Result<Self, WireError> {
        let tcp = match way {
            Way::Direct => dial(&place.name, place.port, &waits).await?,
            Way::Tunnel { host, port, authorization } => {
                let tcp = dial(host, *port, &waits).await.map_err(|error| WireError::Proxy(error.to_string()))?;
                tunnel(tcp, place, authorization.as_deref(), &waits).await?
            }
        };
        // A refusal shows later, as slowness.
        let _ = tcp.set_nodelay(true);
        let (stream, handshake): (Box<dyn Stream>, _) = if place.tls {
            let (stream, handshake) = handshake(tcp, place, &waits, versions).await?;
            (stream, Some(Arc::new(handshake)))
        } else {
            (Box::new(tcp), None)
        };
        let buffer = BytesMut::new();
        Ok(Self {
            stream,
            buffer,
            framing: Framing::Done,
            came: 0,
            reusable: true,
            place: place.clone(),
            waits,
            handshake,
        })
    }

    /// Whether another request may be sent: the last answer was read whole, and nothing says that it was the last.
    pub(crate) fn is_reusable(&self) -> bool {
        self.reusable && self.framing == Framing::Done && self.buffer.is_empty()
    }

    /// Whether the answer was read to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.framing == Framing::Done
    }

    /// Sends a request and reads the head of its answer; informational ones before it are skipped.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> Result<Head, WireError> {
        let bytes = ask.bytes(&self.place);
        let wait = self.waits.left(self.waits.head);
        within(wait, "sending a request", self.stream.write_all(&bytes)).await?.map_err(WireError::Broken)?;
        within(wait, "sending a request", self.stream.flush()).await?.map_err(WireError::Broken)?;
        loop {
            let head = within(wait, "the head of an answer", self.read_head()).await??;
            if !matches!(head.status, 100..=199) {
                self.reusable = head.keeps_alive();
                self.framing = Framing::of(ask.method, &head)?;
                self.came = 0;
                return Ok(head);
            }
        }
    }

    async fn read_head(&mut self) -> Result<Head, WireError> {
        loop {
            if let Some((head, length)) = Head::parse(&self.buffer)? {
                self.buffer.advance(length);
                return Ok(head);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(WireError::NotHttp(format!("its head has more than {MAX_HEAD} bytes")));
            }
            let empty = self.buffer.is_empty();
            match self.fill().await {
                Ok(0) if empty => return Err(WireError::Closed),
                Ok(0) => return Err(WireError::NotHttp("it ended in its head".to_owned())),
                Ok(_) => {}
                // What was sent while the other side closed is answered with a reset.
                Err(error) if empty && error.kind() == io::ErrorKind::ConnectionReset => return Err(WireError::Closed),
                Err(error) => return Err(WireError::Broken(error)),
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(PIECE);
        match self.stream.read_buf(&mut self.buffer).await {
            // Servers that end TLS without saying so are common; whether bytes are missing shows in the length.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            other => other,
        }
    }

    /// The next bytes of the body; none at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        loop {
            match self.framing {
                Framing::Done => return Ok(None),
                Framing::Length { left, all } => {
                    let piece = self.piece(left, Some(all)).await?;
                    let left = left.saturating_sub(piece.len() as u64);
                    self.framing = if left == 0 { Framing::Done } else { Framing::Length { left, all } };
                    return Ok(Some(piece));
                }
                Framing::Close => {
                    self.reusable = false;
                    if self.buffer.is_empty() && self.more().await? == 0 {
                        self.framing = Framing::Done;
                        return Ok(None);
                    }
                    return Ok(Some(self.take(u64::MAX)));
                }
                Framing::ChunkLine => self.chunk_line().await?,
                Framing::Chunk { left: 0 } => {
                    if !self.line().await?.is_empty() {
                        return Err(WireError::NotHttp("a chunk is longer than it says".to_owned()));
                    }
                    self.framing = Framing::ChunkLine;
                }
                Framing::Chunk { left } => {
                    let piece = self.piece(left, None).await?;
                    self.framing = Framing::Chunk { left: left.saturating_sub(piece.len() as u64) };
                    return Ok(Some(piece));
                }
                Framing::Trailer => {
                    if self.line().await?.is_empty() {
                        self.framing = Framing::Done;
                    }
                }
            }
        }
    }

    async fn chunk_line(&mut self) -> Result<(), WireError> {
        let line = self.line().await?;
        self.framing = match chunk_size(&line)? {
            0 => Framing::Trailer,
            left => Framing::Chunk { left },
        };
        Ok(())
    }

    async fn piece(&mut self, most: u64, announced: Option<u64>) -> Result<Bytes, WireError> {
        if self.buffer.is_empty() && self.more().await? == 0 {
            return Err(WireError::Short { got: self.came, announced });
        }
        Ok(self.take(most))
    }

    fn take(&mut self, most: u64) -> Bytes {
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.buffer.len());
        self.came += count as u64;
        self.buffer.split_to(count).freeze()
    }

    async fn more(&mut self) -> Result<usize, WireError> {
        let wait = self.waits.left(self.waits.pause);
        within(wait, "a piece of a body", self.fill()).await?.map_err(WireError::Broken)
    }

    /// A line of a chunked body, without its end.
    async fn line(&mut self) -> Result<Bytes, WireError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1).freeze();
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                return Ok(Bytes::copy_from_slice(line.strip_suffix(b"\r").unwrap_or(line)));
            }
            if self.buffer.len() > MAX_LINE {
                return Err(WireError::NotHttp("a line of a chunked body has no end".to_owned()));
            }
            if self.more().await? == 0 {
                return Err(WireError::Short { got: self.came, announced: None });
            }
        }
    }
}

/// Waits for so long, and says what for.
pub(crate) async fn within<T>(
    wait: Duration,
    what: &'static str,
    work: impl Future<Output = T>,
) -> Result<T, WireError> {
    if wait.is_zero() {
        return Err(WireError::Deadline);
    }
    timeout(wait, work).await.map_err(|_| WireError::Slow(what, wait.as_secs()))
}

async fn dial(name: &str, port: u16, waits: &Waits) -> Result<TcpStream, WireError> {
    let wait = waits.left(waits.connect);
    let found = within(wait, "resolving the name", tokio::net::lookup_host((name, port))).await?;
    let addresses: Vec<_> = found.map_err(|error| WireError::Name(error.to_string()))?.collect();
    if addresses.is_empty() {
        return Err(WireError::Name("it has no addresses".to_owned()));
    }
    let connected = within(wait, "connecting", TcpStream::connect(addresses.as_slice())).await?;
    connected.map_err(|error| WireError::Connect(error.to_string()))
}

/// Opens a tunnel (RFC 9110, 9.3.6).
async fn tunnel(
    mut tcp: TcpStream,
    place: &Place,
    authorization: Option<&str>,
    waits: &Waits,
) -> Result<TcpStream, WireError> {
    let host = if place.name.contains(':') { format!("[{}]", place.name) } else { place.name.clone() };
    let mut text = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n", port = place.port);
    if let Some(value) = authorization {
        text.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    text.push_str("\r\n");
    let wait = waits.left(waits.head);
    let talk = async {
        tcp.write_all(text.as_bytes()).await.map_err(WireError::Broken)?;
        let (mut bytes, mut byte) = (Vec::new(), [0u8]);
        // Byte by byte: what follows the head is TLS.
        loop {
            if let Some((head, _)) = Head::parse(&bytes)? {
                return Ok(head);
            }
            if bytes.len() > MAX_HEAD || tcp.read(&mut byte).await.map_err(WireError::Broken)? == 0 {
                return Err(WireError::Proxy("it answered with no head".to_owned()));
            }
            bytes.extend_from_slice(&byte);
        }
    };
    let head = within(wait, "the proxy's answer", talk).await??;
    match head.status {
        200..=299 => Ok(tcp),
        407 => Err(WireError::Proxy("it asks for credentials (407)".to_owned())),
        status => Err(WireError::Proxy(format!("it answered {status}"))),
    }
}

async fn handshake(
    tcp: TcpStream,
    place: &Place,
    waits: &Waits,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<(Box<dyn Stream>, Handshake), WireError> {
    let seen = Arc::new(Seen::default());
    let config = client_config(Arc::clone(&seen), versions).map_err(|error| WireError::Tls(error.to_string()))?;
    let name = ServerName::try_from(place.name.clone()).map_err(|error| WireError::Tls(error.to_string()))?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let stream = within(waits.left(waits.connect), "the TLS handshake", connecting).await?;
    let stream = stream.map_err(|error| WireError::Tls(error.to_string()))?;
    let version = stream.get_ref().1.protocol_version();
    let handshake = Handshake { chain: seen.chain(), version };
    Ok((Box::new(stream), handshake))
}
