//! Whether the whole history is still what was written: proven when the process begins, and from time to time, on a
//! task of its own that nothing waits for.

use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, ChainBreak, prove_chain};
use tokio::task::JoinHandle;

/// How often it is proven anew.
const EVERY: Duration = Duration::from_secs(86_400);
/// How often while it is broken, or could not be read: a backup that was put back ends the alarm.
const AGAIN: Duration = Duration::from_secs(600);

/// How long a look waits for the first proof: a short history needs less.
const FIRST: Duration = Duration::from_secs(2);

/// The last proof, and the one that goes on.
#[derive(Default)]
pub(super) struct Proof {
    /// Why it is broken, as far as was seen last.
    broken: Option<String>,
    /// When it is proven again, by a clock that nobody sets.
    next: Duration,
    going: Option<JoinHandle<Looked>>,
    is_known: bool,
    /// Which catalog was looked at: there is another one after a reload.
    of: Option<Arc<dyn Catalog>>,
}

/// What a look came to.
enum Looked {
    Whole,
    Broken(String),
    /// It could not be read, which says nothing of what was written.
    Unread,
}

impl Proof {
    /// Why the history is broken, as far as is known; begins to prove it where that is due.
    pub(super) async fn broken(&mut self, catalog: &Arc<dyn Catalog>, now: Duration) -> Option<String> {
        if self.of.as_ref().is_none_or(|of| !Arc::ptr_eq(of, catalog)) {
            self.of = Some(Arc::clone(catalog));
            self.next = now;
        }
        if self.going.is_none() && now >= self.next {
            let catalog = Arc::clone(catalog);
            self.going = Some(tokio::spawn(async move { look(catalog.as_ref()).await }));
        }
        if let Some(mut going) = self.going.take() {
            let wait = if self.is_known { Duration::ZERO } else { FIRST };
            match tokio::time::timeout(wait, &mut going).await {
                Ok(looked) => self.take(looked.unwrap_or(Looked::Unread), now),
                Err(_) => self.going = Some(going),
            }
        }
        self.broken.clone()
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

async fn look(catalog: &dyn Catalog) -> Looked {
    let Err(fault) = prove_chain(catalog, &mut |_| ()).await else { return Looked::Whole };
    // An entry that alone cannot be read was written over; a catalog that answers nothing is told elsewhere.
    let unread = matches!(fault.what, ChainBreak::Unreadable(_)) && catalog.chain_head().await.is_err();
    if unread { Looked::Unread } else { Looked::Broken(fault.to_string()) }
}
