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
use super::signed::signed_by;
use crate::TlsSettings;
use crate::expiry::{End, Ends, List, Span, name_of, names_of, of_certificate};

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
    /// Until when each holds.
    pub(super) ends: Ends,
}

/// What is known of the lists.
pub(crate) struct Lists {
    /// Until when each holds.
    pub(super) ends: Ends,
    all: Vec<Known>,
}

/// A list's issuer, from when until when it holds, and its number, without zeros before it.
struct Known {
    issuer: Vec<u8>,
    /// Whether one of our authorities of that name signed it; none where none has that name.
    is_signed: Option<bool>,
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
    /// `until` says when an authority ends: after that the end of its list is no news to anybody. `is_signed` says whether one
    /// of that name signed the list.
    fn of(
        all: &[CertificateRevocationListDer<'_>],
        until: impl Fn(&[u8]) -> Option<Timestamp>,
        is_signed: impl Fn(&List<'_>, &[u8]) -> Option<bool>,
    ) -> Self {
        let all: Vec<_> = all.iter().filter_map(|der| Some((List::of(der)?, der))).collect();
        let number = |list: &List<'_>| {
            let digits = list.number?;
            Some(digits.iter().copied().skip_while(|byte| *byte == 0).collect())
        };
        let known = |(list, der): &(List<'_>, &CertificateRevocationListDer<'_>)| Known {
            issuer: list.issuer.to_vec(),
            is_signed: is_signed(list, der),
            span: list.span,
            number: number(list),
        };
        let end = |list: &List<'_>| {
            let counts_until = until(list.issuer).unwrap_or(Timestamp::from_micros(i64::MAX));
            Some(End { span: list.span?, whose: name_of(list.issuer), counts_until })
        };
        let ends = Ends::new(all.iter().filter_map(|(list, _)| end(list)));
        Self { all: all.iter().map(known).collect(), ends }
    }

    /// The list that counts for an issuer: of several, whoever proves a certificate goes by the first.
    fn of_issuer(&self, issuer: &[u8]) -> Option<&Known> {
        self.all.iter().find(|one| one.issuer == issuer)
    }
}

impl People {
    /// The authorities of which there is a list that one of that name signed, where lists are asked.
    fn covered(&self) -> impl Iterator<Item = &Vec<u8>> {
        let of = |lists: &'_ Lists, name: &[u8]| lists.of_issuer(name).is_some_and(|list| list.is_signed == Some(true));
        self.authorities.names.iter().filter(move |name| self.lists.as_ref().is_none_or(|lists| of(lists, name)))
    }

    /// The first list in the name of an authority of ours that counts and that none of that name signed.
    fn unsigned(&self) -> Option<&Known> {
        let lists = self.lists.as_ref()?;
        self.authorities
            .names
            .iter()
            .filter_map(|name| lists.of_issuer(name))
            .find(|list| list.is_signed == Some(false))
    }

    /// Why no client, or none of an authority's, is let in, whoever it is.
    pub(super) fn shut_out(&self, paths: &Paths) -> Option<String> {
        let (client_ca, is_asked) = (paths.client_ca.display(), paths.client_crl.is_some());
        if let Some(name) = self.unsigned().map(|list| name_of(&list.issuer)) {
            return Some(format!(
                "the list in it in the name of {name} was not signed by an authority of that name in {client_ca}: nobody of whom it speaks is let in"
            ));
        }
        let is_bare = is_asked && self.covered().next().is_none();
        is_bare.then(|| format!("no list in it is of an authority in {client_ca}: no client is let in"))
    }

    /// Tells the log where nobody can be let in.
    pub(super) fn warn_of_shut_out(&self, paths: &Paths) {
        if let (Some(path), Some(why)) = (&paths.client_crl, self.shut_out(paths)) {
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
        let (mut roots, mut ends, path) = (RootCertStore::empty(), Vec::new(), &paths.client_ca);
        for authority in certificates(files.next().map_or(&[][..], |pem| pem.as_ref()), path)? {
            let name = names_of(&authority).map(|(_, subject)| subject.to_vec());
            ends.extend(of_certificate(&authority).map(|span| (name.unwrap_or_default(), span)));
            roots.add(authority).map_err(|_| TlsError::no_pem(&[], path, "certificate"))?;
        }
        let names = roots.roots.iter().map(|root| root.subject.to_vec()).collect();
        let until = |issuer: &[u8]| ends.iter().filter(|(name, _)| name == issuer).map(|(_, span)| span.until).max();
        let end = |(name, span): &(Vec<u8>, Span)| End {
            span: *span,
            whose: name_of(name),
            // It keeps nobody out.
            counts_until: Timestamp::from_micros(i64::MIN),
        };
        let authorities = Authorities { names, ends: Ends::new(ends.iter().map(end)) };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(roots);
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let mut known = None;
        if let (Some(pem), Some(path)) = (files.next(), &paths.client_crl) {
            let lists = lists(pem, path)?;
            let is_signed = |list: &List<'_>, der: &[u8]| {
                let mut ours = roots.roots.iter().filter(|root| root.subject.as_ref() == list.issuer).peekable();
                ours.peek()?;
                Some(ours.any(|root| signed_by(der, root, &provider)))
            };
            known = Some(Lists::of(&lists, until, is_signed));
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
        let unsigned = self.unsigned().filter(|list| older.covered().any(|name| *name == list.issuer));
        if let Some(list) = unsigned {
            let (path, client_ca) = (path.clone(), paths.client_ca.clone());
            return Err(TlsError::Unsigned { path, client_ca, whose: name_of(&list.issuer) });
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
        let gone_from: Vec<_> = before.iter().filter(|name| !after.contains(name)).collect();
        let gone = in_words(gone_from.iter().copied());
        if !gone.is_empty() {
            let path = paths.client_ca.display();
            tracing::warn!(%path, gone, "authorities that stood in the file are gone from it: their clients are let in no more");
        }
        if let (Some(new), Some(old), Some(path)) = (&self.lists, &older.lists, &paths.client_crl) {
            warn_of_fewer(path, old.all.len(), new.all.len());
            // Also of who issues by an authority's leave: the authority's own name stands in no file then.
            let is_gone = |one: &&Vec<u8>| !gone_from.contains(one) && new.of_issuer(one).is_none();
            let bare = in_words(old.all.iter().map(|one| &one.issuer).filter(is_gone));
            if !bare.is_empty() {
                let path = path.display();
                tracing::warn!(%path, bare, "authorities have no list any more: their clients are let in no more; was it written whole?");
            }
            if new.all.iter().any(|new| old.all.iter().any(|old| new.is_older_than(old))) {
                let path = path.display();
                tracing::warn!(%path, "a list with a lower number than before was taken over: whom the one before it revoked may be let in again; was an old file put back?");
            }
        }
    }
}
