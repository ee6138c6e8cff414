//! Faults of the answer itself.

use std::time::Duration;

use model::Timestamp;

use super::reply::{Cut, CutAt, Framing, How, Reply};
use crate::content::{Body, gzip, gzip_of_zeros};
use crate::fault::{ChunkFault, CodingFault, Fault, HeadFault, PartialFault, Point, Wait};
use crate::world::CHAIN;

/// What a fault needs to know of the request.
pub(crate) struct Surroundings<'a> {
    pub(crate) host: &'a str,
    pub(crate) target: &'a str,
    pub(crate) now: Timestamp,
}

const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in to the network.</body></html>";

/// Above this, a body is not coded but only said to be.
const CODED: u64 = 64 << 20;

/// Puts the fault into the answer.
pub(crate) fn spoil(mut reply: Reply, fault: &Fault, around: &Surroundings<'_>) -> Reply {
    match fault {
        Fault::Reset(point) => cut(&mut reply, *point, How::Reset),
        Fault::Stall(point) => cut(&mut reply, *point, How::Stall),
        Fault::Refuse => cut(&mut reply, Point::BeforeHead, How::Close),
        Fault::ShortBody => cut(&mut reply, Point::Half, How::Close),
        Fault::CloseDelimitedCut => {
            reply.framing = Framing::Close;
            cut(&mut reply, Point::Half, How::Close);
        }
        Fault::TooLong => {
            let whole = reply.end == reply.body.len();
            reply.body = reply.body.followed_by(&[b'x'; 1000]);
            reply.end += if whole { 1000 } else { 0 };
        }
        Fault::Html => return page(200),
        Fault::EmptyBody => return Reply::new(200, Body::held("")),
        Fault::Status(status) => return with_status(reply, *status),
        Fault::RetryAfter(status, wait) => return retry_after(*status, wait, around),
        Fault::RedirectLoop => return Reply::redirect(around.target),
        Fault::RedirectChain => return Reply::redirect(format!("{CHAIN}1")),
        Fault::Redirect(to) => {
            return Reply::redirect(to.replace("{host}", around.host).replace("{target}", around.target));
        }
        Fault::SlowDrip(each) => reply.drip = Some(*each),
        Fault::Script(script) => reply.script = Some(script.clone()),
        Fault::EndlessBody => reply.framing = Framing::Endless,
        Fault::Head(HeadFault::Hostile) => hostile_headers(&mut reply),
        Fault::Head(fault) => reply.head_fault = Some(*fault),
        Fault::Chunked(fault) => reply.framing = Framing::Chunked(*fault),
        Fault::LengthAndChunked => reply.framing = Framing::LengthAndChunked,
        Fault::TwoLengths => {
            reply.framing = Framing::Declared(vec![reply.length().to_string(), (reply.length() + 1).to_string()]);
        }
        Fault::Length(text) => {
            reply.framing = Framing::Declared(vec![text.replace("{n}", &reply.length().to_string())]);
        }
        Fault::Coding(fault) => return coded(reply, fault),
        Fault::Partial(fault) => return partial(reply, *fault),
        Fault::NotModified => {
            let mut bare = Reply::nothing(304);
            bare.headers = reply.headers;
            return bare;
        }
        Fault::DateOff(days) => reply.set("Date", days_off(around.now, *days).http_date()),
        Fault::OtherBytes
        | Fault::ReplacedMeanwhile
        | Fault::PublishAfterInfo
        | Fault::PublishAfterArchive
        | Fault::IgnoreRange
        | Fault::Etag(_)
        | Fault::Manifest(_)
        | Fault::Info(_)
        | Fault::Archive(_) => {}
    }
    reply
}

fn cut(reply: &mut Reply, point: Point, how: How) {
    let length = reply.length();
    let at = match point {
        Point::BeforeHead => CutAt::BeforeHead,
        Point::InHead => CutAt::InHead,
        Point::Byte(byte) => CutAt::Body(byte.min(length)),
        Point::Half => CutAt::Body(length / 2),
        Point::Last => CutAt::Body(length.saturating_sub(1)),
    };
    reply.cut = Some(Cut { at, how });
}

fn page(status: u16) -> Reply {
    let mut reply = Reply::new(status, Body::held(PAGE));
    reply.set("Content-Type", "text/html; charset=utf-8");
    reply
}

fn with_status(mut reply: Reply, status: u16) -> Reply {
    match status {
        // The honest body under a status that means something else is the better trap.
        203 | 226 => {
            if reply.status == 200 {
                reply.status = status;
            }
            reply
        }
        204 | 304 => Reply::nothing(status),
        205 => Reply::new(status, Body::held("")),
        401 => {
            let mut reply = page(status);
            reply.set("WWW-Authenticate", "Basic realm=\"simulated\"");
            reply
        }
        407 => {
            let mut reply = page(status);
            reply.set("Proxy-Authenticate", "Basic realm=\"simulated\"");
            reply
        }
        _ => page(status),
    }
}

fn retry_after(status: u16, wait: &Wait, around: &Surroundings<'_>) -> Reply {
    let mut reply = Reply::text(status, "come back later\n");
    let value = match wait {
        Wait::Text(text) => text.to_string(),
        Wait::Date(seconds) => moved(around.now, *seconds).http_date(),
    };
    reply.set("Retry-After", value);
    reply
}

fn days_off(now: Timestamp, days: i64) -> Timestamp {
    moved(now, days.saturating_mul(86_400))
}

fn moved(now: Timestamp, seconds: i64) -> Timestamp {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { now.before(by) } else { now.after(by) }
}

fn hostile_headers(reply: &mut Reply) {
    let digest = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
    for (name, value) in [
        ("Content-Disposition", "attachment; filename=\"../../etc/cron.d/x\""),
        ("Link", "<https://evil.invalid/x>; rel=preload"),
        ("Refresh", "0; url=https://evil.invalid/"),
        ("Set-Cookie", "session=simulated; Domain=invalid; Path=/"),
        ("Content-Digest", digest),
        ("X-Content-Digest", digest),
        ("Content-Location", "/../../x"),
        ("Alt-Svc", "h2=\"evil.invalid:443\""),
    ] {
        reply.set(name, value);
    }
}

fn coded(mut reply: Reply, fault: &CodingFault) -> Reply {
    let label = match fault {
        CodingFault::Named(name) => name.to_string(),
        _ => "gzip".to_owned(),
    };
    let small = reply.body.len() <= CODED;
    let plain = || if small { reply.body.to_vec() } else { Vec::new() };
    let coded = match fault {
        CodingFault::Gzip => Some(gzip(&plain())),
        CodingFault::GzipTwice => Some(gzip(&gzip(&plain()))),
        CodingFault::GzipTrailing => Some([gzip(&plain()), b"trailing".to_vec()].concat()),
        CodingFault::GzipBomb => Some(gzip_of_zeros(10 * 1024)),
        CodingFault::Label | CodingFault::Named(_) => None,
    };
    if let Some(coded) = coded.filter(|_| small) {
        reply.body = Body::held(coded);
        (reply.start, reply.end) = (0, reply.body.len());
    }
    reply.set("Content-Encoding", label);
    reply
}

fn partial(mut reply: Reply, fault: PartialFault) -> Reply {
    let total = reply.body.len();
    if fault == PartialFault::Unasked && reply.status == 200 {
        (reply.status, reply.end) = (206, total / 2);
        reply.set("Content-Range", format!("bytes 0-{}/{total}", (total / 2).saturating_sub(1)));
        return reply;
    }
    if reply.status != 206 {
        return reply;
    }
    let (start, last) = (reply.start, reply.end.saturating_sub(1));
    match fault {
        PartialFault::WrongOffset => {
            let other = if start > 0 { start - 1 } else { (start + 1).min(last) };
            reply.start = other;
            reply.set("Content-Range", format!("bytes {other}-{last}/{total}"));
        }
        PartialFault::LyingOffset => (reply.start, reply.end) = (0, reply.length()),
        PartialFault::WrongTotal => reply.set("Content-Range", format!("bytes {start}-{last}/{}", total + 1)),
        PartialFault::NoContentRange => reply.remove("Content-Range"),
        PartialFault::Multipart => return multipart(reply),
        PartialFault::Unasked => {}
    }
    reply
}

fn multipart(mut reply: Reply) -> Reply {
    let mut part = vec![0; usize::try_from(reply.length().min(CODED)).unwrap_or(0)];
    reply.body.read_at(reply.start, &mut part);
    let range = format!("bytes {}-{}/{}", reply.start, reply.end.saturating_sub(1), reply.body.len());
    let head = format!("--sim\r\nContent-Type: application/octet-stream\r\nContent-Range: {range}\r\n\r\n");
    reply.body = Body::held([head.as_bytes(), &part, b"\r\n--sim--\r\n"].concat());
    (reply.start, reply.end) = (0, reply.body.len());
    reply.remove("Content-Range");
    reply.set("Content-Type", "multipart/byteranges; boundary=sim");
    reply
}

/// The chunks of a body under a fault; a stalled one stops after its first chunk.
pub(super) fn chunks(piece: &[u8], fault: ChunkFault) -> Vec<u8> {
    let first = format!("{:x}\r\n", piece.len());
    let last = b"\r\n0\r\n\r\n".as_slice();
    match fault {
        ChunkFault::BadHex => [b"zz\r\n", piece, last].concat(),
        ChunkFault::Negative => [b"-1\r\n", piece, last].concat(),
        ChunkFault::TooBig => [b"10000000000000000\r\n", piece, last].concat(),
        ChunkFault::MissingCrlf => [first.as_bytes(), piece, b"0\r\n\r\n"].concat(),
        ChunkFault::HugeExtension => {
            let extended = format!("{:x};x={}\r\n", piece.len(), "x".repeat(1 << 20));
            [extended.as_bytes(), piece, last].concat()
        }
        ChunkFault::TrailerFlood | ChunkFault::NoEnd | ChunkFault::Stall => {
            [first.as_bytes(), piece, b"\r\n".as_slice()].concat()
        }
    }
}
