//! Heads of the chain that were kept elsewhere, compared with the chain: what is cut off at its end, written anew from
//! some entry on, or gone from its front before its time shows by them alone.
//!
//! # Decided here
//! - The newest head must be of an entry that is there, or of the very last one that was let go: a chain that begins
//!   behind all that is known elsewhere is another one, however whole it is.
//! - What was let go must have been old enough. A head says when it was told, and that is nobody's word who can write
//!   to the catalog. A newest head without a time, whose entry was let go, proves nothing of what is gone.

mod fault;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};
use std::time::Duration;

use model::{Digest, Timestamp};
use serde::Deserialize;

pub use self::fault::{HeadsError, HeadsFault};
use crate::{Anchor, Entry, Proven};

/// The most heads that are compared.
const MOST: usize = 1_000_000;
/// The longest line that is looked at, in bytes.
const LONGEST: usize = 4096;
/// No configuration lets go what is younger.
pub const LEAST_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Clocks that are set right move by less.
const SLACK: Duration = Duration::from_secs(86_400);

/// Heads that were kept elsewhere, and what a look at the chain says of them.
#[derive(Debug, Default)]
pub struct KeptHeads {
    kept: BTreeMap<u64, Kept>,
    /// Who knows them.
    sources: Vec<String>,
    /// The first entry that is not the one that was kept.
    differs: Option<u64>,
    /// What entries say of those that were let go, by the last one that went.
    let_go: BTreeMap<u64, LetGo>,
    /// The earliest time that an entry carries.
    earliest: Option<Timestamp>,
}

/// A head as it was kept.
#[derive(Clone, Copy, Debug)]
struct Kept {
    digest: Digest,
    /// When it was told, where the line says.
    at: Option<Timestamp>,
    /// The place of its source among all, and its line there; none where it has no lines.
    whence: (usize, Option<u64>),
}

/// What an entry says of those that were let go.
#[derive(Debug)]
struct LetGo {
    /// When it says so.
    told: Timestamp,
    /// When the last of them happened.
    last: Option<Timestamp>,
    /// How old each was at least.
    keep: Duration,
}

impl LetGo {
    fn read(entry: &Entry) -> Option<(Anchor, Self)> {
        #[derive(Deserialize)]
        struct Data {
            at: Option<Timestamp>,
            keep_seconds: Option<u64>,
        }
        let anchor = entry.anchor()?;
        let data: Option<Data> = serde_json::from_str(&entry.data).ok();
        let keep = data.as_ref().and_then(|data| data.keep_seconds).map_or(LEAST_KEPT, Duration::from_secs);
        let last = data.and_then(|data| data.at);
        Some((anchor, Self { told: entry.at, last, keep: keep.max(LEAST_KEPT) }))
    }
}

/// How heads compare with the chain, where nothing speaks against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Compared {
    /// Heads whose entries are there and are the same.
    pub same: usize,
    /// Heads whose entries were let go, so that nothing but their age can be said of them.
    pub let_go: usize,
}

impl KeptHeads {
    /// Whether there is nothing to compare with.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Takes one head that somebody typed; `source` is what it is called.
    ///
    /// # Errors
    /// [`HeadsError`] when it contradicts another.
    pub fn expect(&mut self, seq: u64, digest: Digest, source: &str) -> Result<(), HeadsError> {
        let source = self.source(source);
        self.add(seq, Kept { digest, at: None, whence: (source, None) })
    }

    /// Takes the heads of a file, called `source`, that are of this site; how many lines were. Lines may carry more in
    /// front, as a log server writes them.
    ///
    /// # Errors
    /// [`HeadsError`] when it cannot be read, or contradicts itself.
    pub fn read(&mut self, reader: &mut impl BufRead, source: &str, site: &str) -> Result<usize, HeadsError> {
        let source = self.source(source);
        let (mut line, mut found) = (Vec::new(), 0_usize);
        for number in 1_u64.. {
            if !next_line(reader, &mut line).map_err(HeadsError::Read)? {
                break;
            }
            if let Some((seq, digest, at)) = head_in(&line, site) {
                found = found.saturating_add(1);
                self.add(seq, Kept { digest, at, whence: (source, Some(number)) })?;
            }
        }
        Ok(found)
    }

    fn source(&mut self, name: &str) -> usize {
        self.sources.push(name.to_owned());
        self.sources.len().saturating_sub(1)
    }

    fn add(&mut self, seq: u64, kept: Kept) -> Result<(), HeadsError> {
        match self.kept.get(&seq) {
            Some(known) if known.digest != kept.digest => {
                Err(HeadsError::Clash { seq, one: self.whence(known), other: self.whence(&kept) })
            }
            Some(_) => Ok(()),
            None if self.kept.len() >= MOST => Err(HeadsError::Many),
            None => {
                self.kept.insert(seq, kept);
                Ok(())
            }
        }
    }

    fn whence(&self, kept: &Kept) -> String {
        let (source, line) = kept.whence;
        let source = self.sources.get(source).map(String::as_str).unwrap_or_default();
        line.map_or_else(|| source.to_owned(), |line| format!("{source}, line {line}"))
    }

    /// The newest head that is known, and who knows it.
    pub fn newest(&self) -> Option<(u64, String)> {
        self.kept.last_key_value().map(|(seq, kept)| (*seq, self.whence(kept)))
    }

    /// Looks at an entry of the chain.
    pub fn look(&mut self, entry: &Entry) {
        self.earliest = Some(self.earliest.map_or(entry.at, |earliest| earliest.min(entry.at)));
        if let Some((anchor, told)) = LetGo::read(entry) {
            self.let_go.insert(anchor.seq, told);
        }
        if self.kept.get(&entry.seq).is_some_and(|kept| kept.digest != entry.digest) {
            self.differs = Some(self.differs.map_or(entry.seq, |seq| seq.min(entry.seq)));
        }
    }

    /// What came of it at `now`, once the whole chain was looked at.
    ///
    /// # Errors
    /// [`HeadsFault`] when the chain is another one than the heads are of.
    pub fn finish(&self, proven: &Proven, now: Timestamp) -> Result<Compared, HeadsFault> {
        if let Some((seq, kept)) = self.differs.and_then(|seq| Some((seq, self.kept.get(&seq)?))) {
            return Err(HeadsFault::Anew { seq, whence: self.whence(kept) });
        }
        let ends = proven.head.seq;
        if let Some((seq, kept)) = self.kept.range(ends.saturating_add(1)..).next() {
            return Err(HeadsFault::Cut { seq: *seq, whence: self.whence(kept), ends });
        }
        let let_go = match proven.anchor {
            Some(anchor) => self.let_go(anchor, now)?,
            None => self.kept.range(..1).count(),
        };
        Ok(Compared { same: self.kept.len().saturating_sub(let_go), let_go })
    }

    /// How many heads are of entries that were let go. A chain that begins behind all of them, or that lost what was
    /// too young to go, is another one, however whole it is.
    fn let_go(&self, anchor: Anchor, now: Timestamp) -> Result<usize, HeadsFault> {
        let begins = anchor.seq;
        if let Some(kept) = self.kept.get(&begins).filter(|kept| kept.digest != anchor.digest) {
            return Err(HeadsFault::OtherFront { begins, whence: self.whence(kept) });
        }
        if let Some((seq, kept)) = self.kept.last_key_value().filter(|(seq, _)| **seq <= begins) {
            let (seq, whence) = (*seq, self.whence(kept));
            match (seq == begins, kept.at) {
                (false, _) => return Err(HeadsFault::Behind { seq, whence, begins }),
                (true, None) => return Err(HeadsFault::Undated { seq, whence }),
                // The chain goes on from it; whether it was old enough to go is seen below.
                (true, Some(_)) => {}
            }
        }
        // The clock was ahead where a head carries a later time than one that was told after it.
        let (mut latest, mut let_go) = (None, 0_usize);
        let gone_until = self.gone_until(anchor, now);
        for (seq, kept) in self.kept.iter().rev() {
            latest = kept.at.map(|at| latest.map_or(at, |known: Timestamp| known.min(at))).or(latest);
            if *seq > begins {
                continue;
            }
            let_go = let_go.saturating_add(1);
            if gone_until.is_none_or(|until| latest.is_some_and(|at| at > until)) {
                return Err(HeadsFault::Young { seq: *seq, whence: self.whence(kept), begins });
            }
        }
        Ok(let_go)
    }

    /// Until when what is behind an anchor can have been let go, by the entry that says so; none where it cannot be
    /// true what that says.
    fn gone_until(&self, anchor: Anchor, now: Timestamp) -> Option<Timestamp> {
        let told = self.let_go.get(&anchor.seq)?;
        // What was let go happened before all that is left, whatever the clock said then.
        let last = told.last?;
        let last = self.earliest.map_or(last, |earliest| earliest.min(last));
        let is_true = last.after(told.keep) <= told.told.after(SLACK) && told.told <= now.after(SLACK);
        is_true.then(|| last.after(SLACK))
    }
}

/// Reads the next line, of which the end is kept where it is longer than a head's line can be; false at the end.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    loop {
        let read = reader.by_ref().take(LONGEST as u64).read_until(b'\n', line)?;
        if read == 0 || line.ends_with(b"\n") {
            return Ok(!line.is_empty());
        }
        line.drain(..line.len().saturating_sub(LONGEST));
    }
}

/// The head in a line, if it holds one of this site: its last three words are a number, a digest and the site, and the
/// one before is when it was told.
fn head_in(line: &[u8], site: &str) -> Option<(u64, Digest, Option<Timestamp>)> {
    let line = line.strip_suffix(b"\n")?;
    let text = std::str::from_utf8(line.get(line.len().saturating_sub(LONGEST)..)?).ok()?;
    let mut words = text.split_ascii_whitespace().rev();
    let (of, digest, seq) = (words.next()?, words.next()?, words.next()?);
    (of == site).then_some(())?;
    Some((seq.parse().ok()?, digest.parse().ok()?, words.next().and_then(Timestamp::parse)))
}
