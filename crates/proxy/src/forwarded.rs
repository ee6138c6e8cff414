//! What is forwarded becomes a release of a feed of our own, numbered by us; and how that ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use mirror::{Engine, EngineError, FeedReport, SyncRequest};
use model::{FeedId, Route, RoutePath, VendorVersion};
use vendors::elastic::{forwarded_feed, is_forwarded};

use crate::state::ForwardedFile;
use crate::{Book, BookError};

/// Why what is forwarded could not be changed, or let go.
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
    /// It was not published that nothing is forwarded any more.
    #[error("{paths} of elastic/forwarded still served: {why}; `waystation feed show elastic/forwarded` says more")]
    Served {
        /// How many paths.
        paths: usize,
        /// Why.
        why: String,
    },
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
    let kept = |file: &ForwardedFile| stays == Stays::Copies && file.is_copy;
    let (stay, go): (Vec<_>, Vec<_>) = book.forwarded().into_iter().partition(kept);
    let mut before = served_beside(engine, &stay).await?;
    before.extend(go.into_iter().map(|file| file.route));
    if before.is_empty() {
        return Ok(0);
    }
    let _claim = engine.claim(&feed).ok_or(UnforwardError::Busy)?;
    change_forwarded(engine, book, |files| files.retain(kept)).await?;
    let report = publish_forwarded(engine, book).await?;
    // Where what was learned was lost, only now it is known what of it stays.
    let stay = book.forwarded();
    match served_beside(engine, &stay).await?.len() {
        0 => Ok(before.iter().filter(|path| !stay.iter().any(|file| file.route == **path)).count()),
        paths => Err(UnforwardError::Served { paths, why: why(report) }),
    }
}

/// The paths that are served of what was forwarded, but for these.
async fn served_beside(engine: &Engine, but: &[ForwardedFile]) -> Result<BTreeSet<RoutePath>, EngineError> {
    let current = engine.ports().rings.current(&engine.settings().ring).await?;
    let routes = current.iter().flat_map(|current| &current.generation.routes);
    let ours = routes.filter(|(_, route)| is_forwarded(&route.feed)).map(|(path, _)| path);
    Ok(ours.filter(|path| !but.iter().any(|file| file.route == **path)).cloned().collect())
}

fn why(report: Option<FeedReport>) -> String {
    let Some(report) = report else { return "its run told nothing".to_owned() };
    let (reason, detail) = (report.reason.map(model::Reason::code), report.detail.unwrap_or_default());
    format!("it is {} ({}) {detail}", report.outcome.as_str(), reason.unwrap_or("no reason told")).trim_end().to_owned()
}

/// Changes what is forwarded. The release that is made of it is newer than all that are on record, also where it is not
/// known any more how far was counted.
pub(crate) async fn change_forwarded(
    engine: &Engine,
    book: &Book,
    change: impl FnOnce(&mut Vec<ForwardedFile>),
) -> Result<(), UnforwardError> {
    let newest = match forwarded_feed() {
        Some(feed) => newest(engine, &feed).await?,
        None => 0,
    };
    let served = if book.knows_forwarded() { Vec::new() } else { all_served(engine).await? };
    Ok(book.change_forwarded((newest, served), change)?)
}

/// What a ring serves of what was forwarded: where what was learned is lost, that is known anew before anything of it is
/// changed. It would leave, or stand still, else.
pub(crate) async fn all_served(engine: &Engine) -> Result<Vec<ForwardedFile>, EngineError> {
    let current = engine.ports().rings.current(&engine.settings().ring).await?;
    let routes = current.iter().flat_map(|current| &current.generation.routes);
    let (ours, theirs): (Vec<_>, Vec<_>) = routes.partition(|(_, route)| is_forwarded(&route.feed));
    let file = |(path, route): (&RoutePath, &Route)| ForwardedFile {
        route: path.clone(),
        digest: Some(route.digest),
        size: route.size,
        fetched_at: route.since,
        brought: None,
        confirmed_at: None,
        is_copy: theirs.iter().any(|(_, known)| known.digest == route.digest),
        missed: 0,
    };
    Ok(ours.into_iter().map(file).collect())
}

/// The number of the newest release that is on record or served.
async fn newest(engine: &Engine, feed: &FeedId) -> Result<u64, EngineError> {
    let record = engine.ports().catalog.feed(feed).await?;
    let current = engine.ports().rings.current(&engine.settings().ring).await?;
    let recorded = record.iter().flat_map(|record| [&record.mark, &record.offered]).flatten();
    let served = current.iter().filter_map(|current| current.generation.feeds.get(feed));
    let versions = recorded.chain(served.map(|served| &served.vendor_version));
    Ok(versions.filter_map(number).max().unwrap_or(0))
}

fn number(version: &VendorVersion) -> Option<u64> {
    version.version.as_str().rsplit('.').next()?.parse().ok()
}

/// Makes a release of what is forwarded, and publishes it: all of it is held, so that nobody is asked. How that ended.
pub(crate) async fn publish_forwarded(engine: &Engine, book: &Book) -> Result<Option<FeedReport>, UnforwardError> {
    let Some(feed) = forwarded_feed() else { return Ok(None) };
    let _trial = book.try_out(&feed, None);
    let request = SyncRequest { feeds: vec![feed], wait: true, tentative: true, ..SyncRequest::default() };
    let report = engine.sync(&request, Arc::new(mirror::Silent)).await?;
    Ok(report.feeds.into_iter().next())
}
