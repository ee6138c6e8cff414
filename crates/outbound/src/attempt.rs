//! One attempt: ask, weigh the head, follow redirects, hand over the body.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Clock, Exchange, Reason, TlsAnchor};
use reqwest::header::{
    ACCEPT_ENCODING, AGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE, SERVER, VIA,
};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::body::{Chunks, NoChunks, Origin, Transfer};
use crate::failure::Failure;
use crate::guard::Guard;
use crate::head::{Answer, Meaning, judge};
use crate::meter::Limiter;
use crate::redirect::{Chain, first};
use crate::text::safe_value;
use crate::{Limits, OutboundError, Request, Response};

/// The headers that a record keeps.
const RECORDED: [HeaderName; 10] =
    [ETAG, LAST_MODIFIED, DATE, CACHE_CONTROL, CONTENT_TYPE, CONTENT_LANGUAGE, CONTENT_LENGTH, VIA, AGE, SERVER];
/// The longest value that a record keeps.
const MAX_RECORDED: usize = 256;
/// A total limit that is longer than clocks can count is as long as this.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Sends one request over the wire, or over something that plays it.
#[async_trait]
pub(crate) trait Wire: Send + Sync {
    /// Asks `url`, following nothing.
    async fn ask(&self, url: &Url, sent: Sent) -> Result<RawAnswer, Failure>;
    /// The proxy that `url` is asked through, without credentials.
    fn proxy(&self, url: &Url) -> Option<String>;
}

/// What goes out on each hop.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) head_only: bool,
    pub(crate) headers: HeaderMap,
}

/// An answer whose head nobody has weighed.
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) anchor: TlsAnchor,
    pub(crate) chunks: Box<dyn Chunks>,
}

/// What holds for every attempt of a client.
pub(crate) struct Rules {
    pub(crate) guard: Arc<Guard>,
    pub(crate) allow_plain_http: bool,
    pub(crate) limits: Limits,
    pub(crate) limiter: Option<Arc<Limiter>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Rules {
    /// Makes one attempt.
    pub(crate) async fn attempt(&self, wire: &dyn Wire, request: &Request) -> Result<Response, OutboundError> {
        let began = Instant::now();
        let deadline = began.checked_add(self.limits.total.min(FAR)).unwrap_or(began);
        let fail = |failure: Failure| failure.on(&request.url, None);
        let mut url = first(&request.url, self.allow_plain_http).map_err(fail)?;
        let sent = Sent { head_only: request.head_only, headers: headers(request).map_err(fail)? };
        let mut chain = Chain::new(url.clone(), &request.redirect_hosts, self.limits.hops);
        loop {
            self.guard.check_url(&url).map_err(|failure| failure.on(&url, None))?;
            let raw = self.ask(wire, &url, sent.clone(), deadline).await.map_err(|failure| failure.on(&url, None))?;
            let exchange = self.exchange(&chain, wire.proxy(&url), &raw);
            tracing::debug!(url = exchange.urls.last(), status = raw.status, "answered");
            let meaning = judge(request, raw.status, &raw.headers, exchange.at)
                .map_err(|failure| naming_proxy(failure, &exchange).on(&url, Some(exchange.clone())))?;
            match meaning {
                Meaning::Answer(answer) => return Ok(self.respond(answer, raw, Origin { url, exchange }, deadline)),
                Meaning::Redirect(location) => {
                    url = chain.follow(&url, &location).map_err(|failure| failure.on(&url, Some(exchange)))?;
                }
            }
        }
    }

    async fn ask(&self, wire: &dyn Wire, url: &Url, sent: Sent, deadline: Instant) -> Result<RawAnswer, Failure> {
        let head_end = Instant::now().checked_add(self.limits.head.min(FAR)).unwrap_or(deadline);
        match timeout_at(head_end.min(deadline), wire.ask(url, sent)).await {
            Ok(answer) => answer,
            Err(_) if deadline <= head_end => Err(Failure::new(Reason::Deadline, "no answer before the deadline")),
            Err(_) => Err(Failure::new(Reason::Timeout, format!("no head of an answer within {:?}", self.limits.head))),
        }
    }

    fn exchange(&self, chain: &Chain, proxy: Option<String>, raw: &RawAnswer) -> Exchange {
        let recorded = RECORDED
            .iter()
            .filter_map(|name| Some((name.to_string(), safe_value(raw.headers.get(name)?, MAX_RECORDED))))
            .collect();
        Exchange {
            urls: chain.shown(),
            status: raw.status,
            anchor: raw.anchor,
            proxy,
            headers: recorded,
            at: self.clock.now(),
        }
    }

    fn respond(&self, answer: Answer, raw: RawAnswer, origin: Origin, deadline: Instant) -> Response {
        let chunks = if raw.status == 304 { Box::new(NoChunks) } else { raw.chunks };
        let exchange = origin.exchange.clone();
        let body = Transfer::new(chunks, answer.length, origin, &self.limits, deadline).limited(self.limiter.clone());
        Response {
            status: raw.status,
            exchange,
            etag: answer.etag,
            last_modified: answer.last_modified,
            length: answer.length,
            content_range: answer.content_range,
            body: Box::new(body),
        }
    }
}

/// A proxy that asks for credentials is named, for the operator has more than one place to look.
fn naming_proxy(mut failure: Failure, exchange: &Exchange) -> Failure {
    if let (Reason::ProxyFailed, Some(proxy)) = (failure.reason, &exchange.proxy) {
        failure.detail = format!("the proxy {proxy} asks for credentials ({})", exchange.status);
    }
    failure
}

fn headers(request: &Request) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let mut set = |name: HeaderName, value: &str| match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.insert(name, value);
            Ok(())
        }
        Err(_) => Err(Failure::new(Reason::Internal, format!("the value for {name} cannot be sent"))),
    };
    if let Some(tag) = &request.if_none_match {
        set(IF_NONE_MATCH, tag)?;
    } else if let Some(date) = &request.if_modified_since {
        set(IF_MODIFIED_SINCE, date)?;
    }
    if let Some(range) = &request.range {
        set(RANGE, &format!("bytes={}-", range.from))?;
        if let Some(tag) = &range.if_range {
            set(IF_RANGE, tag)?;
        }
    }
    Ok(headers)
}
