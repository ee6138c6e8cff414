//! Tells one way, on a task of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use model::Clock;
use tokio_util::sync::CancellationToken;

use crate::{Book, Message, Sink, SinkError, Way};

/// The pause after an attempt that failed; it doubles from one to the next.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// A way to tell, with what it takes to do so.
#[derive(Clone)]
pub struct Outlet {
    /// Who is told what.
    pub way: Way,
    /// How.
    pub sink: Arc<dyn Sink>,
    /// For one attempt.
    pub timeout: Duration,
    /// Which site tells.
    pub site: Option<String>,
}

impl Outlet {
    /// One attempt, within its deadline. A defect in the way is an error like another.
    async fn tell(&self, message: &Message) -> Result<(), SinkError> {
        let sink = Arc::clone(&self.sink);
        let message = message.clone();
        let mut task = tokio::spawn(async move { AssertUnwindSafe(sink.tell(&message)).0.await });
        let guard = AbortOnDrop(task.abort_handle());
        let ended = tokio::time::timeout(self.timeout, &mut task).await;
        drop(guard);
        match ended {
            Ok(Ok(told)) => told,
            Ok(Err(_)) => Err(SinkError::new("a defect of this program ended the attempt")),
            Err(_) => {
                let peer = self.sink.peer().map_or_else(String::new, |peer| format!("{peer}: "));
                Err(SinkError::new(format!("{peer}nothing came of it within {}", crate::text::span(self.timeout))))
            }
        }
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells one way whatever it has yet to be told, until the end.
pub async fn outlet(book: Arc<Book>, outlet: Outlet, end: CancellationToken) {
    tokio::select! {
        () = end.cancelled() => {}
        () = run(&book, &outlet) => {}
    }
}

async fn run(book: &Book, outlet: &Outlet) {
    let mut turns = book.turns();
    let mut pause = PAUSE;
    loop {
        turns.mark_unchanged();
        let (items, at) = book.next(&outlet.way);
        if items.is_empty() {
            if turns.changed().await.is_err() {
                return;
            }
            continue;
        }
        let message = Message::new(outlet.site.as_deref(), at, items);
        match outlet.tell(&message).await {
            Ok(()) => {
                pause = PAUSE;
                tracing::info!(to = outlet.way.name, subject = message.subject(), "told");
                book.told(&outlet.way.name, message.items());
            }
            Err(error) => {
                tracing::warn!(to = outlet.way.name, %error, "could not tell an alarm; it is tried again");
                book.failed(&outlet.way.name, &error.to_string());
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Tells one way that alarms arrive, once.
///
/// # Errors
/// [`SinkError`] when it was not taken.
pub async fn test(outlet: &Outlet, clock: &dyn Clock) -> Result<(), SinkError> {
    outlet.tell(&Message::new(outlet.site.as_deref(), clock.now(), Vec::new())).await
}
