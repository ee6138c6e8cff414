//! A client of one request, so that nothing is hidden by a library's kindness.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its fields, in order.
    pub headers: Vec<(String, String)>,
    /// Its body, as long as its Content-Length says.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Download {
    /// The answer's head; its body is empty.
    pub head: Answer,
    /// How many bytes of body are announced.
    pub length: u64,
    stream: TcpStream,
}

impl Download {
    /// Sends a request and reads the head of its answer.
    ///
    /// # Errors
    /// When nothing listens, or the answer is none.
    pub fn begin(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes())?;
        let head = read_head(&mut stream)?;
        let length = head.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Self { head, length, stream })
    }

    /// Reads so many bytes of the body.
    ///
    /// # Errors
    /// When the body ends sooner.
    pub fn read(&mut self, bytes: u64) -> io::Result<Vec<u8>> {
        let mut read = vec![0; usize::try_from(bytes).expect("tests ask for little")];
        self.stream.read_exact(&mut read)?;
        Ok(read)
    }

    /// The end of the body: nothing may follow it.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn end(mut self) -> io::Result<()> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        assert!(rest.is_empty(), "{} bytes behind the announced end", rest.len());
        Ok(())
    }
}

/// Head first, byte by byte: what follows belongs to the body.
fn read_head(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status line: {text}")))?;
    let fields = lines.filter_map(|line| line.split_once(':'));
    let headers = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    Ok(Answer { status, headers, body: Vec::new() })
}

/// Asks for a path, and reads the answer to its end.
///
/// # Errors
/// When there is no whole answer.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    get_with(address, path, &[])
}

/// The same with more fields in the request.
///
/// # Errors
/// When there is no whole answer.
pub fn get_with(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> io::Result<Answer> {
    let mut download = Download::begin(address, path, fields)?;
    let length = if download.head.status == 304 { 0 } else { download.length };
    let body = download.read(length)?;
    let answer = Answer { body, ..download.head.clone() };
    download.end()?;
    Ok(answer)
}
