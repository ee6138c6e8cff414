//! The sign of life for somebody outside, who tells when it stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outbound::{Push, Pusher};
use tokio_util::sync::CancellationToken;

use crate::{Book, SinkError};

/// One heartbeat: what it asks, how often, and how it fared.
pub struct Heart {
    push: Push,
    shown: String,
    every: Duration,
    timeout: Duration,
    sent: AtomicU64,
    failed: AtomicU64,
    withheld: AtomicU64,
}

impl Heart {
    /// A heart that sends `push` so often; `shown` is what may be shown of its URL.
    pub fn new(push: Push, shown: String, every: Duration, timeout: Duration) -> Self {
        let zero = || AtomicU64::new(0);
        Self { push, shown, every, timeout, sent: zero(), failed: zero(), withheld: zero() }
    }

    /// How many were sent, failed, and were withheld because something of us did not turn.
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("sent", read(&self.sent)), ("failed", read(&self.failed)), ("withheld", read(&self.withheld))]
    }

    /// Sends one.
    ///
    /// # Errors
    /// [`SinkError`] when it was not taken.
    pub async fn beat(&self, pusher: &dyn Pusher) -> Result<(), SinkError> {
        let sent = tokio::time::timeout(self.timeout, pusher.push(self.push.clone())).await;
        match sent {
            Ok(Ok(status)) if (200..300).contains(&status) => Ok(()),
            Ok(Ok(status)) => Err(SinkError::new(format!("{} answered {status}", self.shown))),
            Ok(Err(error)) => Err(SinkError::new(format!("{}: {}", self.shown, error.detail))),
            Err(_) => Err(SinkError::new(format!("{} did not answer in time", self.shown))),
        }
    }
}

/// Beats as often as said, as long as `alive` finds that everything turns. The book hears under `name` how each one
/// fared, as of a way to tell; what was withheld has an alarm of its own.
pub async fn heartbeat(
    (name, heart): (&str, Arc<Heart>),
    pusher: Arc<dyn Pusher>,
    book: Arc<Book>,
    alive: impl Fn() -> Result<(), String> + Send + Sync,
    end: CancellationToken,
) {
    let mut well = true;
    loop {
        let outcome = match alive() {
            Ok(()) => {
                let beaten = heart.beat(pusher.as_ref()).await;
                let counter = if beaten.is_ok() { &heart.sent } else { &heart.failed };
                counter.fetch_add(1, Ordering::Relaxed);
                match &beaten {
                    Ok(()) => book.told(name, &[]),
                    Err(error) => book.failed(name, &error.to_string()),
                }
                beaten.map_err(|error| error.to_string())
            }
            Err(why) => {
                heart.withheld.fetch_add(1, Ordering::Relaxed);
                Err(format!("withheld: {why}"))
            }
        };
        // Told once, when it changes: the watcher outside is the one that tells the rest.
        match &outcome {
            Ok(()) if !well => tracing::info!("the heartbeat goes out again"),
            Err(error) if well => tracing::warn!(error, "the heartbeat did not go out"),
            _ => {}
        }
        well = outcome.is_ok();
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(heart.every) => {}
        }
    }
}
