//! From a request and the index to an answer: writes heads and small bodies, plans large ones.

use std::fs::File;
use std::io::Write;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use model::Timestamp;

use crate::SourceError;
use crate::conditional::{Precondition, if_range_holds};
use crate::identity::Identity;
use crate::index::{Entry, Found, Head, Snapshot, single_slash};
use crate::range::{Wanted, wanted};
use crate::request::{Method, Persistence, Request};

/// What stands in every answer.
pub(crate) struct Frame<'a> {
    /// The time as an HTTP date.
    pub(crate) date: &'a [u8],
    pub(crate) persistence: Persistence,
    pub(crate) now: Timestamp,
    /// For how many seconds the vendor has failed to confirm what is served, while it does.
    pub(crate) age: Option<u64>,
}

/// Opens blobs and reads small ones.
pub(crate) trait Bodies {
    /// Appends the whole body of a small blob.
    fn append(&mut self, entry: &Entry, part: Part, out: &mut Vec<u8>) -> Result<(), SourceError>;
    /// A checked descriptor of a large one.
    fn open(&mut self, entry: &Entry) -> Result<Opened, SourceError>;
}

/// A checked descriptor, and the file as it was when it was opened.
pub(crate) type Opened = (Rc<File>, Identity);

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) first: u64,
    pub(crate) length: u64,
}

/// A body that is sent after what was written.
#[derive(Debug)]
pub(crate) struct Bulk {
    pub(crate) file: Rc<File>,
    /// The file as it was when it was opened.
    pub(crate) identity: Identity,
    pub(crate) entry: Arc<Entry>,
    pub(crate) part: Part,
    /// The blob's epoch when its file was opened.
    pub(crate) epoch: u32,
}

/// An entry whose bytes turned out not to be there.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) entry: Arc<Entry>,
    pub(crate) epoch: u32,
    pub(crate) error: SourceError,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// Bytes of body that were written already.
    pub(crate) body: u64,
    pub(crate) bulk: Option<Bulk>,
    /// Why an entry could not be read, when that is why the answer is an error.
    pub(crate) missed: Option<Missed>,
    /// Whether what was asked for is something that is served.
    pub(crate) found: bool,
}

impl Answered {
    /// Whether nothing is served at the path that was asked for.
    pub(crate) fn is_absent(&self) -> bool {
        !self.found && self.missed.is_none() && matches!(self.status, 404 | 503)
    }

    fn plain(status: u16) -> Self {
        Self { status, body: 0, bulk: None, missed: None, found: false }
    }
}

const BASE_LINE: &[u8] = b"This is a mirror of endpoint protection content.\n";
static BASE_HEAD: LazyLock<Head> = LazyLock::new(|| Head::of_text(BASE_LINE));

/// Answers a request for a path below `prefix` (which has no slash at its end).
pub(crate) fn answer(
    request: &Request<'_>,
    snapshot: &Snapshot,
    prefix: &[u8],
    frame: &Frame<'_>,
    writing: (&mut dyn Bodies, &mut Vec<u8>),
) -> Answered {
    let (bodies, out) = writing;
    match request.method {
        Method::Get | Method::Head => {}
        Method::NotAllowed(_) => return refuse(405, frame, out),
        Method::Unknown => return refuse(501, frame, out),
    }
    let found = match request.path.strip_prefix(prefix) {
        Some(b"") if !prefix.is_empty() => snapshot.find(b"/"),
        Some(inner) if inner.starts_with(b"/") => snapshot.find(single_slash(inner)),
        _ => Found::Absent,
    };
    match found {
        Found::Entry(entry) => Answered { found: true, ..serve(request, entry, frame, bodies, out) },
        Found::Base => base(request, frame, out),
        Found::Absent => refuse(404, frame, out),
        Found::Unpublished => refuse(503, frame, out),
    }
}

/// What a 401 must say (RFC 9110, 11.6.1); both schemes are always taken.
const CHALLENGES: &[u8] = b"WWW-Authenticate: Basic realm=\"waystation\", charset=\"UTF-8\"\r\nWWW-Authenticate: Bearer realm=\"waystation\"\r\n";

/// An answer without a body.
pub(crate) fn refuse(status: u16, frame: &Frame<'_>, out: &mut Vec<u8>) -> Answered {
    start(out, status, frame);
    match status {
        401 => out.extend_from_slice(CHALLENGES),
        405 => out.extend_from_slice(b"Allow: GET, HEAD\r\n"),
        503 => out.extend_from_slice(b"Retry-After: 30\r\n"),
        _ => {}
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    Answered::plain(status)
}

fn base(request: &Request<'_>, frame: &Frame<'_>, out: &mut Vec<u8>) -> Answered {
    let head: &Head = &BASE_HEAD;
    if let Some(refused) = unless_wanted(request.conditions.evaluate(head.etag(), None, frame.now), head, frame, out) {
        return refused;
    }
    start(out, 200, frame);
    write_all(head.full((frame.now, frame.date)), out);
    out.extend_from_slice(b"\r\n");
    if request.method == Method::Head {
        return Answered::plain(200);
    }
    out.extend_from_slice(BASE_LINE);
    Answered { body: BASE_LINE.len() as u64, ..Answered::plain(200) }
}

/// The 304 or 412 that a precondition leads to; none when it holds.
fn unless_wanted(precondition: Precondition, head: &Head, frame: &Frame<'_>, out: &mut Vec<u8>) -> Option<Answered> {
    let (status, end) = match precondition {
        Precondition::Holds => return None,
        Precondition::NotModified => (304, b"\r\n".as_slice()),
        Precondition::Failed => (412, b"Content-Length: 0\r\n\r\n".as_slice()),
    };
    start(out, status, frame);
    out.extend_from_slice(head.validators());
    out.extend_from_slice(end);
    Some(Answered::plain(status))
}

fn serve(
    request: &Request<'_>,
    entry: &Arc<Entry>,
    frame: &Frame<'_>,
    bodies: &mut dyn Bodies,
    out: &mut Vec<u8>,
) -> Answered {
    // Before any precondition: those count only where the answer would be a success (RFC 9110, 13.2.1).
    let Some(epoch) = entry.blob.epoch() else { return refuse(503, frame, out) };
    let head = entry.head();
    let face = entry.face().inspect(|face| face.ask());
    let aged = Frame { age: face.and_then(|face| face.age(frame.now)), ..*frame };
    let frame = &aged;
    let modified = entry.modified(&request.conditions);
    let precondition = request.conditions.evaluate(head.etag(), Some(modified), frame.now);
    if let Some(refused) = unless_wanted(precondition, head, frame, out) {
        return refused;
    }
    let size = entry.blob.size;
    let whole = Part { first: 0, length: size };
    let (status, part) = match ranged(request, head.etag(), size) {
        Wanted::Whole => (200, whole),
        Wanted::Part { first, length } => (206, Part { first, length }),
        Wanted::Unsatisfiable => {
            start(out, 416, frame);
            out.extend_from_slice(head.validators());
            let _ = write!(out, "Content-Range: bytes */{size}\r\nContent-Length: 0\r\n\r\n");
            return Answered::plain(416);
        }
    };
    let rewind = out.len();
    let body = if request.method == Method::Head { None } else { Some(part) };
    match write_entry(entry, status, part, body, frame, (bodies, out)) {
        Ok((body, file)) => {
            let bulk = file.map(|(file, identity)| Bulk { file, identity, entry: Arc::clone(entry), part, epoch });
            Answered { body, bulk, ..Answered::plain(status) }
        }
        Err(error) => {
            out.truncate(rewind);
            Answered { missed: Some(Missed { entry: Arc::clone(entry), epoch, error }), ..refuse(503, frame, out) }
        }
    }
}

/// The range that applies: `Range` is for GET alone, and `If-Range` must hold.
fn ranged(request: &Request<'_>, etag: &[u8], size: u64) -> Wanted {
    match request.range {
        Some(range)
            if request.method == Method::Get && request.if_range.is_none_or(|value| if_range_holds(value, etag)) =>
        {
            wanted(range, size)
        }
        _ => Wanted::Whole,
    }
}

/// Writes the head, and a small body with it; how many bytes of body that was, or the file of a large one.
#[allow(clippy::too_many_arguments, reason = "the one place where all parts of an answer meet")]
fn write_entry(
    entry: &Arc<Entry>,
    status: u16,
    part: Part,
    body: Option<Part>,
    frame: &Frame<'_>,
    writing: (&mut dyn Bodies, &mut Vec<u8>),
) -> Result<(u64, Option<Opened>), SourceError> {
    let (bodies, out) = writing;
    start(out, status, frame);
    if status == 206 {
        write_all(entry.head().partial((frame.now, frame.date)), out);
        let (first, last) = (part.first, part.first.saturating_add(part.length).saturating_sub(1));
        let _ = write!(
            out,
            "Content-Range: bytes {first}-{last}/{}\r\nContent-Length: {}\r\n",
            entry.blob.size, part.length
        );
    } else {
        write_all(entry.head().full((frame.now, frame.date)), out);
    }
    out.extend_from_slice(b"\r\n");
    let Some(part) = body else { return Ok((0, None)) };
    if entry.blob.is_small() {
        bodies.append(entry, part, out)?;
        return Ok((part.length, None));
    }
    Ok((0, Some(bodies.open(entry)?)))
}

fn write_all(parts: [&[u8]; 3], out: &mut Vec<u8>) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn start(out: &mut Vec<u8>, status: u16, frame: &Frame<'_>) {
    out.extend_from_slice(status_line(status));
    out.extend_from_slice(frame.date);
    out.extend_from_slice(match frame.persistence {
        Persistence::Stay => b"\r\n".as_slice(),
        Persistence::StaySaid => b"\r\nConnection: keep-alive\r\n",
        Persistence::Close => b"\r\nConnection: close\r\n",
    });
    if let Some(age) = frame.age {
        let _ = write!(out, "Age: {age}\r\n");
    }
}

fn status_line(status: u16) -> &'static [u8] {
    match status {
        200 => b"HTTP/1.1 200 OK\r\nDate: ",
        206 => b"HTTP/1.1 206 Partial Content\r\nDate: ",
        304 => b"HTTP/1.1 304 Not Modified\r\nDate: ",
        400 => b"HTTP/1.1 400 Bad Request\r\nDate: ",
        401 => b"HTTP/1.1 401 Unauthorized\r\nDate: ",
        403 => b"HTTP/1.1 403 Forbidden\r\nDate: ",
        404 => b"HTTP/1.1 404 Not Found\r\nDate: ",
        405 => b"HTTP/1.1 405 Method Not Allowed\r\nDate: ",
        412 => b"HTTP/1.1 412 Precondition Failed\r\nDate: ",
        414 => b"HTTP/1.1 414 URI Too Long\r\nDate: ",
        416 => b"HTTP/1.1 416 Range Not Satisfiable\r\nDate: ",
        417 => b"HTTP/1.1 417 Expectation Failed\r\nDate: ",
        431 => b"HTTP/1.1 431 Request Header Fields Too Large\r\nDate: ",
        501 => b"HTTP/1.1 501 Not Implemented\r\nDate: ",
        503 => b"HTTP/1.1 503 Service Unavailable\r\nDate: ",
        505 => b"HTTP/1.1 505 HTTP Version Not Supported\r\nDate: ",
        _ => b"HTTP/1.1 500 Internal Server Error\r\nDate: ",
    }
}
