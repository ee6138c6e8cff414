//! The index: path to prebuilt head and blob, swapped whole.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use model::{Digest, FeedId, RingName, RoutePath, Timestamp};

use crate::blob::Blob;
use crate::conditional::{Conditions, seconds};
use crate::{Beyond, Face};

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

    /// Whether another state serves all that this one serves, whatever it serves beside that.
    pub(crate) fn is_kept_by(&self, other: &Self) -> bool {
        self.routes.iter().all(|(path, entry)| {
            let there = other.routes.get(path).map(|there| (there.blob.digest, there.blob.size));
            there == Some((entry.blob.digest, entry.blob.size))
        })
    }

    /// Whether nothing can be read of what is not in memory, and not merely for want of a small file or two: what the fleet
    /// comes for is gone.
    pub(crate) fn is_hollow(&self) -> bool {
        self.has_no_file_left() && self.outside().any(|blob| !blob.is_small())
    }

    /// Whether something is not in memory, and nothing of that can be read.
    pub(crate) fn has_no_file_left(&self) -> bool {
        let mut outside = self.outside().peekable();
        outside.peek().is_some() && outside.all(|blob| blob.is_broken())
    }

    fn outside(&self) -> impl Iterator<Item = &Arc<Blob>> {
        self.routes.values().map(|entry| &entry.blob).filter(|blob| !blob.is_kept())
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
    /// Whether a ring answers with bytes at a path.
    pub(crate) fn serves(&self, ring: &RingName, path: &[u8]) -> bool {
        let index = self.rings.get(ring.as_str().as_bytes()).unwrap_or(&self.default);
        matches!(index.find(path), Found::Entry(_))
    }

    /// The ring that a path belongs to, and the path in it.
    pub(crate) fn place<'a, 'p>(&'a self, path: &'p [u8]) -> Option<(&'a RingName, &'p [u8])> {
        let Some(rest) = path.strip_prefix(b"/rings/") else { return Some((&self.default.ring, path)) };
        let at = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (name, inner) = rest.split_at(at);
        self.rings.get(name).map(|ring| (&ring.ring, single_slash(inner)))
    }

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
    face: OnceLock<Option<Box<Face>>>,
    /// Whose face it is; none where nobody tells anything of it.
    whose: Option<Box<Whose>>,
    head: OnceLock<Head>,
}

/// Who is asked for a route's face, and by what names.
pub(crate) struct Whose {
    pub(crate) beyond: Arc<dyn Beyond>,
    pub(crate) feed: FeedId,
    pub(crate) path: RoutePath,
}

impl std::fmt::Debug for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.path, self.feed)
    }
}

impl Entry {
    pub(crate) fn new(path: &str, blob: Arc<Blob>, since: Timestamp) -> Self {
        let kind = ContentType::of(path);
        Self { blob, since, kind, face: OnceLock::new(), whose: None, head: OnceLock::new() }
    }

    /// Whether what is told of it beside its bytes is told for this feed.
    pub(crate) fn is_of(&self, feed: &FeedId) -> bool {
        self.whose.as_deref().is_none_or(|whose| whose.feed == *feed)
    }

    /// Has somebody tell what there is to tell of it beside its bytes.
    pub(crate) fn told_by(self, whose: Whose) -> Self {
        Self { whose: Some(Box::new(whose)), ..self }
    }

    /// What is told of it beside its bytes.
    pub(crate) fn face(&self) -> Option<&Face> {
        let whose = self.whose.as_deref()?;
        let face = || whose.beyond.face(&whose.feed, &whose.path, &self.blob.digest).map(Box::new);
        self.face.get_or_init(face).as_deref()
    }

    /// When it was modified, for conditions on dates: a date that another server gave counts only where the client
    /// brings that very date, so that two kinds of dates are never compared.
    pub(crate) fn modified(&self, conditions: &Conditions<'_>) -> Timestamp {
        let Some(face) = self.face() else { return self.since };
        let given = [conditions.if_modified_since, conditions.if_unmodified_since];
        let brought = face.last_modified.as_ref().is_some_and(|date| given.contains(&Some(date.as_bytes())));
        face.modified().filter(|_| brought).unwrap_or(self.since)
    }

    /// The prebuilt head, made on the first request so that routes nobody asks for cost nothing.
    pub(crate) fn head(&self) -> &Head {
        self.head.get_or_init(|| match self.face() {
            None => Head::of_bytes(&self.blob, self.since, self.kind),
            Some(face) => Head::with_face(&self.blob, self.since, self.kind, face),
        })
    }
}

/// The header lines of a route's or a base's answers, all but `Date` and `Connection`.
#[derive(Debug)]
pub(crate) struct Head {
    lines: Box<[u8]>,
    etag_end: usize,
    validators_end: usize,
    partial_end: usize,
    /// The date in it, and where that stands.
    modified: Option<(Timestamp, Range<usize>)>,
}

/// When an answer is given, and the same as an HTTP date.
pub(crate) type Answered<'a> = (Timestamp, &'a [u8]);

const ETAG_AT: usize = b"ETag: ".len();
/// What changes under its address is asked for again each time.
const NO_CACHE: &str = "no-cache";

impl Head {
    /// The head of a line of text at a base: no date, no ranges.
    pub(crate) fn of_text(text: &[u8]) -> Self {
        let kind = format!("{}\r\n", ContentType::Text.as_str());
        Self::build((&Digest::of(text), text.len() as u64), None, (NO_CACHE, &kind))
    }

    fn of_bytes(blob: &Blob, since: Timestamp, kind: ContentType) -> Self {
        let kind = format!("{}\r\n", kind.as_str());
        Self::build((&blob.digest, blob.size), Some((since, &since.http_date())), (NO_CACHE, &kind))
    }

    fn with_face(blob: &Blob, since: Timestamp, kind: ContentType, face: &Face) -> Self {
        let given = face.modified().zip(face.last_modified.clone());
        let (modified, date) = given.unwrap_or_else(|| (since, since.http_date()));
        let kind = face.content_type.clone().unwrap_or_else(|| kind.as_str().to_owned());
        let caching = face.cache_control.as_deref().unwrap_or(NO_CACHE);
        let line =
            |name: &str, value: Option<&str>| value.map(|value| format!("{name}: {value}\r\n")).unwrap_or_default();
        let language = line("Content-Language", face.content_language.as_deref());
        let trust = line("Waystation-Trust", face.trust);
        let kind = format!("{kind}\r\n{language}{trust}");
        Self::build((&blob.digest, blob.size), Some((modified, &date)), (caching, &kind))
    }

    fn build((digest, size): (&Digest, u64), date: Option<(Timestamp, &str)>, (caching, kind): (&str, &str)) -> Self {
        let mut lines = format!("ETag: {}", digest.etag());
        let etag_end = lines.len();
        lines.push_str(&format!("\r\nCache-Control: {caching}\r\n"));
        let validators_end = lines.len();
        let modified = date.map(|(at, date)| {
            lines.push_str("Last-Modified: ");
            let from = lines.len();
            lines.push_str(date);
            let modified = (at, from..lines.len());
            lines.push_str("\r\nAccept-Ranges: bytes\r\n");
            modified
        });
        lines.push_str(&format!("Content-Type: {kind}"));
        let partial_end = lines.len();
        lines.push_str(&format!("Content-Length: {size}\r\n"));
        let lines = lines.into_bytes().into_boxed_slice();
        Self { lines, etag_end, validators_end, partial_end, modified }
    }

    /// The entity tag, quotes included.
    pub(crate) fn etag(&self) -> &[u8] {
        self.lines.get(ETAG_AT..self.etag_end).unwrap_or_default()
    }

    /// The lines of a 200, for an answer of this time.
    pub(crate) fn full<'a>(&'a self, answered: Answered<'a>) -> [&'a [u8]; 3] {
        self.dated(self.lines.len(), answered)
    }

    /// The lines of a 206 without its range and length, for an answer of this time.
    pub(crate) fn partial<'a>(&'a self, answered: Answered<'a>) -> [&'a [u8]; 3] {
        self.dated(self.partial_end, answered)
    }

    /// A date that lies ahead is replaced by that of the answer (RFC 9110, 8.8.2.1).
    fn dated<'a>(&'a self, end: usize, (now, date): Answered<'a>) -> [&'a [u8]; 3] {
        let lines = |range: Range<usize>| self.lines.get(range).unwrap_or_default();
        match &self.modified {
            Some((at, place)) if seconds(*at) > seconds(now) => [lines(0..place.start), date, lines(place.end..end)],
            _ => [lines(0..end), b"", b""],
        }
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
