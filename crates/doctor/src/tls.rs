//! What TLS shows, and who vouches for it.

use std::sync::{Arc, Mutex, PoisonError};

use model::{Timestamp, TlsAnchor};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme,
};

use crate::certificate::Certificate;

/// What a handshake showed.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    /// The certificates presented, the server's own first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) version: Option<ProtocolVersion>,
}

/// Takes note of the chain that is presented.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Vec<CertificateDer<'static>>>);

impl Seen {
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A client that looks at certificates and lets everything pass: what is wrong is to be told, not to end the look.
/// Nothing secret is ever sent over such a connection, and nothing that comes over it is kept.
pub(crate) fn client_config(
    seen: Arc<Seen>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let looker = Arc::new(Looker { provider: Arc::clone(&provider), seen });
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(looker).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct Looker {
    provider: Arc<CryptoProvider>,
    seen: Arc<Seen>,
}

impl ServerCertVerifier for Looker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|one| one.clone().into_owned()).collect();
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The roots that are known here, those of each kind apart.
pub(crate) struct Roots {
    kinds: Vec<(TlsAnchor, RootCertStore)>,
}

/// A CA file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    /// It is not PEM, or holds something that is no certificate.
    #[error("it holds something that is no certificate in PEM")]
    Damaged,
    /// It holds no certificate.
    #[error("it holds no certificate")]
    Empty,
}

impl Roots {
    /// The public roots, the system's, and those of a CA file.
    ///
    /// # Errors
    /// [`CaFileError`] when the file holds no usable certificate.
    pub(crate) fn load(ca_pem: Option<&[u8]>) -> Result<Self, CaFileError> {
        let public = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let mut system = RootCertStore::empty();
        system.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let mut kinds = vec![(TlsAnchor::PublicRoot, public), (TlsAnchor::SystemRoot, system)];
        if let Some(pem) = ca_pem {
            kinds.push((TlsAnchor::CaFile, ca_file(pem)?));
        }
        Ok(Self { kinds })
    }

    /// The public roots alone.
    pub(crate) fn public() -> Self {
        let public = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self { kinds: vec![(TlsAnchor::PublicRoot, public)] }
    }

    /// Who vouches for a chain under a name, or why nobody does.
    pub(crate) fn judge(
        &self,
        chain: &[CertificateDer<'static>],
        name: &str,
        now: Timestamp,
    ) -> Result<TlsAnchor, CertificateError> {
        let (Some((leaf, others)), Ok(name)) = (chain.split_first(), ServerName::try_from(name.to_owned())) else {
            return Err(CertificateError::BadEncoding);
        };
        let seconds = u64::try_from(now.as_micros()).unwrap_or(0) / 1_000_000;
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut telling = CertificateError::UnknownIssuer;
        for (anchor, roots) in &self.kinds {
            let roots = Arc::new(roots.clone());
            let built = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            // A store without a root vouches for nothing.
            let Ok(verifier) = built else { continue };
            match verifier.verify_server_cert(leaf, others, &name, &[], now) {
                Ok(_) => return Ok(*anchor),
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
                Err(Error::InvalidCertificate(error)) => telling = error,
                Err(_) => telling = CertificateError::BadEncoding,
            }
        }
        Err(telling)
    }

    /// Whether a root has this name (the DER of its subject, without its outer head).
    pub(crate) fn knows(&self, subject: &[u8]) -> bool {
        self.kinds.iter().any(|(_, store)| store.roots.iter().any(|root| root.subject.as_ref() == subject))
    }
}

/// What is wrong with the name alone, whoever vouches; none where it fits, or the certificate cannot be read.
pub(crate) fn wrong_name(leaf: &CertificateDer<'static>, name: &str) -> Option<CertificateError> {
    let name = ServerName::try_from(name.to_owned()).ok()?;
    let leaf = ParsedCertificate::try_from(leaf).ok()?;
    match verify_server_name(&leaf, &name) {
        Err(Error::InvalidCertificate(error)) => Some(error),
        _ => None,
    }
}

fn ca_file(pem: &[u8]) -> Result<RootCertStore, CaFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| CaFileError::Damaged)?;
        roots.add(certificate).map_err(|_| CaFileError::Damaged)?;
    }
    if roots.is_empty() { Err(CaFileError::Empty) } else { Ok(roots) }
}

/// Who a chain leads to, in words: the name of whoever issued its last certificate.
pub(crate) fn issuer(chain: &[CertificateDer<'static>]) -> Option<String> {
    Certificate::read(chain.last()?).map(|last| last.issuer.words)
}

/// The version, in words.
pub(crate) fn version_words(version: Option<ProtocolVersion>) -> String {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
        other => format!("{other:?}"),
    }
}
