//! A client that sees every byte.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use vendor_sim::{Settings, Simulator};

/// What came back, as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// How the reading ended: `None` by the end of the connection.
    pub(crate) error: Option<std::io::ErrorKind>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The path and query of the Location, wherever it leads.
    pub(crate) fn location_path(&self) -> String {
        let location = self.header("Location").unwrap();
        match location.strip_prefix("http://") {
            Some(rest) => rest[rest.find('/').unwrap()..].to_owned(),
            None => location.to_owned(),
        }
    }
}

/// Two versions, ten artifacts of 4 KB: quick.
pub(crate) fn small() -> Settings {
    let mut settings = Settings::default();
    settings.elastic.artifacts = 10;
    settings.elastic.artifact_size = 4096;
    settings.defender.archive_size = 16 * 1024;
    settings
}

pub(crate) fn start(settings: Settings) -> Simulator {
    Simulator::start(settings).unwrap()
}

pub(crate) fn get(simulator: &Simulator, target: &str) -> Answer {
    ask(simulator.address(), "GET", target, &[])
}

pub(crate) fn get_with(simulator: &Simulator, target: &str, fields: &[&str]) -> Answer {
    ask(simulator.address(), "GET", target, fields)
}

/// One request on a connection of its own.
pub(crate) fn ask(address: SocketAddr, method: &str, target: &str, fields: &[&str]) -> Answer {
    exchange(address, request(address, method, target, fields).as_bytes())
}

/// The same, by a client that takes a fifth of a second of silence for an answer.
pub(crate) fn ask_briefly(address: SocketAddr, method: &str, target: &str, fields: &[&str]) -> Answer {
    exchange_within(Duration::from_millis(200), address, request(address, method, target, fields).as_bytes())
}

fn request(address: SocketAddr, method: &str, target: &str, fields: &[&str]) -> String {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    fields.iter().for_each(|field| request.push_str(&format!("{field}\r\n")));
    request.push_str("\r\n");
    request
}

/// Sends bytes and reads what comes, up to 64 MB.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    exchange_within(Duration::from_secs(30), address, request)
}

fn exchange_within(silence: Duration, address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(silence)).unwrap();
    stream.write_all(request).unwrap();
    let (mut bytes, mut buffer, mut error) = (Vec::new(), vec![0; 65_536], None);
    while bytes.len() < 64 << 20 {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(why) => {
                error = Some(why.kind());
                break;
            }
        }
    }
    split(&bytes, error)
}

fn split(bytes: &[u8], error: Option<std::io::ErrorKind>) -> Answer {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Answer { head: String::from_utf8_lossy(bytes).into_owned(), error, ..Answer::default() };
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Answer { status, head, body: bytes[end + 4..].to_vec(), error }
}
