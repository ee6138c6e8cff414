//! TLS: certificates, authorities and lists from files, read again when they change.
//!
//! A listener's certificate with its key, and the authorities of clients with their lists, are two things: each is taken
//! over when it can be used, whatever is wrong with the other. Listeners that name the same files share what is made of
//! them.

mod error;
mod pair;
mod part;
mod pem;
mod people;
mod refusal;
mod signed;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use model::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;

pub use error::TlsError;
pub(crate) use part::News;
pub(crate) use refusal::why_no_tls;

use crate::TlsSettings;
use crate::credentials::{Credentials, CredentialsError};
use crate::expiry::{End, Ends};
use crate::stats::{CertificateFacts, FileKind};
use pair::Pair;
use part::{Library, Part};
use people::People;

/// What listeners have of their files, so that the same files are read and kept once.
#[derive(Default)]
pub(crate) struct Shelf {
    pairs: Library<Pair>,
    people: Library<People>,
    credentials: Mutex<Vec<Weak<Credentials>>>,
}

impl Shelf {
    /// What is in use of the credentials in this file, whichever listener uses it, or else what it holds now.
    pub(crate) fn credentials(&self, path: &Path) -> Result<Arc<Credentials>, CredentialsError> {
        let mut known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|one| one.strong_count() > 0);
        if let Some(one) = known.iter().filter_map(Weak::upgrade).find(|one| one.path() == path) {
            return Ok(one);
        }
        let one = Arc::new(Credentials::load(path)?);
        known.push(Arc::downgrade(&one));
        Ok(one)
    }
}

/// What one listener makes of its files.
pub(crate) struct Certificate {
    settings: TlsSettings,
    pair: Arc<Part<Pair>>,
    people: Option<Arc<Part<People>>>,
    config: ArcSwap<ServerConfig>,
    followed: Mutex<Followed>,
}

/// How far a listener followed what becomes of its files.
struct Followed {
    /// What its configuration was made of.
    made_of: (Arc<Pair>, Option<Arc<People>>),
    /// How much of the news of each was told.
    told: (u64, u64),
}

impl Certificate {
    /// What these files hold now, or what is in use of them elsewhere.
    pub(crate) fn load(settings: &TlsSettings, shelf: &Shelf, now: Timestamp) -> Result<Self, TlsError> {
        let pair = shelf.pairs.part(&pair::Paths::of(settings), now)?;
        let people = people::Paths::of(settings).map(|paths| shelf.people.part(&paths, now)).transpose()?;
        people.iter().for_each(|people| people.made().warn_of_shut_out(people.paths()));
        let made_of = (pair.made(), people.as_ref().map(|people| people.made()));
        let told = (pair.so_far(), people.as_ref().map_or(0, |people| people.so_far()));
        let config = config(&made_of).map_err(|source| TlsError::of_pair(pair.paths(), None, source))?;
        let followed = Mutex::new(Followed { made_of, told });
        Ok(Self { settings: settings.clone(), pair, people, config: ArcSwap::new(config), followed })
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Whether this may take the place of an older one.
    pub(crate) fn may_follow(&self, older: &Self, now: Timestamp) -> Result<(), TlsError> {
        self.pair.may_follow(&older.pair, now)?;
        self.people.iter().zip(&older.people).try_for_each(|(new, old)| new.may_follow(old, now))
    }

    /// Tells the log what is strange about it beside the one whose place it takes.
    pub(crate) fn warn_beside(&self, older: &Self) {
        self.pair.warn_beside(&older.pair);
        self.people.iter().zip(&older.people).for_each(|(new, old)| new.warn_beside(old));
    }

    /// Takes changed files over as far as they can be used; what was in use stays otherwise. What there is to tell.
    pub(crate) fn look(&self, now: Timestamp) -> Vec<News> {
        self.pair.look(now);
        if let Some(people) = &self.people {
            people.look(now);
        }
        let mut followed = self.followed();
        let mut news = self.pair.news(&mut followed.told.0);
        if let Some(people) = &self.people {
            news.extend(people.news(&mut followed.told.1));
        }
        news.extend(self.follow(&mut followed).err().map(|error| News::Refused(model::error_chain(&error))));
        news
    }

    /// Makes the configuration anew where what it was made of was.
    fn follow(&self, followed: &mut Followed) -> Result<(), TlsError> {
        let now = (self.pair.made(), self.people.as_ref().map(|people| people.made()));
        let (pair, people) = &followed.made_of;
        let is_same = |one: &Arc<People>| now.1.as_ref().is_some_and(|other| Arc::ptr_eq(one, other));
        if Arc::ptr_eq(pair, &now.0) && people.as_ref().is_none_or(is_same) {
            return Ok(());
        }
        self.config.store(config(&now).map_err(|source| TlsError::of_pair(self.pair.paths(), None, source))?);
        followed.made_of = now;
        Ok(())
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn settings(&self) -> &TlsSettings {
        &self.settings
    }

    /// What a client is asked to show: by whom it is vouched for, and what may speak against it.
    pub(crate) fn asks_for(&self) -> [Option<PathBuf>; 2] {
        [self.settings.client_ca.clone(), self.settings.client_crl.clone()]
    }

    /// What is known of its files, as those of this listener.
    pub(crate) fn facts(&self, listener: SocketAddr, now: Timestamp) -> Vec<CertificateFacts> {
        self.facts_of(listener, |ends| ends.shown(now))
    }

    /// The same of the one in each file that ended, or will, first after this moment.
    pub(crate) fn first_after(&self, listener: SocketAddr, moment: Timestamp) -> Vec<CertificateFacts> {
        self.facts_of(listener, |ends| ends.first_after(moment))
    }

    fn facts_of(&self, listener: SocketAddr, which: impl Fn(&Ends) -> Option<&End>) -> Vec<CertificateFacts> {
        let fact = |kind, path: &Path, ends: &Ends, refused: Option<String>| CertificateFacts {
            kind,
            listener,
            path: path.to_owned(),
            not_before: which(ends).map(|one| one.span.from),
            not_after: which(ends).map(|one| one.span.until),
            whose: which(ends).map(|one| one.whose.clone()).filter(|whose| !whose.is_empty()),
            begins: None,
            refused,
            nobody: None,
        };
        let (pair, refused) = (self.pair.made(), self.pair.refused(&self.settings.certificate));
        let refused = refused.or_else(|| self.pair.refused(&self.settings.key));
        let shown = fact(FileKind::Certificate, &self.settings.certificate, &pair.ends, refused);
        let mut facts = vec![CertificateFacts { begins: pair.ends.begin(), ..shown }];
        if let (Some(part), Some(path)) = (&self.people, &self.settings.client_ca) {
            let people = part.made();
            facts.push(fact(FileKind::ClientCa, path, &people.authorities.ends, part.refused(path)));
            if let (Some(lists), Some(path)) = (&people.lists, &self.settings.client_crl) {
                let fact = fact(FileKind::ClientCrl, path, &lists.ends, part.refused(path));
                facts.push(CertificateFacts { nobody: people.shut_out(part.paths()), ..fact });
            }
        }
        facts
    }
}

fn config((pair, people): &(Arc<Pair>, Option<Arc<People>>)) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let builder = match people {
        Some(people) => builder.with_client_cert_verifier(Arc::clone(&people.verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&pair.shown))));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if people.is_some() {
        // A session that goes on shows no certificate, so nothing would look at its end or at today's lists.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = aws_lc_rs::Ticketer::new()?;
    }
    Ok(Arc::new(config))
}

/// Paths for a sentence.
fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
