//! What is told of a route beside its bytes: the vendor's headers that are passed on, and since when the vendor has not
//! confirmed what is served.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mirror::{Engine, EngineError};
use model::{Digest, FeedId, Outcome, Route, RoutePath, Timestamp, Vendor, error_chain, parse_http_date};
use vendors::elastic::{forwarded_feed, is_forwarded};

use crate::Book;
use crate::book::{AllTold, Lines, Told};
use crate::due::is_due;

const LAST_MODIFIED: &str = "last-modified";

/// What is told of a route beside its bytes.
#[derive(Clone, Debug)]
pub struct Face {
    /// The vendor's headers, names in lower case, that are passed on.
    pub headers: Vec<(String, String)>,
    /// When the vendor last confirmed what is served, in microseconds since 1970, where it has not done so when it
    /// should; 0 while all is well.
    pub confirmed: Arc<AtomicI64>,
}

/// What the vendor confirms at once: a feed's release, or what lies at one path that may go another way: a manifest, or
/// what none names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Feed(FeedId),
    Path(RoutePath),
}

/// How long it may take until the vendor's silence is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late {
    pub(crate) feeds: Duration,
    pub(crate) forwarded: Duration,
}

/// The faces of the routes of one vendor that are served.
#[derive(Debug)]
pub struct Faces {
    book: Arc<Book>,
    /// What was told; none before it was first read.
    told: Mutex<Option<AllTold>>,
    /// What was told and is written down.
    kept: Mutex<AllTold>,
    confirmed: Mutex<HashMap<Subject, Arc<AtomicI64>>>,
    unconfirmed: Mutex<Vec<(FeedId, Timestamp)>>,
    polls: Mutex<HashMap<RoutePath, Poll>>,
}

/// Whether somebody asked for what is served at a path since the last look, and whether it was followed no longer then.
#[derive(Debug, Default)]
struct Poll {
    asked: Arc<AtomicBool>,
    left: bool,
}

impl Faces {
    /// Faces by what is known in this book.
    pub fn new(book: Arc<Book>) -> Self {
        let (told, kept) = (Mutex::default(), Mutex::default());
        let (confirmed, unconfirmed) = (Mutex::default(), Mutex::default());
        Self { book, told, kept, confirmed, unconfirmed, polls: Mutex::default() }
    }

    /// What is told of a route whose bytes are now served by this feed: of the head that they came with, what `may` be.
    ///
    /// A date that did not move although the bytes did would make other bytes look unchanged: it is not passed on.
    pub fn of(&self, feed: &FeedId, at: (&RoutePath, &Digest), may: impl Fn(&str) -> bool) -> Face {
        self.about(Subject::Feed(feed.clone()), at, may)
    }

    /// The same of what is confirmed for its path: a manifest may stand there for its grace alone.
    pub(crate) fn of_path(&self, at: (&RoutePath, &Digest), may: impl Fn(&str) -> bool) -> Face {
        self.about(Subject::Path(at.0.clone()), at, may)
    }

    fn about(&self, subject: Subject, (path, digest): (&RoutePath, &Digest), may: impl Fn(&str) -> bool) -> Face {
        let mut head = self.book.head(digest).unwrap_or_default();
        head.retain(|(name, _)| may(name));
        let headers = self.tell(path, digest, head);
        Face { headers, confirmed: self.confirmed(subject) }
    }

    fn tell(&self, path: &RoutePath, digest: &Digest, mut head: Lines) -> Lines {
        let mut told = lock(&self.told);
        let told = told.get_or_insert_with(|| self.read());
        let known = told.get(path);
        let dated = match known {
            Some(same) if same.digest == *digest => same.dated,
            Some(before) => date(&head) > before.latest,
            None => true,
        };
        if !dated {
            head.retain(|(name, _)| name != LAST_MODIFIED);
        }
        let latest = date(&head).max(known.and_then(|before| before.latest));
        told.insert(path.clone(), Told { digest: *digest, dated, latest });
        head
    }

    fn read(&self) -> AllTold {
        match self.book.told() {
            Ok(told) => {
                lock(&self.kept).clone_from(&told);
                told
            }
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "which dates were passed on cannot be read");
                AllTold::new()
            }
        }
    }

    fn confirmed(&self, subject: Subject) -> Arc<AtomicI64> {
        Arc::clone(lock(&self.confirmed).entry(subject).or_default())
    }

    /// Where it is noted that somebody asks for what is served at a path.
    pub(crate) fn asked(&self, path: &RoutePath) -> Arc<AtomicBool> {
        Arc::clone(&lock(&self.polls).entry(path.clone()).or_default().asked)
    }

    /// The paths at which somebody asked for what is served there and followed no longer, since that was first seen.
    pub(crate) fn take_left(&self, is_left: impl Fn(&RoutePath) -> bool) -> Vec<RoutePath> {
        let mut polls = lock(&self.polls);
        polls.retain(|_, poll| Arc::strong_count(&poll.asked) > 1);
        let asked = polls.iter_mut().filter_map(|(path, poll)| {
            let asked = poll.asked.swap(false, Ordering::Relaxed);
            let was_left = std::mem::replace(&mut poll.left, is_left(path));
            (asked && was_left && poll.left).then(|| path.clone())
        });
        asked.collect()
    }

    /// Since when what is served is not confirmed, for the feeds where that is so: of what no manifest names, the path
    /// that was confirmed longest ago.
    pub fn unconfirmed(&self) -> Vec<(FeedId, Timestamp)> {
        lock(&self.unconfirmed).clone()
    }

    /// Forgets what was told of routes that are served no longer, keeps the rest for other processes, and looks what the
    /// vendor has not confirmed for too long: what is served and followed no longer is confirmed by nobody, nor is what
    /// stands at a manifest's path for its grace alone.
    pub(crate) async fn tend(&self, engine: &Engine, late: Late) -> Result<(), EngineError> {
        let Some(current) = engine.ports().rings.current(&engine.settings().ring).await? else { return Ok(()) };
        let routes = &current.generation.routes;
        if let Some(told) = lock(&self.told).as_mut() {
            told.retain(|path, _| routes.contains_key(path));
        }
        self.keep();
        let now = engine.ports().clock.now();
        let served: HashSet<&FeedId> = routes.values().map(|route| &route.feed).collect();
        let mut since = HashMap::new();
        for record in engine.ports().catalog.feeds().await? {
            let counts = || engine.follows(&record.feed) || served.contains(&record.feed);
            if record.feed.vendor() != Vendor::Elastic || is_forwarded(&record.feed) || !counts() {
                continue;
            }
            let failed = record.outcome == Outcome::Failed || is_due(record.checked_at, now, late.feeds);
            if let Some(at) = record.succeeded_at.filter(|_| failed || engine.left(&record.feed)) {
                since.insert(record.feed, at.min(now));
            }
        }
        let (files, grace) = (self.book.forwarded(), engine.settings().grace.of(Vendor::Elastic));
        let of_route = |path: &RoutePath, route: &Route| {
            if is_forwarded(&route.feed) {
                // What is not known of, or not now, is fetched again by nobody: it stands as it came.
                let came = is_due(route.since, now, late.forwarded).then(|| route.since.min(now));
                return files
                    .iter()
                    .find(|file| file.route == *path)
                    .map_or(came, |file| file.unconfirmed(now, late.forwarded));
            }
            let superseded = route.until.map(|until| until.before(grace).max(route.since).min(now));
            superseded.into_iter().chain(since.get(&route.feed).copied()).min()
        };
        let mut confirmed = lock(&self.confirmed);
        confirmed.retain(|_, at| Arc::strong_count(at) > 1);
        for (subject, at) in confirmed.iter() {
            let unconfirmed = match subject {
                Subject::Feed(feed) => since.get(feed).copied(),
                Subject::Path(path) => routes.get(path).and_then(|route| of_route(path, route)),
            };
            at.store(unconfirmed.map_or(0, Timestamp::as_micros), Ordering::Relaxed);
        }
        let forwarded = routes.iter().filter(|(_, route)| is_forwarded(&route.feed));
        let oldest = forwarded.filter_map(|(path, route)| of_route(path, route)).min();
        let mut found: Vec<_> = since.iter().map(|(feed, at)| (feed.clone(), *at)).collect();
        found.extend(forwarded_feed().zip(oldest));
        found.sort();
        *lock(&self.unconfirmed) = found;
        Ok(())
    }

    /// Writes down what was told since this was last done.
    fn keep(&self) {
        let Some(told) = lock(&self.told).clone() else { return };
        let mut kept = lock(&self.kept);
        if *kept == told {
            return;
        }
        match self.book.keep_told(&told) {
            Ok(()) => *kept = told,
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "which dates were passed on cannot be kept");
            }
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time that the header of that name tells.
fn date(headers: &Lines) -> Option<Timestamp> {
    headers.iter().find(|(name, _)| name == LAST_MODIFIED).and_then(|(_, value)| parse_http_date(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keeping;

    const FIRST: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn faces(dir: &std::path::Path) -> Faces {
        Faces::new(Arc::new(Book::new(dir, Keeping::default())))
    }

    fn told(faces: &Faces, bytes: &[u8], modified: &str) -> Vec<String> {
        let head = [("content-type", "application/zip"), ("last-modified", modified)];
        let head = head.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let told = faces.tell(&"/downloads/a".parse().unwrap(), &Digest::of(bytes), head);
        told.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_date_that_stands_still_while_the_bytes_change_is_not_passed_on() {
        let dir = tempfile::tempdir().unwrap();
        let faces = faces(dir.path());
        assert_eq!(told(&faces, b"one", FIRST), ["content-type", "last-modified"]);
        assert_eq!(told(&faces, b"one", FIRST), ["content-type", "last-modified"]);
        assert_eq!(told(&faces, b"two", FIRST), ["content-type"]);
        assert_eq!(told(&faces, b"two", FIRST), ["content-type"], "not at the next look either");
        assert_eq!(told(&faces, b"again", FIRST), ["content-type"], "nor with the bytes after those");
        assert_eq!(told(&faces, b"three", LATER), ["content-type", "last-modified"]);
        assert_eq!(told(&faces, b"four", "no date"), ["content-type"]);
    }

    #[test]
    fn what_was_asked_for_while_it_was_followed_is_no_reason_to_follow_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let (faces, path) = (faces(dir.path()), "/downloads/a".parse().unwrap());
        let asked = faces.asked(&path);
        let ask = || asked.store(true, Ordering::Relaxed);
        let looks = [(true, false), (true, true), (false, true), (true, true), (true, false)];
        let taken = looks.map(|(asks, is_left)| {
            if asks {
                ask();
            }
            faces.take_left(|_| is_left).len()
        });
        assert_eq!(taken, [0, 0, 0, 1, 0]);
    }

    #[test]
    fn nor_is_it_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let before = faces(dir.path());
        told(&before, b"one", FIRST);
        assert_eq!(told(&before, b"two", FIRST), ["content-type"]);
        before.keep();
        let after = faces(dir.path());
        assert_eq!(told(&after, b"two", FIRST), ["content-type"], "the same bytes, the same face");
        assert_eq!(told(&after, b"three", FIRST), ["content-type"]);
        assert_eq!(told(&after, b"four", LATER), ["content-type", "last-modified"]);
    }
}
