//! Open descriptors of verified blobs, a bounded number for each worker.

use std::collections::HashMap;
use std::fs::File;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use model::Digest;

use crate::blob::Blob;
use crate::identity::Identity;
use crate::respond::Opened;
use crate::{Source, SourceError};

/// The most descriptors that a worker keeps open.
pub(crate) const MOST_KEPT: usize = 128;
/// How long one that nobody asks for is kept. What was removed gives its space back within this time.
const FRESH: Duration = Duration::from_secs(20);

/// A worker's open descriptors.
#[derive(Debug, Default)]
pub(crate) struct Files {
    open: HashMap<Digest, Open>,
    /// Large ones, for as long as somebody downloads them: a hundred downloads of one file take one descriptor.
    lent: HashMap<Digest, Lent>,
}

#[derive(Debug)]
struct Lent {
    file: Weak<File>,
    identity: Identity,
    epoch: Option<u32>,
}

#[derive(Debug)]
struct Open {
    file: Rc<File>,
    /// The file as it was then.
    identity: Identity,
    at: Duration,
    /// The blob's epoch then: a file that was replaced because it could not be read is not read again.
    epoch: Option<u32>,
}

impl Files {
    /// A descriptor of the blob, checked when it was opened; one that was opened earlier is used only while its file
    /// is untouched. Whatever was written to, renamed or set aside since then is opened and checked anew.
    pub(crate) fn get(&mut self, blob: &Arc<Blob>, source: &dyn Source, now: Duration) -> Result<Opened, SourceError> {
        let epoch = blob.epoch();
        if let Some(open) = self.open.get(&blob.digest) {
            let usable = open.epoch == epoch && now.saturating_sub(open.at) < FRESH;
            if usable && still_whole(open) {
                return Ok((Rc::clone(&open.file), open.identity));
            }
            self.open.remove(&blob.digest);
        }
        if let Some(file) = self.lent(&blob.digest, epoch) {
            return Ok(file);
        }
        let (file, identity) = blob.open(source)?;
        let file = Rc::new(file);
        if blob.is_large() {
            self.lent.insert(blob.digest, Lent { file: Rc::downgrade(&file), identity, epoch });
        } else if self.open.len() < MOST_KEPT {
            self.open.insert(blob.digest, Open { file: Rc::clone(&file), identity, at: now, epoch });
        }
        Ok((file, identity))
    }

    /// The descriptor of a large blob that another download has open, if its file is untouched.
    fn lent(&self, digest: &Digest, epoch: Option<u32>) -> Option<Opened> {
        let lent = self.lent.get(digest).filter(|lent| lent.epoch == epoch)?;
        let file = lent.file.upgrade()?;
        let same = Identity::of(&file).is_ok_and(|found| found == lent.identity);
        same.then_some((file, lent.identity))
    }

    /// Closes what was opened too long ago.
    pub(crate) fn tidy(&mut self, now: Duration) {
        self.lent.retain(|_, lent| lent.file.strong_count() > 0);
        self.open.retain(|_, open| now.saturating_sub(open.at) < FRESH);
    }
}

fn still_whole(open: &Open) -> bool {
    Identity::of(&open.file).is_ok_and(|found| found == open.identity)
}
