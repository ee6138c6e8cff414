//! What the folder itself remembers of what it shows.
//!
//! A state that comes back from a copy, or is made anew, knows nothing of what was rejected or gone back from since, and
//! would give it to endpoints again. The folder, which outlives it, keeps those words, where there are any, beside what it
//! shows. A state that does not know them takes them over, with what was shown by them, whose bytes lie in the folder:
//!
//! ```text
//! <downloadFolder>/.waystation/shown.json    0600 in a folder of mode 0700: no endpoint reads it
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use blob_store::Current;
use catalog::{EntryFilter, EntryKind, EntryOrder};
use mirror::{Engine, EngineError};
use model::{Digest, FeedId, Generation, ReleaseId, ReleaseState, Route, RoutePath, ServedFeed, Timestamp};
use platform::fs::{Folder, FsError, Mode, Owners};
use serde::{Deserialize, Serialize};

use crate::keeping::Keeper;
use crate::run::CompatError;

/// The folder of what is kept out of sight.
const HIDDEN: &str = ".waystation";
/// The file in it.
const NAME: &str = "shown.json";
/// The format's number.
const FORMAT: u32 = 1;
/// The most of it that is read.
const MOST: u64 = 4 << 20;
/// How many publications are looked through, newest first, for the one that the folder shows.
const LOOKED: usize = 2000;

/// What the folder shows, and the words that it was shown by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Shown {
    waystation_shown: u32,
    /// The generation that the state was at, and the digest of its file: a state that never published it is another one.
    number: u64,
    digest: Digest,
    at: Timestamp,
    feeds: BTreeMap<FeedId, ServedFeed>,
    routes: BTreeMap<RoutePath, Route>,
    /// What was rejected or gone back from, in the words of another state, which this one has not heard.
    unheard: BTreeMap<FeedId, BTreeSet<ReleaseId>>,
}

/// What the folder knows and the state does not.
#[derive(Default)]
pub(crate) struct Words {
    shown: Option<Shown>,
    /// Whether the state published what the folder shows.
    known: bool,
    unheard: BTreeMap<FeedId, BTreeSet<ReleaseId>>,
}

impl Words {
    /// Reads what the folder remembers, beside what the state knows.
    pub(crate) async fn of(folder: &Path, engine: &Engine) -> Result<Self, CompatError> {
        let Some(shown) = read(folder)? else { return Ok(Self::default()) };
        let known = knows(engine, &shown).await?;
        let mut unheard = shown.unheard.clone();
        for (feed, served) in shown.feeds.iter().filter(|_| !known) {
            unheard.entry(feed.clone()).or_default().extend(&served.denied);
        }
        for ids in unheard.values_mut() {
            for id in ids.clone() {
                if is_heard(engine, id, shown.at).await? {
                    ids.remove(&id);
                }
            }
        }
        unheard.retain(|_, ids| !ids.is_empty());
        Ok(Self { shown: Some(shown), known, unheard })
    }

    /// Has the state take over what it does not know, with what the folder shows by it; the feeds of which that was news.
    pub(crate) async fn hear(&self, keeper: &Keeper<'_>, engine: &Engine) -> Result<Vec<FeedId>, CompatError> {
        let Some(shown) = &self.shown else { return Ok(Vec::new()) };
        let mut against = self.unheard.clone();
        // Without a word on it a release is what one may go back to all the same.
        against.extend(
            shown
                .feeds
                .keys()
                .filter(|feed| !self.known && !self.unheard.contains_key(*feed))
                .map(|feed| (feed.clone(), BTreeSet::new())),
        );
        if against.is_empty() {
            return Ok(Vec::new());
        }
        let mut generation = Generation::empty(engine.settings().ring.clone(), shown.at);
        generation.feeds.clone_from(&shown.feeds);
        let routes = shown.routes.iter().filter(|(_, route)| against.contains_key(&route.feed));
        generation.routes = routes.map(|(path, route)| (path.clone(), route.clone())).collect();
        keeper.lend(&generation.routes).await?;
        Ok(engine.recall(&generation, &against).await?)
    }

    /// What the state had not heard against releases of a feed.
    pub(crate) fn on(&self, feed: &FeedId) -> impl Iterator<Item = &ReleaseId> {
        self.unheard.get(feed).into_iter().flatten()
    }

    /// Remembers what the folder shows now, where anything was ruled out; of the feeds in `left` it shows what it did before.
    pub(crate) fn remember(
        &self,
        folder: &Path,
        (current, routes): (&Current, &BTreeMap<RoutePath, Route>),
        left: &[FeedId],
        now: Timestamp,
    ) -> Result<(), CompatError> {
        let stays = |route: &Route| left.contains(&route.feed);
        let before = self.shown.iter().flat_map(|shown| &shown.routes).filter(|(_, route)| stays(route));
        let news = routes.iter().filter(|(_, route)| !stays(route));
        let mut feeds = self.shown.as_ref().map(|shown| shown.feeds.clone()).unwrap_or_default();
        for (feed, served) in &current.generation.feeds {
            match feeds.get_mut(feed).filter(|_| left.contains(feed)) {
                Some(before) => before.denied.clone_from(&served.denied),
                None => drop(feeds.insert(feed.clone(), served.clone())),
            }
        }
        let shown = Shown {
            waystation_shown: FORMAT,
            number: current.generation.number,
            digest: current.digest,
            at: now,
            feeds,
            routes: before.chain(news).map(|(path, route)| (path.clone(), route.clone())).collect(),
            unheard: self.unheard.clone(),
        };
        if shown.unheard.is_empty() && shown.feeds.values().all(|served| served.denied.is_empty()) {
            return Ok(forget(folder)?);
        }
        let mut bytes = serde_json::to_vec(&shown).map_err(|error| CompatError::Task(error.to_string()))?;
        bytes.push(b'\n');
        let hidden = Folder::open(folder)?.ensure_folder(HIDDEN, Mode::PRIVATE_FOLDER)?;
        Ok(hidden.write_atomic(NAME, &bytes, Mode::PRIVATE_FILE)?)
    }
}

/// Leaves nothing in the folder where there is nothing to remember.
fn forget(folder: &Path) -> Result<(), FsError> {
    let root = Folder::open(folder)?;
    match root.folder(HIDDEN) {
        Err(error) if error.is_missing() => return Ok(()),
        other => other?.remove(NAME)?,
    };
    // What was replaced may lie there still.
    root.remove_folder(HIDDEN).map(drop)
}

fn read(folder: &Path) -> Result<Option<Shown>, CompatError> {
    let path = folder.join(HIDDEN).join(NAME);
    let unread = |source: Box<dyn std::error::Error + Send + Sync>| CompatError::Shown { path: path.clone(), source };
    let opened = Folder::open(folder).and_then(|root| root.folder(HIDDEN));
    let opened = opened.and_then(|hidden| hidden.open_plain(NAME, Owners::us()));
    let file = match opened {
        Ok((file, _)) => file,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(unread(error.into())),
    };
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).map_err(|error| unread(error.into()))?;
    let shown: Shown = serde_json::from_slice(&bytes).map_err(|error| unread(error.into()))?;
    match shown.waystation_shown {
        FORMAT => Ok(Some(shown)),
        _ => Err(unread("it was written by a newer program".into())),
    }
}

/// Whether the state published the generation that the folder shows: what it says of releases is newer then.
async fn knows(engine: &Engine, shown: &Shown) -> Result<bool, EngineError> {
    let (ring, ports) = (&engine.settings().ring, engine.ports());
    if ports.rings.current(ring).await?.is_some_and(|current| current.digest == shown.digest) {
        return Ok(true);
    }
    let filter = EntryFilter {
        kinds: vec![EntryKind::PublicationIntended],
        subject: Some(ring.as_str().to_owned()),
        ..EntryFilter::default()
    };
    let published = ports.catalog.entries(&filter, EntryOrder::NewestFirst, LOOKED).await?;
    let digest = shown.digest.to_string();
    Ok(published.iter().any(|entry| entry.data.contains(&digest)))
}

/// Whether the operator said something of a release in this state since, or it counts as rejected in it.
async fn is_heard(engine: &Engine, id: ReleaseId, since: Timestamp) -> Result<bool, EngineError> {
    let catalog = &engine.ports().catalog;
    if catalog.release(&id).await?.is_some_and(|found| found.state == ReleaseState::Rejected) {
        return Ok(true);
    }
    let filter = EntryFilter {
        kinds: vec![EntryKind::Act],
        subject: Some(id.to_string()),
        since: Some(since),
        ..EntryFilter::default()
    };
    Ok(!catalog.entries(&filter, EntryOrder::NewestFirst, 1).await?.is_empty())
}
