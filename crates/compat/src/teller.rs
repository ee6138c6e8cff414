//! Tells how each target went, in the script's words where it has some.

mod words;

use std::path::{Path, PathBuf};

use config::{Config, Strictness};
use mirror::{Engine, EngineError, FeedReport};
use model::{FeedId, Note, Outcome as FeedOutcome, Reason, ReleaseId, ServedFeed, Version, error_chain};
use tree::{Failed, Report};

use crate::archive::{Bad, Strays};
use crate::keeping;
use crate::run::CompatError;
use crate::takeover::{self, Ahead};
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

    /// Tells what weakens a release that was published.
    pub(crate) async fn notes(&mut self, feed: &FeedReport) -> Result<(), CompatError> {
        let Some(id) = feed.release.as_ref().filter(|_| feed.outcome == FeedOutcome::Published) else {
            return Ok(());
        };
        for note in self.notes_of(id).await?.iter().filter(|note| note.reason != Reason::UnexpectedMembers) {
            self.voice.say(&told(&feed.feed, note));
        }
        Ok(())
    }

    /// Tells which archives lack what such archives have, for as long as they are in the folder; whether somebody has to
    /// look at one.
    pub(crate) async fn odd(&mut self, back: Back) -> Result<bool, CompatError> {
        let expects = self.config.defender.as_ref().is_some_and(|it| it.expected_members != Strictness::Off);
        let serving = takeover::serving(self.engine).await?.filter(|_| expects);
        let mut odd = false;
        for (feed, served) in serving.iter().flat_map(|serving| &serving.feeds) {
            if !self.engine.follows(feed) {
                continue;
            }
            for id in [Some(served.release), served.back.filter(|_| back == Back::Kept)].into_iter().flatten() {
                for note in self.notes_of(&id).await?.iter().filter(|it| it.reason == Reason::UnexpectedMembers) {
                    let before = if id == served.release { "" } else { "in _back: " };
                    self.voice.complain(&format!("Warning: {before}{}", told(feed, note)));
                    odd = true;
                }
            }
        }
        Ok(odd)
    }

    async fn notes_of(&self, id: &ReleaseId) -> Result<Vec<Note>, CompatError> {
        let record = self.engine.ports().catalog.release(id).await.map_err(EngineError::from)?;
        Ok(record.map(|record| record.release.verdict.notes).unwrap_or_default())
    }

    /// Tells what is newer in the folder than what the state came to: the feeds of which the folder stays as it is, and
    /// whether another loses what endpoints could go back to.
    pub(crate) async fn ahead(&mut self, ahead: &[Ahead], back: Back) -> Result<(Vec<FeedId>, bool), CompatError> {
        let serving = takeover::serving(self.engine).await?;
        let (mut left, mut lost) = (Vec::new(), false);
        for one in ahead {
            let Ahead { feed, definitions, .. } = one;
            let served = serving.as_ref().and_then(|serving| serving.feeds.get(feed));
            if let Some(served) = served.filter(|served| served.vendor_version.version >= *definitions) {
                lost |= back == Back::Kept && self.overtaken(one, served).await?;
                continue;
            }
            let served = served.map(|served| &served.vendor_version.version);
            let has = served.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            self.voice.complain(&format!(
                "Error: {feed}: the folder holds {definitions}, which the state does not know, and the state has {has}: was the \
                 state brought back from a copy, or does somebody else fill the folder? It stays as it is until the vendor \
                 offers the same or something newer"
            ));
            left.push(feed.clone());
        }
        Ok((left, lost))
    }

    /// Tells what the folder shows and leaves it with what the state serves now, where that is newer than the release before
    /// that takes its place: nobody vouches for it.
    async fn overtaken(&mut self, ahead: &Ahead, served: &ServedFeed) -> Result<bool, CompatError> {
        let before = match &served.back {
            Some(id) => self.engine.ports().catalog.release(id).await.map_err(EngineError::from)?,
            None => None,
        };
        let before = before.map(|record| record.release.vendor_version.version);
        let is_lost = |version: &&Version| {
            **version < served.vendor_version.version && before.as_ref().is_none_or(|before| *version > before)
        };
        let shown = [Some(&ahead.definitions), ahead.back.as_ref()].into_iter().flatten();
        let lost: Vec<String> = shown.filter(is_lost).map(ToString::to_string).collect();
        if lost.is_empty() {
            return Ok(false);
        }
        let before = before.map_or_else(|| "none".to_owned(), |before| before.to_string());
        self.voice.complain(&format!(
            "Warning: {}: the folder held {}, which the state does not know: was the state brought back from a copy? The \
             vendor is at {} by now and nobody vouches for them any more, so they leave the folder; the release before, in \
             _back, is {before} now",
            ahead.feed,
            lost.join(" and "),
            served.vendor_version.version,
        ));
        Ok(true)
    }

    /// Tells that nothing was left in the folder of what had been put there.
    pub(crate) fn emptied(&mut self, folder: &Path) {
        self.voice.complain(&format!(
            "Warning: {} was empty, although it had been filled before, and is filled anew: if a volume belongs there, it is \
             not mounted, and what was put there lies where it will be mounted; if it was emptied on purpose, all is well",
            folder.display()
        ));
    }

    /// Tells what somebody else left where endpoints look; whether somebody has to look at it.
    pub(crate) fn strays(&mut self, strays: &Strays) -> bool {
        for Bad { path, aside, why } in &strays.bad {
            let done = match aside {
                Ok(aside) => format!("it is called {aside} now, where no endpoint looks"),
                Err(error) => format!("move it away; it could not be renamed: {}", error_chain(error)),
            };
            self.voice
                .complain(&format!("Error: {path} is no archive ({why}) and not what this program put there: {done}"));
        }
        for path in &strays.nameless {
            self.voice.complain(&format!(
                "Warning: {path} was left there by somebody else, and no manifest.json beside it says what it is: it reads \
                 whole and is left alone"
            ));
        }
        for path in &strays.whole {
            self.voice.say(&format!("{path} was left there by somebody else: it reads whole and is left alone"));
        }
        !strays.bad.is_empty()
    }

    /// Tells what came into the folder, once it is there; how many targets did not come there.
    pub(crate) fn ending(
        &mut self,
        feeds: &[FeedReport],
        (spared, left): (&[FeedId], &[FeedId]),
        (tree, strays): (Option<&Report>, &Strays),
    ) -> usize {
        for failed in tree.iter().flat_map(|tree| &tree.failed) {
            let folder = if failed.folder.is_empty() { "the folder itself" } else { &failed.folder };
            self.voice.complain(&format!("Error: {folder}: {} (reason {})", failed.detail, failed.reason));
        }
        for path in tree.iter().flat_map(|tree| &tree.altered) {
            let failed = |failed: &&Failed| Path::new(path).starts_with(&failed.folder);
            if !tree.iter().flat_map(|tree| &tree.failed).any(|it| failed(&it)) {
                self.voice.say(&format!("{path} had been altered or removed, and was put back"));
            }
        }
        let stays: Vec<PathBuf> =
            left.iter().filter_map(takeover::place).flat_map(|place| [takeover::with_back(&place), place]).collect();
        for foreign in tree.iter().flat_map(|tree| &tree.foreign) {
            let is_bad = strays.bad.iter().any(|bad| bad.path == *foreign);
            // Of what stays as it is, and of what was taken out of reach, all was told.
            if !is_bad && !stays.iter().any(|place| Path::new(foreign).starts_with(place)) {
                self.voice.say(&format!("{foreign} is not ours and is left alone"));
            }
        }
        let mut behind = 0;
        for name in spared {
            match is_behind(name, tree) {
                true => behind += 1,
                false => self.voice.say(&format!("{name}: No new update available")),
            }
        }
        for feed in feeds {
            let is_behind = is_behind(&feed.feed, tree);
            behind += usize::from(is_behind || feed.outcome == FeedOutcome::Failed);
            self.ended(feed, is_behind);
        }
        behind
    }

    /// What the script would say of one target.
    fn ended(&mut self, feed: &FeedReport, is_behind: bool) {
        let name = &feed.feed;
        match (feed.outcome, &feed.vendor_version) {
            (FeedOutcome::Published, Some(version)) if is_behind => {
                let version = &version.version;
                self.voice.complain(&format!(
                    "Error: {name}: {version} was fetched and is kept in the state, and did not come into the folder"
                ));
            }
            (FeedOutcome::Published, Some(version)) => {
                if let Some(engine) = &version.engine {
                    self.voice.say(&format!("{name}: Engine version: {engine}"));
                }
                self.voice.say(&format!("{name}: Definition version: {}.", version.version));
            }
            (FeedOutcome::Current, version) => match (feed.reason, &feed.detail) {
                (Some(reason), detail) => {
                    let version = version.as_ref().map_or_else(String::new, |it| format!("{}: ", it.version));
                    let why = detail.as_deref().unwrap_or_else(|| reason.remedy());
                    self.voice.say(&format!("{name}: No new update: {version}{why} (reason {reason})"));
                }
                (None, _) if !is_behind => self.voice.say(&format!("{name}: No new update available")),
                (None, _) => {}
            },
            _ => {}
        }
    }
}

/// Whether the release before is kept in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    Kept,
    Not,
}

fn told(feed: &FeedId, note: &Note) -> String {
    format!("{feed}: {} (reason {}: {})", note.detail, note.reason, note.reason.remedy())
}

fn is_behind(feed: &FeedId, tree: Option<&Report>) -> bool {
    tree.is_some_and(|tree| keeping::is_behind(feed, tree))
}
