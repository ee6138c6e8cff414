//! Gathers what endpoints asked for in vain, keeps the list of it, and has learned what is to be learned.

mod turn;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mirror::Engine;
use model::{FeedId, RingName, RoutePath, Timestamp, error_chain};
use vendors::elastic::wanted;

use crate::desk::Begun;
use crate::discover::{full, is_lost, probe};
use crate::due::is_due;
use crate::forwarded::stop_forwarding;
use crate::list::Tried;
use crate::placed::is_placed;
use crate::spool::gather;
use crate::state::ForwardedFile;
use crate::{BookError, Desk, Landing, Pattern, Rules, Stays, WantedEntry, WantedList, Why};

use turn::Turn;

/// How long what the vendor did not have is not tried again by itself.
const AGAIN: Duration = Duration::from_secs(3600);
/// How long what came of asking the vendor waits for what was asked for to be gathered.
const NOTED: Duration = Duration::from_secs(60);
/// How many feeds are learned in one turn.
const AT_ONCE: usize = 8;
/// What was asked for longer ago than this is no reason to fetch anything.
pub(crate) const LATELY: Duration = Duration::from_secs(7 * 86_400);
/// How long a line of versions is left alone once the vendor could not be asked for one of them.
const REST: Duration = Duration::from_secs(300);

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
    path_notes: Vec<(RoutePath, Tried)>,
    /// Whether the list says more than the file of it.
    unkept: bool,
    /// Lines of versions of which one could not be asked for, and when, on a clock that never goes back.
    failed: BTreeMap<String, Duration>,
    /// Whether nothing is served any more that was forwarded, where nothing is to be.
    stopped: bool,
}

impl Gatherer {
    /// A gatherer of the spool at a path.
    pub fn new(desk: Arc<Desk>, spool: PathBuf) -> Self {
        Self {
            desk,
            spool,
            list: None,
            proven: None,
            notes: Vec::new(),
            path_notes: Vec::new(),
            unkept: false,
            failed: BTreeMap::new(),
            stopped: false,
        }
    }

    /// One look: gathers, learns, asks the vendor what is due. An error in one does not keep the others.
    pub async fn turn(&mut self) {
        let Some(engine) = self.desk.engine() else { return };
        let rules = self.desk.rules();
        if self.proven.is_none() {
            self.proven = self.desk.book().proven().ok().map(|proven| proven.len());
        }
        self.gather(&engine).await;
        self.learn(&engine, &rules).await;
        self.probe(&engine, &rules).await;
        self.use_places(&engine).await;
        self.refresh_forwarded(&engine, rules.refresh).await;
        // What was under way when that ended comes in still, and goes again.
        self.stopped &= !rules.forwards && self.desk.book().forwarded().is_empty();
        if !rules.forwards && !self.stopped {
            let stays = if rules.proxy { Stays::Copies } else { Stays::Nothing };
            self.stop_forwarding(&engine, stays).await;
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
                Err(error @ BookError::Damaged { .. }) => {
                    tracing::error!(error = %error_chain(&error), "the wanted list does not read; it begins anew with what is asked for next");
                    self.list = Some(WantedList::default());
                }
                Err(error) => {
                    let error = error_chain(&error);
                    return tracing::error!(error, "the wanted list cannot be read now; nothing is gathered");
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
        let mut changed = std::mem::take(&mut self.unkept);
        for seen in &gathered.seen {
            changed |= list.add(seen, &settings);
        }
        let shut_out = list.is_any_shut_out();
        for seen in &self.desk.take_left(engine).await {
            changed |= list.add(seen, &settings);
            // Fetched as if it was not served; but what finds no room comes before what made room for it.
            let is_followed = || wanted(&seen.path, &settings).is_some_and(|found| engine.follows(&found.feed));
            if !shut_out || is_followed() {
                self.desk.ask(&seen.ring, &seen.path);
            }
        }
        // What was asked for is in the spool a moment after the vendor was asked for it.
        self.notes.extend(self.desk.take_notes());
        let now = engine.ports().clock.now();
        self.notes.retain(|(feed, tried)| {
            let noted = list.note(feed, tried);
            changed |= noted;
            !noted && !is_due(tried.at, now, NOTED)
        });
        self.path_notes.extend(self.desk.take_path_notes());
        self.path_notes.retain(|(path, tried)| {
            let noted = list.note_path(path, tried);
            changed |= noted;
            !noted && !is_due(tried.at, now, NOTED)
        });
        match held(engine, list).await {
            Ok(held) => changed |= list.drop_held(|ring, path| held.contains(&(ring.clone(), path.clone()))),
            Err(error) => tracing::warn!(error = %error_chain(&error), "what is held by now cannot be looked up"),
        }
        let kept = if changed { self.desk.book().keep_wanted(list) } else { Ok(None) };
        match kept {
            Ok(aside) => {
                if let Some(aside) = aside {
                    tracing::warn!(aside = %aside.display(), "the wanted list began anew; what stood in its place is kept there");
                }
                if let Err(error) = gathered.done() {
                    tracing::error!(error = %error_chain(&error), "what was gathered cannot be removed from the spool");
                }
            }
            Err(error) => {
                self.unkept = true;
                tracing::error!(error = %error_chain(&error), "the wanted list cannot be kept");
            }
        }
    }

    /// Follows what endpoints asked for, where that is to be learned. What comes of it is noted at the next look.
    async fn learn(&mut self, engine: &Engine, rules: &Rules) {
        let now = engine.ports().clock.now();
        let (mut begun, mut shut) = (0, Vec::new());
        let turn = Turn::of(engine, self.list.as_ref()).await;
        for entry in self.entries() {
            let Some(feed) = entry.feed.clone() else { continue };
            if turn.is_renewed(&feed) {
                let asks = begun < AT_ONCE && entry.guess.is_some() && may_ask(&entry, now);
                if asks && is_lost(engine, &feed).await.is_some() {
                    let there = (&feed, Some(&entry.path));
                    begun += usize::from(self.desk.begin(there, entry.guess.clone(), Why::Operator) == Begun::Now);
                }
                continue;
            }
            let Some(why) = rules.why(&feed) else { continue };
            // Looked at again for each: what was begun before may have taken the last place.
            let room = self.desk.has_room(engine, &feed, why);
            // What a pattern stands for takes nobody's place.
            if room && why == Why::Asked && turn.waits(&entry, &feed) {
                continue;
            }
            if room && begun < AT_ONCE && (may_ask(&entry, now) || entry.is_shut_out()) {
                begun += usize::from(self.desk.begin((&feed, None), entry.guess, why) == Begun::Now);
            } else if !room && may_ask(&entry, now) {
                shut.push((feed, entry.guess));
            }
        }
        for (feed, guess) in shut.into_iter().take(AT_ONCE) {
            self.shut_out(engine, (&feed, guess.as_deref()), rules.learned_feeds).await;
        }
        if !rules.learns {
            self.prove_guesses(engine, &turn).await;
        }
    }

    /// Finds out whether the vendor has what finds no room: made-up names are nothing that the operator need know of.
    async fn shut_out(&mut self, engine: &Engine, (feed, guess): (&FeedId, Option<&str>), most: usize) {
        let failure = match probe(engine, self.desk.book(), feed, guess).await {
            Ok(version) => {
                let failure = full(Some(&version), most);
                tracing::warn!(%feed, reason = failure.reason.code(), detail = failure.detail, "asked for, and not followed");
                failure
            }
            Err(failure) => failure,
        };
        let at = engine.ports().clock.now();
        self.note(feed, &Tried { at, reason: failure.reason, detail: failure.detail });
    }

    /// Asks the vendor at the places that endpoints' requests suggest, without following anything: where dated
    /// manifests are configured, that is how their place becomes known.
    async fn prove_guesses(&mut self, engine: &Engine, turn: &Turn) {
        if !engine.feeds().iter().any(is_placed) {
            return;
        }
        let now = engine.ports().clock.now();
        let suggests = |entry: &WantedEntry| {
            let guess = (entry.feed.clone()?, entry.guess.clone()?);
            (may_ask(entry, now) && !turn.is_renewed(&guess.0)).then_some(guess)
        };
        for (feed, guess) in self.entries().iter().filter_map(suggests).take(AT_ONCE) {
            if let Err(failure) = probe(engine, self.desk.book(), &feed, Some(&guess)).await {
                self.note(&feed, &Tried { at: now, reason: failure.reason, detail: failure.detail });
            }
        }
    }

    fn entries(&self) -> Vec<WantedEntry> {
        self.list.as_ref().map(WantedList::entries).unwrap_or_default()
    }

    fn note(&mut self, feed: &FeedId, tried: &Tried) {
        self.unkept |= self.list.as_mut().is_some_and(|list| list.note(feed, tried));
    }

    /// Asks the vendor which patch levels it has of the lines that patterns stand for.
    async fn probe(&mut self, engine: &Engine, rules: &Rules) {
        let clock = Arc::clone(&engine.ports().clock);
        // While what was learned does not read, nothing is learned, and that was told.
        if self.desk.book().learned().is_err() {
            return;
        }
        for pattern in &rules.patterns {
            let now = clock.now();
            let rests = |at: &Duration| clock.monotonic().saturating_sub(*at) < REST;
            let due = self.desk.book().is_probe_due(&pattern.name, now, rules.probe);
            if !due || self.failed.get(&pattern.name).is_some_and(rests) {
                continue;
            }
            if !self.probe_line(engine, pattern).await {
                self.failed.insert(pattern.name.clone(), clock.monotonic());
            } else if let Err(error) = self.desk.book().note_probed(&pattern.name, now) {
                let error = error_chain(&error);
                tracing::error!(error, pattern = pattern.name, "that it was asked for cannot be kept");
            }
        }
    }

    /// Whether the line was gone through to its end.
    async fn probe_line(&self, engine: &Engine, pattern: &Pattern) -> bool {
        let mut walk = pattern.walk(&engine.feeds());
        while let Some(feed) = walk.next() {
            match self.desk.fetch(&feed, None, Why::Pattern).await {
                Landing::Held => walk.there(),
                Landing::Absent | Landing::Declined => walk.absent(),
                _ => {
                    tracing::warn!(%feed, pattern = pattern.name, "could not be had, and the line is not gone through; again in some minutes");
                    return false;
                }
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
        for feed in engine.feeds().into_iter().filter(is_placed) {
            self.desk.fetch(&feed, None, Why::Operator).await;
        }
    }

    /// What was forwarded under an earlier configuration is served no longer.
    async fn stop_forwarding(&mut self, engine: &Engine, stays: Stays) {
        match stop_forwarding(engine, self.desk.book(), stays).await {
            Ok(0) => self.stopped = true,
            Ok(paths) => {
                self.stopped = true;
                tracing::warn!(paths, "nothing is forwarded any more: what was is served no longer");
            }
            Err(error) => tracing::warn!(error = %error_chain(&error), "what was forwarded is served still"),
        }
    }

    /// Fetches again what is old: one path a turn.
    async fn refresh_forwarded(&mut self, engine: &Engine, refresh: Duration) {
        let now = engine.ports().clock.now();
        let files = self.desk.book().forwarded();
        let due = match oldest(&files, now, refresh) {
            Some(path) => Some(path),
            None => self.forsaken(engine, &files).await,
        };
        if let Some(path) = due {
            self.desk.refresh(&path).await;
        }
    }

    /// A copy of a manifest that the vendor turned out to have no longer where its feed lies, since the copy was fetched:
    /// that may be where the feed goes on.
    async fn forsaken(&self, engine: &Engine, files: &[ForwardedFile]) -> Option<RoutePath> {
        let settings = engine.vendor_settings().elastic;
        for file in files.iter().filter(|file| file.is_copy) {
            let Some(found) = wanted(&file.route, &settings) else { continue };
            if is_lost(engine, &found.feed).await.is_some_and(|at| at > file.fetched_at) {
                return Some(file.route.clone());
            }
        }
        None
    }
}

/// Of what is to be fetched again the path that was fetched longest ago.
fn oldest(files: &[ForwardedFile], now: Timestamp, refresh: Duration) -> Option<RoutePath> {
    let due = files.iter().filter(|file| is_due(file.fetched_at, now, refresh));
    due.min_by_key(|file| file.fetched_at).map(|file| file.route.clone())
}

/// Lets go of what is served by now; what cannot be looked up stays.
pub async fn drop_held(engine: &Engine, list: &mut WantedList) {
    match held(engine, list).await {
        Ok(held) => drop(list.drop_held(|ring, path| held.contains(&(ring.clone(), path.clone())))),
        Err(error) => tracing::warn!(error = %error_chain(&error), "what is held by now cannot be looked up"),
    }
}

/// Whether the vendor may be asked for something that was wanted.
pub(crate) fn may_ask(entry: &WantedEntry, now: Timestamp) -> bool {
    let rested = entry.tried.as_ref().is_none_or(|tried| is_due(tried.at, now, AGAIN));
    rested && now.since(entry.last) < LATELY
}

/// What of the list is served by now, and followed: what is served and followed no longer is not renewed, and leaves.
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
        let here = entries.iter().filter(|entry| {
            let left = || entry.feed.as_ref().is_some_and(|feed| engine.left(feed));
            // What is there for its grace alone is not renewed: of a manifest that is no less than to lack it.
            let is_held = routes.get(&entry.path).is_some_and(|route| route.until.is_none() || entry.feed.is_none());
            entry.ring == *ring && is_held && !left()
        });
        found.extend(here.map(|entry| (entry.ring.clone(), entry.path.clone())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use model::{Digest, Reason};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn what_was_tried_by_a_clock_that_was_ahead_may_be_asked_for_s28() {
        let entry = |tried: i64| WantedEntry {
            feed: None,
            path: "/downloads/a".parse().unwrap(),
            ring: RingName::broad(),
            count: 1,
            first: at(0),
            last: at(0),
            guess: None,
            tried: Some(Tried { at: at(tried), reason: Reason::NotFound, detail: String::new() }),
        };
        assert!(!may_ask(&entry(10), at(20)) && may_ask(&entry(30), at(20)));
        assert!(may_ask(&entry(10), at(10).after(AGAIN)));
    }

    #[test]
    fn what_was_forwarded_by_a_clock_that_was_ahead_is_fetched_again_and_not_confirmed_s28() {
        let file = |path: &str, fetched: i64| ForwardedFile {
            route: path.parse().unwrap(),
            digest: Some(Digest::of(path.as_bytes())),
            size: 1,
            fetched_at: at(fetched),
            brought: None,
            confirmed_at: None,
            is_copy: false,
            missed: 0,
        };
        let (minute, files) = (Duration::from_secs(60), [file("/downloads/a", 50), file("/downloads/b", 1000)]);
        assert_eq!(oldest(&files, at(100), minute), Some("/downloads/b".parse().unwrap()));
        assert_eq!(oldest(&files[..1], at(100), minute), None);
        assert_eq!(oldest(&files, at(110), minute), Some("/downloads/a".parse().unwrap()));
        let [old, ahead] = &files;
        assert_eq!((old.unconfirmed(at(100), minute), ahead.unconfirmed(at(100), minute)), (None, Some(at(100))));
        // Asked again in vain: since when that is so is counted from when it was seen.
        let asked =
            ForwardedFile { confirmed_at: Some(ahead.confirmed_by(at(100))), fetched_at: at(130), ..ahead.clone() };
        assert_eq!(asked.unconfirmed(at(140), minute), Some(at(100)));
    }
}
