//! TLS in front of a plain host, or of a script.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use super::authority::{Identity, IdentityError};
use crate::host::Host;
use crate::script::{Script, until_gone};

/// What is wrong below HTTP once the certificate is good (U25, U47, U50).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// Nothing: bytes go to a plain host behind.
    None,
    /// The host speaks TLS 1.0 alone.
    OldVersion10,
    /// The host speaks TLS 1.1 alone.
    OldVersion11,
    /// Silence after the first bytes of its part of the handshake.
    StallInHandshake,
    /// Something else than TLS answers.
    NotTls,
    /// The script, and then bytes that are no record.
    GarbageRecord(Script),
    /// The script, and then a record cut short by the end of the connection.
    CutRecord(Script),
    /// The script, and then the end of the connection without TLS saying so.
    NoCloseNotify(Script),
    /// The host speaks HTTP/2 alone, and says so in ALPN.
    Http2Alone,
    /// The script, whatever is asked.
    Play(Script),
}

/// A host behind TLS; gone when dropped.
#[derive(Debug)]
pub struct TlsFront {
    host: Host,
}

/// Always the same certificate, whatever name was asked for.
#[derive(Debug)]
struct One(Arc<CertifiedKey>);

impl ResolvesServerCert for One {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl TlsFront {
    /// Shows `identity`, and what is said goes to `to` and back, but for the fault.
    ///
    /// # Errors
    /// When nothing can be listened on or TLS cannot be set up.
    pub fn start(to: SocketAddr, identity: &Identity, fault: TlsFault) -> Result<Self, IdentityError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(IdentityError::new)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(One(Arc::clone(&identity.key))));
        if fault == TlsFault::Http2Alone {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let host = Host::start(address, move |listener| serve(listener, acceptor, to, Arc::new(fault)));
        Ok(Self { host: host.map_err(IdentityError::new)? })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.host.address()
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, to: SocketAddr, fault: Arc<TlsFault>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(connection(stream, acceptor.clone(), to, Arc::clone(&fault)));
    }
}

async fn connection(mut stream: TcpStream, acceptor: TlsAcceptor, to: SocketAddr, fault: Arc<TlsFault>) {
    match fault.as_ref() {
        TlsFault::OldVersion10 => say(&mut stream, &old_hello(1)).await,
        TlsFault::OldVersion11 => say(&mut stream, &old_hello(2)).await,
        // A record that announces more than ever comes.
        TlsFault::StallInHandshake => say(&mut stream, &[22, 3, 3, 0, 122, 2, 0, 0]).await,
        TlsFault::NotTls => say(&mut stream, b"SSH-2.0-simulated\r\n").await,
        _ => {
            // A client that refuses the certificate is what is wanted at times.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            spoken(stream, to, &fault).await;
        }
    }
}

async fn say(stream: &mut TcpStream, bytes: &[u8]) {
    let mut hello = [0; 4096];
    let _ = stream.read(&mut hello).await;
    let _ = stream.write_all(bytes).await;
    until_gone(stream).await;
}

/// A ServerHello of TLS 1.`minor - 1`, with a suite of its time.
fn old_hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let length = u8::try_from(hello.len()).unwrap_or(u8::MAX);
    let mut record = vec![22, 3, minor, 0, length + 4, 2, 0, 0, length];
    record.extend(hello);
    record
}

async fn spoken(mut stream: TlsStream<TcpStream>, to: SocketAddr, fault: &TlsFault) {
    let behind = match fault {
        TlsFault::GarbageRecord(script) => Some((script, b"\x99 this is no record of TLS \xff\xff".as_slice())),
        TlsFault::CutRecord(script) => Some((script, [23, 3, 3, 1, 0, 1, 2, 3].as_slice())),
        TlsFault::NoCloseNotify(script) => Some((script, [].as_slice())),
        TlsFault::Play(script) => {
            let _ = script.play(&mut stream, &mut |_| ()).await;
            let _ = stream.shutdown().await;
            return until_gone(&mut stream).await;
        }
        _ => None,
    };
    let Some((script, behind)) = behind else {
        if let Ok(mut host) = TcpStream::connect(to).await {
            let _ = copy_bidirectional(&mut stream, &mut host).await;
        }
        return;
    };
    let _ = script.play(&mut stream, &mut |_| ()).await;
    let (mut plain, _) = stream.into_inner();
    let _ = plain.write_all(behind).await;
    let _ = plain.shutdown().await;
    until_gone(&mut plain).await;
}
