//! Options of the content side's sockets. Those set on a listener hold for what it accepts.

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;

/// Sets what every connection should have: no delay of small answers, and a watch over vanished peers.
///
/// Not TCP_USER_TIMEOUT: on a connection whose window never opens as far as the next segment is long, Linux counts it from
/// the first probe on, whatever is acknowledged meanwhile, and ends those who read slowly. See `queues`.
pub(crate) fn prepare(listener: &TcpListener) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    // Each of these makes things better and none is needed for a right answer, so a refusal is no failure: a
    // socket handed over need not even be TCP over IP.
    let _ = sockopt::set_tcp_nodelay(listener, true);
    let _ = sockopt::set_socket_keepalive(listener, true);
    Ok(())
}

/// What the system takes of an answer over TLS beyond what is on its way.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 256 * 1024;

/// Lets a client that reads slowly hold little of this machine's memory: what is encrypted is a copy of its own. A plain
/// download is made of the file's own pages, and pays a third more CPU for such a bound.
#[cfg(target_os = "linux")]
pub(crate) fn hold_little<'s>(socket: impl Into<socket2::SockRef<'s>>) {
    let _ = socket.into().set_tcp_notsent_lowat(UNSENT);
}

/// Systems without the option hold as much as they hold.
#[cfg(not(target_os = "linux"))]
pub(crate) fn hold_little<'s>(_: impl Into<socket2::SockRef<'s>>) {}

/// Makes closing the socket a reset, so that the client knows that its answer is not whole.
pub(crate) fn reset_on_close(socket: impl AsFd) {
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
