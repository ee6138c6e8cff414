//! What a data folder serves, read as the content side reads it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use blob_store::reader::{BlobFiles, RingReader};
use model::{Digest, Generation, Hasher};

/// Each feed's paths and the bytes behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    feeds: BTreeMap<String, BTreeMap<String, Digest>>,
    /// What is superseded and still in its grace.
    superseded: BTreeMap<String, Digest>,
}

impl Tree {
    /// Walks everything that is served: every blob is there, has its size and its bytes. An error is a breach of
    /// the promise; a folder that serves nothing is an empty tree.
    pub(crate) fn walk(data: &Path) -> Result<Self, String> {
        let told = |error: blob_store::StoreError| model::error_chain(&error);
        if std::fs::read_dir(data).map_err(|error| error.to_string())?.next().is_none() {
            return Ok(Self::default());
        }
        let (rings, blobs) = (RingReader::open(data).map_err(told)?, BlobFiles::open(data).map_err(told)?);
        let mut tree = Self::default();
        for ring in rings.rings().map_err(told)? {
            if let Some(current) = rings.load(&ring).map_err(told)? {
                tree.add(&current.generation, &blobs)?;
            }
        }
        Ok(tree)
    }

    fn add(&mut self, generation: &Generation, blobs: &BlobFiles) -> Result<(), String> {
        for feed in generation.feeds.keys() {
            self.feeds.entry(feed.to_string()).or_default();
        }
        for (path, route) in &generation.routes {
            let found = hash(blobs, route.digest, route.size).map_err(|error| format!("{path}: {error}"))?;
            if found != route.digest {
                return Err(format!("{path}: {} bytes of {found} stand where {} should", route.size, route.digest));
            }
            let into = match route.until {
                None => self.feeds.entry(route.feed.to_string()).or_default(),
                Some(_) => &mut self.superseded,
            };
            into.insert(path.to_string(), route.digest);
        }
        Ok(())
    }

    /// Whether each feed is as in one of these trees, whole.
    pub(crate) fn is_among(&self, trees: &[&Self]) -> Result<(), String> {
        let names = trees.iter().flat_map(|tree| tree.feeds.keys()).chain(self.feeds.keys());
        for feed in names {
            let now = self.feeds.get(feed);
            if !trees.iter().any(|tree| tree.feeds.get(feed) == now) {
                return Err(format!("{feed} is neither the old release nor the new one: {now:?}"));
            }
        }
        Ok(())
    }

    /// Each feed's paths, what is superseded aside.
    pub(crate) fn feeds(&self) -> &BTreeMap<String, BTreeMap<String, Digest>> {
        &self.feeds
    }

    /// The same without the releases before: which those are depends on what was published meanwhile.
    pub(crate) fn without_back(&self) -> BTreeMap<String, BTreeMap<String, Digest>> {
        let mut feeds = self.feeds.clone();
        for paths in feeds.values_mut() {
            paths.retain(|path, _| !path.contains("_back/"));
        }
        feeds
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }
}

fn hash(blobs: &BlobFiles, digest: Digest, size: u64) -> Result<Digest, String> {
    let mut file = blobs.open_blob(digest, size).map_err(|error| model::error_chain(&error))?;
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer).map_err(|error| error.to_string())? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
