//! What is told of a route beside its bytes: the vendor's headers that are passed on, and since when the vendor has not
//! confirmed what is served.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mirror::{Engine, EngineError};
use model::{Digest, FeedId, Outcome, RoutePath, Timestamp, Vendor, parse_http_date};

use crate::book::Lines;

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

#[derive(Clone, Debug)]
struct Shown {
    digest: Digest,
    headers: Lines,
    /// The latest date that was ever told there.
    latest: Option<Timestamp>,
}

/// The faces of the routes of one vendor that are served.
#[derive(Debug, Default)]
pub struct Faces {
    shown: Mutex<HashMap<RoutePath, Shown>>,
    confirmed: Mutex<HashMap<FeedId, Arc<AtomicI64>>>,
}

impl Faces {
    /// What is told of a route whose bytes came with this head, and are now served by this feed.
    ///
    /// A date that did not move although the bytes did would make other bytes look unchanged: it is not passed on.
    pub(crate) fn of(&self, feed: &FeedId, (path, digest): (&RoutePath, &Digest), head: Lines) -> Face {
        let mut shown = lock(&self.shown);
        let known = shown.get(path);
        let headers = match known {
            Some(same) if same.digest == *digest => same.headers.clone(),
            Some(before) if date(&head) <= before.latest => {
                head.into_iter().filter(|(name, _)| name != LAST_MODIFIED).collect()
            }
            _ => head,
        };
        let latest = date(&headers).max(known.and_then(|before| before.latest));
        shown.insert(path.clone(), Shown { digest: *digest, headers: headers.clone(), latest });
        Face { headers, confirmed: self.confirmed(feed) }
    }

    fn confirmed(&self, feed: &FeedId) -> Arc<AtomicI64> {
        Arc::clone(lock(&self.confirmed).entry(feed.clone()).or_default())
    }

    /// Since when what is served of a feed is not confirmed, for those where that is so.
    pub fn unconfirmed(&self) -> Vec<(FeedId, Timestamp)> {
        let all = lock(&self.confirmed);
        let since = all.iter().map(|(feed, at)| (feed.clone(), at.load(Ordering::Relaxed)));
        let mut found: Vec<_> =
            since.filter(|(_, at)| *at != 0).map(|(feed, at)| (feed, Timestamp::from_micros(at))).collect();
        found.sort();
        found
    }

    /// Forgets what was told of routes that are served no longer, and looks which feeds the vendor has not confirmed for
    /// longer than `late`.
    pub(crate) async fn tend(&self, engine: &Engine, late: std::time::Duration) -> Result<(), EngineError> {
        if let Some(current) = engine.ports().rings.current(&engine.settings().ring).await? {
            lock(&self.shown).retain(|path, _| current.generation.routes.contains_key(path));
        }
        let now = engine.ports().clock.now();
        for record in engine.ports().catalog.feeds().await? {
            if record.feed.vendor() != Vendor::Elastic || vendors::elastic::is_forwarded(&record.feed) {
                continue;
            }
            let failed = record.outcome == Outcome::Failed || now.since(record.checked_at) > late;
            let since = if failed { record.succeeded_at } else { None };
            self.confirmed(&record.feed).store(since.map_or(0, Timestamp::as_micros), Ordering::Relaxed);
        }
        Ok(())
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

    fn told(faces: &Faces, bytes: &[u8], modified: &str) -> Vec<String> {
        let feed = "elastic/9.0.0".parse().unwrap();
        let head = [("content-type", "application/zip"), ("last-modified", modified)];
        let head = head.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let face = faces.of(&feed, (&"/downloads/a".parse().unwrap(), &Digest::of(bytes)), head);
        face.headers.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_date_that_stands_still_while_the_bytes_change_is_not_passed_on() {
        let faces = Faces::default();
        let (first, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(told(&faces, b"one", first), ["content-type", "last-modified"]);
        assert_eq!(told(&faces, b"one", first), ["content-type", "last-modified"]);
        assert_eq!(told(&faces, b"two", first), ["content-type"]);
        assert_eq!(told(&faces, b"two", first), ["content-type"], "not at the next look either");
        assert_eq!(told(&faces, b"again", first), ["content-type"], "nor with the bytes after those");
        assert_eq!(told(&faces, b"three", later), ["content-type", "last-modified"]);
        assert_eq!(told(&faces, b"four", "no date"), ["content-type"]);
    }
}
