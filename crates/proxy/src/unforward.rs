//! The end of what was forwarded.

use mirror::{Engine, EngineError, SyncRequest};
use vendors::elastic::{forwarded_feed, is_forwarded};

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

/// Serves nothing any more that was forwarded so far, and at once: it was proven by nothing but the way it came. How
/// many paths that were. The engine must take `book` for what was learned.
///
/// # Errors
/// [`UnforwardError`]; then some of it may be served still, and the next try goes on.
pub async fn stop_forwarding(engine: &Engine, book: &Book) -> Result<usize, UnforwardError> {
    let Some(feed) = forwarded_feed() else { return Ok(0) };
    let ring = &engine.settings().ring;
    let current = engine.ports().rings.current(ring).await.map_err(EngineError::from)?;
    let routes = current.iter().flat_map(|current| current.generation.routes.values());
    let served = routes.filter(|route| is_forwarded(&route.feed)).count();
    let known = book.forwarded().len();
    if served == 0 && known == 0 {
        return Ok(0);
    }
    let _claim = engine.claim(&feed).ok_or(UnforwardError::Busy)?;
    book.change_forwarded(Vec::clear)?;
    let _trial = book.try_out(&feed);
    let request = SyncRequest { feeds: vec![feed], wait: true, tentative: true, ..SyncRequest::default() };
    let report = engine.sync(&request, std::sync::Arc::new(mirror::Silent)).await?;
    for report in report.feeds {
        tracing::debug!(outcome = report.outcome.as_str(), detail = report.detail, "nothing is forwarded any more");
    }
    Ok(served.max(known))
}
