//! What `run` does when another data folder stands where its own was.

use std::sync::{Arc, PoisonError};

use catalog::ChainHead;
use mirror::Engine;
use model::error_chain;

use super::{Live, nudging};
use crate::alone;
use crate::build::{Purpose, engine};
use crate::place::Stands;

impl Live {
    /// Works on the data folder that stands now where the one before stood.
    pub(super) async fn reopen(&mut self) {
        let before = self.engines.borrow().clone();
        let Some(before) = before.filter(|engine| engine.in_place().is_err()) else { return };
        let config = &self.daemon.config;
        // Two on one folder would tell everything twice.
        let rival = {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            alarm::Life::rival(&config.data_dir, held.as_ref())
        };
        if let Some(holder) = &rival {
            if self.rival != rival {
                let data_dir = config.data_dir.display();
                tracing::error!(%data_dir, holder, "another data folder stands here now, and another `waystation run` works on it: it is left to that one");
            }
            self.rival = rival;
            return;
        }
        match engine(config, "run", Purpose::Schedule, Arc::clone(&self.daemon.clock)).await {
            Ok(built) if !is_related(&before, &built, self.pulse.heads().newest()).await => {
                self.pulse.place().found(Stands::AnotherHistory);
                if !self.strange {
                    let data_dir = config.data_dir.display();
                    tracing::error!(%data_dir, "another data folder stands here now, with a history that never was this one's: it is left alone, for what was rejected here is not in it; put the right one back, or restart `waystation run` to work on this one");
                }
                self.strange = true;
            }
            Ok(built) => {
                self.strange = false;
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                let in_place = || built.in_place().is_ok();
                let since = self.daemon.clock.now();
                if let Err(error) = alone::hold_on(&config.data_dir, &mut held, since, &in_place) {
                    tracing::warn!(error = %error_chain(&error), "it cannot be shown that this process works on it");
                }
                drop(held);
                self.rival = None;
                self.engines.send_replace(Some(Arc::new(nudging(built, (&self.content, &self.demand)))));
                self.pulse.place().back();
                tracing::warn!(data_dir = %config.data_dir.display(), "another data folder stands here now, and was opened");
            }
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "the data folder that stands here now cannot be opened")
            }
        }
    }
}

/// Whether one history goes on from the other: whichever is older, it ends with an entry that the other has. Where the one
/// before went away so that it cannot be read, the newest head of it that was `seen` speaks for it; what nobody can
/// compare is no relation. What cannot be read of the one that stands here now says nothing against it: that is told as
/// what it is.
async fn is_related(before: &Engine, now: &Engine, seen: Option<ChainHead>) -> bool {
    let (before, now) = (&before.ports().catalog, &now.ports().catalog);
    let Ok(found) = now.chain_head().await else { return true };
    let Some(known) = before.chain_head().await.ok().or(seen) else { return false };
    if known.seq == 0 || found.seq == 0 {
        return known.seq == 0;
    }
    let (newer, head) = if known.seq <= found.seq { (now, known) } else { (before, found) };
    let entries = match newer.history(head.seq, 1).await {
        Ok(entries) => entries,
        Err(_) => return known.seq <= found.seq,
    };
    entries.first().is_some_and(|entry| entry.seq == head.seq && entry.digest == head.digest)
}
