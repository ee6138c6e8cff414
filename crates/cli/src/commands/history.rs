//! `waystation history list|verify|export`.

mod cef;
mod export;
mod heads;
mod list;
mod proof;
mod verify;
mod what;

use catalog::{Catalog, Entry, EntryFilter, EntryOrder};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::arguments::TWO_ENDS;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::moment::Moment;
pub(crate) use proof::{Doubt, doubt, elsewhere, head, parted};

/// How many entries are read at a time.
const PAGE: usize = 500;

/// Shows, proves and exports the record of what happened
#[derive(Debug, Subcommand)]
#[command(after_help = format!("Example:\n  waystation history verify\n\n{TWO_ENDS}"))]
pub(crate) enum History {
    List(list::List),
    Verify(verify::Verify),
    Export(export::Export),
}

pub(crate) async fn run(verb: &History, context: &mut Context) -> Result<Exit, Failure> {
    if !matches!(verb, History::List(_)) {
        context.something_held("history")?;
    }
    let engine = context.looking("history").await?;
    let catalog = engine.ports().catalog.as_ref();
    match verb {
        History::List(args) => list::run(args, catalog, context).await,
        History::Verify(args) => verify::run(args, catalog, context).await,
        History::Export(args) => export::run(args, catalog, context).await,
    }
}

/// From when until when.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Span {
    /// Only what happened then or later: 2026-08-15, 2026-08-15T12:00:00Z, '30d ago'
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only what happened then or earlier
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

impl Span {
    /// What lies between the two; nothing can where they are the wrong way round, or ahead.
    fn filter(&self, context: &Context) -> Result<EntryFilter, Failure> {
        let now = context.clock.now();
        let since = self.since.map(|since| since.resolve(now));
        let until = self.until.map(|until| until.end(now));
        match (since, until) {
            (Some(since), Some(until)) if since > until => Err(Failure::usage(format!(
                "--since {since} is later than --until {until}, so that nothing lies between: exchange them"
            ))),
            (Some(since), _) if since > now => Err(Failure::usage(format!(
                "--since {since} lies ahead of this machine's clock, which says {now}: name an earlier time"
            ))),
            _ => Ok(EntryFilter { since, until, ..EntryFilter::default() }),
        }
    }
}

/// Shows `each` the entries that a filter lets through, oldest first, a page at a time.
async fn visit(
    catalog: &dyn Catalog,
    mut filter: EntryFilter,
    each: &mut (dyn FnMut(&Entry) -> Result<(), Failure> + Send),
) -> Result<(), Failure> {
    loop {
        let page = catalog.entries(&filter, EntryOrder::OldestFirst, PAGE).await;
        let page = page.map_err(|error| Failure::new("history", &error))?;
        page.iter().try_for_each(&mut *each)?;
        match page.last() {
            Some(last) if page.len() == PAGE => filter.from = last.seq.saturating_add(1),
            _ => return Ok(()),
        }
    }
}

/// The particulars as JSON.
fn particulars(entry: &Entry) -> Value {
    serde_json::from_str(&entry.data).unwrap_or_else(|_| Value::from(entry.data.as_str()))
}
