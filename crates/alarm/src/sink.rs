//! The port: one way to tell somebody.

use async_trait::async_trait;

use crate::Message;
use crate::text;

/// Tells somebody. The caller sets the deadline: dropping a call must leave nothing running.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Tells it once; told means that the other side took it.
    ///
    /// # Errors
    /// [`SinkError`] when it was not taken, as far as can be known.
    async fn tell(&self, message: &Message) -> Result<(), SinkError>;

    /// Whom it tells, as host and port, for the errors of those who wait for it; none where there is no such thing.
    fn peer(&self) -> Option<String> {
        None
    }
}

/// Why somebody was not told; fit to show, and without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SinkError {
    what: String,
}

impl SinkError {
    /// An error in words, which may come from outside.
    pub fn new(what: impl AsRef<str>) -> Self {
        Self { what: text::line(what.as_ref(), 500) }
    }

    /// Failed at `what`, because of `error` and its causes.
    pub fn of(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(format!("{what}: {}", model::error_chain(error)))
    }
}
