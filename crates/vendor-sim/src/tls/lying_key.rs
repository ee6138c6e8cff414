//! A key that signs nothing: what it makes looks like the signature of a short RSA key.

use tokio_rustls::rustls::sign::{Signer, SigningKey};
use tokio_rustls::rustls::{Error, SignatureAlgorithm, SignatureScheme};

/// Claims to be an RSA key of 1,024 bits, which no library signs with any more.
#[derive(Debug)]
pub(super) struct LyingKey;

impl SigningKey for LyingKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = SignatureScheme::RSA_PSS_SHA256;
        offered.contains(&scheme).then(|| Box::new(Self) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl Signer for LyingKey {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![7; 128])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::RSA_PSS_SHA256
    }
}
