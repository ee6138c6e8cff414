//! How everything stood at a moment in the past, from the history alone.
//!
//! A moment is a place in the chain: behind the last entry that happened at that time or earlier, as the clock said
//! then. What is told is what was recorded up to there; nothing of the present goes into it but the limits that ages
//! are judged by.

pub(crate) mod carry;
mod past;

use std::collections::BTreeMap;

use catalog::{Anchor, Entry, EntryFilter, EntryKind, EntryOrder};
use model::{FreshnessPolicy, RingName, Timestamp};

pub use past::{PastAct, PastFeed, PastRelease, PastRing};

use crate::history::particulars;
use crate::{Engine, EngineError};

/// How many entries are read at a time.
const PAGE: usize = 500;
/// How many acts are told.
pub(crate) const ACTS: usize = 20;

/// How everything stood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// The moment that was asked for.
    pub at: Option<Timestamp>,
    /// The last entry before it.
    pub entry: u64,
    /// Entries before it that carry a later time: the clock was ahead then, or was set back since.
    pub out_of_order: bool,
    /// What each ring served.
    pub rings: BTreeMap<RingName, PastRing>,
    /// Every feed that had been checked.
    pub feeds: Vec<PastFeed>,
    /// Every release that had been decided about, by number; those of which nothing was held any more included.
    pub releases: Vec<PastRelease>,
    /// The operator's acts before the moment, the newest last; no more than twenty.
    pub acts: Vec<PastAct>,
    /// The digest of the configuration that was recorded last.
    pub configuration: Option<model::Digest>,
}

impl Engine {
    /// How everything stood at `at`, from the history alone.
    ///
    /// # Errors
    /// [`EngineError::NoPast`] when the moment lies before the first entry that is kept, or ahead;
    /// [`EngineError`] when the catalog cannot be read.
    pub async fn past(&self, at: Timestamp) -> Result<Past, EngineError> {
        let catalog = &self.ports.catalog;
        let first = catalog.history(1, 1).await?.pop();
        let Some(first) = first else {
            return Err(EngineError::NoPast("nothing was recorded yet".to_owned()));
        };
        if at > self.ports.clock.now() {
            return Err(EngineError::NoPast(format!("{at} lies ahead of this machine's clock")));
        }
        let before = EntryFilter { until: Some(at), ..EntryFilter::default() };
        let Some(last) = catalog.entries(&before, EntryOrder::NewestFirst, 1).await?.pop() else {
            return Err(EngineError::NoPast(match first.seq {
                1 => format!("{at} lies before the first entry of the history, of {}", first.at),
                _ => format!(
                    "{at} lies before what is kept of the history, which begins at {} (entry {}): see [history] keep",
                    first.at, first.seq
                ),
            }));
        };
        let mut past = self.past_of(last.seq, &mut carry::Nothing).await?;
        let later = EntryFilter {
            to: Some(last.seq),
            since: Some(at.after(std::time::Duration::from_micros(1))),
            ..EntryFilter::default()
        };
        past.out_of_order = !catalog.entries(&later, EntryOrder::OldestFirst, 1).await?.is_empty();
        past.at = Some(at);
        Ok(past)
    }

    /// How everything stood behind an entry. `sources` is shown each entry that what is told rests on.
    pub(crate) async fn past_of(&self, until: u64, sources: &mut dyn carry::Sources) -> Result<Past, EngineError> {
        let mut fold = past::Fold::default();
        for entry in self.carried().await? {
            fold.take(&entry, sources);
        }
        let kinds = EntryKind::ALL.into_iter().filter(|kind| past::Fold::takes(*kind)).collect();
        let mut filter = EntryFilter { to: Some(until), kinds, ..EntryFilter::default() };
        loop {
            let page = self.ports.catalog.entries(&filter, EntryOrder::OldestFirst, PAGE).await?;
            page.iter().for_each(|entry| fold.take(entry, sources));
            match page.last() {
                Some(last) if page.len() == PAGE => filter.from = last.seq.saturating_add(1),
                _ => break,
            }
        }
        // Of checks, by far the most frequent, the last of each feed says it all.
        for entry in self.ports.catalog.latest(EntryKind::Check, until).await? {
            fold.take(&entry, sources);
        }
        self.look_ahead(&mut fold, until).await?;
        let mut past = fold.finish();
        past.entry = until;
        Ok(past)
    }

    /// A publication that was open then may have been found done later, after an interruption: only what was recorded
    /// since can tell.
    async fn look_ahead(&self, fold: &mut past::Fold, until: u64) -> Result<(), EngineError> {
        for ring in fold.open_rings() {
            let filter = EntryFilter {
                from: until.saturating_add(1),
                kinds: vec![EntryKind::PublicationDone, EntryKind::PublicationAbandoned],
                subject: Some(ring.to_string()),
                ..EntryFilter::default()
            };
            if let Some(end) = self.ports.catalog.entries(&filter, EntryOrder::OldestFirst, 1).await?.pop() {
                fold.foresee(&ring, &end);
            }
        }
        Ok(())
    }

    /// The entries that were let go and still matter, as they were.
    pub(crate) async fn carried(&self) -> Result<Vec<Entry>, EngineError> {
        let Some((entry, _)) = self.anchor().await? else { return Ok(Vec::new()) };
        let count = particulars(&entry).get("carried").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let mut filter = EntryFilter {
            from: entry.seq.saturating_sub(count),
            to: Some(entry.seq),
            kinds: vec![EntryKind::Carried],
            ..EntryFilter::default()
        };
        let mut found = Vec::new();
        loop {
            let page = self.ports.catalog.entries(&filter, EntryOrder::OldestFirst, PAGE).await?;
            found.extend(page.iter().filter_map(carry::unwrapped));
            match page.last() {
                Some(last) if page.len() == PAGE => filter.from = last.seq.saturating_add(1),
                _ => return Ok(found),
            }
        }
    }

    /// Where the chain begins, with the entry that tells so; none where nothing was let go.
    pub(crate) async fn anchor(&self) -> Result<Option<(Entry, Anchor)>, EngineError> {
        let filter = EntryFilter { kinds: vec![EntryKind::Pruned], ..EntryFilter::default() };
        let found = self.ports.catalog.entries(&filter, EntryOrder::NewestFirst, 1).await?.pop();
        Ok(found.and_then(|entry| Some((entry.clone(), entry.anchor()?))))
    }
}

impl Past {
    /// How fresh every feed was, by the limits given.
    pub fn freshness(&self, policy: &FreshnessPolicy) -> Vec<model::Finding> {
        let Some(at) = self.at else { return Vec::new() };
        let facts: Vec<_> = self.feeds.iter().map(|feed| self.facts(feed)).collect();
        crate::freshness::evaluate(&facts, policy, at)
    }
}
