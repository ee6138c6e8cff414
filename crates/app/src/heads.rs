//! Tells the heads of the history where they cannot be rewritten: a file, a syslog.
//!
//! # Decided here
//! - What the file knows is compared with the chain before anything is told, and at every look. While they differ nothing
//!   is told anywhere, so that the file goes on naming what is missing; the operator who moves the file away ends that.
//! - The whole chain is proven when `run` begins and once a day: an edit of an old entry changes no later head.
//! - File and syslog are each told for themselves: that one has a head says nothing about the other.

mod file;
mod proof;
mod state;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alarm::{Syslog, SyslogPeer};
use catalog::{Catalog, ChainHead};
use config::{Config, History, SyslogAddress};
use mirror::Engine;
use model::{Clock, Reason, Timestamp, error_chain};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::pulse::Pulse;
use file::{Told, append, last_of};
use proof::Proof;
pub(crate) use state::HeadState;

/// What stands for a site without a name.
pub const NO_SITE: &str = "-";
/// How often is looked whether a head is due.
const LOOK: Duration = Duration::from_secs(5);
/// The longest that a syslog may take.
const SYSLOG: Duration = Duration::from_secs(10);
/// Security messages that are private: `authpriv`.
const FACILITY: u8 = 10;

/// Why a head could not be told, or should not have been.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] catalog::CatalogError),
    /// The file failed.
    #[error("history.head_file: cannot read or append to {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The syslog failed.
    #[error("history.head_syslog: {0}")]
    Syslog(String),
    /// The chain itself does not hold.
    #[error(
        "{0}: no head is told until the history is whole again; restore the catalog from a backup, and find out who wrote to it"
    )]
    Broken(String),
    /// The file knows more than the history, or something else.
    #[error(
        "{path} knows entry {seq} as another one than the history, or the history ends before it: it was cut off, \
         written anew, or restored from a backup; `waystation history verify --head {path}` says more. No head is told \
         until the history fits, or the file is moved away"
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// The entry that the file knows.
        seq: u64,
    },
}

impl HeadError {
    /// The reason code that reports carry.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Broken(_) | Self::Differs { .. } => Reason::HistoryBroken,
            Self::Catalog(_) => Reason::CatalogFailed,
            Self::File { .. } | Self::Syslog(_) => Reason::HeadFailed,
        }
    }

    /// What makes it the same condition as one before; none where it is seen elsewhere.
    fn key(&self) -> Option<&'static str> {
        match self {
            Self::Broken(_) | Self::Differs { .. } => Some("heads/history"),
            Self::File { .. } => Some("heads/file"),
            Self::Syslog(_) => Some("heads/syslog"),
            Self::Catalog(_) => None,
        }
    }
}

/// Where heads go, and which one the syslog got last; the file says itself which one it holds.
pub struct Heads {
    history: History,
    site: String,
    sent: Option<(u64, Timestamp)>,
}

impl Heads {
    /// As a configuration has it.
    pub fn of(config: &Config) -> Self {
        let site = config.site.name.clone().unwrap_or_else(|| NO_SITE.to_owned());
        Self { history: config.history.clone(), site, sent: None }
    }

    /// Tells the newest head wherever that is due: enough entries are new, or the last head is old enough. Returns its
    /// number if it was told somewhere.
    ///
    /// # Errors
    /// Everything that went wrong: [`HeadError::Differs`] alone when what was told before does not fit the history, and
    /// nothing is told then; else one for each place that could not be told, while the others were.
    pub async fn tell_if_due(&mut self, catalog: &dyn Catalog, now: Timestamp) -> Result<Option<u64>, Vec<HeadError>> {
        let last = self.last().await;
        if let Ok(Some(told)) = &last {
            self.compare(told, catalog).await.map_err(|error| vec![error])?;
        }
        let head = catalog.chain_head().await.map_err(|error| vec![error.into()])?;
        if head.seq == 0 {
            return Ok(None);
        }
        let line = format!("{now} {} {} {}", head.seq, head.digest, self.site);
        let file = match last {
            Ok(last) if self.history.head_file.is_some() => {
                let is_due = self.is_due(last.map(|told| (told.seq, told.at)), &head, now);
                if is_due { self.append(&line).await.map(|()| true) } else { Ok(false) }
            }
            Ok(_) => Ok(false),
            Err(error) => Err(error),
        };
        let is_due = self.history.head_syslog.is_some() && self.is_due(self.sent, &head, now);
        let syslog = if is_due { self.send(now, &line).await.map(|()| true) } else { Ok(false) };
        if matches!(syslog, Ok(true)) {
            self.sent = Some((head.seq, now));
        }
        match (file, syslog) {
            (Ok(false), Ok(false)) => Ok(None),
            (Ok(_), Ok(_)) => Ok(Some(head.seq)),
            (file, syslog) => Err(file.err().into_iter().chain(syslog.err()).collect()),
        }
    }

    /// Tells the newest head, if that is due, at the end of an act. What goes wrong is logged, and fails nothing.
    pub async fn tell_after_act(&mut self, catalog: &dyn Catalog, now: Timestamp) {
        if let Err(errors) = self.tell_if_due(catalog, now).await {
            log(&errors);
        }
    }

    fn is_due(&self, since: Option<(u64, Timestamp)>, head: &ChainHead, now: Timestamp) -> bool {
        let Some((seq, at)) = since else { return true };
        // A head from a clock that was ahead counts as old.
        let old = now.since(at) >= self.history.head_every || at > now;
        match head.seq.checked_sub(seq) {
            Some(0) => false,
            Some(new) => new >= self.history.head_entries || old,
            None => true,
        }
    }

    /// The last head that the file holds of this site.
    async fn last(&self) -> Result<Option<Told>, HeadError> {
        let (Some(path), site) = (self.history.head_file.clone(), self.site.clone()) else { return Ok(None) };
        let named = path.clone();
        let read = tokio::task::spawn_blocking(move || last_of(&path, &site)).await.map_err(io::Error::other);
        read.flatten().map_err(|source| HeadError::File { path: named, source })
    }

    async fn compare(&self, told: &Told, catalog: &dyn Catalog) -> Result<(), HeadError> {
        let found = catalog.history(told.seq, 1).await?.pop();
        match found {
            Some(entry) if entry.seq == told.seq && entry.digest == told.digest => Ok(()),
            // It was let go, as the last of all before: the first that is left carries its digest. What lies further
            // back was let go long after newer heads were told, so that the last one told is never among it.
            Some(entry) if entry.seq == told.seq.saturating_add(1) && entry.previous == told.digest => Ok(()),
            _ => {
                let path = self.history.head_file.clone().unwrap_or_default();
                Err(HeadError::Differs { path, seq: told.seq })
            }
        }
    }

    async fn append(&self, line: &str) -> Result<(), HeadError> {
        let Some(path) = self.history.head_file.clone() else { return Ok(()) };
        let (named, line) = (path.clone(), line.to_owned());
        let written = tokio::task::spawn_blocking(move || append(&path, &line)).await.map_err(io::Error::other);
        written.flatten().map_err(|source| HeadError::File { path: named, source })
    }

    async fn send(&self, now: Timestamp, line: &str) -> Result<(), HeadError> {
        let peer = match &self.history.head_syslog {
            None | Some(SyslogAddress::Tls(_)) => return Ok(()),
            Some(SyslogAddress::Unix(path)) => SyslogPeer::Unix(path.clone()),
            Some(SyslogAddress::Udp(peer)) => SyslogPeer::Udp(peer.host.clone(), peer.port),
            Some(SyslogAddress::Tcp(peer)) => SyslogPeer::Tcp(peer.host.clone(), peer.port),
        };
        let site = Some(self.site.as_str()).filter(|site| *site != NO_SITE);
        let syslog = Syslog::new(peer, FACILITY);
        match tokio::time::timeout(SYSLOG, syslog.note(now, site, ("history-head", line))).await {
            Ok(sent) => sent.map_err(|error| HeadError::Syslog(error.to_string())),
            Err(_) => Err(HeadError::Syslog(format!("no answer within {} s", SYSLOG.as_secs()))),
        }
    }
}

/// Tells heads as long as the process lives, and once more at its end, and proves the whole history from time to time.
/// What goes wrong is told once, until something else does or it goes well again; alarms see it in `pulse` as long as
/// it stands.
pub(crate) async fn keep_telling(
    engine: watch::Receiver<Option<Arc<Engine>>>,
    settings: watch::Receiver<Config>,
    (clock, pulse): (Arc<dyn Clock>, Arc<Pulse>),
    end: CancellationToken,
) {
    let mut heads = Heads::of(&settings.borrow());
    let mut settings = settings;
    let (mut failing, mut proof) = (Vec::new(), Proof::default());
    loop {
        let ended = tokio::select! {
            () = end.cancelled() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        if settings.has_changed().unwrap_or(false) {
            let newer = Heads::of(&settings.borrow_and_update());
            let same = newer.history.head_syslog == heads.history.head_syslog;
            heads = Heads { sent: heads.sent.filter(|_| same), ..newer };
        }
        let current = engine.borrow().clone();
        if let Some(current) = current {
            let now = clock.now();
            let catalog = &current.ports().catalog;
            // Nothing is told on top of what does not hold, or was not looked at yet.
            let errors = match proof.broken(catalog, clock.monotonic()).await {
                Some(why) => vec![HeadError::Broken(why)],
                None if proof.is_known() || ended => {
                    heads.tell_if_due(catalog.as_ref(), now).await.err().unwrap_or_default()
                }
                None => continue,
            };
            pulse.heads().set(&errors, now);
            failing = log_changes(&errors, &failing);
        }
        if ended {
            return;
        }
    }
}

/// Logs where something else goes wrong than before; what goes wrong now.
fn log_changes(errors: &[HeadError], before: &[Option<&'static str>]) -> Vec<Option<&'static str>> {
    let now: Vec<_> = errors.iter().map(HeadError::key).collect();
    if now != before {
        log(errors);
        if now.is_empty() {
            tracing::info!("heads of the history are told again");
        }
    }
    now
}

fn log(errors: &[HeadError]) {
    for error in errors {
        let reason = error.reason();
        tracing::error!(error = %error_chain(error), reason = reason.code(), "a head of the history was not told");
    }
}
