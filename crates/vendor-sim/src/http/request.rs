//! Reading a request's head.

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

const HEAD: usize = 64 * 1024;
const BODY: usize = 1 << 20;
const FIELDS: usize = 100;

/// A request's head.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    /// The connection may carry another one.
    pub(crate) keep_alive: bool,
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The client went away, before or within a head.
    Gone,
    /// What came is not HTTP, or more than is read.
    Bad,
}

impl Request {
    /// The first field of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads the next request; `buffer` keeps what came behind it.
pub(crate) async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Request, ReadError> {
    loop {
        if let Some((request, used)) = parse(buffer)? {
            buffer.drain(..used);
            skip_body(stream, buffer, &request).await?;
            return Ok(request);
        }
        more(stream, buffer, HEAD).await?;
    }
}

/// A body is read and forgotten, so that the next head stands at the front.
async fn skip_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, request: &Request) -> Result<(), ReadError> {
    if request.header("transfer-encoding").is_some() {
        return Err(ReadError::Bad);
    }
    let Some(length) = request.header("content-length") else { return Ok(()) };
    let length: usize = length.parse().map_err(|_| ReadError::Bad)?;
    while buffer.len() < length {
        more(stream, buffer, BODY).await?;
    }
    buffer.drain(..length);
    Ok(())
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>, limit: usize) -> Result<(), ReadError> {
    if buffer.len() >= limit {
        return Err(ReadError::Bad);
    }
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => Err(ReadError::Gone),
        Ok(_) => Ok(()),
    }
}

/// The head at the front of `buffer` and its length, if it is whole.
fn parse(buffer: &[u8]) -> Result<Option<(Request, usize)>, ReadError> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let used = match head.parse(buffer) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ReadError::Bad),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<_> = head.headers.iter().map(|field| (field.name.to_owned(), text(field.value))).collect();
    let mut request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: origin_form(head.path.unwrap_or_default()),
        headers,
        keep_alive: head.version == Some(1),
    };
    let said = |request: &Request, word: &str| {
        request.header("connection").is_some_and(|value| value.to_ascii_lowercase().contains(word))
    };
    request.keep_alive = (request.keep_alive || said(&request, "keep-alive")) && !said(&request, "close");
    Ok(Some((request, used)))
}

/// A proxy's client sends the absolute form (RFC 9112, 3.2.2).
fn origin_form(target: &str) -> String {
    let Some(rest) = target.strip_prefix("http://") else { return target.to_owned() };
    rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn heads_parse() {
        let (request, used) = parse(b"GET http://h:1/x?y HTTP/1.1\r\nHost: h\r\n\r\nrest").unwrap().unwrap();
        assert_eq!((request.target.as_str(), used, request.keep_alive), ("/x?y", 40, true));
        assert!(!parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().0.keep_alive);
        assert!(!parse(b"GET / HTTP/1.1\r\nconnection: Close\r\n\r\n").unwrap().unwrap().0.keep_alive);
        assert!(parse(b"GET / HTT").unwrap().is_none());
        assert!(parse(b"\x00\x01\r\n\r\n").is_err());
    }
}
