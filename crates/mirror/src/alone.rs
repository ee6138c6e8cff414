//! One file for itself, outside of any feed's run: whoever asks for it decides what becomes of it.

use std::io::Read as _;
use std::sync::Arc;

use model::{Digest, Held, Note, Reason, Vendor};
use origin::HostGate;
use vendors::{FetchedItem, ReadSeek, Source, Target, Want};

use crate::feed_run::{Uncounted, note};
use crate::{Engine, EngineError};

impl Engine {
    /// Fetches a file that nothing declares and holds it, at most `cap` bytes. Nothing refers to it yet: it is there until
    /// the next collection, and whoever wants it published names it by its digest.
    ///
    /// # Errors
    /// Why it did not come.
    pub async fn hold_alone(&self, vendor: Vendor, target: &Target, cap: u64) -> Result<FetchedItem, Note> {
        let ports = &self.ports;
        let opened =
            HostGate::open(ports.origins.connections_per_host(), Arc::clone(&ports.catalog), Arc::clone(&ports.clock));
        let gate = opened.await.map_err(|error| note(error.reason(), model::error_chain(&error)))?;
        let origin = ports.origins.vendor(vendor, Arc::new(gate.among(Arc::clone(&self.crowd))));
        let want = Want { source: Source::Target(target.clone()), digest: None, size: None, cap };
        let limit = self.settings.feed_deadline;
        let held = tokio::time::timeout(limit, origin.hold(&want, &Uncounted)).await;
        let item = match held {
            Ok(held) => held.map_err(|error| error.note())?,
            Err(_) => {
                return Err(note(Reason::Deadline, format!("{}: not done after {} s", target.0, limit.as_secs())));
            }
        };
        if let Some(exchange) = &item.exchange {
            self.learned.came(&[(item.held.digest(), exchange)]);
        }
        Ok(item)
    }

    /// Looks into a held file on a thread that may wait.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn look_into<T: Send + 'static>(
        &self,
        held: Held,
        look: impl FnOnce(&mut dyn ReadSeek) -> T + Send + 'static,
    ) -> Result<T, Note> {
        let failed = |error: EngineError| note(error.reason(), model::error_chain(&error));
        let opened = self.ports.blobs.open(held.digest()).await;
        let reader = opened.map_err(|error| note(error.reason(), model::error_chain(&error)))?;
        let mut reader = reader.ok_or_else(|| gone(held.digest()))?;
        tokio::task::spawn_blocking(move || look(&mut reader)).await.map_err(|error| failed(EngineError::task(error)))
    }

    /// The first bytes of a held file, at most `most` of them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn read_held(&self, held: Held, most: u64) -> Result<Vec<u8>, Note> {
        let read = self.look_into(held, move |bytes| {
            let mut all = Vec::new();
            bytes.take(most).read_to_end(&mut all).map(|_| all)
        });
        read.await?.map_err(|error| note(Reason::StoreFailed, format!("blob {}: {error}", held.digest())))
    }
}

fn gone(digest: Digest) -> Note {
    note(Reason::StoreFailed, format!("blob {digest} is gone"))
}
