//! Faults that are bytes and pauses, below what an HTTP server can be made to say.

use std::borrow::Cow::Borrowed;
use std::time::Duration;

use super::Fault;
use super::table::Row;
use crate::script::{Act, Script};

/// A fault of these steps, in a place of its own, since constants own nothing.
macro_rules! script {
    ($($act:expr),* $(,)?) => {
        Fault::Script(Script::of(const { &[$($act),*] }))
    };
}

const fn send(bytes: &'static [u8]) -> Act {
    Act::Send(Borrowed(bytes))
}

const CHUNKED: Act = send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");

pub(super) const SCRIPTS: &[Row] = &[
    ("half-closed", "U02", script!(send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello"), Act::HalfClose)),
    (
        "slow-head",
        "U24",
        script!(Act::Drip(Borrowed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), Duration::from_secs(10))),
    ),
    ("stall-in-chunk", "U25", script!(CHUNKED, send(b"5\r\nhel"), Act::Hold)),
    ("stall-in-chunk-size", "U25", script!(CHUNKED, send(b"5"), Act::Hold)),
    (
        "informational-flood",
        "U27",
        script!(Act::Times(Borrowed(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), 10_000), Act::Hold),
    ),
    ("chunk-long-size", "U28", script!(CHUNKED, Act::Times(Borrowed(b"0"), 1 << 18))),
    ("chunk-size-with-sign", "U28", script!(CHUNKED, send(b"+5\r\nhello\r\n0\r\n\r\n"))),
    ("chunk-size-in-0x", "U28", script!(CHUNKED, send(b"0x5\r\nhello\r\n0\r\n\r\n"))),
    ("version-0.9", "U28", script!(send(b"hello, without a head"))),
    ("version-3.0", "U28", script!(send(b"HTTP/3.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"))),
    ("nul-in-head", "U28", script!(send(b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello"))),
    ("length-folded", "U29", script!(send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n 6\r\n\r\nhello"))),
    ("chunked-twice", "U29", script!(send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"))),
    (
        "chunked-then-identity",
        "U29",
        script!(send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n")),
    ),
    (
        "answered-twice",
        "U29",
        script!(
            send(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            ),
            Act::Hold,
        ),
    ),
    (
        "http2-unasked",
        "U50",
        // SETTINGS, then GOAWAY with a protocol error.
        script!(send(b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\x01")),
    ),
    (
        "http2-upgrade",
        "U50",
        script!(send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        )),
    ),
];
