//! Bodies over the wire.

use model::Reason;
use outbound::{ClientSettings, Limits};

use super::server::{Act, SHORT, Server, collect, get, limits, ok, send, settings};

async fn broken(settings: ClientSettings, act: Act) -> Reason {
    let server = Server::start(vec![act]).await;
    let mut response = get(settings, server.url("/x")).await.unwrap();
    let error = collect(&mut response).await.unwrap_err();
    assert_eq!(error.exchange.as_ref().unwrap().status, 200);
    let again = response.body.chunk().await.unwrap_err();
    assert_eq!(again.reason, error.reason, "a body that failed must not look ended");
    error.reason
}

#[tokio::test]
async fn shorter_than_announced_u01_u02() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    assert_eq!(broken(settings(), send(head)).await, Reason::ShortBody);
    assert_eq!(broken(settings(), send(&format!("{head}hello"))).await, Reason::ShortBody);
    assert_eq!(broken(settings(), Act::SendAndReset(format!("{head}hello").into_bytes())).await, Reason::ShortBody);
    let huge = "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nhello";
    assert_eq!(broken(settings(), send(huge)).await, Reason::ShortBody, "u30: no allocation by header");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    assert_eq!(broken(settings(), send(chunked)).await, Reason::ShortBody);
}

#[tokio::test]
async fn closed_instead_of_announced_u03() {
    let server = Server::start(vec![send("HTTP/1.1 200 OK\r\n\r\nhello")]).await;
    let mut response = get(settings(), server.url("/x")).await.unwrap();
    assert_eq!((response.length, collect(&mut response).await.unwrap()), (None, b"hello".to_vec()));
}

#[tokio::test]
async fn bytes_beyond_the_length_are_no_body() {
    let server =
        Server::start(vec![send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n")]).await;
    let mut response = get(settings(), server.url("/x")).await.unwrap();
    assert_eq!(collect(&mut response).await.unwrap(), b"hello");
}

#[tokio::test]
async fn broken_chunks_u28() {
    for chunks in ["xyz\r\n", "-1\r\n", "10000000000000000\r\n", "5\r\nhelloX", "5;x\n", "ffffffffffffffffff\r\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert_eq!(broken(settings(), send(&answer)).await, Reason::BadResponse, "{chunks:?}");
    }
    let flood =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(1 << 20));
    assert_eq!(broken(settings(), send(&flood)).await, Reason::BadResponse);
    let trailers = Act::Forever(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n".to_vec(),
        b"X-Y: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n".repeat(64),
    );
    assert_eq!(broken(settings(), trailers).await, Reason::BadResponse);
}

fn with(change: impl FnOnce(&mut Limits)) -> ClientSettings {
    ClientSettings { limits: limits(change), ..settings() }
}

/// How the attempt ends, in its head or its body: a busy machine may spend a short deadline on the head.
async fn outcome(settings: ClientSettings, act: Act) -> Result<usize, Reason> {
    let server = Server::start(vec![act]).await;
    let mut response = get(settings, server.url("/x")).await.map_err(|error| error.reason)?;
    collect(&mut response).await.map(|bytes| bytes.len()).map_err(|error| error.reason)
}

#[tokio::test]
async fn silence_between_chunks_u25() {
    let act = Act::SendAndHold(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_vec());
    assert_eq!(broken(with(|limits| limits.pause = SHORT), act.clone()).await, Reason::Stalled);
    assert_eq!(outcome(with(|limits| limits.total = SHORT), act).await, Err(Reason::Deadline));
}

#[tokio::test]
async fn a_body_without_end_meets_its_deadline_u26() {
    let act =
        Act::Forever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), b"4\r\nabcd\r\n".repeat(512));
    assert_eq!(outcome(with(|limits| limits.total = SHORT), act).await, Err(Reason::Deadline));
}

#[tokio::test]
async fn waiting_for_the_rate_limit_ends_at_the_deadline() {
    let body = "x".repeat(3600);
    let slow = ClientSettings { rate_limit: Some(1), ..with(|limits| limits.total = SHORT * 3) };
    assert_eq!(outcome(slow, ok(&body)).await, Err(Reason::Deadline));
    let fast = ClientSettings { rate_limit: Some(u64::MAX), ..settings() };
    assert_eq!(outcome(fast, ok(&body)).await, Ok(3600));
}
