//! An honest answer: conditions and ranges as RFC 9110 has them.

use model::{Timestamp, parse_http_date};

use super::reply::Reply;
use super::request::Request;
use crate::fault::{EtagFault, Fault};
use crate::world::{Resolution, Resource};

/// The honest answer, but for what `promise` says of validators and ranges.
pub(crate) fn answer(resolution: &Resolution, request: &Request, promise: Option<&Fault>) -> Reply {
    if request.method != "GET" && request.method != "HEAD" {
        let mut reply = Reply::text(405, "only GET and HEAD\n");
        reply.set("Allow", "GET, HEAD");
        return reply;
    }
    match resolution {
        Resolution::Found(resource) => found(resource, request, promise),
        Resolution::Redirect(_, location) => Reply::redirect(location.clone()),
        Resolution::Missing(_) => Reply::text(404, "not found\n"),
    }
}

fn found(resource: &Resource, request: &Request, promise: Option<&Fault>) -> Reply {
    let etag = stated_etag(&resource.etag, promise);
    let dated = promise != Some(&Fault::Etag(EtagFault::None));
    let mut reply = if not_modified(request, etag.as_deref(), resource.modified, dated) {
        Reply::nothing(304)
    } else {
        let ranges = promise != Some(&Fault::IgnoreRange);
        let range = if ranges { wanted_range(request, etag.as_deref(), resource) } else { Wanted::Whole };
        with_range(resource, range)
    };
    if let Some(etag) = etag {
        reply.set("ETag", etag);
    }
    if dated {
        reply.set("Last-Modified", resource.modified.http_date());
    }
    reply.set("Accept-Ranges", "bytes");
    reply
}

fn stated_etag(honest: &str, promise: Option<&Fault>) -> Option<String> {
    let Some(Fault::Etag(fault)) = promise else { return Some(honest.to_owned()) };
    let bare = honest.trim_matches('"');
    match fault {
        EtagFault::None => None,
        EtagFault::Weak => Some(format!("W/{honest}")),
        EtagFault::Empty => Some("\"\"".to_owned()),
        EtagFault::Unquoted => Some(bare.to_owned()),
        EtagFault::Huge => Some(format!("\"{}\"", "e".repeat(64 * 1024))),
        EtagFault::Same => Some(format!("\"{}\"", "0".repeat(32))),
        EtagFault::Dashed => Some(format!("\"{}-{}\"", bare.get(..8).unwrap_or(bare), bare.get(8..12).unwrap_or(bare))),
    }
}

fn not_modified(request: &Request, etag: Option<&str>, modified: Timestamp, dated: bool) -> bool {
    if let Some(list) = request.header("if-none-match") {
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        return list.trim() == "*" || etag.is_some_and(|etag| list.split(',').any(|tag| opaque(tag) == opaque(etag)));
    }
    let since = request.header("if-modified-since").and_then(parse_http_date);
    dated && since.is_some_and(|since| modified <= since)
}

/// What part of a resource is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From, and up to but without.
    Part(u64, u64),
    Impossible,
}

fn wanted_range(request: &Request, etag: Option<&str>, resource: &Resource) -> Wanted {
    let Some(text) = request.header("range") else { return Wanted::Whole };
    if let Some(condition) = request.header("if-range") {
        // Only a strong tag will do, or the very date (RFC 9110, 13.1.5).
        let same_tag = etag == Some(condition) && !condition.starts_with("W/");
        if !same_tag && condition != resource.modified.http_date() {
            return Wanted::Whole;
        }
    }
    parse_range(text, resource.body.len())
}

/// A single range; what is not understood, or is several, is ignored.
fn parse_range(text: &str, len: u64) -> Wanted {
    let parse = || {
        let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
        let number = |text: &str| text.trim().parse::<u64>().ok();
        Some(match (first.trim(), last.trim()) {
            ("", suffix) => (len.saturating_sub(number(suffix)?), len),
            (first, "") => (number(first)?, len),
            (first, last) => (number(first)?, number(last)?.saturating_add(1).min(len)),
        })
    };
    match parse() {
        None => Wanted::Whole,
        Some((start, end)) if start < end => Wanted::Part(start, end),
        Some((start, _)) if start >= len => Wanted::Impossible,
        Some(_) => Wanted::Whole,
    }
}

fn with_range(resource: &Resource, wanted: Wanted) -> Reply {
    let len = resource.body.len();
    let mut reply = match wanted {
        Wanted::Whole => Reply::new(200, resource.body.clone()),
        Wanted::Part(start, end) => {
            let mut reply = Reply::new(206, resource.body.clone());
            (reply.start, reply.end) = (start, end);
            reply.set("Content-Range", format!("bytes {start}-{}/{len}", end - 1));
            reply
        }
        Wanted::Impossible => {
            let mut reply = Reply::text(416, "no such range\n");
            reply.set("Content-Range", format!("bytes */{len}"));
            return reply;
        }
    };
    reply.set("Content-Type", resource.content_type);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_ranges() {
        for (text, wanted) in [
            ("bytes=0-", Wanted::Part(0, 10)),
            ("bytes=3-5", Wanted::Part(3, 6)),
            ("bytes=9-99", Wanted::Part(9, 10)),
            ("bytes=-4", Wanted::Part(6, 10)),
            ("bytes=-99", Wanted::Part(0, 10)),
            ("bytes=10-", Wanted::Impossible),
            ("bytes=-0", Wanted::Impossible),
            ("bytes=5-3", Wanted::Whole),
            ("bytes=1-2,4-5", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes=18446744073709551615-", Wanted::Impossible),
            ("bytes=0-18446744073709551615", Wanted::Part(0, 10)),
        ] {
            assert_eq!(parse_range(text, 10), wanted, "{text}");
        }
    }
}
