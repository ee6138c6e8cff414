//! Listening sockets, ours or handed over by a service manager.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

/// Sockets that the service manager handed over, by the address that they are bound to.
pub(crate) struct Inherited(Vec<TcpListener>);

impl Inherited {
    /// Takes all that were handed over to this process.
    pub(crate) fn take() -> Self {
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..given.len() {
            match given.take_tcp_listener(index) {
                Ok(Some(socket)) => sockets.push(socket),
                Ok(None) => {}
                Err(error) => tracing::warn!(index, %error, "a socket handed over is no TCP listener"),
            }
        }
        Self(sockets)
    }

    /// The one for an address; a socket bound to every interface serves for any with its port.
    pub(crate) fn for_address(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.0.iter().position(|socket| {
            socket
                .local_addr()
                .is_ok_and(|bound| bound == address || (bound.port() == address.port() && bound.ip().is_unspecified()))
        })?;
        Some(self.0.remove(at))
    }

    /// Says so if some were not asked for.
    pub(crate) fn finish(self) {
        for socket in self.0 {
            let address = socket.local_addr().map(|bound| bound.to_string()).unwrap_or_default();
            tracing::warn!(address, "a socket was handed over for an address that no listener has; it is closed");
        }
    }
}
