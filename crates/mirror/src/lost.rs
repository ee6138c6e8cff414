//! Whether the ring's files are the ones that the history tells of: a folder that was lost, or an older or a newer copy
//! that was put in its place, is a fault however whole it looks.

use std::collections::{BTreeMap, BTreeSet};

use blob_store::Current;
use catalog::{Batch, Entry, EntryFilter, EntryKind, EntryOrder};
use model::{Digest, FeedId, Note, Reason, ServedFeed};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::history::{ToldEnd, particulars, told_feeds};
use crate::{Engine, EngineError};

/// The most entries of upkeep on a ring since its last publication that are looked through.
const UPKEEP: usize = 100;
/// The most publications that are looked through for one that is served again.
const PUBLICATIONS: usize = 500;

/// What an entry says of a ring whose generation was taken over without a publication.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ToldAdopted {
    act: String,
    pub(crate) number: u64,
    pub(crate) digest: Digest,
    pub(crate) feeds: BTreeMap<FeedId, ServedFeed>,
}

impl ToldAdopted {
    /// What an entry of upkeep says, if it says that.
    pub(crate) fn read(data: &Value) -> Option<Self> {
        let told: Self = Self::deserialize(data).ok()?;
        (told.act == "adopt").then_some(told)
    }
}

/// The generation that the history says a ring stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    number: u64,
    /// None where the entry does not say.
    digest: Option<Digest>,
}

impl Known {
    fn is(self, current: &Current) -> bool {
        self.number == current.generation.number && self.digest.is_none_or(|digest| digest == current.digest)
    }
}

impl Engine {
    /// How the ring's files contradict the history, if they do. Needs no lock: what a publication moves meanwhile is
    /// no contradiction.
    pub(crate) async fn contradiction(&self) -> Result<Option<Note>, EngineError> {
        // In this order: a publication moves the ring before it says so.
        let before = self.known_generation().await?;
        let (current, unreadable) = self.serving().await?;
        if unreadable.is_some() {
            return Ok(unreadable);
        }
        let Some(current) = current else {
            return Ok(before.map(|known| {
                lost(format!("no generation of it is there; generation {} was published last", known.number))
            }));
        };
        let number = current.generation.number;
        if let Some(known) = before {
            if known.is(&current) {
                return Ok(None);
            }
            if number < known.number {
                let known = known.number;
                return Ok(Some(lost(format!("it serves generation {number}; generation {known} was published last"))));
            }
        }
        let open = self.ports.catalog.open_publications().await?;
        if open.iter().any(|open| open.ring == self.settings.ring && open.number == number) {
            return Ok(None);
        }
        let now = self.known_generation().await?;
        if now != before && now.is_some_and(|known| known.is(&current) || known.number > number) {
            return Ok(None);
        }
        if self.was_published(&current).await? {
            let last = now.map_or(0, |known| known.number);
            return Ok(Some(lost(format!(
                "it serves an earlier generation {number} again; another generation, {last}, was published last"
            ))));
        }
        let known = match now {
            Some(Known { number: known, .. }) if known == number => "knows another one of that number".to_owned(),
            Some(Known { number: known, .. }) => format!("knows none after generation {known}"),
            None => "knows of no publication".to_owned(),
        };
        let detail = format!(
            "it serves generation {number}, and the history {known}: the catalog was lost, or an older one put in its place"
        );
        Ok(Some(Note { reason: Reason::CatalogDisagrees, detail }))
    }

    /// Whether the ring serves an earlier generation than the one that was published last: files of it were lost or
    /// damaged, or an older copy was put in their place.
    pub(crate) async fn fell_behind(&self, current: &Current) -> Result<Option<Note>, EngineError> {
        let (number, known) = (current.generation.number, self.known_generation().await?);
        let behind = known.filter(|known| number < known.number);
        Ok(behind.map(|known| {
            lost(format!("it serves generation {number}; generation {} was published last", known.number))
        }))
    }

    /// The number that the history knows of the generation that was published last, and of the one that was intended
    /// last; 0 where it knows of none.
    pub(crate) async fn numbers_on_record(&self) -> Result<[u64; 2], EngineError> {
        let subject = Some(self.settings.ring.as_str().to_owned());
        let kinds = vec![EntryKind::PublicationIntended];
        let intended = EntryFilter { kinds, subject, ..EntryFilter::default() };
        let intended = self.ports.catalog.entries(&intended, EntryOrder::NewestFirst, 1).await?.pop();
        let intended = intended.and_then(|entry| particulars(&entry).get("number").and_then(Value::as_u64));
        let known = self.known_generation().await?.map(|known| known.number);
        Ok([known.unwrap_or(0), intended.unwrap_or(0)])
    }

    /// Records what the ring serves and the catalog does not know, so that it does from then on.
    pub(crate) async fn adopt(&self) -> Result<(), EngineError> {
        if self.strange().await?.is_none() && self.unrecorded().await?.is_empty() {
            return Ok(());
        }
        let _lock = self.ports.locks.publish().await?;
        self.adopt_locked().await
    }

    /// The same for who holds the publication lock and has closed what was open.
    pub(crate) async fn adopt_locked(&self) -> Result<(), EngineError> {
        let fault = self.strange().await?;
        let Some(Current { generation, digest }) = self.present().await? else { return Ok(()) };
        if fault.is_none() && self.proven_in(&generation, &mut BTreeSet::new()).await?.is_empty() {
            return Ok(());
        }
        let kept = self.kept_generations(&generation).await?;
        let mut batch = Batch::default();
        self.record_again(&kept, &mut batch).await?;
        if let Some(fault) = &fault {
            let number = generation.number;
            tracing::error!(ring = %generation.ring, number, detail = %fault.detail, "adopted the generation that the ring serves");
            let data = json!({
                "act": "adopt", "number": number, "digest": digest, "made_at": generation.at,
                "feeds": told_feeds(&generation), "reason": fault.reason, "detail": fault.detail,
            });
            batch.history.push(self.entry(EntryKind::Upkeep, generation.ring.as_str(), data));
            self.heed(&kept, &mut batch).await?;
        }
        if batch.history.is_empty() {
            return Ok(());
        }
        Ok(self.ports.catalog.apply(batch).await?)
    }

    /// How the ring's files contradict the history, where that is for want of the history: it was lost, or is an older one.
    async fn strange(&self) -> Result<Option<Note>, EngineError> {
        Ok(self.contradiction().await?.filter(|note| note.reason == Reason::CatalogDisagrees))
    }

    /// The entry that says that a generation was taken over because the catalog did not know it, the newest.
    pub(crate) async fn adopted(&self) -> Result<Option<u64>, EngineError> {
        let subject = Some(self.settings.ring.as_str().to_owned());
        let upkeep = EntryFilter { kinds: vec![EntryKind::Upkeep], subject: subject.clone(), ..EntryFilter::default() };
        let upkeep = self.ports.catalog.entries(&upkeep, EntryOrder::NewestFirst, UPKEEP).await?;
        let carried = self.carried().await?;
        let carried = carried.iter().rev().filter(|entry| Some(&entry.subject) == subject.as_ref());
        let mut all = upkeep.iter().chain(carried);
        Ok(all.find(|entry| ToldAdopted::read(&particulars(entry)).is_some()).map(|entry| entry.seq))
    }

    /// Whether the history tells of the publication of this very generation, as far back as is looked.
    async fn was_published(&self, current: &Current) -> Result<bool, EngineError> {
        let subject = Some(self.settings.ring.as_str().to_owned());
        let done = EntryFilter { kinds: vec![EntryKind::PublicationDone], subject, ..EntryFilter::default() };
        let done = self.ports.catalog.entries(&done, EntryOrder::NewestFirst, PUBLICATIONS).await?;
        Ok(done.iter().filter_map(known_in).any(|known| known.digest == Some(current.digest)))
    }

    /// The generation that the history says was published last, or taken over without a publication; none where it knows
    /// of none. A pointer that was written again proves nothing: it names what was left.
    async fn known_generation(&self) -> Result<Option<Known>, EngineError> {
        let subject = Some(self.settings.ring.as_str().to_owned());
        let done =
            EntryFilter { kinds: vec![EntryKind::PublicationDone], subject: subject.clone(), ..EntryFilter::default() };
        let done = self.ports.catalog.entries(&done, EntryOrder::NewestFirst, 1).await?.pop();
        let from = done.as_ref().map_or(0, |done| done.seq);
        let upkeep =
            EntryFilter { from, kinds: vec![EntryKind::Upkeep], subject: subject.clone(), ..EntryFilter::default() };
        let upkeep = self.ports.catalog.entries(&upkeep, EntryOrder::NewestFirst, UPKEEP).await?;
        if let Some(known) = upkeep.iter().chain(&done).find_map(known_in) {
            return Ok(Some(known));
        }
        let carried = self.carried().await?;
        Ok(carried.iter().rev().filter(|entry| Some(&entry.subject) == subject.as_ref()).find_map(known_in))
    }
}

/// What an entry on a ring says of where it stands.
fn known_in(entry: &Entry) -> Option<Known> {
    let data = particulars(entry);
    let told = match entry.kind {
        EntryKind::PublicationDone => true,
        EntryKind::Upkeep => data.get("act").and_then(Value::as_str) == Some("adopt"),
        _ => false,
    };
    let ToldEnd { number, digest } = told.then(|| ToldEnd::deserialize(&data).ok()).flatten()?;
    Some(Known { number, digest })
}

fn lost(detail: String) -> Note {
    Note { reason: Reason::RingLost, detail }
}
