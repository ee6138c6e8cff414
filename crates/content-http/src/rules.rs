//! The rules of a listener, checked and ready to use.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use crate::credentials::{Credentials, CredentialsError};
use crate::kept::Kept;
use crate::tls::{Certificate, Shelf, TlsError};
use crate::{Cidr, Policy, TlsSettings};
use model::{Timestamp, any_contains};

/// Why new rules were not taken over; the old ones hold.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The number of listeners differs from what runs.
    #[error("{given} listeners are given and {running} run: adding or removing one takes a restart")]
    Listeners {
        /// How many were given.
        given: usize,
        /// How many run.
        running: usize,
    },
    /// The rules of one listener cannot be used.
    #[error("the rules of the listener at {listener} cannot be used")]
    Rules {
        /// Where it listens.
        listener: SocketAddr,
        /// What is wrong.
        #[source]
        source: Box<RulesError>,
    },
}

/// Why the rules of one listener cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A path prefix is not plain.
    #[error("path prefix '{0}' is not usable: write /name or /name/name, of letters, digits, '.', '-', '_', '~'")]
    Prefix(String),
    /// Certificate, key or client authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file of credentials cannot be used.
    #[error("credentials cannot be used")]
    Credentials(#[from] CredentialsError),
}

/// The rules of one listener as connections read them.
pub(crate) struct Rules {
    /// Without a slash at its end.
    pub(crate) prefix: Box<[u8]>,
    pub(crate) tls: Option<Arc<Certificate>>,
    pub(crate) allow: Vec<Cidr>,
    pub(crate) trusted_proxies: Vec<Cidr>,
    pub(crate) proxy_protocol: bool,
    pub(crate) credentials: Option<Arc<Credentials>>,
}

impl Rules {
    pub(crate) fn of(policy: &Policy, shelf: &Shelf, now: Timestamp) -> Result<Self, RulesError> {
        Self::with(policy, None, shelf, now)
    }

    /// The rules of a listener that runs, anew: they may take the place of those before. Files that any listener uses already
    /// stay in use as they are: whatever became of them on the disk, it is no reason to keep other rules out.
    pub(crate) fn after(&self, policy: &Policy, shelf: &Shelf, now: Timestamp) -> Result<Self, RulesError> {
        let newer = Self::with(policy, Some(self), shelf, now)?;
        if let (Some(old), Some(new)) = (&self.tls, &newer.tls) {
            new.may_follow(old, now)?;
        }
        Ok(newer)
    }

    /// Tells the log what is strange about these rules' files beside those before: they were not looked at as changes of one
    /// file.
    pub(crate) fn warn_beside(&self, older: &Self) {
        self.tls.iter().zip(&older.tls).for_each(|(new, old)| new.warn_beside(old));
        self.credentials.iter().zip(&older.credentials).for_each(|(new, old)| new.warn_beside(old));
    }

    fn with(policy: &Policy, before: Option<&Self>, shelf: &Shelf, now: Timestamp) -> Result<Self, RulesError> {
        let tls = |settings: &TlsSettings| {
            let known = before.and_then(|rules| rules.tls.as_ref()).filter(|one| one.settings() == settings);
            known.map_or_else(|| Certificate::load(settings, shelf, now).map(Arc::new), |one| Ok(Arc::clone(one)))
        };
        Ok(Self {
            prefix: prefix(&policy.path_prefix)?,
            tls: policy.tls.as_ref().map(tls).transpose()?,
            allow: policy.allow.clone(),
            trusted_proxies: policy.trusted_proxies.clone(),
            proxy_protocol: policy.proxy_protocol,
            credentials: policy.credentials.as_deref().map(|path| shelf.credentials(path)).transpose()?,
        })
    }

    /// Whether a peer may speak at all: as a client, or for clients.
    pub(crate) fn may_connect(&self, peer: IpAddr) -> bool {
        self.allow.is_empty() || any_contains(&self.allow, peer) || self.trusts(peer)
    }

    /// Whether a connection that was let in by these rules would have been by `newer` in the same way: what it showed
    /// of itself before its first request is not asked for again.
    pub(crate) fn admits_like(&self, newer: &Self) -> bool {
        let asked = |rules: &'_ Self| -> Option<[Option<PathBuf>; 2]> { rules.tls.as_ref().map(|one| one.asks_for()) };
        let believed = self.proxy_protocol == newer.proxy_protocol
            && (!self.proxy_protocol || self.trusted_proxies == newer.trusted_proxies);
        believed && asked(self) == asked(newer)
    }

    /// Whether a peer's word on a client's address is taken.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        any_contains(&self.trusted_proxies, peer)
    }
}

fn prefix(text: &str) -> Result<Box<[u8]>, RulesError> {
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let plain = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with("..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_~".contains(&b))
    };
    let good = trimmed.is_empty() || trimmed.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain));
    if good {
        Ok(trimmed.as_bytes().into())
    } else {
        Err(RulesError::Prefix(text.chars().take(80).flat_map(char::escape_default).collect()))
    }
}

/// A listener's rules, which may be swapped.
pub(crate) struct Gate {
    pub(crate) rules: Arc<ArcSwap<Rules>>,
}

/// A worker's view of a listener's rules: whether they were swapped is seen without a lock.
pub(crate) struct Door(RefCell<Cache<Arc<ArcSwap<Rules>>, Arc<Rules>>>);

impl Door {
    pub(crate) fn of(gate: &Gate) -> Self {
        Self(RefCell::new(Cache::new(Arc::clone(&gate.rules))))
    }

    /// The rules that hold now.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(self.0.borrow_mut().load())
    }

    /// The rules that hold now, unless they are these.
    pub(crate) fn newer(&self, than: &Arc<Rules>) -> Option<Arc<Rules>> {
        let mut cache = self.0.borrow_mut();
        let now = cache.load();
        (!Arc::ptr_eq(now, than)).then(|| Arc::clone(now))
    }
}

/// The files that these listeners use, for whoever looks after them.
pub(crate) fn in_use(gates: &[Arc<Gate>], addresses: &[SocketAddr]) -> Vec<(SocketAddr, Kept)> {
    let of = |(gate, address): (&Arc<Gate>, &SocketAddr)| {
        let rules = gate.rules.load();
        let certificate = rules.tls.clone().map(Kept::Certificate);
        let all = certificate.into_iter().chain(rules.credentials.clone().map(Kept::Credentials));
        all.map(|kept| (*address, kept)).collect::<Vec<_>>()
    };
    gates.iter().zip(addresses).flat_map(of).collect()
}
