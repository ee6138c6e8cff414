//! Who vouches for clients, and what speaks against them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Digest, Timestamp};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::TlsError;
use super::part::{Bytes, Made, warn_of_fewer};
use super::pem::{Named, certificates, whole};
use super::refusal::Telling;
use crate::TlsSettings;
use crate::expiry::{List, Span, of_certificate};

/// The longest file of authorities that is read.
const MAX_PEM: u64 = 1024 * 1024;
/// The longest file of revocation lists: about 200,000 entries. Each handshake proves the list anew, so its length is
/// everybody's time as well as our memory.
const MAX_LISTS: u64 = 8 * 1024 * 1024;

/// Where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    client_ca: PathBuf,
    client_crl: Option<PathBuf>,
}

impl Paths {
    /// None where no certificate is asked for.
    pub(super) fn of(settings: &TlsSettings) -> Option<Self> {
        Some(Self { client_ca: settings.client_ca.clone()?, client_crl: settings.client_crl.clone() })
    }
}

/// Who looks at clients' certificates.
pub(crate) struct People {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    pub(super) authorities: Authorities,
    pub(super) lists: Option<Lists>,
}

/// What is known of the authorities.
pub(crate) struct Authorities {
    count: usize,
    /// That one's which ends first.
    pub(super) soonest: Option<Span>,
}

/// What is known of the lists.
pub(crate) struct Lists {
    /// That one's which ends first.
    pub(super) soonest: Option<Span>,
    numbered: Vec<Numbered>,
}

/// A list's issuer and its number, without zeros before it.
struct Numbered {
    issuer: Digest,
    number: Option<Vec<u8>>,
}

impl Numbered {
    fn is_older_than(&self, other: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (&self.number, &other.number) else { return false };
        self.issuer == other.issuer && (ours.len(), ours) < (theirs.len(), theirs)
    }
}

impl Lists {
    fn of(all: &[CertificateRevocationListDer<'_>]) -> Self {
        let all: Vec<List<'_>> = all.iter().filter_map(|der| List::of(der)).collect();
        let number = |list: &List<'_>| {
            let digits = list.number?;
            Some(digits.iter().copied().skip_while(|byte| *byte == 0).collect())
        };
        let numbered = all.iter().map(|list| Numbered { issuer: Digest::of(list.issuer), number: number(list) });
        Self { numbered: numbered.collect(), soonest: Span::soonest(all.iter().filter_map(|list| list.span)) }
    }
}

fn lists(pem: &[u8], path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let bad = || TlsError::no_pem(pem, path, "revocation list");
    whole(pem, path)?;
    let lists: Vec<_> =
        CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| bad())?;
    if lists.is_empty() { Err(bad()) } else { Ok(lists) }
}

impl Made for People {
    type Paths = Paths;

    fn files(paths: &Paths) -> Vec<Named<'_>> {
        let authorities = Named { key: "tls.client_ca", path: &paths.client_ca, most: MAX_PEM };
        let lists = paths.client_crl.as_deref().map(|path| Named { key: "tls.client_crl", path, most: MAX_LISTS });
        [authorities].into_iter().chain(lists).collect()
    }

    /// With revocation lists, an authority without one, or whose list has ended, lets nobody in.
    fn make(paths: &Paths, files: &[Bytes]) -> Result<Self, TlsError> {
        let mut files = files.iter();
        let (mut roots, mut spans, path) = (RootCertStore::empty(), Vec::new(), &paths.client_ca);
        for authority in certificates(files.next().map_or(&[][..], |pem| pem.as_ref()), path)? {
            spans.extend(of_certificate(&authority));
            roots.add(authority).map_err(|_| TlsError::no_pem(&[], path, "certificate"))?;
        }
        let authorities = Authorities { count: roots.len(), soonest: Span::soonest(spans.into_iter()) };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let mut known = None;
        if let (Some(pem), Some(path)) = (files.next(), &paths.client_crl) {
            let lists = lists(pem, path)?;
            known = Some(Lists::of(&lists));
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        let verifier = builder.build().map_err(|source| TlsError::ClientCa { path: path.clone(), source })?;
        Ok(Self { verifier: Arc::new(Telling(verifier)), authorities, lists: known })
    }

    /// A list that has ended takes no other's place while that one holds: it would shut everybody out.
    fn may_follow(&self, older: &Self, paths: &Paths, now: Timestamp) -> Result<(), TlsError> {
        let soonest = |people: &Self| people.lists.as_ref().and_then(|lists| lists.soonest);
        match (soonest(older), soonest(self), &paths.client_crl) {
            (Some(old), Some(Span { from, until }), Some(path)) if old.holds(now) && until <= now => {
                Err(TlsError::NotNow { path: path.clone(), from, until })
            }
            _ => Ok(()),
        }
    }

    fn warn_beside(&self, older: &Self, paths: &Paths) {
        warn_of_fewer(&paths.client_ca, older.authorities.count, self.authorities.count);
        if let (Some(new), Some(old), Some(path)) = (&self.lists, &older.lists, &paths.client_crl) {
            warn_of_fewer(path, old.numbered.len(), new.numbered.len());
            if new.numbered.iter().any(|new| old.numbered.iter().any(|old| new.is_older_than(old))) {
                let path = path.display();
                tracing::warn!(%path, "a list with a lower number than before was taken over: whom the one before it revoked may be let in again; was an old file put back?");
            }
        }
    }
}
