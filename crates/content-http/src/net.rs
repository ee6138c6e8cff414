//! Options of the content side's sockets. Those set on a listener hold for what it accepts.

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;

/// Sets what every connection should have: no delay of small answers, a watch over vanished peers and, where
/// the system offers it, an end to connections whose peer acknowledges nothing for `stall`.
pub(crate) fn prepare(listener: &TcpListener, stall: Duration) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    // Each of these makes things better and none is needed for a right answer, so a refusal is no failure: a
    // socket handed over need not even be TCP over IP.
    let _ = sockopt::set_tcp_nodelay(listener, true);
    let _ = sockopt::set_socket_keepalive(listener, true);
    end_stalled(listener, stall);
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

#[cfg(target_os = "linux")]
fn end_stalled(listener: &TcpListener, stall: Duration) {
    let millis = u32::try_from(stall.as_millis()).unwrap_or(u32::MAX);
    let _ = sockopt::set_tcp_user_timeout(listener, millis);
}

#[cfg(not(target_os = "linux"))]
fn end_stalled(_: &TcpListener, _: Duration) {}

/// Makes closing the socket a reset, so that the client knows that its answer is not whole.
pub(crate) fn reset_on_close(socket: impl AsFd) {
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
