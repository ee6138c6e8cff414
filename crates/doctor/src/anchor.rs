//! What the certificates of a CA file say of themselves.

use model::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::CaFileError;
use crate::certificate::Certificate;

/// A certificate that is to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Whose it is.
    pub name: String,
    /// From when it is valid.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Whether it may issue others; none where it is of a version that does not say.
    pub is_ca: Option<bool>,
}

/// The certificates of a file, in its order.
///
/// # Errors
/// [`CaFileError`] when it holds none, or something else.
pub fn anchors(pem: &[u8]) -> Result<Vec<Anchor>, CaFileError> {
    let mut anchors = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let der = certificate.map_err(|_| CaFileError::Damaged)?;
        let read = Certificate::read(&der).ok_or(CaFileError::Damaged)?;
        let Certificate { subject, not_before, not_after, is_ca, .. } = read;
        anchors.push(Anchor { name: subject.words, from: not_before, until: not_after, is_ca });
    }
    if anchors.is_empty() { Err(CaFileError::Empty) } else { Ok(anchors) }
}
