//! How everything stood at a moment that was asked for, or between when and when to ask.

use catalog::{Catalog, EntryFilter, EntryOrder};
use mirror::{Engine, EngineError, Past};
use model::Timestamp;

use crate::failure::Failure;

/// How everything stood at `at`, for the command `what`.
///
/// # Errors
/// [`Failure`] of wrong usage, with how far the history reaches, when it does not reach there; or when it cannot be read.
pub(crate) async fn past(what: &str, at: Timestamp, engine: &Engine) -> Result<Past, Failure> {
    match engine.past(at).await {
        Ok(past) => Ok(past),
        Err(error @ EngineError::NoPast(_)) => {
            let next = reach(engine.ports().catalog.as_ref()).await;
            Err(Failure::engine(what, &error).with_next(next))
        }
        Err(error) => Err(Failure::engine(what, &error)),
    }
}

/// From when to when the history reaches, and what to do.
async fn reach(catalog: &dyn Catalog) -> String {
    let first = catalog.history(1, 1).await.ok().and_then(|mut page| page.pop());
    let last = catalog.entries(&EntryFilter::default(), EntryOrder::NewestFirst, 1).await;
    let last = last.ok().and_then(|mut page| page.pop());
    match (first, last) {
        (Some(first), Some(last)) => format!(
            "ask for a moment from {} (entry {}) on, up to now; the newest entry, {}, is of {}",
            first.at, first.seq, last.seq, last.at
        ),
        _ => "the history is empty: it begins with the first sync or run".to_owned(),
    }
}
