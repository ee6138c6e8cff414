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
