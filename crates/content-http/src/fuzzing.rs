//! The parsers of what endpoints send, for `fuzz-targets` alone: no part of the crate's face.

use std::net::IpAddr;

use crate::Cidr;
use crate::client::{self, Told};
use crate::conditional::{Precondition, Values, if_range_holds};
use crate::request::{self, Method, Persistence};
use crate::{proxy_header, range};

pub use crate::proxy_header::Header;
pub use crate::range::Wanted;

/// How far a head has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// Whole, so many bytes.
    Whole(usize),
    /// Not yet; what is before this byte need not be looked at again.
    Partly(usize),
    /// It cannot become a head.
    Malformed,
}

/// Looks for the end of a head from a byte on.
pub fn arrived(input: &[u8], from: usize) -> Arrived {
    match request::arrived(input, from) {
        request::Arrived::Whole(length) => Arrived::Whole(length),
        request::Arrived::Partly(at) => Arrived::Partly(at),
        request::Arrived::Malformed => Arrived::Malformed,
    }
}

/// What stands before a connection's first byte: how far a PROXY header has come in.
pub fn proxy_header(bytes: &[u8]) -> Header {
    proxy_header::read(bytes)
}

/// A request as it was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'b> {
    /// GET or HEAD; every other method is refused further on.
    pub is_read: bool,
    /// The path; empty for methods that are refused.
    pub path: &'b [u8],
    /// Whether the connection may carry another request.
    pub stays: bool,
    /// `Range`; empty when it stood twice.
    pub range: Option<&'b [u8]>,
    /// `If-Range`; empty when it stood twice.
    pub if_range: Option<&'b [u8]>,
}

/// Reads a whole head.
///
/// # Errors
/// The status that it is refused with.
pub fn head(bytes: &[u8]) -> Result<Head<'_>, u16> {
    let request = request::Request::parse(bytes).map_err(|refused| refused.0)?;
    Ok(Head {
        is_read: matches!(request.method, Method::Get | Method::Head),
        path: request.path,
        stays: request.persistence != Persistence::Close,
        range: request.range,
        if_range: request.if_range,
    })
}

/// What a `Range` header means for a file of `size` bytes.
pub fn wanted(header: &[u8], size: u64) -> Wanted {
    range::wanted(header, size)
}

/// The status that a head's conditions lead to: 200, 304 or 412.
pub fn conditions(bytes: &[u8], etag: &[u8]) -> Option<u16> {
    let request = request::Request::parse(bytes).ok()?;
    Some(match request.conditions.evaluate(etag, None, model::Timestamp::from_micros(0)) {
        Precondition::Holds => 200,
        Precondition::NotModified => 304,
        Precondition::Failed => 412,
    })
}

/// Whether `If-Range` lets a part of what has this tag be sent.
pub fn if_range(value: &[u8], etag: &[u8]) -> bool {
    if_range_holds(value, etag)
}

/// Who asks, as `X-Forwarded-For` and `Forwarded` say it: `told` holds the values of each. None for nobody, and for more
/// values than a head may have.
pub fn client(peer: IpAddr, told: [&[&[u8]]; 2], trusted: &[Cidr]) -> Option<IpAddr> {
    let (mut forwarded_for, mut forwarded) = (Values::default(), Values::default());
    let [list, elements] = told;
    let fits = list.iter().all(|value| forwarded_for.push(value)) && elements.iter().all(|value| forwarded.push(value));
    if !fits {
        return None;
    }
    client::client(peer, &Told { forwarded_for: &forwarded_for, forwarded: &forwarded }, trusted)
}
