//! Paths that no manifest names.

use mirror::{Engine, SyncRequest};
use model::{RoutePath, error_chain};
use vendors::elastic::{forwarded_feed, is_forwarded};

use super::confirm::Word;
use super::{Desk, landing_of};
use crate::Landing;
use crate::state::ForwardedFile;

impl Desk {
    /// Fetches a path that no manifest names, once it is known that none does.
    pub(super) async fn forward(&self, path: &RoutePath) -> Landing {
        let Some(engine) = self.engine() else { return Landing::Failed };
        let asked = engine.ports().clock.monotonic();
        for mut progress in self.flights.of_feeds() {
            let _ = progress.wait_for(Option::is_some).await;
        }
        match self.word_of(&engine, path, asked).await {
            Word::Unnamed => self.fetch_unnamed(&engine, path).await,
            Word::Served => Landing::Held,
            Word::Past => Landing::Absent,
            Word::Withheld(why) => {
                tracing::warn!(%path, why, "not forwarded: only what no manifest names is");
                Landing::Failed
            }
        }
    }

    async fn fetch_unnamed(&self, engine: &Engine, path: &RoutePath) -> Landing {
        let _turn = self.forwarding.lock().await;
        let fetched_at = engine.ports().clock.now();
        let file = ForwardedFile { route: path.clone(), digest: None, size: 0, fetched_at };
        let added = self.book.change_forwarded(|files| {
            files.retain(|known| known.route != *path);
            files.push(file);
        });
        if let Err(error) = added {
            tracing::error!(error = %error_chain(&error), "a path could not be forwarded");
            return Landing::Failed;
        }
        let landing = self.sync_forwarded(engine).await;
        if landing != Landing::Held {
            self.drop_forwarded(path);
            return landing;
        }
        // A manifest that was read meanwhile counts no less.
        if self.book.forwarded().iter().any(|file| file.route == *path && self.is_contradicted(file)) {
            self.let_go(engine, std::slice::from_ref(path)).await;
            return Landing::Failed;
        }
        Landing::Held
    }

    /// Whether a manifest names other bytes where a forwarded file stands.
    fn is_contradicted(&self, file: &ForwardedFile) -> bool {
        let named = self.book.named_at(&file.route);
        !named.is_empty() && file.digest.is_some_and(|digest| !named.contains(&digest))
    }

    fn drop_forwarded(&self, path: &RoutePath) {
        let dropped = self.book.change_forwarded(|files| files.retain(|known| known.route != *path));
        if let Err(error) = dropped {
            tracing::error!(error = %error_chain(&error), "a forwarded path could not be let go");
        }
    }

    /// Forwards these no longer, from now on.
    async fn let_go(&self, engine: &Engine, paths: &[RoutePath]) {
        for path in paths {
            tracing::info!(%path, "forwarded no longer");
            self.drop_forwarded(path);
        }
        self.sync_forwarded(engine).await;
    }

    /// Lets go of what is forwarded and should not be: what a manifest names by now, in a set that is served or with
    /// other bytes in one that was refused; and everything where nothing is to be forwarded any more.
    pub(crate) async fn weed_forwarded(&self, engine: &Engine) {
        let _turn = self.forwarding.lock().await;
        let Ok(current) = engine.ports().rings.current(&engine.settings().ring).await else { return };
        let forwards = self.rules.borrow().forwards;
        let theirs = |path: &RoutePath| {
            let route = current.as_ref().and_then(|current| current.generation.routes.get(path));
            route.is_some_and(|route| route.until.is_none() && !is_forwarded(&route.feed))
        };
        let weeds = |file: &ForwardedFile| !forwards || theirs(&file.route) || self.is_contradicted(file);
        let paths: Vec<RoutePath> = self.book.forwarded().into_iter().filter(weeds).map(|file| file.route).collect();
        if !paths.is_empty() {
            self.let_go(engine, &paths).await;
        }
    }

    /// Fetches a forwarded path again. What was fetched before stays where the vendor does not answer, and goes where
    /// the vendor no longer has it.
    pub(crate) async fn refresh(&self, path: &RoutePath) {
        let _turn = self.forwarding.lock().await;
        let Some(engine) = self.engine() else { return };
        let now = engine.ports().clock.now();
        let before = self.book.forwarded().into_iter().find(|known| known.route == *path);
        let Some(before) = before else { return };
        let anew = self.book.change_forwarded(|files| {
            for file in files.iter_mut().filter(|file| file.route == *path) {
                (file.digest, file.fetched_at) = (None, now);
            }
        });
        let landing = match anew {
            Ok(()) => self.sync_forwarded(&engine).await,
            Err(_) => Landing::Failed,
        };
        if landing == Landing::Absent {
            self.let_go(&engine, std::slice::from_ref(path)).await;
        } else if landing == Landing::Failed {
            let kept = self.book.change_forwarded(|files| {
                for file in files.iter_mut().filter(|file| file.route == *path) {
                    *file = ForwardedFile { fetched_at: now, ..before.clone() };
                }
            });
            if let Err(error) = kept {
                tracing::error!(error = %error_chain(&error), "a forwarded path could not be kept as it was");
            }
        }
    }

    /// Makes a release of what is forwarded, and notes what was fetched for it.
    async fn sync_forwarded(&self, engine: &Engine) -> Landing {
        let Some(feed) = forwarded_feed() else { return Landing::Failed };
        let _claim = match engine.claim(&feed) {
            Some(claim) => Some(claim),
            None => self.outlast(engine, &feed).await,
        };
        let _trial = self.book.try_out(&feed);
        let request = SyncRequest { feeds: vec![feed], wait: true, tentative: true, ..SyncRequest::default() };
        let report = match engine.sync(&request, std::sync::Arc::new(mirror::Silent)).await {
            Ok(report) => report.feeds.into_iter().next(),
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "a path could not be forwarded");
                None
            }
        };
        let landing = landing_of(report.as_ref());
        let Some(id) = report.and_then(|report| report.release).filter(|_| landing == Landing::Held) else {
            return landing;
        };
        if let Ok(Some(record)) = engine.ports().catalog.release(&id).await {
            let release = record.release;
            let settled = self.book.settle_forwarded(|files| {
                for file in files.iter_mut().filter(|file| file.digest.is_none()) {
                    let Some(item) = release.items.iter().find(|item| item.route == file.route) else { continue };
                    (file.digest, file.size) = (Some(item.digest), item.size);
                }
            });
            if let Err(error) = settled {
                tracing::error!(error = %error_chain(&error), "what was forwarded could not be noted");
            }
        }
        landing
    }
}
