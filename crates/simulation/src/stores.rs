//! What outlives a process: blobs, rings and catalog, in memory or in a folder, and how the content side sees them.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use blob_store::reader::{BlobFiles, RingReader};
use blob_store::{
    Access, BlobStore, Current, FsRings, FsStore, MemoryRings, MemoryStore, RingDamage, RingStore, StoreError,
};
use catalog::{Actor, Batch, Catalog, EntryKind, MemoryCatalog, NewEntry, SqlCatalog};
use futures_util::FutureExt as _;
use mirror::{Locks, MemoryLocks};
use model::{Digest, RingName, Timestamp};
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};

/// What the simulated world could not be made of.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A folder or runtime could not be had.
    #[error("the simulation cannot get a folder or a runtime")]
    System(#[from] std::io::Error),
    /// A store could not be opened.
    #[error("the simulation cannot open its store")]
    Store(#[from] StoreError),
    /// A catalog could not be opened.
    #[error("the simulation cannot open its catalog")]
    Catalog(#[from] catalog::CatalogError),
    /// The vendors could not be simulated.
    #[error("the simulation cannot sign a manifest")]
    Key(#[from] vendor_sim::KeyError),
    /// Something that is written down here does not read.
    #[error("the simulation's own {0} does not read")]
    Constant(&'static str),
}

/// What the content side sees: nothing but generation files and blobs.
pub(crate) trait View: Send + Sync {
    /// What the ring serves.
    fn current(&self, ring: &RingName) -> Result<Option<Current>, StoreError>;
    /// The size of a blob that should have this one; none if it cannot be had.
    fn size(&self, digest: Digest, size: u64) -> Option<u64>;
    /// All bytes of a blob that should have this size.
    fn read(&self, digest: Digest, size: u64) -> Option<Vec<u8>>;
    /// Changes a blob's bytes, where that can be done here.
    fn spoil(&self, _: Digest) {}
}

struct MemoryView {
    blobs: MemoryStore,
    rings: Arc<dyn RingStore>,
}

/// Memory never makes anybody wait.
fn at_once<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let waits = || StoreError::Unsafe { path: "memory".to_owned(), what: "made a client wait" };
    work.now_or_never().unwrap_or_else(|| Err(waits()))
}

impl View for MemoryView {
    fn current(&self, ring: &RingName) -> Result<Option<Current>, StoreError> {
        at_once(self.rings.current(ring))
    }

    fn size(&self, digest: Digest, _: u64) -> Option<u64> {
        at_once(self.blobs.find(digest)).ok()?.map(|held| held.size())
    }

    fn read(&self, digest: Digest, _: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        at_once(self.blobs.open(digest)).ok()??.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn spoil(&self, digest: Digest) {
        if let Some(mut bytes) = self.read(digest, 0) {
            turn_a_bit(&mut bytes);
            self.blobs.rot(digest, bytes);
        }
    }
}

fn turn_a_bit(bytes: &mut [u8]) {
    bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
}

struct FileView {
    rings: RingReader,
    blobs: BlobFiles,
}

impl View for FileView {
    fn current(&self, ring: &RingName) -> Result<Option<Current>, StoreError> {
        self.rings.load(ring)
    }

    fn size(&self, digest: Digest, size: u64) -> Option<u64> {
        self.blobs.open_blob(digest, size).ok()?.metadata().ok().map(|metadata| metadata.len())
    }

    fn read(&self, digest: Digest, size: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.blobs.open_blob(digest, size).ok()?.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// Where a simulation keeps things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum On {
    /// In memory: thousands of seeds a minute.
    #[default]
    Memory,
    /// In a folder, with the product's own stores and database.
    Files,
}

/// What a disk does to a blob.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BlobDamage {
    /// It is gone.
    Lost,
    /// Other bytes stand there, and another number of them.
    Other,
    /// One bit is turned: only who reads it finds out.
    Turned,
}

/// A folder, and the runtime whose threads its files are reached on.
pub(crate) struct Disk {
    folder: TempDir,
    runtime: Option<Runtime>,
}

impl Disk {
    fn new() -> Result<Self, BuildError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { folder: TempDir::new()?, runtime: Some(runtime) })
    }

    fn handle(&self) -> Option<Handle> {
        self.runtime.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for Disk {
    /// A runtime may not be dropped inside of another one unless nobody waits for it.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What outlives a process.
pub(crate) struct Stores {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) rings: Arc<dyn RingStore>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) locks: Arc<dyn Locks>,
    pub(crate) view: Arc<dyn View>,
    /// The parts in memory, to copy and to damage.
    pub(crate) memory: Option<(MemoryStore, MemoryRings, Arc<MemoryCatalog>)>,
    pub(crate) disk: Option<Disk>,
}

impl Stores {
    pub(crate) async fn new(on: On) -> Result<Self, BuildError> {
        match on {
            On::Memory => Ok(Self::memory(MemoryStore::new(), MemoryRings::new(), MemoryCatalog::new())),
            On::Files => {
                let disk = Disk::new()?;
                let parts = open(&disk).await?;
                Ok(Self::files(parts, disk))
            }
        }
    }

    fn memory(blobs: MemoryStore, rings: MemoryRings, catalog: MemoryCatalog) -> Self {
        let catalog = Arc::new(catalog);
        let view = MemoryView { blobs: blobs.clone(), rings: Arc::new(rings.clone()) };
        Self {
            blobs: Arc::new(blobs.clone()),
            rings: Arc::new(rings.clone()),
            catalog: catalog.clone(),
            locks: Arc::new(MemoryLocks::default()),
            view: Arc::new(view),
            memory: Some((blobs, rings, catalog)),
            disk: None,
        }
    }

    fn files((blobs, rings, catalog, view): Parts, disk: Disk) -> Self {
        Self {
            blobs: Arc::new(blobs),
            rings: Arc::new(rings),
            catalog: Arc::new(catalog),
            locks: Arc::new(MemoryLocks::default()),
            view: Arc::new(view),
            memory: None,
            disk: Some(disk),
        }
    }

    /// A copy that goes its own way; only memory has one.
    pub(crate) async fn fork(&self) -> Option<Self> {
        let (blobs, rings, catalog) = self.memory.as_ref()?;
        Some(Self::memory(blobs.fork(), rings.fork(), catalog.fork().await))
    }

    /// The disk damages a blob.
    pub(crate) async fn damage(&self, digest: Digest, damage: BlobDamage) -> Result<(), BuildError> {
        if let Some((blobs, ..)) = &self.memory {
            match damage {
                BlobDamage::Lost => blobs.remove(digest).await?,
                BlobDamage::Other => blobs.rot(digest, &b"rotten"[..]),
                BlobDamage::Turned => self.view.spoil(digest),
            }
            return Ok(());
        }
        let Some(folder) = self.folder() else { return Ok(()) };
        let name = digest.to_string();
        let path = folder.join("data/blobs").join(name.get(..2).unwrap_or_default()).join(&name);
        match damage {
            BlobDamage::Lost => std::fs::remove_file(path)?,
            BlobDamage::Other => std::fs::write(path, b"rotten")?,
            BlobDamage::Turned => {
                let mut bytes = std::fs::read(&path)?;
                turn_a_bit(&mut bytes);
                std::fs::write(path, bytes)?
            }
        }
        Ok(())
    }

    /// The disk damages or loses files of a ring.
    pub(crate) fn damage_ring(&self, ring: &RingName, damage: RingDamage) -> Result<(), BuildError> {
        if let Some((_, rings, _)) = &self.memory {
            rings.damage(ring, damage);
            return Ok(());
        }
        let Some(folder) = self.folder() else { return Ok(()) };
        let folder = folder.join("data/rings").join(ring.as_str());
        let file = |number: u64| folder.join(format!("generation-{number}"));
        let done = match damage {
            RingDamage::PointerLost => std::fs::remove_file(folder.join("current")),
            RingDamage::PointerGarbled => std::fs::write(folder.join("current"), b"17 nonsense\n"),
            RingDamage::Lost(number) => std::fs::remove_file(file(number)),
            RingDamage::Garbled(number) => std::fs::write(file(number), b"{}"),
            RingDamage::AllLost => std::fs::remove_dir_all(&folder),
        };
        match done {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The disk loses the whole catalog: the next process begins another one.
    pub(crate) async fn lose_catalog(&mut self) -> Result<(), BuildError> {
        if let Some((blobs, rings, _)) = &self.memory {
            *self = Self::memory(blobs.clone(), rings.clone(), MemoryCatalog::new());
            return Ok(());
        }
        let Some(folder) = self.folder().map(|folder| folder.join("data/catalog")) else { return Ok(()) };
        std::fs::remove_dir_all(folder)?;
        self.reopen().await
    }

    /// The numbers of a ring's generation files, oldest first.
    pub(crate) async fn generations(&self, ring: &RingName) -> Result<Vec<u64>, BuildError> {
        let (rings, ring) = (Arc::clone(&self.rings), ring.clone());
        self.beside(async move { Ok(rings.numbers(&ring).await?) }).await
    }

    /// Every blob there is.
    pub(crate) async fn all_blobs(&self) -> Result<Vec<Digest>, BuildError> {
        let blobs = Arc::clone(&self.blobs);
        let work = async move {
            let mut all = Vec::new();
            blobs.visit(&mut |digest, _| all.push(digest)).await?;
            Ok(all)
        };
        self.beside(work).await
    }

    /// A process that does nothing else leaves a sign of life in the history.
    pub(crate) async fn sign_of_life(&self, at: Timestamp) -> Result<(), BuildError> {
        let catalog = Arc::clone(&self.catalog);
        let entry = NewEntry {
            at,
            actor: Actor::new(0, 2, "simulation"),
            kind: EntryKind::Process,
            subject: "run".to_owned(),
            data: serde_json::json!({ "event": "alive" }),
        };
        let batch = Batch { history: vec![entry], ..Batch::default() };
        self.beside(async move { Ok(catalog.apply(batch).await?) }).await
    }

    /// Does something beside the simulation, on the runtime that the stores belong to.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, BuildError>> + Send + 'static,
    ) -> Result<T, BuildError> {
        match self.handle() {
            Some(handle) => handle.spawn(work).await.unwrap_or(Err(BuildError::Constant("runtime"))),
            None => work.await,
        }
    }

    /// Where operations on files run.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.disk.as_ref().and_then(Disk::handle)
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.disk.as_ref().map(|disk| disk.folder.path())
    }

    /// Opens everything anew, as the process after a crash does.
    pub(crate) async fn reopen(&mut self) -> Result<(), BuildError> {
        self.locks = Arc::new(MemoryLocks::default());
        if let Some(disk) = self.disk.take() {
            let parts = open(&disk).await?;
            *self = Self::files(parts, disk);
        }
        Ok(())
    }
}

type Parts = (FsStore, FsRings, SqlCatalog, FileView);

async fn open(disk: &Disk) -> Result<Parts, BuildError> {
    let path = disk.folder.path().join("data");
    let work = async move {
        let blobs = FsStore::open(&path, Access::ReadWrite)?;
        let rings = FsRings::open(&path, Access::ReadWrite)?;
        let catalog = SqlCatalog::open(&path.join("catalog/catalog.sqlite3")).await?;
        let view = FileView { rings: RingReader::open(&path)?, blobs: BlobFiles::open(&path)? };
        Ok((blobs, rings, catalog, view))
    };
    match disk.handle() {
        Some(handle) => handle.spawn(work).await.unwrap_or(Err(BuildError::Constant("runtime"))),
        None => work.await,
    }
}
