//! What goes out: alarms to a webhook, signs of life. One attempt, no redirects, and nothing is read of the answer
//! but its status.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use model::Reason;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;
use url::Url;

use crate::failure::Failure;
use crate::redirect::first;
use crate::{HttpClient, OutboundError, Secret};

/// One request that tells somebody something.
#[derive(Clone)]
pub struct Push {
    url: Url,
    kind: Kind,
    header: Option<(String, Secret)>,
}

#[derive(Clone)]
enum Kind {
    Get,
    Post(Option<(&'static str, Bytes)>),
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Push({})", self.shown())
    }
}

impl Push {
    /// A GET.
    pub fn get(url: Url) -> Self {
        Self { url, kind: Kind::Get, header: None }
    }

    /// A POST of nothing.
    pub fn post(url: Url) -> Self {
        Self { url, kind: Kind::Post(None), header: None }
    }

    /// A POST of JSON.
    pub fn json(url: Url, body: Vec<u8>) -> Self {
        Self { url, kind: Kind::Post(Some(("application/json", body.into()))), header: None }
    }

    /// With a header whose value is a secret.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.header = Some((name.into(), value));
        self
    }

    /// Where to, with nothing of the path: it may be a secret.
    fn shown(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path("/…");
        url.set_query(None);
        url
    }

    fn headers(&self) -> Result<HeaderMap, Failure> {
        let bad = |_| Failure::new(Reason::Internal, "the header to send is none");
        let mut headers = HeaderMap::new();
        if let Kind::Post(Some((kind, _))) = &self.kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some((name, value)) = &self.header {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(()))?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| bad(()))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

/// Tells somebody something.
#[async_trait]
pub trait Pusher: Send + Sync {
    /// One attempt; the status that it was answered with, whatever it is. Redirects are not followed.
    ///
    /// # Errors
    /// [`OutboundError`] when there was no answer; its URL has no path.
    async fn push(&self, push: Push) -> Result<u16, OutboundError>;
}

#[async_trait]
impl Pusher for HttpClient {
    async fn push(&self, push: Push) -> Result<u16, OutboundError> {
        let shown = push.shown();
        self.send(push).await.map_err(|failure| failure.on(&shown, None))
    }
}

impl HttpClient {
    async fn send(&self, push: Push) -> Result<u16, Failure> {
        let url = first(&push.url, self.rules.allow_plain_http)?;
        self.rules.guard.check_url(&url)?;
        let headers = push.headers()?;
        let (client, proxy) = self.network.client_for(&url);
        let request = match push.kind {
            Kind::Get => client.get(url),
            Kind::Post(None) => client.post(url).body(""),
            Kind::Post(Some((_, body))) => client.post(url).body(body),
        };
        let limits = &self.rules.limits;
        let sent = timeout(limits.head.min(limits.total), request.headers(headers).send()).await;
        match sent {
            Ok(Ok(answer)) => Ok(answer.status().as_u16()),
            Ok(Err(error)) => Err(crate::failure::of_request(&error, proxy)),
            Err(_) => Err(Failure::new(Reason::Timeout, format!("no head of an answer within {:?}", limits.head))),
        }
    }
}
