//! Open descriptors of verified blobs, a bounded number for each worker.

use std::collections::HashMap;
use std::fs::File;
use std::rc::Rc;
use std::time::Duration;

use model::Digest;

use crate::blob::Blob;
use crate::{Source, SourceError};

/// The most descriptors that a worker keeps open.
const MOST: usize = 128;
/// How long one is used before the blob is opened and checked anew. What was removed or set aside leaves the
/// server, and gives its space back, within this time.
const FRESH: Duration = Duration::from_secs(20);
/// Larger bodies are opened and checked anew for each download.
const BULK: u64 = 1024 * 1024;

/// A worker's open descriptors.
#[derive(Debug, Default)]
pub(crate) struct Files {
    open: HashMap<Digest, (Rc<File>, Duration)>,
}

impl Files {
    /// A descriptor of the blob, checked when it was opened and, if that was earlier, again now.
    pub(crate) fn get(&mut self, blob: &Blob, source: &dyn Source, now: Duration) -> Result<Rc<File>, SourceError> {
        if let Some((file, opened)) = self.open.get(&blob.digest) {
            if now.saturating_sub(*opened) < FRESH && still_whole(file, blob.size) {
                return Ok(Rc::clone(file));
            }
            self.open.remove(&blob.digest);
        }
        let file = Rc::new(source.open(&blob.digest, blob.size)?);
        if blob.size <= BULK && self.open.len() < MOST {
            self.open.insert(blob.digest, (Rc::clone(&file), now));
        }
        Ok(file)
    }

    /// Closes what was opened too long ago.
    pub(crate) fn tidy(&mut self, now: Duration) {
        self.open.retain(|_, (_, opened)| now.saturating_sub(*opened) < FRESH);
    }
}

fn still_whole(file: &File, size: u64) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.len() == size)
}
