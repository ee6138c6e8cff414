//! Servers that play a list of connections, and what tests share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{Clock, Timestamp};
use outbound::{ClientSettings, HttpClient, Limits, Outbound as _, OutboundError, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

/// 2026-01-15T12:00:00Z, for ever.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_768_478_400_000_000);

pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// What a server does on one connection; connections beyond the list repeat the last.
#[derive(Clone)]
pub(crate) enum Act {
    /// Reads a head, sends the bytes, closes.
    Send(Vec<u8>),
    /// Reads a head, sends the bytes, keeps the connection open until the client leaves.
    SendAndHold(Vec<u8>),
    /// Says nothing at all until the client leaves.
    Mute,
    /// Closes at once, with a reset.
    Reset,
    /// Reads a head, sends the bytes, closes with a reset.
    SendAndReset(Vec<u8>),
    /// Reads a head, then sends the bytes for ever.
    Forever(Vec<u8>, Vec<u8>),
}

pub(crate) fn send(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

pub(crate) fn ok(body: &str) -> Act {
    send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// A server on loopback; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            let mut index = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let act = acts[index.min(acts.len() - 1)].clone();
                index += 1;
                tokio::spawn(play(stream, act, Arc::clone(&seen)));
            }
        });
        Self { port, heads }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }

    /// Every head that clients sent.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn play(mut stream: tokio::net::TcpStream, act: Act, seen: Arc<Mutex<Vec<String>>>) {
    match act {
        Act::Mute => wait_for_end(&mut stream).await,
        Act::Reset => reset(stream),
        Act::Send(bytes) => {
            answer(&mut stream, &bytes, &seen).await;
            let _ = stream.shutdown().await;
            wait_for_end(&mut stream).await;
        }
        Act::SendAndHold(bytes) => {
            answer(&mut stream, &bytes, &seen).await;
            wait_for_end(&mut stream).await;
        }
        Act::SendAndReset(bytes) => {
            answer(&mut stream, &bytes, &seen).await;
            reset(stream);
        }
        Act::Forever(head, piece) => {
            answer(&mut stream, &head, &seen).await;
            while stream.write_all(&piece).await.is_ok() {}
        }
    }
}

/// Closes with RST instead of FIN.
fn reset(stream: tokio::net::TcpStream) {
    let _ = stream.set_zero_linger();
}

pub(crate) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], seen: &Mutex<Vec<String>>) {
    let head = read_head(stream).await;
    seen.lock().unwrap().push(head);
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
}

pub(crate) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

pub(crate) async fn wait_for_end<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut sink = [0; 1024];
    while matches!(stream.read(&mut sink).await, Ok(count) if count > 0) {}
}

/// Settings that reach loopback by plain http.
pub(crate) fn settings() -> ClientSettings {
    ClientSettings {
        allow_plain_http: true,
        named_hosts: vec!["127.0.0.1".into()],
        ..ClientSettings::new(Arc::new(FixedClock))
    }
}

/// Limits of this much for one kind of wait, and generous ones for all others.
pub(crate) fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

pub(crate) const SHORT: Duration = Duration::from_millis(100);

pub(crate) async fn get(settings: ClientSettings, url: Url) -> Result<Response, OutboundError> {
    HttpClient::new(settings).unwrap().get(Request::get(url)).await
}

pub(crate) async fn refused(settings: ClientSettings, url: Url) -> OutboundError {
    match get(settings, url).await {
        Ok(response) => panic!("answered {}", response.status),
        Err(error) => error,
    }
}

/// The whole body.
pub(crate) async fn collect(response: &mut Response) -> Result<Vec<u8>, OutboundError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.body.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
