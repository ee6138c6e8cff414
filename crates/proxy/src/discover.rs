//! What a process that does not stay finds out at the vendor: what is to be followed of what endpoints asked for and
//! patterns stand for. Nothing is fetched here but manifests.

use mirror::Engine;
use model::{FeedId, Note, Outcome, Reason, Timestamp, VendorVersion, error_chain};

use crate::gatherer::may_ask;
use crate::list::Tried;
use crate::placed::is_placed;
use crate::{Book, BookError, Rules, WantedList, Why};

/// What was found out.
#[derive(Debug, Default)]
pub struct Discovery {
    /// What is followed from now on, and why.
    pub learned: Vec<(FeedId, Why)>,
    /// What could not be found out, or not be followed.
    pub troubles: Vec<(FeedId, Note)>,
    /// The lines of versions that were gone through, each with the highest version that was asked for.
    pub lines: Vec<(String, FeedId)>,
    /// What cannot be read or kept of what was asked for or learned: it was gone on without.
    pub unread: Vec<BookError>,
}

/// Finds out what is to be followed beside what is, and follows it; the engine must take `book` for what was learned. With
/// a book that only supposes, nothing is changed. What cannot be read keeps nothing from being fetched: it is told, and the
/// rest is gone on with.
pub async fn discover(engine: &Engine, book: &Book, rules: &Rules) -> Discovery {
    let mut search = Search { engine, book, rules, found: Discovery::default() };
    // Where that does not read, nothing more can be learned: nobody is asked in vain.
    if let Err(error) = book.learned() {
        search.found.unread.push(error);
        return search.found;
    }
    if let Err(error) = search.asked_for().await {
        search.found.unread.push(error);
    }
    if let Err(error) = search.lines().await {
        search.found.unread.push(error);
    }
    search.found
}

/// Follows what was found in a folder, as far as endpoints asked for it or patterns stand for it, and there is room. Nobody
/// is asked. What cannot be read is told, and the rest is gone on with.
pub async fn follow_found(engine: &Engine, book: &Book, rules: &Rules, found: &[FeedId]) -> Discovery {
    let mut search = Search { engine, book, rules, found: Discovery::default() };
    let list = book.wanted().unwrap_or_else(|error| {
        search.found.unread.push(error);
        WantedList::default()
    });
    let wanted: Vec<FeedId> = list.entries().into_iter().filter_map(|entry| entry.feed).collect();
    if let Err(error) = search.found_in_folder(found, &wanted).await {
        search.found.unread.push(error);
    }
    search.found
}

struct Search<'a> {
    engine: &'a Engine,
    book: &'a Book,
    rules: &'a Rules,
    found: Discovery,
}

impl Search<'_> {
    async fn found_in_folder(&mut self, found: &[FeedId], wanted: &[FeedId]) -> Result<(), BookError> {
        for feed in found.iter().filter(|feed| !self.engine.follows(feed)) {
            let why = self.rules.why(feed).filter(|why| *why == Why::Pattern || wanted.contains(feed));
            let Some(why) = why else { continue };
            if let Some(full) = self.learn((feed, why), None).await? {
                self.found.troubles.push((feed.clone(), full));
            }
        }
        Ok(())
    }

    /// A list that does not read is left as it is: whoever gathers what is asked for next begins it anew.
    async fn asked_for(&mut self) -> Result<(), BookError> {
        let mut list = self.book.wanted()?;
        self.places(&mut list).await;
        let looked = self.wanted(&mut list).await;
        // What came of asking so far is kept, whatever ended it.
        self.book.keep_wanted(&list)?;
        looked
    }

    /// Asks the vendor at the places that endpoints' requests suggest, where a feed is followed whose place is not known, or
    /// not any more: the run that comes next goes there.
    async fn places(&self, list: &mut WantedList) {
        let all_known = !self.engine.feeds().iter().any(is_placed);
        for entry in list.entries() {
            let now = self.engine.ports().clock.now();
            let (Some(feed), Some(guess)) = (&entry.feed, &entry.guess) else { continue };
            let is_theirs = self.engine.follows(feed) || !all_known && self.rules.why(feed).is_none();
            if !is_theirs || !may_ask(&entry, now) || !may_lie_elsewhere(self.engine, feed).await {
                continue;
            }
            let Err(failure) = probe(self.engine, self.book, feed, Some(guess)).await else { continue };
            let is_absent = is_absence(failure.reason);
            list.note(feed, &Tried { at: now, reason: failure.reason, detail: failure.detail });
            if !is_absent {
                // It could not be asked; the run itself tells why.
                return;
            }
        }
    }

    async fn wanted(&mut self, list: &mut WantedList) -> Result<(), BookError> {
        for entry in list.entries() {
            let now = self.engine.ports().clock.now();
            let Some((feed, why)) = entry.feed.clone().and_then(|feed| Some((feed.clone(), self.rules.why(&feed)?)))
            else {
                continue;
            };
            let room = self.book.has_room(&self.book.learned()?, &feed, why, self.rules.learned_feeds);
            if self.engine.follows(&feed) || !(may_ask(&entry, now) || room && entry.is_shut_out()) {
                continue;
            }
            let failure = match probe(self.engine, self.book, &feed, entry.guess.as_deref()).await {
                Ok(version) => match self.learn((&feed, why), Some(&version)).await? {
                    None => continue,
                    Some(full) => full,
                },
                Err(failure) => failure,
            };
            list.note(&feed, &Tried { at: now, reason: failure.reason, detail: failure.detail.clone() });
            if !is_absence(failure.reason) {
                self.found.troubles.push((feed, failure));
            }
        }
        Ok(())
    }

    async fn lines(&mut self) -> Result<(), BookError> {
        for pattern in &self.rules.patterns {
            let now = self.engine.ports().clock.now();
            if !self.book.is_probe_due(&pattern.name, now, self.rules.probe) {
                continue;
            }
            let mut walk = pattern.walk(&self.engine.feeds());
            let (mut whole, mut last) = (true, None);
            while let Some(feed) = walk.next() {
                last = Some(feed.clone());
                let failure = match probe(self.engine, self.book, &feed, None).await {
                    Ok(version) => {
                        walk.there();
                        self.learn((&feed, Why::Pattern), Some(&version)).await?
                    }
                    Err(failure) if is_absence(failure.reason) || failure.reason == Reason::Refused => {
                        walk.absent();
                        None
                    }
                    Err(failure) => Some(failure),
                };
                if let Some(failure) = failure {
                    self.found.troubles.push((feed, failure));
                    whole = false;
                    break;
                }
            }
            if whole {
                self.book.note_probed(&pattern.name, now)?;
                self.found.lines.extend(last.map(|last| (pattern.name.clone(), last)));
            }
        }
        Ok(())
    }

    /// Follows a feed that the vendor has, or says that there is no room: another may have taken the last place meanwhile.
    async fn learn(
        &mut self,
        (feed, why): (&FeedId, Why),
        version: Option<&VendorVersion>,
    ) -> Result<Option<Note>, BookError> {
        let (now, most) = (self.engine.ports().clock.now(), self.rules.learned_feeds);
        match self.book.learn(feed, why, now, most) {
            Ok(false) => {}
            Ok(true) => {
                record(self.engine, self.book, feed, why).await;
                self.found.learned.push((feed.clone(), why));
            }
            Err(BookError::Full { .. }) => return Ok(Some(full(version, most))),
            Err(error) => return Err(error),
        }
        Ok(None)
    }
}

pub(crate) async fn record(engine: &Engine, book: &Book, feed: &FeedId, why: Why) {
    if book.keeps_nothing() {
        return;
    }
    if let Err(error) = engine.record_learning(feed, "learn", why.as_str()).await {
        tracing::error!(%feed, error = %error_chain(&error), "that it was learned could not be recorded");
    }
}

/// What the vendor offers of a feed, looked for also where an endpoint's request suggests.
pub(crate) async fn probe(
    engine: &Engine,
    book: &Book,
    feed: &FeedId,
    guess: Option<&str>,
) -> Result<VendorVersion, Note> {
    if let Some(guess) = guess
        && let Err(error) = book.guess(guess)
    {
        return Err(Note { reason: Reason::Internal, detail: error_chain(&error) });
    }
    let offered = engine.probe(feed).await;
    if let (Some(guess), Err(_)) = (guess, &offered) {
        // What is not dropped now is pushed out by the next.
        let _ = book.drop_guess(guess);
    }
    offered
}

/// What is said of a feed that the vendor has and that finds no room.
pub(crate) fn full(version: Option<&VendorVersion>, most: usize) -> Note {
    let has = version.map_or_else(|| "it is offered".to_owned(), |version| format!("the vendor has version {version}"));
    let detail = format!("{has}; {most} feeds are learned, and elastic.learned_feeds lets no more in");
    Note { reason: Reason::LearnedFull, detail }
}

/// Whether a feed was never had, or is lost where it lay.
async fn may_lie_elsewhere(engine: &Engine, feed: &FeedId) -> bool {
    let record = engine.ports().catalog.feed(feed).await;
    record.is_ok_and(|record| record.is_none()) || is_lost(engine, feed).await.is_some()
}

/// When the vendor was last asked for a feed, where it had none then where that is known to lie.
pub(crate) async fn is_lost(engine: &Engine, feed: &FeedId) -> Option<Timestamp> {
    let record = engine.ports().catalog.feed(feed).await.ok().flatten()?;
    let absent = record.outcome == Outcome::Failed && record.reason.is_some_and(is_absence);
    absent.then_some(record.checked_at)
}

/// Whether an answer says that the vendor does not have what was asked for.
pub(crate) const fn is_absence(reason: Reason) -> bool {
    matches!(reason, Reason::NotFound | Reason::DatedPathUnknown | Reason::PathUnknown)
}
