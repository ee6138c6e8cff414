//! What holds for a batch whatever stores it.

use model::{Digest, ReleaseId, ReleaseState, Timestamp};

use crate::{Batch, CatalogError, ChainHead, EntryKind, NewEntry, NewRelease, Prune};

/// How many digits of a release's id name it.
const SHORTEST_PREFIX: usize = 8;

impl Batch {
    /// Whether it changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.feeds.is_empty()
            && self.releases.is_empty()
            && self.states.is_empty()
            && self.publications.is_empty()
            && self.host_waits.is_empty()
            && self.history.is_empty()
            && self.prune.is_none()
    }
}

/// A release is its content: an id that says otherwise would be taken for damage when it is read back.
pub(crate) fn check_identity(new: &NewRelease) -> Result<(), CatalogError> {
    let release = &new.release;
    if ReleaseId::of(&release.feed, &release.items) == release.id {
        return Ok(());
    }
    Err(refused("record a release", format!("the id {} is not that of its content", release.id)))
}

/// A state was given to a release that nobody recorded.
pub(crate) fn unknown_release(id: &ReleaseId) -> CatalogError {
    refused("set the state of a release", format!("no release {id} is recorded"))
}

pub(crate) fn refused(act: &'static str, why: impl Into<String>) -> CatalogError {
    CatalogError::Database { act, source: why.into().into() }
}

/// Since when a release has the state it is given: the moment of the change, or of the last one if the state
/// stays or the clock went back.
pub(crate) fn state_since(
    (old, since): (ReleaseState, Timestamp),
    (new, at): (ReleaseState, Timestamp),
) -> Option<Timestamp> {
    (old != new).then(|| at.max(since))
}

/// What a person typed to name a release.
pub(crate) struct Needle {
    pub(crate) number: Option<u64>,
    pub(crate) prefix: Option<String>,
}

impl Needle {
    pub(crate) fn read(text: &str) -> Self {
        let text = text.trim();
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let hex = (SHORTEST_PREFIX..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        Self { number: text.parse().ok().filter(|_| digits), prefix: hex.then(|| text.to_ascii_lowercase()) }
    }
}

/// The entry, with the number of the release that it is about.
pub(crate) fn numbered(new: &NewEntry, number: Option<u64>) -> NewEntry {
    let mut new = new.clone();
    if let (Some(number), Some(data)) = (number, new.data.as_object_mut()) {
        data.insert("number".to_owned(), number.into());
    }
    new
}

/// The release that an entry may be about.
pub(crate) fn release_of(new: &NewEntry) -> Option<ReleaseId> {
    let about = matches!(new.kind, EntryKind::Verdict | EntryKind::Act);
    about.then(|| new.subject.parse().ok()).flatten()
}

pub(crate) const PRUNE: &str = "let go of old history";

/// Whether what is to be let go is what is recorded: `found` is the digest of its last entry.
pub(crate) fn check_prune(prune: &Prune, found: Option<Digest>, head: &ChainHead) -> Result<(), CatalogError> {
    if prune.through.seq >= head.seq {
        return Err(refused(PRUNE, "nothing would be left of it"));
    }
    if found != Some(prune.through.digest) {
        return Err(refused(PRUNE, format!("entry {} is not the one that was meant", prune.through.seq)));
    }
    Ok(())
}
