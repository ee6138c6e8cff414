//! An answer before it is written, with all that may be wrong about how it is.

use std::time::Duration;

use crate::content::Body;
use crate::fault::{ChunkFault, HeadFault};
use crate::script::Script;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    /// The part of the body that is sent.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) framing: Framing,
    pub(crate) cut: Option<Cut>,
    pub(crate) head_fault: Option<HeadFault>,
    /// One byte each.
    pub(crate) drip: Option<Duration>,
    /// In place of all the above.
    pub(crate) script: Option<Script>,
}

/// How the body's end is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A right Content-Length.
    Length,
    /// No body, and no field about one (204, 304).
    Nothing,
    /// These Content-Lengths.
    Declared(Vec<String>),
    /// The end of the connection.
    Close,
    /// Content-Length and chunks.
    LengthAndChunked,
    /// Chunks without end.
    Endless,
    /// Chunks with this fault.
    Chunked(ChunkFault),
}

/// Where an answer ends too early, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) at: CutAt,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutAt {
    BeforeHead,
    InHead,
    /// After so many bytes of the body.
    Body(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Close,
    Reset,
    Stall,
}

impl Reply {
    /// An answer with a body, whole.
    pub(crate) fn new(status: u16, body: Body) -> Self {
        let end = body.len();
        let (headers, framing) = (Vec::new(), Framing::Length);
        Self { status, headers, body, start: 0, end, framing, cut: None, head_fault: None, drip: None, script: None }
    }

    /// An answer with a short text.
    pub(crate) fn text(status: u16, text: impl Into<String>) -> Self {
        let mut reply = Self::new(status, Body::held(text.into()));
        reply.set("Content-Type", "text/plain");
        reply
    }

    /// An answer that has no body by its nature.
    pub(crate) fn nothing(status: u16) -> Self {
        Self { framing: Framing::Nothing, ..Self::new(status, Body::held("")) }
    }

    /// A redirect.
    pub(crate) fn redirect(to: impl Into<String>) -> Self {
        let mut reply = Self::new(302, Body::held(""));
        reply.set("Location", to);
        reply
    }

    /// Sets a field, replacing what it was.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.remove(name);
        self.headers.push((name, value.into()));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// How many bytes of body it means to send.
    pub(crate) fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The status for counters: none if not even its line is sent.
    pub(crate) fn visible_status(&self) -> u16 {
        let cut = self.cut.is_some_and(|cut| cut.at != CutAt::InHead && !matches!(cut.at, CutAt::Body(_)));
        if cut || self.script.is_some() || self.head_fault == Some(HeadFault::Garbage) { 0 } else { self.status }
    }

    /// The head as bytes; `close` says so.
    pub(crate) fn head(&self, close: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.framing {
            Framing::Length => head.push_str(&format!("Content-Length: {}\r\n", self.length())),
            Framing::Declared(all) => all.iter().for_each(|text| head.push_str(&format!("Content-Length: {text}\r\n"))),
            Framing::LengthAndChunked => {
                head.push_str(&format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", self.length()));
            }
            Framing::Endless | Framing::Chunked(_) => head.push_str("Transfer-Encoding: chunked\r\n"),
            Framing::Nothing | Framing::Close => {}
        }
        if close {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// Whether the connection can carry another answer after this one.
    pub(crate) fn reusable(&self) -> bool {
        self.cut.is_none() && self.head_fault.is_none() && matches!(self.framing, Framing::Length | Framing::Nothing)
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        226 => "IM Used",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Simulated",
    }
}
