//! Certificates: what vouches, and what is refused in which words.

use std::sync::{Arc, Mutex};

use model::{Reason, TlsAnchor};
use outbound::{ClientError, ClientSettings, HttpClient, Outbound as _, Request};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs, version};
use url::Url;

use super::server::{Act, SHORT, Server, answer, collect, limits, send, settings};

pub(crate) type Ca = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn ca() -> Ca {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test root");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A TLS server for 127.0.0.1 with a certificate changed at will.
pub(crate) struct TlsServer {
    pub(crate) port: u16,
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

pub(crate) async fn serve(ca: &Ca, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> TlsServer {
    serve_with(server_config(ca, names, change), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await
}

fn server_config(ca: &Ca, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    let certificate = params.signed_by(&key, ca).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap()
}

async fn serve_with(config: ServerConfig, bytes: &'static [u8]) -> TlsServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                // A client that refuses the certificate is what some tests want.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                answer(&mut stream, bytes, &seen).await;
                // An answer without a length ends with the connection, here without a close_notify.
                let kept_alive = bytes.windows(15).any(|part| part == b"Content-Length:");
                while kept_alive && !seen.lock().unwrap().last().unwrap().is_empty() {
                    answer(&mut stream, bytes, &seen).await;
                }
            });
        }
    });
    TlsServer { port, heads }
}

pub(crate) fn trusting(ca: &Ca) -> ClientSettings {
    ClientSettings { ca_pem: Some(ca.pem().into_bytes()), allow_plain_http: false, ..settings() }
}

async fn ask(settings: ClientSettings, port: u16) -> Result<outbound::Response, outbound::OutboundError> {
    let url = Url::parse(&format!("https://127.0.0.1:{port}/x")).unwrap();
    HttpClient::new(settings).unwrap().get(Request::get(url)).await
}

async fn words(settings: ClientSettings, port: u16) -> String {
    let error = ask(settings, port).await.err().unwrap();
    assert_eq!(error.reason, Reason::TlsFailed, "{error}");
    error.detail
}

#[tokio::test]
async fn the_ca_file_vouches_and_the_record_says_so() {
    let ca = ca();
    let server = serve(&ca, &["127.0.0.1"], |_| {}).await;
    let client = HttpClient::new(trusting(&ca)).unwrap();
    let url = Url::parse(&format!("https://127.0.0.1:{}/x", server.port)).unwrap();
    for _ in 0..2 {
        let mut response = client.get(Request::get(url.clone())).await.unwrap();
        assert_eq!(collect(&mut response).await.unwrap(), b"hello");
        assert_eq!(response.exchange.anchor, TlsAnchor::CaFile);
    }
    assert_eq!(server.heads.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn certificates_that_are_refused_u46() {
    let ca = ca();
    let unknown = serve(&ca, &["127.0.0.1"], |_| {}).await;
    let said = words(ClientSettings { ca_pem: None, ..trusting(&ca) }, unknown.port).await;
    assert!(said.contains("'test root', which was not sent and is no root that is known"), "{said}");

    let expired = serve(&ca, &["127.0.0.1"], |params| params.not_after = date_time_ymd(2026, 1, 1)).await;
    let said = words(trusting(&ca), expired.port).await;
    assert!(said.contains("expired at 2026-01-01"), "{said}");

    let early = serve(&ca, &["127.0.0.1"], |params| params.not_before = date_time_ymd(2026, 2, 1)).await;
    let said = words(trusting(&ca), early.port).await;
    assert!(said.contains("not valid before 2026-02-01"), "{said}");

    let other = serve(&ca, &["other.test", "127.0.0.2"], |_| {}).await;
    let said = words(trusting(&ca), other.port).await;
    assert!(said.contains("not for 127.0.0.1 but for") && said.contains("other.test"), "{said}");

    let purpose = serve(&ca, &["127.0.0.1"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    })
    .await;
    let said = words(trusting(&ca), purpose.port).await;
    assert!(said.contains("not meant for servers"), "{said}");
    for server in [unknown, expired, early, other, purpose] {
        assert!(server.heads.lock().unwrap().is_empty(), "something was asked before the certificate was good");
    }
}

#[tokio::test]
async fn a_handshake_that_is_none_u25_u47() {
    let ca = ca();
    let https = |settings: ClientSettings, port| ask(settings, port);
    let garbage = Server::start(vec![send("HTTP/1.1 400 Bad Request\r\n\r\n\r\n\r\n")]).await;
    // The server waits for an end of a head that a ClientHello need not hold, so it may close or answer.
    let mut short = trusting(&ca);
    short.limits = limits(|limits| limits.connect = SHORT * 5);
    let error = https(short.clone(), garbage.port).await.err().unwrap();
    assert!(matches!(error.reason, Reason::TlsFailed | Reason::Timeout), "{error}");
    let mute = Server::start(vec![Act::Mute]).await;
    short.limits.connect = SHORT;
    assert_eq!(https(short, mute.port).await.err().unwrap().reason, Reason::Timeout);
    let reset = Server::start(vec![Act::Reset]).await;
    assert_eq!(https(trusting(&ca), reset.port).await.err().unwrap().reason, Reason::ConnectFailed);
}

#[tokio::test]
async fn an_end_without_close_notify_is_no_end_u47() {
    let ca = ca();
    let server = serve_with(server_config(&ca, &["127.0.0.1"], |_| {}), b"HTTP/1.1 200 OK\r\n\r\nhello").await;
    let mut response = ask(trusting(&ca), server.port).await.unwrap();
    assert_eq!(collect(&mut response).await.unwrap_err().reason, Reason::ShortBody);
}

#[tokio::test]
async fn https_never_goes_back_to_http_u18() {
    let ca = ca();
    let bystander = Server::start(vec![send("HTTP/1.1 200 OK\r\n\r\n")]).await;
    let location = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", bystander.url("/"));
    let server = serve_with(server_config(&ca, &["127.0.0.1"], |_| {}), location.leak().as_bytes()).await;
    let open = ClientSettings { allow_plain_http: true, ..trusting(&ca) };
    let error = ask(open, server.port).await.err().unwrap();
    assert_eq!((error.reason, error.exchange.unwrap().anchor), (Reason::RedirectRefused, TlsAnchor::CaFile));
    assert!(bystander.heads().is_empty());
}

#[test]
fn a_ca_file_must_hold_certificates() {
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "hello", nonsense, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"] {
        let bad = ClientSettings { ca_pem: Some(pem.into()), ..settings() };
        assert!(matches!(HttpClient::new(bad), Err(ClientError::CaFile { .. })), "{pem:?}");
    }
}
