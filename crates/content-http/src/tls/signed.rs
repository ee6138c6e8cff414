//! Whether an authority's key signed a revocation list. Every handshake asks that; a file that fails it shuts out everybody of
//! whom the list speaks.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::TrustAnchor;

use crate::expiry::Signed;

/// Whether it did, by any way of signing that handshakes know.
pub(super) fn signed_by(list: &[u8], authority: &TrustAnchor<'_>, provider: &CryptoProvider) -> bool {
    let Some((list, key)) = Signed::of(list).zip(Signed::key_of(&authority.subject_public_key_info)) else {
        return false;
    };
    let (key_kind, key) = key;
    let ways = provider.signature_verification_algorithms.all.iter();
    let mut fit =
        ways.filter(|way| way.public_key_alg_id().as_ref() == key_kind && way.signature_alg_id().as_ref() == list.way);
    fit.any(|way| way.verify_signature(key, list.what, list.signature).is_ok())
}
