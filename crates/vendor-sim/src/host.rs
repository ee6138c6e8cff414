//! A listener on a thread and runtime of its own, so that neither a paused clock nor a busy runtime changes it.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::{io, thread};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

/// Something that listens; gone when dropped.
#[derive(Debug)]
pub(crate) struct Host {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Listens and lets `serve` accept until the host is dropped.
    pub(crate) fn start<F>(
        address: SocketAddr,
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = ()>,
    {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::sync_channel(1);
        let thread =
            thread::Builder::new().name("vendor-sim".to_owned()).spawn(move || run(address, serve, &tell, stopped))?;
        let address = told.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A server that panicked has shown that already; there is nothing to add here.
            let _ = thread.join();
        }
    }
}

/// The thread.
fn run<F: Future<Output = ()>>(
    address: SocketAddr,
    serve: impl FnOnce(TcpListener) -> F,
    tell: &mpsc::SyncSender<io::Result<SocketAddr>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(tell.send(Err(error))),
    };
    runtime.block_on(async {
        match listen(address) {
            Err(error) => drop(tell.send(Err(error))),
            Ok((listener, address)) => {
                let _ = tell.send(Ok(address));
                tokio::select! {
                    () = serve(listener) => {}
                    _ = stopped => {}
                }
            }
        }
    });
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // A thousand endpoints may knock at once.
    let listener = socket.listen(4096)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
