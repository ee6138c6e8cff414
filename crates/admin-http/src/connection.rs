//! One connection, from its first byte to its last, within its limits.

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::Limits;

/// The most that a request's head may have.
const HEAD_BYTES: usize = 16 * 1024;
/// The most header fields that it may have.
const FIELDS: usize = 64;

/// Answers on this connection until the client or a limit ends it, or the sender of `until` is gone.
pub(crate) async fn converse(
    stream: TcpStream,
    _place: Option<OwnedSemaphorePermit>,
    router: Router,
    (limits, mut until): (Limits, watch::Receiver<()>),
) {
    // HTTP/1 alone: to tell it from HTTP/2 by its first bytes would be a wait without a deadline.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(FIELDS);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        // An error is the client's leaving, or a limit it met: there is nobody to tell.
        _ = connection.as_mut() => return,
        _ = until.changed() => {}
        () = tokio::time::sleep(limits.age) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(limits.ending, connection).await;
}
