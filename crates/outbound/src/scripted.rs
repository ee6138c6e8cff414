//! A client that plays a script, for tests of whatever stands on this port.
//!
//! It goes through the same code as the network's: statuses, redirects, ranges, lengths and codings mean the same.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use model::{Clock, Reason, TlsAnchor};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::attempt::{RawAnswer, Rules, Sent, Wire};
use crate::body::Chunks;
use crate::failure::Failure;
use crate::guard::Guard;
use crate::{Limits, Outbound, OutboundError, Request, Response};

/// One answer of a script.
#[derive(Clone, Debug)]
pub struct ScriptedAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    chunks: Vec<Bytes>,
    anchor: TlsAnchor,
    fails: Option<Failure>,
    head: bool,
}

impl ScriptedAnswer {
    /// An answer with a status and nothing else.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), chunks: Vec::new(), anchor: TlsAnchor::PublicRoot, fails: None, head: true }
    }

    /// 200 with a body in one chunk and its length.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self::status(200).header("content-length", &body.len().to_string()).chunk(body)
    }

    /// 206 with the part of `whole` from byte `from` on; empty and broken if there is none.
    pub fn part(whole: &[u8], from: usize) -> Self {
        let part = Bytes::copy_from_slice(whole.get(from..).unwrap_or_default());
        let range = format!("bytes {from}-{}/{}", whole.len().saturating_sub(1), whole.len());
        Self::status(206).header("content-range", &range).header("content-length", &part.len().to_string()).chunk(part)
    }

    /// 302 to somewhere.
    pub fn redirect(location: &str) -> Self {
        Self::status(302).header("location", location)
    }

    /// No answer: the request fails.
    pub fn failure(reason: Reason, detail: &str) -> Self {
        Self { head: false, ..Self::status(0).then_fails(reason, detail) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a chunk to the body.
    #[must_use]
    pub fn chunk(mut self, bytes: impl Into<Bytes>) -> Self {
        self.chunks.push(bytes.into());
        self
    }

    /// Lets the body break off after its last chunk.
    #[must_use]
    pub fn then_fails(mut self, reason: Reason, detail: &str) -> Self {
        self.fails = Some(Failure::new(reason, detail));
        self
    }

    /// What vouches for the host; a public root if nothing is said.
    #[must_use]
    pub fn vouched_by(mut self, anchor: TlsAnchor) -> Self {
        self.anchor = anchor;
        self
    }
}

/// A client whose answers were written beforehand.
pub struct ScriptedClient {
    script: Script,
    rules: Rules,
    requests: Mutex<Vec<Request>>,
}

#[derive(Default)]
struct Script {
    answers: Mutex<HashMap<String, VecDeque<ScriptedAnswer>>>,
    asked: Mutex<Vec<String>>,
}

impl ScriptedClient {
    /// A client with an empty script: each request fails to connect.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let rules = Rules {
            guard: Arc::new(Guard::Off),
            allow_plain_http: true,
            limits: Limits::default(),
            limiter: None,
            clock,
        };
        Self { script: Script::default(), rules, requests: Mutex::default() }
    }

    /// Adds an answer for `url`. The answers of one URL are given in order; the last one is given ever after.
    pub fn answer(&self, url: &str, answer: ScriptedAnswer) -> &Self {
        let url = Url::parse(url).map_or_else(|_| url.to_owned(), String::from);
        lock(&self.script.answers).entry(url).or_default().push_back(answer);
        self
    }

    /// Forgets the answers for `url`, then adds one.
    pub fn replace(&self, url: &str, answer: ScriptedAnswer) -> &Self {
        let key = Url::parse(url).map_or_else(|_| url.to_owned(), String::from);
        lock(&self.script.answers).remove(&key);
        self.answer(url, answer)
    }

    /// Every request so far, as the caller made it.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }

    /// Every URL asked so far, redirects included.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.script.asked).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Outbound for ScriptedClient {
    async fn get(&self, request: Request) -> Result<Response, OutboundError> {
        lock(&self.requests).push(request.clone());
        self.rules.attempt(&self.script, &request).await
    }

    fn checks_addresses(&self) -> bool {
        true
    }
}

impl Script {
    fn next(&self, url: &str) -> Option<ScriptedAnswer> {
        let mut answers = lock(&self.answers);
        let queue = answers.get_mut(url)?;
        if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() }
    }
}

#[async_trait]
impl Wire for Script {
    async fn ask(&self, url: &Url, _: Sent) -> Result<RawAnswer, Failure> {
        lock(&self.asked).push(url.to_string());
        let Some(answer) = self.next(url.as_str()) else {
            return Err(Failure::new(Reason::ConnectFailed, "no answer is scripted"));
        };
        if let (false, Some(failure)) = (answer.head, &answer.fails) {
            return Err(failure.clone());
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &answer.headers {
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => headers.append(name, value),
                _ => return Err(Failure::new(Reason::BadResponse, "the script has a header that is none")),
            };
        }
        let anchor = if url.scheme() == "https" { answer.anchor } else { TlsAnchor::None };
        let chunks = Box::new(ScriptedChunks { chunks: answer.chunks.into(), fails: answer.fails });
        Ok(RawAnswer { status: answer.status, headers, anchor, chunks })
    }

    fn proxy(&self, _url: &Url) -> Option<String> {
        None
    }
}

struct ScriptedChunks {
    chunks: VecDeque<Bytes>,
    fails: Option<Failure>,
}

#[async_trait]
impl Chunks for ScriptedChunks {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        match (self.chunks.pop_front(), self.fails.take()) {
            (Some(bytes), fails) => {
                self.fails = fails;
                Ok(Some(bytes))
            }
            (None, Some(failure)) => Err(failure),
            (None, None) => Ok(None),
        }
    }
}
