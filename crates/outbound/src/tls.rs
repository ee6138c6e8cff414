//! TLS: which roots vouch for a host, told apart, and certificate errors in words.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::{Clock, TlsAnchor};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::ClientError;
use crate::host::HostName;
use crate::text::escape;

mod chain;
mod words;

pub(crate) use words::words;

/// What vouched for each host, the weakest where it was more than one: a record must never say more than was so.
#[derive(Debug, Default)]
pub(crate) struct Anchors(Mutex<HashMap<HostName, TlsAnchor>>);

/// Hosts remembered; beyond, a host counts as vouched for by the weakest.
const MAX_HOSTS: usize = 4096;

impl Anchors {
    /// What vouched for `host`.
    pub(crate) fn of(&self, host: &HostName) -> TlsAnchor {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(host).copied().unwrap_or(TlsAnchor::CaFile)
    }

    fn note(&self, host: HostName, anchor: TlsAnchor) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = seen.len() >= MAX_HOSTS;
        match seen.get_mut(&host) {
            Some(known) if rank(anchor) > rank(*known) => *known = anchor,
            None if !full => {
                seen.insert(host, anchor);
            }
            _ => {}
        }
    }
}

/// Higher is weaker.
fn rank(anchor: TlsAnchor) -> u8 {
    match anchor {
        TlsAnchor::PublicRoot => 0,
        TlsAnchor::SystemRoot => 1,
        TlsAnchor::CaFile => 2,
        TlsAnchor::None => 3,
    }
}

/// TLS 1.2 and 1.3, HTTP/1.1 alone. No root is read before the first certificate comes.
pub(crate) fn config(
    ca_pem: Option<&[u8]>,
    clock: Arc<dyn Clock>,
    anchors: Arc<Anchors>,
) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let ca = ca_pem.map(ca_roots).transpose()?;
    let short_roots = ca.as_ref().map(chain::short_roots).unwrap_or_default();
    let ca = ca.and_then(|roots| webpki(roots, &provider));
    let verifier = Verifier {
        provider: Arc::clone(&provider),
        anchors,
        public: OnceLock::new(),
        system: OnceLock::new(),
        ca,
        short_roots,
    };
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(Time(clock)))
        .with_safe_default_protocol_versions()
        .map_err(|cause| ClientError::Build { source: Box::new(cause) })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS for a connection that is no HTTP: the same roots, the same clock, the same words.
///
/// # Errors
/// [`ClientError`] when the extra roots cannot be used.
pub fn stream_tls(ca_pem: Option<&[u8]>, clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, ClientError> {
    let mut config = config(ca_pem, clock, Arc::new(Anchors::default()))?;
    config.alpn_protocols.clear();
    Ok(Arc::new(config))
}

fn ca_roots(pem: &[u8]) -> Result<RootCertStore, ClientError> {
    let bad = |detail: String| ClientError::CaFile { detail };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|cause| bad(format!("not PEM: {}", escape(cause.to_string().as_bytes(), 128))))?;
        roots.add(certificate).map_err(|cause| bad(format!("certificate {}: {}", roots.len() + 1, words(&cause))))?;
    }
    if roots.is_empty() { Err(bad("it holds no certificate".to_owned())) } else { Ok(roots) }
}

type WebPki = Option<Arc<WebPkiServerVerifier>>;

fn webpki(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> WebPki {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

/// Asks the public roots, then the system's, then those of the `ca_file`, and takes note of who vouched.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    anchors: Arc<Anchors>,
    public: OnceLock<WebPki>,
    system: OnceLock<WebPki>,
    ca: WebPki,
    /// Subjects of the `ca_file`'s roots whose keys are too short to be believed.
    short_roots: Vec<Vec<u8>>,
}

impl Verifier {
    fn by(&self, anchor: TlsAnchor) -> Option<&Arc<WebPkiServerVerifier>> {
        let verifier = match anchor {
            TlsAnchor::PublicRoot => self.public.get_or_init(|| {
                let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
                webpki(roots, &self.provider)
            }),
            TlsAnchor::SystemRoot => self.system.get_or_init(|| {
                let mut roots = RootCertStore::empty();
                let found = rustls_native_certs::load_native_certs();
                let (taken, ignored) = roots.add_parsable_certificates(found.certs);
                tracing::debug!(taken, ignored, errors = found.errors.len(), "read the system's trust store");
                webpki(roots, &self.provider)
            }),
            TlsAnchor::CaFile => &self.ca,
            TlsAnchor::None => &None,
        };
        verifier.as_ref()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut telling = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        for anchor in [TlsAnchor::PublicRoot, TlsAnchor::SystemRoot, TlsAnchor::CaFile] {
            let Some(verifier) = self.by(anchor) else { continue };
            match verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                Ok(verified) => {
                    if let Some(host) = HostName::parse(&server_name.to_str()) {
                        self.anchors.note(host, anchor);
                    }
                    return Ok(verified);
                }
                // The last error that is more than "not one of mine" is what the operator needs to read.
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
                Err(error) => telling = error,
            }
        }
        Err(chain::explained(telling, end_entity, intermediates, &self.short_roots))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
            .map_err(|error| chain::of_signature(error, cert))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
            .map_err(|error| chain::of_signature(error, cert))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Certificates are judged by the program's clock, so tests own their time too.
struct Time(Arc<dyn Clock>);

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_micros()).ok()? / 1_000_000;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests;
