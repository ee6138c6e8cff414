//! Requests, and the heads of answers.

use std::fmt::Write as _;

use crate::wire::{Place, WireError};

/// The most fields in a head.
const MAX_FIELDS: usize = 128;

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Http {
    V10,
    #[default]
    V11,
}

/// A request without a body.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    /// The path below the place's prefix.
    pub(crate) route: String,
    pub(crate) http: Http,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Ask {
    pub(crate) fn get(route: &str) -> Self {
        Self { method: "GET", route: route.to_owned(), http: Http::V11, fields: Vec::new() }
    }

    pub(crate) fn head(route: &str) -> Self {
        Self { method: "HEAD", ..Self::get(route) }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// As a report shows it: the method and what is special about it.
    pub(crate) fn shown(&self) -> String {
        let mut text = self.method.to_owned();
        if self.http == Http::V10 {
            text.push_str(" (HTTP/1.0)");
        }
        for (name, value) in &self.fields {
            let _ = write!(text, " {name}: {value}");
        }
        text
    }

    /// The bytes that are sent.
    pub(crate) fn bytes(&self, place: &Place) -> Vec<u8> {
        let version = match self.http {
            Http::V10 => "1.0",
            Http::V11 => "1.1",
        };
        let path = place.path(&self.route);
        let mut text = format!("{} {path} HTTP/{version}\r\nHost: {}\r\n", self.method, place.authority);
        text.push_str("User-Agent: waystation-doctor\r\nAccept: */*\r\n");
        for (name, value) in &self.fields {
            let clean: String = value.chars().filter(|c| !c.is_control()).collect();
            let _ = write!(text, "{name}: {clean}\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// The head of an answer, as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The minor version of HTTP/1.
    pub(crate) minor: u8,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head if it is there whole; how many bytes it takes.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, WireError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut answer = httparse::Response::new(&mut fields);
        match answer.parse(bytes) {
            Ok(httparse::Status::Partial) => Ok(None),
            Ok(httparse::Status::Complete(length)) => {
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                let fields = answer.headers.iter().map(|field| (field.name.to_owned(), text(field.value))).collect();
                let head = Self { status: answer.code.unwrap_or(0), minor: answer.version.unwrap_or(0), fields };
                Ok(Some((head, length)))
            }
            Err(error) => Err(WireError::NotHttp(error.to_string())),
        }
    }

    /// The first field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every field of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn etag(&self) -> Option<&str> {
        self.field("etag")
    }

    /// The announced length, if it is one number.
    pub(crate) fn length(&self) -> Option<u64> {
        let text = self.field("content-length")?;
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.field("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"))
    }

    /// A content coding other than none.
    pub(crate) fn coding(&self) -> Option<&str> {
        self.field("content-encoding").filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
    }

    /// Whether the connection takes another request.
    pub(crate) fn keeps_alive(&self) -> bool {
        let says = |word: &str| self.all("connection").any(|value| value.to_ascii_lowercase().contains(word));
        if self.minor == 0 { says("keep-alive") } else { !says("close") }
    }

    pub(crate) fn is_redirect(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_head_is_read_as_it_came() {
        let bytes = b"HTTP/1.1 206 Partial\r\nETag: \"a\"\r\nContent-Length: 10\r\nConnection: Close\r\n\r\nbody";
        let (head, length) = Head::parse(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.etag(), head.length()), (206, Some("\"a\""), Some(10)));
        assert!(!head.keeps_alive() && !head.is_chunked() && &bytes[length..] == b"body");
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n").unwrap().is_none());
        assert!(Head::parse(b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
        for bad in ["+5", " 5", "5,5", "", "0x5", "99999999999999999999"] {
            let head = Head { fields: vec![("content-length".to_owned(), bad.to_owned())], ..Head::default() };
            assert_eq!(head.length(), None, "{bad:?}");
        }
    }

    #[test]
    fn a_request_has_no_lines_of_others_c36() {
        let place = Place::of(&url::Url::parse("http://h/").unwrap()).unwrap();
        let bytes = Ask::get("/x").with("If-None-Match", "\"a\"\r\nEvil: 1").bytes(&place);
        assert!(!String::from_utf8(bytes).unwrap().contains("\nEvil"));
    }

    proptest! {
        #[test]
        fn any_head_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::parse(&bytes);
        }
    }
}
