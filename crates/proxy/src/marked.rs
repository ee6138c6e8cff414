//! The wanted list, as it is shown.

use std::collections::BTreeMap;

use mirror::{Engine, EngineError};
use model::FeedId;
use serde::Serialize;

use crate::gatherer::LATELY;
use crate::{WantedEntry, WantedList};

/// An entry, and whether its feed is served in its ring all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Marked {
    /// What was asked for.
    #[serde(flatten)]
    pub entry: WantedEntry,
    /// Dated manifests may lie at several paths, of which endpoints asked for another.
    pub held_at_another_path: bool,
    /// It is served where it was asked for, and followed no longer: it is not renewed, and leaves with a coming gc.
    pub not_renewed: bool,
}

/// The entries, each with what its ring serves of its feed.
///
/// # Errors
/// [`EngineError`] when a ring cannot be read.
pub async fn marked(engine: &Engine, entries: Vec<WantedEntry>) -> Result<Vec<Marked>, EngineError> {
    let mut marked = Vec::new();
    let mut rings = BTreeMap::new();
    for entry in entries {
        if !rings.contains_key(&entry.ring) {
            rings.insert(entry.ring.clone(), engine.ports().rings.current(&entry.ring).await?);
        }
        let current = rings.get(&entry.ring).and_then(Option::as_ref);
        let routed = current.is_some_and(|ring| ring.generation.routes.contains_key(&entry.path));
        let held =
            entry.feed.as_ref().zip(current).is_some_and(|(feed, ring)| ring.generation.feeds.contains_key(feed));
        let left = entry.feed.as_ref().is_some_and(|feed| engine.left(feed));
        marked.push(Marked { entry, held_at_another_path: held && !routed, not_renewed: routed && left });
    }
    Ok(marked)
}

/// The feeds of which something is served and not renewed, though endpoints asked for it lately.
///
/// # Errors
/// [`EngineError`] when a ring cannot be read.
pub async fn asked_for_still(engine: &Engine, list: &WantedList) -> Result<Vec<FeedId>, EngineError> {
    let now = engine.ports().clock.now();
    let mut marked = marked(engine, list.entries()).await?;
    marked.retain(|marked| marked.not_renewed && now.since(marked.entry.last) < LATELY);
    let mut feeds: Vec<FeedId> = marked.into_iter().filter_map(|marked| marked.entry.feed).collect();
    feeds.sort();
    feeds.dedup();
    Ok(feeds)
}
