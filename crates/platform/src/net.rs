//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

/// How many connections may wait to be accepted; the system may cap it lower.
const BACKLOG: i32 = 1024;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

/// A nonblocking listener. With `reuse_port`, several may stand on one address and the system spreads
/// connections over them; another process of the same user may then join unnoticed, so prefer [`listeners`].
///
/// # Errors
/// [`ListenError`] naming the address: busy, privileged, not one of this machine's, its family switched off.
pub fn listener(address: SocketAddr, reuse_port: bool) -> Result<TcpListener, ListenError> {
    open(address, reuse_port).map_err(|errno| ListenError { address, source: errno.into() })
}

/// `count` nonblocking listeners on one address, one for each loop that accepts. Unlike [`listener`] with
/// `reuse_port`, this fails when another process already listens there. Port 0 gives all of them one free port. Where
/// the system cannot share a port, all accept from one socket: right as well, if less even.
///
/// # Errors
/// As [`listener`].
pub fn listeners(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, ListenError> {
    let probe = listener(address, false)?;
    if count <= 1 {
        return Ok(vec![probe]);
    }
    let failed = |source| ListenError { address, source };
    let bound = probe.local_addr().map_err(failed)?;
    if !shares_ports(address) {
        return clones(probe, count).map_err(failed);
    }
    drop(probe);
    (0..count).map(|_| listener(bound, true)).collect()
}

/// Whether the system lets several sockets listen on one port, and spreads connections over them.
fn shares_ports(address: SocketAddr) -> bool {
    unbound(address).and_then(|socket| sockopt::set_socket_reuseport(&socket, true)).is_ok()
}

/// One socket, so many times.
fn clones(socket: TcpListener, count: usize) -> io::Result<Vec<TcpListener>> {
    let mut all = (1..count).map(|_| socket.try_clone()).collect::<io::Result<Vec<_>>>()?;
    all.push(socket);
    Ok(all)
}

fn unbound(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

fn open(address: SocketAddr, reuse_port: bool) -> rustix::io::Result<TcpListener> {
    let socket = unbound(address)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if reuse_port {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_busy_port_is_named_v40() {
        let first = listener("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = first.local_addr().unwrap();
        let refused = listener(address, false).unwrap_err();
        assert_eq!(refused.source.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(refused.to_string(), format!("cannot listen on {address}"));
        assert!(listeners(address, 2).is_err());
    }

    #[test]
    fn an_address_of_another_machine_is_named_v40() {
        let refused = listener("192.0.2.1:0".parse().unwrap(), false).unwrap_err();
        assert_eq!(refused.source.kind(), io::ErrorKind::AddrNotAvailable);
        assert!(refused.to_string().contains("192.0.2.1"));
    }

    #[test]
    fn several_share_one_port_and_take_connections() {
        let shared = listeners("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let address = shared[0].local_addr().unwrap();
        assert!(shared.iter().all(|one| one.local_addr().unwrap() == address));
        let others = listener(address, false).unwrap_err();
        assert_eq!(others.source.kind(), io::ErrorKind::AddrInUse);
        TcpStream::connect(address).unwrap();
    }

    #[test]
    fn where_ports_cannot_be_shared_all_accept_from_one() {
        let one = listener("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = one.local_addr().unwrap();
        let all = clones(one, 3).unwrap();
        assert!(all.iter().all(|socket| socket.local_addr().unwrap() == address));
        for socket in &all {
            TcpStream::connect(address).unwrap();
            let taken = (0..1000).find_map(|_| {
                std::thread::yield_now();
                socket.accept().ok()
            });
            assert!(taken.is_some());
        }
    }

    #[test]
    fn it_does_not_block() {
        let made = listener("127.0.0.1:0".parse().unwrap(), true).unwrap();
        assert_eq!(made.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
