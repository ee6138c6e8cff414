//! The operator's words that outlived catalog and ring elsewhere, with what was served by them: the ring takes them over, as
//! if it had been at that generation itself. Who adopts the ring then has words and releases on record again.

use std::collections::{BTreeMap, BTreeSet};

use blob_store::Current;
use model::{FeedId, Generation, ReleaseId, ReleaseState, RoutePath, ServedFeed};

use crate::{Engine, EngineError};

impl Engine {
    /// Has the ring follow words `against` releases of some feeds that were said to another catalog: what was ruled out is
    /// served no more and not let in when it is offered. In its place comes what was `shown` by those words, as far as it is
    /// held whole, where the ring has nothing newer; answers the feeds of which any of it was news.
    ///
    /// # Errors
    /// [`EngineError`] when ring, store or catalog cannot answer.
    pub async fn recall(
        &self,
        shown: &Generation,
        against: &BTreeMap<FeedId, BTreeSet<ReleaseId>>,
    ) -> Result<Vec<FeedId>, EngineError> {
        let _lock = self.ports.locks.publish().await?;
        self.reconcile_locked().await?;
        self.adopt_locked().await?;
        let (rings, now) = (&self.ports.rings, self.ports.clock.now());
        let (mut next, mut expected) = match self.present().await? {
            Some(Current { generation, digest }) => (generation, Some(digest)),
            None => (Generation::empty(self.settings.ring.clone(), now), None),
        };
        let (mut heard, mut unseated) = (Vec::new(), Vec::new());
        for (feed, words) in against.iter().filter(|(feed, _)| self.follows(feed)) {
            let known = self.remembered_as_denied(feed, &next).await?;
            let mut denied: Vec<ReleaseId> = words.iter().filter(|id| !known.contains(id)).copied().collect();
            let own = next.feeds.get(feed).filter(|own| !words.contains(&own.release)).cloned();
            let version = |seat: &ServedFeed| seat.vendor_version.version.clone();
            let is_newer = |shown: &ServedFeed| own.as_ref().is_none_or(|own| version(shown) > version(own));
            if denied.is_empty() && !shown.feeds.get(feed).is_some_and(is_newer) {
                continue;
            }
            let theirs = self.seat_in(shown, feed, words).await?;
            if denied.is_empty() && theirs.is_none() {
                continue;
            }
            denied.extend(known);
            denied.truncate(ServedFeed::MAX_DENIED);
            let seat = match (own, theirs) {
                (Some(own), Some(theirs)) if version(&own) > version(&theirs) => Some(own),
                (_, Some(theirs)) => {
                    next.routes.retain(|_, route| route.feed != *feed);
                    let routes = shown.routes.iter().filter(|(_, route)| route.feed == *feed);
                    next.routes.extend(routes.map(|(path, route)| (path.clone(), route.clone())));
                    Some(theirs)
                }
                (own, None) => own,
            };
            if let Some(seat) = seat {
                let back = seat.back.filter(|back| !words.contains(back));
                let bases = vendors::registry(feed.vendor()).back_bases(feed);
                let is_back = |path: &RoutePath| bases.iter().any(|base| path.is_under(base.as_str()));
                next.routes.retain(|path, route| route.feed != *feed || back.is_some() || !is_back(path));
                next.feeds.insert(feed.clone(), ServedFeed { denied, back, ..seat });
            } else if let Some(named) = shown.feeds.get(feed).or(next.feeds.get(feed)).cloned() {
                next.feeds.insert(feed.clone(), ServedFeed { denied, back: None, ..named });
                next.routes.retain(|_, route| route.feed != *feed);
                unseated.push(feed.clone());
            } else {
                continue;
            }
            heard.push(feed.clone());
        }
        if heard.is_empty() {
            return Ok(heard);
        }
        next.number = self.newest_known().await?.max(self.newest_number().await?).max(next.number).saturating_add(1);
        next.at = now;
        if !unseated.is_empty() {
            // Of what is not served the newest file that names it remembers what is denied.
            rings.prepare(&next).await?;
            expected = Some(rings.publish(&next, expected).await?.digest);
            next.number = next.number.saturating_add(1);
            next.feeds.retain(|feed, _| !unseated.contains(feed));
        }
        rings.prepare(&next).await?;
        rings.publish(&next, expected).await?;
        tracing::warn!(
            number = next.number,
            feeds = heard.len(),
            "words that outlived catalog and ring were taken over"
        );
        self.adopt_locked().await?;
        Ok(heard)
    }

    /// What was shown of a feed, as far as it is held whole and nothing speaks against it.
    async fn seat_in(
        &self,
        shown: &Generation,
        feed: &FeedId,
        words: &BTreeSet<ReleaseId>,
    ) -> Result<Option<ServedFeed>, EngineError> {
        let Some(named) = shown.feeds.get(feed) else { return Ok(None) };
        let mut whole = Vec::new();
        for id in [Some(named.release), named.back].into_iter().flatten().filter(|id| !words.contains(id)) {
            let known = self.ports.catalog.release(&id).await?;
            let is_ruled_out = known.is_some_and(|known| known.state == ReleaseState::Rejected);
            let told = if is_ruled_out { None } else { self.told_in(shown, feed, id).await? };
            if let Some(told) = told
                && self.is_held(&told).await?
            {
                whole.push(id);
            }
        }
        let seat = ServedFeed { back: named.back.filter(|back| whole.contains(back)), ..named.clone() };
        Ok(whole.contains(&named.release).then_some(seat))
    }
}
