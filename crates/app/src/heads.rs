//! Tells the heads of the history where they cannot be rewritten: a file, a syslog.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alarm::{Syslog, SyslogPeer};
use catalog::{Catalog, ChainHead};
use config::{Config, History, SyslogAddress};
use mirror::Engine;
use model::{Clock, Digest, Reason, Timestamp, error_chain};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What stands for a site without a name.
pub const NO_SITE: &str = "-";
/// How often is looked whether a head is due.
const LOOK: Duration = Duration::from_secs(5);
/// The longest that a syslog may take.
const SYSLOG: Duration = Duration::from_secs(10);
/// Security messages that are private: `authpriv`.
const FACILITY: u8 = 10;
/// How much of the file's end is looked at for its last head.
const TAIL: u64 = 4096;

/// Why a head could not be told, or should not have been.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] catalog::CatalogError),
    /// The file failed.
    #[error("history.head_file: cannot append to {path}")]
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
    /// The file knows more than the history, or something else.
    #[error(
        "{path} knows entry {seq} as another one than the history, or the history ends before it: it was cut off, \
         written anew, or restored from a backup; `waystation history verify --head {path}` says more"
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
            Self::Differs { .. } => Reason::HistoryBroken,
            Self::Catalog(_) => Reason::CatalogFailed,
            Self::File { .. } | Self::Syslog(_) => Reason::AlarmFailed,
        }
    }
}

/// Where heads go, and which one went last.
pub struct Heads {
    history: History,
    site: String,
    told: Option<(u64, Timestamp)>,
}

/// A head that was told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    at: Timestamp,
    seq: u64,
    digest: Digest,
}

impl Heads {
    /// As a configuration has it.
    pub fn of(config: &Config) -> Self {
        let site = config.site.name.clone().unwrap_or_else(|| NO_SITE.to_owned());
        Self { history: config.history.clone(), site, told: None }
    }

    fn is_wanted(&self) -> bool {
        self.history.head_file.is_some() || self.history.head_syslog.is_some()
    }

    /// Tells the newest head, if that is due: enough entries are new, or the last head is old enough. Returns its
    /// number if it was told.
    ///
    /// # Errors
    /// [`HeadError`] when it could not be told everywhere, or when what was told before does not fit the history; it is
    /// told all the same then.
    pub async fn tell_if_due(&mut self, catalog: &dyn Catalog, now: Timestamp) -> Result<Option<u64>, HeadError> {
        if !self.is_wanted() {
            return Ok(None);
        }
        let before = self.last().await?;
        let since = before.as_ref().map(|told| (told.seq, told.at)).max(self.told);
        let head = catalog.chain_head().await?;
        if head.seq == 0 || !self.is_due(since, &head, now) {
            return Ok(None);
        }
        let fits = match &before {
            Some(told) => self.compare(told, catalog).await,
            None => Ok(()),
        };
        let line = format!("{now} {} {} {}", head.seq, head.digest, self.site);
        let file = self.append(&line).await;
        let syslog = self.send(now, &line).await;
        file.and(syslog)?;
        self.told = Some((head.seq, now));
        fits.map(|()| Some(head.seq))
    }

    /// Tells the newest head, if that is due, at the end of an act. What goes wrong is logged, and fails nothing.
    pub async fn tell_after_act(&mut self, catalog: &dyn Catalog, now: Timestamp) {
        told(self.tell_if_due(catalog, now).await, false);
    }

    fn is_due(&self, since: Option<(u64, Timestamp)>, head: &ChainHead, now: Timestamp) -> bool {
        let Some((seq, at)) = since else { return true };
        // A head beyond the history is news of its own, and so is one from a clock that was ahead.
        let old = now.since(at) >= self.history.head_every || at > now;
        match head.seq.checked_sub(seq) {
            Some(0) => false,
            Some(new) => new >= self.history.head_entries || old,
            None => self.told.is_none_or(|(told, _)| told != head.seq),
        }
    }

    /// The last head that the file holds of this site.
    async fn last(&self) -> Result<Option<Told>, HeadError> {
        let (Some(path), site) = (self.history.head_file.clone(), self.site.clone()) else { return Ok(None) };
        let named = path.clone();
        let read = tokio::task::spawn_blocking(move || tail(&path)).await.map_err(io::Error::other);
        let text = read.flatten().map_err(|source| HeadError::File { path: named, source })?;
        Ok(text.lines().rev().find_map(|line| told_in(line, &site)))
    }

    async fn compare(&self, told: &Told, catalog: &dyn Catalog) -> Result<(), HeadError> {
        let found = catalog.history(told.seq, 1).await?.pop();
        match found {
            Some(entry) if entry.seq == told.seq && entry.digest == told.digest => Ok(()),
            // It was let go with all before it.
            Some(entry) if entry.seq > told.seq => Ok(()),
            _ => {
                let path = self.history.head_file.clone().unwrap_or_default();
                Err(HeadError::Differs { path, seq: told.seq })
            }
        }
    }

    async fn append(&self, line: &str) -> Result<(), HeadError> {
        let Some(path) = self.history.head_file.clone() else { return Ok(()) };
        let (named, line) = (path.clone(), format!("{line}\n"));
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

/// The end of the file; nothing if there is none yet.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One line more, durable on return. What a crash left half-written is ended first, so that no line runs into it.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let unended = tail(path)?.chars().last().is_some_and(|last| last != '\n');
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let mut file = options.open(path)?;
    let whole = if unended { format!("\n{line}") } else { line.to_owned() };
    file.write_all(whole.as_bytes())?;
    file.sync_all()
}

fn told_in(line: &str, site: &str) -> Option<Told> {
    let mut words = line.split_ascii_whitespace();
    let (at, seq, digest, of) = (words.next()?, words.next()?, words.next()?, words.next()?);
    (of == site && words.next().is_none()).then_some(())?;
    Some(Told { at: Timestamp::parse(at)?, seq: seq.parse().ok()?, digest: digest.parse().ok()? })
}

/// Tells heads as long as the process lives, and once more at its end. What goes wrong is told once, until it goes
/// well again.
pub(crate) async fn keep_telling(
    engine: watch::Receiver<Option<Arc<Engine>>>,
    settings: watch::Receiver<Config>,
    clock: Arc<dyn Clock>,
    end: CancellationToken,
) {
    let mut heads = Heads::of(&settings.borrow());
    let mut settings = settings;
    let mut failing = false;
    loop {
        let ended = tokio::select! {
            () = end.cancelled() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        if settings.has_changed().unwrap_or(false) {
            heads = Heads { told: heads.told, ..Heads::of(&settings.borrow_and_update()) };
        }
        let current = engine.borrow().clone();
        if let Some(current) = current {
            failing = told(heads.tell_if_due(current.ports().catalog.as_ref(), clock.now()).await, failing);
        }
        if ended {
            return;
        }
    }
}

/// Whether it fails now.
fn told(outcome: Result<Option<u64>, HeadError>, failing: bool) -> bool {
    match outcome {
        Ok(_) if failing => {
            tracing::info!("heads of the history are told again");
            false
        }
        Ok(_) => false,
        Err(error) => {
            if !failing {
                let reason = error.reason();
                tracing::error!(error = %error_chain(&error), reason = reason.code(), "a head of the history was not told");
            }
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use catalog::{Actor, Batch, EntryKind, MemoryCatalog, NewEntry};
    use serde_json::json;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).after(Duration::from_secs(seconds))
    }

    fn heads(folder: &Path, more: &str) -> Heads {
        let text = format!("data_dir = \"d\"\n[site]\nname = \"dmz-1\"\n[history]\nhead_entries = 3\n{more}");
        Heads::of(&Config::parse(&text, &folder.join("waystation.toml"), &[]).unwrap())
    }

    async fn happen(catalog: &MemoryCatalog, count: usize) {
        let entry = NewEntry {
            at: at(0),
            actor: Actor::new(0, 1, "test"),
            kind: EntryKind::Check,
            subject: "x".to_owned(),
            data: json!({}),
        };
        catalog.apply(Batch { history: vec![entry; count], ..Batch::default() }).await.unwrap();
    }

    #[tokio::test]
    async fn a_head_is_told_after_so_many_entries_or_so_long() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = MemoryCatalog::new();
        let mut heads = heads(folder.path(), "head_file = \"heads\"");
        assert_eq!(heads.tell_if_due(&catalog, at(0)).await.unwrap(), None, "there is none");
        for (happened, second, told) in [
            (1, 0, Some(1)),
            (0, 9999, None),
            (2, 10, None),
            (1, 20, Some(4)),
            (1, 30, None),
            (0, 3620, Some(5)),
            // A clock that was set back keeps nothing from being told.
            (1, 5, Some(6)),
        ] {
            happen(&catalog, happened).await;
            assert_eq!(heads.tell_if_due(&catalog, at(second)).await.unwrap(), told, "at {second}");
        }
        // Another process goes by the file.
        let mut other = super::tests::heads(folder.path(), "head_file = \"heads\"");
        happen(&catalog, 1).await;
        assert_eq!(other.tell_if_due(&catalog, at(15)).await.unwrap(), None);
        let text = std::fs::read_to_string(folder.path().join("heads")).unwrap();
        let head = catalog.history(6, 1).await.unwrap().remove(0);
        assert_eq!(text.lines().last().unwrap(), format!("{} 6 {} dmz-1", at(5), head.digest));
        assert_eq!(text.lines().count(), 4);
    }

    #[tokio::test]
    async fn a_line_that_a_crash_cut_is_ended_and_a_file_that_cannot_be_written_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/heads");
        let catalog = MemoryCatalog::new();
        happen(&catalog, 1).await;
        let mut heads = heads(folder.path(), "head_file = \"sub/heads\"");
        for _ in 0..2 {
            let error = heads.tell_if_due(&catalog, at(0)).await.unwrap_err();
            assert!(matches!(&error, HeadError::File { path: named, .. } if *named == path), "{error}");
        }
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(&path, "2026-01-01T00:00:00Z 3 abc").unwrap();
        assert_eq!(heads.tell_if_due(&catalog, at(0)).await.unwrap(), Some(1));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("2026-01-01T00:00:00Z 3 abc\n2027-") && text.ends_with(" dmz-1\n"), "{text}");
    }

    #[tokio::test]
    async fn a_history_that_does_not_fit_what_was_told_is_said_to() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = heads(folder.path(), "head_file = \"heads\"");
        let catalog = MemoryCatalog::new();
        happen(&catalog, 9).await;
        first.tell_if_due(&catalog, at(0)).await.unwrap();
        let shorter = MemoryCatalog::new();
        happen(&shorter, 5).await;
        let mut second = heads(folder.path(), "head_file = \"heads\"");
        let error = second.tell_if_due(&shorter, at(9)).await.unwrap_err();
        assert!(matches!(error, HeadError::Differs { seq: 9, .. }) && error.reason() == Reason::HistoryBroken);
        let text = std::fs::read_to_string(folder.path().join("heads")).unwrap();
        assert_eq!(text.lines().count(), 2, "what it is now is told all the same");
    }

    #[tokio::test]
    async fn a_head_goes_to_a_syslog() {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let catalog = MemoryCatalog::new();
        happen(&catalog, 2).await;
        let mut heads = heads(folder.path(), &format!("head_syslog = \"udp://127.0.0.1:{port}\""));
        assert_eq!(heads.tell_if_due(&catalog, at(0)).await.unwrap(), Some(2));
        let mut record = [0; 2048];
        let length = socket.recv(&mut record).await.unwrap();
        let record = String::from_utf8_lossy(&record[..length]).into_owned();
        let digest = catalog.chain_head().await.unwrap().digest;
        assert!(record.starts_with("<85>1 ") && record.ends_with(&format!(" 2 {digest} dmz-1")), "{record}");
    }
}
