//! The certificate that endpoints are shown, and its key.

use std::path::PathBuf;
use std::sync::Arc;

use model::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::TlsError;
use super::part::{Bytes, Made};
use super::pem::{Named, certificates};
use crate::TlsSettings;
use crate::expiry::{Span, of_certificate};

/// The longest file that is read.
const MAX_PEM: u64 = 1024 * 1024;

/// Where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Paths {
    pub(super) fn of(settings: &TlsSettings) -> Self {
        Self { certificate: settings.certificate.clone(), key: settings.key.clone() }
    }
}

/// What is shown.
pub(crate) struct Pair {
    pub(super) shown: Arc<CertifiedKey>,
    /// The first certificate's: what clients look at first.
    first: Option<Span>,
    /// That one's which ends first.
    pub(super) soonest: Option<Span>,
    /// When the last of them begins: before, endpoints refuse the chain.
    pub(super) begins: Option<Timestamp>,
}

impl Made for Pair {
    type Paths = Paths;

    fn files(paths: &Paths) -> Vec<Named<'_>> {
        vec![
            Named { key: "tls.certificate", path: &paths.certificate, most: MAX_PEM },
            Named { key: "tls.key", path: &paths.key, most: MAX_PEM },
        ]
    }

    fn make(paths: &Paths, files: &[Bytes]) -> Result<Self, TlsError> {
        let [certificate, key] = files else {
            return Err(TlsError::Cut { path: paths.certificate.clone() });
        };
        let chain = certificates(certificate, &paths.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::no_pem(key, &paths.key, "private key"))?;
        let spans = || chain.iter().filter_map(|one| of_certificate(one));
        let (first, soonest) = (chain.first().and_then(|one| of_certificate(one)), Span::soonest(spans()));
        let begins = spans().map(|span| span.from).max();
        let fits = |chain: Vec<CertificateDer<'static>>| {
            CertifiedKey::from_der(chain, key.clone_key(), &aws_lc_rs::default_provider())
        };
        let shown = fits(chain.clone()).map_err(|source| {
            if chain.iter().skip(1).any(|one| fits(vec![one.clone()]).is_ok()) {
                return TlsError::Order { certificate: paths.certificate.clone(), key: paths.key.clone() };
            }
            TlsError::of_pair(paths, chain.first().map(AsRef::as_ref), source)
        })?;
        Ok(Self { shown: Arc::new(shown), first, soonest, begins })
    }

    /// What has ended or has not begun takes no other's place while that one holds.
    fn may_follow(&self, older: &Self, paths: &Paths, now: Timestamp) -> Result<(), TlsError> {
        match (older.first, self.first) {
            (Some(old), Some(new)) if old.holds(now) && !new.holds(now) => Err(TlsError::NotNow {
                path: paths.certificate.clone(),
                from: new.from,
                until: new.until,
                whose: String::new(),
            }),
            _ => Ok(()),
        }
    }

    fn warn_beside(&self, older: &Self, paths: &Paths) {
        super::part::warn_of_fewer(&paths.certificate, older.shown.cert.len(), self.shown.cert.len());
    }
}
