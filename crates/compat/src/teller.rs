//! Tells how each target went, in the script's words where it has some.

use std::path::Path;

use config::Config;
use mirror::{Engine, EngineError, FeedReport};
use model::{FeedId, Outcome as FeedOutcome, Reason};
use tree::Report;

use crate::run::CompatError;
use crate::takeover;
use crate::voice::Voice;

/// Tells people and the log.
pub(crate) struct Teller<'a, 'v> {
    pub(crate) engine: &'a Engine,
    pub(crate) config: &'a Config,
    pub(crate) state: &'a Path,
    pub(crate) voice: &'a mut Voice<'v>,
}

impl Teller<'_, '_> {
    /// Tells what did not go well, as soon as that is known.
    pub(crate) async fn failure(&mut self, feed: &FeedReport) -> Result<(), CompatError> {
        if matches!(feed.outcome, FeedOutcome::Current | FeedOutcome::Published) {
            return Ok(());
        }
        let (name, detail) = (&feed.feed, feed.detail.as_deref().unwrap_or("no particulars"));
        let version = feed.vendor_version.as_ref().map_or_else(String::new, |it| format!("{}: ", it.version));
        let reason = feed.reason.map_or_else(String::new, |reason| format!(" (reason {reason}: {})", reason.remedy()));
        let next = self.next(feed).await?.map_or_else(String::new, |next| format!("\n{next}"));
        let outcome = feed.outcome.as_str();
        self.voice.complain(&format!("Error: {name} {outcome}: {version}{detail}{reason}{next}"));
        Ok(())
    }

    /// What to do next about this one.
    async fn next(&self, feed: &FeedReport) -> Result<Option<String>, CompatError> {
        if feed.reason == Some(Reason::BadZip) {
            let url = self.config.defender.as_ref().and_then(|it| takeover::address(&it.origin, &feed.feed));
            return Ok(url.map(|url| {
                format!("A proxy or portal on the way may have answered a page of its own in its place: look at {url}")
            }));
        }
        let Some(id) = feed.release.as_ref().filter(|_| feed.outcome == FeedOutcome::Quarantined) else {
            return Ok(None);
        };
        let record = self.engine.ports().catalog.release(id).await.map_err(EngineError::from)?;
        Ok(record.map(|record| {
            let configuration = self.state.join(crate::run::CONFIG);
            format!(
                "To take it: waystation --config {} release admit {} --reason '...', and run this again",
                configuration.display(),
                record.number
            )
        }))
    }

    /// Tells what weakens a release that was published; whether somebody has to look at it.
    pub(crate) async fn doubts(&mut self, feed: &FeedReport) -> Result<bool, CompatError> {
        let Some(id) = feed.release.as_ref().filter(|_| feed.outcome == FeedOutcome::Published) else {
            return Ok(false);
        };
        let record = self.engine.ports().catalog.release(id).await.map_err(EngineError::from)?;
        let mut doubtful = false;
        for note in record.iter().flat_map(|record| &record.release.verdict.notes) {
            let text = format!("{}: {} (reason {}: {})", feed.feed, note.detail, note.reason, note.reason.remedy());
            if note.reason == Reason::UnexpectedMembers {
                self.voice.complain(&format!("Warning: {text}"));
                doubtful = true;
            } else {
                self.voice.say(&text);
            }
        }
        Ok(doubtful)
    }

    /// Tells what came into the folder, once it is there; how many targets did not come there.
    pub(crate) fn ending(&mut self, feeds: &[FeedReport], spared: &[FeedId], tree: Option<&Report>) -> usize {
        for failed in tree.iter().flat_map(|tree| &tree.failed) {
            let folder = if failed.folder.is_empty() { "the folder itself" } else { &failed.folder };
            self.voice.complain(&format!("Error: {folder}: {} (reason {})", failed.detail, failed.reason));
        }
        for foreign in tree.iter().flat_map(|tree| &tree.foreign) {
            self.voice.say(&format!("{foreign} is not ours and is left alone"));
        }
        let mut behind = 0;
        for name in spared {
            match place_of(name, tree) {
                Place::Behind => behind += 1,
                Place::PutBack(what) => self.put_back(name, &what),
                Place::Right => self.voice.say(&format!("{name}: No new update available")),
            }
        }
        for feed in feeds {
            let place = place_of(&feed.feed, tree);
            behind += usize::from(place == Place::Behind || feed.outcome == FeedOutcome::Failed);
            self.ended(feed, place);
        }
        behind
    }

    fn put_back(&mut self, name: &FeedId, what: &str) {
        self.voice
            .say(&format!("{name}: No new update available; {what} had been altered or removed and was put back"));
    }

    /// What the script would say of one target.
    fn ended(&mut self, feed: &FeedReport, place: Place) {
        let name = &feed.feed;
        match (feed.outcome, &feed.vendor_version, place) {
            (FeedOutcome::Published, Some(version), Place::Behind) => {
                let version = &version.version;
                self.voice.complain(&format!(
                    "Error: {name}: {version} was fetched and is kept in the state, and did not come into the folder"
                ));
            }
            (FeedOutcome::Published, Some(version), _) => {
                if let Some(engine) = &version.engine {
                    self.voice.say(&format!("{name}: Engine version: {engine}"));
                }
                self.voice.say(&format!("{name}: Definition version: {}.", version.version));
            }
            (FeedOutcome::Current, version, place) => {
                match (feed.reason, &feed.detail) {
                    (Some(reason), detail) => {
                        let version = version.as_ref().map_or_else(String::new, |it| format!("{}: ", it.version));
                        let why = detail.as_deref().unwrap_or_else(|| reason.remedy());
                        self.voice.say(&format!("{name}: No new update: {version}{why} (reason {reason})"));
                    }
                    (None, _) if place == Place::Right => self.voice.say(&format!("{name}: No new update available")),
                    (None, _) => {}
                }
                if let Place::PutBack(what) = place {
                    self.put_back(name, &what);
                }
            }
            _ => {}
        }
    }
}

/// How a target stands in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Right,
    /// These of its files had been altered or removed.
    PutBack(String),
    Behind,
}

fn place_of(feed: &FeedId, tree: Option<&Report>) -> Place {
    let (Some(tree), Some(place)) = (tree, takeover::place(feed)) else { return Place::Right };
    // A failure of a folder above it, or of the whole, is its as well.
    if tree.failed.iter().any(|failed| place.starts_with(&failed.folder)) {
        return Place::Behind;
    }
    let altered: Vec<&str> =
        tree.altered.iter().filter_map(|path| Path::new(path).strip_prefix(&place).ok()?.to_str()).collect();
    if altered.is_empty() { Place::Right } else { Place::PutBack(altered.join(", ")) }
}
