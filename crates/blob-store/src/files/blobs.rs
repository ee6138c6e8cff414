//! Finished blobs: looked for, opened, proven again, set aside. Everything here blocks.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::{Digest, Hasher, Held, Timestamp};
use platform::fs::{EntryKind, Folder, FsError, Mode};

use super::partial::Partials;
use crate::data::{DataFolder, io_at};
use crate::{StoreError, Verification};

/// Where blobs lie.
pub(super) const BLOBS: &str = "blobs";
/// Where damaged blobs are set aside.
pub(super) const DAMAGED: &str = "damaged";
/// Where unfinished downloads lie.
pub(super) const PARTIAL: &str = "partial";
/// How many damaged copies of one blob are kept for a look; the last is replaced after that.
const DAMAGED_COPIES: u32 = 8;
/// What a link, a pipe or a folder under a blob's name is called.
const NOT_A_FILE: &str = "is not a regular file";
/// How much is read at once.
const READ: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Blobs {
    data: DataFolder,
    layout: Layout,
    /// The folder of the blobs, as it was when this process opened it to write: where it is not there, or another stands in
    /// its place, no blob is absent for that. Held open, so that no other folder gets its number.
    own: OnceLock<Folder>,
}

impl Blobs {
    pub(crate) fn new(data: DataFolder) -> Self {
        Self { data, layout: Layout::default(), own: OnceLock::new() }
    }

    pub(super) fn data(&self) -> &DataFolder {
        &self.data
    }

    /// Makes the folders, and begins to make the shards on a thread of its own: a run has other things to do until
    /// it keeps its first blob, which waits for this.
    pub(super) fn begin_layout(self: &Arc<Self>) -> Result<(), StoreError> {
        for (folder, mode) in [(PARTIAL, Mode::PRIVATE_FOLDER), (DAMAGED, Mode::PRIVATE_FOLDER), (BLOBS, Mode::FOLDER)]
        {
            let opened = self.data.ensure(folder, mode)?;
            if folder == BLOBS {
                let _set_once_as_this_is_called_once = self.own.set(opened);
            }
        }
        let blobs = Arc::clone(self);
        // Where there is no thread to be had, the first blob makes them.
        let spawned = std::thread::Builder::new().name("blob-folders".to_owned()).spawn(move || {
            // What fails here is tried again, and told, when the first blob is kept.
            blobs.layout.ensure(&blobs).is_ok()
        });
        drop(spawned);
        Ok(())
    }

    /// Makes the shards, with one flush for all: after this, keeping a blob flushes its shard and nothing above it.
    fn lay_out(&self) -> Result<(), StoreError> {
        let blobs = self.top()?.ok_or_else(away)?;
        let there = blobs.names()?.collect::<Result<BTreeSet<_>, _>>()?;
        for shard in shards().filter(|shard| !there.contains(shard)) {
            blobs.make_folder(&shard, Mode::FOLDER)?;
        }
        // Also when all were there: whoever made them may have been stopped before flushing.
        Ok(blobs.sync()?)
    }

    pub(super) fn partials(&self, act: &'static str) -> Result<Partials, StoreError> {
        self.data.writable(act)?;
        Ok(Partials::new(self.data.ensure(PARTIAL, Mode::PRIVATE_FOLDER)?))
    }

    /// The folder that blobs lie in; nothing if there never was one.
    ///
    /// # Errors
    /// [`StoreError::Away`] when it is not the one that this process opened.
    pub(super) fn top(&self) -> Result<Option<Folder>, StoreError> {
        let top = self.data.folder_if_there(BLOBS)?;
        let Some(own) = self.own.get() else { return Ok(top) };
        let which = |folder: &Folder| folder.look_here().map(|look| (look.device, look.inode));
        match top {
            Some(top) if which(&top)? == which(own)? => Ok(Some(top)),
            _ => Err(away()),
        }
    }

    fn shard(&self, digest: Digest) -> Result<Option<Folder>, StoreError> {
        let Some(top) = self.top()? else { return Ok(None) };
        self.data.inside(&top, &shard_of(digest))
    }

    fn ensure_shard(&self, digest: Digest) -> Result<Folder, StoreError> {
        let top = self.top()?.ok_or_else(away)?;
        let shard = top.ensure_folder(&shard_of(digest), Mode::FOLDER)?;
        shard.check(self.data.owners())?;
        Ok(shard)
    }

    pub(super) fn find(&self, digest: Digest) -> Result<Option<Held>, StoreError> {
        let Some(shard) = self.shard(digest)? else { return Ok(None) };
        let name = digest.to_string();
        let Some(entry) = shard.look(&name, self.data.owners())? else { return Ok(None) };
        let path = blob_path(digest);
        match (entry.kind, entry.doubt) {
            (EntryKind::File, None) => Ok(Some(Held::attest(digest, entry.size))),
            (EntryKind::File, Some(what)) => Err(StoreError::Unsafe { path, what }),
            (EntryKind::Folder | EntryKind::Other, _) => Err(StoreError::NotAFile { path, what: NOT_A_FILE }),
        }
    }

    /// A blob, open for reading, and its size.
    pub(crate) fn open(&self, digest: Digest) -> Result<Option<(File, u64)>, StoreError> {
        let Some(shard) = self.shard(digest)? else { return Ok(None) };
        match shard.open_plain(&digest.to_string(), self.data.owners()) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.is_missing() => Ok(None),
            // What was refused may be a whole blob of another owner or mode, which is left, or none at all.
            Err(FsError::Unsafe { .. }) => match self.find(digest) {
                Err(error) => Err(error),
                Ok(_) => Err(StoreError::Unsafe { path: blob_path(digest), what: "changed while it was looked at" }),
            },
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn verify(&self, digest: Digest) -> Result<Verification, StoreError> {
        let Some((mut file, _)) = self.open(digest)? else { return Ok(Verification::Absent) };
        let hasher = hash(&mut file).map_err(io_at("read", blob_path(digest)))?;
        let size = hasher.bytes();
        let actual = hasher.finish();
        Ok(if actual == digest {
            Verification::Good(Held::attest(digest, size))
        } else {
            Verification::Damaged { actual, size }
        })
    }

    /// Moves whatever stands under the digest, be it a planted link, out of reach.
    pub(super) fn set_aside(&self, digest: Digest) -> Result<(), StoreError> {
        self.data.writable("set aside a blob in")?;
        let Some(shard) = self.shard(digest)? else { return Ok(()) };
        let name = digest.to_string();
        if shard.look(&name, self.data.owners())?.is_none() {
            return Ok(());
        }
        let damaged = self.data.ensure(DAMAGED, Mode::PRIVATE_FOLDER)?;
        let mut free = format!("{digest}.{}", DAMAGED_COPIES - 1);
        for n in 0..DAMAGED_COPIES {
            let candidate = format!("{digest}.{n}");
            if damaged.look(&candidate, self.data.owners())?.is_none() {
                free = candidate;
                break;
            }
        }
        shard.rename(&name, &damaged, &free)?;
        damaged.sync()?;
        Ok(shard.sync()?)
    }

    pub(super) fn remove(&self, digest: Digest) -> Result<(), StoreError> {
        self.data.writable("remove a blob from")?;
        // Not flushed: a blob that a power cut brings back is one more for the next gc, and nothing else.
        if let Some(shard) = self.shard(digest)? {
            shard.remove(&digest.to_string())?;
        }
        Ok(())
    }

    /// Walks all blobs until `each` says no. What is not a blob of ours is passed over.
    pub(super) fn visit(&self, each: &mut dyn FnMut(Digest, u64) -> bool) -> Result<(), StoreError> {
        let Some(top) = self.top()? else { return Ok(()) };
        for name in shards() {
            let Some(shard) = self.data.inside(&top, &name)? else { continue };
            for file in shard.names()? {
                let file = file?;
                let Ok(digest) = file.parse::<Digest>() else { continue };
                // A blob that goes while we walk is as good as one that went before.
                let Some(entry) = shard.look(&file, self.data.owners())? else { continue };
                let ours = shard_of(digest) == name && entry.kind == EntryKind::File;
                if ours && !each(digest, entry.size) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Refuses where others can write the folders that blobs lie in.
    pub(super) fn check_folders(&self) -> Result<(), StoreError> {
        let Some(top) = self.top()? else { return Ok(()) };
        shards().try_for_each(|name| self.data.inside(&top, &name).map(|_| ()))
    }

    /// The names in one shard that are digests.
    pub(super) fn in_shard(&self, first: u8) -> Result<Vec<Digest>, StoreError> {
        let name = format!("{first:02x}");
        let Some(top) = self.top()? else { return Ok(Vec::new()) };
        let Some(shard) = self.data.inside(&top, &name)? else { return Ok(Vec::new()) };
        let names = shard.names()?.collect::<Result<Vec<_>, _>>()?;
        let digests = names.iter().filter_map(|file| file.parse::<Digest>().ok());
        Ok(digests.filter(|digest| shard_of(*digest) == name).collect())
    }

    pub(super) fn tidy_partials(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.partials("tidy")?.tidy(before)
    }

    pub(super) fn free_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.data.root().free_bytes()?)
    }

    /// Gives proven, flushed bytes their digest as name, durably. The caller's file is gone from `from` when
    /// this succeeds.
    pub(super) fn keep(&self, from: &Folder, name: &str, digest: Digest) -> Result<(), StoreError> {
        self.layout.ensure(self)?;
        let shard = self.ensure_shard(digest)?;
        let blob = digest.to_string();
        let was_there = shard.look(&blob, self.data.owners())?.is_some();
        // Renamed even over a blob that is there: its bytes may have rotted, these were proven just now.
        from.rename(name, &shard, &blob)?;
        if let Err(error) = shard.sync() {
            // The name may not survive a power cut, so it must not be found. What stood there before was
            // durable under the same digest, and taking it away would harm what is served.
            if !was_there {
                let _first_error_is_told = shard.remove(&blob);
            }
            return Err(error.into());
        }
        Ok(())
    }
}

/// Whether the shards were made and flushed by this process.
#[derive(Debug, Default)]
struct Layout(Mutex<bool>);

impl Layout {
    /// Makes them if that was not done yet; who comes in between waits.
    fn ensure(&self, blobs: &Blobs) -> Result<(), StoreError> {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !*done {
            blobs.lay_out()?;
            *done = true;
        }
        Ok(())
    }
}

fn away() -> StoreError {
    StoreError::Away { path: BLOBS.to_owned() }
}

/// Hashes a file from where it stands to its end.
pub(super) fn hash(file: &mut File) -> std::io::Result<Hasher> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; READ];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher),
            Ok(n) => hasher.update(buffer.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A blob's name relative to the data folder.
pub(crate) fn blob_path(digest: Digest) -> String {
    format!("{BLOBS}/{}/{digest}", shard_of(digest))
}

pub(super) fn shard_of(digest: Digest) -> String {
    let [first, ..] = digest.as_bytes();
    format!("{first:02x}")
}

fn shards() -> impl Iterator<Item = String> {
    (0..=u8::MAX).map(|byte| format!("{byte:02x}"))
}
