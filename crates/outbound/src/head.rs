//! What the head of an answer means: pure, the same for the network and for a script.

use std::time::Duration;

use model::{Reason, Timestamp, parse_http_date};
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, LOCATION, RETRY_AFTER,
    TRANSFER_ENCODING,
};

use crate::failure::Failure;
use crate::redirect::is_redirect;
use crate::text::safe_value;
use crate::{ContentRange, Request, RetryAfter};

/// The longest ETag and Last-Modified that count; a longer one is as if absent.
const MAX_VALIDATOR: usize = 1024;
/// The longest pause that a host may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A head that makes sense.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// 200, 206 or 304.
    Answer(Answer),
    /// Look there instead.
    Redirect(String),
}

/// What a head says about the body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    pub(crate) length: Option<u64>,
    pub(crate) content_range: Option<ContentRange>,
}

/// Weighs a head against what was asked.
pub(crate) fn judge(request: &Request, status: u16, headers: &HeaderMap, now: Timestamp) -> Result<Meaning, Failure> {
    let length = framing(headers)?;
    if is_redirect(status) {
        return location(headers).map(Meaning::Redirect);
    }
    let mut answer = Answer {
        etag: validator(headers, &ETAG),
        last_modified: validator(headers, &LAST_MODIFIED),
        length,
        content_range: None,
    };
    match status {
        200 => not_encoded(headers)?,
        206 => {
            not_encoded(headers)?;
            answer.content_range = Some(part(request, headers, length)?);
        }
        304 if request.if_none_match.is_none() && request.if_modified_since.is_none() => {
            return Err(Failure::new(Reason::UnexpectedNotModified, "304 to a request without conditions"));
        }
        304 => answer.length = None,
        _ => return Err(refusal(request, status, retry_after(headers, now))),
    }
    Ok(Meaning::Answer(answer))
}

/// What a status other than 200, 206, 304 and redirects means.
fn refusal(request: &Request, status: u16, retry_after: Option<RetryAfter>) -> Failure {
    let reason = match status {
        404 | 410 => Reason::NotFound,
        401 | 403 | 451 => Reason::Refused,
        407 => Reason::ProxyFailed,
        416 if request.range.is_some() => Reason::BadRange,
        429 => Reason::RateLimited,
        503 if retry_after.is_some() => Reason::RateLimited,
        500..=599 => Reason::ServerError,
        _ => Reason::UnexpectedStatus,
    };
    Failure { reason, detail: format!("answered {status}"), retry_after }
}

/// The announced length, once the framing is beyond doubt: what two readers could frame differently is refused.
fn framing(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let bad = |detail: &str| Failure::new(Reason::BadResponse, detail);
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(Failure::new(Reason::EncodedBody, "a transfer coding other than chunked")),
    };
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(None),
        (Some(_), _) if chunked => Err(bad("both Content-Length and Transfer-Encoding")),
        (Some(_), Some(_)) => Err(bad("more than one Content-Length")),
        (Some(length), None) => {
            let text = length.to_str().unwrap_or_default();
            let length = digits(text).ok_or_else(|| bad("Content-Length is no number"))?;
            Ok(Some(length))
        }
    }
}

fn not_encoded(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get_all(CONTENT_ENCODING).iter().find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Some(coding) => Err(Failure::new(
            Reason::EncodedBody,
            format!("the body is encoded as '{}' though identity was asked for", safe_value(coding, 64)),
        )),
        None => Ok(()),
    }
}

fn location(headers: &HeaderMap) -> Result<String, Failure> {
    let mut values = headers.get_all(LOCATION).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(location)), None) if !location.is_empty() => Ok(location.to_owned()),
        (None, _) => Err(Failure::new(Reason::BadResponse, "a redirect without Location")),
        _ => Err(Failure::new(Reason::BadResponse, "a redirect with a broken Location")),
    }
}

/// A validator as it came, if it stands once, is printable and short; what cannot be sent back is worth nothing (U45).
fn validator(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let text = value.to_str().ok()?;
    (!text.is_empty() && text.len() <= MAX_VALIDATOR).then(|| text.to_owned())
}

/// The part that a 206 brings, if it is one that was asked for (U36).
fn part(request: &Request, headers: &HeaderMap, length: Option<u64>) -> Result<ContentRange, Failure> {
    let bad = |detail: String| Failure::new(Reason::BadRange, detail);
    let Some(asked) = &request.range else { return Err(bad("206 to a request for the whole".to_owned())) };
    let mut values = headers.get_all(CONTENT_RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(bad("206 without one Content-Range".to_owned()));
    };
    let range = value
        .to_str()
        .ok()
        .and_then(content_range)
        .ok_or_else(|| bad(format!("Content-Range '{}' is broken", safe_value(value, 64))))?;
    if range.first != asked.from {
        return Err(bad(format!("the part starts at byte {}, not at {}", range.first, asked.from)));
    }
    let size = range.last.saturating_sub(range.first).saturating_add(1);
    if length.is_some_and(|length| length != size) {
        return Err(bad(format!("the part has {size} bytes and Content-Length says otherwise")));
    }
    Ok(range)
}

/// `bytes first-last/total`, where the total may be `*` (RFC 9110, 14.4).
fn content_range(text: &str) -> Option<ContentRange> {
    let (unit, rest) = text.split_once(' ')?;
    let (span, total) = rest.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last) = (digits(first)?, digits(last)?);
    let total = match total {
        "*" => None,
        total => Some(digits(total)?),
    };
    let sound = unit.eq_ignore_ascii_case("bytes") && first <= last && total.is_none_or(|total| last < total);
    sound.then_some(ContentRange { first, last, total })
}

/// When the host asked to come back. What is no time is ignored, what is far is brought near (U15, U16).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<RetryAfter> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let wait = text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs);
        return Some(RetryAfter::In(wait.min(MAX_RETRY_AFTER)));
    }
    parse_http_date(text).map(|at| RetryAfter::At(at.min(now.after(MAX_RETRY_AFTER))))
}

/// Digits alone: no sign, no space, no overflow.
fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests;
