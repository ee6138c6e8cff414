//! The port.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use model::{Exchange, Fault, Reason, Retry, Timestamp};
use url::Url;

/// A part of a file, from a byte on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeAsk {
    /// The first byte wanted; not 0.
    pub from: u64,
    /// The strong ETag that the part must belong to (RFC 9110, 13.1.5); without one the caller must be able to
    /// prove the whole by its digest.
    pub if_range: Option<String>,
}

/// One GET, or a HEAD where the head alone is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to get.
    pub url: Url,
    /// `If-None-Match`, verbatim.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`, verbatim; not sent beside `if_none_match`.
    pub if_modified_since: Option<String>,
    /// A part only.
    pub range: Option<RangeAsk>,
    /// Hosts that redirects may lead to beside the URL's own: names, or `*.` and a suffix.
    pub redirect_hosts: Vec<String>,
    /// The answer's head alone.
    pub head_only: bool,
}

impl Request {
    /// An unconditional request for a whole file that may not be redirected elsewhere.
    pub fn get(url: Url) -> Self {
        Self {
            url,
            if_none_match: None,
            if_modified_since: None,
            range: None,
            redirect_hosts: Vec::new(),
            head_only: false,
        }
    }
}

/// When a host asked to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// After a while; already clamped to a day.
    In(Duration),
    /// At a time; at most a day ahead of our clock.
    At(Timestamp),
}

/// Which part a 206 brought (RFC 9110, 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// Its first byte.
    pub first: u64,
    /// Its last byte.
    pub last: u64,
    /// The size of the whole, where said.
    pub total: Option<u64>,
}

/// The body of an answer, chunk by chunk.
#[async_trait]
pub trait Body: Send {
    /// The next bytes; none at the end. An end before the announced length is [`Reason::ShortBody`].
    async fn chunk(&mut self) -> Result<Option<Bytes>, OutboundError>;
}

/// An answer with status 200, 206 or 304; everything else is an [`OutboundError`].
pub struct Response {
    /// 200, 206 or 304.
    pub status: u16,
    /// How it came; its last URL is the one that answered.
    pub exchange: Exchange,
    /// The ETag, verbatim.
    pub etag: Option<String>,
    /// The Last-Modified, verbatim.
    pub last_modified: Option<String>,
    /// The body's announced length.
    pub length: Option<u64>,
    /// On a 206, which part it is.
    pub content_range: Option<ContentRange>,
    /// The body; empty on 304.
    pub body: Box<dyn Body>,
}

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {detail}")]
pub struct OutboundError {
    /// Why.
    pub reason: Reason,
    /// On which URL, without credentials and cut at 512 bytes.
    pub url: String,
    /// What happened, in words; safe to print.
    pub detail: String,
    /// When the host asked to come back.
    pub retry_after: Option<RetryAfter>,
    /// The answer, where there was one.
    pub exchange: Option<Box<Exchange>>,
}

impl OutboundError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.reason.fault()
    }

    /// Whether trying again helps.
    pub fn retry(&self) -> Retry {
        self.reason.retry()
    }
}

/// The limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For name, connection and TLS.
    pub connect: Duration,
    /// From the request to the end of the answer's head.
    pub head: Duration,
    /// Between two chunks of the body.
    pub pause: Duration,
    /// The least rate, in bytes a second, over any 30 seconds.
    pub minimum_rate: u64,
    /// For one whole attempt.
    pub total: Duration,
    /// Redirects followed.
    pub hops: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            head: Duration::from_secs(60),
            pause: Duration::from_secs(60),
            minimum_rate: 1024,
            total: Duration::from_secs(6 * 3600),
            hops: 8,
        }
    }
}

/// Makes requests to the outside.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// One attempt, redirects included.
    async fn get(&self, request: Request) -> Result<Response, OutboundError>;
    /// Whether addresses of names are checked; not behind a proxy that resolves them.
    fn checks_addresses(&self) -> bool;
}
