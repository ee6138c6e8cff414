//! What a person said, and was told: the measure of what may be served (I3) and of what must be (I15), whatever the
//! engine recorded of it.

use std::collections::BTreeMap;

use catalog::{Batch, EntryKind, NewEntry};
use model::{FeedId, ReleaseId, ReleaseState};

use super::{Oracle, Seen};
use crate::violation::{Holds, Violation};

/// A person's word on a release, as it was recorded.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// Let in.
    In(FeedId, ReleaseId),
    /// Turned down, or a word that was taken back because its bytes are gone.
    Out(FeedId, ReleaseId),
}

/// The words of a batch, in order.
pub(super) fn said(batch: &Batch) -> Vec<Said> {
    batch.history.iter().filter(|entry| entry.kind == EntryKind::Act).filter_map(word).collect()
}

fn word(entry: &NewEntry) -> Option<Said> {
    let text = |name: &str| entry.data.get(name)?.as_str();
    let (feed, release) = (text("feed")?.parse().ok()?, entry.subject.parse().ok()?);
    let undone = entry.data.get("undone").is_some();
    match text("act")? {
        "admit" if !undone => Some(Said::In(feed, release)),
        "admit" | "roll-back" => Some(Said::Out(feed, release)),
        "reject" if text("of") == Some("release") => Some(Said::Out(feed, release)),
        _ => None,
    }
}

impl Seen {
    /// A feed left the ring. After a catalog was lost, nothing but the ring knew what came before, or was turned down.
    pub(super) fn forget_feed(&mut self, feed: &FeedId) {
        if !self.bereft {
            return;
        }
        self.newest.remove(feed);
        self.reach.remove(feed);
        let numbers = &self.numbers;
        self.rejected.retain(|release| numbers.get(&release.to_string()).is_none_or(|(whose, _)| whose != feed));
    }

    /// Remembers what was said.
    pub(super) fn hear(&mut self, words: Vec<Said>) {
        for word in words {
            match word {
                Said::In(feed, release) => {
                    self.declined.remove(&feed);
                    self.spoken.insert(feed, release);
                }
                Said::Out(feed, release) if self.spoken.get(&feed) == Some(&release) => drop(self.spoken.remove(&feed)),
                Said::Out(..) => {}
            }
        }
    }
}

impl Oracle {
    /// Of each feed, the release that a person let in last, and neither left nor turned down since.
    pub(crate) fn spoken(&self) -> BTreeMap<FeedId, ReleaseId> {
        self.seen().spoken.clone()
    }

    /// The ring serves what was let in last.
    pub(crate) fn was_followed(&self, feed: &FeedId) {
        self.seen().spoken.remove(feed);
    }

    /// The release whose coming back was declined, and what was served then.
    pub(crate) fn declined(&self, feed: &FeedId) -> Option<(ReleaseId, ReleaseId)> {
        self.seen().declined.get(feed).copied()
    }

    /// Whether a person left or turned down a release.
    pub(crate) fn is_rejected(&self, release: &ReleaseId) -> bool {
        self.seen().rejected.contains(release)
    }

    /// A person who turned something down was told what the release counts as now: as rejected, it is never served again;
    /// as anything else, it was the offer that was declined.
    pub(crate) fn was_told(&self, feed: &FeedId, release: ReleaseId, state: ReleaseState) -> Holds {
        let current = self.current()?;
        let served = current.and_then(|current| Some(current.generation.feeds.get(feed)?.release));
        let mut seen = self.seen();
        if state == ReleaseState::Rejected {
            seen.rejected.insert(release);
            if served == Some(release) {
                let what = format!("{feed} serves {}, and a person was told that it never does", release.short());
                return Err(Violation::new("I3", what));
            }
        } else if let Some(served) = served {
            seen.declined.insert(feed.clone(), (release, served));
        }
        Ok(())
    }

    /// The disk lost the catalog. Of what was said, what an act that ended well could leave with the ring counts on; what
    /// was quarantined may be weighed anew.
    pub(crate) fn lost_catalog(&self) {
        let served = self.current().ok().flatten().map(|current| current.generation.feeds).unwrap_or_default();
        let mut seen = self.seen();
        let seen = &mut *seen;
        let stays = |release: &ReleaseId| {
            let known = seen.numbers.get(&release.to_string());
            seen.forgotten.contains(release) && known.is_some_and(|(feed, _)| served.contains_key(feed))
        };
        seen.rejected.retain(stays);
        seen.newest.retain(|feed, _| served.contains_key(feed));
        seen.reach.retain(|feed, _| served.contains_key(feed));
        seen.bereft = true;
        seen.spoken.clear();
        seen.declined.clear();
        seen.words.clear();
        seen.states.clear();
        seen.forget_served();
    }
}
