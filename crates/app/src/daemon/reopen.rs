//! What `run` does when another data folder stands where its own was.
//!
//! # Decided here
//! - What stands there is looked at first, through its catalog and for reading alone: who opens it to work on it writes into
//!   it, and it may be anybody's.
//! - What cannot be read is not worked on: it may lack anything.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use alarm::Life;
use catalog::{Catalog, CatalogError, ChainHead, Entry, EntryFilter, EntryKind, EntryOrder};
use mirror::Engine;
use model::error_chain;

use super::{Live, nudging};
use crate::alone;
use crate::build::{BuildError, Purpose, living_engine, open_catalog};
use crate::heads::has;
use crate::lineage::{Known, Lost};
use crate::place::Stands;

impl Live {
    /// Works on the data folder that stands now where the one before stood; where it is the one before, by what was read
    /// meanwhile.
    pub(super) async fn reopen(&mut self) {
        let before = self.engines.borrow().clone();
        let Some(before) = before else { return };
        let known = &before.ports().catalog;
        self.pulse.lineage().look(known).await;
        if before.in_place().is_ok() {
            return self.catch_up().await;
        }
        if self.is_left_to_another() {
            return;
        }
        match self.look(known.as_ref()).await {
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(error, "the data folder that stands here now cannot be read, and is left alone");
            }
            Ok(Relation::None) => self.leave_alone(Stands::AnotherHistory),
            Ok(Relation::Unclear | Relation::Back { is_harmless: false, .. }) => self.leave_alone(Stands::Lacking),
            Ok(Relation::Behind { lost, is_harmless: false }) => {
                if self.strange != Some(Stands::OlderCopy) {
                    tracing::error!(entries = lost, "the copy lacks the newest entries of the history");
                }
                self.leave_alone(Stands::OlderCopy);
            }
            Ok(relation) => self.take(known, relation).await,
        }
    }

    /// How the history that stands there goes with the one before; nothing is written into it.
    async fn look(&self, before: &dyn Catalog) -> Result<Relation, BuildError> {
        let data = &self.daemon.config.data_dir;
        let found = open_catalog(data, Purpose::Look).await?;
        let unread = |source| BuildError::Catalog { path: data.clone(), source };
        related((before, &self.pulse.lineage().known()), found.as_ref()).await.map_err(unread)
    }

    /// Works on what was found to be the own history, or an older copy of it that lacks nothing that weighs.
    async fn take(&mut self, before: &Arc<dyn Catalog>, found: Relation) {
        let (config, lineage) = (&self.daemon.config, self.pulse.lineage());
        let built = match living_engine(config, Arc::clone(&self.daemon.clock), lineage).await {
            Ok(built) => built,
            Err(error) => {
                let error = error_chain(&error);
                return tracing::error!(error, "the data folder that stands here now cannot be opened");
            }
        };
        // It may have been exchanged for another one, or written on, since it was looked at; then it is looked at again.
        let (known, now) = (lineage.known(), &built.ports().catalog);
        if related((before.as_ref(), &known), now.as_ref()).await.ok() != Some(found) {
            return;
        }
        let Ok(head) = now.chain_head().await else { return };
        match (found, known.newest) {
            (Relation::Behind { lost, .. }, Some(seen)) => {
                tracing::warn!(
                    entries = lost,
                    "an older copy of the data folder stands here now: it lacks the newest entries of the history, and no operator's word, verdict or newer release"
                );
                // It stands as an alarm: what was seen since is not in it.
                self.pulse.heads().expect(seen);
                lineage.goes_on(head, Some(Lost { head: seen, copy: head }), before);
            }
            (Relation::Back { lost, .. }, _) => {
                tracing::warn!(
                    "the data folder that an older copy stood in the place of is back, with what the copy lacked"
                );
                self.pulse.heads().expect(lost);
                lineage.regained(lost);
                lineage.goes_on(head, None, before);
            }
            _ => lineage.goes_on(head, None, before),
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
                tracing::error!(%data_dir, "an older copy of the data folder stands here now: it is left alone, for an operator's word, a verdict or a newer release that was recorded since is not in it, or nobody can tell; put the right one back, or restart `waystation run` to go on from the copy");
            }
            Stands::Lacking => {
                tracing::error!(%data_dir, "a history that lacks the newest entries stands here now: it is left alone, for an operator's word, a verdict or a newer release may be among them; put the right one back, or restart `waystation run` to go on from what stands there");
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
    /// It is an older copy: so many entries are lost with it, and whether surely nothing that weighs is among them.
    Behind { lost: u64, is_harmless: bool },
    /// It is what an older copy that was taken since lacked, with this head; whether surely nothing that weighs was
    /// written into the copy meanwhile.
    Back { lost: ChainHead, is_harmless: bool },
    /// It lacks the newest entries, and what is in them cannot be read any more: it was written over where it stood.
    Unclear,
    /// It never was this one.
    None,
}

/// Whether one history goes on from the other: whichever is older, it ends with an entry that the other has. The
/// newest head of the one before that was seen speaks for it; what nobody can compare with it is no relation.
///
/// # Errors
/// [`CatalogError`] when the one that stands there `now` cannot be read.
async fn related((before, known): (&dyn Catalog, &Known), now: &dyn Catalog) -> Result<Relation, CatalogError> {
    let Some(seen) = known.newest else { return Ok(Relation::None) };
    if holds(now, seen).await? {
        return Ok(Relation::Same);
    }
    let found = now.chain_head().await?;
    if found.seq == 0 {
        return Ok(Relation::None);
    }
    let can_compare = holds(before, seen).await.unwrap_or(false);
    // What cannot be read may be anything.
    let harmless = async |after: u64| can_compare && weighs_nothing(before, after, now).await.unwrap_or(false);
    for lost in known.lost.iter().rev() {
        if holds(now, lost.head).await? {
            return Ok(Relation::Back { lost: lost.head, is_harmless: harmless(lost.copy.seq).await });
        }
    }
    if !can_compare {
        return Ok(Relation::Unclear);
    }
    if !holds(before, found).await.unwrap_or(false) {
        return Ok(Relation::None);
    }
    let lost = seen.seq.saturating_sub(found.seq);
    Ok(Relation::Behind { lost, is_harmless: harmless(found.seq).await })
}

async fn holds(catalog: &dyn Catalog, head: ChainHead) -> Result<bool, CatalogError> {
    has(catalog, (head.seq, head.digest)).await
}

/// The most verdicts that are looked at.
const VERDICTS: usize = 1000;
/// The verdicts that let in.
const LET_IN: [&str; 2] = ["admitted", "recorded-again"];

/// Whether nothing that weighs happened after this entry: nobody said a word, nothing was quarantined or rejected, and no
/// mark moved beyond where the other catalog has it.
async fn weighs_nothing(catalog: &dyn Catalog, after: u64, other: &dyn Catalog) -> Result<bool, CatalogError> {
    let since = |kind, most| {
        let filter = EntryFilter { from: after.saturating_add(1), kinds: vec![kind], ..EntryFilter::default() };
        async move { catalog.entries(&filter, EntryOrder::NewestFirst, most).await }
    };
    if !since(EntryKind::Act, 1).await?.is_empty() {
        return Ok(false);
    }
    let verdicts = since(EntryKind::Verdict, VERDICTS).await?;
    if verdicts.len() == VERDICTS || !verdicts.iter().all(lets_in) {
        return Ok(false);
    }
    let marks: BTreeMap<_, _> = other.feeds().await?.into_iter().map(|feed| (feed.feed, feed.mark)).collect();
    Ok(catalog.feeds().await?.into_iter().all(|feed| {
        let there = marks.get(&feed.feed).and_then(Option::as_ref);
        feed.mark.is_none_or(|mark| there.is_some_and(|there| there.version >= mark.version))
    }))
}

fn lets_in(entry: &Entry) -> bool {
    let data: Option<serde_json::Value> = serde_json::from_str(&entry.data).ok();
    let word = data.as_ref().and_then(|data| data.get("verdict")?.as_str());
    word.is_some_and(|word| LET_IN.contains(&word))
}

#[cfg(test)]
mod tests {
    use catalog::{Actor, Batch, MemoryCatalog, NewEntry};
    use model::Timestamp;

    use super::*;

    async fn write(catalog: &MemoryCatalog, kinds: &[EntryKind], data: serde_json::Value) {
        let entry = |kind: &EntryKind| NewEntry {
            at: Timestamp::from_micros(1_800_000_000_000_000),
            actor: Actor::new(0, 1, "test"),
            kind: *kind,
            subject: "x".to_owned(),
            data: data.clone(),
        };
        let history = kinds.iter().map(entry).collect();
        catalog.apply(Batch { history, ..Batch::default() }).await.unwrap();
    }

    async fn happened(kinds: &[EntryKind]) -> MemoryCatalog {
        let catalog = MemoryCatalog::new();
        write(&catalog, kinds, serde_json::json!({})).await;
        catalog
    }

    async fn seen(catalog: &MemoryCatalog) -> Known {
        Known { newest: catalog.chain_head().await.ok(), ..Known::default() }
    }

    async fn marked(catalog: &MemoryCatalog, version: &str) {
        let feed = "elastic/9.0.0".parse().unwrap();
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let mark = Some(model::VendorVersion::plain(version.parse().unwrap()));
        let feeds = vec![catalog::FeedRecord { mark, ..catalog::FeedRecord::new(feed, now) }];
        catalog.apply(Batch { feeds, ..Batch::default() }).await.unwrap();
    }

    #[tokio::test]
    async fn an_older_copy_that_lacks_an_operators_word_is_told_from_one_that_lacks_none_s40() {
        use EntryKind::{Act, Alarm, Check, Upkeep};
        let before = happened(&[Check, Act, Check, Check, Act, Check]).await;
        let known = seen(&before).await;
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
            assert_eq!(related((&before, &known), &happened(kinds).await).await.unwrap(), relation, "{kinds:?}");
        }
        let empty = MemoryCatalog::new();
        assert_eq!(related((&empty, &seen(&empty).await), &before).await.unwrap(), Relation::Same, "nothing is lost");
        assert_eq!(related((&empty, &Known::default()), &before).await.unwrap(), Relation::None, "nobody can tell");
        // What was written over where it stood is all that is left to compare with.
        for kinds in [&[Check, Act][..], &[Upkeep], &[Upkeep, Check, Check, Check, Check, Check, Check]] {
            let over = happened(kinds).await;
            assert_eq!(related((&over, &known), &over).await.unwrap(), Relation::Unclear, "{kinds:?}");
        }
    }

    #[tokio::test]
    async fn a_copy_that_lacks_a_verdict_against_a_release_or_a_moved_mark_is_not_harmless_s40() {
        use EntryKind::{Check, Verdict};
        for (verdict, is_harmless) in
            [("admitted", true), ("recorded-again", true), ("quarantined", false), ("rejected", false), ("", false)]
        {
            let before = happened(&[Check]).await;
            let copy = before.fork().await;
            write(&before, &[Verdict], serde_json::json!({ "verdict": verdict })).await;
            let relation = related((&before, &seen(&before).await), &copy).await.unwrap();
            assert_eq!(relation, Relation::Behind { lost: 1, is_harmless }, "{verdict}");
        }
        for (here, there, is_harmless) in [("1.0.2", "1.0.2", true), ("1.0.3", "1.0.2", false)] {
            let before = happened(&[Check]).await;
            marked(&before, there).await;
            let copy = before.fork().await;
            marked(&before, here).await;
            write(&before, &[Check], serde_json::json!({})).await;
            let relation = related((&before, &seen(&before).await), &copy).await.unwrap();
            assert_eq!(relation, Relation::Behind { lost: 1, is_harmless }, "{here} {there}");
        }
    }

    #[tokio::test]
    async fn what_a_copy_lacked_is_the_own_history_once_it_is_back_s40() {
        use EntryKind::{Act, Alarm, Check};
        let own = happened(&[Check, Check]).await;
        let copy = own.fork().await;
        write(&own, &[Check], serde_json::json!({})).await;
        let lost = Lost { head: own.chain_head().await.unwrap(), copy: copy.chain_head().await.unwrap() };
        write(&copy, &[Alarm, Check, Check], serde_json::json!({})).await;
        let known = |newest| Known { newest: Some(newest), lost: vec![lost], ..Known::default() };
        for (more, is_harmless) in [(Check, true), (Act, false)] {
            write(&copy, &[more], serde_json::json!({})).await;
            let known = known(copy.chain_head().await.unwrap());
            let back = Relation::Back { lost: lost.head, is_harmless };
            assert_eq!(related((&copy, &known), &own).await.unwrap(), back);
            assert_eq!(related((&copy, &known), &happened(&[Check, Alarm]).await).await.unwrap(), Relation::None);
        }
    }
}
