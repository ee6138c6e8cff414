//! A wanted list that was brought from elsewhere: what the vendor has of it is followed, most asked for first.

use std::collections::BTreeSet;

use mirror::{Engine, EngineError};
use model::{FeedId, Note, RoutePath};
use vendors::elastic::wanted;

use crate::discover::{full, is_absence, probe, record};
use crate::{Book, BookError, Exported, Rules, WantedEntry, Why};

/// After so many in a row that could not be asked for, the vendor is not asked any more.
const IN_VAIN: usize = 3;

/// What came of a list.
#[derive(Debug, Default)]
pub struct Brought {
    /// What is followed, and is to be fetched.
    pub feeds: Vec<FeedId>,
    /// What of it is followed from now on.
    pub learned: Vec<FeedId>,
    /// What is not followed, and why: the vendor does not have it, or could not be asked, or there is no room.
    pub left: Vec<(FeedId, Note)>,
    /// What was asked for and is no manifest's path: nobody can say what it belongs to.
    pub unnamed: Vec<RoutePath>,
    /// The manifests that were asked for, each with where.
    paths: Vec<(FeedId, RoutePath)>,
}

/// A path that was asked for, where nothing is served although its feed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// What is served.
    pub feed: FeedId,
    /// Where it was asked for.
    pub asked: RoutePath,
    /// Where its manifest is, as far as that is one.
    pub served: Option<RoutePath>,
}

impl Brought {
    /// The paths of the list at which nothing is served by now although their feeds are: the vendor's manifest lies at
    /// several, and was fetched at one.
    ///
    /// # Errors
    /// [`EngineError`] when the ring cannot be read.
    pub async fn elsewhere(&self, engine: &Engine) -> Result<Vec<Elsewhere>, EngineError> {
        let Some(current) = engine.ports().rings.current(&engine.settings().ring).await? else { return Ok(Vec::new()) };
        let (feeds, routes) = (&current.generation.feeds, &current.generation.routes);
        let settings = engine.vendor_settings().elastic;
        let lies_at = |feed: &FeedId| {
            let mut own = routes.iter().filter(|(_, route)| route.feed == *feed).map(|(path, _)| path);
            own.find(|path| wanted(path, &settings).is_some_and(|found| found.feed == *feed)).cloned()
        };
        let away = self.paths.iter().filter(|(feed, path)| feeds.contains_key(feed) && !routes.contains_key(path));
        let told =
            away.map(|(feed, path)| Elsewhere { feed: feed.clone(), asked: path.clone(), served: lies_at(feed) });
        Ok(told.collect())
    }
}

/// Follows what a list asks for, as far as the vendor has it and there is room. A list is somebody else's word: feed and
/// form of path are told from each path anew, and nothing else of it is kept.
///
/// # Errors
/// [`BookError`] when what was learned cannot be read or kept.
pub async fn bring(engine: &Engine, book: &Book, rules: &Rules, list: &Exported) -> Result<Brought, BookError> {
    let mut bringing = Bringing { engine, book, rules, brought: Brought::default(), in_vain: None };
    let mut entries: Vec<&WantedEntry> = list.wanted.iter().collect();
    entries.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.path.cmp(&b.path)));
    let settings = engine.vendor_settings().elastic;
    let mut seen = BTreeSet::new();
    for entry in entries {
        let Some(found) = wanted(&entry.path, &settings) else {
            if !bringing.brought.unnamed.contains(&entry.path) {
                bringing.brought.unnamed.push(entry.path.clone());
            }
            continue;
        };
        let asked = (found.feed.clone(), entry.path.clone());
        if !bringing.brought.paths.contains(&asked) {
            bringing.brought.paths.push(asked);
        }
        if seen.insert((found.feed.clone(), found.guess.clone())) {
            bringing.one(found.feed, found.guess.as_deref()).await?;
        }
    }
    Ok(bringing.brought)
}

struct Bringing<'a> {
    engine: &'a Engine,
    book: &'a Book,
    rules: &'a Rules,
    brought: Brought,
    /// The last failure of those in a row that say nothing of what the vendor has, and how many there were.
    in_vain: Option<(usize, Note)>,
}

impl Bringing<'_> {
    async fn one(&mut self, feed: FeedId, guess: Option<&str>) -> Result<(), BookError> {
        let follows = self.engine.follows(&feed);
        if follows && guess.is_none() {
            self.take(feed);
            return Ok(());
        }
        let offered = match &self.in_vain {
            Some((times, last)) if *times >= IN_VAIN => Err(unasked(last)),
            _ => probe(self.engine, self.book, &feed, guess).await,
        };
        self.in_vain = match (&offered, self.in_vain.take()) {
            (Err(failure), before) if !is_absence(failure.reason) => {
                Some((before.map_or(1, |(times, _)| times.saturating_add(1)), failure.clone()))
            }
            _ => None,
        };
        match offered {
            // Its place may be known by now; whatever else is wrong, its run tells.
            _ if follows => self.take(feed),
            Ok(version) => {
                let now = self.engine.ports().clock.now();
                match self.book.learn(&feed, Why::Operator, now, self.rules.learned_feeds) {
                    Ok(news) => {
                        if news {
                            record(self.engine, self.book, &feed, Why::Operator).await;
                            self.brought.learned.push(feed.clone());
                        }
                        self.take(feed);
                    }
                    Err(BookError::Full { .. }) => {
                        self.leave(feed, full(Some(&version), self.rules.learned_feeds));
                    }
                    Err(error) => return Err(error),
                }
            }
            Err(failure) => self.leave(feed, failure),
        }
        Ok(())
    }

    fn take(&mut self, feed: FeedId) {
        self.brought.left.retain(|(known, _)| *known != feed);
        if !self.brought.feeds.contains(&feed) {
            self.brought.feeds.push(feed);
        }
    }

    /// A feed may be in the list at several paths: what one lacks another may have.
    fn leave(&mut self, feed: FeedId, why: Note) {
        let known = |(known, _): &(FeedId, Note)| *known == feed;
        if !self.brought.feeds.contains(&feed) && !self.brought.left.iter().any(known) {
            self.brought.left.push((feed, why));
        }
    }
}

fn unasked(last: &Note) -> Note {
    let detail = format!(
        "not asked for any more: the vendor could not be asked before ({}: {})",
        last.reason.code(),
        last.detail
    );
    let detail = if last.detail.starts_with("not asked for") { last.detail.clone() } else { detail };
    Note { reason: last.reason, detail }
}

#[cfg(test)]
mod tests {
    use model::Reason;

    use super::*;

    #[test]
    fn what_is_asked_for_no_more_says_why_once() {
        let last = Note { reason: Reason::ConnectFailed, detail: "refused".to_owned() };
        let first = unasked(&last);
        assert!(first.detail.contains("connect_failed: refused"), "{first:?}");
        assert_eq!(unasked(&first), first);
    }
}
