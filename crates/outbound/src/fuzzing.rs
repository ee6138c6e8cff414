//! How answers' heads and redirects are read, for `fuzz-targets` alone: no part of the crate's face.

use std::time::Duration;

use model::{Reason, Timestamp};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::head::{Meaning, judge};
use crate::redirect::Chain;
use crate::{ContentRange, Request, RetryAfter};

/// What a head was taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// 200, 206 or 304: the announced length, and the part of a 206.
    Answer(Option<u64>, Option<ContentRange>),
    /// A redirect to this place.
    Redirect(String),
    /// Nothing that can be used.
    Refused {
        /// Why.
        reason: Reason,
        /// In words.
        detail: String,
        /// How long the host wants to be left alone.
        wait: Option<Duration>,
    },
}

/// Weighs a head whose fields are these; fields that no HTTP parser lets through are left out.
pub fn answer(request: &Request, status: u16, fields: &[(&[u8], &[u8])], now: Timestamp) -> Taken {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    match judge(request, status, &headers, now) {
        Ok(Meaning::Answer(answer)) => Taken::Answer(answer.length, answer.content_range),
        Ok(Meaning::Redirect(to)) => Taken::Redirect(to),
        Err(failure) => Taken::Refused {
            reason: failure.reason,
            detail: failure.detail,
            wait: failure.retry_after.map(|after| match after {
                RetryAfter::In(wait) => wait,
                RetryAfter::At(time) => time.since(now),
            }),
        },
    }
}

/// Where a redirect leads, if it may; else why not, in words.
///
/// # Errors
/// Why it is not followed.
pub fn redirect(from: &Url, location: &str, allowed: &[String]) -> Result<Url, String> {
    Chain::new(from.clone(), allowed, 8).follow(from, location).map_err(|failure| failure.detail)
}
