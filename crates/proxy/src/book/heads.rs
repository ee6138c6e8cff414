//! What came with the vendor's files beside their bytes, by digest: what is safe of it can be passed on, whoever fetched
//! them and when.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use model::{Digest, Exchange};
use platform::fs::Mode;
use platform::lock::FileLock;
use serde::{Deserialize, Serialize};

use super::{Book, BookError, LOCK, Stamp};

/// The vendor's headers that may be passed on, names in lower case. No other is ever remembered.
pub const PASSABLE: [&str; 4] = ["cache-control", "content-language", "content-type", "last-modified"];

const HEADS: &str = "heads.json";
/// How many files' heads are remembered; at the cap the oldest go, and ours stand in their place.
const MOST: usize = 16_384;

/// Headers: names in lower case, and values.
pub(crate) type Lines = Vec<(String, String)>;
/// Every head that is remembered.
pub(super) type ByDigest = Arc<HashMap<Digest, Lines>>;

/// As they are written down, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Heads {
    /// Counts up when what is written here changes its form.
    form: u32,
    heads: Vec<(Digest, Lines)>,
}

impl Heads {
    fn read(text: &str) -> Option<Self> {
        let mut heads: Self = serde_json::from_str(text).ok()?;
        // What stands in an answer of ours is judged whenever it comes in, from a file too.
        for (_, lines) in &mut heads.heads {
            lines.retain(|(name, value)| is_passable(name, value));
        }
        (heads.form <= 1).then_some(heads)
    }

    /// Takes in what came; whether that is news.
    fn take(&mut self, came: Vec<(Digest, Lines)>) -> bool {
        let known: HashMap<&Digest, &Lines> = self.heads.iter().map(|(digest, lines)| (digest, lines)).collect();
        let is_new = |(digest, lines): &(Digest, Lines)| known.get(digest) != Some(&lines);
        let news: Vec<(Digest, Lines)> = came.into_iter().filter(is_new).collect();
        if news.is_empty() {
            return false;
        }
        let fresh: HashSet<Digest> = news.iter().map(|(digest, _)| *digest).collect();
        self.heads.retain(|(digest, _)| !fresh.contains(digest));
        self.heads.extend(news);
        let over = self.heads.len().saturating_sub(MOST);
        self.heads.drain(..over);
        true
    }
}

/// What may be passed on of an answer's head.
fn lines(exchange: &Exchange) -> Lines {
    let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    let may = |(name, value): &(String, String)| is_passable(name, value);
    let mut lines: Lines = exchange.headers.iter().map(lower).filter(may).collect();
    lines.sort();
    lines
}

fn is_passable(name: &str, value: &str) -> bool {
    PASSABLE.contains(&name) && is_safe(value)
}

/// Whether a value can stand in an answer of ours: it is somebody else's word.
fn is_safe(value: &str) -> bool {
    !value.is_empty() && value.len() < 256 && value.bytes().all(|b| (0x20..0x7f).contains(&b))
}

impl Book {
    /// Whether this process may read what came with the vendor's files: another user's folder is closed to it.
    pub fn shows_heads(&self) -> bool {
        self.open(HEADS).is_ok()
    }

    /// The head that a file came with, as far as it may be passed on.
    pub(crate) fn head(&self, digest: &Digest) -> Option<Lines> {
        // What this process fetched itself is known without a look at the file.
        let known = self.cached().as_ref().and_then(|(_, heads)| heads.get(digest).cloned());
        if known.is_some() {
            return known;
        }
        match self.heads() {
            Ok(heads) => heads.get(digest).cloned(),
            Err(error) => {
                tracing::warn!(error = %model::error_chain(&error), "what came with the vendor's files cannot be read");
                None
            }
        }
    }

    fn cached(&self) -> MutexGuard<'_, Cached> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every head, read anew whenever another process may have written it.
    fn heads(&self) -> Result<ByDigest, BookError> {
        let Some((_, stamp)) = self.open(HEADS)? else { return Ok(ByDigest::default()) };
        if let Some((known, heads)) = self.cached().as_ref()
            && *known == stamp
        {
            return Ok(Arc::clone(heads));
        }
        let heads: ByDigest = Arc::new(self.read_heads()?.heads.into_iter().collect());
        *self.cached() = Some((stamp, Arc::clone(&heads)));
        Ok(heads)
    }

    /// One that does not read is as if nothing had come: it is made anew with the next file.
    fn read_heads(&self) -> Result<Heads, BookError> {
        let text = self.text(HEADS)?;
        Ok(text.as_deref().and_then(Heads::read).unwrap_or_default())
    }

    pub(super) fn note_heads(&self, files: &[(Digest, &Exchange)]) -> Result<(), BookError> {
        let came: Vec<(Digest, Lines)> = files
            .iter()
            .filter(|(_, exchange)| matches!(exchange.status, 200 | 206))
            .map(|(digest, exchange)| (*digest, lines(exchange)))
            .collect();
        if came.is_empty() {
            return Ok(());
        }
        let folder = self.folder()?;
        let _lock = FileLock::acquire_blocking_in(&folder, LOCK)?;
        let mut heads = self.read_heads()?;
        if heads.take(came) {
            heads.form = 1;
            folder.write_atomic(HEADS, serde_json::to_string(&heads)?.as_bytes(), Mode::PRIVATE_FILE)?;
            let stamp = self.open(HEADS)?.map(|(_, stamp)| stamp);
            *self.cached() = stamp.map(|stamp| (stamp, Arc::new(heads.heads.into_iter().collect())));
        }
        Ok(())
    }
}

/// The heads that were read last, and of which writing.
pub(super) type Cached = Option<(Stamp, ByDigest)>;

#[cfg(test)]
mod tests {
    use mirror::Learned as _;
    use model::{Timestamp, TlsAnchor};

    use super::*;
    use crate::Keeping;

    fn exchange(headers: &[(&str, &str)]) -> Exchange {
        Exchange {
            urls: vec!["https://vendor.example/downloads/a".to_owned()],
            status: 200,
            anchor: TlsAnchor::PublicRoot,
            proxy: None,
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            at: Timestamp::from_micros(0),
        }
    }

    fn book(dir: &std::path::Path, heads: bool) -> Book {
        Book::new(dir, Keeping { forwarded_bytes: 100, heads, ..Keeping::default() })
    }

    #[test]
    fn what_is_safe_of_a_head_is_known_to_every_process_and_nothing_else_u33() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (book(dir.path(), true), book(dir.path(), true));
        let head = exchange(&[
            ("Content-Type", "application/zip"),
            ("Set-Cookie", "a=b"),
            ("ETag", "\"1-2\""),
            ("Server", "x"),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Content-Language", "a\r\nSet-Cookie: x"),
        ]);
        let digest = Digest::of(b"a");
        one.came(&[(digest, &head)]);
        let expected = [("content-type", "application/zip"), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")];
        let expected: Lines = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        for book in [&one, &other] {
            assert_eq!(book.head(&digest), Some(expected.clone()));
            assert_eq!(book.head(&Digest::of(b"b")), None);
        }
        one.came(&[(digest, &exchange(&[("Content-Type", "text/plain")]))]);
        assert_eq!(one.head(&digest).unwrap().len(), 1, "the newest counts");
    }

    #[test]
    fn a_value_cannot_end_a_line_u33() {
        for bad in ["", "a\r\nSet-Cookie: x", "\u{1b}[2J", "é", &"x".repeat(300)] {
            assert!(!is_safe(bad), "{bad:?}");
        }
        assert!(is_safe("application/zip; charset=binary"));
    }

    #[test]
    fn heads_are_few_and_a_damaged_list_begins_anew_s41_v32() {
        let mut heads = Heads::default();
        let digest = |number: usize| Digest::of(&number.to_le_bytes());
        assert!(heads.take((0..MOST + 10).map(|number| (digest(number), Lines::new())).collect()));
        assert_eq!(heads.heads.len(), MOST);
        assert_eq!(heads.heads[0].0, digest(10));
        assert!(!heads.take(vec![(digest(MOST), Lines::new())]));

        let dir = tempfile::tempdir().unwrap();
        let book = book(dir.path(), true);
        book.came(&[(digest(0), &exchange(&[]))]);
        std::fs::write(dir.path().join("wanted").join(HEADS), "{").unwrap();
        assert_eq!(self::book(dir.path(), true).head(&digest(0)), None);
        book.came(&[(digest(0), &exchange(&[]))]);
        assert_eq!(self::book(dir.path(), true).head(&digest(0)), Some(Lines::new()));
    }

    /// Whatever became of the file: every bit of an honest one turned, it cut, and what nobody of us wrote.
    #[test]
    fn whatever_the_file_says_only_what_is_safe_is_passed_on_s41_u33() {
        let mut honest = Heads { form: 1, heads: Vec::new() };
        let safe = [("content-type", "application/zip"), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")];
        honest.take(vec![(Digest::of(b"a"), safe.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())]);
        let written = serde_json::to_string(&honest).unwrap();
        let flips = (0..written.len() * 8).map(|bit| {
            let mut bytes = written.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        });
        let cuts = (0..written.len()).map(|at| written.as_bytes()[..at].to_vec());
        let hostile = ["application/zip\\r\\nSet-Cookie: x", "\\u0000", "\\u001b[2J", ""];
        let values = hostile.map(|value| written.replace("application/zip", value).into_bytes());
        let names = ["set-cookie", "Content-Type", "content-length", "x\\r\\ny"];
        let names = names.map(|name| written.replace("content-type", name).into_bytes());
        for bytes in flips.chain(cuts).chain(values).chain(names) {
            let Some(read) = std::str::from_utf8(&bytes).ok().and_then(Heads::read) else { continue };
            for (name, value) in read.heads.iter().flat_map(|(_, lines)| lines) {
                assert!(is_passable(name, value), "{name}: {value:?}");
            }
        }
        assert_eq!(Heads::read(&written).unwrap().heads, honest.heads);
    }

    #[test]
    fn where_nothing_is_passed_on_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let book = book(dir.path(), false);
        book.came(&[(Digest::of(b"a"), &exchange(&[]))]);
        assert!(!dir.path().join("wanted").exists());
    }
}
