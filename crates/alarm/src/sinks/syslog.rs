//! Tells by syslog: RFC 5424, over a local socket, UDP (RFC 5426), TCP with octet counting (RFC 6587) or TLS
//! (RFC 5425).

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use model::{Level, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::{Message, MessageKind, Sink, SinkError, text};

/// The longest message: what every receiver of UDP should take (RFC 5426, 3.2).
const LONGEST: usize = 2048;
/// The longest head of a record: the site's name takes most of it.
const HEAD: usize = 400;
/// The longest subject and remedy, in bytes as they are sent.
const SUBJECT: usize = 300;
const REMEDY: usize = 600;
/// How long a receiver that closes the line at once is given to do so.
const CLOSES: std::time::Duration = std::time::Duration::from_millis(50);

/// Where syslog messages go.
#[derive(Clone)]
pub enum SyslogPeer {
    /// A socket in the file system, of datagrams or of a stream.
    Unix(PathBuf),
    /// Datagrams to a host and port.
    Udp(String, u16),
    /// A connection to a host and port.
    Tcp(String, u16),
    /// The same within TLS.
    Tls(String, u16, Arc<ClientConfig>),
}

/// A syslog receiver. One message may be several records, one an alarm. Only TCP and TLS tell whether a receiver is
/// there at all; syslog has no answer that says that it took a record.
#[derive(Clone)]
pub struct Syslog {
    peer: SyslogPeer,
    facility: u8,
}

impl Syslog {
    /// A receiver, and the number of the facility.
    pub fn new(peer: SyslogPeer, facility: u8) -> Self {
        Self { peer, facility: facility.min(23) }
    }

    /// Sends one record of other news than alarms, as a notice; `id` says what it is.
    ///
    /// # Errors
    /// [`SinkError`] when it could not be sent.
    pub async fn note(&self, at: Timestamp, site: Option<&str>, (id, words): (&str, &str)) -> Result<(), SinkError> {
        self.send(&[self.record(5, at, site, (id, words))]).await
    }

    /// The message as records.
    fn records(&self, message: &Message) -> Vec<String> {
        let record = |level: Level, kind: &str, id: &str, words: &str| {
            let severity = match (level, kind) {
                (_, "test") => 6,
                (Level::Fail, _) => 3,
                (Level::Warn, _) => 4,
                (Level::Fine, _) => 5,
            };
            self.record(severity, message.at(), message.site(), (id, words))
        };
        if message.kind() == MessageKind::Test {
            return vec![record(Level::Fine, "test", "test", &message.subject())];
        }
        let of = |item: &crate::Item| {
            let alarm = &item.alarm;
            let over = alarm.over.map_or_else(String::new, |over| format!(" until={over}"));
            let before = format!(
                "kind={} level={} reason={} subject=\"{}\" since={}{over} number={} detail=\"",
                item.kind.as_str(),
                item.worst_told(),
                alarm.reason.code(),
                quoted(&alarm.subject, SUBJECT),
                alarm.since,
                alarm.number,
            );
            let after = format!("\" remedy=\"{}\"", quoted(alarm.reason.remedy(), REMEDY));
            // What is too long loses particulars, never what to do nor a closing quote.
            let room = LONGEST.saturating_sub(HEAD.saturating_add(before.len()).saturating_add(after.len()));
            let words = format!("{before}{}{after}", quoted(&alarm.particulars(), room));
            record(item.level(), item.kind.as_str(), alarm.reason.code(), &words)
        };
        message.items().iter().map(of).collect()
    }

    fn record(&self, severity: u8, at: Timestamp, site: Option<&str>, (id, words): (&str, &str)) -> String {
        let host = site.map_or_else(|| "-".to_owned(), |site| text::ascii(site, 255).replace(' ', "_"));
        let priority = u16::from(self.facility) * 8 + u16::from(severity);
        let mut record = format!("<{priority}>1 {at} {host} waystation {} {} - ", platform::pid(), text::ascii(id, 32));
        let room = LONGEST.saturating_sub(record.len());
        let _ = record.write_str(&text::ascii(words, room));
        record
    }
}

/// Fit to stand between quotes, as printable ASCII of at most `most` bytes; what is cut ends in three dots.
fn quoted(text: &str, most: usize) -> String {
    const CUT: &str = "...";
    let (mut out, mut whole) = (String::new(), 0);
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => out.extend(c.escape_default()),
        }
        if out.len() > most {
            out.truncate(whole);
            out.push_str(CUT);
            return out;
        }
        // No escape is cut in two.
        if out.len().saturating_add(CUT.len()) <= most {
            whole = out.len();
        }
    }
    out
}

#[async_trait]
impl Sink for Syslog {
    fn peer(&self) -> Option<String> {
        Some(match &self.peer {
            SyslogPeer::Unix(path) => path.display().to_string(),
            SyslogPeer::Udp(host, port) | SyslogPeer::Tcp(host, port) | SyslogPeer::Tls(host, port, _) => {
                format!("{host}:{port}")
            }
        })
    }

    async fn tell(&self, message: &Message) -> Result<(), SinkError> {
        self.send(&self.records(message)).await
    }
}

impl Syslog {
    async fn send(&self, records: &[String]) -> Result<(), SinkError> {
        match &self.peer {
            #[cfg(unix)]
            SyslogPeer::Unix(path) => local(path, records).await,
            #[cfg(not(unix))]
            SyslogPeer::Unix(_) => Err(SinkError::new("this system has no such sockets")),
            SyslogPeer::Udp(host, port) => datagrams(host, *port, records).await,
            SyslogPeer::Tcp(host, port) => counted(connect(host, *port).await?, records).await,
            SyslogPeer::Tls(host, port, config) => {
                let failed = |error: &(dyn std::error::Error + 'static)| {
                    SinkError::of(&format!("TLS with {host}:{port}"), error)
                };
                let name = ServerName::try_from(host.clone()).map_err(|error| failed(&error))?;
                let stream = connect(host, *port).await?;
                let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
                counted(stream.map_err(|error| failed(&error))?, records).await
            }
        }
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, SinkError> {
    let stream = TcpStream::connect((host, port)).await;
    stream.map_err(|error| SinkError::of(&format!("no connection to {host}:{port}"), &error))
}

async fn datagrams(host: &str, port: u16, records: &[String]) -> Result<(), SinkError> {
    let failed = |error: std::io::Error| SinkError::of(&format!("cannot send to {host}:{port}"), &error);
    let peer = tokio::net::lookup_host((host, port)).await.map_err(failed)?.next();
    let peer = peer.ok_or_else(|| SinkError::new(format!("{host} has no addresses")))?;
    let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.connect(peer).await.map_err(failed)?;
    for record in records {
        socket.send(record.as_bytes()).await.map_err(failed)?;
    }
    Ok(())
}

#[cfg(unix)]
async fn local(path: &std::path::Path, records: &[String]) -> Result<(), SinkError> {
    use tokio::net::{UnixDatagram, UnixStream};
    let failed = |error: std::io::Error| SinkError::of(&format!("cannot send to {}", path.display()), &error);
    let socket = UnixDatagram::unbound().map_err(failed)?;
    match socket.connect(path) {
        Ok(()) => {
            for record in records {
                socket.send(record.as_bytes()).await.map_err(failed)?;
            }
            Ok(())
        }
        // A socket of the other kind: records are kept apart by a byte that stands in none of them.
        Err(error) if error.raw_os_error() == Some(WRONG_KIND) => {
            let mut stream = UnixStream::connect(path).await.map_err(failed)?;
            for record in records {
                stream.write_all(format!("{record}\0").as_bytes()).await.map_err(failed)?;
            }
            stream.shutdown().await.map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// EPROTOTYPE, which std has no name for.
#[cfg(target_os = "linux")]
const WRONG_KIND: i32 = 91;
#[cfg(all(unix, not(target_os = "linux")))]
const WRONG_KIND: i32 = 41;

/// Records with their lengths before them.
async fn counted<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, records: &[String]) -> Result<(), SinkError> {
    let failed = |error: std::io::Error| SinkError::of("the line broke", &error);
    for record in records {
        stream.write_all(format!("{} {record}", record.len()).as_bytes()).await.map_err(failed)?;
    }
    stream.flush().await.map_err(failed)?;
    // A receiver that refuses says so by closing: what was written to it then is lost, and no write tells.
    let mut byte = [0_u8];
    match tokio::time::timeout(CLOSES, stream.read(&mut byte)).await {
        Ok(Ok(0)) => return Err(SinkError::new("the receiver closed the line")),
        Ok(Err(error)) => return Err(failed(error)),
        _ => {}
    }
    stream.shutdown().await.map_err(failed)
}
