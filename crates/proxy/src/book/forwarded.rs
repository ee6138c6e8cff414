//! What is forwarded, as the book keeps it.

use model::{Digest, RoutePath};
use vendors::elastic::{ElasticSettings, wanted};

use super::{Book, BookError};
use crate::state::{FORWARDED, ForwardedFile};

impl Book {
    pub(crate) fn forwarded(&self) -> Vec<ForwardedFile> {
        self.state().map(|state| state.forwarded).unwrap_or_default()
    }

    /// Whether these bytes, at this path, are those of a manifest that is served at another: they are proven no less.
    pub fn is_copy(&self, path: &RoutePath, digest: &Digest) -> bool {
        let is_it = |file: &ForwardedFile| file.route == *path && file.digest == Some(*digest);
        match self.state() {
            Ok(state) => state.forwarded.iter().any(|file| file.is_copy && is_it(file)),
            // Nothing but a copy is ever forwarded at a manifest's path.
            Err(_) => wanted(path, &ElasticSettings::default()).is_some(),
        }
    }

    /// Whether anything was ever written down of what is forwarded; also if that cannot be told.
    pub(crate) fn knows_forwarded(&self) -> bool {
        self.state().map_or(true, |state| state.serial > 0)
    }

    /// Changes what is forwarded; the release that is made of it is another from then on, with a number above all that were
    /// counted here and above `newest`. Where nothing was ever written down, it goes on from what is `served`.
    pub(crate) fn change_forwarded(
        &self,
        (newest, served): (u64, Vec<ForwardedFile>),
        change: impl FnOnce(&mut Vec<ForwardedFile>),
    ) -> Result<(), BookError> {
        let most = self.keeping().forwarded_bytes;
        self.change(|state| {
            if state.serial == 0 && !served.is_empty() {
                tracing::warn!(
                    paths = served.len(),
                    "what was learned is not there: what is served of what was forwarded is known anew"
                );
                state.forwarded = served;
            }
            change(&mut state.forwarded);
            trim(&mut state.forwarded, most);
            state.serial = state.serial.max(newest).saturating_add(1);
        })
    }

    /// Notes what was fetched, which changes nothing that is forwarded.
    pub(crate) fn settle_forwarded(&self, settle: impl FnOnce(&mut Vec<ForwardedFile>)) -> Result<(), BookError> {
        self.change(|state| settle(&mut state.forwarded))
    }
}

/// Lets the oldest go until the rest fits; what is being fetched stays.
fn trim(files: &mut Vec<ForwardedFile>, most: u64) {
    let total = |files: &[ForwardedFile]| files.iter().map(|file| file.size).fold(0, u64::saturating_add);
    while files.len() > FORWARDED || total(files) > most {
        let held = files.iter().enumerate().filter(|(_, file)| file.digest.is_some());
        let Some(oldest) = held.min_by_key(|(_, file)| file.fetched_at).map(|(at, _)| at) else { return };
        files.remove(oldest);
    }
}
