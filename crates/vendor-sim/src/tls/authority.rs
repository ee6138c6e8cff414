//! Certificates: a good one, and one for each reason to refuse one.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use tokio_rustls::rustls::crypto::aws_lc_rs::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey};

use super::lying_key::LyingKey;

/// The names that a good certificate has.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "vendor.test"];

/// What is wrong with a certificate or its chain (U46).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// Nothing.
    Good,
    /// It ended in 2020.
    Expired,
    /// It begins in the year 3000.
    NotYetValid,
    /// It is for `other.test`.
    OtherName,
    /// It is for addresses alone.
    AddressAlone,
    /// Signed by itself.
    SelfSigned,
    /// By an authority that nobody trusts, sent whole.
    UnknownAuthority,
    /// The certificate between it and its root is not sent.
    MissingIntermediate,
    /// Signed with SHA-1.
    Sha1,
    /// By a root with a key of 1,024 bits.
    ShortAuthorityKey,
    /// With a key of 1,024 bits.
    ShortKey,
    /// For clients alone.
    OtherPurpose,
    /// By an authority that may sign for `allowed.test` alone.
    OutOfBounds,
    /// Twenty authorities between it and its root.
    LongChain,
}

impl CertificateFault {
    /// All but the good one.
    pub const BAD: [Self; 13] = [
        Self::Expired,
        Self::NotYetValid,
        Self::OtherName,
        Self::AddressAlone,
        Self::SelfSigned,
        Self::UnknownAuthority,
        Self::MissingIntermediate,
        Self::Sha1,
        Self::ShortAuthorityKey,
        Self::ShortKey,
        Self::OtherPurpose,
        Self::OutOfBounds,
        Self::LongChain,
    ];
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("a simulated certificate could not be made: {0}")]
pub struct IdentityError(String);

impl IdentityError {
    pub(super) fn new(cause: impl ToString) -> Self {
        Self(cause.to_string())
    }
}

/// What a host shows, and what a client is to trust.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    trusted: String,
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer(
    name: &str,
    by: Option<&Issuer>,
    change: impl FnOnce(&mut CertificateParams),
) -> Result<Issuer, IdentityError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(IdentityError::new)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    let key = KeyPair::generate().map_err(IdentityError::new)?;
    match by {
        Some(by) => CertifiedIssuer::signed_by(params, key, by),
        None => CertifiedIssuer::self_signed(params, key),
    }
    .map_err(IdentityError::new)
}

impl Identity {
    /// A host's certificate with this fault. A good one is for `127.0.0.1`, `localhost` and `vendor.test`.
    ///
    /// # Errors
    /// [`IdentityError`] when the library makes none.
    pub fn new(fault: CertificateFault) -> Result<Self, IdentityError> {
        match fault {
            CertificateFault::Sha1 => kept(SHA1),
            CertificateFault::ShortAuthorityKey => kept(SHORT_AUTHORITY),
            CertificateFault::ShortKey => Self::with_short_key(),
            fault => Self::made(fault),
        }
    }

    /// The roots that a client is to trust, as PEM.
    pub fn trusted_pem(&self) -> &str {
        &self.trusted
    }

    fn made(fault: CertificateFault) -> Result<Self, IdentityError> {
        let root = issuer("simulated root", None, |_| {})?;
        let other = issuer("another root", None, |_| {})?;
        let bounded = |params: &mut CertificateParams| {
            if fault == CertificateFault::OutOfBounds {
                let permitted_subtrees = vec![GeneralSubtree::DnsName("allowed.test".to_owned())];
                params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
            }
        };
        let top = if fault == CertificateFault::UnknownAuthority { &other } else { &root };
        let mut between = vec![issuer("simulated intermediate", Some(top), bounded)?];
        let more = if fault == CertificateFault::LongChain { 19 } else { 0 };
        for number in 0..more {
            let next = issuer(&format!("simulated intermediate {number}"), between.last(), |_| {})?;
            between.push(next);
        }
        let key = KeyPair::generate().map_err(IdentityError::new)?;
        let params = leaf(fault)?;
        let certificate = match (fault, between.last()) {
            (CertificateFault::SelfSigned, _) | (_, None) => params.self_signed(&key),
            (_, Some(last)) => params.signed_by(&key, last),
        }
        .map_err(IdentityError::new)?;
        let mut chain = vec![certificate.der().clone()];
        if !matches!(fault, CertificateFault::SelfSigned | CertificateFault::MissingIntermediate) {
            chain.extend(between.iter().rev().map(|issuer| issuer.der().clone()));
        }
        if fault == CertificateFault::UnknownAuthority {
            chain.push(other.der().clone());
        }
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Self::of(chain, signer(&key)?, root.pem()))
    }

    fn with_short_key() -> Result<Self, IdentityError> {
        let [root, leaf, _] = SHORT;
        Ok(Self::of(vec![pem(leaf)?], Arc::new(LyingKey), root.to_owned()))
    }

    fn of(chain: Vec<CertificateDer<'static>>, key: Arc<dyn SigningKey>, trusted: String) -> Self {
        Self { key: Arc::new(CertifiedKey::new(chain, key)), trusted }
    }
}

fn leaf(fault: CertificateFault) -> Result<CertificateParams, IdentityError> {
    let names: &[&str] = match fault {
        CertificateFault::OtherName => &["other.test", "127.0.0.2"],
        CertificateFault::AddressAlone => &["127.0.0.1", "127.0.0.2"],
        CertificateFault::OutOfBounds => &["vendor.test", "localhost"],
        _ => &NAMES,
    };
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).map_err(IdentityError::new)?;
    params.distinguished_name.push(DnType::CommonName, "simulated host");
    params.extended_key_usages = vec![match fault {
        CertificateFault::OtherPurpose => ExtendedKeyUsagePurpose::ClientAuth,
        _ => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    match fault {
        CertificateFault::Expired => params.not_after = date_time_ymd(2020, 1, 1),
        CertificateFault::NotYetValid => params.not_before = date_time_ymd(3000, 1, 1),
        _ => {}
    }
    Ok(params)
}

fn signer(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, IdentityError> {
    any_supported_type(key).map_err(IdentityError::new)
}

fn pem(text: &str) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_slice(text.as_bytes()).map_err(IdentityError::new)
}

/// A root, a certificate and its key that were made once (`certificates/make.sh`).
type Kept = [&'static str; 3];

const SHA1: Kept = [
    include_str!("certificates/sha1-root.pem"),
    include_str!("certificates/sha1.pem"),
    include_str!("certificates/sha1.key"),
];
const SHORT_AUTHORITY: Kept = [
    include_str!("certificates/short-authority-root.pem"),
    include_str!("certificates/short-authority.pem"),
    include_str!("certificates/short-authority.key"),
];
const SHORT: Kept = [include_str!("certificates/short-root.pem"), include_str!("certificates/short.pem"), ""];

fn kept([root, leaf, key]: Kept) -> Result<Identity, IdentityError> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(IdentityError::new)?;
    Ok(Identity::of(vec![pem(leaf)?], signer(&key)?, root.to_owned()))
}
