//! The operator's words against releases, kept beside what the ring serves: a catalog that is lost, or an older one that
//! is put in its place, does not bring back what was rejected or rolled back from.

use std::collections::{BTreeMap, BTreeSet};

use blob_store::Current;
use catalog::ReleaseFilter;
use model::{Digest, FeedId, Generation, ReleaseId, ReleaseState, ServedFeed, Timestamp};
use trust::Admitted;

use crate::heeded::denied_in;
use crate::plan::Newcomer;
use crate::word::{goes_back, leaves};
use crate::{Engine, EngineError};

impl Engine {
    /// For each feed that is or will be served, what the next generation is to remember: what the catalog holds as
    /// rejected, and what the ring remembers and the catalog knows nothing of, the newest word first.
    pub(crate) async fn denied(
        &self,
        present: &Generation,
        newcomers: &[Newcomer],
    ) -> Result<BTreeMap<FeedId, Vec<ReleaseId>>, EngineError> {
        let feeds: BTreeSet<&FeedId> =
            present.feeds.keys().chain(newcomers.iter().map(|newcomer| &newcomer.admitted.release().feed)).collect();
        let told = self.all_remembered_as_denied(&feeds, present).await?;
        let mut denied = BTreeMap::new();
        for feed in feeds {
            let told = told.get(feed).map_or(&[][..], Vec::as_slice);
            denied.insert(feed.clone(), self.denied_of((feed, told), present, newcomers).await?);
        }
        Ok(denied)
    }

    async fn denied_of(
        &self,
        (feed, remembered): (&FeedId, &[ReleaseId]),
        present: &Generation,
        newcomers: &[Newcomer],
    ) -> Result<Vec<ReleaseId>, EngineError> {
        let state = Some(ReleaseState::Rejected);
        let rejected = ReleaseFilter { feed: Some(feed.clone()), state, ..ReleaseFilter::default() };
        let rejected = self.ports.catalog.releases(&rejected).await?;
        let mut fresh: BTreeMap<ReleaseId, Timestamp> =
            rejected.into_iter().map(|found| (found.release.id, found.state_since)).collect();
        let mut told = Vec::new();
        for release in remembered.iter().copied() {
            let since = fresh.remove(&release);
            // What the catalog knows otherwise was let in since.
            if since.is_some() || self.ports.catalog.release(&release).await?.is_none() {
                told.push(Denied { release, since });
            }
        }
        let mut fresh: Vec<(ReleaseId, Timestamp)> = fresh.into_iter().collect();
        fresh.sort_by_key(|(release, since)| (*since, *release));
        let fresh = fresh.into_iter().map(|(release, since)| Denied { release, since: Some(since) });
        let left = self.left_unknown(feed, present, newcomers).await?;
        let left = left.map(|release| Denied { release, since: Some(self.ports.clock.now()) });
        let all = fresh.chain(left).fold(told, joined);
        Ok(all.into_iter().map(|denied| denied.release).take(ServedFeed::MAX_DENIED).collect())
    }

    /// What is served of a feed, where the operator's word leaves it and no catalog knows it.
    async fn left_unknown(
        &self,
        feed: &FeedId,
        present: &Generation,
        newcomers: &[Newcomer],
    ) -> Result<Option<ReleaseId>, EngineError> {
        let Some(served) = present.feeds.get(feed) else { return Ok(None) };
        let word = self.ports.catalog.feed(feed).await?.and_then(|record| record.word);
        // Only a word goes back.
        let leaves =
            newcomers.iter().map(|newcomer| newcomer.admitted.release()).filter(|it| it.feed == *feed).any(|it| {
                let word = word.filter(|word| word.release == it.id);
                word.map_or_else(|| goes_back(it, Some(served)), |word| leaves(it, word.was, Some(served)))
            });
        let unknown = leaves && self.ports.catalog.release(&served.release).await?.is_none();
        Ok(unknown.then_some(served.release))
    }

    /// What the ring remembers as denied of a feed, the newest word first.
    pub(crate) async fn remembered_as_denied(
        &self,
        feed: &FeedId,
        present: &Generation,
    ) -> Result<Vec<ReleaseId>, EngineError> {
        Ok(self.all_remembered_as_denied(&BTreeSet::from([feed]), present).await?.remove(feed).unwrap_or_default())
    }

    /// The same of feeds. Of those that it does not serve now, the newest kept generation tells that did: the files are read
    /// once for all of them, and only where they are needed.
    async fn all_remembered_as_denied(
        &self,
        feeds: &BTreeSet<&FeedId>,
        present: &Generation,
    ) -> Result<BTreeMap<FeedId, Vec<ReleaseId>>, EngineError> {
        if feeds.iter().all(|feed| present.feeds.contains_key(*feed)) {
            return Ok(denied_in([present]));
        }
        Ok(denied_in(&self.kept_generations(present).await?))
    }

    /// Whether the ring remembers that a release was rejected or left.
    pub(crate) async fn is_denied(
        &self,
        feed: &FeedId,
        release: &ReleaseId,
        present: Option<&Current>,
    ) -> Result<bool, EngineError> {
        let Some(Current { generation, .. }) = present else { return Ok(false) };
        Ok(self.remembered_as_denied(feed, generation).await?.contains(release))
    }

    /// The bytes that are served and that of all releases only denied ones name: they leave at once, grace or not. Where
    /// releases are not on record nobody can tell, and nothing does.
    pub(crate) async fn barred(
        &self,
        present: &Generation,
        denied: &BTreeMap<FeedId, Vec<ReleaseId>>,
        incumbents: &BTreeMap<FeedId, Admitted>,
    ) -> Result<BTreeSet<Digest>, EngineError> {
        let mut barred = BTreeSet::new();
        if present.feeds.keys().any(|feed| !incumbents.contains_key(feed)) {
            return Ok(barred);
        }
        for id in denied.values().flatten() {
            let named = self.ports.catalog.release(id).await?.map_or_else(Vec::new, |found| found.release.items);
            barred.extend(named.into_iter().map(|item| item.digest));
        }
        let served: BTreeSet<Digest> = present.routes.values().map(|route| route.digest).collect();
        barred.retain(|digest| served.contains(digest));
        if !barred.is_empty() {
            let admitted = ReleaseFilter { state: Some(ReleaseState::Admitted), ..ReleaseFilter::default() };
            for found in self.ports.catalog.releases(&admitted).await? {
                for item in &found.release.items {
                    barred.remove(&item.digest);
                }
            }
        }
        Ok(barred)
    }

    /// Whether the ring remembers all that it is to remember as denied, but for one feed.
    pub(crate) async fn is_remembered(
        &self,
        present: Option<&Current>,
        spared: Option<&FeedId>,
    ) -> Result<bool, EngineError> {
        let Some(Current { generation, .. }) = present else { return Ok(true) };
        let denied = self.denied(generation, &[]).await?;
        let mut feeds = generation.feeds.iter().filter(|(feed, _)| spared != Some(*feed));
        Ok(feeds.all(|(feed, served)| denied.get(feed).is_none_or(|ids| *ids == served.denied)))
    }
}

/// A release that is denied, and since when, where the catalog knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Denied {
    release: ReleaseId,
    since: Option<Timestamp>,
}

/// Takes a word that the ring does not remember in among those that it does, in order of time: what no catalog knows is
/// older than any that came since, so that of too many the oldest are forgotten. Of words of one moment it is the same one
/// each time.
fn joined(mut told: Vec<Denied>, new: Denied) -> Vec<Denied> {
    let order = |denied: &Denied| (denied.since, denied.release);
    let at = match told.iter().position(|known| known.since.is_some() && order(known) <= order(&new)) {
        // Those right before it of which no time is known may be older as well.
        Some(at) => told.iter().take(at).rposition(|known| known.since.is_some()).map_or(0, |newer| newer + 1),
        None => told.iter().rposition(|known| known.since.is_some()).map_or(0, |newer| newer + 1),
    };
    told.insert(at, new);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(name: &str, since: Option<i64>) -> Denied {
        let release = Digest::of(name.as_bytes()).to_string().parse().unwrap();
        Denied { release, since: since.map(Timestamp::from_micros) }
    }

    #[track_caller]
    fn check(told: &[(&str, Option<i64>)], new: (&str, i64), expected: &[&str]) {
        let told = told.iter().map(|(name, since)| denied(name, *since)).collect();
        let all = joined(told, denied(new.0, Some(new.1)));
        let expected: Vec<_> = expected.iter().map(|name| denied(name, None).release).collect();
        assert_eq!(all.into_iter().map(|it| it.release).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn words_stay_in_order_of_time_also_where_the_catalog_was_lost_s18() {
        check(&[], ("a", 1), &["a"]);
        check(&[("a", Some(1))], ("b", 2), &["b", "a"]);
        check(&[("b", Some(2))], ("a", 1), &["b", "a"]);
        // What no catalog knows was said before the loss.
        check(&[("b", None), ("a", None)], ("c", 1), &["c", "b", "a"]);
        check(&[("c", Some(3)), ("b", None), ("a", None)], ("d", 4), &["d", "c", "b", "a"]);
        check(&[("c", None), ("b", None), ("a", Some(1))], ("d", 2), &["d", "c", "b", "a"]);
    }

    /// Of words of one moment the one that is forgotten for want of room is the same each time.
    #[test]
    fn words_of_one_moment_stand_in_one_order() {
        let all = |first: &str, second: &str| joined(vec![denied(first, Some(5))], denied(second, Some(5)));
        assert_eq!(all("a", "b"), all("b", "a"));
    }
}
