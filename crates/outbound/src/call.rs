//! Calls of an API: consoles and search clusters of the operator's own. One attempt, no redirects; the answer is read
//! whole, up to a cap, whatever its status.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use model::Reason;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;
use url::Url;

use crate::failure::{Failure, of_body, of_request};
use crate::redirect::first;
use crate::{HttpClient, OutboundError, Secret};

/// What is done to the thing that a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is read.
    Get,
    /// It is asked a question that stands in the body.
    Post,
    /// It is replaced.
    Put,
}

/// One call.
#[derive(Clone)]
pub struct Call {
    verb: Verb,
    url: Url,
    headers: Vec<(&'static str, Secret)>,
    body: Option<Bytes>,
    cap: u64,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({:?} {})", self.verb, crate::text::safe_url(&self.url))
    }
}

impl Call {
    /// A call without a body whose answer may have `cap` bytes.
    pub fn new(verb: Verb, url: Url, cap: u64) -> Self {
        Self { verb, url, headers: Vec::new(), body: None, cap }
    }

    /// With a header; its value is never shown.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: Secret) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With JSON.
    #[must_use]
    pub fn with_json(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// What is done.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// To what.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    fn header_map(&self) -> Result<HeaderMap, Failure> {
        let bad = |name: &str| Failure::new(Reason::Internal, format!("the header {name} cannot be sent"));
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &self.headers {
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(name))?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| bad(name))?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        Ok(headers)
    }
}

/// What a call was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status, whatever it is.
    pub status: u16,
    /// The body, whole.
    pub body: Bytes,
}

/// Calls APIs.
#[async_trait]
pub trait Caller: Send + Sync {
    /// One attempt.
    ///
    /// # Errors
    /// [`OutboundError`] when there was no answer, or one that is larger than the cap.
    async fn call(&self, call: Call) -> Result<Reply, OutboundError>;
}

#[async_trait]
impl Caller for HttpClient {
    async fn call(&self, call: Call) -> Result<Reply, OutboundError> {
        let url = call.url.clone();
        let limits = &self.rules.limits;
        let ended = timeout(limits.total, self.converse(call)).await;
        let ended =
            ended.unwrap_or_else(|_| Err(Failure::new(Reason::Deadline, "no whole answer before the deadline")));
        ended.map_err(|failure| failure.on(&url, None))
    }
}

impl HttpClient {
    async fn converse(&self, call: Call) -> Result<Reply, Failure> {
        let url = first(&call.url, self.rules.allow_plain_http)?;
        self.rules.guard.check_url(&url)?;
        let headers = call.header_map()?;
        let (client, proxy) = self.network.client_for(&url);
        let request = match call.verb {
            Verb::Get => client.get(url),
            Verb::Post => client.post(url),
            Verb::Put => client.put(url),
        };
        let request = match call.body {
            Some(body) => request.body(body),
            None => request,
        };
        let limits = &self.rules.limits;
        let mut answer = match timeout(limits.head, request.headers(headers).send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(of_request(&error, proxy)),
            Err(_) => {
                return Err(Failure::new(Reason::Timeout, format!("no head of an answer within {:?}", limits.head)));
            }
        };
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        loop {
            let chunk = match timeout(limits.pause, answer.chunk()).await {
                Ok(chunk) => chunk.map_err(|error| of_body(&error))?,
                Err(_) => {
                    return Err(Failure::new(Reason::Timeout, format!("no more of it within {:?}", limits.pause)));
                }
            };
            let Some(chunk) = chunk else { return Ok(Reply { status, body: body.into() }) };
            if (body.len() as u64).saturating_add(chunk.len() as u64) > call.cap {
                let detail = format!("the answer ({status}) has more than {} bytes", call.cap);
                return Err(Failure::new(Reason::TooLarge, detail));
            }
            body.extend_from_slice(&chunk);
        }
    }
}
