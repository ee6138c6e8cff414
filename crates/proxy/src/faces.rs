//! What is told of a route beside its bytes: the vendor's headers that are passed on, and since when the vendor has not
//! confirmed what is served.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mirror::{Engine, EngineError};
use model::{Digest, FeedId, ItemKind, Outcome, Release, RoutePath, Timestamp, Vendor, parse_http_date};

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
struct Known {
    digest: Digest,
    headers: Vec<(String, String)>,
}

/// The faces of the routes of one vendor that are served.
#[derive(Debug, Default)]
pub struct Faces {
    routes: Mutex<HashMap<RoutePath, Known>>,
    confirmed: Mutex<HashMap<FeedId, Arc<AtomicI64>>>,
}

/// What a path was fetched with.
pub(crate) type Fetched = (RoutePath, Vec<(String, String)>);

impl Faces {
    /// What is told of a route.
    pub fn of(&self, feed: &FeedId, path: &RoutePath, digest: &Digest, pass: &[String]) -> Face {
        let known = lock(&self.routes).get(path).filter(|known| known.digest == *digest).cloned();
        let mut headers = known.map(|known| known.headers).unwrap_or_default();
        headers.retain(|(name, _)| pass.contains(name));
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

    /// Looks up what came with the manifests that are served now; `forwarded` is what came with other paths.
    pub(crate) async fn look_up(&self, engine: &Engine, forwarded: &[Fetched]) -> Result<(), EngineError> {
        let ring = &engine.settings().ring;
        let Some(current) = engine.ports().rings.current(ring).await? else { return Ok(()) };
        let mut found = HashMap::new();
        for (feed, served) in current.generation.feeds.iter().filter(|(feed, _)| feed.vendor() == Vendor::Elastic) {
            let Some(record) = engine.ports().catalog.release(&served.release).await? else { continue };
            for item in &record.release.items {
                let came = if vendors::elastic::is_forwarded(feed) {
                    forwarded.iter().find(|(path, _)| *path == item.route).map(|(_, headers)| headers.clone())
                } else if item.kind == ItemKind::Manifest {
                    came_with(&record.release, &item.route)
                } else {
                    None
                };
                if let Some(headers) = came {
                    found.insert(item.route.clone(), Known { digest: item.digest, headers });
                }
            }
        }
        self.replace(found);
        Ok(())
    }

    /// A date that did not move although the bytes did would make other bytes look unchanged: it is not passed on.
    fn replace(&self, mut found: HashMap<RoutePath, Known>) {
        let mut routes = lock(&self.routes);
        for (path, new) in &mut found {
            let Some(old) = routes.get(path) else { continue };
            if old.digest == new.digest {
                new.headers.clone_from(&old.headers);
            } else if date(&new.headers).is_none_or(|now| date(&old.headers).is_some_and(|before| now <= before)) {
                new.headers.retain(|(name, _)| name != "last-modified");
            }
        }
        *routes = found;
    }

    /// Looks which feeds the vendor has not confirmed for longer than `late`.
    pub(crate) async fn judge(&self, engine: &Engine, late: std::time::Duration) -> Result<(), EngineError> {
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

fn date(headers: &[(String, String)]) -> Option<Timestamp> {
    headers.iter().find(|(name, _)| name == "last-modified").and_then(|(_, value)| parse_http_date(value))
}

/// The headers of the answer that brought a release's file.
pub(crate) fn came_with(release: &Release, route: &RoutePath) -> Option<Vec<(String, String)>> {
    let brought = |exchange: &&model::Exchange| {
        exchange.status == 200 && exchange.urls.first().is_some_and(|url| url.ends_with(route.as_str()))
    };
    let exchange = release.provenance.exchanges.iter().rfind(brought)?;
    let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    Some(exchange.headers.iter().map(lower).filter(|(_, value)| is_safe(value)).collect())
}

/// Whether a value can stand in an answer of ours: it is somebody else's word.
fn is_safe(value: &str) -> bool {
    !value.is_empty() && value.len() < 256 && value.bytes().all(|b| (0x20..0x7f).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(bytes: &[u8], modified: &str) -> HashMap<RoutePath, Known> {
        let headers = vec![
            ("content-type".to_owned(), "application/zip".to_owned()),
            ("last-modified".to_owned(), modified.to_owned()),
        ];
        HashMap::from([("/downloads/a".parse().unwrap(), Known { digest: Digest::of(bytes), headers })])
    }

    fn passed(faces: &Faces, bytes: &[u8]) -> Vec<String> {
        let feed = "elastic/9.0.0".parse().unwrap();
        let pass = ["content-type".to_owned(), "last-modified".to_owned()];
        let face = faces.of(&feed, &"/downloads/a".parse().unwrap(), &Digest::of(bytes), &pass);
        face.headers.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_date_that_stands_still_while_the_bytes_change_is_not_passed_on() {
        let faces = Faces::default();
        faces.replace(known(b"one", "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(passed(&faces, b"one"), ["content-type", "last-modified"]);
        assert_eq!(passed(&faces, b"other"), Vec::<String>::new());
        faces.replace(known(b"two", "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(passed(&faces, b"two"), ["content-type"]);
        faces.replace(known(b"two", "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(passed(&faces, b"two"), ["content-type"], "not at the next look either");
        faces.replace(known(b"three", "Sun, 06 Nov 1994 08:49:38 GMT"));
        assert_eq!(passed(&faces, b"three"), ["content-type", "last-modified"]);
    }

    #[test]
    fn a_value_cannot_end_a_line_u33() {
        for bad in ["", "a\r\nSet-Cookie: x", "\u{1b}[2J", "é", &"x".repeat(300)] {
            assert!(!is_safe(bad), "{bad:?}");
        }
        assert!(is_safe("application/zip; charset=binary"));
    }
}
