//! Why a request brought nothing, before it is known on which URL; and the client library's errors in our words.

use std::error::Error;
use std::io;

use model::{Exchange, Reason};
use url::Url;

use crate::guard::ResolveError;
use crate::text::{escape, safe_url};
use crate::tls;
use crate::{OutboundError, RetryAfter};

/// The longest text taken over from a library's error.
const MAX_DETAIL: usize = 256;

/// A failure without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
    pub(crate) retry_after: Option<RetryAfter>,
}

impl Failure {
    /// `detail` must already be safe to print.
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), retry_after: None }
    }

    /// The public error, on `url`.
    pub(crate) fn on(self, url: &Url, exchange: Option<Exchange>) -> OutboundError {
        OutboundError {
            reason: self.reason,
            url: safe_url(url),
            detail: self.detail,
            retry_after: self.retry_after,
            exchange: exchange.map(Box::new),
        }
    }
}

/// Why no head came; `proxy` is the proxy asked, without credentials.
pub(crate) fn of_request(error: &reqwest::Error, proxy: Option<&str>) -> Failure {
    if let Some(refused) = find::<ResolveError>(error) {
        return refused.failure(proxy);
    }
    if let (Some(proxy), Some(tunnel)) = (proxy, tunnel_text(error)) {
        return of_tunnel(tunnel, error, proxy);
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return Failure::new(Reason::TlsFailed, tls::words(tls));
    }
    if error.is_timeout() {
        return Failure::new(Reason::Timeout, format!("no connection within the time given{}", through(proxy)));
    }
    if error.is_connect() {
        return match proxy {
            Some(proxy) => Failure::new(
                Reason::ProxyFailed,
                format!("no connection through the proxy {proxy}: {}", innermost(error)),
            ),
            None => Failure::new(Reason::ConnectFailed, format!("no connection: {}", innermost(error))),
        };
    }
    of_lost_head(error, proxy)
}

/// The connection stood, and yet no head that is HTTP came over it.
fn of_lost_head(error: &reqwest::Error, proxy: Option<&str>) -> Failure {
    let through = through(proxy);
    if let Some(http) = find::<hyper::Error>(error) {
        if http.is_parse() {
            return Failure::new(
                Reason::BadResponse,
                format!("the answer's head breaks HTTP or passes a cap: {}{through}", innermost(error)),
            );
        }
        if http.is_incomplete_message() {
            return Failure::new(Reason::BadResponse, format!("the connection was closed before an answer{through}"));
        }
    }
    match find::<io::Error>(error) {
        Some(_) => Failure::new(
            Reason::ConnectFailed,
            format!("the connection was lost before an answer: {}{through}", innermost(error)),
        ),
        None => Failure::new(Reason::BadResponse, format!("no answer: {}{through}", innermost(error))),
    }
}

/// Why the body broke off.
pub(crate) fn of_body(error: &reqwest::Error) -> Failure {
    if let Some(tls) = find::<rustls::Error>(error) {
        return Failure::new(Reason::BadResponse, format!("TLS broke in the body: {}", tls::words(tls)));
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message) {
        return Failure::new(Reason::ShortBody, "the connection was closed in the body");
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) | None => {
            Failure::new(Reason::BadResponse, format!("the body's framing is broken: {}", innermost(error)))
        }
        Some(_) => Failure::new(Reason::ShortBody, format!("the body broke off: {}", innermost(error))),
    }
}

fn of_tunnel(text: String, error: &reqwest::Error, proxy: &str) -> Failure {
    let detail = if text.contains("authorization required") {
        format!("the proxy {proxy} asks for credentials (407)")
    } else if text.contains("underlying connection") {
        format!("no connection to the proxy {proxy}: {}", innermost(error))
    } else if text.contains("unsuccessful") {
        format!("the proxy {proxy} refused the tunnel")
    } else if text.contains("end of file") {
        format!("the proxy {proxy} closed the connection instead of opening a tunnel")
    } else {
        format!("the proxy {proxy} opened no tunnel: {}", innermost(error))
    };
    Failure::new(Reason::ProxyFailed, detail)
}

/// The tunnel's error type is not public; its text is all there is to know it by, and a test holds it.
fn tunnel_text(error: &reqwest::Error) -> Option<String> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if text.starts_with("tunnel error") {
            return Some(text);
        }
        next = error.source();
    }
    None
}

fn through(proxy: Option<&str>) -> String {
    proxy.map(|proxy| format!(" (through the proxy {proxy})")).unwrap_or_default()
}

/// The first error of a type in the chain. `io::Error` hides what it wraps from `source`, so it is opened.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = inner(error);
    }
    None
}

fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = inner(last) {
        last = next;
    }
    escape(last.to_string().as_bytes(), MAX_DETAIL)
}
