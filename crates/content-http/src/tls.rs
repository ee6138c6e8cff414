//! TLS: certificates from files, read again when they change.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use model::{Digest, Hasher};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::TlsSettings;
use crate::expiry::Span;
use crate::stats::{CertificateFacts, FileKind};

/// The longest file of certificates or of a key that is read.
const MAX_PEM: u64 = 1024 * 1024;
/// The longest file of revocation lists: about a million entries.
const MAX_LISTS: u64 = 64 * 1024 * 1024;

/// Why certificate, key or client authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A file is longer than anything that belongs there.
    #[error("{path} is larger than {most} bytes, the most that is read; split off what is not needed in it")]
    TooLong {
        /// Which.
        path: PathBuf,
        /// How many bytes are read.
        most: u64,
    },
    /// A file holds no usable PEM block of the kind that belongs there.
    #[error("{path} holds no usable {what} in PEM form")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("certificate {certificate} and its key cannot be used together")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// What is wrong.
        #[source]
        source: rustls::Error,
    },
    /// The client authorities or their revocation lists cannot be used.
    #[error("client authorities in {path}, or their revocation lists, cannot be used")]
    ClientCa {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: rustls::server::VerifierBuilderError,
    },
}

/// The certificate in use on one listener.
pub(crate) struct Certificate {
    settings: TlsSettings,
    config: ArcSwap<ServerConfig>,
    /// The files as they were when last looked at, and what came of it.
    seen: Mutex<Seen>,
}

struct Seen {
    digest: Digest,
    ends: Ends,
    refused: Option<String>,
}

/// Until when each file holds, as far as that can be read: of several in one file, the one that ends first.
#[derive(Clone, Copy)]
struct Ends {
    certificate: Option<Span>,
    client_ca: Option<Span>,
    client_crl: Option<Span>,
}

impl Certificate {
    pub(crate) fn load(settings: &TlsSettings) -> Result<Self, TlsError> {
        let files = Files::read(settings)?;
        let config = files.config(settings)?;
        let seen = Seen { digest: files.digest(), ends: files.ends(), refused: None };
        Ok(Self { settings: settings.clone(), config: ArcSwap::new(config), seen: Mutex::new(seen) })
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Takes changed files over if they can be used; the old ones stay in use otherwise.
    pub(crate) fn look(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.settings);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = files.as_ref().map_or_else(|error| Digest::of(error.to_string().as_bytes()), Files::digest);
        if seen.digest == digest {
            return Ok(false);
        }
        seen.digest = digest;
        let taken = files.and_then(|files| Ok((files.config(&self.settings)?, files.ends())));
        match taken {
            Ok((config, ends)) => {
                self.config.store(config);
                (seen.ends, seen.refused) = (ends, None);
                Ok(true)
            }
            Err(error) => {
                seen.refused = Some(model::error_chain(&error));
                Err(error)
            }
        }
    }

    pub(crate) fn settings(&self) -> &TlsSettings {
        &self.settings
    }

    pub(crate) fn path(&self) -> &Path {
        &self.settings.certificate
    }

    /// What is known of its files, as those of this listener.
    pub(crate) fn facts(&self, listener: SocketAddr) -> Vec<CertificateFacts> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Ends { certificate, client_ca, client_crl } = seen.ends;
        let TlsSettings { certificate: own, client_ca: authority, client_crl: list, .. } = &self.settings;
        let files = [
            (FileKind::Certificate, Some(own), certificate),
            (FileKind::ClientCa, authority.as_ref(), client_ca),
            (FileKind::ClientCrl, list.as_ref(), client_crl),
        ];
        let fact = |(kind, path, span): (FileKind, Option<&PathBuf>, Option<Span>)| {
            let (not_before, not_after) = (span.map(|span| span.from), span.map(|span| span.until));
            let refused = seen.refused.clone().filter(|_| kind == FileKind::Certificate);
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
            certificate: read(&settings.certificate, MAX_PEM)?,
            key: read(&settings.key, MAX_PEM)?,
            client_ca: settings.client_ca.as_deref().map(|path| read(path, MAX_PEM)).transpose()?,
            client_crl: settings.client_crl.as_deref().map(|path| read(path, MAX_LISTS)).transpose()?,
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
            certificate: certificates(&self.certificate),
            client_ca: self.client_ca.as_deref().and_then(certificates),
            client_crl: self.client_crl.as_deref().and_then(lists),
        }
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
        let pair = |source| TlsError::Pair { certificate: settings.certificate.clone(), source };
        let chain = certificates(&self.certificate, &settings.certificate)?;
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
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| bad())?;
    if found.is_empty() { Err(bad()) } else { Ok(found) }
}

/// Reads a whole file, or refuses it: what is cut off in silence would be judged by its beginning.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, TlsError> {
    let wrap = |source| TlsError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(wrap)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(wrap)?;
    if bytes.len() as u64 > most {
        return Err(TlsError::TooLong { path: path.to_owned(), most });
    }
    Ok(bytes)
}
