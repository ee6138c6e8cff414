//! The test keys that sign manifests.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

/// An RSA-2048 key that signs as the vendor does: PKCS#1 v1.5 over SHA-256.
#[derive(Clone)]
pub struct SigningKey(Arc<KeyPair>);

/// The key could not be made, read or used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the signing key could not be {0}")]
pub struct KeyError(&'static str);

impl SigningKey {
    /// A new key.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError("generated"))?;
        Ok(Self(Arc::new(pair)))
    }

    /// Reads a key that [`SigningKey::to_pkcs8`] wrote.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        KeyPair::from_pkcs8(der).map(|pair| Self(Arc::new(pair))).map_err(|_| KeyError("read"))
    }

    /// The private key, PKCS#8 in DER: lets several processes sign alike.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, KeyError> {
        let der: Pkcs8V1Der<'_> = self.0.as_der().map_err(|_| KeyError("written"))?;
        Ok(der.as_ref().to_vec())
    }

    /// The public key as the vendor's setting wants it: SubjectPublicKeyInfo in PEM.
    pub fn public_key_pem(&self) -> Result<String, KeyError> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().map_err(|_| KeyError("written"))?;
        Ok(pem("PUBLIC KEY", der.as_ref()))
    }

    /// The raw signature of `message`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(|_| KeyError("used"))?;
        Ok(signature)
    }

    /// The key of this process, made once because making one takes a tenth of a second.
    pub(crate) fn of_this_process() -> Result<Self, KeyError> {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        once(&KEY)
    }

    /// A key that no client was told of.
    pub(crate) fn unknown() -> Result<Self, KeyError> {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        once(&KEY)
    }
}

fn once(cell: &OnceLock<SigningKey>) -> Result<SigningKey, KeyError> {
    if let Some(key) = cell.get() {
        return Ok(key.clone());
    }
    let key = SigningKey::generate()?;
    Ok(cell.get_or_init(|| key).clone())
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |group: u32, shift: u32| DIGITS.get((group >> shift & 63) as usize).map_or('=', |b| char::from(*b));
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let group = (0..3).fold(0u32, |group, i| group << 8 | u32::from(three.get(i).copied().unwrap_or(0)));
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            out.push(if place <= three.len() { digit(group, shift) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    #[test]
    fn base64_has_its_padding() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_key_survives_its_own_file_and_signs() {
        let key = SigningKey::of_this_process().unwrap();
        let again = SigningKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(key.public_key_pem().unwrap(), again.public_key_pem().unwrap());
        let signature = again.sign(b"manifest").unwrap();
        assert_eq!(signature, key.sign(b"manifest").unwrap());
        let der: PublicKeyX509Der<'_> = key.0.public_key().as_der().unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_ref()).verify(b"manifest", &signature).unwrap();
        assert!(SigningKey::from_pkcs8(b"no key").is_err());
    }
}
