//! Heads of the chain that were kept elsewhere, compared with the chain: what is cut off at its end, written anew from
//! some entry on, or gone from its front before its time shows by them alone.
//!
//! # Decided here
//! - The newest head must be of an entry that is there, or of the very last one that was let go: a chain that begins
//!   behind all that is known elsewhere is another one, however whole it is.
//! - What was let go must have been old enough. A head says when it was told, and that is nobody's word who can write
//!   to the catalog. A newest head without a time, whose entry was let go, proves nothing of what is gone.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};
use std::time::Duration;

use model::{Digest, Timestamp};
use serde::Deserialize;

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

/// Heads that cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// One entry has two digests.
    #[error("{one} and {other} know entry {seq} with different digests: one of them is not of this history")]
    Clash {
        /// Which entry.
        seq: u64,
        /// Who knows it first.
        one: String,
        /// Who else.
        other: String,
    },
    /// More than can be kept in memory.
    #[error("there are more than {MOST} heads to compare")]
    Many,
    /// What holds them cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
}

/// The chain is not the one that heads kept elsewhere are of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadsFault {
    /// An entry has another digest.
    #[error("entry {seq} is not the one that {whence} knows: the history was written anew from there, or from before")]
    Anew {
        /// Which entry.
        seq: u64,
        /// Who knows another.
        whence: String,
    },
    /// The chain ends before an entry that is known.
    #[error("entry {seq} is missing: {whence} knows it, and the history ends at entry {ends}")]
    Cut {
        /// Which entry.
        seq: u64,
        /// Who knows it.
        whence: String,
        /// The last that is there.
        ends: u64,
    },
    /// The last entry that was let go was another one.
    #[error("the history begins behind an entry {begins} that is not the one {whence} knows")]
    OtherFront {
        /// The last that was let go.
        begins: u64,
        /// Who knows another.
        whence: String,
    },
    /// The chain begins behind all that is known.
    #[error(
        "entry {seq}, the newest that {whence} knows, is not in the history, which begins behind entry {begins}: nothing \
         shows that it is the same history"
    )]
    Behind {
        /// The newest that is known.
        seq: u64,
        /// Who knows it.
        whence: String,
        /// The last that was let go.
        begins: u64,
    },
    /// An entry went that was not old enough.
    #[error(
        "entry {seq} is missing, and was too young to be let go: {whence} knows it, and the history begins behind entry \
         {begins}"
    )]
    Young {
        /// Which entry.
        seq: u64,
        /// Who knows it.
        whence: String,
        /// The last that was let go.
        begins: u64,
    },
    /// The newest that is known was let go, and nobody says when it was told.
    #[error(
        "entry {seq}, the newest that {whence} knows, is the last that was let go: the history goes on from it, but \
         nothing shows that what is gone was old enough to go"
    )]
    Undated {
        /// Which entry.
        seq: u64,
        /// Who knows it.
        whence: String,
    },
}

impl HeadsFault {
    /// What to do next.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Anew { .. } | Self::OtherFront { .. } | Self::Young { .. } => {
                "restore the catalog from a backup, and find out who wrote to it"
            }
            Self::Cut { .. } => "entries were cut off, or an older catalog was put in place: restore the newest backup",
            Self::Behind { .. } => {
                "compare with a newer head; where this is the newest one, the history was written anew"
            }
            Self::Undated { .. } => {
                "compare with a head of an entry that is still there, or with a line that says when it was told"
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Actor, Batch, Catalog, EntryKind, MemoryCatalog, NewEntry, Prune, prove_chain};

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000)
    }

    fn new(at: Timestamp, kind: EntryKind, data: serde_json::Value) -> NewEntry {
        NewEntry { at, actor: Actor::new(0, 1, "test"), kind, subject: "x".to_owned(), data }
    }

    /// Nine entries, of which those up to the sixth were let go, as the last one says; each happened at `at`, and the
    /// last that went is said to have happened at `said`.
    async fn pruned(at: Timestamp, said: Timestamp) -> (MemoryCatalog, Vec<Entry>) {
        let catalog = MemoryCatalog::new();
        let history = vec![new(at, EntryKind::Check, json!({})); 9];
        catalog.apply(Batch { history, ..Batch::default() }).await.unwrap();
        let known = catalog.history(1, 9).await.unwrap();
        let through = Anchor { seq: 6, digest: known[5].digest };
        let told = json!({ "through": through, "at": said, "keep_seconds": 400 * 86_400 });
        let prune = Prune { through, releases: Vec::new(), publications_until: at };
        let history = vec![new(now(), EntryKind::Pruned, told)];
        catalog.apply(Batch { history, prune: Some(prune), ..Batch::default() }).await.unwrap();
        (catalog, known)
    }

    async fn compared(catalog: &MemoryCatalog, lines: &str, at: Timestamp) -> Result<Compared, HeadsFault> {
        let mut heads = KeptHeads::default();
        heads.read(&mut lines.as_bytes(), "heads", "dmz-1").unwrap();
        let proven = prove_chain(catalog, &mut |entry| heads.look(entry)).await.unwrap();
        heads.finish(&proven, at)
    }

    fn line(at: Timestamp, entry: &Entry) -> String {
        format!("{at} {} {} dmz-1\n", entry.seq, entry.digest)
    }

    #[tokio::test]
    async fn a_chain_that_goes_on_from_the_newest_head_must_have_let_it_go_by_right_a21() {
        let (old, young) = (now().before(500 * DAY), now().before(DAY));
        // As it should be: what went was old, and so was the head of it.
        let (right, known) = pruned(old, old).await;
        let newest = line(old, &known[5]);
        assert_eq!(compared(&right, &newest, now()).await, Ok(Compared { same: 0, let_go: 1 }));
        // Forged: all before the newest head is gone, and is said to be old.
        for said in [old, young] {
            let (forged, known) = pruned(young, said).await;
            let newest = line(young, &known[5]);
            let young = HeadsFault::Young { seq: 6, whence: "heads, line 1".to_owned(), begins: 6 };
            assert_eq!(compared(&forged, &newest, now()).await, Err(young.clone()), "{said}");
            // That time passes makes it no better: what the line says is how old it was.
            assert_eq!(compared(&forged, &newest, now().after(30 * DAY)).await, Err(young), "{said}");
        }
        // Without a time nothing is shown.
        let (digest, mut typed) = (known[5].digest, KeptHeads::default());
        typed.expect(6, digest, "--expect").unwrap();
        let proven = prove_chain(&right, &mut |entry| typed.look(entry)).await.unwrap();
        let undated = typed.finish(&proven, now()).unwrap_err();
        assert_eq!(undated, HeadsFault::Undated { seq: 6, whence: "--expect".to_owned() });
        // A newer one that is there says that it is the same history.
        typed.expect(9, known[8].digest, "--expect").unwrap();
        assert_eq!(typed.finish(&proven, now()), Ok(Compared { same: 1, let_go: 1 }));
    }

    #[tokio::test]
    async fn every_head_counts_and_not_the_newest_alone_a21() {
        let (old, young) = (now().before(500 * DAY), now().before(DAY));
        let (forged, known) = pruned(young, old).await;
        let newest = line(now(), &known[8]);
        assert_eq!(compared(&forged, &newest, now()).await, Ok(Compared { same: 1, let_go: 0 }));
        let both = line(young, &known[1]) + &newest;
        let fault = compared(&forged, &both, now()).await.unwrap_err();
        assert_eq!(fault, HeadsFault::Young { seq: 2, whence: "heads, line 1".to_owned(), begins: 6 });
        let other = Entry { digest: Digest::of(b"another"), ..known[7].clone() };
        let fault = compared(&forged, &(line(now(), &other) + &newest), now()).await.unwrap_err();
        assert_eq!(fault, HeadsFault::Anew { seq: 8, whence: "heads, line 1".to_owned() });
    }

    #[test]
    fn a_line_without_an_end_fills_no_memory_c36() {
        let digest = Digest::of(b"x");
        let head = format!("9 {digest} dmz-1\n");
        let text = format!("{}{head}{head}short\n{}", "x ".repeat(1 << 20), "y".repeat(1 << 20));
        let mut reader = io::BufReader::new(text.as_bytes());
        let (mut line, mut heads, mut longest) = (Vec::new(), 0, 0);
        while next_line(&mut reader, &mut line).unwrap() {
            longest = longest.max(line.capacity());
            heads += usize::from(head_in(&line, "dmz-1") == Some((9, digest, None)));
        }
        assert!(heads == 2 && longest <= 8 * LONGEST, "{heads} heads, {longest} bytes");
    }
}
