//! What needs doing beside fetching: damage that the content side meets, and what retention no longer keeps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use config::Config;
use content_http::ContentServer;
use mirror::{Engine, VerifyReport};
use model::{Clock, Digest, error_chain};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::scheduler::apart;
use crate::trees::{Doubted, Trees};

/// How often damage that the content side met is looked after.
const DAMAGE: Duration = Duration::from_secs(5);
/// How often what retention no longer keeps is let go.
const COLLECT: Duration = Duration::from_secs(24 * 3600);
/// How soon after the start that is looked at first: a process that is restarted every night still does it.
const FIRST_COLLECT: Duration = Duration::from_secs(10 * 60);

/// Gets back what was set aside, whoever found it damaged.
#[derive(Clone)]
pub(crate) struct Regain {
    pub(crate) engine: watch::Receiver<Option<Arc<Engine>>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: watch::Receiver<Config>,
    /// Changes when everything is to be fetched at once.
    pub(crate) hurry: watch::Sender<u64>,
}

impl Regain {
    /// Tells what was set aside, and has it fetched; what a ring's folder has whole comes from there, before the next run
    /// publishes and `_back` goes on to an older release for want of it.
    pub(crate) async fn fetch_again(&self, report: &VerifyReport) {
        if report.faults.is_empty() {
            return;
        }
        for fault in &report.faults {
            let is_missing = fault.reason == model::Reason::BlobMissing;
            let done = if is_missing { "it is gone; fetching it again" } else { "set aside; fetching it again" };
            tracing::error!(digest = %fault.digest, reason = fault.reason.code(), "{done}");
        }
        self.take_from_folders().await;
        self.hurry.send_modify(|count| *count += 1);
    }

    async fn take_from_folders(&self) {
        let Some(engine) = self.engine.borrow().clone() else { return };
        let trees = Trees::of(&self.settings.borrow(), &self.clock);
        match apart(async move { trees.give_back(&engine).await }).await {
            Ok(Ok(0)) => {}
            Ok(Ok(files)) => {
                tracing::warn!(files, "what was lost came back out of the ring's folder; look after that disk")
            }
            Ok(Err(error)) => {
                tracing::error!(error = %error_chain(&error), "the rings' folders could not lend what was lost")
            }
            Err(error) => tracing::error!(error, "the rings' folders could not lend what was lost"),
        }
    }
}

/// Looks after damage and retention, whatever fetching does.
pub(crate) struct Upkeep {
    content: Arc<ContentServer>,
    regain: Regain,
    collect_at: Duration,
    /// What others than the content side could not use.
    doubted: Doubted,
    /// What could not be read and was told.
    unread: BTreeSet<Digest>,
}

impl Upkeep {
    pub(crate) fn new(content: Arc<ContentServer>, regain: Regain, doubted: Doubted) -> Self {
        let collect_at = regain.clock.monotonic().saturating_add(FIRST_COLLECT);
        Self { content, regain, collect_at, doubted, unread: BTreeSet::new() }
    }

    pub(crate) async fn run(mut self, end: CancellationToken) {
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                () = self.turn() => {}
            }
        }
    }

    async fn turn(&mut self) {
        tokio::time::sleep(DAMAGE).await;
        self.look_after_damage().await;
        let now = self.regain.clock.monotonic();
        if now >= self.collect_at {
            self.collect_at = now.saturating_add(COLLECT);
            self.collect().await;
        }
    }

    fn engine(&self) -> Option<Arc<Engine>> {
        self.regain.engine.borrow().clone()
    }

    /// Sets aside what could not be served whole, and has it fetched again now.
    async fn look_after_damage(&mut self) {
        // What is away with its folder is neither damaged nor lost: it is looked after once that is back.
        let Some(engine) = self.engine().filter(|engine| engine.in_place().is_ok()) else { return };
        self.look_into_doubts(Arc::clone(&engine)).await;
        let damaged = self.content.take_damaged();
        if damaged.is_empty() {
            return;
        }
        let looked_at = damaged.clone();
        let outcome = apart(async move { engine.recheck(&looked_at).await }).await;
        if !matches!(outcome, Ok(Ok(_))) {
            // Each damage is told once: what was not looked after must not be lost.
            self.content.put_back_damaged(&damaged);
        }
        match outcome {
            Ok(Ok(report)) => {
                self.tell_unread(&report);
                self.regain.fetch_again(&report).await;
            }
            Ok(Err(error)) => tracing::error!(error = %error_chain(&error), "damaged blobs could not be looked after"),
            Err(error) => tracing::error!(error, "damaged blobs could not be looked after"),
        }
    }

    /// The same for what a ring's folder could not be made of; who keeps it finds it again while it lasts.
    async fn look_into_doubts(&self, engine: Arc<Engine>) {
        let doubted = self.doubted.take();
        if doubted.is_empty() {
            return;
        }
        match apart(async move { engine.reread(&doubted).await }).await {
            Ok(Ok(report)) => self.regain.fetch_again(&report).await,
            Ok(Err(error)) => tracing::error!(error = %error_chain(&error), "damaged blobs could not be looked after"),
            Err(error) => tracing::error!(error, "damaged blobs could not be looked after"),
        }
    }

    /// Tells once of each blob that cannot be read although nothing says that it is damaged; it is looked at again.
    fn tell_unread(&mut self, report: &VerifyReport) {
        let mut unread = BTreeSet::new();
        for one in &report.unread {
            unread.insert(one.digest);
            if !self.unread.contains(&one.digest) {
                let (reason, error) = (one.reason.code(), one.error.as_deref().unwrap_or_default());
                tracing::error!(digest = %one.digest, reason, error, "cannot be used now; left where it is");
            }
        }
        let again: Vec<Digest> = unread.iter().copied().collect();
        self.content.put_back_damaged(&again);
        self.unread = unread;
    }

    async fn collect(&self) {
        let Some(engine) = self.engine() else { return };
        match apart(async move { engine.collect().await }).await {
            Ok(Ok(report)) => tracing::info!(
                releases = report.plan.releases.len(),
                blobs = report.removed,
                bytes = report.plan.bytes,
                "upkeep done"
            ),
            Ok(Err(error)) => tracing::error!(error = %error_chain(&error), "upkeep failed"),
            Err(error) => tracing::error!(error, "upkeep failed"),
        }
        self.prune().await;
    }

    async fn prune(&self) {
        let Some(engine) = self.engine() else { return };
        let keep = self.regain.settings.borrow().history.keep;
        match apart(async move { engine.prune_history(keep).await }).await {
            Ok(Ok(Some(report))) => {
                tracing::info!(entries = report.entries, through = report.through.seq, "old history was let go");
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::error!(error = %error_chain(&error), "old history could not be let go"),
            Err(error) => tracing::error!(error, "old history could not be let go"),
        }
    }
}
