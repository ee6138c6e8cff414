//! Receiving and sending on a plain socket by the bare system call: the C library's makes each a point where a thread
//! may be cancelled, which is felt at a hundred thousand polls a second.

use std::io;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Receives what there is; 0 at the end.
pub(super) fn receive(socket: &TcpStream, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_read_ready(cx))?;
        let room = into.len();
        let received = socket.try_io(Interest::READABLE, || {
            let (_, received) =
                rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut *into, RecvFlags::empty()))?;
            Ok(received)
        });
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(received) => {
                settle(socket, Interest::READABLE, received, room);
                return Poll::Ready(Ok(received));
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// Sends what the socket takes now.
pub(super) fn send(socket: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(cx))?;
        let sent = socket.try_io(Interest::WRITABLE, || {
            Ok(rustix::io::retry_on_intr(|| rustix::net::send(socket, bytes, SendFlags::NOSIGNAL))?)
        });
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(sent) => {
                settle(socket, Interest::WRITABLE, sent, bytes.len());
                return Poll::Ready(Ok(sent));
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// Less than there was room for means that there is no more now: noted, so that nobody asks the system in vain. It
/// tells when that changes.
fn settle(socket: &TcpStream, interest: Interest, done: usize, room: usize) {
    if 0 < done && done < room {
        let spent = || -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) };
        drop(socket.try_io(interest, spent));
    }
}
