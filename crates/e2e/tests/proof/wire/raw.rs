//! Bytes out, bytes in: nothing is added to a request and nothing is hidden of what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By its status or its request: there is none.
    None,
    /// By Content-Length.
    Length,
    /// By chunks.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// One answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Sends bytes, says that nothing follows, and reads until the other side has said the same.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // A server that refuses may close before it has read everything: what it said first still counts.
    if let Err(error) = stream.write_all(bytes) {
        assert!(is_gone(error.kind()), "{error}");
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut read = Vec::new();
    if let Err(error) = stream.read_to_end(&mut read) {
        assert!(is_gone(error.kind()), "{address}: {error} after {} bytes: {}", read.len(), shown(bytes));
    }
    read
}

pub(crate) fn is_gone(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted | ErrorKind::NotConnected
    )
}

/// Bytes for a person, no longer than a few lines.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let short = &bytes[..bytes.len().min(700)];
    let more = if short.len() < bytes.len() { format!("… ({} bytes)", bytes.len()) } else { String::new() };
    format!("{:?}{more}", String::from_utf8_lossy(short))
}

/// What came back on one connection.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Final answers, in order.
    pub(crate) answers: Vec<Answer>,
    /// What is no answer: the reason.
    pub(crate) broken: Option<String>,
}

/// Reads all answers; `heads` says for each request in turn whether it was a HEAD.
pub(crate) fn read_all(bytes: &[u8], heads: &[bool]) -> Said {
    let (mut said, mut at) = (Said::default(), 0);
    while at < bytes.len() {
        let is_head = heads.get(said.answers.len()).copied().unwrap_or(false);
        match read_one(&bytes[at..], is_head) {
            Ok((answer, length)) => {
                at += length;
                // 100 Continue comes before an answer and is none.
                if answer.status >= 200 {
                    said.answers.push(answer);
                }
            }
            Err(why) => {
                said.broken = Some(format!("{why}: {}", shown(&bytes[at..])));
                return said;
            }
        }
    }
    said
}

fn read_one(bytes: &[u8], is_head: bool) -> Result<(Answer, usize), &'static str> {
    let end = find(bytes, b"\r\n\r\n").ok_or("no end of a head")? + 4;
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    let status: u16 = status.ok_or("no status line")?;
    let fields: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, fields, framing: Framing::None, body: Vec::new() };
    let rest = &bytes[end..];
    // A request that was not understood may be answered with a body though it said HEAD.
    let no_body = is_head && (status < 400 || rest.is_empty() || rest.starts_with(b"HTTP/1."));
    if no_body || status < 200 || matches!(status, 204 | 304) {
        return Ok((answer, end));
    }
    if answer.field("transfer-encoding").is_some() {
        answer.framing = Framing::Chunked;
        let (body, length) = unchunk(rest).ok_or("chunks that end nowhere")?;
        answer.body = body;
        return Ok((answer, end + length));
    }
    let said = answer.field("content-length").map(str::parse);
    let (framing, length) = match said {
        Some(said) => (Framing::Length, said.map_err(|_| "a length that is no number")?),
        None => (Framing::Close, rest.len()),
    };
    answer.framing = framing;
    answer.body = rest.get(..length).ok_or("a body cut short")?.to_vec();
    Ok((answer, end + length))
}

fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        at += line + 2;
        if size == 0 {
            return Some((body, at + find(&bytes[at..], b"\r\n")? + 2));
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
