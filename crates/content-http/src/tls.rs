//! TLS: certificates from files, read again when they change.

mod error;

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use model::{Digest, Hasher, Timestamp};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

pub use error::TlsError;

use crate::TlsSettings;
use crate::expiry::Span;
use crate::stats::{CertificateFacts, FileKind};

/// The longest file of certificates or of a key that is read.
const MAX_PEM: u64 = 1024 * 1024;
/// The longest file of revocation lists: about a million entries.
const MAX_LISTS: u64 = 64 * 1024 * 1024;

/// The certificate in use on one listener.
pub(crate) struct Certificate {
    settings: TlsSettings,
    config: ArcSwap<ServerConfig>,
    /// The files as they were when last looked at, and what came of it.
    seen: Mutex<Seen>,
}

struct Seen {
    digest: Digest,
    /// The files as they are in use.
    used: Vec<(PathBuf, Digest)>,
    ends: Ends,
    /// How many certificates are shown.
    chain: usize,
    refused: Option<Refused>,
}

/// What stands in the files now and is not taken over.
struct Refused {
    kind: FileKind,
    why: String,
    /// Whether time alone may change that.
    in_time: bool,
}

/// Until when each file holds, as far as that can be read: of several in one file, the one that ends first.
#[derive(Clone, Copy)]
struct Ends {
    /// The first certificate of the file alone: what clients look at first.
    shown: Option<Span>,
    certificate: Option<Span>,
    client_ca: Option<Span>,
    client_crl: Option<Span>,
}

impl Ends {
    /// Whether what is shown may be replaced by these: not by what has ended or has not begun, while it holds itself.
    fn may_become(&self, newer: &Self, settings: &TlsSettings, now: Timestamp) -> Result<(), TlsError> {
        match (self.shown, newer.shown) {
            (Some(old), Some(Span { from, until }))
                if old.holds(now) && !newer.shown.is_some_and(|new| new.holds(now)) =>
            {
                Err(TlsError::NotNow { certificate: settings.certificate.clone(), from, until })
            }
            _ => Ok(()),
        }
    }
}

impl Certificate {
    pub(crate) fn load(settings: &TlsSettings) -> Result<Self, TlsError> {
        let files = Files::read(settings)?;
        let config = files.config(settings)?;
        let seen = files.seen(settings);
        Ok(Self { settings: settings.clone(), config: ArcSwap::new(config), seen: Mutex::new(seen) })
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Whether this may take the place of an older one.
    pub(crate) fn may_follow(&self, older: &Self, now: Timestamp) -> Result<(), TlsError> {
        let ends = older.seen.lock().unwrap_or_else(PoisonError::into_inner).ends;
        let newer = self.seen.lock().unwrap_or_else(PoisonError::into_inner).ends;
        ends.may_become(&newer, &self.settings, now)
    }

    /// Takes changed files over if they can be used; the old ones stay in use otherwise. Which changed.
    pub(crate) fn look(&self, now: Timestamp) -> Result<Vec<PathBuf>, TlsError> {
        let files = Files::read(&self.settings);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = files.as_ref().map_or_else(|error| Digest::of(error.to_string().as_bytes()), Files::digest);
        let known = seen.digest == digest;
        if known && !seen.refused.as_ref().is_some_and(|refused| refused.in_time) {
            return Ok(Vec::new());
        }
        seen.digest = digest;
        let changed =
            files.as_ref().map(|files| changed(&seen.used, &files.prints(&self.settings))).unwrap_or_default();
        let taken = files.and_then(|files| {
            let (config, newer) = (files.config(&self.settings)?, files.seen(&self.settings));
            seen.ends.may_become(&newer.ends, &self.settings, now)?;
            Ok((config, newer))
        });
        match taken {
            Ok((config, newer)) => {
                if newer.chain < seen.chain {
                    let (path, before, after) = (self.settings.certificate.display(), seen.chain, newer.chain);
                    tracing::warn!(%path, before, after, "the new file holds fewer certificates; was it written whole?");
                }
                self.config.store(config);
                *seen = newer;
                Ok(changed)
            }
            Err(error) => {
                let in_time = matches!(error, TlsError::NotNow { .. });
                let path = error.file().or(changed.first().map(PathBuf::as_path));
                let kind = path.map_or(FileKind::Certificate, |path| kind_of(&self.settings, path));
                seen.refused = Some(Refused { kind, why: model::error_chain(&error), in_time });
                if known && in_time { Ok(Vec::new()) } else { Err(error) }
            }
        }
    }

    pub(crate) fn settings(&self) -> &TlsSettings {
        &self.settings
    }

    /// What is known of its files, as those of this listener.
    pub(crate) fn facts(&self, listener: SocketAddr) -> Vec<CertificateFacts> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Ends { certificate, client_ca, client_crl, .. } = seen.ends;
        let TlsSettings { certificate: own, client_ca: authority, client_crl: list, .. } = &self.settings;
        let files = [
            (FileKind::Certificate, Some(own), certificate),
            (FileKind::ClientCa, authority.as_ref(), client_ca),
            (FileKind::ClientCrl, list.as_ref(), client_crl),
        ];
        let fact = |(kind, path, span): (FileKind, Option<&PathBuf>, Option<Span>)| {
            let (not_before, not_after) = (span.map(|span| span.from), span.map(|span| span.until));
            let refused =
                seen.refused.as_ref().filter(|refused| refused.kind == kind).map(|refused| refused.why.clone());
            Some(CertificateFacts { kind, listener, path: path?.clone(), not_before, not_after, refused })
        };
        files.into_iter().filter_map(fact).collect()
    }
}

struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
    client_crl: Option<Vec<u8>>,
}

impl Files {
    fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read("tls.certificate", &settings.certificate, MAX_PEM)?,
            key: read("tls.key", &settings.key, MAX_PEM)?,
            client_ca: settings.client_ca.as_deref().map(|path| read("tls.client_ca", path, MAX_PEM)).transpose()?,
            client_crl: settings
                .client_crl
                .as_deref()
                .map(|path| read("tls.client_crl", path, MAX_LISTS))
                .transpose()?,
        })
    }

    fn ends(&self) -> Ends {
        let certificates = |pem: &[u8]| {
            let all = CertificateDer::pem_slice_iter(pem).flatten();
            Span::soonest(all.filter_map(|one| crate::expiry::of_certificate(&one)))
        };
        let lists = |pem: &[u8]| {
            let all = CertificateRevocationListDer::pem_slice_iter(pem).flatten();
            Span::soonest(all.filter_map(|one| crate::expiry::of_list(&one)))
        };
        Ends {
            shown: CertificateDer::from_pem_slice(&self.certificate)
                .ok()
                .and_then(|one| crate::expiry::of_certificate(&one)),
            certificate: certificates(&self.certificate),
            client_ca: self.client_ca.as_deref().and_then(certificates),
            client_crl: self.client_crl.as_deref().and_then(lists),
        }
    }

    /// What these are once they are in use.
    fn seen(&self, settings: &TlsSettings) -> Seen {
        let chain = CertificateDer::pem_slice_iter(&self.certificate).flatten().count();
        Seen { digest: self.digest(), used: self.prints(settings), ends: self.ends(), chain, refused: None }
    }

    /// The digest of each.
    fn prints(&self, settings: &TlsSettings) -> Vec<(PathBuf, Digest)> {
        let own = [(&settings.certificate, &self.certificate), (&settings.key, &self.key)];
        let more = [(&settings.client_ca, &self.client_ca), (&settings.client_crl, &self.client_crl)];
        let more = more.into_iter().filter_map(|(path, bytes)| Some((path.as_ref()?, bytes.as_ref()?)));
        own.into_iter().chain(more).map(|(path, bytes)| (path.clone(), Digest::of(bytes))).collect()
    }

    fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        for part in [&self.certificate, &self.key].into_iter().chain(&self.client_ca).chain(&self.client_crl) {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finish()
    }

    fn config(&self, settings: &TlsSettings) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.certificate, &settings.certificate)?;
        let leaf = chain.first().cloned();
        let pair = |source| TlsError::of_pair(settings, leaf.as_deref(), source);
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::Pem { path: settings.key.clone(), what: "private key" })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(pair)?;
        let builder = match (&self.client_ca, &settings.client_ca) {
            (Some(pem), Some(path)) => {
                builder.with_client_cert_verifier(self.verifier(settings, (pem, path), provider)?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if self.client_ca.is_some() {
            // A session that goes on shows no certificate, so nothing would look at its end or at today's lists.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = aws_lc_rs::Ticketer::new().map_err(pair)?;
        }
        Ok(Arc::new(config))
    }

    /// Who looks at clients' certificates. With revocation lists, an authority without one, or whose list has ended,
    /// lets nobody in.
    fn verifier(
        &self,
        settings: &TlsSettings,
        (pem, path): (&[u8], &Path),
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in certificates(pem, path)? {
            roots.add(authority).map_err(|_| TlsError::Pem { path: path.to_owned(), what: "certificate" })?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if let (Some(pem), Some(path)) = (&self.client_crl, &settings.client_crl) {
            let bad = || TlsError::Pem { path: path.clone(), what: "revocation list" };
            whole(pem, path)?;
            let lists: Vec<_> =
                CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| bad())?;
            if lists.is_empty() {
                return Err(bad());
            }
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        builder.build().map_err(|source| TlsError::ClientCa { path: path.to_owned(), source })
    }
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = || TlsError::Pem { path: path.to_owned(), what: "certificate" };
    whole(pem, path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| bad())?;
    if found.is_empty() { Err(bad()) } else { Ok(found) }
}

/// Refuses a file that ends within the line that begins a block: whoever reads PEM takes that for text between blocks.
fn whole(pem: &[u8], path: &Path) -> Result<(), TlsError> {
    let is_whole = |line: &[u8]| line.len() > 10 && line.ends_with(b"-----");
    let mut behind = pem.split(|byte| *byte == b'\n').rev().map(<[u8]>::trim_ascii);
    let cut_short = behind.next().is_some_and(|last| last.starts_with(b"-") && !is_whole(last));
    let mut behind = behind.take_while(|line| !line.starts_with(b"-----END"));
    if cut_short || behind.any(|line| line.starts_with(b"-----") && !is_whole(line)) {
        return Err(TlsError::Cut { path: path.to_owned() });
    }
    Ok(())
}

/// What kind a file is; a key belongs to its certificate.
fn kind_of(settings: &TlsSettings, path: &Path) -> FileKind {
    match path {
        path if settings.client_ca.as_deref() == Some(path) => FileKind::ClientCa,
        path if settings.client_crl.as_deref() == Some(path) => FileKind::ClientCrl,
        _ => FileKind::Certificate,
    }
}

/// Those of them that are other than they were.
fn changed(before: &[(PathBuf, Digest)], now: &[(PathBuf, Digest)]) -> Vec<PathBuf> {
    now.iter().filter(|one| !before.contains(one)).map(|(path, _)| path.clone()).collect()
}

/// Reads a whole file, or refuses it: what is cut off in silence would be judged by its beginning.
fn read(key: &'static str, path: &Path, most: u64) -> Result<Vec<u8>, TlsError> {
    let wrap = |source| TlsError::Read { path: path.to_owned(), key, source };
    let file = std::fs::File::open(path).map_err(wrap)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(wrap)?;
    if bytes.len() as u64 > most {
        return Err(TlsError::TooLong { path: path.to_owned(), most });
    }
    Ok(bytes)
}
