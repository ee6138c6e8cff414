//! `waystation status`.

mod freshness;
mod page;

pub(crate) use page::{feeds, trouble};

use app::Purpose;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Behind a proxy the guard sees names only.
pub(crate) const BEHIND_PROXY: &str = "origin.proxy resolves names: behind it hosts are checked by name and by \
                                       literal address, but not by the addresses that names lead to";

/// Shows how everything stands: feeds, releases, trust, what is wrong and what to do
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation status --json

Times in --json are microseconds since 1970 in UTC.

Exit codes:
  0  told
  1  the data folder cannot be read
  2  wrong usage or configuration
  4  a feed was last checked with success longer ago than [freshness] lets pass; one that never was
     counts from its first check")]
pub(crate) struct Status {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    status: &'a mirror::Status,
    freshness: &'a freshness::Freshness,
    notices: Vec<&'static str>,
}

pub(crate) async fn run(args: &Status, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let engine = context.engine(&config, "status", Purpose::Look).await?;
    let status = engine.status().await.map_err(|error| Failure::engine("status", &error))?;
    let freshness = freshness::Freshness::of(&status, config.freshness);
    let notices: Vec<&'static str> = config.origin.proxy.iter().map(|_| BEHIND_PROXY).collect();
    let stale = freshness.is_beyond();
    if args.json {
        context.out.json(&Document { status: &status, freshness: &freshness, notices })?;
    } else {
        page::write(&status, &freshness, &notices, &mut context.out)?;
    }
    Ok(if stale { Exit::STALE } else { Exit::DONE })
}
