//! Whether a vendor's signature over some bytes is good, and by which key.

mod pem;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use model::Digest;

/// The key that Elastic's own Kibana checks the sister manifests of the same host with.
const BUILT_IN: &str = "-----BEGIN PUBLIC KEY-----
MIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEA6AB2sJ5M1ImN/bkQ7Te6
uI7vMXjN2yupEmh2rYz4gNzWS351d4JOhuQH3nzxfKdayHgusP/Kq2MXVqALH8Ru
Yu2AF08GdvYlQXPgEVI+tB/riekwU7PXZHdA1dY5/mEZ8SUSM25kcDJ3vTCzFTlL
gl2RNAdkR80d9nhvNSWlhWMwr8coQkr6NmujVU/Wa0w0EXbN1arjcG4qzbOCaR+b
cgQ9LRUoFfK9w+JJHDNjOI7rOmaIDA6Ep4oeDLy5AcGCE8bNmQzxZhRW7NvlNUGS
NTgU0CZTatVsL9AyP15W3k635Cpmy2SMPX+d/CFgvr8QPxtqdrz3q9iOeU3a1LMY
gDcFVmSzn5zieQEPfo/FcQID/gnCmkX0ADVMf1Q20ew66H7UCOejGaerbFZXYnTz
5AgQBWF2taOSSE7gDjGAHereeKp+1PR+tCkoDZIrPEjo0V6+KaTMuYS3oZj1/RZN
oTjQrdfeDj02mEIL+XkcWKAp03PYlWylVwgTMa178DDVuTWtS5lZL8j5LijlH9+6
xH8o++ghwfxp6ENLKDZPV5IvHHG7Vth9HScoPTQWQ+s8Bt26QENPUV2AbyxbJykY
mJfTDke3bEemHZzRbAmwiQ7VpJjJ4OfLGRy8Pp2AHo8kYIvWyM5+aLMxcxUaYdA9
5SxoDOgcDBA4lLb6XFLYiDUCAwEAAQ==
-----END PUBLIC KEY-----
";

/// Why a text gives no keys.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// It holds no PEM block at all.
    #[error("no '-----BEGIN PUBLIC KEY-----' block is in it")]
    None,
    /// It holds a block that is something else: a certificate, a private key, a PKCS#1 key.
    #[error("block {block} is a '{label}', not a 'PUBLIC KEY'; `openssl pkey -pubout` makes one")]
    Label {
        /// Which block, from 1.
        block: usize,
        /// What it calls itself, escaped and cut.
        label: String,
    },
    /// A block is not closed, or not base64.
    #[error("block {block} is damaged: {what}")]
    Damaged {
        /// Which block, from 1.
        block: usize,
        /// How.
        what: &'static str,
    },
    /// A block is well-formed and holds no RSA key that can be used.
    #[error("block {block} holds no RSA public key of 2048 to 8192 bits in its one DER form")]
    Unusable {
        /// Which block, from 1.
        block: usize,
    },
    /// It holds far more keys than a vendor has.
    #[error("more than {0} keys are in it")]
    Many(usize),
}

/// What is known about a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureCheck {
    /// A key of the ring made it over exactly these bytes.
    Good {
        /// The key's id.
        key_id: String,
    },
    /// No key of the ring did: another key, other bytes, or no signature.
    Unverified,
}

/// The public keys that vendors' signatures are checked with. A key is in it once, however often it was added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRing(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    /// The first 16 hexadecimal digits of the DER's SHA-256.
    id: String,
    /// The SubjectPublicKeyInfo.
    der: Vec<u8>,
}

const MAX_KEYS: usize = 64;

impl KeyRing {
    /// A ring without keys: nothing verifies.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The ring of the keys that this program was built with.
    pub fn built_in() -> Self {
        // A constant, held by a test: an empty ring would only ever verify less.
        Self::empty().with_pem(BUILT_IN).unwrap_or_default()
    }

    /// Adds the keys of a PEM text: one or more `PUBLIC KEY` blocks, with any text between them.
    ///
    /// # Errors
    /// When it holds none, or when one of its blocks is anything but a usable RSA public key.
    pub fn with_pem(mut self, text: &str) -> Result<Self, KeyError> {
        let blocks = pem::blocks(text)?;
        if blocks.is_empty() {
            return Err(KeyError::None);
        }
        for (index, der) in blocks.into_iter().enumerate() {
            let key = Key::from_der(der).ok_or(KeyError::Unusable { block: index + 1 })?;
            if !self.0.contains(&key) {
                self.0.push(key);
            }
            if self.0.len() > MAX_KEYS {
                return Err(KeyError::Many(MAX_KEYS));
            }
        }
        Ok(self)
    }

    /// The ids of its keys, in the order in which they were added.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Whether a key of the ring made this signature over this message: RSA PKCS#1 v1.5 with SHA-256.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> SignatureCheck {
        match self.0.iter().find(|key| key.made(message, signature)) {
            Some(key) => SignatureCheck::Good { key_id: key.id.clone() },
            None => SignatureCheck::Unverified,
        }
    }
}

impl Key {
    /// None unless it is an RSA key of a size that is used, in the one DER form that such a key has: two forms
    /// would be one key with two ids.
    fn from_der(der: Vec<u8>) -> Option<Self> {
        let key = PublicEncryptingKey::from_der(&der).ok()?;
        let canonical: PublicKeyX509Der<'_> = key.as_der().ok()?;
        if canonical.as_ref() != der || !(2048..=8192).contains(&key.key_size_bits()) {
            return None;
        }
        let id = Digest::of(&der).to_string().chars().take(16).collect();
        Some(Self { id, der })
    }

    fn made(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.der).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests;
