//! Syslog receivers of every kind.

use std::sync::Arc;
use std::time::Duration;

use alarm::{Message, Sink as _, Syslog, SyslogPeer};
use outbound::stream_tls;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UdpSocket, UnixDatagram, UnixListener};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::bench::{Still, condition, hostile, message, one, within};

const DAEMON: u8 = 3;

fn several() -> Message {
    message(None, ["a", "b", "c", "d"].map(|key| condition(key, key, "gone")).to_vec(), vec![])
}

#[tokio::test]
async fn datagrams_r24() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let sink = Syslog::new(SyslogPeer::Udp("127.0.0.1".to_owned(), socket.local_addr().unwrap().port()), DAEMON);
    sink.tell(&one()).await.unwrap();
    let mut bytes = vec![0; 4096];
    let count = socket.recv(&mut bytes).await.unwrap();
    let record = String::from_utf8(bytes[..count].to_vec()).unwrap();
    let head = format!("<27>1 2026-11-20T12:00:00Z dmz-1 waystation {} connect_failed - ", std::process::id());
    assert!(record.starts_with(&head), "{record}");
    for part in [
        "kind=raised level=fail reason=connect_failed subject=\"elastic/9.0.0\" since=2026-11-20T10:58:00Z",
        "remedy=\"",
    ] {
        assert!(record.contains(part), "{record}");
    }
}

#[tokio::test]
async fn nothing_hostile_makes_another_record_c36() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let sink = Syslog::new(SyslogPeer::Udp("localhost".to_owned(), socket.local_addr().unwrap().port()), 200);
    sink.tell(&hostile()).await.unwrap();
    let mut bytes = vec![0; 4096];
    let count = socket.recv(&mut bytes).await.unwrap();
    assert!(bytes[..count].iter().all(|byte| (b' '..=b'~').contains(byte)) && count <= 2048);
    assert!(bytes.starts_with(b"<188>1 "), "a facility is at most 23");
}

#[tokio::test]
async fn what_is_too_long_loses_particulars_and_not_what_to_do() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let sink = Syslog::new(SyslogPeer::Udp("127.0.0.1".to_owned(), socket.local_addr().unwrap().port()), DAEMON);
    for filling in ["x", "\"", "\\", "é", "\u{1f4a5}", "ab\"\\é\u{1f4a5}"] {
        for length in [1, 100, 333, 5000] {
            let text = filling.repeat(length);
            sink.tell(&message(Some(&text), vec![condition("k", &text, &text)], vec![])).await.unwrap();
            let mut bytes = vec![0; 4096];
            let count = socket.recv(&mut bytes).await.unwrap();
            let record = String::from_utf8(bytes[..count].to_vec()).unwrap();
            assert!(record.len() <= 2048 && record.ends_with('"'), "{length} {record}");
            let remedy = format!(" remedy=\"{}\"", model::Reason::ConnectFailed.remedy());
            assert!(record.ends_with(&remedy), "{record}");
            // Quotes that are not escaped: one before and one behind each of subject, detail and remedy.
            let plain = record.split_once(" - kind=").unwrap().1.replace("\\\\", "").replace("\\\"", "");
            assert_eq!(plain.matches('"').count(), 6, "{record}");
            assert!(record.contains("number=1 detail=\""), "{record}");
        }
    }
}

async fn read_all(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// Records out of what octet counting frames.
fn counted(mut text: &str) -> Vec<String> {
    let mut records = Vec::new();
    while let Some((count, rest)) = text.split_once(' ') {
        let (record, rest) = rest.split_at(count.parse().unwrap());
        records.push(record.to_owned());
        text = rest;
    }
    records
}

#[tokio::test]
async fn a_connection_with_counted_records() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = Syslog::new(SyslogPeer::Tcp("127.0.0.1".to_owned(), listener.local_addr().unwrap().port()), DAEMON);
    let received = tokio::spawn(async move { read_all(listener.accept().await.unwrap().0).await });
    sink.tell(&several()).await.unwrap();
    let records = counted(&received.await.unwrap());
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|record| record.starts_with("<28>1 2026-11-20T12:00:00Z - waystation ")), "{records:?}");
}

#[tokio::test]
async fn one_that_closes_or_is_gone_r24() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink = Syslog::new(SyslogPeer::Tcp("127.0.0.1".to_owned(), port), DAEMON);
    let closed = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        drop(stream);
        drop(listener);
    });
    assert!(sink.tell(&one()).await.is_err());
    closed.await.unwrap();
    let error = sink.tell(&one()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("no connection to 127.0.0.1:{port}")), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let error = Syslog::new(SyslogPeer::Unix(folder.path().join("log")), DAEMON).tell(&one()).await.unwrap_err();
    assert!(error.to_string().contains("cannot send to"), "{error}");
}

#[tokio::test]
async fn local_sockets_of_both_kinds_s32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("datagram");
    let socket = UnixDatagram::bind(&path).unwrap();
    Syslog::new(SyslogPeer::Unix(path), DAEMON).tell(&one()).await.unwrap();
    let mut bytes = vec![0; 4096];
    let count = socket.recv(&mut bytes).await.unwrap();
    assert!(bytes[..count].starts_with(b"<27>1 "));
    let path = folder.path().join("stream");
    let listener = UnixListener::bind(&path).unwrap();
    let received = tokio::spawn(async move { read_all(listener.accept().await.unwrap().0).await });
    Syslog::new(SyslogPeer::Unix(path), DAEMON).tell(&several()).await.unwrap();
    assert_eq!(received.await.unwrap().matches('\0').count(), 4);
}

#[tokio::test]
async fn a_full_local_socket_keeps_nobody_waiting_s32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let _never_read = UnixDatagram::bind(&path).unwrap();
    let expected = format!("{}: nothing came of it within 0 s", path.display());
    let sink = Syslog::new(SyslogPeer::Unix(path), DAEMON);
    let mut failed = None;
    for _ in 0..2000 {
        if let Err(error) = within(sink.clone(), Duration::from_millis(100)).await {
            failed = Some(error.to_string());
            break;
        }
    }
    assert_eq!(failed, Some(expected));
}

#[tokio::test]
async fn tls_with_a_known_authority_alone() {
    let ca_key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = parameters.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(parameters, ca_key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap().der().clone();
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let received = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                return read_all(stream).await;
            }
        }
    });
    let peer = |ca: Option<&[u8]>| SyslogPeer::Tls("localhost".to_owned(), port, stream_tls(ca, Still::new()).unwrap());
    let error = Syslog::new(peer(None), DAEMON).tell(&one()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("TLS with localhost:{port}")), "{error}");
    Syslog::new(peer(Some(ca_pem.as_bytes())), DAEMON).tell(&one()).await.unwrap();
    assert_eq!(counted(&received.await.unwrap()).len(), 1);
}
