//! Why a chain leads nowhere: what its certificates say of each other, for the operator's eyes. Nothing is decided here.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error, OtherError, RootCertStore};
use webpki::EndEntityCert;

use crate::text::escape;

/// What is wrong with a chain, in more words than the library has.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChainFault {
    #[error("the certificate is signed by itself and not in origin.ca_file")]
    SelfSigned,
    #[error(
        "the certificate leads to the root '{0}', which is no root that is known here: neither public, nor the \
         system's, nor in origin.ca_file"
    )]
    UnknownRoot(String),
    #[error(
        "the certificate's chain ends at '{0}', which was not sent and is no root that is known here: the host leaves \
         out an intermediate certificate, or its root is not in origin.ca_file"
    )]
    Incomplete(String),
    #[error("the key of '{0}', in the certificate's chain, is shorter than 2,048 bits")]
    ShortAuthorityKey(String),
    #[error("the certificate's key is shorter than 2,048 bits")]
    ShortKey,
}

impl From<ChainFault> for Error {
    fn from(fault: ChainFault) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
    }
}

/// What a certificate says of itself.
struct Facts {
    subject: Vec<u8>,
    issuer: Vec<u8>,
    key_is_short: bool,
}

impl Facts {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        let key = certificate.subject_public_key_info();
        Some(Self {
            subject: certificate.subject().to_vec(),
            issuer: certificate.issuer().to_vec(),
            key_is_short: is_short(&key),
        })
    }

    fn is_its_own_issuer(&self) -> bool {
        self.subject == self.issuer
    }
}

/// An RSA key below 2,048 bits: with its frame it has fewer bytes than the number of one that is long enough.
fn is_short(key: &[u8]) -> bool {
    /// rsaEncryption.
    const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    key.len() < 256 + RSA.len() && key.windows(RSA.len()).any(|part| part == RSA)
}

/// The subjects of roots whose keys are short.
pub(super) fn short_roots(roots: &RootCertStore) -> Vec<Vec<u8>> {
    let short = roots.roots.iter().filter(|root| is_short(&root.subject_public_key_info));
    short.map(|root| root.subject.to_vec()).collect()
}

/// Says more of a chain that was refused, where its certificates tell more.
pub(super) fn explained(
    error: Error,
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    short_roots: &[Vec<u8>],
) -> Error {
    let Some(own) = Facts::of(leaf) else { return error };
    let others: Vec<Facts> = others.iter().filter_map(Facts::of).collect();
    match &error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            let last = others.last().unwrap_or(&own);
            match (own.is_its_own_issuer(), last.is_its_own_issuer()) {
                (true, _) => ChainFault::SelfSigned,
                (false, true) => ChainFault::UnknownRoot(common_name(&last.subject)),
                (false, false) => ChainFault::Incomplete(common_name(&last.issuer)),
            }
            .into()
        }
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            let short = others.iter().filter(|one| one.key_is_short).map(|one| &one.subject).chain(short_roots);
            let mut issuers = std::iter::once(&own).chain(&others).map(|one| &one.issuer);
            match short.into_iter().find(|subject| issuers.any(|issuer| issuer == *subject)) {
                Some(subject) => ChainFault::ShortAuthorityKey(common_name(subject)).into(),
                None => error,
            }
        }
        _ => error,
    }
}

/// Says more of a handshake's signature that was refused.
pub(super) fn of_signature(error: Error, certificate: &CertificateDer<'_>) -> Error {
    match Facts::of(certificate) {
        Some(facts) if facts.key_is_short => ChainFault::ShortKey.into(),
        _ => error,
    }
}

/// The common name in a name's DER, fit to print.
fn common_name(name: &[u8]) -> String {
    /// The attribute's identifier, 2.5.4.3, with its head.
    const COMMON_NAME: [u8; 5] = [6, 3, 0x55, 4, 3];
    let value = name.windows(COMMON_NAME.len()).position(|part| part == COMMON_NAME).and_then(|at| {
        let rest = name.get(at + COMMON_NAME.len()..)?;
        // A tag, a length of one byte, the text.
        rest.get(2..2 + usize::from(*rest.get(1)?))
    });
    value.map_or_else(|| "an issuer without a common name".to_owned(), |value| escape(value, 80))
}
