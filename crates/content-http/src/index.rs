//! The index: path to prebuilt head and blob, swapped whole.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use model::{Digest, RingName, Timestamp};

use crate::blob::Blob;

/// Everything that is served at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) default: Arc<RingIndex>,
    pub(crate) rings: HashMap<Box<[u8]>, Arc<RingIndex>>,
}

/// One ring at one moment.
#[derive(Debug)]
pub(crate) struct RingIndex {
    pub(crate) ring: RingName,
    /// None before the first publication.
    pub(crate) served: Option<Served>,
}

/// One generation, ready to serve.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) number: u64,
    pub(crate) digest: Digest,
    pub(crate) at: Timestamp,
    pub(crate) routes: HashMap<Box<[u8]>, Arc<Entry>>,
    pub(crate) bases: HashSet<Box<[u8]>>,
}

impl Served {
    /// How many routes have no bytes to answer with now.
    pub(crate) fn broken(&self) -> usize {
        self.routes.values().filter(|entry| entry.blob.is_broken()).count()
    }

    pub(crate) fn is_whole(&self) -> bool {
        !self.routes.values().any(|entry| entry.blob.is_broken())
    }

    /// Whether any route has bytes to answer with, as far as there are routes.
    pub(crate) fn answers(&self) -> bool {
        self.routes.is_empty() || self.routes.values().any(|entry| !entry.blob.is_broken())
    }
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// Bytes.
    Entry(&'a Arc<Entry>),
    /// A base: a line of text.
    Base,
    /// Nothing.
    Absent,
    /// The ring has nothing published yet.
    Unpublished,
}

impl Snapshot {
    /// Looks a path up; `path` starts with a slash and has lost the listener's prefix.
    pub(crate) fn find(&self, path: &[u8]) -> Found<'_> {
        let Some(rest) = path.strip_prefix(b"/rings/") else { return self.default.find(path) };
        let at = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (name, inner) = rest.split_at(at);
        match self.rings.get(name) {
            Some(ring) => ring.find(single_slash(inner)),
            None => Found::Absent,
        }
    }
}

impl RingIndex {
    pub(crate) fn empty(ring: RingName) -> Self {
        Self { ring, served: None }
    }

    fn find(&self, path: &[u8]) -> Found<'_> {
        let Some(served) = &self.served else { return Found::Unpublished };
        if let Some(entry) = served.routes.get(path) {
            return Found::Entry(entry);
        }
        let base = path.strip_suffix(b"/").unwrap_or(path);
        if base.is_empty() || served.bases.contains(base) { Found::Base } else { Found::Absent }
    }
}

/// Takes one doubled slash at the start as one.
pub(crate) fn single_slash(path: &[u8]) -> &[u8] {
    match path {
        [b'/', rest @ ..] if rest.starts_with(b"/") => rest,
        whole => whole,
    }
}

/// One route, ready to serve.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) blob: Arc<Blob>,
    pub(crate) since: Timestamp,
    kind: ContentType,
    head: OnceLock<Head>,
}

impl Entry {
    pub(crate) fn new(path: &str, blob: Arc<Blob>, since: Timestamp) -> Self {
        Self { blob, since, kind: ContentType::of(path), head: OnceLock::new() }
    }

    /// The prebuilt head, made on the first request so that routes nobody asks for cost nothing.
    pub(crate) fn head(&self) -> &Head {
        self.head.get_or_init(|| Head::of(&self.blob.digest, self.blob.size, Some(self.since), self.kind))
    }
}

/// The header lines of a route's or a base's answers, all but `Date` and `Connection`.
#[derive(Debug)]
pub(crate) struct Head {
    lines: Box<[u8]>,
    etag_end: usize,
    validators_end: usize,
    partial_end: usize,
}

const ETAG_AT: usize = b"ETag: ".len();

impl Head {
    /// The head of a line of text at a base: no date, no ranges.
    pub(crate) fn of_text(text: &[u8]) -> Self {
        Self::of(&Digest::of(text), text.len() as u64, None, ContentType::Text)
    }

    fn of(digest: &Digest, size: u64, since: Option<Timestamp>, kind: ContentType) -> Self {
        let mut lines = format!("ETag: {}", digest.etag());
        let etag_end = lines.len();
        lines.push_str("\r\nCache-Control: no-cache\r\n");
        let validators_end = lines.len();
        if let Some(since) = since {
            lines.push_str(&format!("Last-Modified: {}\r\nAccept-Ranges: bytes\r\n", since.http_date()));
        }
        lines.push_str(&format!("Content-Type: {}\r\n", kind.as_str()));
        let partial_end = lines.len();
        lines.push_str(&format!("Content-Length: {size}\r\n"));
        Self { lines: lines.into_bytes().into_boxed_slice(), etag_end, validators_end, partial_end }
    }

    /// The entity tag, quotes included.
    pub(crate) fn etag(&self) -> &[u8] {
        self.lines.get(ETAG_AT..self.etag_end).unwrap_or_default()
    }

    /// The lines of a 200.
    pub(crate) fn full(&self) -> &[u8] {
        &self.lines
    }

    /// The lines of a 206 without its range and length.
    pub(crate) fn partial(&self) -> &[u8] {
        self.lines.get(..self.partial_end).unwrap_or_default()
    }

    /// The lines of a 304, 412 and 416: tag and cache rule.
    pub(crate) fn validators(&self) -> &[u8] {
        self.lines.get(..self.validators_end).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
enum ContentType {
    Zip,
    Json,
    Text,
    Bytes,
}

impl ContentType {
    fn of(path: &str) -> Self {
        if path.ends_with(".zip") {
            Self::Zip
        } else if path.ends_with("/manifest.json") {
            Self::Json
        } else {
            Self::Bytes
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Zip => "application/zip",
            Self::Json => "application/json",
            Self::Text => "text/plain",
            Self::Bytes => "application/octet-stream",
        }
    }
}
