//! What `run` does when another data folder stands where its own was.
//!
//! # Decided here
//! - What stands there is looked at first, through its catalog and for reading alone: who opens it to work on it writes into
//!   it, and it may be anybody's.
//! - What cannot be read is not worked on: it may lack anything.

use std::sync::{Arc, PoisonError};

use alarm::Life;
use catalog::{Catalog, CatalogError, ChainHead, Entry, EntryFilter, EntryKind, EntryOrder};
use mirror::Engine;
use model::error_chain;

use super::{Live, nudging};
use crate::alone;
use crate::build::{BuildError, Purpose, engine, open_catalog};
use crate::place::Stands;

impl Live {
    /// Works on the data folder that stands now where the one before stood; where it is the one before, by what was read
    /// meanwhile.
    pub(super) async fn reopen(&mut self) {
        let before = self.engines.borrow().clone();
        let Some(before) = before else { return };
        if before.in_place().is_ok() {
            return self.catch_up().await;
        }
        if self.is_left_to_another() {
            return;
        }
        let known = &before.ports().catalog;
        let seen = known.chain_head().await.ok().or(self.pulse.heads().newest());
        match self.look((known.as_ref(), seen)).await {
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(error, "the data folder that stands here now cannot be read, and is left alone");
            }
            Ok(Relation::None) => self.leave_alone(Stands::AnotherHistory),
            Ok(Relation::Behind { lost, is_harmless: false }) => {
                if self.strange != Some(Stands::OlderCopy) {
                    tracing::error!(entries = lost, "the copy lacks the newest entries of the history");
                }
                self.leave_alone(Stands::OlderCopy);
            }
            Ok(relation) => self.take((known.as_ref(), seen), relation).await,
        }
    }

    /// How the history that stands there goes with the one before; nothing is written into it.
    async fn look(&self, before: (&dyn Catalog, Option<ChainHead>)) -> Result<Relation, BuildError> {
        let data = &self.daemon.config.data_dir;
        let found = open_catalog(data, Purpose::Look).await?;
        let unread = |source| BuildError::Catalog { path: data.clone(), source };
        related(before, found.as_ref()).await.map_err(unread)
    }

    /// Works on what was found to be the own history, or an older copy of it that lacks no operator's word.
    async fn take(&mut self, before: (&dyn Catalog, Option<ChainHead>), found: Relation) {
        let config = &self.daemon.config;
        let built = match engine(config, "run", Purpose::Schedule, Arc::clone(&self.daemon.clock)).await {
            Ok(built) => built,
            Err(error) => {
                let error = error_chain(&error);
                return tracing::error!(error, "the data folder that stands here now cannot be opened");
            }
        };
        // It may have been exchanged for another one, or written on, since it was looked at; then it is looked at again.
        if related(before, built.ports().catalog.as_ref()).await.ok() != Some(found) {
            return;
        }
        if let Relation::Behind { lost, .. } = found {
            tracing::warn!(
                entries = lost,
                "an older copy of the data folder stands here now: it lacks the newest entries of the history, and no operator's word"
            );
            // It stands as an alarm: what was seen since is not in it.
            if let Some(seen) = before.1 {
                self.pulse.heads().lacks(seen);
            }
        }
        self.adopt(built).await;
    }

    /// Whether another `run` works on what stands there: two on one folder would tell everything twice.
    fn is_left_to_another(&mut self) -> bool {
        let config = &self.daemon.config;
        let rival = {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            Life::rival(&config.data_dir, held.as_ref())
        };
        let Some(holder) = &rival else { return false };
        if self.rival != rival {
            let data_dir = config.data_dir.display();
            tracing::error!(%data_dir, holder, "another data folder stands here now, and another `waystation run` works on it: it is left to that one");
        }
        self.rival = rival;
        true
    }

    fn leave_alone(&mut self, stands: Stands) {
        self.pulse.place().found(stands);
        if self.strange.replace(stands) == Some(stands) {
            return;
        }
        let data_dir = self.daemon.config.data_dir.display();
        match stands {
            Stands::OlderCopy => {
                tracing::error!(%data_dir, "an older copy of the data folder stands here now: it is left alone, for an operator's word that was recorded since is not in it, or nobody can tell; put the right one back, or restart `waystation run` to go on from the copy");
            }
            Stands::AnotherHistory | Stands::Nothing => {
                tracing::error!(%data_dir, "another data folder stands here now, with a history that never was this one's: it is left alone, for what was rejected here is not in it; put the right one back, or restart `waystation run` to work on this one");
            }
        }
    }

    async fn adopt(&mut self, built: Engine) {
        self.settle(&built).await;
        self.strange = None;
        self.rival = None;
        let config = &self.daemon.config;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let in_place = || built.in_place().is_ok();
        let now = self.daemon.clock.now();
        let shown = alone::hold_on(&config.data_dir, &mut held, now, &in_place);
        drop(held);
        // Who asks at this moment reads that somebody looks; what else is known is written at the next turn.
        let asked = Life::read(&config.data_dir).and_then(|life| life.asked);
        let life = Life { pid: platform::pid(), since: now, at: now, ended: false, asked };
        let shown = shown.and_then(|()| if in_place() { life.keep(&config.data_dir) } else { Ok(()) });
        if let Err(error) = shown {
            tracing::warn!(error = %error_chain(&error), "it cannot be shown that this process works on it");
        }
        self.engines.send_replace(Some(Arc::new(nudging(built, (&self.content, &self.demand)))));
        self.pulse.place().back();
        tracing::warn!(data_dir = %config.data_dir.display(), "another data folder stands here now, and was opened");
    }
}

/// How the history that stands there now goes with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    /// It goes on from it, or is it.
    Same,
    /// It is an older copy: so many entries are lost with it, and whether no operator's word is surely among them.
    Behind { lost: u64, is_harmless: bool },
    /// It never was this one.
    None,
}

/// Whether one history goes on from the other: whichever is older, it ends with an entry that the other has. The
/// newest head of the one before that was `seen` speaks for it; what nobody can compare with it is no relation.
///
/// # Errors
/// [`CatalogError`] when the one that stands there `now` cannot be read.
async fn related(
    (before, seen): (&dyn Catalog, Option<ChainHead>),
    now: &dyn Catalog,
) -> Result<Relation, CatalogError> {
    let found = now.chain_head().await?;
    let Some(known) = seen else { return Ok(Relation::None) };
    if known.seq == 0 || found.seq == 0 {
        return Ok(if known.seq == 0 { Relation::Same } else { Relation::None });
    }
    let is = |head: ChainHead, entries: &[Entry]| {
        entries.first().is_some_and(|entry| entry.seq == head.seq && entry.digest == head.digest)
    };
    let lost = known.seq.saturating_sub(found.seq);
    if lost == 0 {
        return Ok(if is(known, &now.history(known.seq, 1).await?) { Relation::Same } else { Relation::None });
    }
    let known = before.history(found.seq, 1).await.unwrap_or_default();
    if !is(found, &known) {
        return Ok(Relation::None);
    }
    // What cannot be read may be anything.
    Ok(Relation::Behind { lost, is_harmless: has_no_act(before, found.seq).await.unwrap_or(false) })
}

/// Whether nobody said a word after this entry.
async fn has_no_act(catalog: &dyn Catalog, after: u64) -> Result<bool, CatalogError> {
    let filter = EntryFilter { from: after.saturating_add(1), kinds: vec![EntryKind::Act], ..EntryFilter::default() };
    Ok(catalog.entries(&filter, EntryOrder::NewestFirst, 1).await?.is_empty())
}

#[cfg(test)]
mod tests {
    use catalog::{Actor, Batch, MemoryCatalog, NewEntry};
    use model::Timestamp;

    use super::*;

    async fn happened(kinds: &[EntryKind]) -> MemoryCatalog {
        let catalog = MemoryCatalog::new();
        let entry = |kind: &EntryKind| NewEntry {
            at: Timestamp::from_micros(1_800_000_000_000_000),
            actor: Actor::new(0, 1, "test"),
            kind: *kind,
            subject: "x".to_owned(),
            data: serde_json::json!({}),
        };
        let history = kinds.iter().map(entry).collect();
        catalog.apply(Batch { history, ..Batch::default() }).await.unwrap();
        catalog
    }

    #[tokio::test]
    async fn an_older_copy_that_lacks_an_operators_word_is_told_from_one_that_lacks_none_s40() {
        use EntryKind::{Act, Alarm, Check, Upkeep};
        let before = happened(&[Check, Act, Check, Check, Act, Check]).await;
        let seen = before.chain_head().await.ok();
        let behind = |lost, is_harmless| Relation::Behind { lost, is_harmless };
        for (kinds, relation) in [
            (&[Check, Act, Check, Check, Act, Check, Act][..], Relation::Same),
            (&[Check, Act, Check, Check, Act, Check][..], Relation::Same),
            (&[Check, Act, Check, Check, Act][..], behind(1, true)),
            (&[Check, Act, Check, Check][..], behind(2, false)),
            (&[Check][..], behind(5, false)),
            (&[][..], Relation::None),
            (&[Check, Act, Check, Upkeep][..], Relation::None),
            (&[Alarm, Act, Check, Check, Act, Check, Act][..], Relation::None),
        ] {
            assert_eq!(related((&before, seen), &happened(kinds).await).await.unwrap(), relation, "{kinds:?}");
        }
        let empty = MemoryCatalog::new();
        let none = empty.chain_head().await.ok();
        assert_eq!(related((&empty, none), &before).await.unwrap(), Relation::Same, "nothing is lost");
        assert_eq!(related((&empty, None), &before).await.unwrap(), Relation::None, "nobody can tell");
    }
}
