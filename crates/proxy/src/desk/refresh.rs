//! What is forwarded is fetched again when it is old.

use mirror::Engine;
use model::{Reason, RoutePath, error_chain};

use super::Desk;
use super::forward::Refused;
use crate::Landing;
use crate::forwarded::change_forwarded;
use crate::state::ForwardedFile;

/// How often in a row the vendor must lack what is forwarded until that goes.
const MISSES: u32 = 2;

impl Desk {
    /// Fetches a forwarded path again. What was fetched before stays unless something takes its place that may, or the
    /// vendor has it no longer, asked twice.
    pub(crate) async fn refresh(&self, path: &RoutePath) {
        let Some(engine) = self.engine() else { return };
        let fetched = self.fetch_alone(&engine, path).await;
        let differs = |refused: &Refused| refused.why.reason == Reason::PathUnknown;
        if fetched.as_ref().err().is_some_and(differs) && self.moves_to_copy(&engine, path).await {
            return;
        }
        let _turn = self.forwarding.lock().await;
        let before = self.book.forwarded().into_iter().find(|known| known.route == *path);
        let Some(before) = before else { return };
        let now = engine.ports().clock.now();
        // When it was asked for last; when the vendor gave it last stays, unless it does now.
        let asked = ForwardedFile { confirmed_at: Some(before.confirmed_by(now)), fetched_at: now, ..before };
        match fetched {
            Ok(found) if !self.is_contradicted(&found.file) => {
                if found.file.digest == asked.digest {
                    self.keep(ForwardedFile { confirmed_at: Some(now), missed: 0, ..asked });
                } else {
                    self.publish_or_keep(&engine, found.file, asked).await;
                }
            }
            Ok(_) => self.keep(asked),
            Err(Refused { landing: Landing::Absent, .. }) if asked.missed + 1 >= MISSES => {
                self.let_go(&engine, std::slice::from_ref(path)).await;
            }
            Err(Refused { landing, why }) => {
                tracing::warn!(%path, reason = why.reason.code(), detail = why.detail, "what is forwarded stays as it was");
                let missed = asked.missed + u32::from(landing == Landing::Absent);
                self.keep(ForwardedFile { missed, ..asked });
            }
        }
    }

    async fn publish_or_keep(&self, engine: &Engine, file: ForwardedFile, before: ForwardedFile) {
        if self.publish(engine, file).await == Landing::Held {
            return;
        }
        let kept = change_forwarded(engine, &self.book, |files| files.push(before.clone()));
        match kept.await {
            Ok(()) => self.keep(before),
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "a forwarded path could not be kept as it was");
            }
        }
    }

    /// Notes what is known of a file, which changes nothing that is forwarded.
    fn keep(&self, as_it_is: ForwardedFile) {
        let kept = self.book.settle_forwarded(|files| {
            for file in files.iter_mut().filter(|file| file.route == as_it_is.route) {
                file.clone_from(&as_it_is);
            }
        });
        if let Err(error) = kept {
            tracing::error!(error = %error_chain(&error), "a forwarded path could not be kept as it was");
        }
    }
}
