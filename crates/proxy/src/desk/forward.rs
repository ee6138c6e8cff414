//! Paths that no manifest names.

use std::sync::Arc;

use mirror::{Engine, SyncRequest};
use model::{FeedId, Generation, Outcome, RoutePath, error_chain};
use vendors::elastic::forwarded_feed;

use super::{Desk, LOOK, LOOKS, landing_of};
use crate::Landing;
use crate::faces::came_with;
use crate::state::ForwardedFile;

impl Desk {
    /// Fetches a path that no manifest names, unless a manifest that is being fetched names it.
    pub(super) async fn forward(&self, path: &RoutePath) -> Landing {
        for mut progress in self.flights.of_feeds() {
            let _ = progress.wait_for(Option::is_some).await;
        }
        let _turn = self.forwarding.lock().await;
        let Some(engine) = self.engine() else { return Landing::Failed };
        self.wait_for_manifests(&engine).await;
        match engine.ports().rings.current(&engine.settings().ring).await {
            Ok(Some(current)) if current.generation.routes.contains_key(path) => return Landing::Held,
            Ok(current) if refused_some(&engine, current.as_ref().map(|current| &current.generation)).await => {
                tracing::warn!(%path, "not forwarded: a manifest that is known and not served may name it");
                return Landing::Failed;
            }
            Ok(_) => {}
            Err(_) => return Landing::Failed,
        }
        let file = ForwardedFile {
            route: path.clone(),
            digest: None,
            size: 0,
            fetched_at: engine.ports().clock.now(),
            headers: Vec::new(),
        };
        let added = self.book.change_forwarded(|files| {
            files.retain(|known| known.route != *path);
            files.push(file);
        });
        if let Err(error) = added {
            tracing::error!(error = %error_chain(&error), "a path could not be forwarded");
            return Landing::Failed;
        }
        let landing = self.sync_forwarded(&engine).await;
        if landing != Landing::Held {
            self.drop_forwarded(path);
        }
        landing
    }

    /// A manifest that a scheduled run fetches may name the path.
    async fn wait_for_manifests(&self, engine: &Engine) {
        let of_manifests =
            |feed: &FeedId| feed.vendor() == model::Vendor::Elastic && !vendors::elastic::is_forwarded(feed);
        for _ in 0..LOOKS {
            if !engine.running().iter().any(of_manifests) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) fn drop_forwarded(&self, path: &RoutePath) {
        let dropped = self.book.change_forwarded(|files| files.retain(|known| known.route != *path));
        if let Err(error) = dropped {
            tracing::error!(error = %error_chain(&error), "a forwarded path could not be let go");
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
            self.drop_forwarded(path);
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
    pub(crate) async fn sync_forwarded(&self, engine: &Engine) -> Landing {
        let Some(feed) = forwarded_feed() else { return Landing::Failed };
        let _claim = match engine.claim(&feed) {
            Some(claim) => Some(claim),
            None => self.outlast(engine, &feed).await,
        };
        let _trial = self.book.try_out(&feed);
        let request = SyncRequest { feeds: vec![feed], wait: true, tentative: true, ..SyncRequest::default() };
        let report = match engine.sync(&request, Arc::new(mirror::Silent)).await {
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
                    file.headers = came_with(&release, &item.route).unwrap_or_default();
                }
            });
            if let Err(error) = settled {
                tracing::error!(error = %error_chain(&error), "what was forwarded could not be noted");
            }
        }
        self.look_up(engine).await;
        landing
    }
}

/// Whether the vendor offers something that was read and is not served: what it names must not come in by another way
/// than its proof.
async fn refused_some(engine: &Engine, served: Option<&Generation>) -> bool {
    let Ok(records) = engine.ports().catalog.feeds().await else { return true };
    records.iter().any(|record| {
        let manifest = record.feed.vendor() == model::Vendor::Elastic && !vendors::elastic::is_forwarded(&record.feed);
        let stays = matches!(record.outcome, Outcome::Failed | Outcome::Quarantined | Outcome::Held);
        let shown = served.and_then(|served| served.feeds.get(&record.feed)).map(|served| &served.vendor_version);
        manifest
            && stays
            && engine.follows(&record.feed)
            && record.offered.is_some()
            && record.offered.as_ref() != shown
    })
}
