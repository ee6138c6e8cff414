//! A catalog in memory: for tests and `demo`. Forgets everything when dropped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use async_trait::async_trait;
use model::{Digest, FeedId, ReleaseId, ReleaseState, Timestamp};
use tokio::sync::Mutex;

use crate::aging::{Aging, Lived, Span, step_back};
use crate::batch::{Needle, check_identity, check_prune, numbered, release_of, state_since, unknown_release};
use crate::entry::{ChainHead, Entry, EntryFilter, EntryKind, EntryOrder, Prune};
use crate::paging::Paging;
use crate::port::{
    Batch, Catalog, CatalogError, FeedRecord, NewRelease, Publication, ReleaseFilter, ReleaseRecord, Remover, Sweep,
};
use crate::sql::SWEEP_BATCH;

/// A catalog in memory.
#[derive(Debug, Default)]
pub struct MemoryCatalog {
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    feeds: BTreeMap<FeedId, FeedRecord>,
    /// By number.
    releases: BTreeMap<u64, ReleaseRecord>,
    numbers: BTreeMap<ReleaseId, u64>,
    /// By ring, number and digest.
    publications: BTreeMap<(String, u64, Digest), Publication>,
    host_waits: BTreeMap<String, Timestamp>,
    history: VecDeque<Entry>,
    /// By holder.
    reservations: BTreeSet<(String, Digest)>,
}

impl MemoryCatalog {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy that goes its own way from here on, for simulations that try what follows again and again.
    pub async fn fork(&self) -> Self {
        Self { state: Mutex::new(self.state.lock().await.clone()) }
    }
}

impl State {
    /// Everything that can refuse a batch, so that what follows cannot fail half-way.
    fn check(&self, batch: &Batch) -> Result<(), CatalogError> {
        batch.releases.iter().try_for_each(check_identity)?;
        let recorded =
            |id: &ReleaseId| self.numbers.contains_key(id) || batch.releases.iter().any(|new| new.release.id == *id);
        if let Some((id, ..)) = batch.states.iter().find(|(id, ..)| !recorded(id)) {
            return Err(unknown_release(id));
        }
        let Some(prune) = &batch.prune else { return Ok(()) };
        let found = self.history.iter().find(|entry| entry.seq == prune.through.seq).map(|entry| entry.digest);
        let head = self.head();
        check_prune(prune, found, &ChainHead { seq: head.seq.saturating_add(batch.history.len() as u64), ..head })
    }

    fn let_go(&mut self, prune: &Prune) {
        self.history.retain(|entry| entry.seq > prune.through.seq);
        let numbers: Vec<u64> = prune.releases.iter().filter_map(|id| self.numbers.get(id).copied()).collect();
        for number in numbers {
            let over = |found: &ReleaseRecord| matches!(found.state, ReleaseState::Expired | ReleaseState::Rejected);
            // The newest number stays, so that no number is ever given twice.
            let newest = self.releases.last_key_value().map(|(newest, _)| *newest);
            if newest != Some(number)
                && let Some(found) = self.releases.get(&number).filter(|found| over(found))
            {
                self.numbers.remove(&found.release.id);
                self.releases.remove(&number);
            }
        }
        self.publications.retain(|_, known| known.closed_at.is_none_or(|at| at > prune.publications_until));
    }

    fn record(&mut self, new: NewRelease) {
        let NewRelease { release, state } = new;
        if self.numbers.contains_key(&release.id) {
            return self.set_state(&release.id, state, release.held_since);
        }
        let number = self.releases.last_key_value().map_or(0, |(number, _)| *number).saturating_add(1);
        let state_since = release.held_since;
        self.numbers.insert(release.id, number);
        self.releases.insert(number, ReleaseRecord { number, release, state, state_since });
    }

    fn set_state(&mut self, id: &ReleaseId, state: ReleaseState, at: Timestamp) {
        let Some(record) = self.numbers.get(id).and_then(|number| self.releases.get_mut(number)) else { return };
        if let Some(since) = state_since((record.state, record.state_since), (state, at)) {
            record.state = state;
            record.state_since = since;
        }
    }

    /// At most `limit` releases, from the number `newest` down.
    fn page(&self, filter: &ReleaseFilter, newest: u64, limit: usize) -> Vec<ReleaseRecord> {
        let fits = |record: &&ReleaseRecord| {
            let release = &record.release;
            filter.feed.as_ref().is_none_or(|feed| *feed == release.feed)
                && filter.vendor.is_none_or(|vendor| vendor == release.feed.vendor())
                && filter.state.is_none_or(|state| state == record.state)
                && filter.version.as_ref().is_none_or(|version| *version == release.vendor_version.version)
        };
        let downwards = self.releases.range(..=newest).rev().map(|(_, record)| record);
        downwards.filter(fits).take(limit).cloned().collect()
    }

    fn head(&self) -> ChainHead {
        self.history.back().map_or(ChainHead::EMPTY, ChainHead::at)
    }

    fn in_use(&self) -> BTreeSet<Digest> {
        let kept = |record: &&ReleaseRecord| matches!(record.state, ReleaseState::Admitted | ReleaseState::Quarantined);
        let items = self.releases.values().filter(kept).flat_map(|record| &record.release.items);
        items.map(|item| item.digest).chain(self.reservations.iter().map(|(_, digest)| *digest)).collect()
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn apply(&self, batch: Batch) -> Result<(), CatalogError> {
        let mut state = self.state.lock().await;
        state.check(&batch)?;
        state.feeds.extend(batch.feeds.into_iter().map(|record| (record.feed.clone(), record)));
        for new in batch.releases {
            state.record(new);
        }
        for (id, to, at) in &batch.states {
            state.set_state(id, *to, *at);
        }
        for publication in batch.publications {
            let key = (publication.ring.to_string(), publication.number, publication.digest);
            state.publications.insert(key, publication);
        }
        state.host_waits.extend(batch.host_waits);
        let mut head = state.head();
        for new in &batch.history {
            let number = release_of(new).and_then(|id| state.numbers.get(&id).copied());
            let entry = head.append(&numbered(new, number));
            state.history.push_back(entry);
        }
        if let Some(prune) = &batch.prune {
            state.let_go(prune);
        }
        Ok(())
    }

    async fn feeds(&self) -> Result<Vec<FeedRecord>, CatalogError> {
        let mut feeds: Vec<FeedRecord> = self.state.lock().await.feeds.values().cloned().collect();
        feeds.sort_by(|a, b| a.feed.as_str().cmp(b.feed.as_str()));
        Ok(feeds)
    }

    async fn feed(&self, feed: &FeedId) -> Result<Option<FeedRecord>, CatalogError> {
        Ok(self.state.lock().await.feeds.get(feed).cloned())
    }

    async fn releases(&self, filter: &ReleaseFilter) -> Result<Vec<ReleaseRecord>, CatalogError> {
        Ok(self.state.lock().await.page(filter, u64::MAX, filter.most()))
    }

    async fn visit_releases(
        &self,
        filter: &ReleaseFilter,
        each: &mut (dyn FnMut(ReleaseRecord) + Send),
    ) -> Result<(), CatalogError> {
        let mut paging = Paging::of(filter);
        while let Some(size) = paging.size() {
            let page = self.state.lock().await.page(filter, paging.newest, size);
            paging.turn(&page);
            page.into_iter().for_each(&mut *each);
        }
        Ok(())
    }

    async fn release(&self, id: &ReleaseId) -> Result<Option<ReleaseRecord>, CatalogError> {
        let state = self.state.lock().await;
        Ok(state.numbers.get(id).and_then(|number| state.releases.get(number)).cloned())
    }

    async fn find_releases(&self, text: &str) -> Result<Vec<ReleaseRecord>, CatalogError> {
        let needle = Needle::read(text);
        let fits = |record: &&ReleaseRecord| {
            needle.number == Some(record.number)
                || needle.prefix.as_ref().is_some_and(|prefix| record.release.id.to_string().starts_with(prefix))
        };
        Ok(self.state.lock().await.releases.values().rev().filter(fits).cloned().collect())
    }

    async fn open_publications(&self) -> Result<Vec<Publication>, CatalogError> {
        let state = self.state.lock().await;
        let mut open: Vec<_> = state.publications.values().filter(|p| p.closed_at.is_none()).cloned().collect();
        open.sort_by(|a, b| (a.opened_at, &a.ring, a.number).cmp(&(b.opened_at, &b.ring, b.number)));
        Ok(open)
    }

    async fn host_waits(&self) -> Result<Vec<(String, Timestamp)>, CatalogError> {
        Ok(self.state.lock().await.host_waits.iter().map(|(host, until)| (host.clone(), *until)).collect())
    }

    async fn history(&self, from: u64, limit: usize) -> Result<Vec<Entry>, CatalogError> {
        let state = self.state.lock().await;
        Ok(state.history.iter().skip_while(|entry| entry.seq < from).take(limit).cloned().collect())
    }

    async fn entries(&self, filter: &EntryFilter, order: EntryOrder, limit: usize) -> Result<Vec<Entry>, CatalogError> {
        let state = self.state.lock().await;
        let fits = |entry: &&Entry| filter.fits(entry);
        Ok(match order {
            EntryOrder::OldestFirst => state.history.iter().filter(fits).take(limit).cloned().collect(),
            EntryOrder::NewestFirst => state.history.iter().rev().filter(fits).take(limit).cloned().collect(),
        })
    }

    async fn latest(&self, kind: EntryKind, until: u64) -> Result<Vec<Entry>, CatalogError> {
        let state = self.state.lock().await;
        let mut last: BTreeMap<&str, &Entry> = BTreeMap::new();
        for entry in state.history.iter().filter(|entry| entry.kind == kind && entry.seq <= until) {
            last.insert(&entry.subject, entry);
        }
        let mut found: Vec<Entry> = last.into_values().cloned().collect();
        found.sort_by_key(|entry| entry.seq);
        Ok(found)
    }

    async fn lived(&self, now: Timestamp, spans: &[Span]) -> Result<Vec<Option<Lived>>, CatalogError> {
        let state = self.state.lock().await;
        let mut walks = Aging::all(spans, now);
        let _over = state.history.iter().rev().any(|entry| step_back(&mut walks, entry.seq, entry.at));
        Ok(walks.into_iter().map(Aging::found).collect())
    }

    async fn examine(&self, _: &mut (dyn FnMut(CatalogError) + Send)) -> Result<(), CatalogError> {
        Ok(())
    }

    async fn chain_head(&self) -> Result<ChainHead, CatalogError> {
        Ok(self.state.lock().await.head())
    }

    async fn reserve(&self, holder: &str, digests: &[Digest]) -> Result<(), CatalogError> {
        let mut state = self.state.lock().await;
        state.reservations.extend(digests.iter().map(|digest| (holder.to_owned(), *digest)));
        Ok(())
    }

    async fn unreserve(&self, holder: Option<&str>) -> Result<(), CatalogError> {
        let mut state = self.state.lock().await;
        state.reservations.retain(|(by, _)| holder.is_some_and(|holder| holder != by));
        Ok(())
    }

    async fn sweep(
        &self,
        candidates: &[Digest],
        keep: &(dyn for<'d> Fn(&'d Digest) -> bool + Send + Sync),
        remover: &dyn Remover,
    ) -> Result<Sweep, CatalogError> {
        let mut sweep = Sweep::default();
        for chunk in candidates.chunks(SWEEP_BATCH) {
            // Held while blobs go: a reservation made meanwhile comes after them.
            let state = self.state.lock().await;
            let in_use = state.in_use();
            for digest in chunk {
                if in_use.contains(digest) || keep(digest) {
                    sweep.kept += 1;
                } else {
                    remover.remove(digest).await.map_err(CatalogError::Remove)?;
                    sweep.removed += 1;
                }
            }
        }
        Ok(sweep)
    }
}
