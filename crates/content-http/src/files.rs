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
    open: HashMap<Digest, Open>,
}

#[derive(Debug)]
struct Open {
    file: Rc<File>,
    at: Duration,
    /// The blob's epoch then: a file that was replaced because it could not be read is not read again.
    epoch: Option<u32>,
}

impl Files {
    /// A descriptor of the blob, checked when it was opened and, if that was earlier, again now.
    pub(crate) fn get(&mut self, blob: &Blob, source: &dyn Source, now: Duration) -> Result<Rc<File>, SourceError> {
        let epoch = blob.epoch();
        if let Some(open) = self.open.get(&blob.digest) {
            let usable = open.epoch == epoch && now.saturating_sub(open.at) < FRESH;
            if usable && still_whole(&open.file, blob.size) {
                return Ok(Rc::clone(&open.file));
            }
            self.open.remove(&blob.digest);
        }
        let file = Rc::new(source.open(&blob.digest, blob.size)?);
        if blob.size <= BULK && self.open.len() < MOST {
            self.open.insert(blob.digest, Open { file: Rc::clone(&file), at: now, epoch });
        }
        Ok(file)
    }

    /// Closes what was opened too long ago.
    pub(crate) fn tidy(&mut self, now: Duration) {
        self.open.retain(|_, open| now.saturating_sub(open.at) < FRESH);
    }
}

fn still_whole(file: &File, size: u64) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.len() == size)
}
