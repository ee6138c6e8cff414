//! What the manifests that were read last name: a file that one of them names comes in by its proof, or not at all.
//!
//! What feeds' manifests name is read anew with each of them and kept in memory alone. Nobody reads a manifest anew that
//! belongs to no feed: what it names is written down.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Digest, FeedId, RoutePath, error_chain};
use platform::fs::Mode;
use platform::lock::FileLock;
use serde::{Deserialize, Serialize};

use super::{Book, BookError, LOCK};

const STRAYS: &str = "strays.json";
/// How many manifests that belong to no feed are remembered.
const MOST: usize = 64;
/// How many files they name in all, as far as that is remembered.
const MOST_FILES: usize = 20_000;

/// What each feed's newest manifest names. Paths are compared as the least discerning server would.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<BTreeMap<FeedId, BTreeMap<String, Digest>>>, Mutex<Option<Strays>>);

/// A manifest that belongs to no feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stray {
    path: RoutePath,
    files: BTreeMap<String, Digest>,
}

/// Those that are remembered, as they are written down, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Strays {
    /// Counts up when what is written here changes its form.
    form: u32,
    strays: Vec<Stray>,
}

impl Strays {
    fn read(text: &str) -> Option<Self> {
        let strays: Self = serde_json::from_str(text).ok()?;
        (strays.form <= 1).then_some(strays)
    }

    fn add(&mut self, stray: Stray) {
        self.drop(&stray.path);
        self.strays.push(stray);
        let files = |strays: &[Stray]| strays.iter().map(|stray| stray.files.len()).sum::<usize>();
        while self.strays.len() > MOST || self.strays.len() > 1 && files(&self.strays) > MOST_FILES {
            self.strays.remove(0);
        }
    }

    fn drop(&mut self, path: &RoutePath) {
        self.strays.retain(|known| known.path != *path);
    }
}

/// A path as it is compared.
pub(crate) fn folded(path: &RoutePath) -> String {
    path.as_str().to_ascii_lowercase()
}

fn by_path(files: &[(RoutePath, Digest)]) -> BTreeMap<String, Digest> {
    files.iter().map(|(path, digest)| (folded(path), *digest)).collect()
}

impl Names {
    fn all(&self) -> MutexGuard<'_, BTreeMap<FeedId, BTreeMap<String, Digest>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strays(&self) -> MutexGuard<'_, Option<Strays>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self, feed: &FeedId) {
        self.all().remove(feed);
    }

    pub(super) fn knows(&self, feed: &FeedId) -> bool {
        self.all().contains_key(feed)
    }
}

impl Book {
    /// A feed's newest manifest names these files. One that names the very same, and was taken for nobody's, is this feed's:
    /// it lay at a second path a moment earlier than at the first.
    pub(super) fn note_named(&self, feed: &FeedId, files: &[(RoutePath, Digest)]) {
        let files = by_path(files);
        if files.is_empty() || self.keeps_nothing() {
            return;
        }
        let known = self.change_strays(|strays| strays.strays.retain(|stray| stray.files != files));
        if let Err(error) = known {
            tracing::warn!(%feed, error = %error_chain(&error), "what it names may still count as named by no feed");
        }
        self.names.all().insert(feed.clone(), files);
    }

    /// The digests that the manifests read last name at a path, whether they are served or were refused.
    ///
    /// # Errors
    /// [`BookError`] when what was written down of it cannot be read.
    pub(crate) fn named_at(&self, path: &RoutePath) -> Result<Vec<Digest>, BookError> {
        let path = folded(path);
        let mut named: Vec<Digest> = self.names.all().values().filter_map(|files| files.get(&path).copied()).collect();
        self.with_strays(|strays| {
            named.extend(strays.strays.iter().filter_map(|stray| stray.files.get(&path).copied()));
        })?;
        Ok(named)
    }

    /// A manifest at this path names these files, and belongs to no feed.
    ///
    /// # Errors
    /// [`BookError`] when that cannot be kept.
    pub(crate) fn note_stray(&self, path: &RoutePath, files: &[(RoutePath, Digest)]) -> Result<(), BookError> {
        let stray = Stray { path: path.clone(), files: by_path(files) };
        self.change_strays(|strays| strays.add(stray))
    }

    /// The manifest at this path belongs to a feed.
    ///
    /// # Errors
    /// [`BookError`] when that cannot be kept.
    pub(crate) fn drop_stray(&self, path: &RoutePath) -> Result<(), BookError> {
        self.change_strays(|strays| strays.drop(path))
    }

    fn with_strays<T>(&self, then: impl FnOnce(&mut Strays) -> T) -> Result<T, BookError> {
        let mut strays = self.names.strays();
        if strays.is_none() {
            let text = self.text(STRAYS)?;
            let read = text.as_deref().map_or_else(|| Some(Strays::default()), Strays::read);
            *strays = Some(read.ok_or_else(|| self.damaged(STRAYS))?);
        }
        Ok(then(strays.get_or_insert_default()))
    }

    fn change_strays(&self, change: impl FnOnce(&mut Strays)) -> Result<(), BookError> {
        let changed = self.with_strays(|strays| {
            let before = strays.clone();
            change(strays);
            strays.form = 1;
            (before.strays != strays.strays).then(|| serde_json::to_string(strays))
        })?;
        let Some(text) = changed else { return Ok(()) };
        let folder = self.folder()?;
        let _lock = FileLock::acquire_blocking_in(&folder, LOCK)?;
        Ok(folder.write_atomic(STRAYS, text?.as_bytes(), Mode::PRIVATE_FILE)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keeping;

    fn path(text: &str) -> RoutePath {
        text.parse().unwrap()
    }

    #[test]
    fn what_a_manifest_of_no_feed_names_is_known_to_the_next_process_too() {
        let dir = tempfile::tempdir().unwrap();
        let book = || Book::new(dir.path(), Keeping::default());
        let digest = Digest::of(b"a");
        book().note_stray(&path("/downloads/stray"), &[(path("/downloads/A"), digest)]).unwrap();
        assert_eq!(book().named_at(&path("/downloads/a")).unwrap(), [digest]);
        assert_eq!(book().named_at(&path("/downloads/b")).unwrap(), []);
        let last = book();
        last.drop_stray(&path("/downloads/stray")).unwrap();
        assert_eq!(last.named_at(&path("/downloads/a")).unwrap(), []);
        assert_eq!(book().named_at(&path("/downloads/a")).unwrap(), []);
        // Nobody knows what it said: nothing counts as named by none.
        std::fs::write(dir.path().join("wanted").join(STRAYS), "{").unwrap();
        assert!(book().named_at(&path("/downloads/a")).is_err());
    }

    #[test]
    fn a_manifest_that_was_newer_at_a_second_path_is_nobodys_only_until_its_feed_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::new(dir.path(), Keeping::default());
        let feed = "elastic/9.0.0@2026-01-15".parse().unwrap();
        let newer = [(path("/downloads/a"), Digest::of(b"a")), (path("/downloads/b"), Digest::of(b"b"))];
        let newest = [(path("/downloads/c"), Digest::of(b"c"))];
        book.note_stray(&path("/downloads/second"), &newer).unwrap();
        book.note_named(&feed, &newer[..1]);
        book.forget_named(&feed);
        assert_eq!(book.named_at(&path("/downloads/b")).unwrap(), [Digest::of(b"b")], "it names more");
        book.note_named(&feed, &newer);
        book.note_named(&feed, &newest);
        assert_eq!(book.named_at(&path("/downloads/a")).unwrap(), [], "it was superseded");
        assert_eq!(book.named_at(&path("/downloads/c")).unwrap(), [Digest::of(b"c")]);
        let next = Book::new(dir.path(), Keeping::default());
        assert_eq!(next.named_at(&path("/downloads/a")).unwrap(), []);
    }

    #[test]
    fn strays_are_few_v32() {
        let mut strays = Strays::default();
        let files = |count: usize| (0..count).map(|number| (number.to_string(), Digest::of(b"a"))).collect();
        for number in 0..MOST + 10 {
            strays.add(Stray { path: path(&format!("/downloads/{number}")), files: files(3) });
        }
        assert_eq!(strays.strays.len(), MOST);
        strays.add(Stray { path: path("/downloads/large"), files: files(MOST_FILES) });
        assert_eq!(strays.strays.len(), 1);
    }
}
