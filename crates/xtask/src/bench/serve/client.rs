//! One HTTP/1.1 client that checks what it is answered, plain or over TLS.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::ready;

use anyhow::{Context, Result, bail, ensure};
use model::Hasher;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
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
    /// What all connections read into: a buffer of each one's own would make a thousand clients the slow side.
    pub(super) buffer: Rc<RefCell<Vec<u8>>>,
}

impl Target {
    pub(super) fn new(address: &str, tls: Option<Arc<ClientConfig>>) -> Self {
        let buffer = Rc::new(RefCell::new(vec![0; BUFFER]));
        Self { address: address.to_owned(), tls, received: Rc::default(), buffer }
    }
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
        Ok(Client { stream, buffer: Rc::clone(&self.buffer), received: Rc::clone(&self.received) })
    }
}

/// One connection.
pub(super) struct Client {
    stream: Box<dyn Stream>,
    buffer: Rc<RefCell<Vec<u8>>>,
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
        let looks = matches!(look, Look::AtBytes);
        let mut of_body = |bytes: &[u8]| {
            if looks {
                hasher.update(bytes);
            }
            bytes.len() as u64
        };
        let (answer, here) = self.head(&mut of_body).await?;
        ensure!(here <= answer.length, "more bytes than the length says");
        self.received.update(|bytes| bytes.saturating_add(here));
        let mut left = answer.length.saturating_sub(here);
        while left > 0 {
            let read = self.read(&mut of_body).await?;
            ensure!(read > 0 && read <= left, "the body ended {left} bytes early, or is longer than it says");
            left = left.saturating_sub(read);
            self.received.update(|bytes| bytes.saturating_add(read));
        }
        Ok(answer)
    }

    /// Reads once, and gives what was read to `take` before anybody else reads.
    async fn read<T>(&mut self, mut take: impl FnMut(&[u8]) -> T) -> std::io::Result<T> {
        poll_fn(|cx| {
            let mut buffer = self.buffer.borrow_mut();
            let mut buffer = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            std::task::Poll::Ready(Ok(take(buffer.filled())))
        })
        .await
    }

    /// Reads a head, and gives what arrived behind it to `of_body`; what the head says, and how much that was.
    async fn head(&mut self, mut of_body: impl FnMut(&[u8]) -> u64) -> Result<(Answer, u64)> {
        // Only of a head that arrived in pieces.
        let mut pieces = Vec::new();
        loop {
            let read = self.read(|bytes| {
                let end = |bytes: &[u8]| bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
                let whole: &[u8] = match pieces.is_empty() {
                    true => bytes,
                    false => {
                        pieces.extend_from_slice(bytes);
                        &pieces
                    }
                };
                match end(whole) {
                    Some(end) => {
                        let (head, body) = whole.split_at(end);
                        Ok((bytes.len(), Some((read_head(head)?, of_body(body)))))
                    }
                    None => {
                        if pieces.is_empty() {
                            pieces.extend_from_slice(bytes);
                        }
                        ensure!(pieces.len() < BUFFER, "an endless head");
                        Ok((bytes.len(), None))
                    }
                }
            });
            let (read, head) = match read.await {
                Err(error) if gone(&error) => (0, None),
                read => read??,
            };
            if let Some(head) = head {
                return Ok(head);
            }
            if read == 0 && pieces.is_empty() {
                bail!(ClosedIdle);
            }
            ensure!(read > 0, "closed in the head");
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
