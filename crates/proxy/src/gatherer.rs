//! Gathers what endpoints asked for in vain, keeps the list of it, and has learned what is to be learned.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mirror::Engine;
use model::{FeedId, Reason, RingName, RoutePath, Timestamp, error_chain};

use crate::list::Tried;
use crate::spool::gather;
use crate::{Desk, Landing, WantedEntry, WantedList, Why};

/// How long what the vendor did not have is not tried again by itself.
const AGAIN: Duration = Duration::from_secs(3600);
/// How long what came of asking the vendor waits for what was asked for to be gathered.
const NOTED: Duration = Duration::from_secs(60);
/// How many feeds are learned in one turn.
const AT_ONCE: usize = 8;
/// What was asked for longer ago than this is no reason to fetch anything.
const LATELY: Duration = Duration::from_secs(7 * 86_400);
/// How many patch levels in a row the vendor may lack before a line of versions is taken to end.
const GAP: u32 = 4;
/// The highest patch level that is asked for.
const PATCHES: u32 = 60;

/// Every patch level of a line of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As it is written: `8.19.*`.
    pub name: String,
    /// Its line: `8.19`.
    pub line: String,
}

impl Pattern {
    fn patch_of(&self, feed: &FeedId) -> Option<u32> {
        let mut segments = feed.segments();
        let version = segments.next().filter(|_| feed.date().is_none())?;
        if segments.next().is_some() {
            return None;
        }
        version.strip_prefix(&self.line)?.strip_prefix('.')?.parse().ok()
    }

    fn feed(&self, patch: u32) -> Option<FeedId> {
        format!("elastic/{}.{patch}", self.line).parse().ok()
    }
}

/// Gathers and learns.
#[derive(Debug)]
pub struct Gatherer {
    desk: Arc<Desk>,
    spool: PathBuf,
    list: Option<WantedList>,
    /// How many places were known at the last look.
    proven: Option<usize>,
    /// What came of asking the vendor, and belongs to nothing in the list yet.
    notes: Vec<(FeedId, Tried)>,
}

impl Gatherer {
    /// A gatherer of the spool at a path.
    pub fn new(desk: Arc<Desk>, spool: PathBuf) -> Self {
        Self { desk, spool, list: None, proven: None, notes: Vec::new() }
    }

    /// One look: gathers, learns, asks the vendor what is due. An error in one does not keep the others.
    pub async fn turn(&mut self, patterns: &[Pattern]) {
        let Some(engine) = self.desk.engine() else { return };
        let rules = self.desk.rules();
        if self.proven.is_none() {
            self.proven = self.desk.book().proven().ok().map(|proven| proven.len());
        }
        self.gather(&engine).await;
        self.learn(&engine, patterns, rules.learns).await;
        self.probe(&engine, patterns, rules.probe).await;
        self.use_places(&engine).await;
        if rules.proxy {
            self.tend_forwarded(&engine, rules.refresh).await;
        }
    }

    /// What is wanted, as far as it was gathered.
    pub fn wanted(&self) -> usize {
        self.list.as_ref().map_or(0, |list| list.entries().len())
    }

    async fn gather(&mut self, engine: &Engine) {
        if self.list.is_none() {
            match self.desk.book().wanted() {
                Ok(list) => self.list = Some(list),
                Err(error) => {
                    tracing::error!(error = %error_chain(&error), "the wanted list cannot be read; it begins anew");
                    self.list = Some(WantedList::default());
                }
            }
        }
        let Some(list) = self.list.as_mut() else { return };
        let gathered = match gather(&self.spool, engine.ports().clock.now()) {
            Ok(gathered) => gathered,
            Err(error) => return tracing::error!(error = %error_chain(&error), "the spool cannot be read"),
        };
        if gathered.refused > 0 {
            tracing::warn!(refused = gathered.refused, "the spool holds what nobody of us wrote; it is let go");
        }
        let settings = engine.vendor_settings().elastic;
        let mut changed = false;
        for seen in &gathered.seen {
            changed |= list.add(seen, &settings);
        }
        // What was asked for is in the spool a moment after the vendor was asked for it.
        self.notes.extend(self.desk.take_notes());
        let now = engine.ports().clock.now();
        self.notes.retain(|(feed, tried)| {
            let noted = list.note(feed, tried);
            changed |= noted;
            !noted && now.since(tried.at) < NOTED
        });
        match held(engine, list).await {
            Ok(held) => changed |= list.drop_held(|ring, path| held.contains(&(ring.clone(), path.clone()))),
            Err(error) => tracing::warn!(error = %error_chain(&error), "what is held by now cannot be looked up"),
        }
        let kept = if changed { self.desk.book().keep_wanted(list) } else { Ok(()) };
        match kept {
            Ok(()) => {
                if let Err(error) = gathered.done() {
                    tracing::error!(error = %error_chain(&error), "what was gathered cannot be removed from the spool");
                }
            }
            Err(error) => tracing::error!(error = %error_chain(&error), "the wanted list cannot be kept"),
        }
    }

    /// Follows what endpoints asked for, where that is to be learned.
    async fn learn(&mut self, engine: &Engine, patterns: &[Pattern], learns: bool) {
        let now = engine.ports().clock.now();
        let due: Vec<(FeedId, Option<String>, Why)> = self
            .entries()
            .into_iter()
            .filter(|entry| is_due(entry, now))
            .filter_map(|entry| {
                let feed = entry.feed.clone()?;
                let pattern = patterns.iter().any(|pattern| pattern.patch_of(&feed).is_some());
                let why = if pattern { Why::Pattern } else { Why::Asked };
                (pattern || learns).then_some((feed, entry.guess, why))
            })
            .take(AT_ONCE)
            .collect();
        for (feed, guess, why) in due {
            let landing = self.desk.fetch(&feed, guess, why).await;
            if landing == Landing::Failed {
                self.note(&feed, now);
            }
        }
        if !learns {
            self.prove_guesses(engine, now).await;
        }
    }

    /// Asks the vendor at the places that endpoints' requests suggest, without following anything: where dated
    /// manifests are configured, that is how their place becomes known.
    async fn prove_guesses(&mut self, engine: &Engine, now: Timestamp) {
        let unplaced = |feed: &FeedId| feed.date().is_some() || feed.segments().count() > 1;
        if !engine.settings().feeds.iter().any(unplaced) {
            return;
        }
        let suggests = |entry: &WantedEntry| {
            is_due(entry, now).then(|| Some((entry.feed.clone()?, entry.guess.clone()?))).flatten()
        };
        for (feed, guess) in self.entries().iter().filter_map(suggests).take(AT_ONCE) {
            if self.desk.book().guess(&guess).is_err() {
                return;
            }
            if let Err(failure) = engine.probe(&feed).await {
                let tried = Tried { at: now, reason: failure.reason, detail: failure.detail };
                if let Some(list) = self.list.as_mut() {
                    list.note(&feed, &tried);
                }
                let _ = self.desk.book().drop_guess(&guess);
            }
        }
    }

    fn entries(&self) -> Vec<WantedEntry> {
        self.list.as_ref().map(WantedList::entries).unwrap_or_default()
    }

    /// Where the desk had nothing to say, at least the time is noted.
    fn note(&mut self, feed: &FeedId, at: Timestamp) {
        let Some(list) = self.list.as_mut() else { return };
        let told = list
            .entries()
            .iter()
            .any(|entry| entry.feed.as_ref() == Some(feed) && entry.tried.as_ref().is_some_and(|tried| tried.at >= at));
        if !told {
            list.note(feed, &Tried { at, reason: Reason::NotNow, detail: "it could not be fetched".to_owned() });
        }
    }

    /// Asks the vendor which patch levels it has of the lines that patterns stand for.
    async fn probe(&self, engine: &Engine, patterns: &[Pattern], every: Duration) {
        let now = engine.ports().clock.now();
        for pattern in patterns {
            let due = self.desk.book().probed(&pattern.name).is_none_or(|at| now.since(at) >= every);
            if due
                && self.probe_line(engine, pattern).await
                && let Err(error) = self.desk.book().note_probed(&pattern.name, now)
            {
                let error = error_chain(&error);
                tracing::error!(error, pattern = pattern.name, "that it was asked for cannot be kept");
            }
        }
    }

    /// Whether the line was gone through to its end.
    async fn probe_line(&self, engine: &Engine, pattern: &Pattern) -> bool {
        let known: Vec<u32> = engine.feeds().iter().filter_map(|feed| pattern.patch_of(feed)).collect();
        let highest = known.iter().max().copied().unwrap_or(0);
        let mut missing = 0;
        for patch in 0..=PATCHES {
            if known.contains(&patch) {
                missing = 0;
                continue;
            }
            let Some(feed) = pattern.feed(patch) else { return true };
            match self.desk.fetch(&feed, None, Why::Pattern).await {
                Landing::Held => missing = 0,
                Landing::Absent if patch < highest => {}
                Landing::Absent => missing += 1,
                Landing::Failed => {
                    tracing::warn!(%feed, pattern = pattern.name, "the vendor could not be asked; later again");
                    return false;
                }
            }
            if missing >= GAP {
                break;
            }
        }
        true
    }

    /// When a place turned out right, what is configured and lies at such a place is fetched.
    async fn use_places(&mut self, engine: &Engine) {
        let Ok(proven) = self.desk.book().proven() else { return };
        let before = self.proven.replace(proven.len());
        if before.is_none_or(|before| before >= proven.len()) {
            return;
        }
        let placed = |feed: &&FeedId| feed.date().is_some() || feed.segments().count() > 1;
        let feeds: Vec<FeedId> = engine.settings().feeds.iter().filter(placed).cloned().collect();
        for feed in feeds {
            self.desk.fetch(&feed, None, Why::Operator).await;
        }
    }

    /// Lets go what should not be forwarded any more, and fetches again what is old: one path a turn.
    async fn tend_forwarded(&mut self, engine: &Engine, refresh: Duration) {
        if self.desk.book().forwarded().is_empty() {
            return;
        }
        self.desk.weed_forwarded(engine).await;
        let files = self.desk.book().forwarded();
        let now = engine.ports().clock.now();
        let old = files.iter().filter(|file| now.since(file.fetched_at) >= refresh);
        if let Some(file) = old.min_by_key(|file| file.fetched_at) {
            self.desk.refresh(&file.route).await;
        }
    }
}

/// Lets go of what is served by now; what cannot be looked up stays.
pub async fn drop_held(engine: &Engine, list: &mut WantedList) {
    match held(engine, list).await {
        Ok(held) => drop(list.drop_held(|ring, path| held.contains(&(ring.clone(), path.clone())))),
        Err(error) => tracing::warn!(error = %error_chain(&error), "what is held by now cannot be looked up"),
    }
}

/// Whether the vendor may be asked for something that was wanted.
fn is_due(entry: &WantedEntry, now: Timestamp) -> bool {
    let rested = entry.tried.as_ref().is_none_or(|tried| now.since(tried.at) >= AGAIN);
    rested && now.since(entry.last) < LATELY
}

/// What of the list is served by now.
async fn held(
    engine: &Engine,
    list: &WantedList,
) -> Result<std::collections::BTreeSet<(RingName, RoutePath)>, mirror::EngineError> {
    let mut found = std::collections::BTreeSet::new();
    let entries = list.entries();
    let rings: std::collections::BTreeSet<&RingName> = entries.iter().map(|entry| &entry.ring).collect();
    for ring in rings {
        let Some(current) = engine.ports().rings.current(ring).await? else { continue };
        let routes = &current.generation.routes;
        let here = entries.iter().filter(|entry| entry.ring == *ring && routes.contains_key(&entry.path));
        found.extend(here.map(|entry| (entry.ring.clone(), entry.path.clone())));
    }
    Ok(found)
}
