//! TLS: handshakes, reload, client certificates.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use content_http::{Policy, ReloadError, Settings, StartError, TlsSettings, Trouble};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::harness::{Client, Site, noise, ring, source, until};

pub struct Authority {
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

pub fn authority() -> Authority {
    of(CertificateParams::default())
}

pub fn named(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    of(params)
}

fn of(mut params: CertificateParams) -> Authority {
    let key = KeyPair::generate().unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    Authority { certificate, issuer: Issuer::new(params, key) }
}

impl Authority {
    pub fn issue(&self, name: &str) -> (String, String) {
        self.issue_as(name, None)
    }

    pub fn issue_as(&self, name: &str, serial: Option<u64>) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.serial_number = serial.map(SerialNumber::from);
        self.sign(&params)
    }

    /// One that holds between these years.
    pub fn issue_for(&self, name: &str, (from, until): (i32, i32)) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        self.sign(&params)
    }

    /// Another certificate for a key that there is.
    pub fn renew(&self, name: &str, (from, until): (i32, i32), key: &str) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        params.signed_by(&KeyPair::from_pem(key).unwrap(), &self.issuer).unwrap().pem()
    }

    fn sign(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A list that revokes one serial number and ends in that year.
    pub fn revoke(&self, serial: u64, until: i32) -> String {
        self.list(1, serial, (2020, until))
    }

    /// A list of that number that revokes one serial number and holds between these years.
    pub fn list(&self, number: u64, serial: u64, (from, until): (i32, i32)) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(from, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()).unwrap();
        roots
    }
}

pub struct Served {
    pub site: Site,
    pub authority: Authority,
    pub folder: tempfile::TempDir,
}

pub fn served(client_ca: Option<&str>) -> Served {
    let (authority, folder) = (authority(), tempfile::tempdir().unwrap());
    put(folder.path(), &authority.issue("mirror"));
    let tls = settings(folder.path(), client_ca);
    let site = Site::empty(|settings| settings.listeners[0].policy.tls = Some(tls));
    site.publish("broad", &[("/a", b"A"), ("/big", &noise(1, 5 << 20))]);
    Served { site, authority, folder }
}

pub fn put(folder: &Path, (certificate, key): &(String, String)) {
    std::fs::write(folder.join("tls.crt"), certificate).unwrap();
    std::fs::write(folder.join("tls.key"), key).unwrap();
}

pub fn settings(folder: &Path, client_ca: Option<&str>) -> TlsSettings {
    let client_ca = client_ca.map(|pem| {
        std::fs::write(folder.join("ca.crt"), pem).unwrap();
        folder.join("ca.crt")
    });
    TlsSettings { certificate: folder.join("tls.crt"), key: folder.join("tls.key"), client_ca, client_crl: None }
}

pub type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

impl Served {
    /// Asks for certificates of `authority` that no list at `path` revokes, and puts `list` there.
    fn reload_with_list(&self, authority: &str, path: &Path, list: &str) -> Result<(), ReloadError> {
        std::fs::write(path, list).unwrap();
        let mut tls = settings(self.folder.path(), Some(authority));
        tls.client_crl = Some(path.to_owned());
        self.site.server.reload(&[Policy { tls: Some(tls), ..Policy::default() }])
    }

    pub fn connect(
        &self,
        name: &str,
        version: &'static SupportedProtocolVersion,
        identity: Option<&(String, String)>,
    ) -> TlsClient {
        self.connect_with(name, self.client(version, identity))
    }

    /// What a client keeps from one connection to the next.
    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        identity: Option<&(String, String)>,
    ) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.authority.roots());
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        Arc::new(config)
    }

    fn connect_with(&self, name: &str, client: Arc<ClientConfig>) -> TlsClient {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connection = ClientConnection::new(client, name).unwrap();
        let socket = TcpStream::connect(self.site.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client::new(StreamOwned::new(connection, socket))
    }

    pub fn try_get(&self, name: &str, identity: Option<&(String, String)>) -> std::io::Result<Vec<u8>> {
        let mut client = self.connect(name, &rustls::version::TLS13, identity);
        client.stream.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")?;
        Ok(client.answer()?.body)
    }
}

#[test]
fn files_arrive_whole_over_both_versions() {
    let served = served(None);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = served.connect("mirror", version, None);
        client.get("/a", "");
        assert_eq!(client.answer().unwrap().body, b"A");
        client.get("/big", "");
        assert!(client.answer().unwrap().body == noise(1, 5 << 20));
        client.get("/big", "Range: bytes=-5\r\nConnection: close\r\n");
        assert_eq!(client.answer().unwrap().body, noise(1, 5 << 20)[(5 << 20) - 5..]);
        // The end is announced, so nobody can cut an answer short unnoticed.
        assert_eq!(client.stream.read(&mut [0; 1]).unwrap(), 0);
    }
}

#[test]
fn plain_bytes_on_a_tls_listener_are_counted_v19() {
    let served = served(None);
    served.site.raw(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    until(|| served.site.server.stats().trouble(Trouble::Handshake) == 1);
}

#[test]
fn a_changed_certificate_is_taken_over_and_a_bad_one_is_not_v23() {
    let served = served(None);
    let mut open = served.connect("mirror", &rustls::version::TLS13, None);
    open.get("/a", "");
    open.answer().unwrap();

    let good = served.authority.issue("renewed");
    let refused = || served.site.server.stats().trouble(Trouble::TlsRefused);
    let looked = |until_count: u64| {
        until(|| {
            served.site.server.nudge();
            refused() >= until_count
        });
    };
    std::fs::write(served.folder.path().join("tls.crt"), &good.0[..good.0.len() / 2]).unwrap();
    looked(1);
    assert_eq!(served.try_get("mirror", None).unwrap(), b"A");
    std::fs::write(served.folder.path().join("tls.crt"), &good.0).unwrap();
    looked(2);
    assert_eq!(served.try_get("mirror", None).unwrap(), b"A", "a pair that does not match keeps the old one");
    std::fs::remove_file(served.folder.path().join("tls.key")).unwrap();
    looked(3);
    assert_eq!(served.try_get("mirror", None).unwrap(), b"A");
    let facts = || served.site.server.stats().certificates[0].clone();
    let refused = facts().refused.unwrap();
    assert!(refused.contains("tls.key"), "{refused}");
    assert!(facts().not_after.is_some());

    std::fs::write(served.folder.path().join("tls.key"), &good.1).unwrap();
    until(|| {
        served.site.server.nudge();
        served.try_get("renewed", None).is_ok()
    });
    assert!(served.try_get("mirror", None).is_err());
    assert_eq!(facts().refused, None);
    open.get("/a", "");
    assert_eq!(open.answer().unwrap().body, b"A", "an open connection is not dropped");
}

#[test]
fn a_certificate_that_holds_is_not_replaced_by_one_that_does_not_v23() {
    let served = served(None);
    let facts = || served.site.server.stats().certificates[0].clone();
    let before = facts().not_after;
    let policy = || Policy { tls: Some(settings(served.folder.path(), None)), ..Policy::default() };
    // The test's clock stands in 1994.
    for years in [(1980, 1990), (1996, 3001)] {
        put(served.folder.path(), &served.authority.issue_for("mirror", years));
        until(|| {
            served.site.server.nudge();
            facts().refused.is_some_and(|why| why.contains(&format!("from {}-01-01", years.0)))
        });
        assert_eq!(served.try_get("mirror", None).unwrap(), b"A");
        served.site.server.reload(&[policy()]).unwrap();
        assert_eq!(facts().not_after, before, "nor at the word");
    }
    served.site.clock.advance(Duration::from_secs(3 * 365 * 86_400));
    until(|| {
        served.site.server.nudge();
        facts().not_after < before
    });
    assert_eq!(facts().refused, None, "its time came");
    // At a start there is nothing better, and what comes next is taken over.
    put(served.folder.path(), &served.authority.issue_for("mirror", (1980, 1990)));
    let tls = settings(served.folder.path(), None);
    let site = Site::empty(|settings| settings.listeners[0].policy.tls = Some(tls));
    let ended = || site.server.stats().certificates[0].not_after;
    let at_start = ended();
    assert!(at_start < before);
    put(served.folder.path(), &served.authority.issue_for("mirror", (1985, 1991)));
    until(|| {
        site.server.nudge();
        ended() > at_start
    });
}

#[test]
fn a_chain_that_was_cut_off_is_refused_v23() {
    let (authority, folder) = (authority(), tempfile::tempdir().unwrap());
    let (leaf, key) = authority.issue("mirror");
    let whole = format!("{leaf}{}", authority.certificate);
    let last = whole.trim_end().len();
    for length in leaf.len() + 1..=whole.len() {
        put(folder.path(), &(whole[..length].to_owned(), key.clone()));
        let mut start = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
        start.listeners[0].policy.tls = Some(settings(folder.path(), None));
        let clock = Arc::new(platform::SystemClock::new());
        let started = content_http::ContentServer::start(start, source(), clock);
        assert_eq!(started.is_ok(), length >= last, "{length}");
    }
    // What others write between and behind blocks is text.
    put(folder.path(), &(format!("---\nCertificate chain\n{whole}---\nServer certificate\n"), key));
    let tls = settings(folder.path(), None);
    Site::empty(|settings| settings.listeners[0].policy.tls = Some(tls));
}

#[test]
fn what_is_wrong_names_listener_key_and_file_v23() {
    let served = served(None);
    let wrong = |change: &dyn Fn(&mut TlsSettings)| {
        let mut tls = settings(served.folder.path(), None);
        change(&mut tls);
        let refused = served.site.server.reload(&[Policy { tls: Some(tls), ..Policy::default() }]).unwrap_err();
        model::error_chain(&refused)
    };
    let missing = wrong(&|tls| tls.certificate = "nope.pem".into());
    assert!(missing.contains(&served.site.address().to_string()), "{missing}");
    assert!(missing.contains("cannot read nope.pem, its tls.certificate"), "{missing}");
    let other = served.folder.path().join("other.key");
    std::fs::write(&other, served.authority.issue("other").1).unwrap();
    let mismatch = wrong(&|tls| tls.key.clone_from(&other));
    assert!(mismatch.contains("other.key is not the key of ") && mismatch.ends_with("tls.crt"), "{mismatch}");
}

#[test]
fn a_certificate_behind_links_is_followed_v23() {
    let (authority, folder) = (authority(), tempfile::tempdir().unwrap());
    let version = |name: &str, host: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        put(&path, &authority.issue(host));
    };
    version("v1", "mirror");
    version("v2", "renewed");
    let data = folder.path().join("data");
    std::os::unix::fs::symlink("v1", &data).unwrap();
    let tls = settings(&data, None);
    let site = Site::empty(|settings| settings.listeners[0].policy.tls = Some(tls));
    site.publish("broad", &[("/a", b"A")]);
    let served = Served { site, authority, folder };
    assert_eq!(served.try_get("mirror", None).unwrap(), b"A");
    let next = served.folder.path().join("next");
    std::os::unix::fs::symlink("v2", &next).unwrap();
    std::fs::rename(next, data).unwrap();
    until(|| {
        served.site.server.nudge();
        served.try_get("renewed", None).is_ok()
    });
}

#[test]
fn client_certificates_fail_closed_v34() {
    let people = authority();
    let served = served(Some(&people.certificate));
    assert!(served.try_get("mirror", None).is_err());
    assert!(served.try_get("mirror", Some(&served.authority.issue("stranger"))).is_err());
    assert_eq!(served.try_get("mirror", Some(&people.issue("endpoint"))).unwrap(), b"A");

    // Neither an empty list of authorities nor a missing one opens the door.
    let policy = |tls| Policy { tls: Some(tls), ..Policy::default() };
    served.site.server.reload(&[policy(settings(served.folder.path(), Some("")))]).unwrap();
    assert!(served.site.server.stats().certificates[1].refused.is_some());
    assert!(served.try_get("mirror", None).is_err());
    let mut missing = settings(served.folder.path(), None);
    missing.client_ca = Some(served.folder.path().join("missing.crt"));
    assert!(served.site.server.reload(&[policy(missing.clone())]).is_err());
    assert!(served.try_get("mirror", None).is_err());

    let mut start = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
    start.listeners[0].policy = policy(missing);
    let error =
        content_http::ContentServer::start(start, source(), Arc::new(platform::SystemClock::new())).unwrap_err();
    assert!(matches!(error, StartError::Policy(_)), "{error}");
}

/// How the second of two connections of a client that keeps its sessions shakes hands.
fn second_handshake(
    served: &Served,
    version: &'static SupportedProtocolVersion,
    identity: Option<&(String, String)>,
) -> HandshakeKind {
    let client = served.client(version, identity);
    let kinds = [(), ()].map(|()| {
        let mut connection = served.connect_with("mirror", Arc::clone(&client));
        connection.get("/a", "");
        assert_eq!(connection.answer().unwrap().body, b"A");
        connection.stream.conn.handshake_kind().unwrap()
    });
    assert_eq!(kinds[0], HandshakeKind::Full);
    kinds[1]
}

#[test]
fn a_session_goes_on_only_where_no_certificate_is_asked_for_v34() {
    let people = authority();
    let endpoint = people.issue("endpoint");
    let (open, closed) = (served(None), served(Some(&people.certificate)));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        assert_eq!(second_handshake(&open, version, None), HandshakeKind::Resumed);
        let again = second_handshake(&closed, version, Some(&endpoint));
        assert_eq!(again, HandshakeKind::Full, "certificate and lists are looked at each time");
    }
}

#[test]
fn a_long_list_is_taken_and_one_that_is_too_long_is_called_so_v34() {
    let people = authority();
    let served = served(Some(&people.certificate));
    let (good, bad) = (people.issue_as("good", Some(7)), people.issue_as("bad", Some(8)));
    let path = served.folder.path().join("clients.crl");
    let with_list = |pem: &str| served.reload_with_list(&people.certificate, &path, pem);
    let list = people.revoke(8, 3000);
    let padding = "what stands around the blocks says nothing\n".repeat(40_000);
    assert!(padding.len() > 1 << 20);
    with_list(&format!("{padding}{list}")).unwrap();
    assert!(served.try_get("mirror", Some(&good)).is_ok() && served.try_get("mirror", Some(&bad)).is_err());
    with_list(&format!("{list}{}", " ".repeat(8 << 20))).unwrap();
    let refused = served.site.server.stats().certificates[2].refused.clone().unwrap();
    assert!(refused.contains("clients.crl is larger than 8388608 bytes"), "{refused}");
    assert!(served.try_get("mirror", Some(&good)).is_ok(), "and the one before stays in use");
}

#[test]
fn whom_a_list_revokes_is_refused_and_a_list_that_ended_refuses_all_v34() {
    let (people, others) = (authority(), authority());
    let served = served(Some(&people.certificate));
    let (good, bad) = (people.issue_as("good", Some(7)), people.issue_as("bad", Some(8)));
    let path = served.folder.path().join("clients.crl");
    let with_list = |pem: &str| served.reload_with_list(&people.certificate, &path, pem);
    let lets_in = |who| served.try_get("mirror", Some(who)).is_ok();
    assert!(lets_in(&good) && lets_in(&bad));
    with_list(&people.revoke(8, 3000)).unwrap();
    assert!(lets_in(&good) && !lets_in(&bad));
    // A changed list is taken over by itself, as certificates are.
    std::fs::write(&path, people.revoke(7, 3000)).unwrap();
    until(|| {
        served.site.server.nudge();
        !lets_in(&good)
    });
    assert!(lets_in(&bad));
    with_list(&people.revoke(8, 2021)).unwrap();
    assert!(!lets_in(&good), "a list that ended says nothing of today");
    let facts = served.site.server.stats().certificates;
    let kinds: Vec<_> = facts.iter().map(|facts| (facts.kind.as_str(), facts.listener)).collect();
    let listener = served.site.address();
    assert_eq!(kinds, [("certificate", listener), ("client_ca", listener), ("client_crl", listener)]);
    assert!(facts.iter().all(|facts| facts.not_after > facts.not_before));
    assert_eq!(facts[2].not_after.map(|end| end.to_string()[..4].to_owned()).as_deref(), Some("2021"));
    with_list(&others.revoke(8, 3000)).unwrap();
    assert!(!lets_in(&good), "nor does another authority's");
    for bad in ["", "nonsense"] {
        with_list(bad).unwrap();
        assert!(served.site.server.stats().certificates[2].refused.is_some(), "{bad}");
    }
}
