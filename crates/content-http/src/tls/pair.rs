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
use crate::expiry::{End, Ends, Span, name_of, names_of, of_certificate};

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
    /// What clients look at: the first certificate, and of those in the file that stand for who issued it the one that holds
    /// longest. Further up clients may go by one of their own, so that what ended there is no harm.
    needed: Vec<Span>,
    /// Until when each holds.
    pub(super) ends: Ends,
}

impl Pair {
    fn holds(&self, now: Timestamp) -> bool {
        self.needed.iter().all(|span| span.holds(now))
    }
}

/// The certificates that clients look at, by their places in the file.
fn needed(chain: &[CertificateDer<'_>]) -> Vec<usize> {
    let issuer = chain.first().and_then(|first| names_of(first)).map(|(issuer, _)| issuer);
    let is_of = |one: &CertificateDer<'_>| names_of(one).map(|(_, subject)| subject) == issuer;
    let above = chain.iter().enumerate().skip(1).filter(|(_, one)| issuer.is_some() && is_of(one));
    let longest = above.max_by_key(|(_, one)| of_certificate(one).map(|span| span.until));
    [0].into_iter().chain(longest.map(|(at, _)| at)).collect()
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
        let looked_at = needed(&chain);
        let end = |(at, one): (usize, &CertificateDer<'_>)| {
            let (whose, is_needed) = (names_of(one).map(|(_, subject)| name_of(subject)), looked_at.contains(&at));
            Some(End {
                span: of_certificate(one)?,
                whose: whose.filter(|_| at > 0).unwrap_or_default(),
                counts_until: Timestamp::from_micros(if is_needed { i64::MAX } else { i64::MIN }),
            })
        };
        let ends = Ends::new(chain.iter().enumerate().filter_map(end));
        let needed = looked_at.iter().filter_map(|at| of_certificate(chain.get(*at)?)).collect();
        let fits = |chain: Vec<CertificateDer<'static>>| {
            CertifiedKey::from_der(chain, key.clone_key(), &aws_lc_rs::default_provider())
        };
        let shown = fits(chain.clone()).map_err(|source| {
            if chain.iter().skip(1).any(|one| fits(vec![one.clone()]).is_ok()) {
                return TlsError::Order { certificate: paths.certificate.clone(), key: paths.key.clone() };
            }
            TlsError::of_pair(paths, chain.first().map(AsRef::as_ref), source)
        })?;
        Ok(Self { shown: Arc::new(shown), needed, ends })
    }

    /// What has ended or has not begun takes no other's place while that one holds.
    fn may_follow(&self, older: &Self, paths: &Paths, now: Timestamp) -> Result<(), TlsError> {
        let fails = self.needed.iter().position(|span| !span.holds(now)).filter(|_| older.holds(now));
        let Some((at, Span { from, until })) = fails.and_then(|at| Some((at, *self.needed.get(at)?))) else {
            return Ok(());
        };
        let whose = if at == 0 { "" } else { " (the certificate of who issued the first)" };
        Err(TlsError::NotNow { path: paths.certificate.clone(), from, until, whose: whose.to_owned() })
    }

    fn warn_beside(&self, older: &Self, paths: &Paths) {
        super::part::warn_of_fewer(&paths.certificate, older.shown.cert.len(), self.shown.cert.len());
    }
}
