//! Whether the whole history is still what was written, by itself and by every head in the file: proven when the process
//! begins, and from time to time, on a task of its own that nothing waits for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, ChainBreak, HeadsError, KeptHeads, prove_chain};
use model::Timestamp;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{HeadError, read_kept};

/// How often it is proven anew.
const EVERY: Duration = Duration::from_secs(86_400);
/// How often while it is broken, or could not be read: a backup that was put back ends the alarm.
const AGAIN: Duration = Duration::from_secs(600);

/// How long a look waits for the first proof: a short history needs less.
const FIRST: Duration = Duration::from_secs(2);

/// How long the file is waited for. One that hangs is told by who tells heads.
const READING: Duration = Duration::from_secs(120);

/// The last proof, and the one that goes on.
#[derive(Default)]
pub(super) struct Proof {
    /// Why it is broken, as far as was seen last.
    broken: Option<Why>,
    /// When it is proven again, by a clock that nobody sets.
    next: Duration,
    going: Option<JoinHandle<Looked>>,
    is_known: bool,
    /// Which catalog was looked at: there is another one after a reload.
    of: Option<Arc<dyn Catalog>>,
    /// The heads that it was compared with: the file, and the site.
    kept: Option<(PathBuf, String)>,
}

/// Why a history is broken.
#[derive(Clone, Debug)]
enum Why {
    /// Its chain does not hold.
    Chain(String),
    /// It is not the one that a head in the file is of.
    Head(PathBuf, String),
}

/// What a look came to.
enum Looked {
    Whole,
    Broken(Why),
    /// It could not be read, which says nothing of what was written.
    Unread,
}

impl Proof {
    /// Why the history is broken, as far as is known; begins to prove it where that is due. `kept` is the file of heads
    /// and the site whose heads count; `now` is followed by the time of a clock that nobody sets.
    pub(super) async fn broken(
        &mut self,
        catalog: &Arc<dyn Catalog>,
        kept: Option<(&Path, &str)>,
        (now, monotonic): (Timestamp, Duration),
    ) -> Option<HeadError> {
        let kept = kept.map(|(path, site)| (path.to_owned(), site.to_owned()));
        let is_another = self.of.as_ref().is_none_or(|of| !Arc::ptr_eq(of, catalog)) || self.kept != kept;
        // The operator who moves the file away says to have seen it.
        let moved = matches!(&self.broken, Some(Why::Head(path, _)) if matches!(path.try_exists(), Ok(false)));
        if is_another || moved {
            self.of = Some(Arc::clone(catalog));
            self.kept.clone_from(&kept);
            self.next = monotonic;
        }
        if self.going.is_none() && monotonic >= self.next {
            let catalog = Arc::clone(catalog);
            self.going = Some(tokio::spawn(async move { look(catalog.as_ref(), kept, now).await }));
        }
        if let Some(mut going) = self.going.take() {
            let wait = if self.is_known && !moved { Duration::ZERO } else { FIRST };
            match tokio::time::timeout(wait, &mut going).await {
                Ok(looked) => self.take(looked.unwrap_or(Looked::Unread), monotonic),
                Err(_) => self.going = Some(going),
            }
        }
        self.broken.clone().map(|why| match why {
            Why::Chain(why) => HeadError::Broken(why),
            Why::Head(path, why) => HeadError::Another { path, why },
        })
    }

    /// Whether a look has come to its end since the process began.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    fn take(&mut self, looked: Looked, now: Duration) {
        self.is_known = true;
        let pause = if matches!(looked, Looked::Whole) { EVERY } else { AGAIN };
        self.next = now.saturating_add(pause);
        match looked {
            Looked::Whole => self.broken = None,
            Looked::Broken(why) => self.broken = Some(why),
            Looked::Unread => {}
        }
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        if let Some(going) = &self.going {
            going.abort();
        }
    }
}

async fn look(catalog: &dyn Catalog, kept: Option<(PathBuf, String)>, now: Timestamp) -> Looked {
    // The heads first: what is told meanwhile is of entries that are read later.
    let mut heads = match kept.clone() {
        None => KeptHeads::default(),
        Some((path, site)) => {
            match tokio::time::timeout(READING, spawn_blocking(move || read_all(&path, &site))).await {
                Ok(Ok(Ok(heads))) => heads,
                Ok(Ok(Err(error))) => {
                    let path = kept.map(|(path, _)| path).unwrap_or_default();
                    return Looked::Broken(Why::Head(path.clone(), format!("{}: {error}", path.display())));
                }
                Ok(Err(_)) | Err(_) => return Looked::Unread,
            }
        }
    };
    match prove_chain(catalog, &mut |entry| heads.look(entry)).await {
        Ok(proven) => match (heads.finish(&proven, now), kept) {
            (Err(fault), Some((path, _))) => Looked::Broken(Why::Head(path, fault.to_string())),
            _ => Looked::Whole,
        },
        Err(fault) => {
            // An entry that alone cannot be read was written over; a catalog that answers nothing is told elsewhere.
            let unread = matches!(fault.what, ChainBreak::Unreadable(_)) && catalog.chain_head().await.is_err();
            if unread { Looked::Unread } else { Looked::Broken(Why::Chain(fault.to_string())) }
        }
    }
}

/// Every head that the file holds. One that is not there, or cannot be read, says nothing here: who tells heads says so.
fn read_all(path: &Path, site: &str) -> Result<KeptHeads, HeadsError> {
    let mut heads = KeptHeads::default();
    match read_kept(path, site, &mut heads) {
        Err(HeadsError::Read(_)) => Ok(KeptHeads::default()),
        Err(error) => Err(error),
        Ok(_) => Ok(heads),
    }
}
