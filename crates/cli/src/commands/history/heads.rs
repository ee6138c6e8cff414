//! Heads of the chain that were kept elsewhere.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::time::Duration;

use catalog::{Anchor, Entry, Proven};
use model::{Digest, Reason, Timestamp};
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::show;

/// The most heads that are compared.
const MOST: usize = 1_000_000;
/// The longest line that is looked at.
const LONGEST: usize = 4096;
/// No configuration lets go what is younger.
const LEAST_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Clocks that are set right move by less.
const SLACK: Duration = Duration::from_secs(86_400);

/// An entry's number and digest, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    seq: u64,
    digest: Digest,
}

impl std::str::FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':');
        let read = parts.and_then(|(seq, digest)| Some(Self { seq: seq.parse().ok()?, digest: digest.parse().ok()? }));
        read.ok_or_else(|| "write SEQ:DIGEST, an entry's number and its 64 digits".to_owned())
    }
}

/// What is compared, and what came of it.
#[derive(Default)]
pub(crate) struct Heads {
    kept: BTreeMap<u64, Kept>,
    /// The first entry that is not the one that was kept, and who says so.
    differs: Option<(u64, String)>,
    /// What entries say of those that were let go, by the last one that went.
    let_go: BTreeMap<u64, LetGo>,
    /// The earliest time that an entry carries.
    earliest: Option<Timestamp>,
}

/// A head as it was kept.
struct Kept {
    digest: Digest,
    /// When it was told, where the line says.
    at: Option<Timestamp>,
    whence: String,
}

/// What an entry says of those that were let go.
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

/// How heads compare with the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Compared {
    /// Heads whose entries are there and are the same.
    pub(super) same: usize,
    /// Heads whose entries were let go, so that nothing can be said of them.
    pub(super) let_go: usize,
}

impl Heads {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn add(&mut self, seq: u64, kept: Kept) -> Result<(), Failure> {
        match self.kept.get(&seq) {
            Some(known) if known.digest != kept.digest => Err(failed(format!(
                "{} and {} know entry {seq} with different digests: one of them is not of this history",
                known.whence, kept.whence
            ))),
            Some(_) => Ok(()),
            None if self.kept.len() >= MOST => Err(failed(format!("there are more than {MOST} heads to compare"))),
            None => {
                self.kept.insert(seq, kept);
                Ok(())
            }
        }
    }

    pub(super) fn expect(&mut self, expected: &Expected) -> Result<(), Failure> {
        self.add(expected.seq, Kept { digest: expected.digest, at: None, whence: "--expect".to_owned() })
    }

    /// Takes the heads of a file that are of this site. Lines may carry more in front, as a log server writes them.
    pub(crate) fn read(&mut self, path: &Path, site: &str) -> Result<(), Failure> {
        let name = path.display().to_string();
        let file = std::fs::File::open(path).map_err(|error| Failure::new(&format!("cannot read {name}"), &error))?;
        let before = self.kept.len();
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        for number in 1_u64.. {
            let read = next_line(&mut reader, &mut line);
            if !read.map_err(|error| Failure::new(&format!("cannot read {name}"), &error))? {
                break;
            }
            if let Some((seq, digest, at)) = head_in(&line, site) {
                self.add(seq, Kept { digest, at, whence: format!("{name}, line {number}") })?;
            }
        }
        if self.kept.len() == before {
            let text = format!("{name} holds no head of site {site}: nothing is no proof");
            return Err(failed(text).with_next("each line is: time, entry, digest, site; see [history] head_file"));
        }
        Ok(())
    }

    /// The newest head that is known, and who knows it.
    pub(crate) fn newest(&self) -> Option<(u64, &str)> {
        self.kept.last_key_value().map(|(seq, kept)| (*seq, kept.whence.as_str()))
    }

    /// Looks at an entry of the chain.
    pub(crate) fn look(&mut self, entry: &Entry) {
        self.earliest = Some(self.earliest.map_or(entry.at, |earliest| earliest.min(entry.at)));
        if let Some((anchor, told)) = LetGo::read(entry) {
            self.let_go.insert(anchor.seq, told);
        }
        let Some(kept) = self.kept.get(&entry.seq) else { return };
        if kept.digest != entry.digest && self.differs.as_ref().is_none_or(|(seq, _)| *seq > entry.seq) {
            self.differs = Some((entry.seq, kept.whence.clone()));
        }
    }

    /// What came of it at `now`, once the whole chain was looked at.
    pub(crate) fn finish(&self, proven: &Proven, now: Timestamp) -> Result<Compared, Failure> {
        if let Some((seq, whence)) = &self.differs {
            return Err(broken(format!(
                "entry {seq} is not the one that {whence} knows: the history was written anew from there, or from before"
            ))
            .with_next(RESTORE));
        }
        let beyond = self.kept.range(proven.head.seq.saturating_add(1)..).next();
        if let Some((seq, kept)) = beyond {
            return Err(broken(format!(
                "entry {seq} is missing: {} knows it, and the history ends at entry {}",
                kept.whence, proven.head.seq
            ))
            .with_next("entries were cut off, or an older catalog was put in place: restore the newest backup"));
        }
        let let_go = match proven.anchor {
            Some(anchor) => self.let_go(anchor, now)?,
            None => self.kept.range(..1).count(),
        };
        Ok(Compared { same: self.kept.len().saturating_sub(let_go), let_go })
    }

    /// How many heads are of entries that were let go. A chain that begins behind all of them, or that lost what was
    /// too young to go, is another one, however whole it is.
    fn let_go(&self, anchor: Anchor, now: Timestamp) -> Result<usize, Failure> {
        let begins = anchor.seq;
        if let Some(kept) = self.kept.get(&begins).filter(|kept| kept.digest != anchor.digest) {
            let whence = &kept.whence;
            return Err(broken(format!(
                "the history begins behind an entry {begins} that is not the one {whence} knows"
            ))
            .with_next(RESTORE));
        }
        if let Some((seq, whence)) = self.newest().filter(|(seq, _)| *seq < begins) {
            return Err(broken(format!(
                "entry {seq}, the newest that {whence} knows, is not in the history, which begins behind entry \
                 {begins}: nothing shows that it is the same history"
            ))
            .with_next("compare with a newer head; where this is the newest one, the history was written anew"));
        }
        // The clock was ahead where a head carries a later time than one that was told after it.
        let (mut latest, mut let_go) = (None, 0);
        let gone_until = self.gone_until(anchor, now);
        for (seq, kept) in self.kept.iter().rev() {
            latest = kept.at.map(|at| latest.map_or(at, |known: Timestamp| known.min(at))).or(latest);
            if *seq >= begins {
                continue;
            }
            let_go += 1;
            if gone_until.is_none_or(|until| latest.is_some_and(|at| at > until)) {
                return Err(broken(format!(
                    "entry {seq} is missing, and was too young to be let go: {} knows it, and the history begins \
                     behind entry {begins}",
                    kept.whence
                ))
                .with_next(RESTORE));
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

/// What to do where the history is another than it was.
pub(super) const RESTORE: &str = "restore the catalog from a backup, and find out who wrote to it";

fn failed(text: String) -> Failure {
    Failure::usage(format!("history verify: {text}")).with_exit(Exit::FAILED)
}

/// The history is not the one that the heads are of.
fn broken(text: String) -> Failure {
    Failure::usage(format!("{}: {text}", Reason::HistoryBroken)).with_exit(Exit::FAILED)
}

/// Reads the next line, of which the end is kept where it is longer than a head's line can be; false at the end.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
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

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = if self.same == 1 { "is" } else { "are" };
        write!(f, "{} kept elsewhere {verb} its own", show::count(self.same, "head"))?;
        match self.let_go {
            0 => Ok(()),
            let_go => write!(f, "; {} of entries that were let go could not be compared", show::count(let_go, "head")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_fills_no_memory_c36() {
        let digest = Digest::of(b"x");
        let head = format!("9 {digest} dmz-1\n");
        let text = format!("{}{head}{head}short\n{}", "x ".repeat(1 << 20), "y".repeat(1 << 20));
        let mut reader = BufReader::new(text.as_bytes());
        let (mut line, mut heads, mut longest) = (Vec::new(), 0, 0);
        while next_line(&mut reader, &mut line).unwrap() {
            longest = longest.max(line.capacity());
            heads += usize::from(head_in(&line, "dmz-1") == Some((9, digest, None)));
        }
        assert!(heads == 2 && longest <= 8 * LONGEST, "{heads} heads, {longest} bytes");
    }
}
