//! One HTTP/1.1 client that checks what it is answered, plain or over TLS.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use model::Hasher;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// Where a server is, and whether it speaks TLS.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) address: String,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Bytes of bodies that arrived over all connections to it, of downloads cut off at the end, too.
    pub(super) received: Rc<Cell<u64>>,
}

/// The server closed a connection before it answered, as it may between two requests: the client asks again.
#[derive(Debug)]
pub(super) struct ClosedIdle;

impl std::fmt::Display for ClosedIdle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed before an answer")
    }
}

impl std::error::Error for ClosedIdle {}

fn gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe)
}

/// How much is read at once.
const BUFFER: usize = 256 * 1024;

impl Target {
    pub(super) async fn connect(&self) -> Result<Client> {
        let tcp = TcpStream::connect(&self.address).await.context("connecting")?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from("localhost")?;
                Box::new(TlsConnector::from(Arc::clone(config)).connect(name, tcp).await.context("the TLS handshake")?)
            }
        };
        Ok(Client { stream, buffer: vec![0; BUFFER], filled: 0, received: Rc::clone(&self.received) })
    }
}

/// One connection.
pub(super) struct Client {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    filled: usize,
    received: Rc<Cell<u64>>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) tag: Option<String>,
    /// Bytes of the body.
    pub(super) length: u64,
    /// Whether the server closes after it, as some do after so many requests.
    pub(super) closes: bool,
}

/// What a body must be.
#[derive(Clone, Copy)]
pub(super) enum Look {
    /// As long as its head says.
    AtLength,
    /// Also hashed; the digest is returned by [`Client::digest_of`].
    AtBytes,
}

/// A request for a path, with more header lines, each ending in CRLF.
pub(super) fn request(path: &str, more: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n").into_bytes()
}

impl Client {
    /// One request and its whole answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.exchange(request, Look::AtLength, &mut Hasher::new()).await
    }

    /// Downloads a path and says its tag, length and digest.
    pub(super) async fn digest_of(&mut self, path: &str) -> Result<(Answer, model::Digest)> {
        let mut hasher = Hasher::new();
        let answer = self.exchange(&request(path, ""), Look::AtBytes, &mut hasher).await?;
        Ok((answer, hasher.finish()))
    }

    async fn exchange(&mut self, request: &[u8], look: Look, hasher: &mut Hasher) -> Result<Answer> {
        if let Err(error) = self.stream.write_all(request).await {
            // What the server said last, if anything, is read below.
            ensure!(gone(&error), error);
        }
        self.stream.flush().await.or_else(|error| if gone(&error) { Ok(()) } else { Err(error) })?;
        let end = self.head().await?;
        let head = self.buffer.get(..end).unwrap_or_default();
        let answer = read_head(head)?;
        let here = self.filled.saturating_sub(end);
        ensure!(here as u64 <= answer.length, "more bytes than the length says");
        if matches!(look, Look::AtBytes) {
            hasher.update(self.buffer.get(end..self.filled).unwrap_or_default());
        }
        self.received.update(|bytes| bytes.saturating_add(here as u64));
        let mut left = answer.length.saturating_sub(here as u64);
        while left > 0 {
            let read = self.stream.read(&mut self.buffer).await?;
            ensure!(read > 0 && read as u64 <= left, "the body ended {left} bytes early, or is longer than it says");
            if matches!(look, Look::AtBytes) {
                hasher.update(self.buffer.get(..read).unwrap_or_default());
            }
            left = left.saturating_sub(read as u64);
            self.received.update(|bytes| bytes.saturating_add(read as u64));
        }
        self.filled = 0;
        Ok(answer)
    }

    /// Reads until the end of a head; where that is.
    async fn head(&mut self) -> Result<usize> {
        loop {
            let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
            ensure!(!free.is_empty(), "an endless head");
            let read = self.stream.read(free).await.or_else(|error| gone(&error).then_some(0).ok_or(error))?;
            if read == 0 && self.filled == 0 {
                bail!(ClosedIdle);
            }
            ensure!(read > 0, "closed in the head");
            let from = self.filled.saturating_sub(3);
            self.filled += read;
            let seen = self.buffer.get(from..self.filled).unwrap_or_default();
            if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok(from + at + 4);
            }
        }
    }
}

/// Status, tag and length; no allocation but for the tag.
fn read_head(head: &[u8]) -> Result<Answer> {
    let text = std::str::from_utf8(head).context("a head that is no text")?;
    let status = text.get(9..12).and_then(|status| status.parse().ok()).context("no status")?;
    let mut answer = Answer { status, tag: None, length: 0, closes: false };
    for line in text.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") && status != 304 {
            answer.length = value.trim().parse().context("a length that is no number")?;
        } else if name.eq_ignore_ascii_case("etag") {
            answer.tag = Some(value.trim().to_owned());
        } else if name.eq_ignore_ascii_case("connection") {
            answer.closes = value.trim().eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("a chunked answer");
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: \"a\"\r\n\r\n";
        let answer = read_head(head).unwrap();
        assert_eq!((answer.status, answer.length, answer.tag.as_deref()), (200, 12, Some("\"a\"")));
        let unchanged = read_head(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n").unwrap();
        assert_eq!((unchanged.status, unchanged.length), (304, 0));
        assert!(read_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
