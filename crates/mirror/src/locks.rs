//! The two locks: a long one per fetch run, a short one per publication.

use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use model::Clock;
use platform::fs::{Folder, FsError, Mode};
use platform::lock::FileLock;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::EngineError;

/// After so long, who waits for a lock tells who holds it.
const TELL: Duration = Duration::from_secs(2);

/// The longest that anybody waits for the publication lock. A publication takes a moment; the longest that the lock is
/// held for is the second reading of one damaged blob of some gigabytes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where blobs lie in the data folder.
const BLOBS: &str = "blobs";

/// The pauses between looks at a lock that is held: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// Held while it lives.
pub trait Guard: Send + Sync {}
impl<T: Send + Sync> Guard for T {}

/// The fetch lock, held while it lives.
pub struct FetchGuard {
    _held: Arc<dyn Guard>,
    /// Whether nobody held it before: then whoever left reservations behind is dead.
    pub first: bool,
}

impl FetchGuard {
    fn first(held: impl Guard + 'static) -> Self {
        Self { _held: Arc::new(held), first: true }
    }
}

/// Who holds a lock, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockHolder(pub String);

/// The two locks of a data folder.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Takes the fetch lock, or tells who has it.
    async fn try_fetch(&self) -> Result<Result<FetchGuard, LockHolder>, EngineError>;
    /// Waits for the fetch lock.
    async fn fetch(&self) -> Result<FetchGuard, EngineError>;
    /// Waits for the publication lock, which is never held for longer than a publication takes.
    ///
    /// # Errors
    /// [`EngineError::Busy`] when it is held for much longer than that.
    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError>;
    /// Fails when the data folder, or the catalog or the folder of the blobs in it, is no longer where it was when this
    /// process opened it: it was renamed, replaced or unmounted, and whatever is there now is not what this process works on.
    /// No lock is given then, and nothing is to be written.
    fn in_place(&self) -> Result<(), EngineError> {
        Ok(())
    }
    /// As [`Locks::in_place`], by a look at this moment where that goes by what was seen last.
    async fn look(&self) -> Result<(), EngineError> {
        self.in_place()
    }
}

/// A file that this process has open elsewhere: where it was, and which it is. It is only looked at: to open a
/// database's file and close it again would let go of the locks that this process has on it.
#[derive(Debug)]
struct Opened {
    folder: &'static str,
    name: &'static str,
    which: (u64, u64),
}

impl Opened {
    fn find(data: &Folder, folder: &'static str, name: &'static str) -> Option<Self> {
        let which = Self::which(data, folder, name).ok().flatten()?;
        Some(Self { folder, name, which })
    }

    /// Which file stands there; none where there is none.
    fn which(data: &Folder, folder: &str, name: &str) -> Result<Option<(u64, u64)>, FsError> {
        let folder = match data.folder(folder) {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        Ok(folder.look_at(name)?.map(|look| (look.device, look.inode)))
    }

    fn is_in_place(&self, data: &Folder) -> Result<bool, FsError> {
        Ok(Self::which(data, self.folder, self.name)? == Some(self.which))
    }
}

/// Locks that hold over all processes of this machine, as files in the data folder.
#[derive(Clone)]
pub struct FileLocks {
    data_dir: PathBuf,
    /// The data folder as it was opened first; none when it could not be.
    opened: Option<Arc<Folder>>,
    /// The folder of the blobs in it, which may be a volume of its own; none where there was none. Held open, so that no
    /// other folder gets its number.
    blobs: Option<Arc<Folder>>,
    /// The catalog's file as it was opened; none where there is none, or nobody said which it is.
    catalog: Option<Arc<Opened>>,
    verb: String,
    clock: Arc<dyn Clock>,
    /// The fetch lock that this process holds, where its runs may share it.
    shared: Option<Arc<StdMutex<Weak<FileLock>>>>,
    /// The longest that the publication lock is waited for.
    patience: Duration,
}

impl FileLocks {
    /// Locks in `<data_dir>/locks`, which is there; `verb` tells others what the holder does.
    pub fn new(data_dir: &std::path::Path, verb: &str, clock: Arc<dyn Clock>) -> Self {
        let opened = Folder::open(data_dir).ok().map(Arc::new);
        let blobs = opened.as_ref().and_then(|data| data.folder(BLOBS).ok()).map(Arc::new);
        let (data_dir, verb) = (data_dir.to_owned(), verb.to_owned());
        Self { data_dir, opened, blobs, catalog: None, verb, clock, shared: None, patience: PATIENCE }
    }

    /// Holds only as long as the catalog's file, `name` in the folder `folder` of the data folder, is the one that it
    /// is now, as this process has opened it.
    #[must_use]
    pub fn with_catalog(self, folder: &'static str, name: &'static str) -> Self {
        let catalog = self.opened.as_ref().and_then(|data| Opened::find(data, folder, name)).map(Arc::new);
        Self { catalog, ..self }
    }

    /// Lets the runs of this process hold the fetch lock together, so that one vendor's slow run does not keep
    /// another vendor's waiting. They must be of different feeds.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { shared: Some(Arc::default()), ..self }
    }

    /// The fetch lock, if a run of this process holds it.
    fn joined(&self) -> Option<FetchGuard> {
        let held = self.shared.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        Some(FetchGuard { _held: held, first: false })
    }

    fn taken(&self, mut lock: FileLock) -> FetchGuard {
        lock.describe(&self.verb, self.clock.now());
        let held = Arc::new(lock);
        if let Some(shared) = &self.shared {
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&held);
        }
        FetchGuard { _held: held, first: true }
    }

    /// The folder of the locks, reached through the data folder that was opened: no link leads it elsewhere.
    fn locks(&self, name: &'static str) -> Result<Folder, EngineError> {
        self.in_place()?;
        let locks = match &self.opened {
            // Whoever begins makes it as well: without it a process that lives would never fetch again.
            Some(opened) => opened.ensure_folder("locks", Mode::PRIVATE_FOLDER),
            None => Folder::open(&self.data_dir).and_then(|opened| opened.folder("locks")),
        };
        locks.map_err(|source| EngineError::Lock { name, source })
    }

    /// Waits for a lock, as long as `patience` lasts where there is an end to it. Whoever drops this waits no longer:
    /// nothing is left behind that would take the lock later.
    async fn wait(&self, name: &'static str, patience: Option<Duration>) -> Result<FileLock, EngineError> {
        let locks = Arc::new(self.locks(name)?);
        let (mut pause, longest) = PAUSES;
        let mut waited = Duration::ZERO;
        let mut told = false;
        loop {
            let folder = Arc::clone(&locks);
            let taken = tokio::task::spawn_blocking(move || FileLock::try_acquire_in(&folder, name)).await;
            let taken = taken.map_err(EngineError::task)?.map_err(|source| EngineError::Lock { name, source })?;
            if let Some(lock) = taken {
                // While we waited, or in the moment between, it may have been taken away.
                self.in_place()?;
                return Ok(lock);
            }
            if patience.is_some_and(|patience| waited >= patience) {
                return Err(EngineError::Busy { name, holder: who(&locks, name), waited });
            }
            if waited >= TELL && !std::mem::replace(&mut told, true) {
                tracing::warn!(lock = name, holder = %who(&locks, name), "waiting for a lock that another holds");
            }
            tokio::time::sleep(pause).await;
            waited = waited.saturating_add(pause);
            pause = pause.saturating_mul(2).min(longest);
        }
    }
}

#[async_trait]
impl Locks for FileLocks {
    async fn try_fetch(&self) -> Result<Result<FetchGuard, LockHolder>, EngineError> {
        if let Some(joined) = self.joined() {
            return Ok(Ok(joined));
        }
        let locks = self.locks("fetch")?;
        let taken =
            FileLock::try_acquire_in(&locks, "fetch").map_err(|source| EngineError::Lock { name: "fetch", source })?;
        Ok(match taken {
            Some(lock) => Ok(self.taken(lock)),
            None => Err(LockHolder(who(&locks, "fetch"))),
        })
    }

    async fn fetch(&self) -> Result<FetchGuard, EngineError> {
        match self.joined() {
            Some(joined) => Ok(joined),
            None => Ok(self.taken(self.wait("fetch", None).await?)),
        }
    }

    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError> {
        let mut lock = self.wait("publish", Some(self.patience)).await?;
        lock.describe(&self.verb, self.clock.now());
        Ok(Box::new(lock))
    }

    fn in_place(&self) -> Result<(), EngineError> {
        let Some(opened) = &self.opened else { return Ok(()) };
        match opened.is_at(&self.data_dir) {
            Ok(true) => {}
            Ok(false) => return Err(EngineError::FolderGone { path: self.data_dir.clone(), source: None }),
            Err(error) => return Err(EngineError::FolderGone { path: self.data_dir.clone(), source: Some(error) }),
        }
        let gone = |source| EngineError::BlobsGone { path: self.data_dir.join(BLOBS), source };
        match self.blobs.as_ref().map_or(Ok(true), |blobs| blobs.is_at(&self.data_dir.join(BLOBS))) {
            Ok(true) => {}
            Ok(false) => return Err(gone(None)),
            Err(error) => return Err(gone(Some(error))),
        }
        let Some(catalog) = &self.catalog else { return Ok(()) };
        let gone =
            |source| EngineError::CatalogGone { path: self.data_dir.join(catalog.folder).join(catalog.name), source };
        match catalog.is_in_place(opened) {
            Ok(true) => Ok(()),
            Ok(false) => Err(gone(None)),
            Err(error) => Err(gone(Some(error))),
        }
    }
}

/// Who holds a lock, in words.
fn who(locks: &Folder, name: &str) -> String {
    match FileLock::holder_in(locks, name) {
        Some(holder) => format!("pid {} ({}), since {}", holder.pid, holder.verb, holder.since),
        None => "another process".to_owned(),
    }
}

/// Locks within one process, for tests.
#[derive(Clone, Default)]
pub struct MemoryLocks {
    fetch: Arc<Mutex<()>>,
    publish: Arc<Mutex<()>>,
}

#[async_trait]
impl Locks for MemoryLocks {
    async fn try_fetch(&self) -> Result<Result<FetchGuard, LockHolder>, EngineError> {
        let taken: Result<OwnedMutexGuard<()>, _> = Arc::clone(&self.fetch).try_lock_owned();
        Ok(match taken {
            Ok(guard) => Ok(FetchGuard::first(guard)),
            Err(_) => Err(LockHolder("this process".to_owned())),
        })
    }

    async fn fetch(&self) -> Result<FetchGuard, EngineError> {
        Ok(FetchGuard::first(Arc::clone(&self.fetch).lock_owned().await))
    }

    async fn publish(&self) -> Result<Box<dyn Guard>, EngineError> {
        Ok(Box::new(Arc::clone(&self.publish).lock_owned().await))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn runs_of_one_process_share_the_lock_only_where_they_may_s23() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("locks")).unwrap();
        let clock = Arc::new(platform::SystemClock::new());
        let shared = FileLocks::new(dir.path(), "run", clock.clone()).shared();
        let other = FileLocks::new(dir.path(), "sync", clock);
        let first = shared.try_fetch().await.unwrap().ok().unwrap();
        let second = shared.try_fetch().await.unwrap().ok().unwrap();
        assert!(first.first && !second.first);
        assert!(other.try_fetch().await.unwrap().is_err());
        drop(first);
        assert!(other.try_fetch().await.unwrap().is_err(), "the second run still holds it");
        drop(second);
        let alone = other.try_fetch().await.unwrap().ok().unwrap();
        assert!(alone.first && other.try_fetch().await.unwrap().is_err(), "not shared: not even with itself");
    }

    #[test]
    fn a_catalog_that_is_another_one_is_noticed_s42() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path().join("catalog"), dir.path().join("catalog/rows"));
        let locks = || {
            let clock = Arc::new(platform::SystemClock::new());
            FileLocks::new(dir.path(), "run", clock).with_catalog("catalog", "rows")
        };
        locks().in_place().unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, "ours").unwrap();
        let ours = locks();
        ours.in_place().unwrap();
        let (away, other) = (dir.path().join("away"), dir.path().join("other"));
        for (what, restored) in [(&folder, false), (&folder, true), (&file, false), (&file, true)] {
            std::fs::rename(what, &away).unwrap();
            if restored {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&file, "a backup").unwrap();
            }
            let gone = ours.in_place().unwrap_err();
            assert_eq!(gone.reason(), model::Reason::FolderGone);
            assert!(
                gone.to_string().contains("catalog/rows") && gone.to_string().contains("nothing is written"),
                "{gone}"
            );
            if restored {
                std::fs::rename(what, &other).unwrap();
                if other.is_dir() { std::fs::remove_dir_all(&other) } else { std::fs::remove_file(&other) }.unwrap();
            }
            std::fs::rename(&away, what).unwrap();
            ours.in_place().unwrap();
        }
    }

    fn two(dir: &tempfile::TempDir) -> (FileLocks, FileLocks) {
        std::fs::create_dir(dir.path().join("locks")).unwrap();
        let clock = Arc::new(platform::SystemClock::new());
        (FileLocks::new(dir.path(), "gc", clock.clone()), FileLocks::new(dir.path(), "sync", clock))
    }

    #[tokio::test]
    async fn a_publication_that_does_not_end_is_waited_for_no_longer_than_patience_lasts_s23() {
        let dir = tempfile::tempdir().unwrap();
        let (holder, mut other) = two(&dir);
        let held = holder.publish().await.unwrap();
        other.patience = Duration::from_millis(10);
        let Err(busy) = other.publish().await else { panic!("two hold it") };
        assert_eq!(busy.reason(), model::Reason::Locked);
        assert!(busy.to_string().contains(&format!("pid {} (gc), since ", std::process::id())), "{busy}");
        drop(held);
        assert!(other.publish().await.is_ok());
    }

    #[tokio::test]
    async fn who_stops_to_wait_leaves_nobody_behind_who_takes_the_lock_s23_s39() {
        let dir = tempfile::tempdir().unwrap();
        let (holder, other) = two(&dir);
        let fetching = holder.fetch().await.unwrap();
        let publishing = holder.publish().await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(10), other.fetch()).await.is_err());
        assert!(tokio::time::timeout(Duration::from_millis(10), other.publish()).await.is_err());
        drop((fetching, publishing));
        assert!(holder.try_fetch().await.unwrap().is_ok());
        assert!(holder.publish().await.is_ok());
    }
}
