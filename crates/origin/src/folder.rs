//! A tree that a person brought, laid out as the vendors' own tools lay it out.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use blob_store::{BlobStore, Expected};
use bytes::Bytes;
use model::Reason;
use platform::fs::{Folder, FsError};
use vendors::{Answer, Ask, FetchedItem, FolderView, Source, SourceKind, Target, Validator, Want};

use crate::vendor::{held_already, hold_bytes};
use crate::{Meter, Origin, OriginError, Reading};

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;
/// The most names of one folder that are looked at.
const MOST_NAMES: usize = 10_000;

/// A tree that a person brought. No link in it is followed and nothing outside it is read.
pub struct FolderOrigin {
    root: Arc<Folder>,
    path: PathBuf,
    blobs: Arc<dyn BlobStore>,
    reserve: u64,
}

impl FolderOrigin {
    /// Opens the tree's root; `reserve` bytes stay free on the disk.
    ///
    /// # Errors
    /// [`OriginError`] when it is no folder or cannot be read.
    pub fn open(path: &Path, blobs: Arc<dyn BlobStore>, reserve: u64) -> Result<Self, OriginError> {
        let root = Folder::open(path).map_err(|error| refusal(&error))?;
        Ok(Self { root: Arc::new(root), path: path.to_owned(), blobs, reserve })
    }

    async fn open_file(&self, target: &Target) -> Result<(File, u64), OriginError> {
        let (root, name) = (Arc::clone(&self.root), relative(target));
        tokio::task::spawn_blocking(move || root.open_regular(&name))
            .await
            .map_err(|error| OriginError::new(Reason::Internal, error.to_string()))?
            .map_err(|error| refusal(&error))
    }

    async fn copy(&self, want: &Want, target: &Target, meter: &dyn Meter) -> Result<FetchedItem, OriginError> {
        let what = self.locate(target);
        let store = |error| OriginError::store(&error, &what);
        let (mut file, size) = self.open_file(target).await?;
        if let Some(declared) = want.size.filter(|declared| *declared != size) {
            let detail = format!("{what}: it has {size} bytes, the manifest says {declared}");
            return Err(OriginError::new(Reason::SizeMismatch, detail));
        }
        if size > want.cap {
            return Err(OriginError::new(Reason::TooLarge, format!("{what}: {size} bytes, the cap is {}", want.cap)));
        }
        let free = self.blobs.free_bytes().await.map_err(store)?;
        if free.is_some_and(|free| free < size.saturating_add(self.reserve)) {
            return Err(OriginError::new(Reason::DiskFull, format!("{what}: no room for {size} bytes")));
        }
        let mut writer = self.blobs.begin(None).await.map_err(store)?;
        loop {
            let chunk;
            (file, chunk) = read_chunk(file, CHUNK, &what).await?;
            if chunk.is_empty() {
                break;
            }
            meter.received(chunk.len() as u64);
            if writer.written().saturating_add(chunk.len() as u64) > want.cap {
                return Err(OriginError::new(Reason::TooLarge, format!("{what}: it grows while it is read")));
            }
            writer.write(chunk).await.map_err(store)?;
        }
        let expected = Expected { digest: want.digest, size: want.size };
        let held = writer.finish(expected).await.map_err(store)?;
        meter.held(held.size(), true);
        meter.proved(held.digest());
        Ok(FetchedItem { held, exchange: None })
    }
}

fn relative(target: &Target) -> String {
    target.0.trim_start_matches('/').to_owned()
}

fn refusal(error: &FsError) -> OriginError {
    let reason = match error {
        FsError::Unsafe { .. } => Reason::UnsafeFile,
        _ if error.is_missing() => Reason::NotInFolder,
        _ => Reason::StoreFailed,
    };
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    OriginError::new(reason, format!("{error}{cause}"))
}

/// Reads the next bytes off the async thread.
async fn read_chunk(mut file: File, most: usize, what: &str) -> Result<(File, Bytes), OriginError> {
    let read = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; most];
        loop {
            match file.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => {
                    return other.map(|count| {
                        buffer.truncate(count);
                        (file, Bytes::from(buffer))
                    });
                }
            }
        }
    });
    read.await
        .map_err(|error| OriginError::new(Reason::Internal, error.to_string()))?
        .map_err(|error| OriginError::new(Reason::StoreFailed, format!("{what}: {error}")))
}

#[async_trait]
impl Origin for FolderOrigin {
    fn kind(&self) -> SourceKind {
        SourceKind::Folder
    }

    fn locate(&self, target: &Target) -> String {
        self.path.join(relative(target)).display().to_string()
    }

    async fn read(&self, ask: &Ask, meter: &dyn Meter) -> Result<Reading, OriginError> {
        let what = self.locate(&ask.target);
        let (mut file, size) = self.open_file(&ask.target).await?;
        let cap = usize::try_from(ask.cap).unwrap_or(usize::MAX);
        if size > ask.cap {
            return Err(OriginError::new(Reason::TooLarge, format!("{what}: {size} bytes, the cap is {cap}")));
        }
        let mut body = Vec::new();
        loop {
            let chunk;
            (file, chunk) = read_chunk(file, CHUNK, &what).await?;
            if chunk.is_empty() {
                break;
            }
            body.extend_from_slice(&chunk);
            if body.len() > cap {
                return Err(OriginError::new(Reason::TooLarge, format!("{what}: it grows while it is read")));
            }
        }
        meter.received(body.len() as u64);
        Ok(Reading::Answered(Answer { body: body.into(), exchange: None }, Validator::default()))
    }

    async fn hold(&self, want: &Want, meter: &dyn Meter) -> Result<FetchedItem, OriginError> {
        match &want.source {
            Source::Bytes(bytes) => hold_bytes(self.blobs.as_ref(), bytes.clone(), want, meter).await,
            Source::Target(target) => match held_already(self.blobs.as_ref(), want, meter).await? {
                Some(item) => Ok(item),
                None => self.copy(want, target, meter).await,
            },
        }
    }

    async fn size(&self, target: &Target) -> Result<Option<u64>, OriginError> {
        Ok(Some(self.open_file(target).await?.1))
    }
}

impl FolderView for FolderOrigin {
    fn list(&self, path: &str) -> Vec<String> {
        let relative = path.trim_matches('/');
        let folder = if relative.is_empty() { Folder::open(&self.path) } else { self.root.folder(relative) };
        let names = folder.and_then(|folder| folder.names());
        names.map(|names| names.filter_map(Result::ok).take(MOST_NAMES).collect()).unwrap_or_default()
    }

    fn has_file(&self, path: &str) -> bool {
        self.root.open_regular(path.trim_start_matches('/')).is_ok()
    }
}
