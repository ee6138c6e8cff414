//! A host that plays scripts, whatever it is asked: for what is wrong below HTTP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};

use crate::host::Host;
use crate::script::{End, Script, until_gone};

/// A host on loopback that plays a script on each connection; gone when dropped.
#[derive(Debug)]
pub struct RawHost {
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    host: Host,
}

impl RawHost {
    /// Plays the scripts in turn, one a connection, and the last again and again.
    ///
    /// # Errors
    /// When nothing can be listened on.
    pub fn start(scripts: Vec<Script>) -> io::Result<Self> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let host = Host::start(address, |listener| serve(listener, scripts, shared))?;
        Ok(Self { seen, host })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.host.address()
    }

    /// What each connection said, as far as its script listened.
    pub fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(listener: TcpListener, scripts: Vec<Script>, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut next = 0;
    while let Ok((stream, _)) = listener.accept().await {
        let script = scripts.get(next).or(scripts.last()).cloned().unwrap_or_default();
        next += 1;
        tokio::spawn(connection(stream, script, Arc::clone(&seen)));
    }
}

async fn connection(mut stream: TcpStream, script: Script, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
    let _ = stream.set_nodelay(true);
    let mut line = None;
    // Kept before the answer goes out, so that whoever has the answer finds what it was an answer to.
    let mut heard = |head: &[u8]| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let line = *line.get_or_insert_with(|| {
            seen.push(Vec::new());
            seen.len() - 1
        });
        seen.iter_mut().skip(line).take(1).for_each(|said| said.extend(head));
    };
    let end = script.play(&mut stream, &mut heard).await;
    heard(&[]);
    finish(stream, end.unwrap_or(End::Close)).await;
}

/// Ends a connection; a plain close lets the client read what is under way.
pub(crate) async fn finish(mut stream: TcpStream, end: End) {
    match end {
        End::Reset => drop(stream.set_zero_linger()),
        End::Close => {
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
            until_gone(&mut stream).await;
        }
    }
}
