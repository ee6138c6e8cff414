//! What is proven once is proven for all.

use std::collections::{HashMap, HashSet};
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Checked, Digest, RoutePath};
use vendors::Inspection;
use vendors::elastic::{ElasticSettings, NamedArtifact};

/// A manifest, as the endpoints of one swarm share it.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) digest: Digest,
    pub(super) artifacts: Arc<[NamedArtifact]>,
    pub(super) is_signed: bool,
}

/// What was read and proven so far.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    manifests: Mutex<HashMap<Digest, Result<Manifest, String>>>,
    /// Whose first copy is being looked into, or was.
    claimed: Mutex<HashSet<Digest>>,
    /// Which bytes came under which tag.
    tagged: Mutex<HashMap<Digest, Digest>>,
}

impl Proofs {
    /// Reads a manifest, once per content.
    pub(super) fn manifest(
        &self,
        zip: &[u8],
        route: &RoutePath,
        settings: &ElasticSettings,
    ) -> Result<Manifest, String> {
        let digest = Digest::of(zip);
        let mut known = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(digest)
            .or_insert_with(|| {
                let opened = vendors::elastic::open(zip, route, settings).map_err(|note| note.reason.to_string())?;
                let is_signed = matches!(opened.checked, Checked::VendorSigned(_));
                Ok(Manifest { digest, artifacts: opened.artifacts.into(), is_signed })
            })
            .clone()
    }

    /// Whether this copy is the first of its digest, and to be looked into.
    pub(super) fn is_first(&self, digest: Digest) -> bool {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(digest)
    }

    /// Whether bytes are those that came under the same tag before.
    pub(super) fn agrees(&self, tag: Digest, digest: Digest) -> bool {
        *self.tagged.lock().unwrap_or_else(PoisonError::into_inner).entry(tag).or_insert(digest) == digest
    }

    /// What was read under a digest that no looking into followed: another copy has to do it.
    pub(super) fn give_back(&self, digest: Digest) {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
    }
}

/// Looks into bytes, off the runtime's threads.
pub(super) async fn look(inspection: Box<dyn Inspection>, bytes: Copied) -> Result<(), String> {
    let looked = tokio::task::spawn_blocking(move || {
        let told = |note: model::Note| note.reason.to_string();
        match bytes {
            Copied::Memory(bytes) => inspection.inspect(&mut Cursor::new(bytes)).map_err(told),
            Copied::File(mut file) => inspection.inspect(&mut file).map_err(told),
        }
    });
    looked.await.map_err(|_| "not_looked_into".to_owned())?.map(|_| ())
}

/// A copy that is kept to be looked into.
#[derive(Debug)]
pub(super) enum Copied {
    Memory(Vec<u8>),
    File(std::fs::File),
}

/// Larger ones go to a file that has no name.
const MEMORY: u64 = 4 << 20;

impl Copied {
    pub(super) fn begin(length: u64) -> std::io::Result<Self> {
        if length <= MEMORY { Ok(Self::Memory(Vec::new())) } else { tempfile::tempfile().map(Self::File) }
    }

    pub(super) fn take(&mut self, piece: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Memory(bytes) => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
            Self::File(file) => std::io::Write::write_all(file, piece),
        }
    }
}
