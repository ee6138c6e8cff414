//! Tells the heads of the history where they cannot be rewritten: a file, a syslog.
//!
//! # Decided here
//! - The last head in the file is compared with the chain before anything is told, and at every look. While they differ
//!   nothing is told anywhere, so that the file goes on naming what is missing; the operator who moves the file away
//!   ends that. A file that cannot be read ends nothing: what it said when it could be stands, and where it never could
//!   be nothing is told. One that holds something and not one head is none that can be read.
//! - A site that was renamed is known by its entries under the name before: what was told under that one must be in the
//!   history before a head is told under the new one.
//! - This process remembers the newest head that it saw, as long as it lives, so that another catalog put in the place of
//!   its own does not go unnoticed: a file knows what was told, which may be an hour old. The operator who moves the file
//!   away ends that as well; where there is none, a restart does.
//! - The whole chain is proven when `run` begins and once a day, and compared with every head in the file: an edit of an
//!   old entry changes no later head.
//! - An operator's word is told at once: a copy that lacks it must never pass for the history. For the same reason a
//!   `run` that leaves an older copy alone tells the newest head that it saw, before it ends and forgets it.
//! - File and syslog are each told for themselves: that one has a head says nothing about the other.

mod error;
mod file;
mod others;
mod proof;
mod slow;
mod state;
mod telling;
#[cfg(test)]
mod tests;
mod vouch;

use std::io;
use std::path::Path;
use std::time::Duration;

use alarm::{Syslog, SyslogPeer};
use catalog::{
    Catalog, CatalogError, ChainBreak, ChainHead, EntryFilter, EntryKind, EntryOrder, LEAST_KEPT, prove_end,
};
use config::{Config, History, SyslogAddress};
use model::{Digest, Timestamp};

pub use error::HeadError;
pub use file::{Kept, read_given, read_kept};
use file::{Last, Told, append, last_of, others_of};
pub use others::Others;
use slow::Slow;
pub(crate) use state::HeadState;
pub(crate) use telling::keep_telling;
use telling::log;
pub use vouch::{Against, Vouchers};

/// What stands for a site without a name.
pub const NO_SITE: &str = "-";
/// The longest that a syslog may take.
const SYSLOG: Duration = Duration::from_secs(10);
/// Security messages that are private: `authpriv`.
const FACILITY: u8 = 10;
/// How many of the newest entries are proven after an act from the command line: it must not take long. The whole is
/// proven by `run`, `status` and `history verify`.
const AFTER_ACT: u64 = 1024;

/// When a head that was not told yet is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// As often as the configuration says.
    InTime,
    /// Now.
    AtOnce,
}

/// Where heads go, and which one the syslog got last; the file says itself which one it holds.
pub struct Heads {
    history: History,
    site: String,
    sent: Option<(u64, Timestamp)>,
    /// The last head that the file was seen to hold.
    known: Option<Told>,
    /// The head in the file that the history did not fit, when that was looked at last.
    doubted: Option<u64>,
    /// The newest head that this process saw.
    seen: Option<ChainHead>,
    /// That the site had another name before was told.
    told_renamed: bool,
    /// Reads and writes the file.
    slow: Slow,
}

impl Heads {
    /// As a configuration has it.
    pub fn of(config: &Config) -> Self {
        let site = config.site.name.clone().unwrap_or_else(|| NO_SITE.to_owned());
        let (history, slow) = (config.history.clone(), Slow::default());
        Self { history, site, sent: None, known: None, doubted: None, seen: None, told_renamed: false, slow }
    }

    /// As another configuration has it; what is known of a place that stays is kept.
    fn renewed(self, config: &Config) -> Self {
        let newer = Self::of(config);
        let same_log = newer.history.head_syslog == self.history.head_syslog;
        let same_file = newer.history.head_file == self.history.head_file && newer.site == self.site;
        Self {
            sent: self.sent.filter(|_| same_log),
            known: self.known.filter(|_| same_file),
            doubted: self.doubted.filter(|_| same_file),
            seen: self.seen.filter(|_| same_file),
            slow: self.slow,
            ..newer
        }
    }

    /// That the history had this head, as far as one is given.
    fn expect(&mut self, head: Option<ChainHead>) {
        self.seen = head.or(self.seen.take());
    }

    /// The file of heads, and the site whose heads count in it.
    fn kept(&self) -> Option<(&Path, &str)> {
        self.history.head_file.as_deref().map(|path| (path, self.site.as_str()))
    }

    /// Tells the newest head wherever that is due: enough entries are new, or the last head is old enough. Returns its
    /// number if it was told somewhere.
    ///
    /// # Errors
    /// Everything that went wrong: with [`HeadError::is_broken`], when what was told before does not fit the history, or
    /// [`HeadError::Unread`] when that cannot be known, nothing is told; else one for each place that could not be told,
    /// while the others were. [`HeadError::Renamed`] comes with a head that was told.
    pub async fn tell_if_due(&mut self, catalog: &dyn Catalog, now: Timestamp) -> Result<Option<u64>, Vec<HeadError>> {
        let last = self.last().await;
        let unread = match &last {
            Ok(last) => {
                self.known = last.told();
                self.doubted = None;
                None
            }
            Err(error) => Some(self.unread(error)),
        };
        let blind = self.known.is_none() && self.doubted.is_none();
        if let Some(unread) = unread.filter(|_| blind) {
            return Err(vec![unread]);
        }
        if let Err(error) = self.fits(catalog, now).await {
            let unread = last.err().map(|error| self.unread(&error));
            return Err(std::iter::once(error).chain(unread).collect());
        }
        if self.history.head_file.is_some() && matches!(last, Ok(Last::Nobody)) {
            self.seen = None;
        }
        self.follows(catalog).await.map_err(|error| vec![error])?;
        let renamed = match &last {
            Ok(Last::Others) => self.renamed(catalog).await.map_err(|error| vec![error])?,
            _ => None,
        };
        let renamed = renamed.filter(|_| !std::mem::replace(&mut self.told_renamed, true));
        let head = catalog.chain_head().await.map_err(|error| vec![error.into()])?;
        if head.seq == 0 {
            return Ok(None);
        }
        self.seen = Some(head);
        let due = if self.has_acts(catalog).await { Due::AtOnce } else { Due::InTime };
        let told = self.tell(&head, last, (now, due)).await;
        match (told, renamed) {
            (Ok(told), None) => Ok(told),
            (Ok(_), Some(renamed)) => Err(vec![renamed]),
            (Err(errors), renamed) => Err(errors.into_iter().chain(renamed).collect()),
        }
    }

    /// Tells this head where that is due, each place for itself.
    async fn tell(
        &mut self,
        head: &ChainHead,
        last: io::Result<Last>,
        (now, due): (Timestamp, Due),
    ) -> Result<Option<u64>, Vec<HeadError>> {
        let line = format!("{now} {} {} {}", head.seq, head.digest, self.site);
        let file = match last {
            Ok(last) if self.history.head_file.is_some() => {
                let is_due = self.is_due(last.told().map(|told| (told.seq, told.at)), head, (now, due));
                if is_due { self.append(&line).await.map(|()| true) } else { Ok(false) }
            }
            Ok(_) => Ok(false),
            Err(error) => Err(self.unread(&error)),
        };
        if matches!(file, Ok(true)) {
            self.known = Some(Told { at: now, seq: head.seq, digest: head.digest });
        }
        let is_due = self.history.head_syslog.is_some() && self.is_due(self.sent, head, (now, due));
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

    /// Proves the newest entries, and tells the newest head if that is due, at the end of an act. What cannot be told is
    /// logged, and fails nothing.
    ///
    /// # Errors
    /// [`HeadError`] when the history is not what was written, or nobody knows whether it is, for what was told before
    /// cannot be read; no head is told then.
    pub async fn tell_after_act(&mut self, catalog: &dyn Catalog, now: Timestamp) -> Result<(), HeadError> {
        match prove_end(catalog, AFTER_ACT).await {
            Ok(()) => {}
            // A catalog that answers nothing is told by whoever asked it.
            Err(fault) if matches!(fault.what, ChainBreak::Unreadable(_)) && catalog.chain_head().await.is_err() => {
                return Ok(());
            }
            Err(fault) => return Err(HeadError::Broken(fault.to_string())),
        }
        let errors = self.tell_if_due(catalog, now).await.err().unwrap_or_default();
        let (mut in_doubt, others): (Vec<_>, Vec<_>) =
            errors.into_iter().partition(|error| error.is_broken() || matches!(error, HeadError::Unread { .. }));
        log(&others);
        in_doubt.sort_by_key(|error| !error.is_broken());
        in_doubt.into_iter().next().map_or(Ok(()), Err)
    }

    /// Tells the newest head that was seen of the own history, while what stands in its place is left alone: whoever
    /// begins on that finds the head in the file, and not in the history.
    pub(crate) async fn tell_seen(&mut self, head: &ChainHead, now: Timestamp) -> Result<(), Vec<HeadError>> {
        let last = self.last().await;
        let is_known = |told: u64| told >= head.seq;
        let in_file = matches!(&last, Ok(last) if last.told().is_some_and(|told| is_known(told.seq)));
        if in_file || self.sent.is_some_and(|(told, _)| is_known(told)) && self.history.head_file.is_none() {
            return Ok(());
        }
        self.tell(head, last, (now, Due::AtOnce)).await.map(|_| ())
    }

    /// Whether an operator said something that is told nowhere yet.
    async fn has_acts(&self, catalog: &dyn Catalog) -> bool {
        let file = self.history.head_file.is_some().then(|| self.known.map_or(0, |told| told.seq));
        let log = self.history.head_syslog.is_some().then(|| self.sent.map_or(0, |(seq, _)| seq));
        let Some(told) = file.into_iter().chain(log).min() else { return false };
        let kinds = vec![EntryKind::Act];
        let since = EntryFilter { from: told.saturating_add(1), kinds, ..EntryFilter::default() };
        // What cannot be read is told by who reads the chain.
        let acts = catalog.entries(&since, EntryOrder::NewestFirst, 1).await;
        acts.is_ok_and(|acts| !acts.is_empty())
    }

    fn is_due(&self, since: Option<(u64, Timestamp)>, head: &ChainHead, (now, due): (Timestamp, Due)) -> bool {
        let Some((seq, at)) = since else { return true };
        // A head from a clock that was ahead counts as old.
        let old = now.since(at) >= self.history.head_every || at > now;
        match head.seq.checked_sub(seq) {
            Some(0) => false,
            Some(new) => new >= self.history.head_entries || old || due == Due::AtOnce,
            None => true,
        }
    }

    /// The last head that the file holds of this site.
    async fn last(&mut self) -> io::Result<Last> {
        let (Some(path), site) = (self.history.head_file.clone(), self.site.clone()) else { return Ok(Last::Nobody) };
        self.slow.ask(move || last_of(&path, &site)).await
    }

    fn unread(&self, error: &io::Error) -> HeadError {
        let path = self.history.head_file.clone().unwrap_or_default();
        HeadError::Unread { path, source: io::Error::new(error.kind(), error.to_string()) }
    }

    /// Whether the history fits the last head that the file is known to hold; what did not fit stays so until the file
    /// can be read again.
    async fn fits(&mut self, catalog: &dyn Catalog, now: Timestamp) -> Result<(), HeadError> {
        let differs = |seq| HeadError::Differs { path: self.history.head_file.clone().unwrap_or_default(), seq };
        if let Some(seq) = self.doubted {
            return Err(differs(seq));
        }
        let Some(told) = self.known else { return Ok(()) };
        let found = catalog.history(told.seq, 1).await?.pop();
        let fits = match found {
            Some(entry) if entry.seq == told.seq => entry.digest == told.digest,
            // It was let go, as the last of all before: the first that is left carries its digest. What lies further
            // back was let go long after newer heads were told, so that the last one told is never among it.
            Some(entry) if entry.seq == told.seq.saturating_add(1) => {
                entry.previous == told.digest && told.at.after(LEAST_KEPT) <= now
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let error = differs(told.seq);
        self.doubted = Some(told.seq);
        Err(error)
    }

    /// The name that this site had before, where the file knows this very history under another one and holds no head
    /// under this one.
    async fn renamed(&mut self, catalog: &dyn Catalog) -> Result<Option<HeadError>, HeadError> {
        let Some(path) = self.history.head_file.clone() else { return Ok(None) };
        let (named, site) = (path.clone(), self.site.clone());
        let others = match self.slow.ask(move || others_of(&named)).await {
            Ok(others) => others,
            Err(error) => return Err(self.unread(&error)),
        };
        let mut last: Option<(u64, String)> = None;
        for (was, [newest, oldest]) in others.ends() {
            let (was, seq) = (was.to_owned(), newest.0);
            if has(catalog, newest).await? {
                last = last.max(Some((seq, was)));
            } else if has(catalog, oldest).await? {
                self.doubted = Some(seq);
                return Err(HeadError::Former { path, was, site, seq });
            }
        }
        Ok(last.map(|(seq, was)| HeadError::Renamed { path, was, site, seq }))
    }

    /// Whether the history goes on from the newest head that this process saw. Nothing lets the newest entry go within
    /// the seconds between two looks.
    async fn follows(&self, catalog: &dyn Catalog) -> Result<(), HeadError> {
        let Some(seen) = &self.seen else { return Ok(()) };
        let found = catalog.history(seen.seq, 1).await?.pop();
        match found.is_some_and(|entry| entry.seq == seen.seq && entry.digest == seen.digest) {
            true => Ok(()),
            false => Err(HeadError::Replaced { seq: seen.seq }),
        }
    }

    async fn append(&mut self, line: &str) -> Result<(), HeadError> {
        let Some(path) = self.history.head_file.clone() else { return Ok(()) };
        let (named, line) = (path.clone(), line.to_owned());
        let written = self.slow.ask(move || append(&path, &line)).await;
        written.map_err(|source| HeadError::File { path: named, source })
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

/// Whether the history has an entry as it was told; every one goes on from a head of nothing.
pub(crate) async fn has(catalog: &dyn Catalog, (seq, digest): (u64, Digest)) -> Result<bool, CatalogError> {
    if seq == 0 {
        return Ok(true);
    }
    let found = catalog.history(seq, 1).await?.pop();
    Ok(found.is_some_and(|entry| match entry.seq.checked_sub(seq) {
        Some(0) => entry.digest == digest,
        // The last that was let go: the first that is left carries its digest.
        Some(1) => entry.previous == digest,
        _ => false,
    }))
}
