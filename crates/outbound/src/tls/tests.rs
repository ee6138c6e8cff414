//! Who vouches, without a network.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn verifier(&self) -> WebPki {
        webpki(ca_roots(self.0.pem().as_bytes()).unwrap(), &Arc::new(aws_lc_rs::default_provider()))
    }

    fn issue(&self, name: &str) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap().der().clone()
    }
}

fn verify(verifier: &Verifier, certificate: &CertificateDer<'_>, host: &str) -> Result<TlsAnchor, Error> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_768_478_400));
    verifier.verify_server_cert(certificate, &[], &name, &[], now)?;
    Ok(verifier.anchors.of(&HostName::parse(host).unwrap()))
}

#[test]
fn each_kind_of_root_is_told_apart_and_the_weakest_counts_u46() {
    let (public, system, own, nobody) = (Ca::new("public"), Ca::new("system"), Ca::new("own"), Ca::new("nobody"));
    let verifier = Verifier {
        provider: Arc::new(aws_lc_rs::default_provider()),
        anchors: Arc::default(),
        public: OnceLock::from(public.verifier()),
        system: OnceLock::from(system.verifier()),
        ca: own.verifier(),
        short_roots: Vec::new(),
    };
    for (ca, host, anchor) in [
        (&public, "public.test", TlsAnchor::PublicRoot),
        (&system, "system.test", TlsAnchor::SystemRoot),
        (&own, "own.test", TlsAnchor::CaFile),
        (&own, "public.test", TlsAnchor::CaFile),
        (&public, "public.test", TlsAnchor::CaFile),
        (&public, "own.test", TlsAnchor::CaFile),
    ] {
        assert_eq!(verify(&verifier, &ca.issue(host), host), Ok(anchor), "{host}");
    }
    let unknown = verify(&verifier, &nobody.issue("a.test"), "a.test");
    let unknown = words(&unknown.unwrap_err());
    assert!(unknown.contains("ends at 'nobody'"), "{unknown}");
    let misnamed = verify(&verifier, &system.issue("b.test"), "a.test").unwrap_err();
    assert!(words(&misnamed).contains("not for a.test but for"), "{}", words(&misnamed));
}

#[test]
fn hosts_never_seen_count_as_the_weakest_and_memory_is_bounded() {
    let anchors = Anchors::default();
    assert_eq!(anchors.of(&HostName::parse("a.test").unwrap()), TlsAnchor::CaFile);
    for number in 0..=MAX_HOSTS {
        anchors.note(HostName::parse(&format!("h{number}.test")).unwrap(), TlsAnchor::PublicRoot);
    }
    assert_eq!(anchors.0.lock().unwrap().len(), MAX_HOSTS);
    assert_eq!(anchors.of(&HostName::parse("h0.test").unwrap()), TlsAnchor::PublicRoot);
    assert_eq!(anchors.of(&HostName::parse(&format!("h{MAX_HOSTS}.test")).unwrap()), TlsAnchor::CaFile);
}
