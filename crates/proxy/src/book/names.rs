//! What the manifests that were read last name, in memory: a file that one of them names comes in by its proof, or not
//! at all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Digest, FeedId, RoutePath};

/// How many manifests that belong to no feed are remembered.
const STRAYS: usize = 64;

/// What each feed's newest manifest names, and manifests that belong to none. Paths are compared as the least discerning
/// server would.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<BTreeMap<FeedId, BTreeMap<String, Digest>>>, Mutex<VecDeque<Stray>>);

/// A manifest's own path, and what it names.
type Stray = (RoutePath, BTreeMap<String, Digest>);

/// A path as it is compared.
pub(crate) fn folded(path: &RoutePath) -> String {
    path.as_str().to_ascii_lowercase()
}

impl Names {
    fn all(&self) -> MutexGuard<'_, BTreeMap<FeedId, BTreeMap<String, Digest>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read(&self, feed: &FeedId, files: &[(RoutePath, Digest)]) {
        if !files.is_empty() {
            let files = files.iter().map(|(path, digest)| (folded(path), *digest)).collect();
            self.all().insert(feed.clone(), files);
        }
    }

    pub(super) fn read_stray(&self, path: &RoutePath, files: Vec<(RoutePath, Digest)>) {
        let files = files.iter().map(|(path, digest)| (folded(path), *digest)).collect();
        let mut strays = self.strays();
        strays.retain(|(known, _)| known != path);
        strays.push_back((path.clone(), files));
        if strays.len() > STRAYS {
            strays.pop_front();
        }
    }

    fn strays(&self) -> MutexGuard<'_, VecDeque<Stray>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The digests that manifests name at a path.
    pub(super) fn at(&self, path: &RoutePath) -> Vec<Digest> {
        let path = folded(path);
        let mut named: Vec<Digest> = self.all().values().filter_map(|files| files.get(&path).copied()).collect();
        named.extend(self.strays().iter().filter_map(|(_, files)| files.get(&path).copied()));
        named
    }

    pub(super) fn forget(&self, feed: &FeedId) {
        self.all().remove(feed);
    }

    pub(super) fn knows(&self, feed: &FeedId) -> bool {
        self.all().contains_key(feed)
    }
}
