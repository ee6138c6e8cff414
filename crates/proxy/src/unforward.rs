//! The end of what was forwarded.

use mirror::{Engine, EngineError, SyncRequest};
use vendors::elastic::{forwarded_feed, is_forwarded};

use crate::state::ForwardedFile;
use crate::{Book, BookError};

/// Why what was forwarded could not be let go.
#[derive(Debug, thiserror::Error)]
pub enum UnforwardError {
    /// What was forwarded cannot be read or kept.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The ring cannot be read, or nothing can be published.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Something else fetches it just now.
    #[error("elastic/forwarded is being fetched just now; try again")]
    Busy,
}

/// What stays of what was forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// Nothing.
    Nothing,
    /// Second paths of manifests: those are no less proven than the manifests that they have the bytes of.
    Copies,
}

/// Serves nothing any more that was forwarded so far but what `stays`, and at once: it was proven by nothing but the way
/// it came. How many paths that were. The engine must take `book` for what was learned.
///
/// # Errors
/// [`UnforwardError`]; then some of it may be served still, and the next try goes on.
pub async fn stop_forwarding(engine: &Engine, book: &Book, stays: Stays) -> Result<usize, UnforwardError> {
    let Some(feed) = forwarded_feed() else { return Ok(0) };
    let ring = &engine.settings().ring;
    let current = engine.ports().rings.current(ring).await.map_err(EngineError::from)?;
    let routes = current.iter().flat_map(|current| current.generation.routes.values());
    let kept = |file: &ForwardedFile| stays == Stays::Copies && file.is_copy;
    let files = book.forwarded();
    let copies = files.iter().filter(|file| kept(file)).count();
    let served = routes.filter(|route| is_forwarded(&route.feed)).count().saturating_sub(copies);
    let known = files.len().saturating_sub(copies);
    if served == 0 && known == 0 {
        return Ok(0);
    }
    let _claim = engine.claim(&feed).ok_or(UnforwardError::Busy)?;
    book.change_forwarded(|files| files.retain(kept))?;
    let _trial = book.try_out(&feed, None);
    let request = SyncRequest { feeds: vec![feed], wait: true, tentative: true, ..SyncRequest::default() };
    let report = engine.sync(&request, std::sync::Arc::new(mirror::Silent)).await?;
    for report in report.feeds {
        tracing::debug!(outcome = report.outcome.as_str(), detail = report.detail, "nothing is forwarded any more");
    }
    Ok(served.max(known))
}
