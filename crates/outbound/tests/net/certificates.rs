//! Every certificate that should be refused, and every way to break TLS.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Clock, Reason, Timestamp};
use outbound::{ClientSettings, HttpClient, Names, Outbound as _, OutboundError, Request, Response};
use url::Url;
use vendor_sim::tls::{CertificateFault, Identity, TlsFault, TlsFront};
use vendor_sim::{Act, RawHost, Script};

use super::server::{SHORT, collect, limits, settings};

/// 2030: certificates that were made once are valid then.
struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_893_456_000_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Every name is this machine's.
struct Here;

#[async_trait]
impl Names for Here {
    async fn look_up(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
    }
}

fn trusting(identity: &Identity) -> ClientSettings {
    ClientSettings {
        ca_pem: Some(identity.trusted_pem().as_bytes().to_vec()),
        allow_plain_http: false,
        named_hosts: vec!["vendor.test".into()],
        names: Arc::new(Here),
        clock: Arc::new(Later),
        ..settings()
    }
}

async fn ask(settings: ClientSettings, front: &TlsFront) -> Result<Response, OutboundError> {
    let url = Url::parse(&format!("https://vendor.test:{}/x", front.address().port())).unwrap();
    HttpClient::new(settings).unwrap().get(Request::get(url)).await
}

fn hello() -> Script {
    Script::answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec())
}

#[tokio::test]
async fn each_bad_certificate_is_refused_in_words_of_its_own_u46() {
    let behind = RawHost::start(vec![hello()]).unwrap();
    let good = Identity::new(CertificateFault::Good).unwrap();
    let front = TlsFront::start(behind.address(), &good, TlsFault::None).unwrap();
    let mut response = ask(trusting(&good), &front).await.unwrap();
    assert_eq!(collect(&mut response).await.unwrap(), b"hello");
    let asked = behind.seen().len();

    let mut told = BTreeSet::new();
    for fault in CertificateFault::BAD {
        let words = match fault {
            CertificateFault::Good => unreachable!("not a bad one"),
            CertificateFault::Expired => "expired at 2020-01-01",
            CertificateFault::NotYetValid => "not valid before 3000-01-01",
            CertificateFault::OtherName => "not for vendor.test but for other.test",
            CertificateFault::AddressAlone => "not for vendor.test but for addresses alone",
            CertificateFault::SelfSigned => "signed by itself",
            CertificateFault::UnknownAuthority => "leads to the root 'another root', which is no root",
            CertificateFault::MissingIntermediate => "ends at 'simulated intermediate', which was not sent",
            CertificateFault::Sha1 => "signed with SHA-1",
            CertificateFault::ShortAuthorityKey => "the key of 'short-authority root'",
            CertificateFault::ShortKey => "the certificate's key is shorter",
            CertificateFault::OtherPurpose => "not meant for servers",
            CertificateFault::OutOfBounds => "may not sign for this name",
            CertificateFault::LongChain => "longer than is followed",
        };
        let identity = Identity::new(fault).unwrap();
        let front = TlsFront::start(behind.address(), &identity, TlsFault::None).unwrap();
        let error = ask(trusting(&identity), &front).await.err().unwrap();
        assert_eq!(error.reason, Reason::TlsFailed, "{fault:?}: {error}");
        assert!(error.detail.contains(words), "{fault:?}: {}", error.detail);
        assert!(error.detail.len() < 400 && error.exchange.is_none(), "{fault:?}");
        assert!(told.insert(error.detail), "{fault:?} is told as another is");
    }
    assert_eq!(told.len(), CertificateFault::BAD.len());
    assert_eq!(behind.seen().len(), asked, "something was asked of a host that is not who it says");
}

#[tokio::test]
async fn handshakes_that_are_none_are_refused_or_end_u25_u47_u50() {
    let behind = RawHost::start(vec![hello()]).unwrap();
    let identity = Identity::new(CertificateFault::Good).unwrap();
    let short = limits(|limits| limits.connect = SHORT * 3);
    for (fault, reason, words) in [
        (TlsFault::OldVersion10, Reason::TlsFailed, "TLS 1.1 or older"),
        (TlsFault::OldVersion11, Reason::TlsFailed, "TLS 1.1 or older"),
        (TlsFault::NotTls, Reason::TlsFailed, "is not TLS"),
        (TlsFault::Http2Alone, Reason::TlsFailed, "does not speak HTTP/1.1"),
        (TlsFault::StallInHandshake, Reason::Timeout, "no connection within"),
    ] {
        let front = TlsFront::start(behind.address(), &identity, fault.clone()).unwrap();
        let settings = ClientSettings { limits: short, ..trusting(&identity) };
        let error = ask(settings, &front).await.err().unwrap();
        assert_eq!(error.reason, reason, "{fault:?}: {error}");
        assert!(error.detail.contains(words), "{fault:?}: {error}");
    }
    assert!(behind.seen().is_empty());
}

#[tokio::test]
async fn records_that_break_end_the_body_u47() {
    let identity = Identity::new(CertificateFault::Good).unwrap();
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let part = || Script::answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_vec());
    let open = || Script::answer(b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec());
    for fault in [
        TlsFault::GarbageRecord(part()),
        TlsFault::GarbageRecord(open()),
        TlsFault::CutRecord(part()),
        TlsFault::NoCloseNotify(part()),
        TlsFault::NoCloseNotify(open()),
    ] {
        let front = TlsFront::start(nowhere, &identity, fault.clone()).unwrap();
        // What breaks right behind a head may be seen before it or after.
        let error = match ask(trusting(&identity), &front).await {
            Ok(mut response) => collect(&mut response).await.unwrap_err(),
            Err(error) => error,
        };
        let garbage = matches!(fault, TlsFault::GarbageRecord(_));
        let fits = match error.reason {
            Reason::ShortBody => !garbage,
            Reason::BadResponse | Reason::TlsFailed => garbage,
            _ => false,
        };
        assert!(fits, "{fault:?}: {} {error}", error.reason);
    }
    // A body that is whole needs no goodbye.
    for fault in [TlsFault::NoCloseNotify(hello()), TlsFault::Play(hello())] {
        let front = TlsFront::start(nowhere, &identity, fault).unwrap();
        let mut response = ask(trusting(&identity), &front).await.unwrap();
        assert_eq!(collect(&mut response).await.unwrap(), b"hello");
    }
}

#[tokio::test]
async fn http_2_is_neither_offered_nor_understood_u50() {
    let frames = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\x01".to_vec();
    let upgrade = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n".to_vec();
    let version = b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec();
    let identity = Identity::new(CertificateFault::Good).unwrap();
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    for bytes in [frames, upgrade, version] {
        let script = Script::new().then(Act::ReadHead).then(Act::Send(bytes.into()));
        let front = TlsFront::start(nowhere, &identity, TlsFault::Play(script)).unwrap();
        let error = ask(trusting(&identity), &front).await.err().unwrap();
        assert!(matches!(error.reason, Reason::BadResponse | Reason::UnexpectedStatus), "{} {error}", error.reason);
    }
}
