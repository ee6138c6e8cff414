//! Entries, one after the other, into how everything stood.

use std::collections::{BTreeMap, HashMap};

use catalog::{Entry, EntryKind, FeedRecord};
use model::{FeedId, Note, ReleaseId, ReleaseState, RingName, ServedFeed, Timestamp, Trust, VendorVersion};
use serde::Serialize;
use serde_json::Value;

use super::carry::{Fact, Sources};
use super::{ACTS, Past};
use crate::freshness::{Content, FeedFacts, InRing};
use crate::history::{ToldEnd, ToldIntent, ToldVerdict, expired, particulars, record_from, ring_of};
use crate::lost::ToldAdopted;

/// What a ring served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastRing {
    /// The ring.
    pub ring: RingName,
    /// Its generation.
    pub generation: u64,
    /// The digest of the generation's file.
    pub digest: model::Digest,
    /// When it was published.
    pub since: Timestamp,
    /// The entry that says so.
    pub entry: u64,
    /// The release that each feed served.
    pub feeds: BTreeMap<FeedId, ServedFeed>,
    /// A generation that was being published at that moment, and was found done when a later run looked: it may have
    /// been served since this time.
    pub perhaps: Option<(u64, Timestamp)>,
}

/// How a feed stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastFeed {
    /// Its record as it was; without the validator, of which the history keeps only the tag.
    pub record: FeedRecord,
    /// The entry that says so.
    pub entry: u64,
}

/// A release, as it was known then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastRelease {
    /// Its number, where it was recorded.
    pub number: Option<u64>,
    /// Its id.
    pub id: ReleaseId,
    /// Its feed.
    pub feed: FeedId,
    /// What the vendor calls it.
    pub vendor_version: VendorVersion,
    /// When the vendor says it was published, where it says so and it was recorded.
    pub vendor_time: Option<Timestamp>,
    /// When it was first held whole.
    pub held_since: Timestamp,
    /// Its state.
    pub state: ReleaseState,
    /// Since when.
    pub state_since: Timestamp,
    /// What its proof rests on.
    pub trust: Trust,
    /// Why it was quarantined.
    pub reasons: Vec<Note>,
    /// How many things weakened it without stopping it.
    pub notes: usize,
    /// Its files, where that was recorded.
    pub files: Option<usize>,
    /// Their bytes, where that was recorded.
    pub bytes: Option<u64>,
    /// The entry of its first verdict.
    pub entry: u64,
}

/// An act of the operator, done or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastAct {
    /// The entry.
    pub entry: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: catalog::Actor,
    /// Which act.
    pub act: String,
    /// On what.
    pub on: String,
    /// The release's number, where the act was on one that is recorded.
    pub number: Option<u64>,
    /// Why, in the operator's words.
    pub why: Option<String>,
    /// The reason code with which it was refused.
    pub refused: Option<String>,
}

/// Takes entries and holds what they come to.
#[derive(Default)]
pub(crate) struct Fold {
    past: Past,
    feeds: BTreeMap<FeedId, PastFeed>,
    releases: HashMap<ReleaseId, PastRelease>,
    open: BTreeMap<RingName, (ToldIntent, Timestamp)>,
}

impl Fold {
    /// Whether entries of a kind are to be shown one after the other. Of checks the last is enough.
    pub(crate) fn takes(kind: EntryKind) -> bool {
        matches!(
            kind,
            EntryKind::Verdict
                | EntryKind::Act
                | EntryKind::Upkeep
                | EntryKind::PublicationIntended
                | EntryKind::PublicationDone
                | EntryKind::PublicationAbandoned
                | EntryKind::ConfigChange
        )
    }

    /// The next entry.
    pub(crate) fn take(&mut self, entry: &Entry, sources: &mut dyn Sources) {
        let data = particulars(entry);
        match entry.kind {
            EntryKind::Check => {
                let Ok(feed) = entry.subject.parse::<FeedId>() else { return };
                self.record(feed, entry, &data, sources);
            }
            EntryKind::Verdict => self.verdict(entry, data, sources),
            EntryKind::Act => self.act(entry, &data, sources),
            EntryKind::Upkeep => self.upkeep(entry, &data, sources),
            EntryKind::PublicationIntended => self.intended(entry, data, sources),
            EntryKind::PublicationDone | EntryKind::PublicationAbandoned => self.ended(entry, data, sources),
            EntryKind::ConfigChange => {
                self.past.configuration = data.get("digest").and_then(Value::as_str).and_then(|text| text.parse().ok());
                sources.on(Fact::Configuration, entry);
            }
            EntryKind::Alarm | EntryKind::Process | EntryKind::Pruned | EntryKind::Carried => {}
        }
    }

    /// A feed's record; the newest entry counts, in whatever order they come.
    fn record(&mut self, feed: FeedId, entry: &Entry, data: &Value, sources: &mut dyn Sources) {
        if self.feeds.get(&feed).is_some_and(|known| known.entry > entry.seq) {
            return;
        }
        let Some(record) = record_from(&feed, entry.at, data) else { return };
        self.feeds.insert(feed.clone(), PastFeed { record, entry: entry.seq });
        sources.on(Fact::Feed(feed), entry);
    }

    fn verdict(&mut self, entry: &Entry, data: Value, sources: &mut dyn Sources) {
        let (Ok(id), Ok(told)) = (entry.subject.parse::<ReleaseId>(), serde_json::from_value::<ToldVerdict>(data))
        else {
            return;
        };
        let known = self.releases.get(&id).map(|known| known.state);
        let Some(state) = told.state(known) else { return };
        let since = told.held_since.unwrap_or(entry.at);
        if known.is_some() {
            // Its record is that of the first time; only the state changes.
            return self.set_state(id, (state, since), entry, sources);
        }
        let ToldVerdict { feed, vendor_version, reasons, notes, trust, vendor_time, number, files, bytes, .. } = told;
        let entry_number = entry.seq;
        let release = PastRelease {
            number,
            id,
            feed,
            vendor_version,
            vendor_time,
            held_since: since,
            state,
            state_since: since,
            trust,
            reasons,
            notes,
            files,
            bytes,
            entry: entry_number,
        };
        self.releases.insert(id, release);
        sources.on(Fact::Release(id), entry);
    }

    fn set_state(
        &mut self,
        id: ReleaseId,
        (state, since): (ReleaseState, Timestamp),
        entry: &Entry,
        sources: &mut dyn Sources,
    ) {
        let Some(known) = self.releases.get_mut(&id) else { return };
        if known.state != state {
            known.state = state;
            known.state_since = since.max(known.state_since);
            sources.on(if state == ReleaseState::Expired { Fact::Gone(id) } else { Fact::Release(id) }, entry);
        }
    }

    fn act(&mut self, entry: &Entry, data: &Value, sources: &mut dyn Sources) {
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let told = PastAct {
            entry: entry.seq,
            at: entry.at,
            actor: entry.actor.clone(),
            act: text("act").unwrap_or_default(),
            on: entry.subject.clone(),
            number: data.get("number").and_then(Value::as_u64),
            why: text("why"),
            refused: text("refused"),
        };
        let declined = text("of").as_deref() == Some("offer");
        let state = text("state").and_then(|word| ReleaseState::from_word(&word)).or(match told.act.as_str() {
            // Earlier versions did not say the state.
            _ if told.refused.is_some() || data.get("undone").is_some() => None,
            "admit" => Some(ReleaseState::Admitted),
            "reject" if !declined => Some(ReleaseState::Rejected),
            "roll-back" => Some(ReleaseState::Rejected),
            _ => None,
        });
        if let (Some(state), Ok(id)) = (state, entry.subject.parse()) {
            self.set_state(id, (state, entry.at), entry, sources);
        }
        if let (Some(feed), Some(record)) = (text("feed").and_then(|feed| feed.parse().ok()), data.get("record")) {
            self.record(feed, entry, record, sources);
        }
        self.past.acts.push(told);
        let surplus = self.past.acts.len().saturating_sub(ACTS);
        self.past.acts.drain(..surplus);
    }

    fn upkeep(&mut self, entry: &Entry, data: &Value, sources: &mut dyn Sources) {
        for id in expired(data) {
            self.set_state(id, (ReleaseState::Expired, entry.at), entry, sources);
        }
        if let (Ok(id), Some(state)) = (entry.subject.parse(), set_again(data)) {
            self.set_state(id, (state, entry.at), entry, sources);
        }
        if let (Some(ring), Some(told)) = (ring_of(entry), ToldAdopted::read(data)) {
            let ToldAdopted { number: generation, digest, feeds, .. } = told;
            let (since, entry_number) = (entry.at, entry.seq);
            let served =
                PastRing { ring: ring.clone(), generation, digest, since, entry: entry_number, feeds, perhaps: None };
            self.past.rings.insert(ring.clone(), served);
            sources.on(Fact::Ring(ring), entry);
        }
        for (feed, record) in data.get("records").and_then(Value::as_object).into_iter().flatten() {
            if let Ok(feed) = feed.parse() {
                self.record(feed, entry, record, sources);
            }
        }
    }

    fn intended(&mut self, entry: &Entry, data: Value, sources: &mut dyn Sources) {
        let (Some(ring), Ok(intent)) = (ring_of(entry), serde_json::from_value::<ToldIntent>(data)) else { return };
        self.open.insert(ring.clone(), (intent, entry.at));
        sources.on(Fact::Intent(ring), entry);
    }

    fn ended(&mut self, entry: &Entry, data: Value, sources: &mut dyn Sources) {
        let (Some(ring), Ok(end)) = (ring_of(entry), serde_json::from_value::<ToldEnd>(data)) else { return };
        let ours = |(intent, _): &(ToldIntent, Timestamp)| {
            intent.number == end.number && end.digest.is_none_or(|digest| digest == intent.digest)
        };
        if !self.open.get(&ring).is_some_and(ours) {
            return;
        }
        let Some((intent, _)) = self.open.remove(&ring) else { return };
        if entry.kind != EntryKind::PublicationDone {
            return;
        }
        let ToldIntent { number, digest, feeds } = intent;
        let served = PastRing {
            ring: ring.clone(),
            generation: number,
            digest,
            since: entry.at,
            entry: entry.seq,
            feeds,
            perhaps: None,
        };
        self.past.rings.insert(ring.clone(), served);
        sources.on(Fact::Ring(ring), entry);
    }

    /// The rings with a publication that was open at that moment.
    pub(crate) fn open_rings(&self) -> Vec<RingName> {
        self.open.keys().cloned().collect()
    }

    /// What was recorded later about a publication that was open.
    pub(crate) fn foresee(&mut self, ring: &RingName, end: &Entry) {
        let Ok(told) = serde_json::from_value::<ToldEnd>(particulars(end)) else { return };
        let Some((intent, since)) = self.open.get(ring) else { return };
        if end.kind == EntryKind::PublicationDone
            && told.number == intent.number
            && let Some(served) = self.past.rings.get_mut(ring)
        {
            served.perhaps = Some((intent.number, *since));
        }
    }

    /// How everything stood.
    pub(crate) fn finish(self) -> Past {
        let Self { mut past, feeds, releases, .. } = self;
        past.feeds = feeds.into_values().collect();
        past.releases = releases.into_values().collect();
        past.releases.sort_by_key(|release| (release.number, release.entry));
        past
    }
}

impl Past {
    /// A release, as it was known then.
    pub fn release(&self, id: &ReleaseId) -> Option<&PastRelease> {
        self.releases.iter().find(|release| release.id == *id)
    }

    /// What freshness needs to know of a feed.
    pub(super) fn facts(&self, feed: &PastFeed) -> FeedFacts {
        let record = &feed.record;
        let of_feed = |ring: &PastRing| ring.feeds.get(&record.feed).map(|served| served.release);
        let served: Vec<Option<&PastRelease>> =
            self.rings.values().map(|ring| of_feed(ring).and_then(|id| self.release(&id))).collect();
        let shown = served.last().copied().flatten();
        let spoken_of = record.release.and_then(|id| self.release(&id));
        let is_offered = |found: &&PastRelease| Some(&found.vendor_version) == record.offered.as_ref();
        let offered = spoken_of.filter(is_offered).or(shown.filter(is_offered));
        let newest = self.newest(record, shown).or(shown);
        let rings = self.rings.keys().zip(served);
        FeedFacts {
            record: record.clone(),
            offered: offered.map(content),
            newest: newest.map(content),
            rings: rings
                .map(|(ring, served)| InRing {
                    ring: ring.clone(),
                    soak: std::time::Duration::ZERO,
                    served: served.map(content),
                })
                .collect(),
        }
    }

    /// The release that the mark stood for, where the ring did not serve it yet.
    fn newest(&self, record: &FeedRecord, served: Option<&PastRelease>) -> Option<&PastRelease> {
        let mark = record.mark.as_ref()?;
        if served.is_some_and(|served| served.vendor_version.version >= mark.version) {
            return None;
        }
        self.releases.iter().rev().find(|found| {
            found.feed == record.feed
                && found.state == ReleaseState::Admitted
                && found.vendor_version.version == mark.version
        })
    }
}

fn content(release: &PastRelease) -> Content {
    Content {
        vendor_version: release.vendor_version.clone(),
        vendor_time: release.vendor_time,
        held_since: release.held_since,
        state_since: release.state_since,
    }
}

/// The state that a release counts in again because its ring was newer than the catalog.
fn set_again(data: &Value) -> Option<ReleaseState> {
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    matches!(text("act"), Some("deny-again" | "admit-again"))
        .then(|| text("state").and_then(ReleaseState::from_word))?
}
