//! How everything stood at a moment that was asked for, or between when and when to ask.

use catalog::{Catalog, EntryFilter, EntryOrder};
use mirror::{Engine, EngineError, Past};
use model::Timestamp;

use crate::commands::history::{Doubt, doubt};
use crate::context::Context;
use crate::failure::Failure;

/// How everything stood at `at`, for the command `what`; and what speaks against the history that says so, if anything
/// does.
///
/// # Errors
/// [`Failure`] of wrong usage, with how far the history reaches, when it does not reach there; or when it cannot be read.
pub(crate) async fn past(
    what: &str,
    at: Timestamp,
    engine: &Engine,
    context: &Context,
) -> Result<(Past, Option<Doubt>), Failure> {
    let catalog = engine.ports().catalog.as_ref();
    let past = engine.past(at).await;
    let doubt = doubt(catalog, context).await?;
    match past {
        Ok(past) => Ok((past, doubt)),
        Err(error @ EngineError::NoPast(_)) => {
            Doubt::end(doubt)?;
            Err(Failure::engine(what, &error).with_next(reach(catalog).await))
        }
        Err(error) => Doubt::end(doubt).and(Err(Failure::engine(what, &error))),
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
