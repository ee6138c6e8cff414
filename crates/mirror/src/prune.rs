//! Lets the oldest part of the history go, behind an anchor. Nothing ends because a clock jumped: what counts is time
//! that passed from entry to entry.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use catalog::{Anchor, Batch, Entry, EntryKind, Lived, Prune, ReleaseFilter, Span};
use model::{FeedId, ReleaseId, ReleaseState, RingName};
use serde::Serialize;
use serde_json::json;

use crate::at::Past;
use crate::at::carry::{Fact, Sources, wrapped};
use crate::{Engine, EngineError};

/// For how much the time between one entry and the next counts, at the most.
const SILENCE: Duration = Duration::from_secs(7 * 86_400);
/// How much lies together before anything goes: what still matters is carried over each time.
const STEP: Duration = Duration::from_secs(30 * 86_400);

/// What was let go of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// How many entries went.
    pub entries: u64,
    /// The last of them.
    pub through: Anchor,
    /// How many entries that still matter were carried over.
    pub carried: usize,
    /// How many releases' records went with them, at the most.
    pub releases: usize,
}

impl Engine {
    /// Lets entries go that are surely older than `keep`, a month's worth at a time, and with them the records of
    /// releases that had expired by then and that nothing refers to. A release that the operator rejected stays on
    /// record while its feed is followed: forgetting the word would let it in.
    ///
    /// None if there is nothing to let go.
    ///
    /// # Errors
    /// [`EngineError`] when catalog or store fail; then nothing went.
    pub async fn prune_history(&self, keep: Duration) -> Result<Option<PruneReport>, EngineError> {
        let catalog = &self.ports.catalog;
        let Some(first) = catalog.history(1, 1).await?.pop() else { return Ok(None) };
        let due = keep.saturating_add(STEP);
        // Cheap, and nearly always the answer.
        let now = self.ports.clock.now();
        if now.since(first.at) < due {
            return Ok(None);
        }
        let spans = [due, keep].map(|age| Span { age, step: SILENCE });
        let [Some(_), Some(Lived { seq, .. })] = *catalog.lived(now, &spans).await? else { return Ok(None) };
        let Some(last) = catalog.history(seq, 1).await?.pop().filter(|last| last.seq == seq) else { return Ok(None) };
        let mut sources = Kept::default();
        let past = self.past_of(seq, &mut sources).await?;
        let _lock = self.ports.locks.publish().await?;
        let releases = self.outlived(&past).await?;
        let through = Anchor { seq, digest: last.digest };
        let carried = sources.finish();
        let report = PruneReport {
            entries: seq.saturating_sub(first.seq).saturating_add(1),
            through,
            carried: carried.len(),
            releases: releases.len(),
        };
        let mut history: Vec<_> =
            carried.iter().map(|entry| self.entry(EntryKind::Carried, entry.subject.clone(), wrapped(entry))).collect();
        let data = json!({
            "through": through, "at": last.at, "from": first.seq, "entries": report.entries, "carried": report.carried,
            "releases": report.releases, "keep_seconds": keep.as_secs(),
        });
        history.push(self.entry(EntryKind::Pruned, "history", data));
        let prune = Prune { through, releases, publications_until: last.at };
        catalog.apply(Batch { history, prune: Some(prune), ..Batch::default() }).await?;
        Ok(Some(report))
    }

    /// Releases that had no bytes any more by then, have none now, and that nothing refers to.
    async fn outlived(&self, past: &Past) -> Result<Vec<ReleaseId>, EngineError> {
        let mut named: BTreeSet<ReleaseId> = BTreeSet::new();
        named.extend(self.ports.catalog.feeds().await?.into_iter().filter_map(|record| record.release));
        if let Some(current) = self.present().await? {
            let served = current.generation.feeds.into_values();
            named.extend(served.flat_map(|served| [Some(served.release), served.back].into_iter().flatten()));
        }
        let then: HashMap<ReleaseId, ReleaseState> =
            past.releases.iter().map(|release| (release.id, release.state)).collect();
        let mut gone = Vec::new();
        for state in [ReleaseState::Expired, ReleaseState::Rejected] {
            let filter = ReleaseFilter { state: Some(state), ..ReleaseFilter::default() };
            let mut look = |found: catalog::ReleaseRecord| {
                let id = found.release.id;
                let word = state == ReleaseState::Rejected && self.follows(&found.release.feed);
                if then.get(&id) == Some(&state) && !named.contains(&id) && !word {
                    gone.push(id);
                }
            };
            self.ports.catalog.visit_releases(&filter, &mut look).await?;
        }
        Ok(gone)
    }
}

/// The entries that still matter.
#[derive(Default)]
struct Kept {
    feeds: BTreeMap<FeedId, Entry>,
    releases: HashMap<ReleaseId, Vec<Entry>>,
    intents: BTreeMap<RingName, Entry>,
    rings: BTreeMap<RingName, (Option<Entry>, Entry)>,
    configuration: Option<Entry>,
}

impl Sources for Kept {
    fn on(&mut self, fact: Fact, entry: &Entry) {
        let entry = entry.clone();
        match fact {
            Fact::Feed(feed) => drop(self.feeds.insert(feed, entry)),
            Fact::Release(id) => self.releases.entry(id).or_default().push(entry),
            Fact::Gone(id) => drop(self.releases.remove(&id)),
            Fact::Intent(ring) => drop(self.intents.insert(ring, entry)),
            Fact::Ring(ring) => {
                let intent = self.intents.remove(&ring);
                self.rings.insert(ring, (intent, entry));
            }
            Fact::Configuration => self.configuration = Some(entry),
        }
    }
}

impl Kept {
    /// Each once, in the order in which they happened.
    fn finish(self) -> Vec<Entry> {
        let Self { feeds, releases, intents, rings, configuration } = self;
        let rings = rings.into_values().flat_map(|(intent, done)| intent.into_iter().chain([done]));
        let all = feeds
            .into_values()
            .chain(releases.into_values().flatten())
            .chain(intents.into_values())
            .chain(rings)
            .chain(configuration);
        let sorted: BTreeMap<u64, Entry> = all.map(|entry| (entry.seq, entry)).collect();
        sorted.into_values().collect()
    }
}
