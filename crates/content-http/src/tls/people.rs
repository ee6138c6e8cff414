//! Who vouches for clients, and what speaks against them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Timestamp;
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
use crate::expiry::{List, Span, name_of, of_certificate};

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
    /// Their names, as they stand there.
    names: Vec<Vec<u8>>,
    /// That one's which ends first.
    pub(super) soonest: Option<Span>,
}

/// What is known of the lists.
pub(crate) struct Lists {
    /// That one's which ends first.
    pub(super) soonest: Option<Span>,
    all: Vec<Known>,
}

/// A list's issuer, from when until when it holds, and its number, without zeros before it.
struct Known {
    issuer: Vec<u8>,
    span: Option<Span>,
    number: Option<Vec<u8>>,
}

impl Known {
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
        let known = |list: &List<'_>| Known { issuer: list.issuer.to_vec(), span: list.span, number: number(list) };
        let soonest = Span::soonest(all.iter().filter_map(|list| list.span));
        Self { all: all.iter().map(known).collect(), soonest }
    }

    /// The list that counts for an issuer: of several, whoever proves a certificate goes by the first.
    fn of_issuer(&self, issuer: &[u8]) -> Option<&Known> {
        self.all.iter().find(|one| one.issuer == issuer)
    }
}

impl People {
    /// The authorities of which there is a list, where lists are asked.
    fn covered(&self) -> impl Iterator<Item = &Vec<u8>> {
        let of = |lists: &'_ Lists, name: &[u8]| lists.of_issuer(name).is_some();
        self.authorities.names.iter().filter(move |name| self.lists.as_ref().is_none_or(|lists| of(lists, name)))
    }

    /// Why no client is let in, whoever it is.
    pub(super) fn nobody(&self, paths: &Paths) -> Option<String> {
        let is_bare = paths.client_crl.is_some() && self.covered().next().is_none();
        let client_ca = paths.client_ca.display();
        is_bare.then(|| format!("no list in it is of an authority in {client_ca}: no client is let in"))
    }

    /// Tells the log where nobody can be let in.
    pub(super) fn warn_of_nobody(&self, paths: &Paths) {
        if let (Some(path), Some(why)) = (&paths.client_crl, self.nobody(paths)) {
            let path = path.display();
            tracing::error!(%path, "{why}");
        }
    }
}

/// Names for a sentence.
fn in_words<'a>(names: impl Iterator<Item = &'a Vec<u8>>) -> String {
    names.map(|name| name_of(name)).collect::<Vec<_>>().join("; ")
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
        let names = roots.roots.iter().map(|root| root.subject.to_vec()).collect();
        let authorities = Authorities { names, soonest: Span::soonest(spans.into_iter()) };
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

    /// An authority's list that has ended takes no place of one that holds, and lists of strangers take none of those of our
    /// authorities: they would shut everybody out.
    fn may_follow(&self, older: &Self, paths: &Paths, now: Timestamp) -> Result<(), TlsError> {
        let (Some(old), Some(new), Some(path)) = (&older.lists, &self.lists, &paths.client_crl) else { return Ok(()) };
        for one in &old.all {
            let before = old.of_issuer(&one.issuer).and_then(|list| list.span);
            let after = new.of_issuer(&one.issuer).and_then(|list| list.span);
            if let Some(Span { from, until }) = after.filter(|after| after.until <= now)
                && before.is_some_and(|before| before.holds(now))
            {
                let whose = format!(" (the list of {})", name_of(&one.issuer));
                return Err(TlsError::NotNow { path: path.clone(), from, until, whose });
            }
        }
        if older.covered().next().is_some() && self.covered().next().is_none() {
            let (path, client_ca) = (path.clone(), paths.client_ca.clone());
            return Err(TlsError::Strangers {
                path,
                client_ca,
                whose: in_words(new.all.iter().map(|list| &list.issuer)),
            });
        }
        Ok(())
    }

    fn warn_beside(&self, older: &Self, paths: &Paths) {
        let (before, after) = (&older.authorities.names, &self.authorities.names);
        warn_of_fewer(&paths.client_ca, before.len(), after.len());
        let gone = in_words(before.iter().filter(|name| !after.contains(name)));
        if !gone.is_empty() {
            let path = paths.client_ca.display();
            tracing::warn!(%path, gone, "authorities that stood in the file are gone from it: their clients are let in no more");
        }
        let covered: Vec<_> = self.covered().collect();
        let bare = in_words(older.covered().filter(|name| after.contains(name) && !covered.contains(name)));
        if let (Some(path), false) = (&paths.client_crl, bare.is_empty()) {
            let path = path.display();
            tracing::warn!(%path, bare, "authorities have no list any more: their clients are let in no more; was it written whole?");
        }
        if let (Some(new), Some(old), Some(path)) = (&self.lists, &older.lists, &paths.client_crl) {
            warn_of_fewer(path, old.all.len(), new.all.len());
            if new.all.iter().any(|new| old.all.iter().any(|old| new.is_older_than(old))) {
                let path = path.display();
                tracing::warn!(%path, "a list with a lower number than before was taken over: whom the one before it revoked may be let in again; was an old file put back?");
            }
        }
    }
}
