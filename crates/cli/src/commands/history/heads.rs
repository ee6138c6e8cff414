//! Heads of the chain that were kept elsewhere.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use catalog::{Entry, Proven};
use model::Digest;

use crate::failure::Failure;
use crate::show;

/// The most heads that are compared.
const MOST: usize = 1_000_000;
/// The longest line that is looked at.
const LONGEST: usize = 4096;

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
pub(super) struct Heads {
    kept: BTreeMap<u64, (Digest, String)>,
    /// The first entry that is not the one that was kept, and who says so.
    differs: Option<(u64, String)>,
}

/// How heads compare with the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Compared {
    /// Heads whose entries are there and are the same.
    pub(super) same: usize,
    /// Heads whose entries were let go, so that nothing can be said of them.
    pub(super) let_go: usize,
}

impl Heads {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn add(&mut self, seq: u64, digest: Digest, whence: String) -> Result<(), Failure> {
        match self.kept.get(&seq) {
            Some((known, before)) if *known != digest => Err(failed(format!(
                "{before} and {whence} know entry {seq} with different digests: one of them is not of this history"
            ))),
            Some(_) => Ok(()),
            None if self.kept.len() >= MOST => Err(failed(format!("there are more than {MOST} heads to compare"))),
            None => {
                self.kept.insert(seq, (digest, whence));
                Ok(())
            }
        }
    }

    pub(super) fn expect(&mut self, expected: &Expected) -> Result<(), Failure> {
        self.add(expected.seq, expected.digest, "--expect".to_owned())
    }

    /// Takes the heads of a file that are of this site. Lines may carry more in front, as a log server writes them.
    pub(super) fn read(&mut self, path: &Path, site: &str) -> Result<(), Failure> {
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
            if let Some((seq, digest)) = head_in(&line, site) {
                self.add(seq, digest, format!("{name}, line {number}"))?;
            }
        }
        if self.kept.len() == before {
            let text = format!("{name} holds no head of site {site}: nothing is no proof");
            return Err(failed(text).with_next("each line is: time, entry, digest, site; see [history] head_file"));
        }
        Ok(())
    }

    /// Looks at an entry of the chain.
    pub(super) fn look(&mut self, entry: &Entry) {
        let Some((digest, whence)) = self.kept.get(&entry.seq) else { return };
        if *digest != entry.digest && self.differs.as_ref().is_none_or(|(seq, _)| *seq > entry.seq) {
            self.differs = Some((entry.seq, whence.clone()));
        }
    }

    /// What came of it, once the whole chain was looked at.
    pub(super) fn finish(&self, proven: &Proven) -> Result<Compared, Failure> {
        if let Some((seq, whence)) = &self.differs {
            return Err(failed(format!(
                "entry {seq} is not the one that {whence} knows: the history was written anew from there, or from before"
            ))
            .with_next("restore the catalog from a backup, and find out who wrote to it"));
        }
        let beyond = self.kept.range(proven.head.seq.saturating_add(1)..).next();
        if let Some((seq, (_, whence))) = beyond {
            return Err(failed(format!(
                "entry {seq} is missing: {whence} knows it, and the history ends at entry {}",
                proven.head.seq
            ))
            .with_next("entries were cut off, or an older catalog was put in place: restore the newest backup"));
        }
        if let Some(anchor) = proven.anchor
            && let Some((digest, whence)) = self.kept.get(&anchor.seq)
            && *digest != anchor.digest
        {
            let seq = anchor.seq;
            return Err(failed(format!("the history begins behind an entry {seq} that is not the one {whence} knows")));
        }
        let first = proven.anchor.map_or(1, |anchor| anchor.seq);
        let let_go = self.kept.range(..first).count();
        Ok(Compared { same: self.kept.len().saturating_sub(let_go), let_go })
    }
}

fn failed(text: String) -> Failure {
    Failure::usage(format!("history verify: {text}")).with_exit(crate::failure::Exit::FAILED)
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

/// The head in a line, if it holds one of this site: its last three words are a number, a digest and the site.
fn head_in(line: &[u8], site: &str) -> Option<(u64, Digest)> {
    let line = line.strip_suffix(b"\n")?;
    let text = std::str::from_utf8(line.get(line.len().saturating_sub(LONGEST)..)?).ok()?;
    let mut words = text.split_ascii_whitespace().rev();
    let (of, digest, seq) = (words.next()?, words.next()?, words.next()?);
    (of == site).then_some(())?;
    Some((seq.parse().ok()?, digest.parse().ok()?))
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} kept elsewhere are its own", show::count(self.same, "head"))?;
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
            heads += usize::from(head_in(&line, "dmz-1") == Some((9, digest)));
        }
        assert!(heads == 2 && longest <= 8 * LONGEST, "{heads} heads, {longest} bytes");
    }
}
