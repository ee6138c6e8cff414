//! A connection's bytes, plain or TLS: the same to the loop but for the way large bodies go.

mod raw;

use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::fair::Turn;
use crate::net::reset_on_close;
use crate::queues::Line;
use crate::respond::{Bulk, Part};
use crate::slots::Slot;
use crate::worker::Worker;

/// A plain or TLS connection.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// The socket when bytes may go to it as they are.
    fn plain(&self) -> Option<&TcpStream>;
    /// The socket, whatever goes to it.
    fn socket(&self) -> Option<&TcpStream>;
    /// Makes the end of this connection a reset.
    fn reset_on_close(&self);
}

impl Wire for TcpStream {
    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }

    fn socket(&self) -> Option<&TcpStream> {
        Some(self)
    }

    fn reset_on_close(&self) {
        reset_on_close(self);
    }
}

impl Wire for TlsStream<TcpStream> {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    fn socket(&self) -> Option<&TcpStream> {
        Some(self.get_ref().0)
    }

    fn reset_on_close(&self) {
        reset_on_close(self.get_ref().0);
    }
}

/// Waits for bytes and puts them into `worker.input`, which all connections of the worker share: it is good
/// until the next wait. An idle connection holds no buffer.
pub(crate) async fn receive(wire: &mut impl Wire, worker: &Worker) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut input = worker.input.borrow_mut();
        if let Some(socket) = wire.plain() {
            return raw::receive(socket, cx, &mut input);
        }
        let mut buffer = ReadBuf::new(&mut input);
        ready!(Pin::new(&mut *wire).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

/// Sends what was written to `worker.output`, which all connections share: what the socket does not take at
/// once moves to a buffer of this connection's own.
pub(crate) async fn flush(
    wire: &mut impl Wire,
    (worker, slot): (&Worker, &Slot),
    mut moved: impl FnMut(usize),
) -> io::Result<()> {
    let rest = poll_fn(|cx| Poll::Ready(first_write(wire, cx, &mut worker.output.borrow_mut(), &mut moved))).await?;
    let mut rest = rest.as_slice();
    if !rest.is_empty() {
        slot.waits_on(line(wire, worker));
    }
    while !rest.is_empty() {
        let sent = poll_fn(|cx| Pin::new(&mut *wire).poll_write(cx, rest)).await?;
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        moved(sent);
        rest = rest.get(sent..).unwrap_or_default();
    }
    if wire.plain().is_none() {
        let mut waits = false;
        poll_fn(|cx| {
            let flushed = Pin::new(&mut *wire).poll_flush(cx);
            if flushed.is_pending() && !std::mem::replace(&mut waits, true) {
                slot.waits_on(line(wire, worker));
            }
            flushed
        })
        .await?;
    }
    Ok(())
}

/// What is to be known of a line on which an answer waits.
pub(crate) fn line(wire: &impl Wire, worker: &Worker) -> Option<Line> {
    wire.socket().and_then(|socket| Line::of(socket, worker.monotonic()))
}

fn first_write(
    wire: &mut impl Wire,
    cx: &mut Context<'_>,
    output: &mut Vec<u8>,
    moved: &mut impl FnMut(usize),
) -> io::Result<Vec<u8>> {
    if output.is_empty() {
        return Ok(Vec::new());
    }
    let written = match wire.plain() {
        Some(socket) => raw::send(socket, cx, output),
        None => Pin::new(wire).poll_write(cx, output),
    };
    let sent = match written {
        Poll::Ready(sent) => sent,
        Poll::Pending => Ok(0),
    };
    let rest = sent.map(|sent| {
        moved(sent);
        output.get(sent..).unwrap_or_default().to_vec()
    });
    // Also after an error: what one client was to get must never reach the next.
    output.clear();
    rest
}

/// Why a large body was not sent whole.
#[derive(Debug)]
pub(crate) enum BulkError {
    /// The client is gone.
    Peer,
    /// The file turned short or cannot be read.
    File(io::Error),
    /// The file was written to, or found to hold other bytes.
    Changed,
}

/// Sends a large body in turns, and tells `moved` of each advance.
pub(crate) async fn send_bulk(
    wire: &mut impl Wire,
    worker: &Worker,
    (bulk, turns): (&Bulk, &Turn<'_>),
    mut moved: impl FnMut(usize),
) -> Result<(), BulkError> {
    let Part { mut first, length } = bulk.part;
    let end = first.saturating_add(length);
    let turn = worker.shared.limits.bulk_turn.max(1);
    let mut left_of_turn = turns.size(turn);
    while first < end {
        // Before each of the last sends: what was changed on the way must not arrive looking whole. What the system
        // took already is beyond reach.
        if end - first <= turn as u64
            && !bulk.entry.blob.still_holds(&bulk.file, &bulk.identity).map_err(BulkError::File)?
        {
            return Err(BulkError::Changed);
        }
        let most = usize::try_from(end - first).unwrap_or(usize::MAX).min(left_of_turn);
        let plain = match wire.plain() {
            Some(socket) => Some(send_plain(socket, bulk, first, most).await?),
            None => None,
        };
        let sent = match plain {
            Some(Plain::Sent(sent)) => sent,
            // Whatever is wrong with the file or the connection shows in copying, each on its own side.
            other => {
                let sent = send_copied(wire, worker, bulk, first, most).await?;
                if let Some(Plain::Refused(error)) = other {
                    worker.shared.copies.call_once(|| tracing::warn!(%error, "{COPIED}"));
                }
                sent
            }
        };
        first = first.saturating_add(sent as u64);
        left_of_turn -= sent.min(left_of_turn);
        moved(sent);
        if left_of_turn == 0 {
            for _ in 0..turns.rounds(turn) {
                tokio::task::yield_now().await;
            }
            left_of_turn = turns.size(turn);
        }
    }
    poll_fn(|cx| Pin::new(&mut *wire).poll_flush(cx)).await.map_err(|_| BulkError::Peer)
}

const COPIED: &str = "the system does not send a file's bytes by itself (sendfile): they are copied, which costs more; is it \
    forbidden to this process, or is the data folder on a file system that cannot?";

/// What became of bytes that the system was to send by itself.
enum Plain {
    Sent(usize),
    /// It did not, and does not say whether for the file's, the connection's or its own sake: a connection ends with many
    /// codes, those of whatever answers on its path among them.
    Refused(io::Error),
}

async fn send_plain(socket: &TcpStream, bulk: &Bulk, offset: u64, most: usize) -> Result<Plain, BulkError> {
    loop {
        socket.writable().await.map_err(|_| BulkError::Peer)?;
        let sent = socket.try_io(Interest::WRITABLE, || platform::send_file(socket, bulk.file.as_ref(), offset, most));
        if let Some(plain) = judge(sent)? {
            return Ok(plain);
        }
    }
}

/// What an answer of sendfile means; none where the socket takes nothing now.
fn judge(sent: io::Result<usize>) -> Result<Option<Plain>, BulkError> {
    match sent {
        Ok(0) => Err(BulkError::File(io::ErrorKind::UnexpectedEof.into())),
        Ok(sent) => Ok(Some(Plain::Sent(sent))),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Ok(None),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Err(BulkError::Peer),
            _ => Ok(Some(Plain::Refused(error))),
        },
    }
}

async fn send_copied(
    wire: &mut impl Wire,
    worker: &Worker,
    bulk: &Bulk,
    offset: u64,
    most: usize,
) -> Result<usize, BulkError> {
    // The bytes are read again when the socket takes none of them now, so that a waiting download holds no buffer;
    // nor are any turned into TLS before the socket has room, or a slow client would hold what was.
    poll_fn(|cx| {
        if let Some(socket) = wire.socket() {
            ready!(socket.poll_write_ready(cx)).map_err(|_| BulkError::Peer)?;
        }
        let mut chunk = worker.chunk.borrow_mut();
        let most = most.min(chunk.len());
        let chunk = chunk.get_mut(..most).unwrap_or_default();
        let read = match bulk.file.read_at(chunk, offset) {
            Ok(0) => Err(BulkError::File(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => Ok(read),
            Err(error) => Err(BulkError::File(error)),
        }?;
        match ready!(Pin::new(&mut *wire).poll_write(cx, chunk.get(..read).unwrap_or_default())) {
            Ok(0) | Err(_) => Poll::Ready(Err(BulkError::Peer)),
            Ok(sent) => Poll::Ready(Ok(sent)),
        }
    })
    .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::task::Waker;

    use rustix::io::Errno;

    use super::*;

    /// Takes so many bytes at once, or fails.
    struct Stub(io::Result<usize>);

    impl AsyncRead for Stub {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Stub {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            match &self.0 {
                Ok(0) => Poll::Pending,
                Ok(most) => Poll::Ready(Ok(bytes.len().min(*most))),
                Err(error) => Poll::Ready(Err(error.kind().into())),
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Wire for Stub {
        fn plain(&self) -> Option<&TcpStream> {
            None
        }

        fn socket(&self) -> Option<&TcpStream> {
            None
        }

        fn reset_on_close(&self) {}
    }

    #[test]
    fn nothing_of_one_connection_stays_for_the_next() {
        for (stub, rest) in [
            (Ok(0), Some("answer")),
            (Ok(2), Some("swer")),
            (Ok(99), Some("")),
            (Err(io::ErrorKind::BrokenPipe.into()), None),
        ] {
            let mut output = b"answer".to_vec();
            let mut cx = Context::from_waker(Waker::noop());
            let left = first_write(&mut Stub(stub), &mut cx, &mut output, &mut |_| {});
            assert_eq!(left.ok(), rest.map(|rest| rest.as_bytes().to_vec()));
            assert!(output.is_empty());
        }
    }

    /// Whether the bytes are copied instead, where that is not the end of it.
    fn is_copied(errno: Errno) -> Option<bool> {
        let judged = judge(Err(errno.into()));
        assert!(!matches!(judged, Err(BulkError::File(_))), "{errno}: the file is not blamed");
        judged.ok().map(|plain| matches!(plain, Some(Plain::Refused(_))))
    }

    #[test]
    fn a_broken_connection_is_never_blamed_on_the_file_v12() {
        // What Linux ends a connection with, as the answers on its path have it.
        for errno in [
            Errno::ACCESS,
            Errno::CONNREFUSED,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::NETDOWN,
            Errno::HOSTUNREACH,
            Errno::NETUNREACH,
            Errno::TIMEDOUT,
            Errno::MSGSIZE,
            Errno::PROTO,
        ] {
            assert_eq!(is_copied(errno), Some(true), "{errno}: copying tells who is gone");
        }
        for errno in [Errno::PIPE, Errno::CONNRESET] {
            assert_eq!(is_copied(errno), None, "{errno}");
        }
        assert_eq!(is_copied(Errno::AGAIN), Some(false));
        assert!(matches!(judge(Ok(0)), Err(BulkError::File(_))), "it ends before its time");
    }

    #[test]
    fn what_the_system_does_not_send_by_itself_is_copied_v12() {
        // A filter of system calls, or a file system that cannot.
        for errno in [Errno::INVAL, Errno::NOSYS, Errno::PERM, Errno::OPNOTSUPP, Errno::IO] {
            assert_eq!(is_copied(errno), Some(true), "{errno}");
        }
    }
}
