//! The chain that binds the history together, and the check that it is whole.

use std::error::Error as _;
use std::fmt;

use model::{Digest, Timestamp};

use crate::{Anchor, Catalog, CatalogError, ChainHead, Entry, EntryKind, NewEntry};

/// How many entries are read at a time.
const PAGE: usize = 256;

/// The history is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("the history is not whole at entry {seq}: {what}")]
pub struct ChainFault {
    /// The first entry that does not fit.
    pub seq: u64,
    /// What is wrong with it.
    pub what: ChainBreak,
}

/// What is wrong with an entry of the history.
#[derive(Debug)]
pub enum ChainBreak {
    /// It is not there, though later ones are.
    Missing,
    /// It stands before the first.
    PutIn,
    /// It does not carry the digest of the entry before it.
    Unlinked,
    /// Its digest is not that of what it says.
    Edited,
    /// It could not be read at all: the row is damaged, or the database refused.
    Unreadable(CatalogError),
}

impl fmt::Display for ChainBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is missing, though later entries are there"),
            Self::PutIn => f.write_str("it was put in before the first entry, which has the number 1"),
            Self::Unlinked => f.write_str("it does not carry the digest of the entry before it"),
            Self::Edited => f.write_str("its digest is not that of what it says"),
            Self::Unreadable(error) => {
                write!(f, "it cannot be read: {error}")?;
                error.source().map_or(Ok(()), |source| write!(f, ": {source}"))
            }
        }
    }
}

/// The digest of an entry: over every member but itself, one a line, the text members length-prefixed.
pub fn chain_digest(entry: &Entry) -> Digest {
    let actor = serde_json::to_string(&entry.actor).unwrap_or_default();
    let mut hasher = model::Hasher::new();
    hasher.update(
        format!("waystation history 1\n{}\n{}\n{}\n", entry.previous, entry.seq, entry.at.as_micros()).as_bytes(),
    );
    for text in [actor.as_str(), entry.kind.as_str(), &entry.subject, &entry.data] {
        hasher.update(format!("{} {text}\n", text.len()).as_bytes());
    }
    hasher.finish()
}

impl ChainHead {
    /// The head of a history that holds nothing.
    pub(crate) const EMPTY: Self = Self { seq: 0, digest: Digest::from_bytes([0; 32]), at: None };

    /// The head of a history that ends with `entry`.
    pub(crate) fn at(entry: &Entry) -> Self {
        Self { seq: entry.seq, digest: entry.digest, at: Some(entry.at) }
    }

    /// The entry that follows, and the head that it makes.
    pub(crate) fn append(&mut self, new: &NewEntry) -> Entry {
        let mut data = new.data.clone();
        data.sort_all_objects();
        let mut entry = Entry {
            seq: self.seq.saturating_add(1),
            at: new.at,
            actor: new.actor.clone(),
            kind: new.kind,
            subject: new.subject.clone(),
            data: data.to_string(),
            previous: self.digest,
            digest: self.digest,
        };
        entry.digest = chain_digest(&entry);
        *self = Self::at(&entry);
        entry
    }

    /// The head after `entry`, if it is the one that follows.
    pub(crate) fn follow(self, entry: &Entry) -> Result<Self, ChainFault> {
        let seq = self.seq.saturating_add(1);
        if entry.seq < 1 {
            return Err(ChainFault { seq: entry.seq, what: ChainBreak::PutIn });
        }
        let what = if entry.seq != seq {
            ChainBreak::Missing
        } else if chain_digest(entry) != entry.digest {
            ChainBreak::Edited
        } else if entry.previous != self.digest {
            ChainBreak::Unlinked
        } else {
            return Ok(Self::at(entry));
        };
        Err(ChainFault { seq, what })
    }
}

/// What a look at the whole history found, where nothing was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The chain's end, which alone tells whether the newest entries were cut off: compare it with one that was kept
    /// elsewhere.
    pub head: ChainHead,
    /// Where the chain begins, when older entries were let go.
    pub anchor: Option<Anchor>,
    /// When the first entry that is left happened; none if there is none.
    pub since: Option<Timestamp>,
}

/// Reads the whole history, a page at a time, and proves that no entry was edited, removed from the middle,
/// put in or moved. Returns the chain's end.
///
/// # Errors
/// [`ChainFault`] for the first entry that does not fit.
pub async fn verify_chain(catalog: &dyn Catalog) -> Result<ChainHead, ChainFault> {
    Ok(prove_chain(catalog, &mut |_| ()).await?.head)
}

/// As [`verify_chain`], and shows `each` every entry that fits the one before it. A chain whose oldest entries were let
/// go is whole if it holds the anchor that tells so. Should entries be let go meanwhile, it begins anew, and shows
/// `each` the entries again.
///
/// # Errors
/// [`ChainFault`] for the first entry that does not fit.
pub async fn prove_chain(catalog: &dyn Catalog, each: &mut (dyn FnMut(&Entry) + Send)) -> Result<Proven, ChainFault> {
    let mut begun = first(catalog).await?;
    loop {
        let proven = prove_from(catalog, begun, each).await;
        let now = first(catalog).await?;
        if now == begun {
            return proven;
        }
        begun = now;
    }
}

/// As [`prove_chain`], but proves the newest `count` entries alone: what was done to older ones is not seen, and it
/// takes no longer than that.
///
/// # Errors
/// [`ChainFault`] for the first entry that does not fit.
pub async fn prove_end(catalog: &dyn Catalog, count: u64) -> Result<(), ChainFault> {
    let Ok(head) = catalog.chain_head().await else { return prove_chain(catalog, &mut |_| ()).await.map(|_| ()) };
    let before = head.seq.saturating_sub(count);
    // Which digest the first of them carries is taken as it is.
    let next = before.saturating_add(1);
    let first = catalog.history(next, 1).await;
    let first = first.map_err(|error| ChainFault { seq: next, what: ChainBreak::Unreadable(error) })?.pop();
    match first.filter(|first| before > 0 && first.seq == next) {
        Some(first) => {
            let mut known = ChainHead { seq: before, digest: first.previous, at: None };
            follow_all(catalog, &mut known, &mut |_| ()).await
        }
        // It has fewer: the whole is proven.
        None => prove_chain(catalog, &mut |_| ()).await.map(|_| ()),
    }
}

/// Follows the chain from `head` to its end, and shows `each` every entry that fits.
async fn follow_all(
    catalog: &dyn Catalog,
    head: &mut ChainHead,
    each: &mut (dyn FnMut(&Entry) + Send),
) -> Result<(), ChainFault> {
    let mut page = PAGE;
    loop {
        let next = head.seq.saturating_add(1);
        match catalog.history(next, page).await {
            Ok(entries) if entries.is_empty() => return Ok(()),
            Ok(entries) => {
                for entry in &entries {
                    *head = head.follow(entry)?;
                    each(entry);
                }
            }
            // One bad row spoils its page: go on one by one to name it.
            Err(_) if page > 1 => page = 1,
            Err(error) => return Err(ChainFault { seq: next, what: ChainBreak::Unreadable(error) }),
        }
    }
}

/// Where the chain seems to begin: what lies before the first entry that is there.
async fn first(catalog: &dyn Catalog) -> Result<Option<Anchor>, ChainFault> {
    let first = catalog.history(1, 1).await;
    // One that cannot be read is told when its turn comes.
    let Ok(mut first) = first else { return Ok(None) };
    let Some(first) = first.pop().filter(|first| first.seq > 1) else { return Ok(None) };
    Ok(Some(Anchor { seq: first.seq.saturating_sub(1), digest: first.previous }))
}

async fn prove_from(
    catalog: &dyn Catalog,
    begun: Option<Anchor>,
    each: &mut (dyn FnMut(&Entry) + Send),
) -> Result<Proven, ChainFault> {
    let mut head =
        begun.map_or(ChainHead::EMPTY, |anchor| ChainHead { seq: anchor.seq, digest: anchor.digest, at: None });
    let mut since = None;
    let (mut told, mut known) = (false, 0);
    let mut look = |entry: &Entry| {
        since.get_or_insert(entry.at);
        if let Some(anchor) = entry.anchor() {
            told |= begun == Some(anchor);
            known = known.max(anchor.seq);
        }
        each(entry);
    };
    follow_all(catalog, &mut head, &mut look).await?;
    match begun {
        // The first that is missing comes behind what is known to have been let go.
        Some(anchor) if !told => {
            let seq = known.saturating_add(1).min(anchor.seq);
            Err(ChainFault { seq, what: ChainBreak::Missing })
        }
        anchor => Ok(Proven { head, anchor, since }),
    }
}

impl Entry {
    /// The anchor that this entry tells of, if it is one that does.
    pub fn anchor(&self) -> Option<Anchor> {
        if self.kind != EntryKind::Pruned {
            return None;
        }
        serde_json::from_str::<Told>(&self.data).ok().map(|told| told.through)
    }
}

/// What an anchor's entry holds at least.
#[derive(serde::Deserialize)]
struct Told {
    through: Anchor,
}
