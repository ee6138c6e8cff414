//! Mirrors whose TLS is wrong.

use std::sync::Arc;

use Check::*;
use Level::{Fail, Warn};
use doctor::{Check, Level};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::content::{ELASTIC, examination, expect, files, run};
use crate::mirror::Mirror;

/// A root, an intermediate below it, and a server's certificate below that.
pub(crate) struct Chain {
    pub(crate) root_pem: String,
    intermediate: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
    key: Vec<u8>,
}

pub(crate) fn named(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut parameters = CertificateParams::new(hosts).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2040, 1, 1);
    parameters
}

pub(crate) fn chain(leaf: CertificateParams) -> Chain {
    let authority = |name| {
        let mut parameters = named(name, &[]);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (parameters, KeyPair::generate().unwrap())
    };
    let (root_parameters, root_key) = authority("Corp Root");
    let root = root_parameters.self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(root_parameters, root_key);
    let (middle_parameters, middle_key) = authority("Corp Intermediate");
    let intermediate = middle_parameters.signed_by(&middle_key, &root_issuer).unwrap();
    let middle_issuer = Issuer::new(middle_parameters, middle_key);
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &middle_issuer).unwrap();
    Chain {
        root_pem: root.pem(),
        intermediate: intermediate.der().clone(),
        leaf: leaf.der().clone(),
        key: key.serialize_der(),
    }
}

pub(crate) fn acceptor(chain: &Chain, presented: Vec<CertificateDer<'static>>, old: bool) -> TlsAcceptor {
    let versions: &[_] = if old { &[&TLS12, &TLS13] } else { &[&TLS13] };
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(presented, PrivatePkcs8KeyDer::from(chain.key.clone()).into())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn check(chain: &Chain, tls: TlsAcceptor, ca: bool, expected: &[(Check, Level)]) {
    let mirror = Mirror::start(files(), &[], Some(tls)).await;
    let mut examination = examination(&format!("https://{}", mirror.address), &[ELASTIC]);
    examination.ca_pem = ca.then(|| chain.root_pem.clone().into_bytes());
    expect(&run(&examination).await, expected);
}

pub(crate) fn whole(chain: &Chain) -> Vec<CertificateDer<'static>> {
    vec![chain.leaf.clone(), chain.intermediate.clone()]
}

#[tokio::test]
async fn a_whole_chain_is_fine() {
    let chain = chain(named("mirror", &["127.0.0.1"]));
    check(&chain, acceptor(&chain, whole(&chain), true), true, &[]).await;
}

#[tokio::test]
async fn an_expired_certificate_u46() {
    let mut parameters = named("mirror", &["127.0.0.1"]);
    parameters.not_after = date_time_ymd(2026, 10, 1);
    let chain = chain(parameters);
    check(&chain, acceptor(&chain, whole(&chain), true), true, &[(TlsTime, Fail)]).await;
}

#[tokio::test]
async fn a_certificate_that_ends_soon() {
    let mut parameters = named("mirror", &["127.0.0.1"]);
    parameters.not_after = date_time_ymd(2026, 10, 12);
    let chain = chain(parameters);
    check(&chain, acceptor(&chain, whole(&chain), true), true, &[(TlsTime, Warn)]).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_u46() {
    let chain = chain(named("mirror", &["other.example"]));
    check(&chain, acceptor(&chain, whole(&chain), true), true, &[(TlsName, Fail)]).await;
}

#[tokio::test]
async fn an_incomplete_chain_u46() {
    let chain = chain(named("mirror", &["127.0.0.1"]));
    let leaf_alone = acceptor(&chain, vec![chain.leaf.clone()], true);
    check(&chain, leaf_alone, true, &[(TlsChain, Fail)]).await;
}

#[tokio::test]
async fn a_root_that_nobody_knows_u46() {
    let key = KeyPair::generate().unwrap();
    let leaf = named("mirror", &["127.0.0.1"]).self_signed(&key).unwrap();
    let mut chain = chain(named("mirror", &["127.0.0.1"]));
    chain.key = key.serialize_der();
    let own = acceptor(&chain, vec![leaf.der().clone()], true);
    check(&chain, own, true, &[(TlsTrust, Fail)]).await;
}

/// What `openssl req -x509` makes: an authority's certificate, presented as the server's own.
#[tokio::test]
async fn an_authority_that_stands_as_a_server_u46() {
    let key = KeyPair::generate().unwrap();
    let mut parameters = named("mirror", &["other.example"]);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = parameters.self_signed(&key).unwrap();
    let mut chain = chain(named("mirror", &["127.0.0.1"]));
    (chain.key, chain.root_pem) = (key.serialize_der(), own.pem());
    let tls = acceptor(&chain, vec![own.der().clone()], true);
    let mirror = Mirror::start(files(), &[], Some(tls)).await;
    let mut examination = examination(&format!("https://{}", mirror.address), &[ELASTIC]);
    examination.ca_pem = Some(chain.root_pem.clone().into_bytes());
    let report = run(&examination).await;
    expect(&report, &[(TlsTrust, Fail), (TlsName, Fail)]);
    let find = |check| report.findings.iter().find(|finding| finding.check == check).unwrap();
    let (trust, name) = (find(TlsTrust), find(TlsName));
    assert!(
        trust.came.ends_with("an authority's own certificate (CA:TRUE), which is not one for servers"),
        "{trust:?}"
    );
    assert!(trust.remedy.contains("CA:FALSE") && !trust.remedy.contains("--ca-file"), "{trust:?}");
    assert!(name.came.ends_with("for other.example"), "{name:?}");
}

#[tokio::test]
async fn tls_1_3_alone() {
    let chain = chain(named("mirror", &["127.0.0.1"]));
    check(&chain, acceptor(&chain, whole(&chain), false), true, &[(TlsVersion, Warn)]).await;
}
