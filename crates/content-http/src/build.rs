//! From a generation to an index: every blob is known to open, or known to be broken.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{Generation, Route, RoutePath};

use crate::blob::{Blob, Blobs};
use crate::damage::Damage;
use crate::index::{Entry, Served, Whose};
use crate::source::Loaded;
use crate::watch::Chain;
use crate::{Beyond, Source, SourceError};

/// What an index is made with.
pub(crate) struct Builder<'a> {
    pub(crate) blobs: &'a mut Blobs,
    pub(crate) damage: &'a Damage,
    pub(crate) source: &'a dyn Source,
    /// Who tells of routes what there is to tell beside their bytes.
    pub(crate) beyond: Option<&'a Arc<dyn Beyond>>,
}

/// A generation ready to serve, and what of it cannot be served now.
pub(crate) struct Built {
    pub(crate) served: Served,
    pub(crate) broken: Vec<Broken>,
    /// Large blobs that the generation before did not serve, read to their end or not yet.
    pub(crate) large: Vec<Arc<Blob>>,
}

/// A route without bytes.
pub(crate) struct Broken {
    path: String,
    pub(crate) blob: Arc<Blob>,
    error: SourceError,
}

impl Broken {
    /// What is wrong, for the operator.
    pub(crate) fn why(&self) -> SourceError {
        format!("the bytes of {} cannot be served: {}", self.path, Chain(&self.error)).into()
    }
}

impl Builder<'_> {
    /// Takes over from `old` what is the same in it. Blobs that are new, and those that were broken, are opened.
    pub(crate) fn build(mut self, loaded: Loaded, old: Option<&Served>) -> Built {
        let Generation { number, at, feeds, routes, .. } = loaded.generation;
        let mut index = HashMap::with_capacity(routes.len());
        let (mut broken, mut large) = (Vec::new(), Vec::new());
        for (path, route) in routes {
            let key: Box<[u8]> = path.as_str().as_bytes().into();
            let same = old.and_then(|old| old.routes.get(&key)).filter(|entry| {
                let same = entry.blob.digest == route.digest && entry.blob.size == route.size;
                same && entry.since == route.since && entry.is_of(&route.feed)
            });
            let (entry, error) = match same {
                Some(entry) => (Arc::clone(entry), None),
                None => {
                    let (blob, error) = self.blob(&route);
                    if blob.is_large() {
                        large.push(Arc::clone(&blob));
                    }
                    let entry = Entry::new(path.as_str(), blob, route.since);
                    (Arc::new(self.told(entry, &path, &route)), error)
                }
            };
            let error = match error {
                None if entry.blob.is_broken() => self.damage.heal(&entry.blob, self.source).err(),
                known => known,
            };
            if let Some(error) = error {
                broken.push(Broken { path: path.to_string(), blob: Arc::clone(&entry.blob), error });
            }
            index.insert(key, entry);
        }
        let bases = feeds.values().flat_map(|feed| &feed.bases).map(|base| base.as_str().as_bytes().into()).collect();
        if let (Some(old), false) = (old, large.is_empty()) {
            // What is served under another path, or since another time, is waited for by nobody.
            let served: HashSet<_> = old.routes.values().map(|entry| (entry.blob.digest, entry.blob.size)).collect();
            large.retain(|blob| !served.contains(&(blob.digest, blob.size)));
        }
        Built { served: Served { number, digest: loaded.digest, at, routes: index, bases }, broken, large }
    }

    fn told(&self, entry: Entry, path: &RoutePath, route: &Route) -> Entry {
        let Some(beyond) = self.beyond else { return entry };
        entry.told_by(Whose { beyond: Arc::clone(beyond), feed: route.feed.clone(), path: path.clone() })
    }

    /// The blob of a route; with the error when it does not open now.
    fn blob(&mut self, route: &Route) -> (Arc<Blob>, Option<SourceError>) {
        if let Some(blob) = self.blobs.known(&route.digest, route.size) {
            return (blob, None);
        }
        let opened = self.source.open(&route.digest, route.size);
        let blob = self.blobs.add(route.digest, route.size);
        match opened {
            Ok(file) => {
                blob.first_seen(&file);
                (blob, None)
            }
            Err(error) => {
                self.damage.note(&blob, 0, None, &error);
                (blob, Some(error))
            }
        }
    }
}
