//! Heads of other sites: what shows that one of them is this very site, under the name that it had before.
//!
//! No two histories share a digest. Who finds entries of this history under another name knows that the site was
//! renamed, or that one of the two is a copy of the other.

use std::collections::BTreeMap;

use catalog::Entry;
use model::Digest;

/// The most names, and heads of all of them, that are kept in mind.
const NAMES: usize = 64;
const HEADS: usize = 100_000;
/// How many names a sentence tells.
const TOLD: usize = 3;

/// Heads of other sites, as far as they are kept in mind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    names: Vec<Name>,
    /// By entry: the digest, and the place of the name.
    heads: BTreeMap<u64, Vec<(Digest, usize)>>,
    count: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    name: String,
    oldest: (u64, Digest),
    newest: (u64, Digest),
    /// The newest entry of the chain that is the one told under this name.
    same: Option<u64>,
}

/// A name that this site had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Former {
    /// The name.
    pub(crate) name: String,
    /// The newest entry that was told under it.
    pub(crate) told: u64,
    /// The newest of these that the history has as it was told.
    pub(crate) same: u64,
}

impl Others {
    pub(super) fn add(&mut self, site: &str, seq: u64, digest: Digest) {
        if self.count >= HEADS {
            return;
        }
        let place = match self.names.iter().position(|known| known.name == site) {
            Some(place) => place,
            None if self.names.len() >= NAMES => return,
            None => {
                let head = (seq, digest);
                self.names.push(Name { name: site.to_owned(), oldest: head, newest: head, same: None });
                self.names.len().saturating_sub(1)
            }
        };
        if let Some(known) = self.names.get_mut(place) {
            if seq < known.oldest.0 {
                known.oldest = (seq, digest);
            }
            if seq >= known.newest.0 {
                known.newest = (seq, digest);
            }
        }
        self.heads.entry(seq).or_default().push((digest, place));
        self.count = self.count.saturating_add(1);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whose they are, for a sentence.
    pub fn in_words(&self) -> String {
        let named: Vec<&str> = self.names.iter().take(TOLD).map(|known| known.name.as_str()).collect();
        match self.names.len().saturating_sub(TOLD) {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    }

    /// Looks at an entry of the chain.
    pub fn look(&mut self, entry: &Entry) {
        let found = self.heads.get(&entry.seq).into_iter().flatten().filter(|(digest, _)| *digest == entry.digest);
        for (_, place) in found {
            if let Some(known) = self.names.get_mut(*place) {
                known.same = known.same.max(Some(entry.seq));
            }
        }
    }

    /// The name that this site had before, once the whole chain was looked at; of several the one under which something
    /// was told that the history does not have, or else the last.
    pub(crate) fn former(&self) -> Option<Former> {
        let former = |known: &Name| Some(Former { name: known.name.clone(), told: known.newest.0, same: known.same? });
        self.names.iter().filter_map(former).max_by_key(|former| (!former.is_whole(), former.same))
    }

    /// Each name with the newest and the oldest head that was told under it.
    pub(super) fn ends(&self) -> impl Iterator<Item = (&str, [(u64, Digest); 2])> {
        self.names.iter().map(|known| (known.name.as_str(), [known.newest, known.oldest]))
    }
}

impl Former {
    /// Whether the history has all that was told under it, as far as its newest entry shows.
    pub(crate) fn is_whole(&self) -> bool {
        self.same == self.told
    }
}
