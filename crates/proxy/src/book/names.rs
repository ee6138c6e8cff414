//! What the manifests that were read last name, in memory: a file that one of them names comes in by its proof, or not
//! at all.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Digest, FeedId, RoutePath};

/// What each feed's newest manifest names. Paths are compared as the least discerning server would.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<BTreeMap<FeedId, BTreeMap<String, Digest>>>);

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

    /// The digests that manifests name at a path.
    pub(super) fn at(&self, path: &RoutePath) -> Vec<Digest> {
        let path = folded(path);
        self.all().values().filter_map(|files| files.get(&path).copied()).collect()
    }

    pub(super) fn forget(&self, feed: &FeedId) {
        self.all().remove(feed);
    }

    pub(super) fn knows(&self, feed: &FeedId) -> bool {
        self.all().contains_key(feed)
    }
}
