//! Why a document or file could not be had.

use blob_store::StoreError;
use model::{Exchange, Note, Reason};
use outbound::{OutboundError, RetryAfter};

/// Why a document or file could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct OriginError {
    /// Why.
    pub reason: Reason,
    /// What failed, on what; safe to print.
    pub detail: String,
    /// When the host asked to come back.
    pub(crate) retry_after: Option<RetryAfter>,
    /// The answer, where there was one.
    pub exchange: Option<Box<Exchange>>,
}

impl OriginError {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), retry_after: None, exchange: None }
    }

    /// As a note for a verdict or report.
    pub fn note(&self) -> Note {
        Note { reason: self.reason, detail: self.detail.clone() }
    }

    /// A failure of the store, told in the words of the file that it concerns.
    pub(crate) fn store(error: &StoreError, what: &str) -> Self {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::new(error.reason(), format!("{what}: {error}{cause}"))
    }
}

impl From<OutboundError> for OriginError {
    fn from(error: OutboundError) -> Self {
        let detail = error.to_string();
        Self { reason: error.reason, detail, retry_after: error.retry_after, exchange: error.exchange }
    }
}
