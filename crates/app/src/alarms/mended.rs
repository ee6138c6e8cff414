//! What was wrong with a ring and was mended before anybody looked: the history tells of it, whoever mended it.

use std::collections::BTreeSet;
use std::sync::Arc;

use alarm::{Condition, Event, Source};
use catalog::{Entry, EntryFilter, EntryKind, EntryOrder};
use mirror::Engine;
use model::{Level, Reason, Timestamp};
use serde_json::Value;

use super::STATUS;
use crate::scheduler::apart;

/// The most entries that are looked at in one look.
const MOST: usize = 100;

/// Up to where the history was looked at for it.
#[derive(Debug, Default)]
pub(super) struct Mended(Option<u64>);

impl Mended {
    /// What was mended since the last look, but for rings whose alarm stands: of these, that it is over is told. What
    /// happened before the first look is no news of this process.
    pub(super) async fn events(
        &mut self,
        engine: &Arc<Engine>,
        standing: &BTreeSet<String>,
        now: Timestamp,
    ) -> Vec<Event> {
        let (engine, from) = (Arc::clone(engine), self.0);
        let looked = tokio::time::timeout(STATUS, apart(async move { entries(&engine, from).await })).await;
        // What cannot be read now is looked at again; that it cannot be is told elsewhere.
        let Ok(Ok(Ok((seen, entries)))) = looked else { return Vec::new() };
        self.0 = Some(seen);
        let entries = entries.iter().filter(|entry| !standing.contains(&format!("ring/{}", entry.subject)));
        entries.filter_map(|entry| event(entry, now)).collect()
    }
}

/// The entries of upkeep behind `from`, and up to where there are any.
async fn entries(engine: &Engine, from: Option<u64>) -> Result<(u64, Vec<Entry>), catalog::CatalogError> {
    let catalog = &engine.ports().catalog;
    let head = catalog.chain_head().await?.seq;
    // Another history may end before the one that was looked at.
    let Some(from) = from.filter(|from| *from < head) else { return Ok((head, Vec::new())) };
    let kinds = vec![EntryKind::Upkeep];
    let filter = EntryFilter { from: from.saturating_add(1), to: Some(head), kinds, ..EntryFilter::default() };
    Ok((head, catalog.entries(&filter, EntryOrder::OldestFirst, MOST).await?))
}

fn event(entry: &Entry, now: Timestamp) -> Option<Event> {
    let data: Value = serde_json::from_str(&entry.data).ok()?;
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    let act = text("act")?;
    let done = match act {
        "rebuild" => "the ring was made anew",
        "mend-pointer" => "its pointer was written again",
        "adopt" => "what it serves was recorded",
        _ => return None,
    };
    let reason: Reason = serde_json::from_value(data.get("reason")?.clone()).ok()?;
    let number = data.get("number").and_then(Value::as_u64)?;
    let detail = format!("{}; {done}: generation {number}", text("detail")?);
    let key = format!("mended/{act}/{}", entry.subject);
    let condition = Condition::new(Source::Status, &key, reason, entry.at);
    let condition = condition.on(&format!("ring {}", entry.subject)).because(&detail).at_level(Level::Fail);
    Some(Event { condition, until: now.max(entry.at) })
}
